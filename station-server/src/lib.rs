//! The station: 1:N search over everyone enrolled, ride codes, the gates' journals, and the link to the cloud.
//!
//! | module | does |
//! |---|---|
//! | [`config`] | raw → checked, every problem at once |
//! | [`server`] | opens, listens, runs the loops, stops in order |
//! | [`rpc`] | who may call what; wire ↔ domain |
//! | [`booth`] | the ticket booth's page: why gates refuse, repaired entries, exit passes, opening a gate once |
//! | [`identify`] | probe → search → decision → deny list; sightings |
//! | [`authorise`] | ride codes: replay and deny list |
//! | [`epochs`] | issues the epochs of the gates' journals |
//! | [`intake`] | takes the gates' records, each once, durable before it is acknowledged |
//! | [`forward`] | hands the journal on to the cloud |
//! | [`refetch`] | hands on once more what the cloud lacks, from the journal or from the gate |
//! | [`offline`], [`backlog`] | how long the station goes on without the cloud, and with how much room |
//! | [`lease`] | the key to the templates, for a time; without it no face is searched |
//! | [`sync`] | follows the change feed, with snapshots where it does not reach |
//! | [`report`] | acknowledges the feed and tells how the station is |
//! | [`renewal`] | certificates of the gates, and its own, from the cloud |
//! | [`attend`] | status of the connected gates, commands to them |
//! | [`station`], [`facts`], [`store`] | what all of these share: in memory and on the disk |
//!
//! It never sees an image or a name: a probe is a vector, a rider a random number.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod attend;
pub mod authorise;
pub mod backlog;
pub mod booth;
pub mod config;
pub mod epochs;
mod faces;
pub mod facts;
pub mod forward;
pub mod identify;
pub mod intake;
pub mod lease;
pub mod metrics;
pub mod offline;
pub mod refetch;
pub mod renewal;
pub mod report;
pub mod rpc;
pub mod server;
pub mod station;
pub mod store;
pub mod sync;
mod upkeep;
