//! Products, leg rules and transfer rules.

use std::collections::{BTreeMap, BTreeSet};

use super::Problem;
use super::csv::Row;
use super::feed::{Sheets, reference};
use crate::fares::rules::{TransferClock, TransferPays};
use crate::money::Currency;

/// A product's price for one category of riders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    pub name: String,
    /// None: riders of the default category.
    pub category: Option<String>,
    pub minor: i64,
}

/// A leg rule, in the order in which rules are tried.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leg {
    pub group: Option<String>,
    pub network: Option<String>,
    pub from_area: Option<String>,
    pub to_area: Option<String>,
    pub from_hours: Option<String>,
    pub to_hours: Option<String>,
    pub product: String,
    priority: i64,
}

/// A transfer rule with the price of its product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRule {
    pub line: usize,
    pub from_group: Option<String>,
    pub to_group: Option<String>,
    pub within_s: Option<u32>,
    pub clock: TransferClock,
    pub count_max: Option<u32>,
    pub minor: i64,
    pub pays: TransferPays,
}

/// What leg rules may name.
pub struct Known<'k> {
    pub networks: &'k BTreeSet<String>,
    pub areas: &'k BTreeSet<String>,
    pub hours: &'k BTreeMap<String, Vec<String>>,
    pub products: &'k BTreeMap<String, Vec<Product>>,
}

