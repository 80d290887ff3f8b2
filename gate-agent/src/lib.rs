//! One gate, or one entrance camera: frames in, decisions out.
//!
//! camera → `pipeline` (queue, newest wins) → `vision` (code or face), or `reader` (code or card) → `approach` (frames of one rider) → `decide` →
//! `station` (who is it) → `door` (store, open, store, acknowledge) → `journal` → `delivery` → station.
//!
//! No frame leaves this process, and nothing it shows or tells names a rider.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod actuator;
pub mod admission;
pub mod approach;
pub mod board;
pub mod camera;
pub mod code;
pub mod config;
pub mod decide;
pub mod delivery;
pub mod door;
pub mod entrance;
pub mod freshness;
pub mod gate;
pub mod intent;
pub mod journal;
pub mod lane;
pub mod latency;
pub mod link;
pub mod memory;
pub mod pipeline;
pub mod queue;
pub mod reader;
pub mod renewal;
pub mod screen;
pub mod station;
pub mod vision;

mod run;

pub use run::{Effects, RunError, run};
