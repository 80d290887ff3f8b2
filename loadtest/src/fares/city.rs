//! A city to price: lines that cross in a grid, everyday fares with a peak, two caps, categories and interchanges.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use facegate_domain::Timestamp;
use facegate_domain::fares::{FareTable, Ride, RiderTerms, Tariff};
use facegate_domain::gate::GateMode;
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::journey::{PairingPolicy, pair};
use facegate_domain::tap::{Direction, Medium, Tap};
use facegate_runtime::clock::Stopwatch;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const RIDERS: usize = 2_000;
const RIDES: usize = 14;
/// Stations of one line.
const LINE: usize = 20;
/// Monday, 3 March 2025, six in the morning in the table's zone.
const BEGIN_MS: i64 = 1_740_952_800_000;

/// Prices the week of some thousand riders again and again, on this thread alone.
pub fn journeys_per_s(stations: usize, for_time: Duration) -> Result<u64> {
    ensure!((2..=1_000).contains(&stations), "--stations: use 2 to 1000");
    let tariff = Tariff::new(vec![Arc::new(FareTable::parse(&table(stations)?)?)])?;
    let riders = riders(stations)?;
    let terms = [None, Some("student")]
        .map(|category| RiderTerms { category: category.map(str::to_owned), ..RiderTerms::default() });
    let (began, mut journeys, mut sum) = (Stopwatch::start(), 0_u64, 0_i64);
    while began.elapsed() < for_time {
        for (at, taps) in riders.iter().enumerate() {
            let pairing = pair(taps, &PairingPolicy::default());
            let bill = tariff.bill(&Ride::of(&pairing), &terms[at % 2]);
            journeys += bill.rides.len() as u64;
            sum += bill.rides.iter().filter_map(|billed| Some(billed.total()?.minor())).sum::<i64>();
        }
    }
    ensure!(sum > 0, "nothing was priced");
    let took = u64::try_from(began.elapsed().as_millis())?.max(1);
    Ok(journeys * 1_000 / took)
}

fn table(stations: usize) -> Result<String> {
    let mut text = String::from(
        "name = \"city\"\nvalid_from = \"2025-01-01T04:30:00+08:00\"\ncurrency = \"CNY\"\nmaximum_fare_minor = 1500\n\
         zone = \"+08:00\"\nrounds_to_minor = 10\nfastest_kmh = 160\n\
         product = [{ name = \"peak\", when = [\"mon-fri 07:00-09:00\"], lines = [\"m0\"], flat_minor = 600 }]\n\
         category = [{ name = \"student\", pays_bp = 5000 }]\n\
         cap = [{ name = \"day\", period = \"day\", most_minor = 1800 }, { name = \"week\", period = \"week\", most_minor = 6000 }]\n\
         overstay = [{ after_s = 14400, price_minor = 300 }]\n\
         interchange = [{ from = \"s0\", to = \"s1\", within_s = 1800 }]\n",
    );
    for station in 0..stations {
        writeln!(text, "[[station]]\nid = \"s{station}\"")?;
        let line = station / LINE;
        if station % LINE > 0 {
            writeln!(
                text,
                "[[link]]\nfrom = \"s{}\"\nto = \"s{station}\"\nmetres = 1300\nline = \"m{line}\"",
                station - 1
            )?;
        } else if station > 0 {
            let crossing = station - LINE / 2;
            writeln!(text, "[[link]]\nfrom = \"s{crossing}\"\nto = \"s{station}\"\nmetres = 900\nline = \"m{line}\"")?;
        }
    }
    let mut from = 0;
    for (up_to, price) in [(6_000, 200), (11_000, 300), (17_000, 400), (25_000, 500), (40_000, 700), (70_000, 900)] {
        writeln!(text, "[[band]]\nfrom_m = {from}\nup_to_m = {up_to}\nprice_minor = {price}")?;
        from = up_to;
    }
    writeln!(text, "[[band]]\nfrom_m = {from}\nprice_minor = 1200")?;
    Ok(text)
}

/// Two rides a day for a week.
fn riders(stations: usize) -> Result<Vec<Vec<Tap>>> {
    let mut random = StdRng::seed_from_u64(1);
    (0..RIDERS)
        .map(|rider| {
            let (home, work) = (random.random_range(0..stations), random.random_range(0..stations));
            let mut taps = Vec::with_capacity(2 * RIDES);
            for ride in 0..RIDES {
                let (from, to) = if ride % 2 == 0 { (home, work) } else { (work, home) };
                let began = BEGIN_MS + i64::try_from(ride)? * 43_200_000 + random.random_range(0..7_200_000);
                for (station, direction, at) in
                    [(from, Direction::Entry, began), (to, Direction::Exit, began + 7_200_000)]
                {
                    taps.push(Tap {
                        id: RecordId {
                            gate: GateId::new(format!("s{station}-1"))?,
                            epoch: 1,
                            sequence: taps.len() as u64,
                        },
                        rider: RiderId::from_bytes((rider as u128).to_be_bytes()),
                        station: StationId::new(format!("s{station}"))?,
                        direction,
                        medium: Medium::Face,
                        mode: GateMode::Normal,
                        at: Timestamp::from_unix_ms(at),
                    });
                }
            }
            Ok(taps)
        })
        .collect()
}
