//! Opening charges: over bills, once their time has come, and before there is a bill, to verify what a new rider pays
//! with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::billing::Item;
use facegate_domain::charge::{Charge, ChargeId, Circumstances, Instrument, InstrumentId, Instruments, Purpose, Used};
use facegate_domain::ids::RiderId;
use facegate_domain::money::Money;

use super::schedule::Scheduler;
use crate::store::{FirstRide, StoreError};

/// Items looked up at a time.
const ITEMS_PAGE: usize = 256;
/// First rides in one pass; the others wait for the next.
const FIRST_RIDES_MAX: usize = 256;
/// How far back charges are looked up that may have been tried today.
const TRIED_WITHIN: Duration = Duration::from_secs(40 * 86_400);

impl Scheduler {
    /// Opens the bills whose time has come; gives how many, and those that are paid by the wallet. Riders without an
    /// instrument wait until they bind one.
    pub(super) async fn open_bills(&self) -> Result<(usize, Vec<Charge>), StoreError> {
        let now = self.clock.now();
        let (mut after, mut seen) = (None::<Item>, BTreeSet::new());
        let (mut opened, mut by_wallet) = (0, Vec::new());
        loop {
            let items = self.store.uncharged_items(now, after.as_ref(), ITEMS_PAGE).await?;
            let Some(last) = items.last() else { return Ok((opened, by_wallet)) };
            after = Some(last.clone());
            for rider in items.iter().map(Item::rider) {
                if !seen.insert(rider) {
                    continue;
                }
                for charge in self.open_bills_of(rider, now).await? {
                    opened += 1;
                    by_wallet.extend((*charge.instrument() == Instrument::Wallet).then_some(charge));
                }
            }
        }
    }

    async fn open_bills_of(&self, rider: RiderId, now: Timestamp) -> Result<Vec<Charge>, StoreError> {
        let (items, mut charges) = self.bill_on_holds(self.store.uncharged_items_of(rider).await?, now).await?;
        let instruments = self.store.instruments(rider).await?;
        let Some(first) = instruments.first() else { return Ok(charges) };
        let used = self.used_today(rider, &instruments, now).await?;
        let circumstances = self.circumstances(&instruments, &used, now);
        for bill in self.policy.billing.bills(items, now) {
            let mut opened = Charge::open(rider, &bill, first.instrument.clone(), now)?;
            let chosen = circumstances.first_for(opened.charge.amount());
            opened = match chosen {
                Some(bound) => Charge::open(rider, &bill, bound.instrument.clone(), now)?,
                None => opened.without_instrument(),
            };
            match self.store.open_charge(opened).await {
                Ok(charge) => {
                    let paid_by = charge.instrument().name();
                    metrics::counter!("facegate_charges_opened_total", "paid_by" => paid_by).increment(1);
                    charges.push(charge);
                }
                // Another replica has put it on a bill.
                Err(StoreError::ItemCharged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(charges)
    }

    pub(super) fn circumstances<'c>(
        &'c self,
        instruments: &'c Instruments,
        used: &'c BTreeMap<InstrumentId, Used>,
        now: Timestamp,
    ) -> Circumstances<'c> {
        Circumstances { instruments, used, schedule: &self.policy.retries, days: &self.policy.billing.days, now }
    }

    /// What each instrument was asked for on this travel day, without what it declined.
    pub(super) async fn used_today(
        &self,
        rider: RiderId,
        instruments: &Instruments,
        now: Timestamp,
    ) -> Result<BTreeMap<InstrumentId, Used>, StoreError> {
        let mut used: BTreeMap<InstrumentId, Used> = BTreeMap::new();
        let limited = |limits: &facegate_domain::charge::Limits| {
            limits.day_count_max.is_some() || limits.day_amount_max_minor.is_some()
        };
        if !instruments.iter().any(|bound| limited(&bound.limits)) {
            return Ok(used);
        }
        let days = &self.policy.billing.days;
        for charge in self.store.charges_since(rider, now.minus(TRIED_WITHIN)).await? {
            let state = charge.state();
            let came_to_nothing = state.decline().is_some() || matches!(state.name(), "due" | "voided" | "settled");
            if !came_to_nothing && days.of(charge.begun_at()) == days.of(now) {
                let of = used.entry(charge.instrument().id()).or_default();
                of.count += 1;
                of.minor = of.minor.saturating_add(charge.amount().minor());
            }
        }
        Ok(used)
    }

    /// Begins to verify the instruments of riders who ride for the first time with them.
    pub(super) async fn open_verifications(&self) -> Result<(), StoreError> {
        for FirstRide { rider, entry } in self.store.first_rides(FIRST_RIDES_MAX).await? {
            let instruments = self.store.instruments(rider).await?;
            let card = instruments.iter().find(|bound| bound.instrument != Instrument::Wallet);
            let Some((amount, card)) = self.policy.verify.zip(card) else {
                self.store.pass_first_ride(rider).await?;
                continue;
            };
            // The hold of the maximum fare shows as much.
            let hold = self.store.charge(ChargeId::of_hold(&entry)).await?;
            if hold.is_some_and(|hold| hold.instrument() == &card.instrument) {
                self.store.pass_first_ride(rider).await?;
                continue;
            }
            let id = ChargeId::of_verification(&entry, card.id());
            self.open_ahead(rider, id, Purpose::Verification, amount, card.instrument.clone()).await?;
        }
        Ok(())
    }

    pub(super) async fn open_ahead(
        &self,
        rider: RiderId,
        id: ChargeId,
        purpose: Purpose,
        amount: Money,
        instrument: Instrument,
    ) -> Result<Charge, StoreError> {
        let opened = Charge::ahead(rider, id, purpose, amount, instrument, self.clock.now());
        self.store.open_charge(opened).await
    }
}
