//! Charging from settled journeys to captured money: the cloud's store and scheduler against the sandbox acquirer, over
//! real HTTPS under mutual TLS. What was captured is counted in the acquirer's own book.
#![allow(clippy::unwrap_used)]

mod acquirer;
mod bank_debit;
mod bank_files;
mod crash;
mod debts;
mod harness;
mod outcomes;
mod prepaid;
mod refunds;
mod stripe;
mod two_at_once;
mod webhooks;
