//! The rules that no published table shows alone, on the network of `fares/all-rules.toml` or a smaller one.

use std::sync::Arc;

use super::*;
use crate::fares::FareTable;
use crate::fares::worked::{Case, Failure};

const NETWORK: &str = r#"
name = "small"
valid_from = "2025-01-01T04:30:00+08:00"
currency = "CNY"
maximum_fare_minor = 900
zone = "+08:00"
station = [{ id = "a" }, { id = "b" }, { id = "c" }, { id = "d" }]
link = [
    { from = "a", to = "b", metres = 5000 },
    { from = "b", to = "c", metres = 5000 },
    { from = "c", to = "d", metres = 20000 },
]
band = [{ from_m = 0, up_to_m = 6000, price_minor = 200 }, { from_m = 6000, price_minor = 400 }]
"#;

fn tariff(tables: &[String]) -> Tariff {
    let table = |text: &String| Arc::new(FareTable::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}")));
    Tariff::new(tables.iter().map(table).collect()).unwrap()
}

/// The small network with these rules; `case` is a worked example.
fn check(rules: &str, case: &str) {
    let tables = [NETWORK.replace("station = [", &format!("{rules}\nstation = ["))];
    assert_eq!(check_by(&tariff(&tables), case), Ok(()), "{rules}\n{case}");
}

fn check_by(tariff: &Tariff, case: &str) -> Result<(), Failure> {
    let case: Case = toml::from_str(&format!("name = \"case\"\n{case}")).unwrap();
    case.check(tariff)
}

