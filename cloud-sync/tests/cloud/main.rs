//! The cloud as its callers see it: the real server over mutual TLS, with the clock in the test's hand.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

#[path = "../../../loadtest/src/trial.rs"]
#[expect(dead_code, reason = "these tests see faces, and have no database")]
mod trial;

#[path = "../../../pages-tests/run.rs"]
mod run;

mod acts;
mod audit;
mod backup;
mod backup_files;
mod bad_batches;
mod books;
mod browser;
mod ca;
mod commands;
mod digests;
mod durability;
mod ending;
mod enrolment;
mod erasure;
mod feed;
mod guide;
mod habits;
mod harness;
mod hsm;
mod identity;
mod import;
mod installations;
mod intake;
mod journeys;
mod keys;
mod leases;
mod notices;
mod operation;
mod pages;
mod photographs;
mod refunds;
mod refusals;
mod renewal;
mod rest;
mod rides;
mod riding;
mod risk;
mod snapshots;
mod waivers;
mod web;
mod webhooks;
mod withdrawal;
