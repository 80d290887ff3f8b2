//! The cloud's keys on a token: SoftHSM, through the operator's own program.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::harness::TestCloud;
use crate::keys::{done, refused};

const PIN: &str = "271828";

/// Where Debian puts it, by architecture.
fn module() -> PathBuf {
    let folders = ["softhsm", "x86_64-linux-gnu/softhsm", "aarch64-linux-gnu/softhsm"];
    let mut files = folders.iter().map(|folder| Path::new("/usr/lib").join(folder).join("libsofthsm2.so"));
    files.find(|file| file.exists()).expect("libsofthsm2.so is missing: `cargo xtask test` installs softhsm2")
}

fn make_token(dir: &Path) {
    std::fs::create_dir(dir.join("tokens")).unwrap();
    let text = format!("directories.tokendir = {}\nobjectstore.backend = file\n", dir.join("tokens").display());
    std::fs::write(dir.join("softhsm2.conf"), text).unwrap();
    std::fs::write(dir.join("pin"), PIN).unwrap();
    std::fs::set_permissions(dir.join("pin"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let init = ["--init-token", "--free", "--label", "metro", "--so-pin", "314159", "--pin", PIN];
    let made =
        Command::new("softhsm2-util").args(init).env("SOFTHSM2_CONF", dir.join("softhsm2.conf")).output().unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// The test's config, with an empty store of its own and the keys on the token.
fn write_config(dir: &Path, token: &str) {
    let text = std::fs::read_to_string(dir.join("cloud.toml")).unwrap();
    let text = text.replace("/state\"", "/hsm-state\"").replace(
        "[feed]",
        &format!(
            "[keys]\nkind = \"pkcs11\"\nmodule = \"{}\"\ntoken = \"{token}\"\npin_file = \"{}\"\n[feed]",
            module().display(),
            dir.join("pin").display()
        ),
    );
    std::fs::write(dir.join("hsm.toml"), text).unwrap();
}

fn keys(dir: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_facegate-cloud-sync");
    let mut command = Command::new(program);
    command.arg("keys").args(arguments).arg("--config").arg(dir.join("hsm.toml"));
    command.env("SOFTHSM2_CONF", dir.join("softhsm2.conf")).output().unwrap()
}

#[tokio::test]
async fn keys_on_a_token_are_listed_rotated_and_retired_like_others() {
    let cloud = TestCloud::start().await;
    let dir = cloud.dir.path();
    make_token(dir);
    write_config(dir, "metro");
    let first = done(&keys(dir, &["list"]));
    assert!(first.contains("templates") && first.contains("newest") && !dir.join("hsm-state/keys").exists(), "{first}");
    done(&keys(dir, &["rotate", "--purpose", "templates"]));
    let listed = done(&keys(dir, &["list"]));
    let old = listed.lines().find(|line| line.starts_with("templates") && line.contains("older")).unwrap();
    let old = old.split_whitespace().nth(1).unwrap();
    assert!(first.contains(old), "the first key is still there");
    let retire = ["retire", "--purpose", "templates", "--key", old];
    assert!(refused(&keys(dir, &retire)).contains("values are still sealed under"));
    done(&keys(dir, &["reseal"]));
    done(&keys(dir, &retire));
    assert!(!done(&keys(dir, &["list"])).contains(old));

    write_config(dir, "another");
    assert!(refused(&keys(dir, &["list"])).contains("there are: metro"));
    write_config(dir, "metro");
    std::fs::write(dir.join("pin"), "000000").unwrap();
    assert!(refused(&keys(dir, &["list"])).contains("refuses the PIN"));
}
