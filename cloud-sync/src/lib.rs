//! The cloud of Facegate: enrolment and consent, the change feed to stations, taps in, journeys, fares, charges.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod api;
pub mod audit_report;
pub mod auditor;
pub mod books;
pub mod charging;
pub mod cloud;
pub mod completeness;
pub mod config;
pub mod enrolment;
pub mod feed;
pub mod figures;
pub mod habits;
pub mod import;
pub mod intake;
pub mod journeys;
pub mod leases;
pub mod notify;
pub mod operate;
pub mod operation;
pub mod register;
pub mod renewal;
pub mod retention;
pub mod risk;
pub mod rotation;
pub mod server;
pub mod signature;
pub mod store;
pub mod tariffs;
pub mod terms;
pub mod ticketing;
pub mod turns;
pub mod waivers;
pub mod web;
