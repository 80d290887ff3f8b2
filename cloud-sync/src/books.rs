//! The books as finance works with them: the trial balance of any moment, what acquirers settle, the match of a day,
//! and its close.

pub mod trial;