#[test]
fn an_interchange_outside_makes_one_ride_of_two() {
    let rules = r#"interchange = [{ from = "b", to = "c", within_s = 600 }, { from = "b", to = "b", within_s = 300 }]"#;
    for (second, pays) in [
        (r#""2025-03-03T08:30 c in", "2025-03-03T09:00 d out""#, "[200, 200]"),
        (r#""2025-03-03T08:30:01 c in", "2025-03-03T09:00 d out""#, "[200, 400]"),
        (r#""2025-03-03T08:25 b in", "2025-03-03T09:00 c out""#, "[200, 200]"),
        (r#""2025-03-03T08:25:01 b in", "2025-03-03T09:00 c out""#, "[200, 200]"),
        (r#""2025-03-03T08:25 b in", "2025-03-03T08:40 a out""#, "[200, 200]"),
        // Not from there.
        (r#""2025-03-03T08:25 d in", "2025-03-03T09:00 c out""#, "[200, 400]"),
    ] {
        let taps = format!(r#"taps = ["2025-03-03T08:00 a in", "2025-03-03T08:20 b out", {second}]"#);
        check(rules, &format!("{taps}\npays = {pays}"));
    }
    check(
        rules,
        r#"taps = ["2025-03-03T08:00 a in", "2025-03-03T08:20 b out", "2025-03-03T08:24 b in", "2025-03-03T09:00 d out"]
           pays = [200, 200]
           says = ["distance over 6 km", "goes on from the journey before, already counted"]"#,
    );
}

#[test]
fn a_missing_end_costs_the_maximum_fare_unless_habit_or_the_rider_tells_it() {
    let rules = "autofill = { per_month = 1, rides_min = 2, days = 28 }\nrepairs = { within_days = 7, per_month = 1 }";
    let habit = r#""2025-03-03T08:00 a in x2", "2025-03-03T08:20 b out x2""#;
    check(
        rules,
        &format!(
            r#"taps = [{habit}, "2025-03-06T08:00 a in", "2025-03-06T12:00 c in", "2025-03-06T12:20 d out"]
        pays = [200, 200, 200, 400]"#
        ),
    );
    // Once in a month, and of the earlier ride, whatever arrives first.
    let twice =
        r#""2025-03-06T08:00 a in", "2025-03-07T08:00 a in", "2025-03-08T08:00 c in", "2025-03-08T08:20 d out""#;
    check(rules, &format!("taps = [{habit}, {twice}]\npays = [200, 200, 200, 900, 400]"));
    let april =
        r#""2025-03-28T08:00 a in", "2025-04-01T08:00 a in", "2025-04-08T08:00 c in", "2025-04-08T08:20 d out""#;
    check(rules, &format!("taps = [{habit}, {april}]\npays = [200, 200, 200, 900, 400]"));
    // No habit: as often here as there.
    let torn = r#""2025-03-05T08:00 a in x2", "2025-03-05T08:40 c out x2", "2025-03-07T08:00 a in", "2025-03-07T09:00 d in", "2025-03-07T10:00 c out""#;
    check(rules, &format!("taps = [{habit}, {torn}]\npays = [200, 200, 400, 400, 900, 400]"));
    let lone = r#"taps = ["2025-03-03T08:00 a in", "2025-03-04T08:00 a in", "2025-03-04T08:20 b out"]"#;
    let made_at = |day: &str| format!("{day}T04:29:59+08:00").parse::<jiff::Timestamp>().unwrap().as_millisecond();
    for (day, pays) in [("2025-03-11", 400), ("2025-03-12", 900)] {
        let repair = format!(
            r#"rider = {{ repairs = [{{ tap = {{ gate = "example", epoch = 1, sequence = 0 }}, station = "c", made_at = {} }}] }}"#,
            made_at(day)
        );
        check(rules, &format!("{lone}\n{repair}\npays = [{pays}, 200]"));
    }
}

#[test]
fn waivers_hold_for_rides_of_before_too_and_are_told() {
    let waives = |what: &str| {
        format!(
            r#"waiver = [{{ reason = "storm", waives = "{what}", stations = ["a"], from = "2025-03-03T08:00:00+08:00", until = "2025-03-03T09:00:00+08:00" }}]
               same_station = [{{ price_minor = 300 }}]
               overstay = [{{ after_s = 3600, price_minor = 100 }}]"#
        )
    };
    let out_again = r#"taps = ["2025-03-03T08:30 a in", "2025-03-03T08:40 a out"]"#;
    check(&waives("disruption"), &format!("{out_again}\npays = [0]\nsays = [\"waived: storm\"]"));
    check(&waives("missing_exit"), &format!("{out_again}\npays = [300]"));
    let never_out = r#"taps = ["2025-03-03T08:30 a in", "2025-03-03T12:00 b in", "2025-03-03T12:20 c out"]"#;
    check(&waives("missing_exit"), &format!("{never_out}\npays = [0, 200]"));
    check(&waives("disruption"), &format!("{never_out}\npays = [0, 200]"));
    let long = r#"taps = ["2025-03-03T08:59:59 a in", "2025-03-03T12:00 b out", "2025-03-03T13:00 b in", "2025-03-03T14:00:01 c out"]"#;
    check(&waives("disruption"), &format!("{long}\npays = [200, 300]"));
    check(&waives("fare"), &format!("{long}\npays = [0, 300]"));
}

#[test]
fn passes_coupons_and_campaigns_take_off_what_they_are_for() {
    let rules = r#"
        pass = [{ name = "two rides", days = 7, rides = 2 }, { name = "week", days = 7 }]
        discount = [
            { name = "March", pays_bp = 8500, first_day = "2025-03-01", last_day = "2025-03-31" },
            { name = "friend", pays_bp = 5000, coupon = true },
            { name = "third free", pays_bp = 0, period = "week", every = 3 },
        ]"#;
    let rides = r#"taps = ["2025-03-03T08:00 a in x4", "2025-03-03T08:20 b out x4"]"#;
    check(rules, &format!("{rides}\npays = [170, 170, 0, 170]"));
    let rider = r#"rider = { coupons = [{ discount = "friend", rides = 2, first_day = "2025-03-01", last_day = "2025-12-31" }] }"#;
    check(rules, &format!("{rides}\n{rider}\npays = [100, 100, 0, 170]"));
    let rider = r#"rider = { passes = [{ pass = "two rides", first_day = "2025-03-04" }] }"#;
    check(rules, &format!("{rides}\n{rider}\npays = [170, 0, 0, 170]"));
    let rider = r#"rider = { passes = [{ pass = "week", first_day = "2025-02-26" }] }"#;
    check(rules, &format!("{rides}\n{rider}\npays = [0, 0, 0, 170]"));
}

#[test]
fn the_table_of_the_entry_holds_to_the_end_of_the_ride() {
    let dearer = NETWORK
        .replace("\"small\"", "\"dearer\"")
        .replace("2025-01-01T04:30", "2025-03-03T08:00")
        .replace("price_minor = 200", "price_minor = 250");
    let tariff = tariff(&[dearer, NETWORK.to_owned()]);
    let case = r#"taps = ["2025-03-03T07:59:59 a in", "2025-03-03T08:20 b out", "2025-03-03T09:00 b in", "2025-03-03T09:20 a out"]
                  pays = [200, 250]"#;
    assert_eq!(check_by(&tariff, case), Ok(()));
}

#[test]
fn one_rider_at_two_places_is_a_held_case_and_never_two_charges() {
    let rules = "fastest_kmh = 120";
    for (taps, pays) in [
        // 20 km in four minutes.
        (r#""2025-03-03T08:00 c in", "2025-03-03T08:04 d out""#, r#"["held"]"#),
        // Out at a, and three minutes later into d, 30 km away.
        (
            r#""2025-03-03T08:00 b in", "2025-03-03T08:20 a out", "2025-03-03T08:23 d in", "2025-03-03T08:45 c out""#,
            r#"[200, "held"]"#,
        ),
        // Into a and, a minute later, into d: the ride that is whole counts.
        (r#""2025-03-03T08:00 a in", "2025-03-03T08:01 d in", "2025-03-03T08:45 c out""#, r#"["held", 400]"#),
        // Face and code at one gate.
        (r#""2025-03-03T08:00 a in", "2025-03-03T08:00:08 a in", "2025-03-03T08:45 b out""#, "[200]"),
        (r#""2025-03-03T08:00 c in", "2025-03-03T08:10 d out""#, "[400]"),
    ] {
        check(rules, &format!("taps = [{taps}]\npays = {pays}"));
    }
}

#[test]
fn an_unknown_station_holds_its_own_ride_alone() {
    check(
        "",
        r#"taps = ["2025-03-03T08:00 a in", "2025-03-03T08:20 zoo out", "2025-03-03T09:00 a in", "2025-03-03T09:20 b out"]
                 pays = ["held", 200]"#,
    );
}

#[test]
fn the_look_back_reaches_to_where_the_rules_begin_to_count() {
    let at = |text: &str| crate::Timestamp::from_unix_ms(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
    let looks = |rules: &str| {
        let tariff = tariff(&[NETWORK.replace("station = [", &format!("{rules}\nstation = ["))]);
        tariff.look_back(at("2025-03-19T08:00:00+08:00")).map(|looked| (looked.first_day.to_string(), looked.from))
    };
    assert_eq!(looks("overstay = [{ after_s = 3600, price_minor = 100 }]"), None);
    let from = |day: &str| at(&format!("{day}T04:30:00+08:00"));
    let week = r#"cap = [{ name = "w", period = "week", most_minor = 900 }]"#;
    assert_eq!(looks(week), Some(("2025-03-17".to_owned(), from("2025-03-15"))));
    let month = r#"discount = [{ name = "m", period = "month", pays_bp = 0, every = 3 }]"#;
    assert_eq!(looks(month), Some(("2025-03-01".to_owned(), from("2025-02-27"))));
    // The month's first two days are of a week that begins before the month, and so before what is looked back to.
    let both = r#"cap = [{ name = "w", period = "week", most_minor = 900 }, { name = "m", period = "month", most_minor = 900 }]"#;
    assert_eq!(looks(both), Some(("2025-03-03".to_owned(), from("2025-02-27"))));
    let transfer = r#"transfer = [{ name = "t", within_s = 60, price_minor = 0, pays = "before_and_transfer" }]"#;
    assert_eq!(looks(transfer), Some(("2025-03-19".to_owned(), from("2025-03-10"))));
    assert_eq!(looks("fastest_kmh = 100"), Some(("2025-03-19".to_owned(), from("2025-03-17"))));
}

#[test]
fn the_mode_of_a_gate_gives_up_what_it_says() {
    let rules = "overstay = [{ after_s = 3600, price_minor = 300 }]";
    let (ride, stays) = ("2025-03-03T08:00 a in", "2025-03-03T11:00 b out");
    for (entry, exit, pays) in [
        ("", "", 500),
        ("", " time_exempt", 200),
        (" time_exempt", "", 200),
        (" fare_exempt", "", 0),
        ("", " fare_exempt", 0),
        (" emergency_open", "", 0),
        ("", " emergency_open", 0),
        ("", " sequence_exempt", 500),
        ("", " bidirectional", 500),
    ] {
        check(rules, &format!("taps = [\"{ride}{entry}\", \"{stays}{exit}\"]\npays = [{pays}]"));
    }
    for (mode, pays) in [("", 900), (" sequence_exempt", 0), (" fare_exempt", 0), (" time_exempt", 900)] {
        check("", &format!("taps = [\"{stays}{mode}\"]\npays = [{pays}]"));
    }
    check(
        "",
        "taps = [\"2025-03-03T11:00 b out sequence_exempt\"]\npays = [0]\nsays = [\"waived: the gate at b was sequence exempt\"]",
    );
}

#[test]
fn what_an_attendant_wrote_down_is_paid_like_a_tap_and_said() {
    let rules = "overstay = [{ after_s = 3600, price_minor = 300 }]";
    let tariff = tariff(&[NETWORK.replace("station = [", &format!("{rules}\nstation = ["))]);
    for (taps, pays, says) in [
        // He came in without a tap.
        (["08:00 a in booth", "08:30 c out"], 400, "your entry at a was repaired at the ticket booth by an attendant"),
        (["08:00 a in", "08:30 b out booth"], 200, "you left b with an exit pass of the ticket booth"),
        (["08:00 a in", "08:30 b out booth fare_exempt"], 0, "waived: an attendant at b let you out fare exempt"),
        (["08:00 a in", "11:00 b out booth"], 500, "inside for longer than 60 minutes"),
        (["08:00 a in", "11:00 b out booth time_exempt"], 200, "you left b with an exit pass of the ticket booth"),
        (["08:00 a in booth", "08:20 a out booth fare_exempt"], 0, "waived: an attendant at a let you out fare exempt"),
    ] {
        let taps = taps.map(|tap| format!("\"2025-03-03T{tap}\"")).join(", ");
        let case = format!("taps = [{taps}]\npays = [{pays}]\nsays = [\"{says}\"]");
        assert_eq!(check_by(&tariff, &case), Ok(()), "{case}");
    }
    // An entry that nobody leaves by, and an exit without one.
    let broken = r#"taps = ["2025-03-03T08:30 b out booth"]
        pays = [900]
        says = ["you left b with an exit pass of the ticket booth", "maximum fare: one end of the journey is missing"]"#;
    assert_eq!(check_by(&tariff, broken), Ok(()));
}
