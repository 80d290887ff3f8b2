//! The regulars of every station, computed daily from the entries of consenting riders, and put on the feed where they
//! have changed. The rule is `domain::habits`.

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::habits::{HabitPolicy, Ranking, habits};

use crate::cloud::Cloud;
use crate::store::{Store, StoreError};

/// How often it is looked whether a day has passed.
const LOOK_EVERY: Duration = Duration::from_secs(60);
const REFRESH_EVERY: Duration = Duration::from_secs(86_400);
/// Riders read at once.
const PAGE: usize = 500;

/// Until the cloud stops. At a start too, if the last computation is older than a day.
pub async fn run(cloud: Arc<Cloud>) {
    loop {
        match refresh_if_due(&cloud).await {
            Ok(None) => (),
            Ok(Some(changed)) => tracing::info!(changed, "the regulars of every station are computed anew"),
            Err(error) => tracing::error!(%error, "regulars could not be computed; those of before stay"),
        }
        tokio::select! {
            biased;
            () = cloud.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Gives how many stations have other regulars now, if it was time. Those of an operator who switched them off are taken
/// back.
pub async fn refresh_if_due(cloud: &Cloud) -> Result<Option<usize>, StoreError> {
    let (store, now) = (&*cloud.store, cloud.clock.now());
    let Some(policy) = &cloud.config.habits else { return take_back(store).await };
    let computed = store.regulars_computed_at().await?;
    // A clock that was set back must not put it off for ever.
    if computed.is_some_and(|at| at <= now && now.since(at) < REFRESH_EVERY) {
        return Ok(None);
    }
    let changed = refresh(cloud, policy).await?;
    store.set_regulars_computed_at(now).await?;
    Ok(Some(changed))
}

async fn refresh(cloud: &Cloud, policy: &HabitPolicy) -> Result<usize, StoreError> {
    let (store, now) = (&*cloud.store, cloud.clock.now());
    let (mut ranking, mut after) = (Ranking::new(policy), None);
    loop {
        let (riders, last) = store.entries_of_enrolled(now.minus(policy.window), after, PAGE).await?;
        riders.into_iter().for_each(|(rider, entries)| ranking.add(rider, habits(&entries, policy, now)));
        after = last;
        if after.is_none() {
            break;
        }
        // Millions of riders: whoever waits at a gate goes first.
        tokio::task::yield_now().await;
    }
    let mut regulars = ranking.into_regulars();
    for gone in store.stations_with_regulars().await? {
        regulars.entry(gone).or_default();
    }
    let mut changed = 0;
    for (station, riders) in regulars {
        changed += usize::from(store.set_regulars(station, riders).await?);
    }
    Ok(changed)
}

async fn take_back(store: &dyn Store) -> Result<Option<usize>, StoreError> {
    let stations = store.stations_with_regulars().await?;
    let changed = stations.len();
    for station in stations {
        store.set_regulars(station, Vec::new()).await?;
    }
    Ok((changed > 0).then_some(changed))
}
