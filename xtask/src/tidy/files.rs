//! Files that do not belong into a repository of source text.

use crate::tidy::Finding;
use crate::tidy::tree::{File, Tree};

pub const REASON: &str = "models, portraits and libraries are fetched by `cargo xtask models`, pinned and verified; faces never enter \
the repository, and what is generated is generated";

const BYTES_MAX: u64 = 200_000;
const BINARY: [&str; 19] = [
    "onnx", "pth", "pt", "tflite", "jpg", "jpeg", "png", "gif", "webp", "bmp", "mp4", "so", "a", "dylib", "dll", "zip",
    "gz", "whl", "tar",
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.files.iter().filter_map(check_file).collect()
}

fn check_file(file: &File) -> Option<Finding> {
    let extension = file.extension();
    if BINARY.contains(&extension.as_str()) {
        return Some(Finding::whole(&file.path, format!("a .{extension} file")));
    }
    let too_large = file.bytes > BYTES_MAX && file.name() != "Cargo.lock";
    too_large.then(|| Finding::whole(&file.path, format!("{} bytes; {BYTES_MAX} are the most", file.bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_pictures_and_large_files_are_found() {
        let large = "x".repeat(200_001);
        let tree =
            Tree::of(&[("a.ONNX", ""), ("b.jpg", ""), ("c.json", &large), ("Cargo.lock", &large), ("d.svg", "<svg/>")]);
        let paths: Vec<_> = check(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["a.ONNX", "b.jpg", "c.json"]);
    }
}
