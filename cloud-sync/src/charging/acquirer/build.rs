//! The acquirers that a config names.

use std::sync::Arc;

use facegate_runtime::identity::DeviceIdentity;

use super::bank_debit::{BankDebit, BankDebitConfig};
use super::sandbox::{SandboxAcquirer, SandboxError};
use super::stripe::StripeAcquirer;
use super::{Acquirer, Acquirers};
use crate::cloud::Cloud;
use crate::config::AcquirerKind;

/// Adapters, and those of them that exchange files by themselves.
#[derive(Debug, Default)]
pub struct Built {
    pub acquirers: Acquirers,
    pub banks: Vec<Arc<BankDebit>>,
}

/// An adapter for each acquirer in the config.
pub fn build(cloud: &Cloud, identity: &DeviceIdentity) -> Result<Built, SandboxError> {
    let (mut adapters, mut banks) = (Vec::<Arc<dyn Acquirer>>::new(), Vec::new());
    for acquirer in &cloud.config.acquirers {
        let name = acquirer.name.clone();
        let (store, clock) = (Arc::clone(&cloud.store), Arc::clone(&cloud.clock));
        match acquirer.kind.clone() {
            AcquirerKind::Sandbox { address, answer_within } => {
                adapters.push(Arc::new(SandboxAcquirer::new(name, identity, &address, answer_within)?));
            }
            AcquirerKind::Stripe(config) => {
                adapters.push(Arc::new(StripeAcquirer::new(name, &config, store, clock)?));
            }
            AcquirerKind::BankDebit { folder, secret, days, look_every } => {
                let currency = cloud.config.fares.currency();
                let config = BankDebitConfig { folder, secret, days, currency, look_every };
                let bank = Arc::new(BankDebit::new(name, config, store, clock));
                adapters.push(Arc::clone(&bank) as Arc<dyn Acquirer>);
                banks.push(bank);
            }
        }
    }
    Ok(Built { acquirers: Acquirers::new(adapters), banks })
}
