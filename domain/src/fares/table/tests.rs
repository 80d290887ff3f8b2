use std::sync::Arc;

use super::*;
use crate::fares::{PricingError, Ride, RiderTerms, Rule, Tariff};
use crate::gate::GateMode;
use crate::ids::{GateId, RecordId, RiderId};
use crate::journey::{Incomplete, Journey};
use crate::tap::{Direction, Medium, Tap};

/// Beijing's distance bands as announced by its Development and Reform Commission for 28 December 2014: 3 yuan to 6 km,
/// 4 to 12, 5 to 22, 6 to 32, then one more for every 20 km.
const TABLE: &str = r#"
name = "beijing 2014"
valid_from = "2014-12-28T00:00:00+08:00"
currency = "CNY"
maximum_fare_minor = 900

station = [{ id = "a", name = "Alpha Square" }, { id = "b" }, { id = "c" }, { id = "d" }, { id = "e" }]
link = [
    { from = "a", to = "b", metres = 6000 },
    { from = "b", to = "c", metres = 1 },
    { from = "c", to = "d", metres = 15999 },
    { from = "d", to = "e", metres = 30001 },
]
band = [
    { from_m = 0, up_to_m = 6000, price_minor = 300 },
    { from_m = 6000, up_to_m = 12000, price_minor = 400 },
    { from_m = 12000, up_to_m = 22000, price_minor = 500 },
    { from_m = 22000, up_to_m = 32000, price_minor = 600 },
    { from_m = 32000, up_to_m = 52000, price_minor = 700 },
    { from_m = 52000, up_to_m = 72000, price_minor = 800 },
]
"#;

fn journey(from: &str, to: &str) -> Journey {
    let tap = |sequence, station, direction| Tap {
        id: RecordId { gate: GateId::new("g").unwrap(), epoch: 1, sequence },
        rider: RiderId::from_bytes([1; 16]),
        station: StationId::new(station).unwrap(),
        direction,
        medium: Medium::Face,
        mode: GateMode::Normal,
        at: Timestamp::from_unix_ms(1_760_000_000_000),
    };
    Journey::new(tap(1, from, Direction::Entry), tap(2, to, Direction::Exit))
}

fn tariff(text: &str) -> Tariff {
    Tariff::new(vec![Arc::new(FareTable::parse(text).unwrap())]).unwrap()
}

