//! Whether ARCHITECTURE.md tells the truth about the folders.

use crate::tidy::Finding;
use crate::tidy::tree::Tree;

pub const REASON: &str =
    "the architecture page is the map by which newcomers walk; every crate is on it, and every path on it exists";

const PAGE: &str = "ARCHITECTURE.md";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.file(PAGE) else { return vec![Finding::whole(PAGE, "there is none")] };
    let absent = tree.crates.iter().filter(|folder| !page.text.contains(folder.as_str()));
    let mut findings: Vec<_> =
        absent.map(|folder| Finding::whole(PAGE, format!("the crate {folder} is not on it"))).collect();
    for (index, line) in page.text.lines().enumerate() {
        let wrong = quoted(line).filter(|path| is_ours(tree, path) && !exists(tree, path));
        findings.extend(wrong.map(|path| Finding::at(PAGE, index + 1, format!("`{path}` does not exist"))));
    }
    findings
}

/// What stands between backticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// A path into one of our crates, as in `gallery/src/engine.rs`.
fn is_ours(tree: &Tree, path: &str) -> bool {
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    plain && path.split_once('/').is_some_and(|(first, _)| tree.crates.iter().any(|folder| folder == first))
}

/// As a file, a folder, or a module named without its `.rs` or without `src/`.
fn exists(tree: &Tree, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let in_src = path.split_once('/').map_or_else(String::new, |(first, rest)| format!("{first}/src/{rest}"));
    [path, &in_src].iter().any(|path| {
        tree.files.iter().any(|file| {
            file.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest == ".rs" || rest.starts_with('/'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(page: &str) -> Vec<String> {
        let mut tree = Tree::of(&[(PAGE, page), ("gallery/src/engine.rs", ""), ("domain/src/fares/bands.rs", "")]);
        tree.crates = vec!["domain".to_owned(), "gallery".to_owned()];
        check(&tree).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_crate_that_is_missing_from_the_page_is_found() {
        assert_eq!(what("only the domain"), ["the crate gallery is not on it"]);
    }

    #[test]
    fn a_path_that_does_not_exist_is_found() {
        let page =
            "domain, gallery: `gallery/src/engine.rs` `gallery/engine` `domain/fares/` `gallery/src/hnsw.rs` `a/b`";
        assert_eq!(what(page), ["`gallery/src/hnsw.rs` does not exist"]);
    }
}
