//! The operator's certificate authority by its own program.

use std::path::Path;
use std::process::{Command, Output};

use facegate_runtime::identity::{DeviceIdentity, TlsPaths};

use crate::keys::{done, refused};

fn ca(dir: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_facegate-cloud-sync");
    Command::new(program).args(["ca", "--dir"]).arg(dir.join("ca")).args(arguments).output().unwrap()
}

#[test]
fn an_operator_makes_a_ca_issues_lists_and_revokes() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("north");
    let issue =
        |id: &str| ["issue", "station", id, "--host", "north.example", "--days", "60", "--out"].map(str::to_owned);
    let issue = |id: &str| {
        let mut arguments: Vec<String> = issue(id).to_vec();
        arguments.push(out.display().to_string());
        done(&ca(dir.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    done(&ca(dir.path(), &["create", "Metro operator"]));
    assert!(refused(&ca(dir.path(), &["create", "Another"])).contains("cuts off every device"));
    assert!(issue("north").contains("station/north, 60 days, serial"));
    let file = |name: &str| out.join(name);
    let crl = Some(dir.path().join("ca/crl.pem"));
    let paths =
        TlsPaths { cert: file("station-north.pem"), key: file("station-north-key.pem"), ca: file("ca.pem"), crl };
    let identity = DeviceIdentity::load(&paths).unwrap();
    assert_eq!(identity.name().to_string(), "station/north");

    let listed = done(&ca(dir.path(), &["list"]));
    assert!(listed.contains(&identity.serial()) && listed.contains("counts"), "{listed}");
    assert!(done(&ca(dir.path(), &["revoke", "station/north"])).contains(&identity.serial()));
    assert!(done(&ca(dir.path(), &["list"])).contains("revoked"));
    identity.reload().unwrap();
    // Renewed by issuing again into the same folder.
    issue("north");
    identity.reload().unwrap();
    assert!(done(&ca(dir.path(), &["list"])).contains("counts"));

    assert!(refused(&ca(dir.path(), &["revoke", "gate/nobody"])).contains("ca list"));
    let monitor = ["issue", "monitor", "m1", "--host", "x.example", "--out", "never-made"];
    assert!(refused(&ca(dir.path(), &monitor)).contains("needs no --host"));
    assert!(refused(&ca(dir.path(), &["issue", "king", "x", "--out", "never-made"])).contains("not a Facegate role"));
}
