//! The cloud as its callers see it: the real server over mutual TLS, with the clock in the test's hand.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod audit;
mod backup_files;
mod bad_batches;
mod browser;
mod digests;
mod durability;
mod enrolment;
mod erasure;
mod feed;
mod guide;
mod harness;
mod identity;
mod import;
mod installations;
mod intake;
mod journeys;
mod keys;
mod operation;
mod photographs;
mod refusals;
mod rest;
mod riding;
mod snapshots;
mod web;
