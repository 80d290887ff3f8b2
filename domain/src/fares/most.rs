//! What a ride may cost at most, known when it begins: what a rider is held for who pays in advance.

use jiff::civil::Date;

use crate::clock::Timestamp;
use crate::fares::product::Trip;
use crate::fares::rider::RiderTerms;
use crate::fares::{FareTable, PricingError, Tariff, Waives};
use crate::ids::StationId;
use crate::money::Money;

impl Tariff {
    /// The most that a ride may cost which begins there and then: to the dearest station, or without an exit. Staying
    /// too long comes on top of it. Nothing where fares are waived, or for a rider who holds a pass of that day; caps
    /// and discounts are known once the ride is priced.
    ///
    /// Errors: `NotYetValid`.
    pub fn most_from(&self, station: &StationId, began: Timestamp, terms: &RiderTerms) -> Result<Money, PricingError> {
        let table = self.at(began)?;
        let day = table.calendar().moment(began).day;
        let mut waivers = table.rules.waivers.iter().filter(|waiver| waiver.waives == Waives::Fare);
        if waivers.any(|waiver| waiver.covers(station, began)) || table.holds_pass(terms, day) {
            return Ok(table.money(0));
        }
        let dearest = table.dearest_from(station, began, terms.category_on(day)).unwrap_or(0);
        Ok(table.money(dearest.max(table.maximum_fare_minor)))
    }
}

impl FareTable {
    /// Before anything is taken off; None for a station that it does not know.
    fn dearest_from(&self, station: &StationId, began: Timestamp, category: Option<&str>) -> Option<i64> {
        let (from, began) = (self.network.number(station)?, self.calendar.moment(began));
        let price = |to: usize| {
            let trip = Trip {
                way: self.network.way(from, to),
                areas: (self.areas[from], self.areas[to]),
                zones: (self.network.zones(from), self.network.zones(to)),
                began,
                ended: began,
            };
            self.products.iter().find_map(|product| product.price(&trip, category)).map(|(.., minor)| minor)
        };
        (0..self.stations().len()).filter(|to| *to != from).filter_map(price).max()
    }

    fn holds_pass(&self, terms: &RiderTerms, day: Date) -> bool {
        let of_day = |held: &crate::fares::rider::HeldPass| {
            let pass = self.rules.passes.iter().find(|pass| pass.name == held.pass);
            // One of a number of rides may be used up; one of some zones may be left: what is held then is released.
            pass.is_some_and(|pass| {
                let days = jiff::Span::new().days(i64::from(pass.days) - 1);
                let last = held.first_day.checked_add(days).unwrap_or(Date::MAX);
                pass.rides.is_none() && pass.zones.is_none() && (held.first_day..=last).contains(&day)
            })
        };
        terms.passes.iter().any(of_day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fares::rider::HeldPass;

    const TABLE: &str = r#"
        name = "test"
        valid_from = "2026-01-01T00:00:00Z"
        currency = "CNY"
        maximum_fare_minor = 600
        station = [{ id = "a" }, { id = "b" }, { id = "c", areas = ["air"] }]
        link = [{ from = "a", to = "b", metres = 3000 }, { from = "b", to = "c", metres = 9000 }]
        band = [
            { from_m = 0, up_to_m = 6000, price_minor = 300 },
            { from_m = 6000, up_to_m = 10000, price_minor = 500 },
            { from_m = 10000, price_minor = 600 },
        ]
        product = [{ name = "airport", flat_minor = 2000, from_areas = ["air"] }]
        pass = [{ name = "week", days = 7 }]
    "#;

    #[test]
    fn a_ride_costs_at_most_the_dearest_way_or_the_maximum() {
        let tariff = Tariff::new(vec![FareTable::parse(TABLE).unwrap().into()]).unwrap();
        let at = "2026-03-02T10:00:00Z".parse::<jiff::Timestamp>().unwrap();
        let at = Timestamp::from_unix_ms(at.as_millisecond());
        let most = |station: &str, at, terms: &RiderTerms| {
            tariff.most_from(&StationId::new(station).unwrap(), at, terms).map(Money::minor)
        };
        let nobody = RiderTerms::default();
        assert_eq!(most("b", at, &nobody), Ok(600), "without an exit it costs the maximum");
        assert_eq!(most("c", at, &nobody), Ok(2000));
        assert_eq!(most("elsewhere", at, &nobody), Ok(600));
        let holder = RiderTerms {
            passes: vec![HeldPass { pass: "week".to_owned(), first_day: jiff::civil::date(2026, 3, 1) }],
            ..RiderTerms::default()
        };
        let over = at.plus(std::time::Duration::from_secs(864_000));
        assert_eq!((most("c", at, &holder), most("c", over, &holder)), (Ok(0), Ok(2000)));
        assert!(matches!(most("a", Timestamp::from_unix_ms(0), &nobody), Err(PricingError::NotYetValid { .. })));
    }
}
