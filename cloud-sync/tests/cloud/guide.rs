//! The operator's guide names commands and figures that exist.

use std::path::Path;
use std::process::Command;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join(path)).unwrap()
}

/// Every Rust file below `folder`.
fn read_all(folder: &Path, code: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, code);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            code.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

/// Words as a shell parts them; single quotes hold one together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (n, part) in line.split('\'').enumerate() {
        if n % 2 == 1 {
            words.last_mut().unwrap().push_str(part);
            continue;
        }
        for c in part.chars() {
            if c == ' ' { words.push(String::new()) } else { words.last_mut().unwrap().push(c) }
        }
    }
    words.into_iter().filter(|word| !word.is_empty()).collect()
}

#[test]
fn every_command_of_the_guide_is_understood_as_it_is_written() {
    let guide = read("docs/OPERATING.md");
    let commands: Vec<&str> = guide.lines().filter_map(|line| line.strip_prefix("    facegate-cloud-sync ")).collect();
    assert!(commands.len() > 8, "the guide's commands are not found");
    for line in commands {
        // With --help at the end everything before it is parsed, and nothing is done.
        let output =
            Command::new(env!("CARGO_BIN_EXE_facegate-cloud-sync")).args(words(line)).arg("--help").output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_figure_of_the_guide_is_set_somewhere() {
    let guide = read("docs/OPERATING.md");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut code = String::new();
    for folder in ["cloud-sync", "runtime", "station-server", "gate-agent"] {
        read_all(&root.join(folder).join("src"), &mut code);
    }
    let mut figures = 0;
    for name in guide.split('`').filter(|word| word.starts_with("facegate_")) {
        assert!(code.contains(&format!("\"{name}\"")), "{name} is set nowhere");
        figures += 1;
    }
    assert!(figures > 5);
}
