//! What goes to banks and comes from them, held against the schemas of ISO 20022 as packages of other people carry them.

use std::path::{Path, PathBuf};
use std::process::Command;

use facegate_cloud_sync::books::payment::{Party, Payees, Payment};
use facegate_domain::Timestamp;
use facegate_domain::money::BasisPoints;

use crate::harness::cny;
use crate::stripe::python;

/// A file of the schema's package, found without running any of its code.
const VALIDATE: &str = "
import importlib.util, pathlib, sys, xmlschema
package, schema, document = sys.argv[1:]
folder = pathlib.Path(importlib.util.find_spec(package).submodule_search_locations[0])
xmlschema.XMLSchema(str(folder / schema)).validate(document)
";

/// What the validator says against it; empty if nothing.
fn against(package: &str, schema: &str, document: &Path) -> String {
    let output = Command::new(python()).args(["-c", VALIDATE, package, schema]).arg(document).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_payment_file_is_what_its_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let party = |name: &str, account| Party::new(name.to_owned(), account, "COBADEFFXXX").unwrap();
    let payees = Payees {
        payer: party("Metro", "DE89 3704 0044 0532 0130 00"),
        payees: vec![
            (party("Line & Sons", "6222021234567890"), BasisPoints::new(3_333)),
            (party("Betrieb Süd", "DE89 3704 0044 0532 0130 00"), BasisPoints::new(6_667)),
        ],
    };
    let payment = Payment::of(jiff::civil::date(2026, 11, 29), cny(123_457), &payees).unwrap().unwrap();
    let text = payment.xml(Timestamp::from_unix_ms(1_795_000_000_123)).unwrap();
    let schema = "schemas/pain.001.001.09.xsd";
    assert_eq!(against("sepaxml", schema, &written(folder.path(), "good.xml", &text)), "");
    for (what, bad) in [
        ("no agent", text.replace("CdtrAgt", "CdtrAgent")),
        ("another account", text.replace("DE89370400440532013000", "89")),
        ("another method", text.replace(">TRF<", ">CASH<")),
    ] {
        assert_ne!(against("sepaxml", schema, &written(folder.path(), "bad.xml", &bad)), "", "{what} is found");
    }
}

#[test]
fn the_statement_that_our_reader_is_tested_with_is_what_its_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let text = include_str!("../../../cloud-sync/src/books/statement/sample.xml");
    let schema = "xsd/camt.053.001.08.xsd";
    assert_eq!(against("camt053", schema, &written(folder.path(), "good.xml", text)), "");
    let bad = text.replace("<Sts><Cd>BOOK</Cd></Sts>", "");
    assert_ne!(against("camt053", schema, &written(folder.path(), "bad.xml", &bad)), "");
}
