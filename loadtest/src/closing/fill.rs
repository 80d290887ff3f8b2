//! Fills a day through the store's own commands, many at a time, and plants differences of each kind that commands can
//! make.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use facegate_cloud_sync::books::import::{Importing, import_file};
use facegate_cloud_sync::store::{Pricing, Settlement, Store};
use facegate_domain::Timestamp;
use facegate_domain::billing::Item;
use facegate_domain::charge::{Advanced, AuthorisationId, Charge, Decline, Event, RetryPolicy};
use facegate_domain::ids::RiderId;
use facegate_domain::reconcile::Kind;
use facegate_domain::tap::{Direction, GateRecord};
use futures::TryStreamExt;
use jiff::civil::Date;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use super::day::{ACQUIRER, CURRENCY, City, TAPS, card};

/// Riders whose commands are made together.
const RIDERS: usize = 2_000;
/// Commands under way at once: what the embedded store syncs together.
const AT_ONCE: usize = 256;
/// How often each kind is planted.
const PLANTED: usize = 3;

/// Kinds that commands can make, each in a rider of its own.
const KINDS: [Kind; 12] = [
    Kind::TapWaits,
    Kind::PriceHeld,
    Kind::RideWithoutItem,
    Kind::ItemsDiffer,
    Kind::ItemWithoutBill,
    Kind::BillDiffers,
    Kind::BillWithoutOutcome,
    Kind::CaptureNotSettled,
    Kind::SettledAmountDiffers,
    Kind::SettledTwice,
    Kind::SettledNotCaptured,
    Kind::SettledOnAnotherDate,
];

/// One rider's day, made up and not stored.
struct Made {
    records: Vec<GateRecord>,
    settlement: Settlement,
    /// His charge, and the transitions that the store is told of.
    charge: Option<(Advanced, Vec<Event>)>,
    lines: Vec<String>,
}

/// Gives the planted differences: kind and rider, and how many of each.
pub async fn fill(store: Arc<dyn Store>, day: Date, taps: u64, folder: &Path) -> Result<BTreeMap<String, u64>> {
    let riders = taps / TAPS;
    let mut city = City::new(day)?;
    let mut file = SettlementWriter::create(&folder.join(format!("settlement-{day}.csv")), day)?;
    let mut planted = BTreeMap::new();
    let mut random = StdRng::seed_from_u64(7);
    let every = (riders / (KINDS.len() * PLANTED) as u64).max(1);
    let mut made = Vec::with_capacity(RIDERS);
    for n in 0..riders {
        let rider = RiderId::from_bytes(random.random());
        let place = usize::try_from(n / every)?;
        let is_planted = n % every == 0 && place < KINDS.len() * PLANTED;
        let kind = is_planted.then(|| KINDS[place % KINDS.len()]);
        made.push(make(&mut city, n, rider, kind, &mut planted)?);
        if made.len() == RIDERS {
            keep(&*store, std::mem::replace(&mut made, Vec::with_capacity(RIDERS)), &mut file).await?;
            if n % 100_000 < RIDERS as u64 {
                eprintln!("{} of {taps} taps…", (n + 1) * TAPS);
            }
        }
    }
    keep(&*store, made, &mut file).await?;
    for n in 0..PLANTED as u64 {
        file.line(&format!("capture,foreign-{n},somebody-elses-{n},777,7,{}", moment(city.at(n))?), 777)?;
        *planted.entry(format!("{} ", Kind::SettledNotOurs.name())).or_default() += 1;
    }
    let path = file.finish()?;
    let (acquirers, now) = ([ACQUIRER.to_owned()], city.at(0).plus(std::time::Duration::from_secs(86_400)));
    let importing = Importing { acquirers: &acquirers, currency: CURRENCY.parse()?, by: "bench", now };
    import_file(&*store, &path, &importing).await?;
    Ok(planted)
}

fn moment(at: Timestamp) -> Result<String> {
    Ok(jiff::Timestamp::from_millisecond(at.unix_ms())?.to_string())
}

fn make(
    city: &mut City,
    n: u64,
    rider: RiderId,
    planted: Option<Kind>,
    all: &mut BTreeMap<String, u64>,
) -> Result<Made> {
    if let Some(kind) = planted {
        *all.entry(format!("{} {rider}", kind.name())).or_default() += 1;
    }
    let rides = if planted == Some(Kind::TapWaits) { 1 } else { 2 };
    let (mut records, journeys) = city.rides(n, rider, rides)?;
    let mut settlement = city.settlement(rider, &journeys)?;
    match planted {
        Some(Kind::TapWaits) => {
            // In place of the ride back: he went in twice and did not come out.
            let at = journeys[0].exit.at.plus(std::time::Duration::from_secs(600));
            records.extend(city.pass(0, Direction::Entry, rider, at)?);
            records.extend(city.pass(1, Direction::Entry, rider, at.plus(std::time::Duration::from_secs(60)))?);
            *all.entry(format!("{} {rider}", Kind::TapWaits.name())).or_default() += 1;
        }
        Some(Kind::PriceHeld) => {
            settlement.rides[1].1 = Pricing::Held { reason: "planted".into() };
            settlement.items.truncate(1);
        }
        Some(Kind::RideWithoutItem) => settlement.items.truncate(1),
        Some(Kind::ItemsDiffer) => {
            let item = settlement.items[1].clone();
            let less = City::money(item.amount().minor() - 100)?;
            settlement.items[1] = Item::new(rider, city.day, less, item.kind().clone(), item.bill_at());
        }
        _ => {}
    }
    let (charge, lines) = billed(city, n, rider, planted, &settlement.items)?;
    // Both items of one that is on no bill are.
    if planted == Some(Kind::ItemWithoutBill) {
        *all.entry(format!("{} {rider}", Kind::ItemWithoutBill.name())).or_default() += 1;
    }
    Ok(Made { records, settlement, charge, lines })
}

