//! What Facegate's servers share, and nothing that decides about riders or money.
//!
//! | module | gives |
//! |---|---|
//! | [`clock`] | the machine's clock behind `facegate_domain::clock::Clock`, and a stopwatch |
//! | [`config`] | TOML → raw → checked, every problem reported at once |
//! | [`identity`] | who we are and who calls, by certificate; the operator's CA |
//! | [`grpc`], [`http`] | servers and clients under mutual TLS |
//! | [`keys`] | keys by purpose, and sealing under them |
//! | [`telemetry`] | logs, metrics, health |
//! | [`shutdown`], [`backoff`] | stopping in order, trying again politely |
//! | [`disk`], [`journal`] | durable, ordered, checksummed records |
//! | [`kv`] | ordered keys and values with atomic batches; on sled, or simulated |
//! | [`sign_in`] | passwords, attempts and sessions of people who use a server's pages |
//! | [`simulation`] | work that blocks, and randomness, which a simulation replaces |
//! | [`sled_sync`] | real durability for sled |

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod backoff;
pub mod clock;
pub mod config;
pub mod disk;
pub mod grpc;
pub mod http;
pub mod identity;
pub mod journal;
pub mod keys;
pub mod kv;
pub mod shutdown;
pub mod sign_in;
pub mod simulation;
pub mod sled_sync;
pub mod telemetry;

use std::sync::Once;

/// Makes ring the process's TLS provider. Every helper here calls it; calling it again does nothing.
pub fn install_crypto() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        // An error means that the program installed a provider of its own first, which then stands.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