fn said(text: &str) -> Vec<String> {
    FareTable::parse(text).unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn published_bands_price_to_the_metre_and_explain_themselves() {
    let (table, tariff) = (FareTable::parse(TABLE).unwrap(), tariff(TABLE));
    for (from, to, minor, line) in [
        ("a", "a", 300, "distance up to 6 km: 0 km"),
        ("a", "b", 300, "distance up to 6 km: 6 km"),
        ("b", "c", 300, "distance up to 6 km: 0.001 km"),
        ("a", "c", 400, "distance over 6 km up to 12 km: 6.001 km"),
        ("b", "d", 500, "distance over 12 km up to 22 km: 16 km"),
        ("a", "d", 500, "distance over 12 km up to 22 km: 22 km"),
        ("d", "e", 600, "distance over 22 km up to 32 km: 30.001 km"),
        ("e", "b", 700, "distance over 32 km up to 52 km: 46.001 km"),
        ("e", "a", 800, "distance over 52 km up to 72 km: 52.001 km"),
    ] {
        let fare = tariff.price(&journey(from, to)).unwrap();
        assert_eq!(fare.total().minor(), minor, "{from} to {to}");
        let [only] = fare.lines() else { panic!("one line explains a distance fare") };
        assert_eq!(format!("{}: {}", only.rule, only.quantity), line);
        assert_eq!(only.amount, fare.total());
        assert_eq!(fare.table(), "beijing 2014");
    }
    assert_eq!(table.station_name(&StationId::new("a").unwrap()), "Alpha Square");
    assert_eq!(table.station_name(&StationId::new("b").unwrap()), "b");
}

#[test]
fn a_journey_without_its_other_end_costs_the_maximum_fare() {
    let incomplete = Incomplete::MissingExit { entry: journey("a", "b").entry };
    let bill = tariff(TABLE).bill(&[Ride::Broken(&incomplete)], &RiderTerms::default());
    let fare = bill.rides[0].price.as_ref().unwrap();
    assert_eq!(fare.total().minor(), 900);
    assert_eq!(fare.lines()[0].rule, Rule::MaximumFare);
}

#[test]
fn a_journey_that_the_table_cannot_price_is_named() {
    assert_eq!(
        tariff(TABLE).price(&journey("a", "zoo")),
        Err(PricingError::UnknownStation { table: "beijing 2014".to_owned(), station: StationId::new("zoo").unwrap() })
    );
    let future = tariff(&TABLE.replace("2014-12-28", "2030-12-28"));
    assert!(matches!(future.price(&journey("a", "b")), Err(PricingError::NotYetValid { .. })));
}

#[test]
fn everything_wrong_with_a_file_is_named_at_once() {
    let broken = r#"
        name = " "
        valid_from = "next week"
        currency = "yuan"
        maximum_fare_minor = 250
        station = [{ id = "a" }, { id = "b" }, { id = "North Square" }]
        link = [{ from = "a", to = "zoo", metres = 5 }, { from = "a", to = "b", metres = 5 }]
        band = [
            { from_m = 0, up_to_m = 6000, price_minor = -1 },
            { from_m = 7000, up_to_m = 12000, price_minor = 300 },
            { from_m = 11000, price_minor = 200 },
        ]"#;
    assert_eq!(
        said(broken),
        [
            "the name is empty",
            "valid_from \"next week\" is not a time with an offset, such as 2026-01-01T04:30:00+08:00",
            "currency \"yuan\" is not a currency: use the three capital letters of ISO 4217, such as CNY",
            "station \"North Square\" is not a valid name: use 1 to 48 characters of a-z, 0-9 and '-'",
            "the link a – zoo names station zoo, which is not in the table",
            "band 1 has the negative price -1",
            "maximum_fare_minor is 250, less than the 300 of band 2",
            "hole in the bands: nothing covers 6000 m to 7000 m, before band 2",
            "overlap in the bands: band 3 begins at 11000 m, but the one before it goes on to 12000 m",
        ]
    );
}

#[test]
fn bands_that_end_before_the_longest_journey_are_a_hole() {
    let short = TABLE.replace("    { from_m = 52000, up_to_m = 72000, price_minor = 800 },\n", "");
    assert_eq!(said(&short), ["hole in the bands: they end at 52000 m, but the longest journey, e to a, is 52001 m"]);
}

#[test]
fn files_that_are_no_fare_table_are_refused() {
    for (text, expected) in [
        ("name = ", "not a fare table"),
        ("", "missing field"),
        (&TABLE.replace("maximum_fare_minor = 900", "maximum_fare_minor = 9.5"), "invalid type: floating point"),
        (&TABLE.replace("price_minor = 300", "price = 300"), "unknown field `price`"),
        (&TABLE.replace("from_m = 0", "from_m = -1"), "band 1: from_m is -1, which is not a distance in metres"),
        (&TABLE.replace(", { id = \"b\" }", ""), "names station b"),
        (
            &TABLE.replace("    { from = \"d\", to = \"e\", metres = 30001 },\n", ""),
            "station e is not connected with a",
        ),
    ] {
        let problems = said(text);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected} in {problems:?}");
    }
    let none =
        FareTable::parse("name=\"x\"\nvalid_from=\"2026-01-01T00:00:00Z\"\ncurrency=\"CNY\"\nmaximum_fare_minor=1");
    let problems: Vec<String> = none.unwrap_err().0.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 2, "no station and no band: {problems:?}");
}

const RULES: &str = r#"
zone = "Asia/Shanghai"
day_starts_at = "04:30"
holidays = ["2026-10-01"]
rounds_to_minor = 10
fastest_kmh = 160
product = [
    { name = "peak", group = "metro", when = ["mon-fri 07:00-09:00"], flat_minor = 500 },
    { name = "night", when = ["daily 22:00-04:30"], band = [{ from_m = 0, price_minor = 100 }] },
]
interchange = [{ from = "a", to = "c", within_s = 900 }]
transfer = [{ name = "second ride", to_group = "metro", within_s = 3600, price_minor = -100, pays = "all" }]
same_station = [{ up_to_s = 300, price_minor = 0 }, { price_minor = 300 }]
overstay = [{ after_s = 14400, price_minor = 300 }]
autofill = { per_month = 2, rides_min = 3, days = 28 }
repairs = { within_days = 7, per_month = 3 }
category = [{ name = "child", pays_bp = 5000 }]
discount = [{ name = "tenth", pays_bp = 0, period = "month", every = 10 }]
cap = [{ name = "day", period = "day", most_minor = 2000 }]
pass = [{ name = "week", days = 7 }]
waiver = [{ reason = "storm", waives = "disruption", from = "2026-01-01T00:00:00Z", until = "2026-01-02T00:00:00Z" }]
"#;

