use super::*;
use crate::ids::{GateId, RecordId, RiderId};
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
        at: Timestamp::from_unix_ms(1_760_000_000_000),
    };
    Journey::new(tap(1, from, Direction::Entry), tap(2, to, Direction::Exit))
}

fn said(text: &str) -> Vec<String> {
    FareTable::parse(text).unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn published_bands_price_to_the_metre_and_explain_themselves() {
    let table = FareTable::parse(TABLE).unwrap();
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
        let fare = table.price(&journey(from, to)).unwrap();
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
    let table = FareTable::parse(TABLE).unwrap();
    let fare = table.price_incomplete(&Incomplete::MissingExit { entry: journey("a", "b").entry }).unwrap();
    assert_eq!(fare.total().minor(), 900);
    assert_eq!(fare.lines()[0].rule, Rule::MaximumFare);
}

#[test]
fn a_journey_that_the_table_cannot_price_is_named() {
    let table = FareTable::parse(TABLE).unwrap();
    assert_eq!(
        table.price(&journey("a", "zoo")),
        Err(PricingError::UnknownStation { table: "beijing 2014".to_owned(), station: StationId::new("zoo").unwrap() })
    );
    let future = FareTable::parse(&TABLE.replace("2014-12-28", "2030-12-28")).unwrap();
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
