//! Who is this among all who enrolled: templates, the tiers that carry priors, and the decision over both.
//!
//! | module | gives |
//! |---|---|
//! | [`index`] | the engine: one copy of each template, searched while it changes |
//! | [`durable`] | the same, surviving on disk |
//! | [`batch`] | queued probes in one pass |
//! | [`engine`] | the trait by which engines are compared, and FAISS behind it |
//! | [`exact`] | the same by a plain scan: the oracle that every engine is tested against |
//! | [`tiers`] | who is inside, who is expected |
//! | [`settings`] | the priors and the risk budget an operator sets |
//! | [`posterior`] | [`Gallery`]: search every tier and the city, then `domain::score::decide` |
//! | [`model`] | the templates of one embedding model, of which a gallery may have two |
//! | [`monitor`] | whether live searches find what an exhaustive one finds |
//! | [`calibration`] | the measured score distributions that ship with Facegate |
//!
//! Used by the station, by the cloud's duplicate search and by the benches. Blocking and free of any network: a server
//! calls it from a blocking thread.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod batch;
pub mod calibration;
pub mod durable;
pub mod engine;
pub mod exact;
pub mod index;
pub mod model;
pub mod monitor;
pub mod posterior;
pub mod settings;
pub mod tiers;

pub use durable::{Change, DurableError, Place};
pub use engine::Engine;
pub use index::{Held, Index, Layout};
pub use model::Model;
pub use posterior::{Gallery, GalleryError, Identified, Neighbour, Verified};
pub use settings::DecisionSettings;
