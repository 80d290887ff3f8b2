//! Libraries that only one place may name, so that they can be replaced there.

use crate::tidy::Finding;
use crate::tidy::lexer::{self, Word};
use crate::tidy::tree::{File, Tree};

pub const REASON: &str = "ONNX Runtime, FAISS, sled, the HSM's interface and the wire format each hide behind one seam; whoever \
names them elsewhere moves the seam";

/// A crate and where its name may stand.
struct Seam {
    names: &'static [&'static str],
    applies: fn(&str) -> bool,
    only: &'static str,
}

const SEAMS: &[Seam] = &[
    Seam {
        names: &["ort"],
        applies: |path| !path.starts_with("models/src/session.rs"),
        only: "models/src/session.rs names ONNX Runtime",
    },
    Seam { names: &["faiss", "faiss_sys"], applies: |path| !path.starts_with("gallery/"), only: "gallery names FAISS" },
    Seam {
        names: &["sled"],
        applies: |path| !path.starts_with("runtime/"),
        only: "runtime names sled; others open a database with `Disk::database`",
    },
    Seam {
        names: &["cryptoki", "cryptoki_sys"],
        applies: |path| !path.starts_with("runtime/src/keys/pkcs11.rs"),
        only: "runtime/src/keys/pkcs11.rs names PKCS#11",
    },
    Seam {
        names: &["facegate_proto", "prost", "tonic", "tokio", "sled"],
        applies: |path| path.starts_with("domain/"),
        only: "code outside domain knows wire, runtime and store",
    },
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust().flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Finding> {
    let seams: Vec<&Seam> = SEAMS.iter().filter(|seam| (seam.applies)(&file.path)).collect();
    let mut findings = Vec::new();
    for word in lexer::words(&file.code).filter(is_crate) {
        for seam in seams.iter().filter(|seam| seam.names.contains(&word.word)) {
            findings.push(Finding::at(
                &file.path,
                word.line,
                format!("`{}` is named here; only {}", word.word, seam.only),
            ));
        }
    }
    findings
}

/// `ort::…` or `use ort`, not a module or variable of that name: `self.ort`, `crate::faiss::…`.
fn is_crate(word: &Word<'_>) -> bool {
    let before = word.before.trim_end();
    let inner = before.ends_with("::") && before.trim_end_matches("::").ends_with(lexer::is_word);
    let used = before.strip_suffix("use").is_some_and(|rest| !rest.ends_with(lexer::is_word));
    !inner && !before.ends_with('.') && (used || word.after.trim_start().starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn ort_is_named_in_one_file() {
        let text = "use ort::session::Session;\nfn f() -> ort::Result<()> {}\n// ort::x\nlet sort = crate::ort::y;\nuse {::ort::z};";
        assert_eq!(lines("models/src/detect.rs", text), [1, 2, 5]);
        assert_eq!(lines("models/src/session.rs", text), [0; 0]);
    }

    #[test]
    fn faiss_stays_in_the_gallery() {
        assert_eq!(lines("station-server/src/identify.rs", "\nuse faiss;\n"), [2]);
        assert_eq!(lines("gallery/src/exact.rs", "use faiss::Index;"), [0; 0]);
    }

    #[test]
    fn sled_stays_behind_the_database_of_runtime() {
        let text = "use sled::Tree;\nuse crate::store::sled::SledStore;\nmod sled;";
        assert_eq!(lines("cloud-sync/src/store.rs", text), [1]);
        assert_eq!(lines("runtime/src/kv.rs", text), [0; 0]);
    }

    #[test]
    fn the_domain_names_no_wire_type() {
        assert_eq!(lines("domain/src/tap.rs", "impl From<facegate_proto::v1::Tap> for Tap {}"), [1]);
        assert_eq!(lines("cloud-sync/src/intake.rs", "use facegate_proto::v1::Tap;"), [0; 0]);
    }
}
