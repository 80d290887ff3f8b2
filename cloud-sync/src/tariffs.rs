//! The tariff that journeys are priced by: the fare tables of the config, and those that the operator has published since.

use std::sync::Arc;

use facegate_domain::fares::{FareTable, Tariff, TariffProblem};
use facegate_domain::operation::PublishedFares;

use crate::store::{Store, StoreError};

/// Follows what is published.
#[derive(Debug)]
pub struct Tariffs {
    configured: Arc<Tariff>,
    /// What is published, as it was read last.
    published: Vec<PublishedFares>,
    tariff: Arc<Tariff>,
}

impl Tariffs {
    pub fn new(configured: Arc<Tariff>) -> Self {
        Self { tariff: Arc::clone(&configured), configured, published: Vec::new() }
    }

    /// The tariff by what is published at this moment.
    pub async fn now(&mut self, store: &dyn Store) -> Result<Arc<Tariff>, StoreError> {
        let published: Vec<PublishedFares> = store.instructions().await?.fares().cloned().collect();
        if published != self.published {
            match with_published(&self.configured, published.iter()) {
                Ok(tariff) => self.tariff = Arc::new(tariff),
                Err(error) => {
                    tracing::error!(%error, "the published fare tables make no tariff; the one before holds on");
                }
            }
            self.published = published;
        }
        Ok(Arc::clone(&self.tariff))
    }
}

/// The configured tables and the published ones; a published one takes the place of a configured one of its name. One
/// that cannot be read was refused when it was published, or has damage that the log tells, and is left out.
pub fn with_published<'f>(
    configured: &Tariff,
    published: impl Iterator<Item = &'f PublishedFares>,
) -> Result<Tariff, TariffProblem> {
    let mut tables: Vec<Arc<FareTable>> = configured.tables().to_vec();
    for fares in published {
        match FareTable::parse(&fares.toml) {
            Ok(table) => {
                tables.retain(|other| other.name() != table.name());
                tables.push(Arc::new(table));
            }
            Err(error) => tracing::error!(table = fares.name, %error, "a published fare table is left out"),
        }
    }
    Tariff::new(tables)
}
