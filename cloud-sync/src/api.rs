//! The interfaces that other programs call.

pub mod grpc;
pub mod rest;
