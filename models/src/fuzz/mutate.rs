//! Damage to a picture's file: blind (bits, cuts, splices), and aimed at what decoders believe (sizes, markers, sums).

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng, SeedableRng};

/// Bytes that lengths and counters go wrong at.
const INTERESTING: [u8; 8] = [0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe, 0x10, 0xd9];
/// A mutated file grows no further than this.
const BYTES_MAX: usize = 2_000_000;

/// Makes input number I of a seed, always the same one.
pub struct Mutator {
    files: Vec<Vec<u8>>,
    seed: u64,
}

impl Mutator {
    /// `files`: at least one, what is mutated.
    pub fn new(files: Vec<Vec<u8>>, seed: u64) -> Self {
        Self { files, seed }
    }

    /// The source of chance for input `index`.
    pub fn random(&self, index: u64) -> StdRng {
        // The golden ratio's bits keep neighbouring seeds from sharing inputs.
        StdRng::seed_from_u64(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index)
    }

    pub fn input(&self, index: u64) -> Vec<u8> {
        let mut random = self.random(index);
        let mut bytes = self.files.choose(&mut random).cloned().unwrap_or_default();
        // Mostly little, so that it is still a picture and reaches the networks.
        let most = random.random_range(1..=6);
        for _ in 0..random.random_range(1..=most) {
            self.damage(&mut bytes, &mut random);
        }
        // A decoder that checks sums would see nothing else: half of the files get right ones again.
        if random.random() {
            mend_png_sums(&mut bytes);
        }
        bytes.truncate(BYTES_MAX);
        bytes
    }

    fn damage(&self, bytes: &mut Vec<u8>, random: &mut StdRng) {
        match random.random_range(0..10) {
            0 => flip_bits(bytes, random),
            1 => overwrite(bytes, random),
            2 => bytes.truncate(random.random_range(0..=bytes.len())),
            3 => drop(bytes.drain(range(bytes.len(), random))),
            4 => repeat(bytes, random),
            5 => self.splice(bytes, random),
            6 | 7 => resize_jpeg(bytes, random),
            8 => resize_png(bytes, random),
            _ => turn(bytes, random),
        }
    }

    fn splice(&self, bytes: &mut Vec<u8>, random: &mut StdRng) {
        let Some(other) = self.files.choose(random) else { return };
        let piece = other[range(other.len(), random)].to_vec();
        let at = random.random_range(0..=bytes.len());
        bytes.splice(at..at, piece);
    }
}

/// Mostly short: long cuts leave nothing to decode.
fn range(len: usize, random: &mut StdRng) -> std::ops::Range<usize> {
    let from = random.random_range(0..=len);
    let longest = if random.random() { 16 } else { 4096 };
    from..(from + random.random_range(0..=longest)).min(len)
}

fn flip_bits(bytes: &mut [u8], random: &mut StdRng) {
    for _ in 0..random.random_range(1..=16) {
        let bit = 1 << random.random_range(0..8);
        if let Some(byte) = any(bytes, random) {
            *byte ^= bit;
        }
    }
}

fn overwrite(bytes: &mut [u8], random: &mut StdRng) {
    for _ in 0..random.random_range(1..=8) {
        let value = INTERESTING.choose(random).copied().unwrap_or_default();
        if let Some(byte) = any(bytes, random) {
            *byte = value;
        }
    }
}

/// Half of the time near the front, where headers are.
fn any<'b>(bytes: &'b mut [u8], random: &mut StdRng) -> Option<&'b mut u8> {
    let within = if random.random() { bytes.len().min(700) } else { bytes.len() };
    (within > 0).then(|| &mut bytes[random.random_range(0..within)])
}

fn repeat(bytes: &mut Vec<u8>, random: &mut StdRng) {
    let piece = bytes[range(bytes.len(), random)].to_vec();
    let at = random.random_range(0..=bytes.len());
    for _ in 0..random.random_range(1..=8) {
        bytes.splice(at..at, piece.iter().copied());
    }
}

