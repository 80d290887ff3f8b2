use std::sync::Arc;

use super::*;
use crate::fares::Tariff;
use crate::fares::worked::Case;

const FEED: &str = "\
# agency.txt
agency_id,agency_name,agency_url,agency_timezone
1,Metro,https://metro.example,America/New_York
# stops.txt
stop_id,stop_name,stop_lat,stop_lon,location_type,parent_station
North,\"North, main\",40.00,-74.00,1,
North_1,North platform,40.00,-74.00,0,North
Harbour,Harbour,40.05,-74.00,0,
Hill,Hill,40.10,-74.00,0,
Quay,Quay,40.06,-74.05,0,
Pier,Pier,40.07,-74.05,0,
Top,Top,40.11,-74.00,0,
# routes.txt
route_id,route_short_name,route_type
m,M,1
b,B,3
# networks.txt
network_id,network_name
metro,Metro
bus,Bus
# route_networks.txt
network_id,route_id
metro,m
bus,b
# trips.txt
route_id,service_id,trip_id
m,week,t1
b,week,t2
# stop_times.txt
trip_id,arrival_time,departure_time,stop_id,stop_sequence
t1,08:00:00,08:00:00,North_1,1
t1,08:10:00,08:10:00,Harbour,2
t1,08:20:00,08:20:00,Hill,5
t1,08:25:00,08:25:00,Top,6
t2,08:00:00,08:00:00,Harbour,1
t2,08:10:00,08:10:00,Quay,2
t2,08:15:00,08:15:00,Pier,3
# calendar.txt
service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date
week,1,1,1,1,1,0,0,20250101,20261231
# areas.txt
area_id,area_name
centre,Centre
outside,Outside
# stop_areas.txt
area_id,stop_id
centre,North
centre,Harbour
outside,Hill
outside,Top
# timeframes.txt
timeframe_group_id,start_time,end_time,service_id
peak,07:00:00,09:30:00,week
# rider_categories.txt
rider_category_id,rider_category_name,is_default_fare_category
adult,Adult,1
student,Student,0
# fare_media.txt
fare_media_id,fare_media_name,fare_media_type
face,Face,4
paper,Paper,1
# fare_products.txt
fare_product_id,fare_product_name,rider_category_id,fare_media_id,amount,currency
within,Within the centre,,,2.50,USD
across,To the outside,adult,face,4,USD
across,To the outside,adult,paper,5.00,USD
across,To the outside for students,student,face,3.00,USD
rush,Peak,,face,4.75,USD
bus,Bus,,,1.75,USD
change,Change to the bus,,,-1.00,USD
# fare_leg_rules.txt
leg_group_id,network_id,from_area_id,to_area_id,from_timeframe_group_id,fare_product_id
metro,metro,centre,centre,,within
metro,metro,,,,across
metro,metro,,,peak,rush
bus,bus,,,,bus
# fare_transfer_rules.txt
from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type,fare_product_id
metro,bus,,3600,2,1,change
";