type Billed = (Option<(Advanced, Vec<Event>)>, Vec<String>);

fn billed(city: &City, n: u64, rider: RiderId, planted: Option<Kind>, items: &[Item]) -> Result<Billed> {
    if planted == Some(Kind::ItemWithoutBill) {
        return Ok((None, Vec::new()));
    }
    let at = city.at(n).plus(std::time::Duration::from_secs(23_400));
    let mut items = items.to_vec();
    if planted == Some(Kind::BillDiffers) {
        let item = &items[0];
        let more = City::money(item.amount().minor() + 100)?;
        items[0] = Item::new(rider, city.day, more, item.kind().clone(), item.bill_at());
    }
    let opened = Charge::open(rider, &items, card(n)?, at)?;
    let retry = RetryPolicy::default();
    let authorisation = AuthorisationId::new(format!("auth-{n}"));
    let mut charge = opened.charge.clone();
    for event in [Event::AuthoriseBegun, Event::Authorised { authorisation }, Event::CaptureBegun] {
        charge = charge.apply(&event, at, &retry)?.charge;
    }
    let (key, minor) = (charge.key().to_string(), charge.amount().minor());
    let last = match planted {
        Some(Kind::BillWithoutOutcome) => Vec::new(),
        Some(Kind::SettledNotCaptured) => {
            vec![Event::Declined(Decline::hard("planted")), Event::NoneLeft { again_at: None }]
        }
        _ => vec![Event::Captured],
    };
    let booked = moment(at)?;
    let line = |reference: &str, kind: &str, minor: i64, booked: &str| {
        format!("{kind},{reference}-{n},{key},{minor},{},{booked}", minor / 100)
    };
    let good = line("r", "capture", minor, &booked);
    let lines = match planted {
        Some(Kind::BillWithoutOutcome | Kind::CaptureNotSettled) => Vec::new(),
        Some(Kind::SettledAmountDiffers) => vec![line("r", "capture", minor - 1, &booked)],
        Some(Kind::SettledTwice) => vec![good, line("s", "capture", minor, &booked)],
        Some(Kind::SettledOnAnotherDate) => {
            let before = moment(at.minus(std::time::Duration::from_secs(2 * 86_400)))?;
            vec![line("r", "capture", minor, &before)]
        }
        _ => vec![good],
    };
    Ok((Some((Advanced { charge, ..opened }, last)), lines))
}

/// Stores what was made of some riders.
async fn keep(store: &dyn Store, made: Vec<Made>, file: &mut SettlementWriter) -> Result<()> {
    for lines in made.iter().flat_map(|made| &made.lines) {
        let fields: Vec<&str> = lines.split(',').collect();
        let minor: i64 = fields[3].parse()?;
        file.line(lines, if fields[0] == "capture" { minor } else { -minor })?;
    }
    let now = made.last().and_then(|made| made.records.last()).map(|record| record.stamp.wall).unwrap_or_default();
    let mut riders = Vec::with_capacity(made.len());
    let mut records = Vec::new();
    for made in made {
        records.extend(made.records);
        riders.push((made.settlement, made.charge));
    }
    store.record_taps(records, now).await?;
    futures::stream::iter(riders.into_iter().map(Ok))
        .try_for_each_concurrent(AT_ONCE, |(settlement, charge)| async move {
            store.settle(settlement, now).await?;
            if let Some((opened, last)) = charge {
                let charge = store.open_charge(opened).await?;
                for event in last {
                    let _ = store.advance_charge(charge.id(), 1, event, now, &RetryPolicy::default()).await?;
                }
            }
            anyhow::Ok(())
        })
        .await
}

/// The acquirer's file of the day.
struct SettlementWriter {
    path: std::path::PathBuf,
    file: std::io::BufWriter<std::fs::File>,
    hash: Sha256,
    lines: u64,
    sum: i64,
}

impl SettlementWriter {
    fn create(path: &Path, day: Date) -> Result<Self> {
        let file = std::fs::File::create(path).with_context(|| format!("creating {}", path.display()))?;
        let (path, file) = (path.to_owned(), std::io::BufWriter::new(file));
        let mut writer = Self { path, file, hash: Sha256::new(), lines: 0, sum: 0 };
        writer.write(&format!("facegate-settlement,1,{ACQUIRER},{day},{CURRENCY}\n"))?;
        Ok(writer)
    }

    fn write(&mut self, text: &str) -> Result<()> {
        self.hash.update(text);
        Ok(self.file.write_all(text.as_bytes())?)
    }

    fn line(&mut self, line: &str, signed: i64) -> Result<()> {
        self.lines += 1;
        self.sum += signed;
        self.write(&format!("{line}\n"))
    }

    fn finish(mut self) -> Result<std::path::PathBuf> {
        let hash: String = self.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(self.file, "trailer,{},{},{hash}", self.lines, self.sum)?;
        self.file.flush()?;
        Ok(self.path)
    }
}
