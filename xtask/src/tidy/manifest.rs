//! What a crate's Cargo.toml says it depends on.

use toml::{Table, Value};

/// One crate's manifest.
pub struct Manifest {
    table: Table,
}

/// One line of a dependency section.
pub struct Dependency {
    /// The package, whatever the crate calls it.
    pub package: String,
    /// Linked into what we ship, not only into tests.
    pub shipped: bool,
}

impl Manifest {
    /// None if it is not TOML (cargo has said so already).
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(|table| Self { table })
    }

    pub fn description(&self) -> &str {
        let package = self.table.get("package");
        package.and_then(|package| package.get("description")).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn lints_are_the_workspace_s(&self) -> bool {
        self.table.get("lints").and_then(|lints| lints.get("workspace")).and_then(Value::as_bool) == Some(true)
    }

    /// Of all sections, those for one target included.
    pub fn dependencies(&self) -> Vec<Dependency> {
        let targets = self.table.get("target").and_then(Value::as_table);
        let tables = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
        tables.chain([&self.table]).flat_map(sections).collect()
    }
}

fn sections(table: &Table) -> Vec<Dependency> {
    let mut found = Vec::new();
    for (section, shipped) in [("dependencies", true), ("build-dependencies", true), ("dev-dependencies", false)] {
        for (name, value) in table.get(section).and_then(Value::as_table).into_iter().flatten() {
            let package = value.get("package").and_then(Value::as_str).unwrap_or(name);
            found.push(Dependency { package: package.to_owned(), shipped });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renamed_and_target_dependencies_are_seen() {
        let text = "[dependencies]\nrt = { package = \"tokio\", version = \"1\" }\n[target.'cfg(unix)'.dev-dependencies]\nsled = \"0.34\"";
        let found: Vec<_> =
            Manifest::parse(text).unwrap().dependencies().into_iter().map(|d| (d.package, d.shipped)).collect();
        assert_eq!(found, [("sled".to_owned(), false), ("tokio".to_owned(), true)]);
    }
}