/// Another size, precision, number of components or sampling in a frame header (ITU-T T.81, B.2.2), or another kind of
/// frame altogether.
fn resize_jpeg(bytes: &mut [u8], random: &mut StdRng) {
    let is_frame = |pair: &[u8]| pair[0] == 0xff && (0xc0..=0xcf).contains(&pair[1]) && pair[1] != 0xc4;
    let Some(at) = bytes.windows(2).position(is_frame) else { return };
    match random.random_range(0..3) {
        0 => set(bytes, at + 5, &any_size(random).to_be_bytes()[2..]),
        1 => set(bytes, at + 7, &any_size(random).to_be_bytes()[2..]),
        _ => {
            let (offset, value): (usize, u8) = (random.random_range(1..20), random.random());
            set(bytes, at + offset, &[value]);
        }
    }
}

/// Another size, depth, colour type or interlacing in the header chunk (PNG, 11.2.1).
fn resize_png(bytes: &mut [u8], random: &mut StdRng) {
    if !bytes.starts_with(b"\x89PNG") {
        return;
    }
    match random.random_range(0..3) {
        0 => set(bytes, 16, &any_size(random).to_be_bytes()),
        1 => set(bytes, 20, &any_size(random).to_be_bytes()),
        _ => {
            let value = [0, 1, 2, 3, 4, 6, 8, 16].choose(random).copied().unwrap_or_default();
            set(bytes, 24 + random.random_range(0..5), &[value]);
        }
    }
}

/// A note of how the camera was held (EXIF, tag 0x0112), right behind the start of a JPEG.
fn turn(bytes: &mut Vec<u8>, random: &mut StdRng) {
    if !bytes.starts_with(b"\xff\xd8") {
        return;
    }
    let mut note = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
    note.extend([0, random.random_range(0..10), 0, 0, 0, 0, 0, 0]);
    bytes.splice(2..2, note);
}

fn any_size(random: &mut StdRng) -> u32 {
    match random.random_range(0..4) {
        0 => [0, 1, 7, 63, 64, 65, 20_000, 65_535].choose(random).copied().unwrap_or_default(),
        1 => random.random(),
        _ => random.random_range(1..2_000),
    }
}

fn set(bytes: &mut [u8], at: usize, values: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + values.len()) {
        place.copy_from_slice(values);
    }
}

/// Writes the right CRC behind every chunk that is whole.
fn mend_png_sums(bytes: &mut [u8]) {
    if !bytes.starts_with(b"\x89PNG") {
        return;
    }
    let mut at = 8;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        let sum_at = at + 8 + length;
        let Some(chunk) = bytes.get(at + 4..sum_at) else { return };
        let sum = crc32fast::hash(chunk).to_be_bytes();
        set(bytes, sum_at, &sum);
        at = sum_at + 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutator(seed: u64) -> Mutator {
        Mutator::new(vec![b"\xff\xd8\xff\xc0\0\x11\x08\0\x10\0\x10\x03".to_vec(), b"\x89PNG\r\n\x1a\n".to_vec()], seed)
    }

    #[test]
    fn an_input_can_be_made_again_and_another_seed_makes_others() {
        let inputs = |seed| (0..200).map(|i| mutator(seed).input(i)).collect::<Vec<_>>();
        assert_eq!(inputs(3), inputs(3));
        assert_ne!(inputs(3), inputs(4));
    }

    #[test]
    fn the_sums_of_a_damaged_png_are_right_again() {
        let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x02IDATxy\0\0\0\0rest".to_vec();
        mend_png_sums(&mut file);
        assert_eq!(file[18..22], crc32fast::hash(b"IDATxy").to_be_bytes());
        assert_eq!(&file[22..], b"rest");
    }

    #[test]
    fn no_file_is_too_short_to_be_damaged() {
        for file in [&b""[..], b"\xff", b"\xff\xd8", b"\x89PNG", b"\xff\xd8\xff\xc0"] {
            let mutator = Mutator::new(vec![file.to_vec()], 1);
            for index in 0..500 {
                assert!(mutator.input(index).len() <= BYTES_MAX);
            }
        }
    }
}
