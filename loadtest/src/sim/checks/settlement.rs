//! The acquirer's file of the day, as finance gets it: what differs from the books is listed, whether the file or the books
//! are wrong, and nothing else is.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use anyhow::{Context, Result};
use facegate_cloud_sync::books::Matcher;
use facegate_cloud_sync::books::import::{Importing, import};
use facegate_domain::charge::Charge;
use facegate_domain::reconcile::Kind;
use facegate_domain::travel_day::TravelDays;
use jiff::civil::Date;

use super::books::Books;
use crate::acquirer::settlement::{Row, Terms, written};
use crate::sim::acquirer::Account;
use crate::sim::dice::Dice;
use crate::sim::events::{Broken, Events};
use crate::sim::node::Node;
use crate::sim::world::World;

const ACQUIRER: &str = "sim";
const CURRENCY: &str = "CNY";

type Counts = BTreeMap<&'static str, usize>;

/// Imports the file of the run's day and the empty one of the next, and matches the day.
pub async fn agrees(world: &World, books: &Books) -> Result<()> {
    let cloud = world.cloud().context("the cloud is down")?;
    let day = TravelDays::new("UTC", "00:00")?.of(world.now());
    let mut expected = of_the_books(books);
    let mut rows = rows(books, world.now().unix_ms());
    spoil(&mut rows, &mut expected, &world.dice.of("settlement"), &world.events);
    let (names, currency) = ([ACQUIRER.to_owned()], CURRENCY.parse()?);
    let importing = Importing { acquirers: &names, currency, by: "finance", now: cloud.clock.now() };
    let days: [(Date, &[Row]); 2] = [(day, &rows), (day.tomorrow()?, &[])];
    for (date, rows) in days {
        let text = written(rows, &terms(), date, CURRENCY);
        import(&*cloud.store, Cursor::new(text), &format!("{date}.csv"), &importing).await?;
    }
    let matcher = Matcher {
        store: Arc::clone(&cloud.store),
        days: cloud.config.audit.days.clone(),
        dir: world.machine(Node::Cloud).dir.join("books"),
        currency,
        acquirers: names.to_vec(),
    };
    let matched = matcher.run(day, cloud.clock.now()).await?;
    let mut found = Counts::new();
    for difference in &matched.differences {
        *found.entry(difference.kind.name()).or_default() += 1;
    }
    if found != expected {
        let what = format!("the match of {day} lists {found:?} where there are {expected:?}");
        world.events.broken(Broken::Ledger, what);
    }
    Ok(())
}

fn terms() -> Terms {
    Terms { name: ACQUIRER.to_owned(), ..Terms::default() }
}

/// What is to be listed though the file is right.
fn of_the_books(books: &Books) -> Counts {
    let billed: Vec<_> = books.charges.iter().flat_map(Charge::items).collect();
    let unbilled = books.items.iter().filter(|item| !billed.contains(&&item.id())).count();
    let held = books.standing().filter(|priced| priced.is_held()).count();
    let counts = [(Kind::ItemWithoutBill, unbilled), (Kind::PriceHeld, held)];
    counts.into_iter().filter(|(_, count)| *count > 0).map(|(kind, count)| (kind.name(), count)).collect()
}

/// A line for everything that the acquirer has taken.
fn rows(books: &Books, at_ms: i64) -> Vec<Row> {
    let taken = books.acquirer.iter().filter(|(_, account)| account.captures > 0);
    let row = |(key, account): (&_, &Account)| Row {
        kind: "capture",
        reference: format!("cap-{key}"),
        key: format!("{key}"),
        amount_minor: account.taken.minor(),
        fee_minor: 1,
        at_ms,
    };
    taken.map(row).collect()
}

/// Some files are wrong.
fn spoil(rows: &mut Vec<Row>, expected: &mut Counts, dice: &Dice, events: &Events) {
    let kind = match dice.below(5) {
        0 if !rows.is_empty() => {
            rows.remove(dice.below(rows.len()));
            Kind::CaptureNotSettled
        }
        1 if !rows.is_empty() => {
            let wrong = dice.below(rows.len());
            rows[wrong].amount_minor += 1;
            Kind::SettledAmountDiffers
        }
        2 if !rows.is_empty() => {
            let twice = Row { reference: "cap-again".to_owned(), ..rows[0].clone() };
            rows.push(twice);
            Kind::SettledTwice
        }
        3 if !rows.is_empty() => {
            let stranger = Row { reference: "cap-stranger".to_owned(), key: "stranger".to_owned(), ..rows[0].clone() };
            rows.push(stranger);
            Kind::SettledNotOurs
        }
        _ => return,
    };
    events.fault("settlement_file_wrong", kind.name());
    *expected.entry(kind.name()).or_default() += 1;
}
