//! The rules beyond prices, checked.

use std::collections::{BTreeSet, HashMap};

use super::FareTableProblem;
use super::check::parse_time;
use super::products::hours;
use super::raw::Raw;
use crate::clock::Timestamp;
use crate::fares::calendar::Hours;
use crate::fares::network::Network;
use crate::fares::product::Product;
use crate::fares::rules::{
    Autofill, Cap, Category, Discount, Interchange, Overstay, Pass, RawWaiver, Repairs, SameStation, Transfer, Waives,
};
use crate::ids::StationId;
use crate::money::Rounding;

/// A discount with its hours read.
#[derive(Debug, Clone)]
pub struct Reduction {
    pub rule: Discount,
    pub when: Vec<Hours>,
}

/// A waiver with its times read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Waiver {
    pub reason: String,
    pub waives: Waives,
    pub stations: Option<BTreeSet<StationId>>,
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Waiver {
    pub fn covers(&self, station: &StationId, at: Timestamp) -> bool {
        (self.from..self.until).contains(&at) && self.stations.as_ref().is_none_or(|named| named.contains(station))
    }
}

/// Everything that a table says beyond its prices.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Seconds, by the numbers of the stations.
    pub interchanges: HashMap<(usize, usize), u32>,
    pub transfers: Vec<Transfer>,
    pub same_station: Vec<SameStation>,
    pub overstay: Vec<Overstay>,
    pub autofill: Option<Autofill>,
    pub repairs: Option<Repairs>,
    pub categories: Vec<Category>,
    pub discounts: Vec<Reduction>,
    pub caps: Vec<Cap>,
    pub passes: Vec<Pass>,
    pub waivers: Vec<Waiver>,
    /// Shares of fares are rounded to whole steps.
    pub step: u32,
    pub rounding: Rounding,
    pub fastest_kmh: Option<u32>,
}

/// Where problems are noted.
struct Notes<'p>(&'p mut Vec<FareTableProblem>);

impl Notes<'_> {
    fn unless(&mut self, good: bool, kind: &'static str, number: usize, said: impl Into<String>) {
        if !good {
            self.0.push(FareTableProblem::Rule { kind, number, said: said.into() });
        }
    }

    fn value(&mut self, good: bool, key: &'static str, given: impl Into<i64>, allowed: &'static str) {
        if !good {
            self.0.push(FareTableProblem::Value { key, given: given.into(), allowed });
        }
    }

    /// Two of one name would be counted as one.
    fn names<'n>(&mut self, kind: &'static str, names: impl Iterator<Item = &'n String>) {
        let mut seen = BTreeSet::new();
        for (number, name) in (1..).zip(names) {
            self.unless(
                !name.trim().is_empty() && seen.insert(name),
                kind,
                number,
                format!("{name:?} is taken or empty"),
            );
        }
    }
}

pub fn check(raw: Raw, network: Option<&Network>, products: &[Product], problems: &mut Vec<FareTableProblem>) -> Rules {
    let discount_hours: Vec<Vec<Hours>> =
        (1..).zip(&raw.discount).map(|(number, rule)| hours("discount", number, &rule.when, problems)).collect();
    let waivers = (1..).zip(raw.waiver).filter_map(|(number, raw)| waiver(number, raw, network, problems)).collect();
    let mut notes = Notes(problems);
    notes.value(raw.maximum_fare_minor >= 0, "maximum_fare_minor", raw.maximum_fare_minor, "a fare is not negative");
    let step = raw.rounds_to_minor.unwrap_or(1);
    notes.value((1..=10_000).contains(&step), "rounds_to_minor", step, "use 1 to 10000");
    if let Some(kmh) = raw.fastest_kmh {
        notes.value((10..=1_000).contains(&kmh), "fastest_kmh", kmh, "use 10 to 1000");
    }
    let interchanges = network.map(|network| interchanges(&raw.interchange, network, &mut notes)).unwrap_or_default();
    check_transfers(&raw.transfer, products, &mut notes);
    check_time_rules(&raw.same_station, &raw.overstay, &mut notes);
    if let Some(autofill) = &raw.autofill {
        notes.value((1..=62).contains(&autofill.days), "autofill.days", autofill.days, "use 1 to 62");
        notes.value(autofill.rides_min > 0, "autofill.rides_min", autofill.rides_min, "once at least");
    }
    let categories: BTreeSet<&String> = raw.category.iter().map(|category| &category.name).collect();
    notes.names("category", raw.category.iter().map(|category| &category.name));
    for (number, product) in (1..).zip(products) {
        let known = product.category.as_ref().is_none_or(|category| categories.contains(category));
        notes.unless(known, "product", number, "the category is not in the table");
    }
    for (number, category) in (1..).zip(&raw.category) {
        notes.unless(category.pays_bp <= 10_000, "category", number, "pays_bp is over 10000, the whole fare");
        notes.unless(category.less_minor >= 0, "category", number, "less_minor is negative");
    }
    check_discounts(&raw.discount, &categories, &mut notes);
    check_caps(&raw.cap, &categories, &mut notes);
    check_passes(&raw.pass, &mut notes);
    Rules {
        interchanges,
        transfers: raw.transfer,
        same_station: raw.same_station,
        overstay: raw.overstay,
        autofill: raw.autofill,
        repairs: raw.repairs,
        categories: raw.category,
        discounts: raw.discount.into_iter().zip(discount_hours).map(|(rule, when)| Reduction { rule, when }).collect(),
        caps: raw.cap,
        passes: raw.pass,
        waivers,
        step,
        rounding: raw.rounding.unwrap_or(Rounding::Down),
        fastest_kmh: raw.fastest_kmh,
    }
}

