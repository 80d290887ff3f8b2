//! Every published fare table of `fares/` prices its worked examples exactly, and does so in any order of arrival.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use facegate_domain::fares::worked::Examples;
use facegate_domain::fares::{FareTable, Ride, Tariff};
use facegate_domain::journey::{PairingPolicy, pair};

fn each(mut check: impl FnMut(&str, &Examples, &Tariff)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fares");
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".examples.toml") {
            continue;
        }
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        let examples: Examples = toml::from_str(&read(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let table =
            |name: &String| Arc::new(FareTable::parse(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}")));
        let tariff = Tariff::new(examples.tables.iter().map(table).collect()).unwrap();
        check(&name, &examples, &tariff);
        files += 1;
    }
    assert!(files >= 6, "{files} files of examples in {}", folder.display());
}

#[test]
fn published_examples_come_out_exactly() {
    let mut cases = 0;
    each(|name, examples, tariff| {
        assert!(examples.source.contains('.'), "{name} names no source");
        let failures = examples.failures(tariff);
        assert!(failures.is_empty(), "{name}: {failures:#?}");
        cases += examples.case.len();
    });
    assert!(cases >= 60, "{cases}");
}

#[test]
fn they_do_so_backwards_and_twice() {
    each(|name, examples, tariff| {
        for case in &examples.case {
            let taps = case.taps(tariff).unwrap();
            let arrived: Vec<_> = taps.iter().rev().chain(&taps).cloned().collect();
            let pairing = pair(&arrived, &PairingPolicy::default());
            let bill = tariff.bill(&Ride::of(&pairing), &case.rider);
            assert_eq!(bill, case.bill(tariff).unwrap(), "{name}: {}", case.name);
        }
    });
}
