//! Whether every promise was kept: what the bodies did, against what the servers know.

mod books;
mod settlement;

use anyhow::{Context, Result};
use facegate_domain::billing::Item;
use facegate_domain::score::Verdict;
use facegate_domain::tap::{Direction, Tap};
use facegate_gallery::Gallery;
use facegate_proto::convert::sync::FeedChange;
use facegate_runtime::disk::Disk;
use facegate_runtime::kv::{KvOptions, Tree};
use serde::de::DeserializeOwned;

use super::cloud::STORE;
use super::events::Broken;
use super::node::{Node, STATIONS, gate_id, station_id};
use super::world::World;
use books::{Books, Crossed};

const OPTIONS: KvOptions = KvOptions { cache_bytes: 0, flush_every_ms: None, syncs: true };

/// Once all is at rest: no tap lost, everybody agrees, nobody is known who was forgotten, the ledger balances.
pub async fn promises_kept(world: &World) -> Result<()> {
    if world.cloud().is_none() {
        // It was found not to come up, which is finding enough.
        return Ok(());
    }
    let books = read(world).await?;
    for (promise, what) in books.taps() {
        world.events.broken(promise, what);
    }
    stations_agree(world).await?;
    forgotten(world).await;
    ledger(world).await
}

/// When nobody waits for anything any more: every tap is in a journey or reported, every charge made once.
pub async fn all_settled(world: &World) -> Result<()> {
    if world.cloud().is_none() {
        return Ok(());
    }
    let books = read(world).await?;
    let findings = books.taps().into_iter().chain(books.journeys()).chain(books.charges()).chain(books.ledger());
    for (promise, what) in findings {
        world.events.broken(promise, what);
    }
    settlement::agrees(world, &books).await?;
    let (taps, journeys) = (books.taps.len(), books.priced.len());
    let captured = books.acquirer.values().filter(|account| account.captures > 0).count();
    let prepaid = books.charges.iter().filter(|charge| charge.asked() != charge.amount()).count();
    let said = format!(
        "{taps} taps, {journeys} journeys, {captured} captured by the acquirer, {prepaid} charged on holds of more"
    );
    world.events.say(said);
    stations_agree(world).await?;
    forgotten(world).await;
    ledger(world).await
}

/// The cloud's own table, as `cloud_sync::store::sled` documents it, read past every query that could be wrong.
async fn read(world: &World) -> Result<Books> {
    let core = world.machine(Node::Cloud).disk.database(&std::path::Path::new(STORE).join("core"), OPTIONS)?.root();
    let crossings = world.crossings.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    let crossed = crossings.iter().map(|crossing| Crossed {
        tap: facegate_domain::ids::RecordId {
            gate: gate_id(crossing.station, crossing.way),
            epoch: crossing.token.epoch,
            sequence: crossing.token.sequence,
        },
        rider: world.riders.id(crossing.rider),
        way: crossing.way,
    });
    let used = core.scan("settled/").map(|pair| pair.map(|(key, _)| key["settled/".len()..].to_vec()));
    let taps = all::<Tap>(&core, "tap/")?.into_iter();
    let cloud = world.cloud().context("the cloud is down")?;
    let gaps_and_conflicts = cloud.store.gaps().await?.len() + cloud.store.conflicts().await?.len();
    Ok(Books {
        crossed: crossed.collect(),
        taps: taps.map(|(key, tap)| (key[key.len() - record_bytes(&tap)..].to_vec(), tap)).collect(),
        used: used.collect::<Result<_, _>>()?,
        priced: all(&core, "journey/")?.into_iter().map(|(_, journey)| journey).collect(),
        items: all::<KeptItem>(&core, "item/")?.into_iter().map(|(_, kept)| kept.item).collect(),
        charges: all(&core, "charge/")?.into_iter().map(|(_, charge)| charge).collect(),
        entries: all(&core, "entry/")?.into_iter().map(|(_, entry)| entry).collect(),
        acquirer: world.acquirer.books(),
        gaps_and_conflicts,
    })
}

