//! This process's memory, for a fault that no caller can make: a bit that flips by itself.

use std::fs::{File, OpenOptions, read_to_string};
use std::os::unix::fs::FileExt;

use facegate_domain::face::Template;
use facegate_gallery::{Index, Layout, calibration};

/// A template's bytes beside its ids, as the station's gallery holds them in one stretch.
pub fn as_stored(template: &Template) -> Vec<u8> {
    let model = template.embedding.model();
    let centre = calibration::shipped(model).unwrap().centre;
    let searched = centre.map_or_else(|| template.embedding.clone(), |c| template.embedding.centred(&c).unwrap());
    let row = Index::new(model.clone(), template.embedding.dims()).row_as(template, &searched).unwrap();
    let mut bytes = Vec::new();
    row.put_into(&mut bytes);
    // Behind the head and the sign bits, which lie elsewhere.
    bytes.split_off(Layout::Sealed.head_bytes() + 12)
}

/// Flips one bit wherever these bytes lie in large stretches of memory; gives in how many places.
pub fn flip(bytes: &[u8]) -> usize {
    let maps = read_to_string("/proc/self/maps").unwrap();
    let memory = File::open("/proc/self/mem").unwrap();
    let writable = OpenOptions::new().write(true).open("/proc/self/mem").unwrap();
    let mut flipped = 0;
    for line in maps.lines().filter(|line| line.contains(" rw-p 00000000 00:00 0") && !line.contains('[')) {
        let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        let (from, to) = (address(from), address(to));
        // A segment of the gallery has twenty megabytes; stacks and small heaps have less.
        if !(20 << 20..1 << 30).contains(&(to - from)) {
            continue;
        }
        let mut held = vec![0; usize::try_from(to - from).unwrap()];
        if memory.read_exact_at(&mut held, from).is_err() {
            continue;
        }
        for at in held.windows(bytes.len()).enumerate().filter(|(_, held)| *held == bytes).map(|(at, _)| at) {
            writable.write_all_at(&[bytes[0] ^ 4], from + at as u64).unwrap();
            flipped += 1;
        }
    }
    flipped
}
