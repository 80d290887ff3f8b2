//! Only the manifest's files are loaded; anything else is refused by name, with what to run.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use facegate_models::home::Home;
use facegate_models::{EngineOptions, FaceEngine, ModelError};
use tempfile::TempDir;

use crate::engine;

/// A home of links to the real files, so that one can be replaced.
fn copy_of_home() -> TempDir {
    engine(); // Says what to run if there are no real files.
    let (real, copy) = (Home::from_env(), tempfile::tempdir().unwrap());
    for folder in ["models", "onnxruntime"] {
        fs::create_dir(copy.path().join(folder)).unwrap();
        for entry in fs::read_dir(real.root().join(folder)).unwrap() {
            let entry = entry.unwrap();
            let file = fs::canonicalize(entry.path()).unwrap();
            std::os::unix::fs::symlink(file, copy.path().join(folder).join(entry.file_name())).unwrap();
        }
    }
    copy
}

/// Puts `change` of a file's bytes in its place; the link goes, the real file stays.
fn replace(home: &TempDir, file: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    let path = home.path().join(file);
    let changed = change(fs::read(&path).unwrap());
    fs::remove_file(&path).unwrap();
    fs::write(&path, changed).unwrap();
}

fn load(home: &TempDir) -> Result<FaceEngine, ModelError> {
    FaceEngine::load(&home.path().join("models"), EngineOptions::default())
}

fn program(home: PathBuf, arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_facegate-models"));
    program.args(arguments).env("FACEGATE_HOME", home).output().unwrap()
}

#[test]
fn an_altered_and_a_cut_off_model_are_refused_by_name() {
    let home = copy_of_home();
    assert!(load(&home).is_ok());
    replace(&home, "models/sface-2021dec.onnx", |mut bytes| {
        bytes[1_000_000] ^= 1;
        bytes
    });
    let refused = load(&home).unwrap_err();
    assert!(matches!(&refused, ModelError::WrongFile { name, .. } if name == "sface-2021dec"), "{refused}");

    replace(&home, "models/yunet-2023mar.onnx", |bytes| bytes[..bytes.len() / 2].to_vec());
    let refused = load(&home).unwrap_err().to_string();
    assert!(refused.contains("yunet-2023mar") && refused.contains("cargo xtask models"), "{refused}");
}

#[test]
fn a_missing_model_and_a_missing_runtime_say_what_to_run() {
    let home = copy_of_home();
    fs::remove_file(home.path().join("onnxruntime/libonnxruntime.so")).unwrap();
    let refused = load(&home).unwrap_err();
    assert!(matches!(refused, ModelError::RuntimeMissing { .. }), "{refused}");
    fs::remove_file(home.path().join("models/yunet-2023mar.onnx")).unwrap();
    let refused = load(&home).unwrap_err();
    assert!(matches!(&refused, ModelError::Missing { name, .. } if name == "yunet-2023mar"), "{refused}");
    assert!(refused.to_string().contains("cargo xtask models"));
}

/// In a process of its own: ONNX Runtime is loaded once per process, and this one has the right one already.
#[test]
fn a_file_that_is_no_library_is_refused_as_runtime() {
    let home = copy_of_home();
    replace(&home, "onnxruntime/libonnxruntime.so", |_| b"not a library".to_vec());
    let output = program(home.path().to_owned(), &["check", "none.jpg"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("libonnxruntime.so cannot be used") && said.contains("cargo xtask models"), "{said}");
}

/// What an old release answers, in C; nothing else of it is asked before its version is known.
const OLD_RUNTIME: &str = r#"
static const char* version(void) { return "1.16.3"; }
static const void* api(unsigned wanted) { return wanted > 16 ? 0 : &api; }
static const struct { const void* (*api)(unsigned); const char* (*version)(void); } base = { api, version };
const void* OrtGetApiBase(void) { return &base; }
"#;

#[test]
fn a_runtime_that_is_too_old_is_named_with_its_version() {
    let home = copy_of_home();
    let (source, library) = (home.path().join("old.c"), home.path().join("onnxruntime/libonnxruntime.so"));
    fs::write(&source, OLD_RUNTIME).unwrap();
    fs::remove_file(&library).unwrap();
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(compiled.is_ok_and(|status| status.success()), "cc makes the old runtime: is build-essential installed?");
    let output = program(home.path().to_owned(), &["check", "none.jpg"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(
        said.contains("is version 1.16.3, at least 1.24 is needed") && said.contains("cargo xtask models"),
        "{said}"
    );
}

#[test]
fn verify_names_each_wrong_file_and_passes_on_the_right_ones() {
    let good = program(Home::from_env().root().to_owned(), &["verify"]);
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stdout));
    let home = copy_of_home();
    replace(&home, "models/yunet-2023mar.onnx", |bytes| bytes[1..].to_vec());
    let bad = program(home.path().to_owned(), &["verify"]);
    let said = String::from_utf8_lossy(&bad.stdout).into_owned();
    assert!(!bad.status.success());
    assert!(said.contains("yunet-2023mar.onnx is not the manifest's file"), "{said}");
    assert!(said.contains("person_a_1.jpg is missing") && !said.contains("sface-2021dec"), "{said}");
}

#[test]
fn list_prints_every_licence_and_no_address() {
    let output = program(Home::from_env().root().to_owned(), &["list"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for licence in ["MIT", "Apache-2.0", "CC-BY-3.0", "public domain"] {
        assert!(said.contains(licence), "{licence}");
    }
    assert!(!said.contains("://"));
}