/// As much of an item's value as is looked at.
#[derive(serde::Deserialize)]
struct KeptItem {
    item: Item,
}

/// The length of a tap's record id in a key: gate, a zero, epoch, sequence.
fn record_bytes(tap: &Tap) -> usize {
    tap.id.gate.as_str().len() + 1 + 4 + 8
}

fn all<T: DeserializeOwned>(core: &Tree, prefix: &str) -> Result<Vec<(Vec<u8>, T)>> {
    let decode = |pair: facegate_runtime::kv::Pair| Ok((pair.0, serde_json::from_slice(&pair.1)?));
    core.scan(prefix).map(|pair| decode(pair?)).collect()
}

async fn ledger(world: &World) -> Result<()> {
    let Some(cloud) = world.cloud() else { return Ok(()) };
    let (running, folded) = (cloud.store.is_balanced().await?, cloud.store.trial_balance().await?.is_balanced());
    if !running || !folded {
        world.events.broken(Broken::Ledger, format_args!("balances sum to zero: {running}, entries: {folded}"));
    }
    Ok(())
}

/// Every station holds the facts that the cloud holds, on its disk and in its searches.
async fn stations_agree(world: &World) -> Result<()> {
    let Some(cloud) = world.cloud() else { return Ok(()) };
    let page = cloud.store.snapshot_page(None, usize::MAX / 2, world.now()).await?;
    let wanted: Vec<&FeedChange> = page.facts.iter().filter(|fact| is_compared(fact)).collect();
    let enrolled = page.facts.iter().filter(|fact| matches!(fact, FeedChange::TemplatePut(_))).count();
    for number in 0..STATIONS {
        let Some(station) = world.station(number) else { continue };
        let name = station_id(number);
        let held: Vec<FeedChange> = station.store.facts()?.read().collect::<Result<_, _>>()?;
        let held: Vec<&FeedChange> = held.iter().filter(|fact| is_compared(fact)).collect();
        let missing = wanted.iter().filter(|fact| !held.contains(fact)).count();
        let excess = held.iter().filter(|fact| !wanted.contains(fact)).count();
        let templates = station.facts().gallery().map_or(0, Gallery::templates);
        if missing + excess > 0 || templates != enrolled {
            let what =
                format!("{name}: {missing} facts missing, {excess} too many, {templates} templates of {enrolled}");
            world.events.broken(Broken::Diverged, what);
        }
        for rider in (0..world.riders.count()).filter(|rider| !world.riders.leaves(*rider)) {
            if recognised(world, number, rider) != Some(true) {
                world.events.broken(Broken::Diverged, format_args!("{name} does not recognise rider {rider}"));
            }
        }
    }
    Ok(())
}

fn is_compared(fact: &FeedChange) -> bool {
    matches!(fact, FeedChange::Denied(_) | FeedChange::EnteredSystem { .. } | FeedChange::IssuerKeys(_))
}

/// Whether the station finds this rider by his face; `None` if it does not answer.
fn recognised(world: &World, station: u8, rider: usize) -> Option<bool> {
    let station = world.station(station)?;
    let probe = world.riders.probe(rider, world.dice.seed());
    let facts = station.facts();
    let verdict = facts.gallery()?.identify(&probe, 3, Direction::Entry, station.clock.now()).ok()?;
    Some(matches!(verdict, Verdict::Recognised(seen) if seen.rider == world.riders.id(rider)))
}

/// All stations have heard of every erasure by now: the receipts are final, and no search finds them.
async fn forgotten(world: &World) {
    for (rider, erased) in world.office.all_erased() {
        for number in 0..STATIONS {
            let name = station_id(number);
            if !world.has_acknowledged(number, &erased).await {
                world
                    .events
                    .broken(Broken::Diverged, format_args!("{name} has not acknowledged to forget rider {rider}"));
            }
            if recognised(world, number, rider) == Some(true) {
                world.events.broken(Broken::Resurrected, format_args!("{name} still knows rider {rider}"));
            }
        }
    }
}
