//! What people and staff ask of the cloud: enrol, deny, allow, forget. Whatever fails is asked again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use facegate_cloud_sync::store::{Consent, ErasureId, Profile, Purpose, Store, StoreError};
use facegate_domain::charge::Instrument;
use facegate_domain::ledger::{Account, Entry, EntryId};
use facegate_domain::money::Money;
use tokio::time::sleep;

use super::dice::Dice;
use super::world::World;

/// Enough for some rides.
const TOP_UP_MINOR: i64 = 2_500;

/// A rider whom the cloud has promised to forget.
#[derive(Debug, Clone)]
pub struct Erased {
    pub receipt: ErasureId,
}

#[derive(Debug, Default)]
pub struct Office {
    erased: Mutex<BTreeMap<usize, Erased>>,
}

impl Office {
    pub fn erased(&self, rider: usize) -> Option<Erased> {
        self.erased.lock().unwrap_or_else(PoisonError::into_inner).get(&rider).cloned()
    }

    pub fn all_erased(&self) -> Vec<(usize, Erased)> {
        let erased = self.erased.lock().unwrap_or_else(PoisonError::into_inner);
        erased.iter().map(|(rider, erased)| (*rider, erased.clone())).collect()
    }

    /// Enrols a rider; comes back when he is.
    pub async fn enrol(world: &Arc<World>, dice: &Dice, rider: usize) {
        while let Err(error) = Self::try_enrol(world, rider).await {
            world.events.say(format_args!("rider {rider} is not enrolled yet: {}", kind(&error)));
            sleep(dice.ms(1_000..4_000)).await;
        }
        world.riders.set_enrolled(rider);
        world.events.say(format_args!("rider {rider} is enrolled"));
    }

    async fn try_enrol(world: &World, rider: usize) -> Result<(), StoreError> {
        let store = store(world)?;
        let (id, now) = (world.riders.id(rider), world.now().minus(Duration::from_secs(3600)));
        store.create_rider(id, Profile { display_name: format!("rider {rider}") }, now).await?;
        let (text_version, channel) = ("1".to_owned(), "app".to_owned());
        store
            .record_consent(id, Consent { purpose: Purpose::Recognition, text_version, channel, given_at: now })
            .await?;
        let account = world.riders.account(rider).clone();
        let entries = if account == Instrument::Wallet { vec![top_up(world, rider)?] } else { Vec::new() };
        store.bind_account(id, account, entries).await?;
        match store.put_template(world.riders.template(rider).clone(), world.now()).await {
            // An earlier try did it, and its answer was lost.
            Ok(_) | Err(StoreError::AlreadyEnrolled(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Some are denied and allowed again, some leave.
    pub async fn work(world: Arc<World>) {
        let dice = world.dice.of("office");
        while !world.closed() {
            sleep(dice.ms(4_000..20_000)).await;
            let rider = dice.below(world.riders.count());
            if !world.riders.enrolled(rider) || world.riders.leaves(rider) {
                continue;
            }
            if dice.chance(0.3) {
                world.riders.set_leaves(rider);
                Self::erase(&world, &dice, rider).await;
            } else if let Ok(store) = store(&world) {
                let denied = dice.chance(0.3);
                let done = store.set_denied(world.riders.id(rider), denied).await;
                world.events.say(format_args!("rider {rider} denied={denied}: {}", done.is_ok()));
            }
        }
    }

    async fn erase(world: &Arc<World>, dice: &Dice, rider: usize) {
        loop {
            let asked = match store(world) {
                Ok(store) => store.erase_rider(ErasureId::random(), world.riders.id(rider), world.now()).await,
                Err(error) => Err(error),
            };
            match asked {
                Ok(receipt) => {
                    let mut erased = world.office.erased.lock().unwrap_or_else(PoisonError::into_inner);
                    erased.insert(rider, Erased { receipt: receipt.id });
                    return world.events.say(format_args!("rider {rider} is to be forgotten"));
                }
                Err(error) => world.events.say(format_args!("rider {rider} is not forgotten yet: {}", kind(&error))),
            }
            sleep(dice.ms(1_000..4_000)).await;
        }
    }
}

fn top_up(world: &World, rider: usize) -> Result<Entry, StoreError> {
    let id = world.riders.id(rider);
    let currency = "CNY".parse().map_err(|_| StoreError::Unavailable("no currency".into()))?;
    let amount = Money::from_minor(TOP_UP_MINOR, currency);
    // The same entry each time that it is tried.
    let begin = facegate_domain::Timestamp::from_unix_ms(0);
    Ok(Entry::transfer(EntryId::of("top-up", id), begin, amount, Account::Wallet(id), Account::BoothCash)?)
}

fn store(world: &World) -> Result<Arc<dyn Store>, StoreError> {
    let cloud = world.cloud().ok_or_else(|| StoreError::Unavailable("the cloud is down".into()))?;
    Ok(Arc::clone(&cloud.store))
}

fn kind(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unavailable(_) => "unavailable",
        _ => "refused",
    }
}
