//! Which crate may depend on which: the table of DESIGN.md ("must never") as a test.

use crate::tidy::Finding;
use crate::tidy::manifest::Manifest;
use crate::tidy::tree::Tree;

pub const REASON: &str = "data flows in one direction and each crate is kept ignorant of what it must never touch; what two \
services need goes down into domain, proto, gallery or runtime";

/// What one crate may depend on.
struct Place {
    folder: &'static str,
    /// Crates of ours it may use; no other.
    ours: &'static [&'static str],
    /// Groups of foreign crates it must not ship with.
    never: &'static [&'static [&'static str]],
}

const NETWORK: &[&str] = &["tokio", "tonic", "hyper", "axum", "reqwest", "tower", "rustls", "futures", "async-trait"];
const WIRE: &[&str] = &["prost", "tonic"];
const STORES: &[&str] = &["sled", "sqlx", "redb"];
/// Databases inside the process hide in runtime.
const EMBEDDED: &[&str] = &["sled", "redb"];
const PICTURES: &[&str] = &["image", "ort", "rqrr", "rxing"];
const INFERENCE: &[&str] = &["ort"];
const SEARCH: &[&str] = &["faiss"];

const PLACES: &[Place] = &[
    Place { folder: "domain", ours: &[], never: &[NETWORK, WIRE, STORES, PICTURES, SEARCH] },
    Place { folder: "proto", ours: &["domain"], never: &[STORES, PICTURES, SEARCH] },
    Place { folder: "models", ours: &["domain"], never: &[NETWORK, STORES, SEARCH] },
    Place { folder: "gallery", ours: &["domain"], never: &[NETWORK, WIRE, PICTURES] },
    Place { folder: "runtime", ours: &["domain"], never: &[PICTURES, SEARCH] },
    Place {
        folder: "gate-agent",
        ours: &["domain", "models", "proto", "runtime"],
        never: &[INFERENCE, SEARCH, STORES],
    },
    Place {
        folder: "station-server",
        ours: &["domain", "gallery", "proto", "runtime"],
        never: &[PICTURES, SEARCH, STORES],
    },
    Place {
        folder: "cloud-sync",
        ours: &["domain", "gallery", "models", "proto", "runtime"],
        never: &[PICTURES, SEARCH, EMBEDDED],
    },
    // Nothing may use loadtest, and it may drive anything.
    Place {
        folder: "loadtest",
        ours: &["cloud-sync", "domain", "gallery", "gate-agent", "models", "proto", "runtime", "station-server"],
        never: &[],
    },
    // It compiles before anything is set up.
    Place { folder: "xtask", ours: &[], never: &[NETWORK, WIRE, STORES, PICTURES, SEARCH] },
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.crates.iter().flat_map(|folder| check_crate(tree, folder)).collect()
}

fn check_crate(tree: &Tree, folder: &str) -> Vec<Finding> {
    let path = format!("{folder}/Cargo.toml");
    let Some(manifest) = tree.file(&path).and_then(|file| Manifest::parse(&file.text)) else { return Vec::new() };
    let Some(place) = PLACES.iter().find(|place| place.folder == folder) else {
        return vec![Finding::whole(
            &path,
            "a crate without a place: say in xtask/src/tidy/edges.rs what it may depend on",
        )];
    };
    let mut findings = Vec::new();
    for dependency in manifest.dependencies() {
        let package = dependency.package.as_str();
        let refused = match package.strip_prefix("facegate-") {
            Some(ours) => !place.ours.contains(&ours),
            None => {
                dependency.shipped && place.never.iter().copied().flatten().any(|&never| is_or_extends(package, never))
            }
        };
        if refused {
            findings.push(Finding::whole(&path, format!("{folder} must not depend on {package}")));
        }
    }
    findings
}

/// `tonic` and `tonic-health` both are tonic.
fn is_or_extends(package: &str, never: &str) -> bool {
    package.strip_prefix(never).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(folder: &str, dependencies: &str) -> Vec<String> {
        let path = format!("{folder}/Cargo.toml");
        let mut tree = Tree::of(&[(path.as_str(), dependencies)]);
        tree.crates.push(folder.to_owned());
        check(&tree).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn the_domain_stays_pure() {
        let found = what(
            "domain",
            "[dependencies]\nserde.workspace = true\ntonic-health = \"0.14\"\nfacegate-proto.workspace = true",
        );
        assert_eq!(found, ["domain must not depend on facegate-proto", "domain must not depend on tonic-health"]);
    }

    #[test]
    fn services_do_not_know_each_other_even_in_tests() {
        let found = what("station-server", "[dev-dependencies]\nfacegate-cloud-sync = { path = \"../cloud-sync\" }");
        assert_eq!(found, ["station-server must not depend on facegate-cloud-sync"]);
    }

    #[test]
    fn no_server_links_the_load_generator() {
        for server in ["gate-agent", "station-server", "cloud-sync"] {
            assert_eq!(what(server, "[dependencies]\nfacegate-loadtest.workspace = true").len(), 1, "{server}");
        }
    }

    #[test]
    fn a_station_sees_no_image_and_a_gallery_no_network() {
        assert_eq!(what("station-server", "[dependencies]\nimage.workspace = true").len(), 1);
        assert_eq!(what("gallery", "[dependencies]\ntokio-stream.workspace = true").len(), 1);
        assert_eq!(
            what("gallery", "[dependencies]\nfaiss.workspace = true\n[dev-dependencies]\ntokio.workspace = true"),
            [""; 0]
        );
    }

    #[test]
    fn a_new_crate_must_be_given_a_place() {
        assert_eq!(what("billing", "[dependencies]").len(), 1);
    }
}
