//! A gate as a whole: real models on real portraits, real mutual TLS to a station, the aisle over its real protocol.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]

mod aisle;
mod cameras;
mod codes;
mod faces;
mod failures;
mod lanes;
mod network_camera;
mod orders;
mod pages;
mod people;
mod reader;
#[path = "../../../pages-tests/run.rs"]
mod run;
mod sensors;
mod station;
mod strangers;
mod surroundings;
mod world;
