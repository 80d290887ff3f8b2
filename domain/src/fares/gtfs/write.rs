//! A feed as the text of a fare table.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Options;
use super::fares::Leg;
use super::feed::Feed;

/// Lines without a network have this name.
const NO_NETWORK: &str = "no network";

pub fn table(feed: &Feed, options: &Options) -> String {
    let mut text = String::new();
    let dearest = feed.products.values().flatten().map(|product| product.minor).max().unwrap_or(0);
    let currency = feed.currency.map_or("XXX".to_owned(), |currency| currency.to_string());
    line(&mut text, "name", &quoted(&options.name));
    line(&mut text, "valid_from", &quoted(&options.valid_from));
    line(&mut text, "currency", &quoted(&currency));
    line(&mut text, "maximum_fare_minor", &options.maximum_fare_minor.unwrap_or(dearest).to_string());
    if let Some(zone) = &feed.zone {
        line(&mut text, "zone", &quoted(zone));
    }
    for station in &feed.stations {
        let areas: Vec<&String> = station.areas.iter().collect();
        section(&mut text, "station");
        line(&mut text, "id", &quoted(&station.id));
        line(&mut text, "name", &quoted(&station.name));
        line(&mut text, "areas", &list(areas));
    }
    for link in &feed.links {
        section(&mut text, "link");
        line(&mut text, "from", &quoted(&link.from));
        line(&mut text, "to", &quoted(&link.to));
        line(&mut text, "metres", &link.metres.to_string());
        line(&mut text, "line", &quoted(network(&link.line)));
    }
    for category in &feed.categories {
        section(&mut text, "category");
        line(&mut text, "name", &quoted(category));
        // Products for them alone have their prices; where there is none they pay as everybody.
        line(&mut text, "pays_bp", "10000");
    }
    for leg in &feed.legs {
        products(&mut text, feed, leg);
    }
    for rule in &feed.transfers {
        section(&mut text, "transfer");
        let [from, to] = [&rule.from_group, &rule.to_group].map(|group| group.as_deref().unwrap_or("any"));
        line(&mut text, "name", &quoted(&format!("{from} to {to} (line {})", rule.line)));
        rule.from_group.iter().for_each(|group| line(&mut text, "from_group", &quoted(group)));
        rule.to_group.iter().for_each(|group| line(&mut text, "to_group", &quoted(group)));
        rule.within_s.iter().for_each(|within| line(&mut text, "within_s", &within.to_string()));
        line(&mut text, "clock", &word(rule.clock));
        rule.count_max.iter().for_each(|count| line(&mut text, "count_max", &count.to_string()));
        line(&mut text, "price_minor", &rule.minor.to_string());
        line(&mut text, "pays", &word(rule.pays));
    }
    text
}

/// One product for each category that the rule's product has a price for, those for everybody last.
fn products(text: &mut String, feed: &Feed, leg: &Leg) {
    let mut prices: Vec<_> = feed.products[&leg.product].iter().collect();
    prices.sort_by_key(|price| price.category.is_none());
    let of = |field: fn(&Leg) -> &Option<String>| -> BTreeSet<&String> {
        let all = feed.legs.iter().filter_map(|other| field(other).as_ref());
        if feed.by_priority { BTreeSet::new() } else { all.collect() }
    };
    for price in prices {
        section(text, "product");
        line(text, "name", &quoted(&price.name));
        leg.group.iter().for_each(|group| line(text, "group", &quoted(group)));
        price.category.iter().for_each(|category| line(text, "category", &quoted(category)));
        for (key, field) in [
            ("lines", (|leg| &leg.network) as fn(&Leg) -> &Option<String>),
            ("from_areas", |leg| &leg.from_area),
            ("to_areas", |leg| &leg.to_area),
        ] {
            let without = of(field);
            match field(leg) {
                Some(named) => line(text, key, &list([named])),
                // Without priorities an empty field is everything that no other rule names.
                None if !without.is_empty() => line(text, &format!("without_{key}"), &list(without)),
                None => {}
            }
        }
        let hours = |group: &Option<String>| group.as_ref().map(|group| list(&feed.hours[group]));
        hours(&leg.from_hours).iter().for_each(|hours| line(text, "when", hours));
        hours(&leg.to_hours).iter().for_each(|hours| line(text, "until", hours));
        line(text, "flat_minor", &price.minor.to_string());
    }
}

fn network(line: &str) -> &str {
    if line.is_empty() { NO_NETWORK } else { line }
}

fn section(text: &mut String, name: &str) {
    _ = write!(text, "\n[[{name}]]\n");
}

fn line(text: &mut String, key: &str, value: &str) {
    _ = writeln!(text, "{key} = {value}");
}

fn quoted(value: &str) -> String {
    toml::Value::from(value).to_string()
}

/// The name that the table knows the value by.
fn word(value: impl serde::Serialize) -> String {
    toml::Value::try_from(value).map_or_else(|_| quoted(""), |value| value.to_string())
}

fn list<'s>(values: impl IntoIterator<Item = &'s String>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| quoted(value)).collect();
    format!("[{}]", values.join(", "))
}