fn waiver(
    number: usize,
    raw: RawWaiver,
    network: Option<&Network>,
    problems: &mut Vec<FareTableProblem>,
) -> Option<Waiver> {
    let mut notes = Notes(problems);
    if let (Some(stations), Some(network)) = (&raw.stations, network) {
        for station in stations.iter().filter(|station| network.number(station).is_none()) {
            notes.unless(false, "waiver", number, format!("station {station} is not in the table"));
        }
    }
    let (from, until) = (parse_time(&raw.from), parse_time(&raw.until));
    let times = from.ok().zip(until.ok()).filter(|(from, until)| from < until);
    notes.unless(times.is_some(), "waiver", number, "from and until are times with an offset, the later one last");
    let (from, until) = times?;
    Some(Waiver { reason: raw.reason, waives: raw.waives, stations: raw.stations, from, until })
}

fn interchanges(raw: &[Interchange], network: &Network, notes: &mut Notes<'_>) -> HashMap<(usize, usize), u32> {
    let mut found = HashMap::new();
    for (number, Interchange { from, to, within_s }) in (1..).zip(raw) {
        for station in [from, to].into_iter().filter(|station| network.number(station).is_none()) {
            notes.unless(false, "interchange", number, format!("station {station} is not in the table"));
        }
        notes.unless((1..=86_400).contains(within_s), "interchange", number, "within_s: use 1 to 86400");
        if let (Some(from), Some(to)) = (network.number(from), network.number(to)) {
            let first = found.insert((from, to), *within_s).is_none();
            notes.unless(first, "interchange", number, "these two stations are given twice");
        }
    }
    found
}

fn check_transfers(transfers: &[Transfer], products: &[Product], notes: &mut Notes<'_>) {
    use crate::fares::rules::TransferPays::All;
    notes.names("transfer", transfers.iter().map(|transfer| &transfer.name));
    let known = |group: &Option<String>| group.is_none() || products.iter().any(|product| product.group == *group);
    for (number, transfer) in (1..).zip(transfers) {
        for group in [&transfer.from_group, &transfer.to_group].into_iter().filter(|group| !known(group)) {
            let group = group.as_deref().unwrap_or_default();
            notes.unless(false, "transfer", number, format!("no product is of the group {group:?}"));
        }
        let rebate = transfer.price_minor < 0;
        notes.unless(
            !rebate || transfer.pays == All,
            "transfer",
            number,
            "the price is negative; only pays = \"all\" may be",
        );
        let endless = transfer.count_max.is_none() && transfer.within_s.is_none();
        notes.unless(
            !(endless && leads_back(transfer, transfers)),
            "transfer",
            number,
            "transfers lead in a circle that neither count_max nor within_s ends",
        );
    }
}

/// Whether transfers without an end lead from where this one ends to where it begins. A group left out is any group.
fn leads_back(transfer: &Transfer, transfers: &[Transfer]) -> bool {
    let endless = |other: &&Transfer| other.count_max.is_none() && other.within_s.is_none();
    let meet = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
    let (mut reached, mut seen) = (vec![&transfer.to_group], BTreeSet::new());
    while let Some(group) = reached.pop() {
        if meet(group, &transfer.from_group) {
            return true;
        }
        let on = transfers.iter().filter(endless).filter(|other| meet(group, &other.from_group));
        reached.extend(on.map(|other| &other.to_group).filter(|to| seen.insert(*to)));
    }
    false
}

