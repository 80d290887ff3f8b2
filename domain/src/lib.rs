//! The rules of Facegate as pure code: no I/O, no async, no clock of its own.
//!
//! Everything a test can decide with a table lives here; the servers bring effects to it and carry its answers out.
#![cfg_attr(test, allow(clippy::unwrap_used))]

#[macro_use]
pub mod digest_id;

pub mod aisle;
pub mod billing;
pub mod booth;
pub mod charge;
pub mod clock;
pub mod code;
pub mod debit;
pub mod deny;
pub mod dispute;
pub mod face;
pub mod fares;
pub mod fingerprint;
pub mod four_eyes;
pub mod gate;
pub mod habits;
pub mod ids;
pub mod intake;
pub mod journal_audit;
pub mod journey;
pub mod ledger;
pub mod money;
pub mod notice;
pub mod operation;
pub mod policy;
pub mod reconcile;
pub mod remedy;
pub mod reserve;
pub mod risk;
pub mod score;
pub mod settlement;
pub mod tap;
pub mod terms;
pub mod travel_day;
pub mod waiving;

pub use clock::{Clock, Timestamp};
