//! The tariff that journeys are priced by: the fare tables of the config, and those that the operator has published since.

use std::sync::Arc;

use facegate_domain::fares::{Elsewhere, FareTable, Pricer, Tariff, TariffProblem, Waiver};
use facegate_domain::operation::{Instructions, PublishedFares};

use crate::store::{KeptWaiver, Store, StoreError};

/// Follows what is published and waived.
#[derive(Debug)]
pub struct Tariffs {
    configured: Arc<Tariff>,
    /// As they were read last.
    told: Instructions,
    waivers: Vec<KeptWaiver>,
    /// By what is published, and what is waived as well.
    published: Arc<Tariff>,
    tariff: Arc<Tariff>,
    /// [`TermsStore::tariff_revision`](crate::store::TermsStore::tariff_revision) of the tariff that was given last, or a
    /// lower one.
    revision: u64,
    /// Whether rides may have a price by it that had none by the one before.
    changed: bool,
    /// An external system prices rides; of the tables the calendar and the currency count.
    elsewhere: bool,
}

impl Tariffs {
    pub fn new(configured: Arc<Tariff>) -> Self {
        Self {
            told: Instructions::default(),
            waivers: Vec::new(),
            published: Arc::clone(&configured),
            tariff: Arc::clone(&configured),
            configured,
            revision: 0,
            changed: true,
            elsewhere: false,
        }
    }

    /// The tariff by what is published and waived at this moment.
    pub async fn now(&mut self, store: &dyn Store) -> Result<Arc<Tariff>, StoreError> {
        // Before what it is the revision of: a settlement by less than that is refused.
        self.revision = store.tariff_revision().await?;
        let (told, waivers) = (store.instructions().await?, store.waivers().await?);
        let is_published = told.fares().ne(self.told.fares());
        if is_published {
            match with_published(&self.configured, told.fares()) {
                Ok(tariff) => self.published = Arc::new(tariff),
                Err(error) => {
                    tracing::error!(%error, "the published fare tables make no tariff; the one before holds on");
                }
            }
        }
        let waived =
            |waivers: &[KeptWaiver]| -> Vec<Waiver> { waivers.iter().map(|kept| kept.waiver.clone()).collect() };
        let now_waived = waived(&waivers);
        self.changed |= is_published;
        if is_published || now_waived != waived(&self.waivers) {
            self.tariff = Arc::new(self.published.with_waivers(&now_waived));
        }
        (self.told, self.waivers) = (told, waivers);
        Ok(Arc::clone(&self.tariff))
    }

    /// The same, where an external system prices rides.
    #[must_use]
    pub fn priced_elsewhere(self, elsewhere: bool) -> Self {
        Self { elsewhere, ..self }
    }

    /// Who prices rides, by this tariff.
    pub fn pricer<'t>(&self, tariff: &'t Tariff) -> Box<dyn Pricer + 't> {
        if self.elsewhere { Box::new(Elsewhere(tariff)) } else { Box::new(tariff.clone()) }
    }

    /// Whether tables were published since this was asked last; at first they may have been while nobody looked.
    pub fn has_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Of the tariff that was given last, for whoever settles by it to name.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What the operator told, as it was read last.
    pub fn told(&self) -> &Instructions {
        &self.told
    }

    /// What the tariff that was given last waives.
    pub fn waivers(&self) -> &[KeptWaiver] {
        &self.waivers
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