fn check_time_rules(same_station: &[SameStation], overstay: &[Overstay], notes: &mut Notes<'_>) {
    let mut before = Some(0);
    for (number, rule) in (1..).zip(same_station) {
        let later = before.is_some_and(|before| rule.up_to_s.is_none_or(|up_to| up_to > before));
        notes.unless(later, "same_station", number, "shorter times first, and only the last without up_to_s");
        notes.unless(rule.price_minor.is_none_or(|price| price >= 0), "same_station", number, "the price is negative");
        before = rule.up_to_s;
    }
    let mut below: Option<Option<i64>> = None;
    for (number, rule) in (1..).zip(overstay) {
        let higher = match (below, rule.fare_up_to_minor) {
            (None, _) | (Some(Some(_)), None) => true,
            (Some(Some(below)), Some(up_to)) => up_to > below,
            (Some(None), _) => false,
        };
        notes.unless(higher, "overstay", number, "lower fares first, and only the last without fare_up_to_minor");
        notes.unless(rule.price_minor >= 0, "overstay", number, "the price is negative");
        notes.unless(rule.each_s != Some(0), "overstay", number, "each_s is 0");
        let most = rule.at_most_minor.is_none_or(|most| most >= rule.price_minor);
        notes.unless(most, "overstay", number, "at_most_minor is less than the price");
        below = Some(rule.fare_up_to_minor);
    }
}

fn check_discounts(discounts: &[Discount], categories: &BTreeSet<&String>, notes: &mut Notes<'_>) {
    notes.names("discount", discounts.iter().map(|discount| &discount.name));
    for (number, rule) in (1..).zip(discounts) {
        notes.unless(rule.pays_bp <= 10_000, "discount", number, "pays_bp is over 10000, the whole fare");
        let known = rule.category.as_ref().is_none_or(|category| categories.contains(category));
        notes.unless(known, "discount", number, "the category is not in the table");
        let counts = [rule.ride_from, rule.ride_up_to, rule.every].iter().any(Option::is_some)
            || rule.paid_from_minor.is_some()
            || rule.paid_below_minor.is_some();
        notes.unless(!counts || rule.period.is_some(), "discount", number, "it counts rides or money: give its period");
        notes.unless(rule.every != Some(0), "discount", number, "every is 0");
        let days = rule.first_day.zip(rule.last_day).is_none_or(|(first, last)| first <= last);
        let paid = rule.paid_from_minor.zip(rule.paid_below_minor).is_none_or(|(from, below)| from < below);
        let rides = rule.ride_from.zip(rule.ride_up_to).is_none_or(|(from, up_to)| from <= up_to);
        notes.unless(days && paid && rides, "discount", number, "a range ends before it begins");
    }
}

fn check_caps(caps: &[Cap], categories: &BTreeSet<&String>, notes: &mut Notes<'_>) {
    notes.names("cap", caps.iter().map(|cap| &cap.name));
    for (number, cap) in (1..).zip(caps) {
        notes.unless(cap.most_minor >= 0, "cap", number, "most_minor is negative");
        notes.unless(cap.zones.is_none_or(|[from, to]| from <= to), "cap", number, "zones: the lower first");
        let known = cap.category.as_ref().is_none_or(|category| categories.contains(category));
        notes.unless(known, "cap", number, "the category is not in the table");
    }
    let mut seen = BTreeSet::new();
    for (number, cap) in (1..).zip(caps) {
        let first = seen.insert((cap.period, &cap.category, cap.zones));
        notes.unless(first, "cap", number, "another cap is for the same rides and period");
    }
}

fn check_passes(passes: &[Pass], notes: &mut Notes<'_>) {
    notes.names("pass", passes.iter().map(|pass| &pass.name));
    for (number, pass) in (1..).zip(passes) {
        notes.unless((1..=366).contains(&pass.days), "pass", number, "days: use 1 to 366");
        notes.unless(pass.rides != Some(0), "pass", number, "rides is 0");
        notes.unless(pass.price_minor.is_none_or(|price| price >= 0), "pass", number, "price_minor is negative");
        notes.unless(pass.zones.is_none_or(|[from, to]| from <= to), "pass", number, "zones: the lower first");
    }
}