/// The table with these rules before its first array of tables.
fn with_rules(rules: &str) -> String {
    TABLE.replace("\nstation = [", &format!("{rules}\nstation = ["))
}

#[test]
fn every_rule_can_be_written() {
    FareTable::parse(&with_rules(RULES)).unwrap();
}

#[test]
fn a_rule_that_makes_no_sense_is_named_with_its_number() {
    for (from, to, expected) in [
        ("[\"mon-fri 07:00-09:00\"]", "[\"monday 7-9\"]", "product 1: \"monday 7-9\" names no hours"),
        ("flat_minor = 500", "flat_minor = -5", "product 1: the price is negative"),
        ("flat_minor = 500", "lines = [\"m1\"], flat_minor = 5", "product 1: no station or link names the line \"m1\""),
        ("flat_minor = 500", "zone = [{ from = 2, to = 1, price_minor = 5 }]", "zones 2 to 1"),
        ("flat_minor = 500", "flat_minor = 5, band = [{ from_m = 0, price_minor = 1 }]", "give one of flat_minor"),
        ("from_m = 0, price_minor = 100", "from_m = 5, price_minor = 100", "product night: hole in the bands"),
        ("from = \"a\", to = \"c\"", "from = \"a\", to = \"zoo\"", "interchange 1: station zoo is not in the table"),
        ("to_group = \"metro\"", "to_group = \"bus\"", "transfer 1: no product is of the group \"bus\""),
        ("to_group = \"metro\", within_s = 3600, ", "", "transfer 1: transfers lead in a circle"),
        ("pays = \"all\"", "pays = \"transfer_alone\"", "transfer 1: the price is negative"),
        ("{ up_to_s = 300, price_minor = 0 }, ", "{ price_minor = 0 }, ", "same_station 2: shorter times first"),
        ("every = 10", "every = 0", "discount 1: every is 0"),
        ("period = \"month\", every", "every", "discount 1: it counts rides or money: give its period"),
        ("pays_bp = 5000", "pays_bp = 50000", "category 1: pays_bp is over 10000"),
        ("most_minor = 2000", "most_minor = -1", "cap 1: most_minor is negative"),
        ("days = 7 }", "days = 0 }", "pass 1: days: use 1 to 366"),
        ("days = 7 }", "days = 7, price_minor = -1 }", "pass 1: price_minor is negative"),
        ("until = \"2026-01-02", "until = \"2025-01-02", "waiver 1: from and until"),
        ("\"Asia/Shanghai\"", "\"Mars/Base\"", "`Mars/Base` is neither a time zone"),
        ("rounds_to_minor = 10", "rounds_to_minor = 0", "rounds_to_minor is 0: use 1 to 10000"),
        ("fastest_kmh = 160", "fastest_kmh = 1", "fastest_kmh is 1: use 10 to 1000"),
    ] {
        assert!(RULES.contains(from), "{from}");
        let problems = said(&with_rules(&RULES.replace(from, to)));
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected} in {problems:?}");
    }
}

#[test]
fn tables_follow_each_other_in_one_currency() {
    use crate::fares::TariffProblem;
    let table = |from: &str, to: &str| Arc::new(FareTable::parse(&TABLE.replace(from, to)).unwrap());
    let (one, other) = (table("", ""), table("2014-12-28", "2024-12-28"));
    let both = Tariff::new(vec![Arc::clone(&other), Arc::clone(&one)]).unwrap();
    let at = |text: &str| Timestamp::from_unix_ms(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
    assert_eq!(both.at(at("2024-12-27T23:59:59.999+08:00")).unwrap().valid_from(), one.valid_from());
    assert_eq!(both.at(at("2024-12-28T00:00:00+08:00")).unwrap().valid_from(), other.valid_from());
    assert!(matches!(both.at(at("2014-12-27T00:00:00+08:00")), Err(PricingError::NotYetValid { .. })));
    assert_eq!(Tariff::new(Vec::new()).unwrap_err(), TariffProblem::None);
    let twice = Tariff::new(vec![Arc::clone(&one), table("beijing", "peking")]).unwrap_err();
    assert!(matches!(twice, TariffProblem::SameTime { .. }), "{twice}");
    let euro = table("CNY", "EUR").valid_from();
    assert_eq!(euro, one.valid_from());
    let later = TABLE.replace("2014", "2015").replace("CNY", "EUR");
    let mixed = Tariff::new(vec![one, Arc::new(FareTable::parse(&later).unwrap())]).unwrap_err();
    assert!(matches!(mixed, TariffProblem::Currency { .. }), "{mixed}");
}
