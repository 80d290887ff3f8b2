//! The real station over real mutual TLS, with gates that are clients of it and a cloud that the test plays.
#![allow(clippy::unwrap_used)]

mod access;
mod attendance;
mod bad_batches;
mod booth;
mod capped;
mod cloud;
mod codes;
mod erased;
mod faces;
mod feed;
mod healing;
mod identify;
mod journals;
mod killed;
mod leases;
mod memory;
mod metrics;
mod migration;
mod offline;
mod operation;
mod refetch;
mod restart;
#[path = "../../../pages-tests/run.rs"]
mod run;
mod sightings;
mod snapshots;
mod strangers;
mod upgrades;
mod world;
