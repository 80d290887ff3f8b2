//! Files and functions that have grown too long.

use crate::tidy::Finding;
use crate::tidy::lexer;
use crate::tidy::tree::{File, Tree};

pub const REASON: &str = "a file is one room and a function one thought; past this they hold two. Split by what a \
newcomer would look for, not by length";

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
/// What people write by hand.
const WRITTEN: [&str; 10] = ["rs", "proto", "js", "ts", "tsx", "svelte", "css", "html", "py", "sh"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.files.iter().filter(|file| WRITTEN.contains(&file.extension().as_str())).flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = file.text.lines().count();
    if lines > FILE_LINES_MAX {
        findings.push(Finding::whole(&file.path, format!("{lines} lines; {FILE_LINES_MAX} are the most")));
    }
    for function in functions(&file.code).filter(|function| function.lines > FUNCTION_LINES_MAX) {
        let what = format!("fn {} has {} lines; {FUNCTION_LINES_MAX} are the most", function.name, function.lines);
        findings.push(Finding::at(&file.path, function.line, what));
    }
    findings
}

struct Function<'a> {
    name: &'a str,
    line: usize,
    lines: usize,
}

/// Every function with a body: from the line of its `fn` to that of its closing brace.
fn functions(code: &str) -> impl Iterator<Item = Function<'_>> {
    lexer::words(code).filter(|word| word.word == "fn").filter_map(|word| {
        let name = word.after.trim_start().split(|c| !lexer::is_word(c)).next().unwrap_or_default();
        let lines = lines_to_closing_brace(word.after)?;
        (!name.is_empty()).then_some(Function { name, line: word.line, lines })
    })
}

/// Lines to the end of the body that follows; none if the declaration ends without one.
fn lines_to_closing_brace(signature: &str) -> Option<usize> {
    let (mut groups, mut braces) = (0_usize, 0_usize);
    let mut lines = 1;
    for c in signature.chars() {
        match c {
            '\n' => lines += 1,
            '(' | '[' => groups += 1,
            ')' | ']' => groups = groups.saturating_sub(1),
            ';' if groups == 0 && braces == 0 => return None,
            '{' => braces += 1,
            '}' if braces == 1 => return Some(lines),
            '}' => braces = braces.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_long_file_is_found_whatever_it_is_written_in() {
        let text = "-- a line\n".repeat(401);
        assert_eq!(what("a.proto", &text), ["401 lines; 400 are the most"]);
        assert_eq!(what("a.proto", &text[10..]), [""; 0]);
        assert_eq!(what("Cargo.lock", &text), [""; 0]);
    }

    #[test]
    fn a_long_function_is_found_by_name_and_line() {
        let text = format!("fn short() {{}}\n\nfn long(\n) -> [u8; 2] {{\n{}}}\n", "    f(\"}\"); // }\n".repeat(68));
        let findings = check(&Tree::of(&[("a.rs", &text)]));
        assert_eq!(findings, [Finding::at("a.rs", 3, "fn long has 71 lines; 70 are the most")]);
        let text = text.replacen("    f", "f", 1).replacen("\n)", ")", 1);
        assert_eq!(what("a.rs", &text), [""; 0]);
    }

    #[test]
    fn function_types_and_declarations_have_no_body() {
        let text = format!("trait T {{ fn a(&self); }}\ntype F = fn(u8);\nmod m {{{}}}", "\n".repeat(100));
        assert_eq!(what("a.rs", &text), [""; 0]);
    }
}
