//! Code that admits it is not finished, and tests that are switched off without a word.

use crate::tidy::Finding;
use crate::tidy::lexer;
use crate::tidy::tree::{File, Tree};

pub const REASON: &str = "what is committed is finished: thin is fine, pretended is not. A test that is switched off says why, as \
#[ignore = \"…\"]";

/// Split, so that this file does not find itself.
const MARKS: [&str; 2] = [concat!("FIX", "ME"), concat!("XX", "X:")];

pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust().flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for word in lexer::words(&file.code) {
        let after = word.after.trim_start();
        let what = match word.word {
            "todo" | "unimplemented" if after.starts_with('!') => format!("{}!", word.word),
            "ignore" if word.before.trim_end().ends_with("#[") && !after.starts_with('=') => {
                "#[ignore] without a reason".to_owned()
            }
            _ => continue,
        };
        findings.push(Finding::at(&file.path, word.line, what));
    }
    for (index, line) in file.text.lines().enumerate() {
        findings.extend(
            MARKS.iter().filter(|mark| line.contains(**mark)).map(|mark| Finding::at(&file.path, index + 1, *mark)),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(text: &str) -> Vec<String> {
        check(&Tree::of(&[("a.rs", text)])).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn unfinished_code_is_found() {
        assert_eq!(what("fn f() { todo!() }\nfn g() { unimplemented!(\"x\") }"), ["todo!", "unimplemented!"]);
        assert_eq!(what(&format!("// {}: later", MARKS[0])), [MARKS[0]]);
        assert_eq!(what("// a todo!() in words, \"todo!()\"\nlet todo = 1;"), [""; 0]);
    }

    #[test]
    fn an_ignored_test_gives_its_reason() {
        assert_eq!(what("#[ignore]\nfn t() {}"), ["#[ignore] without a reason"]);
        assert_eq!(what("#[ignore = \"needs a camera\"]\nfn t() {}\n#[serde(ignore)]"), [""; 0]);
    }
}
