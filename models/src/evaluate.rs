//! `eval`: measures recognition on people's photographs; each command ends with one line of JSON.

#![allow(dead_code, reason = "the commands that use these land one after the other")]

pub mod identities;
pub mod intervals;
pub mod plot;
