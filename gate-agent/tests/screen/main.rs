//! The gate's pages in a real browser, over a board that shows all that a gate can come to.
#![allow(clippy::unwrap_used)]

mod attendant;
mod display;
#[path = "../../../pages-tests/run.rs"]
mod run;
