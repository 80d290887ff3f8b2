//! Fare products: which rides one is for, and how it prices them.

use crate::fares::bands::Bands;
use crate::fares::calendar::{Hours, Moment};
use crate::fares::network::Way;
use crate::fares::{Quantity, Rule};

/// A price for rides whose zones lie within `from` to `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZonePrice {
    pub from: u8,
    pub to: u8,
    pub price_minor: i64,
}

/// How a product prices a ride.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    Flat { price_minor: i64 },
    Bands(Bands),
    Zones(Vec<ZonePrice>),
}

/// Which stations an end of the ride may be at: areas as bits, one at least, and none of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Areas {
    /// None: anywhere.
    pub within: Option<u64>,
    pub without: u64,
}

impl Areas {
    fn take(self, areas: u64) -> bool {
        self.within.is_none_or(|within| within & areas != 0) && self.without & areas == 0
    }
}

/// One product; of a table's the first that takes a ride prices it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// None for the table's own bands, which take what no named product does.
    pub name: Option<String>,
    /// What transfer rules know it by.
    pub group: Option<String>,
    /// Riders of this category alone.
    pub category: Option<String>,
    /// Lines as bits: the ride uses one of them. None: any ride.
    pub lines: Option<u64>,
    /// Lines as bits that the ride must not use.
    pub without_lines: u64,
    pub from: Areas,
    pub to: Areas,
    /// Begun within; empty: at any time.
    pub when: Vec<Hours>,
    /// Ended within; empty: at any time.
    pub until: Vec<Hours>,
    pub method: Method,
}

/// A ride as products see it.
#[derive(Debug, Clone, Copy)]
pub struct Trip {
    pub way: Way,
    /// Areas of its ends, as bits.
    pub areas: (u64, u64),
    /// Zones of its ends, as bits; several at a boundary.
    pub zones: (u32, u32),
    pub began: Moment,
    pub ended: Moment,
}

impl Product {
    /// What the ride costs by it, with the reason; None if it is not for this ride.
    pub fn price(&self, trip: &Trip, category: Option<&str>) -> Option<(Rule, Quantity, i64)> {
        if !self.takes(trip) || (self.category.is_some() && self.category.as_deref() != category) {
            return None;
        }
        let name = || self.name.clone();
        match &self.method {
            Method::Flat { price_minor } => {
                Some((Rule::Flat { product: name().unwrap_or_default() }, Quantity::Journeys(1), *price_minor))
            }
            Method::Bands(bands) => {
                let band = bands.of(trip.way.metres)?;
                let (from_m, up_to_m) = (band.from_m, band.up_to_m);
                let rule = match name() {
                    None => Rule::DistanceBand { from_m, up_to_m },
                    Some(product) => Rule::ProductBand { product, from_m, up_to_m },
                };
                Some((rule, Quantity::Metres(trip.way.metres), band.price.minor()))
            }
            Method::Zones(prices) => {
                let (from, to, price_minor) = cheapest(prices, trip)?;
                let rule = Rule::Zones { product: name().unwrap_or_default(), from, to };
                Some((rule, Quantity::Zones(to - from + 1), price_minor))
            }
        }
    }

    fn takes(&self, trip: &Trip) -> bool {
        let lines = trip.way.lines;
        self.lines.is_none_or(|wanted| wanted & lines != 0)
            && self.without_lines & lines == 0
            && self.from.take(trip.areas.0)
            && self.to.take(trip.areas.1)
            && (self.when.is_empty() || self.when.iter().any(|hours| hours.contain(trip.began)))
            && (self.until.is_empty() || self.until.iter().any(|hours| hours.contain(trip.ended)))
    }
}

/// A boundary station lies in whichever of its zones is cheaper for the rider.
fn cheapest(prices: &[ZonePrice], trip: &Trip) -> Option<(u8, u8, i64)> {
    let price = |(from, to): (u8, u8)| {
        let of = |price: &&ZonePrice| price.from == from && price.to == to;
        prices.iter().find(of).map(|price| (from, to, price.price_minor))
    };
    spans(trip.way.zones, trip.zones).filter_map(price).min_by_key(|(from, to, minor)| (*minor, *to - *from, *from))
}

/// Lowest and highest zone of a ride, one pair for each choice that boundary stations at its ends leave.
pub fn spans(between: (u8, u8), (from, to): (u32, u32)) -> impl Iterator<Item = (u8, u8)> {
    zones(from).flat_map(move |a| zones(to).map(move |b| (between.0.min(a).min(b), between.1.max(a).max(b))))
}

fn zones(bits: u32) -> impl Iterator<Item = u8> {
    (0..32_u8).filter(move |zone| bits >> zone & 1 == 1)
}
