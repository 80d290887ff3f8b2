//! Has a real browser do what a script of this folder says, for the tests of every crate that serves pages: included by
//! its path. What it needs, `cargo xtask test` brings: Chromium, Node.js and the packages of `package-lock.json`.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

/// Runs `script`, such as `cloud/books.mjs`, with `given`; gives what it answers. Panics with what it says if it fails.
pub async fn drive(script: &str, given: &Value) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = root.join("pages-tests");
    assert!(folder.join("node_modules").is_dir(), "no packages for the browser: `cargo xtask test` brings them");
    let mut node = Command::new("node");
    node.arg(folder.join(script)).arg(given.to_string()).current_dir(root).kill_on_drop(true);
    let done = node.stdin(Stdio::null()).output().await.expect("Node.js is there: `cargo xtask test` brings it");
    let (said, answer) = (String::from_utf8_lossy(&done.stderr), String::from_utf8_lossy(&done.stdout));
    assert!(done.status.success(), "{script}: {said}");
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{script} answered {answer:?}: {error}"))
}
