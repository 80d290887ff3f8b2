//! The gRPC contracts of Facegate, and the only conversion between wire and domain.
//!
//! `v1` is generated at build time from `proto/facegate/v1/*.proto`; `convert` turns its messages into domain types
//! and refuses, by name, whatever does not fit.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod convert;
mod sensitive;
pub mod snapshot;

/// Generated messages, clients and servers of package `facegate.v1`.
#[allow(clippy::all, clippy::pedantic, missing_debug_implementations)]
pub mod v1 {
    tonic::include_proto!("facegate.v1");
}

/// The compiled descriptors, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/facegate.v1.fds"));
