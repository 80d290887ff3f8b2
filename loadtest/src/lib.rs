//! The simulated world around the servers: aisles with bodies, people with phones, the sandbox acquirer, a small city
//! of real processes, and load on a station. Never linked into a server.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod acquirer;
pub mod aisle;
pub mod app;
pub mod bank;
pub mod charges;
pub mod city;
pub mod closing;
pub mod crowd;
pub mod database;
pub mod demo;
pub mod fares;
pub mod feed;
pub mod flow;
pub mod intake;
pub mod kill;
pub mod partition;
pub mod people;
pub mod phone;
#[path = "../../xtask/src/postgres.rs"]
pub mod postgres;
#[cfg(feature = "sim")]
pub mod sim;
pub mod soak;
pub mod station;
pub mod sync;
pub mod ticketing;
pub mod trial;
pub mod wire;
