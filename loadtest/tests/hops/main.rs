//! Gate, station and cloud in one process, each the real one with its own disk and certificate: what becomes of records
//! on their way, and whether they are on the disk when somebody is told so.
#![allow(clippy::unwrap_used)]

mod booth;
mod lost;
mod renewal;
mod replay;
mod synced;
mod trace;
mod world;
