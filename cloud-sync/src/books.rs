//! The books as finance works with them: the trial balance of any moment, what acquirers settle, the match of a day,
//! its close, payments and statements.

pub mod close;
mod desk;
mod error;
pub mod import;
pub mod inbox;
pub mod matching;
pub mod payment;
pub mod statement;
pub mod tables;
pub mod trial;
pub mod xml;

pub use close::{Closer, Closing};
pub use desk::{BooksConfig, Desk};
pub use error::BooksError;
pub use matching::{Matched, Matcher};
