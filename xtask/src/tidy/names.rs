//! Files whose name says nothing about what is in them.

use crate::tidy::Finding;
use crate::tidy::tree::Tree;

pub const REASON: &str =
    "a newcomer finds a file by its name: `foo.rs` stands beside `foo/`, and what a helper is for names its file";

const NAMELESS: [&str; 7] = ["util.rs", "utils.rs", "helper.rs", "helpers.rs", "misc.rs", "common.rs", "stuff.rs"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let judged = tree.files.iter().filter_map(|file| {
        let what = match file.name() {
            "mod.rs" => "a mod.rs; name it after its folder and put it beside that",
            name if NAMELESS.contains(&name) => "a drawer of odds and ends; name it by what it holds",
            _ => return None,
        };
        Some(Finding::whole(&file.path, what))
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mod_and_utils_are_found() {
        let tree = Tree::of(&[("a/src/b/mod.rs", ""), ("a/src/utils.rs", ""), ("a/src/model.rs", "")]);
        let paths: Vec<_> = check(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["a/src/b/mod.rs", "a/src/utils.rs"]);
    }
}
