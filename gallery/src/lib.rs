//! Who is this among all who enrolled: templates, the tiers that carry priors, and the decision over both.
//!
//! | module | gives |
//! |---|---|
//! | [`engine`] | the index behind one trait: put, remove, search |
//! | [`exact`] | the same by a plain scan: the oracle that every index is tested against |
//! | [`tiers`] | who is inside, who is expected |
//! | [`settings`] | the priors and the risk budget an operator sets |
//! | [`posterior`] | [`Gallery`]: search every tier and the city, then `domain::score::decide` |
//! | [`calibration`] | the measured score distributions that ship with Facegate |
//!
//! Used by the station, by the cloud's duplicate search and by the benches. Blocking and free of any network: a server
//! calls it from a blocking thread.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod calibration;
pub mod engine;
pub mod exact;
pub mod posterior;
pub mod settings;
pub mod tiers;

pub use engine::Engine;
pub use posterior::{Gallery, GalleryError, Neighbour};
pub use settings::DecisionSettings;
