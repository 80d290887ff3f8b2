//! The published tables and their examples, as `domain/fares` holds them.

use std::sync::Arc;

use anyhow::{Context, Result};
use facegate_domain::fares::worked::Examples;
use facegate_domain::fares::{FareTable, Tariff};

macro_rules! published {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../../domain/fares/", $name)))),*]
    };
}

const FILES: &[(&str, &str)] = &published!(
    "beijing-2014.toml" "beijing-2014.examples.toml"
    "delhi-2017.toml" "delhi-2017.examples.toml"
    "london-2025.toml" "london-2025.examples.toml"
    "london-bus-2025.toml" "london-bus-2025.examples.toml"
    "new-york-2022.toml" "new-york-2023.toml" "new-york.examples.toml"
    "seoul-2015.toml" "seoul-2015.examples.toml"
);

/// How many examples there are, and how many came out otherwise; those are printed.
pub fn check() -> Result<(usize, usize)> {
    let (mut examples, mut failures) = (0, 0);
    for (name, text) in FILES.iter().filter(|(name, _)| name.ends_with(".examples.toml")) {
        let file: Examples = toml::from_str(text).with_context(|| (*name).to_owned())?;
        let tariff = tariff(&file).with_context(|| (*name).to_owned())?;
        for (case, failure) in file.failures(&tariff) {
            println!("{name}: {case}: {failure}");
            failures += 1;
        }
        println!("{name}: {} examples; {}", file.case.len(), file.source);
        examples += file.case.len();
    }
    Ok((examples, failures))
}

fn tariff(file: &Examples) -> Result<Tariff> {
    let table = |name: &String| {
        let (_, text) = FILES.iter().find(|(known, _)| known == name).with_context(|| format!("no file {name}"))?;
        Ok(Arc::new(FareTable::parse(text)?))
    };
    Ok(Tariff::new(file.tables.iter().map(table).collect::<Result<_>>()?)?)
}
