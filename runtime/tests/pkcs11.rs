//! Keys on a token: SoftHSM, made anew for each test.
//!
//! A PKCS#11 module belongs to the process that initialised it, and SoftHSM finds its tokens by an environment variable.
//! So each test starts itself again in a process of its own, with a token of its own.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use facegate_runtime::keys::{Key, KeyError, KeyProvider, Pkcs11Config, Pkcs11Keys, SealError, Sealer};

const TOKEN: &str = "facegate-test";
const PIN: &str = "271828";

/// In the process of its own: where the token is. In the first process, which only waits for the other: `None`.
fn with_token(test: &str) -> Option<PathBuf> {
    if let Some(conf) = std::env::var_os("SOFTHSM2_CONF") {
        return Some(Path::new(&conf).parent().unwrap().to_owned());
    }
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("softhsm2.conf");
    let tokens = dir.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let text = format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display());
    std::fs::write(&conf, text).unwrap();
    write_pin(dir.path(), PIN);
    let init = ["--init-token", "--free", "--label", TOKEN, "--so-pin", "314159", "--pin", PIN];
    let made = Command::new("softhsm2-util").args(init).env("SOFTHSM2_CONF", &conf).output();
    let made = made.expect("softhsm2-util is missing: `cargo xtask test` installs softhsm2");
    assert!(made.status.success(), "{made:?}");
    let again = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("SOFTHSM2_CONF", &conf)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&again.stderr));
    None
}

fn write_pin(dir: &Path, pin: &str) -> PathBuf {
    let file = dir.join("pin");
    std::fs::write(&file, format!("{pin}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    file
}

fn config(dir: &Path) -> Pkcs11Config {
    Pkcs11Config { module: module(), token: TOKEN.into(), pin_file: dir.join("pin") }
}

/// Where Debian puts it, by architecture.
fn module() -> PathBuf {
    let folders = ["softhsm", "x86_64-linux-gnu/softhsm", "aarch64-linux-gnu/softhsm"];
    let mut files = folders.iter().map(|folder| Path::new("/usr/lib").join(folder).join("libsofthsm2.so"));
    files.find(|file| file.exists()).expect("libsofthsm2.so is missing: `cargo xtask test` installs softhsm2")
}

#[test]
fn a_token_keeps_a_purpose_s_keys_through_rotation_and_destroys_a_retired_one() {
    let Some(dir) = with_token("a_token_keeps_a_purpose_s_keys_through_rotation_and_destroys_a_retired_one") else {
        return;
    };
    let keys = Pkcs11Keys::open(config(&dir)).unwrap();
    assert!(keys.existing("templates").unwrap().is_none());
    let first = keys.key("templates").unwrap();
    assert_eq!(Pkcs11Keys::open(config(&dir)).unwrap().key("templates").unwrap().expose(), first.expose());
    assert_ne!(keys.key("identities").unwrap().id(), first.id());
    let sealed = Sealer::new(&first).seal(b"a face", b"rider 7").unwrap();

    let second = keys.rotate("templates").unwrap();
    let ring = keys.ring("templates").unwrap();
    assert_eq!(ring.iter().map(Key::id).collect::<Vec<_>>(), [second.id(), first.id()]);
    assert_eq!(Sealer::of(&ring).open(&sealed, b"rider 7").unwrap().as_slice(), b"a face");

    assert!(matches!(keys.retire("templates", second.id()), Err(KeyError::Newest { .. })));
    keys.retire("templates", first.id()).unwrap();
    assert!(matches!(keys.retire("templates", first.id()), Err(KeyError::Unknown { .. })));
    let after = Sealer::of(&keys.ring("templates").unwrap()).open(&sealed, b"rider 7");
    assert!(matches!(after, Err(SealError::OtherKey { .. })), "the key is gone for good: {after:?}");
    assert!(matches!(keys.key("../escape"), Err(KeyError::BadPurpose(_))));
}

#[test]
fn the_master_cannot_be_taken_from_the_token() {
    let Some(dir) = with_token("the_master_cannot_be_taken_from_the_token") else { return };
    let keys = Pkcs11Keys::open(config(&dir)).unwrap();
    let data_key = keys.key("templates").unwrap();
    // SoftHSM keeps objects in files, encrypted under the PIN; neither the master nor what is derived lies there.
    let mut files = 0;
    for token in std::fs::read_dir(dir.join("tokens")).unwrap() {
        for object in std::fs::read_dir(token.unwrap().path()).unwrap() {
            let bytes = std::fs::read(object.unwrap().path()).unwrap();
            assert!(!bytes.windows(32).any(|window| window == data_key.expose()));
            files += 1;
        }
    }
    assert!(files > 1, "the token holds the object");
}

#[test]
fn a_wrong_pin_is_named_and_not_tried_again() {
    let Some(dir) = with_token("a_wrong_pin_is_named_and_not_tried_again") else { return };
    let pin_file = write_pin(&dir, "000000");
    let refused = Pkcs11Keys::open(config(&dir)).unwrap_err();
    assert!(matches!(&refused, KeyError::Pin { token, .. } if token == TOKEN), "{refused}");
    assert!(refused.to_string().contains(&pin_file.display().to_string()), "{refused}");

    write_pin(&dir, PIN);
    std::fs::set_permissions(&pin_file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(Pkcs11Keys::open(config(&dir)), Err(KeyError::Exposed { mode: 0o644, .. })));
}

#[test]
fn a_missing_token_and_a_missing_module_say_what_there_is_and_what_to_do() {
    let Some(dir) = with_token("a_missing_token_and_a_missing_module_say_what_there_is_and_what_to_do") else { return };
    let other = Pkcs11Config { token: "not-there".into(), ..config(&dir) };
    let refused = Pkcs11Keys::open(other).unwrap_err().to_string();
    assert!(refused.contains("not-there") && refused.contains(TOKEN) && refused.contains("keys.token"), "{refused}");

    let no_module = Pkcs11Config { module: dir.join("libhsm.so"), ..config(&dir) };
    let refused = Pkcs11Keys::open(no_module).unwrap_err();
    assert!(matches!(refused, KeyError::Module { .. }), "{refused}");
    let no_module = Pkcs11Config { module: dir.join("pin"), ..config(&dir) };
    assert!(matches!(Pkcs11Keys::open(no_module), Err(KeyError::Module { .. })));
}

#[test]
fn a_token_that_is_gone_is_an_error_and_never_a_new_key() {
    let Some(dir) = with_token("a_token_that_is_gone_is_an_error_and_never_a_new_key") else { return };
    let keys = Pkcs11Keys::open(config(&dir)).unwrap();
    let key = keys.key("templates").unwrap();
    let (here, away) = (dir.join("tokens"), dir.join("away"));
    std::fs::rename(&here, &away).unwrap();
    let gone = keys.key("templates");
    assert!(gone.as_ref().map_or(true, |again| again.id() == key.id()), "{gone:?}");
    std::fs::create_dir(&here).unwrap();
    let gone = keys.rotate("templates");
    assert!(matches!(gone, Err(KeyError::Token { .. } | KeyError::NoToken { .. })), "{gone:?}");
}