/// The products of one medium by their ids, and the one currency of all.
pub fn products(
    sheets: &Sheets<'_>,
    medium: Option<&str>,
    categories: &BTreeSet<String>,
    others: &[String],
    media: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> (BTreeMap<String, Vec<Product>>, Option<Currency>) {
    let sheet = sheets.must("fare_products.txt", &["fare_product_id", "amount", "currency"], problems);
    let mut products: BTreeMap<String, Vec<Product>> = BTreeMap::new();
    let mut currency: Option<Currency> = None;
    for row in sheet.rows() {
        let Some(id) = row.some("fare_product_id") else {
            problems.push(row.problem("missing_value", "fare_product_id is empty"));
            continue;
        };
        let of_medium = reference(row, "fare_media_id", |medium| media.contains(medium), problems);
        let category = reference(row, "rider_category_id", |category| categories.contains(category), problems);
        let category = category.filter(|category| others.iter().any(|other| other == category)).map(str::to_owned);
        let prices = products.entry(id.to_owned()).or_default();
        let Ok(its) = row.get("currency").parse::<Currency>() else {
            problems.push(row.problem("bad_currency", format!("{:?} is no ISO 4217 code", row.get("currency"))));
            continue;
        };
        let expected = *currency.get_or_insert(its);
        if its != expected {
            problems.push(row.problem("currency_mismatch", format!("{its}, but products before are in {expected}")));
        }
        let Some(minor) = minor(row.get("amount"), its.minor_digits()) else {
            let said = format!("{:?} is no amount in {its} of {} decimals", row.get("amount"), its.minor_digits());
            problems.push(row.problem("bad_amount", said));
            continue;
        };
        if of_medium.is_some() && of_medium != medium {
            continue;
        }
        if prices.iter().any(|other| other.category == category && other.minor != minor) {
            problems.push(row.problem("duplicate_id", format!("{id:?} has two prices for the same riders and medium")));
        }
        let name = row.some("fare_product_name").unwrap_or(id).to_owned();
        prices.push(Product { name, category, minor });
    }
    (products, currency)
}

/// `2.75` as 275, exactly; None unless it has at most as many decimals as the currency.
fn minor(amount: &str, digits: u32) -> Option<i64> {
    let (negative, amount) = amount.strip_prefix('-').map_or((false, amount), |rest| (true, rest));
    let (whole, decimals) = amount.split_once('.').unwrap_or((amount, ""));
    let decimals = decimals.trim_end_matches('0');
    let numeric = !whole.is_empty() && whole.chars().chain(decimals.chars()).all(|digit| digit.is_ascii_digit());
    let missing = digits.checked_sub(u32::try_from(decimals.len()).ok()?)?;
    if !numeric {
        return None;
    }
    let digits_of: i64 = format!("{whole}{decimals}").parse().ok()?;
    let minor = digits_of.checked_mul(10_i64.checked_pow(missing)?)?;
    Some(if negative { -minor } else { minor })
}

/// The leg rules in the order in which they are tried, and whether that is by priority.
pub fn legs(sheets: &Sheets<'_>, known: &Known<'_>, problems: &mut Vec<Problem>) -> (Vec<Leg>, bool) {
    let sheet = sheets.must("fare_leg_rules.txt", &["fare_product_id"], problems);
    let by_priority = sheet.has("rule_priority");
    let mut legs = Vec::new();
    for row in sheet.rows() {
        let mut named =
            |column, known: &dyn Fn(&str) -> bool| reference(row, column, known, problems).map(str::to_owned);
        let network = named("network_id", &|network| known.networks.contains(network));
        let (from_area, to_area) = (
            named("from_area_id", &|area| known.areas.contains(area)),
            named("to_area_id", &|area| known.areas.contains(area)),
        );
        let (from_hours, to_hours) = (
            named("from_timeframe_group_id", &|group| known.hours.contains_key(group)),
            named("to_timeframe_group_id", &|group| known.hours.contains_key(group)),
        );
        let product = named("fare_product_id", &|product| known.products.contains_key(product));
        let Some(product) = product else {
            if row.some("fare_product_id").is_none() {
                problems.push(row.problem("missing_value", "fare_product_id is empty"));
            }
            continue;
        };
        if known.products[&product].iter().any(|price| price.minor < 0) {
            problems.push(row.problem("negative_amount", format!("{product:?} prices a leg and is negative")));
        }
        if known.products[&product].is_empty() {
            problems.push(row.problem("no_price", format!("{product:?} has no price for this medium")));
        }
        let Ok(priority) = row.some("rule_priority").unwrap_or("0").parse::<i64>() else {
            problems.push(row.problem("bad_number", "rule_priority is no number"));
            continue;
        };
        let group = row.some("leg_group_id").map(str::to_owned);
        legs.push(Leg { group, network, from_area, to_area, from_hours, to_hours, product, priority });
    }
    let cheapest = |leg: &Leg| known.products[&leg.product].iter().map(|price| price.minor).min();
    // What says more goes first; of what says as much, the cheaper.
    let said = |leg: &Leg| {
        let fields = [&leg.network, &leg.from_area, &leg.to_area, &leg.from_hours, &leg.to_hours];
        fields.into_iter().filter(|field| field.is_some()).count()
    };
    legs.sort_by_key(|leg| (std::cmp::Reverse((leg.priority, said(leg))), cheapest(leg)));
    (legs, by_priority)
}

/// The transfer rules, those that name most first.
pub fn transfers(
    sheets: &Sheets<'_>,
    legs: &[Leg],
    products: &BTreeMap<String, Vec<Product>>,
    problems: &mut Vec<Problem>,
) -> Vec<TransferRule> {
    let sheet = sheets.read("fare_transfer_rules.txt", &["fare_transfer_type"], problems);
    let mut rules: Vec<TransferRule> = sheet.rows().filter_map(|row| transfer(row, legs, products, problems)).collect();
    rules.sort_by_key(|rule| {
        std::cmp::Reverse([&rule.from_group, &rule.to_group].into_iter().filter(|group| group.is_some()).count())
    });
    rules
}

fn transfer(
    row: Row<'_>,
    legs: &[Leg],
    products: &BTreeMap<String, Vec<Product>>,
    problems: &mut Vec<Problem>,
) -> Option<TransferRule> {
    let group = |name: &str| legs.iter().any(|leg| leg.group.as_deref() == Some(name));
    let from_group = reference(row, "from_leg_group_id", group, problems).map(str::to_owned);
    let to_group = reference(row, "to_leg_group_id", group, problems).map(str::to_owned);
    let product = reference(row, "fare_product_id", |product| products.contains_key(product), problems);
    let mut bad = |rule, said: &str| {
        problems.push(row.problem(rule, said));
        None
    };
    let minor = match product.map(|product| &products[product]) {
        None => 0,
        Some(prices) => prices.iter().find(|price| price.category.is_none()).or(prices.first()).map_or(0, |p| p.minor),
    };
    let within_s = match row.some("duration_limit").map(str::parse::<u32>) {
        None => None,
        Some(Ok(seconds)) if seconds > 0 => Some(seconds),
        Some(_) => return bad("bad_number", "duration_limit is a number of seconds above 0"),
    };
    let clock = match (row.get("duration_limit_type"), within_s) {
        ("0", Some(_)) => TransferClock::EntryToExit,
        ("1", Some(_)) => TransferClock::EntryToEntry,
        ("2", Some(_)) => TransferClock::ExitToEntry,
        ("3", Some(_)) => TransferClock::ExitToExit,
        ("", None) => TransferClock::default(),
        _ => return bad("bad_number", "duration_limit_type is 0 to 3 with duration_limit, and empty without"),
    };
    let pays = match row.get("fare_transfer_type") {
        "0" => TransferPays::BeforeAndTransfer,
        "1" => TransferPays::All,
        "2" => TransferPays::TransferAlone,
        _ => return bad("bad_number", "fare_transfer_type is 0, 1 or 2"),
    };
    if minor < 0 && pays != TransferPays::All {
        return bad("negative_amount", "only fare_transfer_type 1 may have a negative product");
    }
    let itself = from_group.is_some() && from_group == to_group;
    let count_max = match (row.some("transfer_count").map(str::parse::<i64>), itself) {
        (None, false) => Some(1),
        (Some(Ok(-1)), true) => None,
        (Some(Ok(count)), true) if count > 0 => u32::try_from(count).ok(),
        _ => {
            let said = "transfer_count is -1 or above 0 between legs of one group, and empty between others";
            return bad("bad_number", said);
        }
    };
    if count_max.is_none() && within_s.is_none() {
        return bad("endless_transfer", "transfer_count -1 without duration_limit never ends");
    }
    Some(TransferRule { line: row.line, from_group, to_group, within_s, clock, count_max, minor, pays })
}