fn files(text: &str) -> BTreeMap<String, String> {
    let sections = text.split("# ").skip(1).filter_map(|section| section.split_once('\n'));
    sections.map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

fn options() -> Options {
    Options {
        name: "imported".to_owned(),
        valid_from: "2025-01-01T00:00:00-05:00".to_owned(),
        medium: Some("face".to_owned()),
        maximum_fare_minor: None,
    }
}

fn said(text: &str) -> Vec<String> {
    import(&files(text), &options()).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_feed_becomes_a_table_that_prices_as_the_feed_says() {
    let text = import(&files(FEED), &options()).unwrap();
    let tariff = Tariff::new(vec![Arc::new(FareTable::parse(&text).unwrap())]).unwrap();
    for case in [
        r#"taps = ["2025-03-04T10:00 north in", "2025-03-04T10:20 harbour out"]
           pays = [250]
           says = ["Within the centre"]"#,
        r#"taps = ["2025-03-04T10:00 hill in", "2025-03-04T10:40 top out"]
           pays = [400]"#,
        // Begun in the peak on a weekday, and on a Saturday.
        r#"taps = ["2025-03-04T09:29 hill in", "2025-03-04T09:50 top out", "2025-03-08T09:00 hill in", "2025-03-08T09:20 top out"]
           pays = [475, 400]"#,
        r#"taps = ["2025-03-04T10:00 hill in", "2025-03-04T10:40 top out"]
           rider = { category = "student" }
           pays = [300]
           says = ["To the outside for students"]"#,
        // By metro, then by bus within the hour, and later than that.
        r#"taps = ["2025-03-04T10:00 north in", "2025-03-04T10:20 harbour out", "2025-03-04T11:20 pier in", "2025-03-04T11:30 quay out"]
           pays = [250, 75]"#,
        r#"taps = ["2025-03-04T10:00 north in", "2025-03-04T10:20 harbour out", "2025-03-04T11:20:01 pier in", "2025-03-04T11:30 quay out"]
           pays = [250, 175]"#,
        r#"taps = ["2025-03-04T10:00 quay in", "2025-03-04T11:00 quay in", "2025-03-04T11:10 quay out"]
           pays = [475, 175]"#,
    ] {
        let case: Case = toml::from_str(&format!("name = \"case\"\n{case}")).unwrap();
        assert_eq!(case.check(&tariff), Ok(()), "{case:?}\n{text}");
    }
    assert_eq!(tariff.tables()[0].station_name(&"north".parse().unwrap()), "North, main");
}

#[test]
fn every_problem_names_file_line_and_rule() {
    for (from, to, expected) in [
        (
            "t1,08:20:00,08:20:00,Hill,5",
            "t1,08:20:00,08:20:00,Zoo,5",
            "stop_times.txt line 4: unknown_reference: stop_id \"Zoo\"",
        ),
        ("metro,m\n", "tram,m\n", "route_networks.txt line 2: unknown_reference: network_id \"tram\""),
        ("outside,Hill\n", "inside,Hill\n", "stop_areas.txt line 4: unknown_reference: area_id \"inside\""),
        (
            "metro,metro,,,peak,rush",
            "metro,metro,,,night,rush",
            "fare_leg_rules.txt line 4: unknown_reference: from_timeframe_group_id \"night\"",
        ),
        ("bus,bus,,,,bus", "bus,bus,,,,", "fare_leg_rules.txt line 5: missing_value: fare_product_id is empty"),
        ("2.50,USD", "2.505,USD", "fare_products.txt line 2: bad_amount: \"2.505\" is no amount in USD of 2 decimals"),
        ("2.50,USD", "2.50,EUR", "fare_products.txt line 3: currency_mismatch: USD, but products before are in EUR"),
        ("2.50,USD", "2.50,dollars", "fare_products.txt line 2: bad_currency"),
        (
            "within,Within the centre,,,2.50",
            "within,Within the centre,,,-2.50",
            "fare_leg_rules.txt line 2: negative_amount",
        ),
        (
            "student,face,3.00",
            "pupil,face,3.00",
            "fare_products.txt line 5: unknown_reference: rider_category_id \"pupil\"",
        ),
        ("adult,paper,5.00", "adult,face,5.00", "fare_products.txt line 4: duplicate_id: \"across\" has two prices"),
        ("peak,07:00:00,09:30:00", "peak,07:00:00,25:30:00", "timeframes.txt line 2: bad_time"),
        ("09:30:00,week", "09:30:00,sunday", "timeframes.txt line 2: unknown_reference: service_id \"sunday\""),
        (
            "metro,bus,,3600,2,1",
            "metro,bus,,3600,7,1",
            "fare_transfer_rules.txt line 2: bad_number: duration_limit_type",
        ),
        (
            "metro,bus,,3600,2,1",
            "metro,tram,,3600,2,1",
            "fare_transfer_rules.txt line 2: unknown_reference: to_leg_group_id \"tram\"",
        ),
        ("metro,bus,,3600,2,1", "metro,bus,,3600,2,0", "fare_transfer_rules.txt line 2: negative_amount"),
        ("metro,bus,,3600,2,1,change", "metro,metro,-1,,,0,", "fare_transfer_rules.txt line 2: endless_transfer"),
        ("centre,Centre", "outside,Centre", "areas.txt line 3: duplicate_id: area_id \"outside\""),
        (
            "Quay,Quay,40.06",
            "harbour,Quay,40.06",
            "stops.txt line 6: duplicate_id: stop_id \"harbour\" and \"Harbour\"",
        ),
        ("face,Face,4", "card,Face,4", "fare_media.txt line 1: unknown_reference: no fare_media_id \"face\""),
        (
            "fare_product_id,fare_product_name",
            "product,fare_product_name",
            "fare_products.txt line 1: missing_column: there is no column fare_product_id",
        ),
        ("# trips.txt", "# rides.txt", "trips.txt line 1: missing_file"),
    ] {
        assert!(FEED.contains(from), "{from}");
        let problems = said(&FEED.replace(from, to));
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected} in {problems:#?}");
    }
}

#[test]
fn what_the_table_itself_refuses_is_told_too() {
    let islands = FEED.replace("t2,08:00:00,08:00:00,Harbour,1\n", "");
    assert!(
        said(&islands).iter().any(|problem| problem.contains("fares line 1: table: station quay is not connected"))
    );
}

#[test]
fn with_priorities_an_empty_field_matches_everything() {
    let feed = FEED
        .replace("from_timeframe_group_id,fare_product_id", "from_timeframe_group_id,fare_product_id,rule_priority")
        .replace("centre,,within\n", "centre,,within,1\n");
    let text = import(&files(&feed), &options()).unwrap();
    let tariff = Tariff::new(vec![Arc::new(FareTable::parse(&text).unwrap())]).unwrap();
    let case = "name = \"x\"\ntaps = [\"2025-03-04T10:00 north in\", \"2025-03-04T10:40 top out\"]\npays = [400]";
    let case: Case = toml::from_str(case).unwrap();
    assert_eq!(case.check(&tariff), Ok(()), "{text}");
}
