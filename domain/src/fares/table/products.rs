//! Products and their prices, checked.

use super::FareTableProblem;
use super::check::{ZONE_MAX, kept};
use super::names::Names;
use super::raw::{Raw, RawBand, RawProduct, RawZonePrice};
use crate::fares::bands::{Band, BandProblem, Bands};
use crate::fares::calendar::Hours;
use crate::fares::network::Network;
use crate::fares::product::{Areas, Method, Product, ZonePrice};
use crate::money::{Currency, Money};

type Problems = Vec<FareTableProblem>;

/// The named products in the file's order, then the table's own bands. What is left out has a problem noted.
pub fn check(
    raw: &Raw,
    currency: Currency,
    network: Option<&Network>,
    names: (&Names, &Names),
    problems: &mut Problems,
) -> Vec<Product> {
    let mut products = Vec::with_capacity(raw.product.len() + 1);
    for (number, product) in (1..).zip(&raw.product) {
        products.extend(named(number, product, currency, names, problems));
    }
    // Without any product bands are what is expected, and that there are none is a problem.
    if raw.product.is_empty() || !raw.band.is_empty() {
        let bands = check_bands(&raw.band, raw.maximum_fare_minor, currency, problems);
        if let Some((bands, (from, to, metres))) = bands.as_ref().zip(network.map(Network::longest))
            && let Some(up_to_m) = bands.up_to_m().filter(|up_to_m| *up_to_m < metres)
        {
            let (from, to) = (from.to_string(), to.to_string());
            problems.push(BandProblem::TooShort { up_to_m, from, to, metres }.into());
        }
        products.extend(bands.map(|bands| Product {
            name: None,
            group: None,
            category: None,
            lines: None,
            without_lines: 0,
            from: Areas::default(),
            to: Areas::default(),
            when: Vec::new(),
            until: Vec::new(),
            method: Method::Bands(bands),
        }));
    }
    products
}

fn named(
    number: usize,
    raw: &RawProduct,
    currency: Currency,
    (lines, areas): (&Names, &Names),
    problems: &mut Problems,
) -> Option<Product> {
    let before = problems.len();
    let (when, until) = (hours("product", number, &raw.when, problems), hours("product", number, &raw.until, problems));
    let method = method(number, raw, currency, problems);
    let rule = |said: String| FareTableProblem::Rule { kind: "product", number, said };
    let mut set = |what: &str, known: &Names, given: &[String]| {
        let unknown = |name: &str| rule(format!("no station or link names the {what} {name:?}"));
        kept(problems, known.set(given).map_err(unknown)).unwrap_or(0)
    };
    let product = Product {
        name: Some(raw.name.clone()),
        group: raw.group.clone(),
        category: raw.category.clone(),
        lines: raw.lines.as_ref().map(|given| set("line", lines, given)),
        without_lines: set("line", lines, &raw.without_lines),
        from: Areas {
            within: raw.from_areas.as_ref().map(|given| set("area", areas, given)),
            without: set("area", areas, &raw.without_from_areas),
        },
        to: Areas {
            within: raw.to_areas.as_ref().map(|given| set("area", areas, given)),
            without: set("area", areas, &raw.without_to_areas),
        },
        when,
        until,
        method: method?,
    };
    (problems.len() == before).then_some(product)
}

pub fn hours(kind: &'static str, number: usize, given: &[String], problems: &mut Problems) -> Vec<Hours> {
    let parse = |text: &String| Hours::parse(text).map_err(|hours| FareTableProblem::Hours { kind, number, hours });
    given.iter().filter_map(|text| kept(problems, parse(text))).collect()
}

fn method(number: usize, raw: &RawProduct, currency: Currency, problems: &mut Problems) -> Option<Method> {
    let rule = |said: &str| FareTableProblem::Rule { kind: "product", number, said: said.to_owned() };
    match (raw.flat_minor, raw.band.is_empty(), raw.zone.is_empty()) {
        (Some(price_minor), true, true) if price_minor >= 0 => Some(Method::Flat { price_minor }),
        (Some(_), true, true) => {
            problems.push(rule("the price is negative"));
            None
        }
        (None, false, true) => {
            let mut found = Vec::new();
            let bands = check_bands(&raw.band, i64::MAX, currency, &mut found);
            let of_product =
                |problem| FareTableProblem::ProductBand { product: raw.name.clone(), problem: Box::new(problem) };
            problems.extend(found.into_iter().map(of_product));
            bands.map(Method::Bands)
        }
        (None, true, false) => zone_prices(number, &raw.zone, problems).map(Method::Zones),
        _ => {
            problems.push(rule("give one of flat_minor, band and zone"));
            None
        }
    }
}

fn zone_prices(number: usize, raw: &[RawZonePrice], problems: &mut Problems) -> Option<Vec<ZonePrice>> {
    let before = problems.len();
    for (at, RawZonePrice { from, to, price_minor }) in raw.iter().enumerate() {
        let said = if from > to || *to > ZONE_MAX {
            format!("zones {from} to {to}: the lower first, and at most {ZONE_MAX}")
        } else if *price_minor < 0 {
            format!("zones {from} to {to} have the negative price {price_minor}")
        } else if raw[..at].iter().any(|other| (other.from, other.to) == (*from, *to)) {
            format!("zones {from} to {to} have two prices")
        } else {
            continue;
        };
        problems.push(FareTableProblem::Rule { kind: "product", number, said });
    }
    let price = |raw: &RawZonePrice| ZonePrice { from: raw.from, to: raw.to, price_minor: raw.price_minor };
    (problems.len() == before).then(|| raw.iter().map(price).collect())
}

fn check_bands(raw: &[RawBand], maximum_minor: i64, currency: Currency, problems: &mut Problems) -> Option<Bands> {
    let mut bands = Vec::with_capacity(raw.len());
    for (number, band) in (1..).zip(raw) {
        let from_m = kept(problems, metres(number, "from_m", band.from_m));
        let up_to_m = band.up_to_m.map(|up_to_m| kept(problems, metres(number, "up_to_m", up_to_m)));
        let price_minor = band.price_minor;
        if price_minor < 0 {
            problems.push(FareTableProblem::NegativePrice { number, price_minor });
        }
        if maximum_minor < price_minor {
            problems.push(FareTableProblem::MaximumTooLow { maximum_minor, number, price_minor });
        }
        let price = Money::from_minor(price_minor, currency);
        match (from_m, up_to_m) {
            (Some(from_m), None) => bands.push(Band { from_m, up_to_m: None, price }),
            (Some(from_m), Some(Some(up_to_m))) => bands.push(Band { from_m, up_to_m: Some(up_to_m), price }),
            _ => {}
        }
    }
    // Bands with a number that is no distance were left out, and every gap they leave would be reported as a hole.
    if bands.len() < raw.len() {
        return None;
    }
    Bands::new(bands).map_err(|found| problems.extend(found.into_iter().map(Into::into))).ok()
}

fn metres(number: usize, field: &'static str, given: i64) -> Result<u32, FareTableProblem> {
    u32::try_from(given).map_err(|_| FareTableProblem::Metres { number, field, given })
}
