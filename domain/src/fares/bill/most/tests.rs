use std::time::Duration;

use super::*;
use crate::fares::rider::{Coupon, HeldPass};
use crate::gate::GateMode;
use crate::ids::{GateId, RiderId};
use crate::tap::Medium;

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
    product = [
        { name = "airport", flat_minor = 2000, from_areas = ["air"] },
        { name = "evening", flat_minor = 700, until = ["daily 20:00-21:00"] },
    ]
    same_station = [{ up_to_s = 600, price_minor = 0 }, { price_minor = 650 }]
    pass = [{ name = "week", days = 7 }, { name = "two rides", days = 7, rides = 2 }]
    category = [{ name = "student", pays_bp = 5000 }]
    discount = [{ name = "gift", pays_bp = 2500, coupon = true }]
    cap = [{ name = "day", period = "day", most_minor = 2000 }]
    waiver = [{ reason = "open day", waives = "fare", from = "2026-03-05T00:00:00Z", until = "2026-03-06T00:00:00Z" }]
"#;

fn tap(station: &str, direction: Direction, day: i8, hour: i8) -> Tap {
    let at = jiff::civil::date(2026, 3, day).at(hour, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap();
    Tap {
        id: RecordId { gate: GateId::new(station).unwrap(), epoch: 1, sequence: u64::from(hour.unsigned_abs()) },
        rider: RiderId::from_bytes([1; 16]),
        station: StationId::new(station).unwrap(),
        direction,
        medium: Medium::Face,
        mode: GateMode::Normal,
        at: Timestamp::from_unix_ms(at.timestamp().as_millisecond()),
    }
}

fn ride(from: &str, to: &str, hour: i8) -> Journey {
    let mut exit = tap(to, Direction::Exit, 2, hour);
    exit.at = exit.at.plus(Duration::from_secs(1200));
    Journey::new(tap(from, Direction::Entry, 2, hour), exit)
}

fn most_at(before: &[Journey], entry: &Tap, terms: &RiderTerms) -> i64 {
    let tariff = Tariff::new(vec![FareTable::parse(TABLE).unwrap().into()]).unwrap();
    let before: Vec<Ride<'_>> = before.iter().map(Ride::Whole).collect();
    tariff.most_after(&before, entry, terms).unwrap().minor()
}

fn most(before: &[Journey], station: &str, terms: &RiderTerms) -> i64 {
    most_at(before, &tap(station, Direction::Entry, 2, 12), terms)
}

#[test]
fn of_whom_nothing_is_taken_off_the_dearest_way_or_the_maximum_is_held() {
    let nobody = RiderTerms::default();
    assert_eq!(most(&[], "c", &nobody), 2000);
    assert_eq!(most(&[], "b", &nobody), 700, "in the evening");
    assert_eq!(most_at(&[], &tap("b", Direction::Entry, 2, 22), &nobody), 700, "on the next evening");
    assert_eq!(most(&[], "elsewhere", &nobody), 600, "without a way it costs the maximum");
    let long_ago = Tap { at: Timestamp::from_unix_ms(0), ..tap("a", Direction::Entry, 2, 12) };
    let tariff = Tariff::new(vec![FareTable::parse(TABLE).unwrap().into()]).unwrap();
    assert!(matches!(tariff.most_after(&[], &long_ago, &nobody), Err(PricingError::NotYetValid { .. })));
}

#[test]
fn no_more_is_held_than_a_cap_leaves() {
    let nobody = RiderTerms::default();
    let rides = [ride("a", "c", 5), ride("a", "c", 6), ride("a", "c", 7), ride("a", "b", 8)];
    assert_eq!(most(&rides[..1], "a", &nobody), 700);
    assert_eq!(most(&rides[..3], "a", &nobody), 200, "of 2000 a day 1800 are paid");
    assert_eq!(most(&rides, "a", &nobody), 0, "nothing is left to be paid today");
    let later = [ride("a", "c", 13), ride("a", "c", 14), ride("a", "c", 15)];
    assert_eq!(most(&later, "a", &nobody), 700, "what came later has its own hold");
}

#[test]
fn passes_coupons_and_categories_count_as_far_as_they_go() {
    let pass = |pass: &str| HeldPass { pass: pass.to_owned(), first_day: jiff::civil::date(2026, 3, 1) };
    let holder = |name: &str| RiderTerms { passes: vec![pass(name)], ..RiderTerms::default() };
    assert_eq!(most(&[], "c", &holder("week")), 0);
    assert_eq!(most_at(&[], &tap("c", Direction::Entry, 9, 12), &holder("week")), 2000, "it is over");
    let rides = [ride("a", "b", 6), ride("a", "b", 7)];
    assert_eq!((most(&rides[..1], "a", &holder("two rides")), most(&rides, "a", &holder("two rides"))), (0, 700));
    let student = RiderTerms { category: Some("student".to_owned()), ..RiderTerms::default() };
    assert_eq!((most(&[], "c", &student), most(&[], "a", &student)), (1000, 350), "half, also of the maximum's way");
    let days = (jiff::civil::date(2026, 3, 1), jiff::civil::date(2026, 3, 8));
    let coupon = Coupon { discount: "gift".to_owned(), rides: 1, first_day: days.0, last_day: days.1 };
    let given = RiderTerms { coupons: vec![coupon], ..RiderTerms::default() };
    assert_eq!((most(&[], "c", &given), most(&rides[..1], "c", &given)), (500, 1925), "one ride of his; then the cap");
    assert_eq!(most_at(&[], &tap("c", Direction::Entry, 5, 12), &RiderTerms::default()), 0, "nobody pays on that day");
    let eve = tap("c", Direction::Entry, 5, 23);
    assert_eq!(most_at(&[], &eve, &RiderTerms::default()), 0, "what is waived where he comes in stays so");
}
