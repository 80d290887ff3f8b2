//! The memory of the rows: segments of large pages, each with all codes, then all faces, then all ids of its rows.

#![allow(clippy::cast_possible_truncation, reason = "rows are below ROWS_MAX")]

use facegate_domain::fingerprint::fact;
use facegate_domain::ids::{RiderId, TemplateId};
use memmap2::MmapMut;

use super::quantise::{Quantised, Shape};
use super::scan::BLOCK_ROWS;
use super::stored::Layout;

/// Memory of one segment, which holds as many rows as fit: ten large pages, where the system has them.
const SEGMENT_BYTES: usize = 20 << 20;
const ID_BYTES: usize = 16;
/// Scale, photographs and seal.
pub const LAST_BYTES: usize = 7;

/// What stands in a row beside the face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub template: TemplateId,
    pub rider: RiderId,
    pub photographs: u8,
}

/// Which of a row's ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Template,
    Rider,
}

/// See the module. Which rows are in use, the caller knows.
pub struct Segments {
    shape: Shape,
    /// Rows in a segment: whole blocks.
    rows: usize,
    memory: Vec<MmapMut>,
}

impl Segments {
    pub fn new(shape: Shape) -> Self {
        let row_bytes = shape.code_bytes() + face_bytes(shape) + 2 * ID_BYTES;
        Self { shape, rows: SEGMENT_BYTES / row_bytes / BLOCK_ROWS * BLOCK_ROWS, memory: Vec::new() }
    }

    /// Rows that there is memory for.
    pub fn capacity(&self) -> usize {
        self.memory.len() * self.rows
    }

    pub fn allocated_bytes(&self) -> usize {
        self.memory.len() * SEGMENT_BYTES
    }

    /// Adds a segment.
    pub fn grow(&mut self) -> std::io::Result<()> {
        let memory = MmapMut::map_anon(SEGMENT_BYTES)?;
        // A wish: where the system has no large pages to give, small ones do.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        self.memory.push(memory);
        Ok(())
    }

    /// Gives back the segments that `rows` rows do not need.
    pub fn shrink_to(&mut self, rows: usize) {
        self.memory.truncate(rows.div_ceil(self.rows));
    }

    pub fn owner(&self, row: u32) -> Owner {
        Owner {
            template: TemplateId::from_bytes(*self.id(row, Which::Template)),
            rider: RiderId::from_bytes(*self.id(row, Which::Rider)),
            photographs: self.face(row)[self.shape.rest_bytes() + 2],
        }
    }

    pub fn id(&self, row: u32, which: Which) -> &[u8; 16] {
        let (memory, at) = self.place(row);
        let from = self.ids_from() + at * 2 * ID_BYTES + if which == Which::Rider { ID_BYTES } else { 0 };
        memory[from..].first_chunk().expect("a segment has two ids for each of its rows")
    }

    /// The rest of a row's face, and its scale.
    pub fn rest(&self, row: u32) -> (&[u8], u16) {
        let face = self.face(row);
        let rest = self.shape.rest_bytes();
        (&face[..rest], u16::from_le_bytes([face[rest], face[rest + 1]]))
    }

    /// Rest, scale (2), photographs (1) and seal (4), in one stretch of memory.
    pub fn face(&self, row: u32) -> &[u8] {
        let (memory, at) = self.place(row);
        let bytes = face_bytes(self.shape);
        &memory[self.faces_from() + at * bytes..][..bytes]
    }

    /// A row's sign bits.
    pub fn code(&self, row: u32) -> Vec<u8> {
        let (memory, at) = self.place(row);
        let bytes = self.shape.code_bytes();
        let block = &memory[at / BLOCK_ROWS * BLOCK_ROWS * bytes..][..BLOCK_ROWS * bytes];
        block.chunks_exact(BLOCK_ROWS).map(|column| column[at % BLOCK_ROWS]).collect()
    }

    /// The codes of whole blocks from row `from` (a block's first) on: at most `rows`, and of one segment.
    pub fn codes(&self, from: usize, rows: usize) -> &[u8] {
        let Some(memory) = self.memory.get(from / self.rows) else { return &[] };
        let at = from % self.rows;
        let here = rows.min(self.rows - at).next_multiple_of(BLOCK_ROWS);
        let bytes = self.shape.code_bytes();
        &memory[at * bytes..(at + here) * bytes]
    }

    /// The seal of a row's face: see [`sealed`].
    pub fn seal(&self, row: u32) -> u32 {
        let face = self.face(row);
        face.last_chunk().map_or(0, |seal| u32::from_le_bytes(*seal))
    }

    /// The content that the face was sealed with; another one, nearly always, if a bit of it has changed since.
    pub fn content(&self, row: u32) -> u32 {
        let face = &self.face(row)[..self.shape.rest_bytes() + 3];
        let (rest, last) = face.split_at(self.shape.rest_bytes());
        sealed(self.seal(row), &self.code(row), rest, last)
    }

    pub fn write(&mut self, row: u32, owner: &Owner, face: &Quantised, seal: u32) {
        let ids = [*owner.template.as_bytes(), *owner.rider.as_bytes()];
        let ([low, high], [a, b, c, d]) = (face.scale.to_le_bytes(), seal.to_le_bytes());
        self.write_parts(row, ids.as_flattened(), &face.code, &face.rest, [low, high, owner.photographs, a, b, c, d]);
    }

    /// Bytes of a row as `stored` lays it out.
    pub fn stored_bytes(&self, layout: Layout) -> usize {
        layout.head_bytes() + self.shape.padded
    }

    /// Writes a row as `stored` lays it out: head and face.
    pub fn write_stored(&mut self, row: u32, stored: &[u8], layout: Layout) {
        let (head, face) = stored.split_at(layout.head_bytes());
        let (code, rest) = face.split_at(self.shape.code_bytes());
        let (ids, last) = head.split_at(2 * ID_BYTES);
        let (photographs, low, high) = (last[0], last[1], last[2]);
        let seal = match layout {
            Layout::Sealed => [last[3], last[4], last[5], last[6]],
            // Of an unknown content.
            Layout::Former => sealed(0, code, rest, &[low, high, photographs]).to_le_bytes(),
        };
        self.write_parts(row, ids, code, rest, [low, high, photographs, seal[0], seal[1], seal[2], seal[3]]);
    }

    /// `last`: scale (2), photographs and seal (4).
    fn write_parts(&mut self, row: u32, ids: &[u8], code: &[u8], rest: &[u8], last: [u8; LAST_BYTES]) {
        let (faces_from, ids_from, face_bytes) = (self.faces_from(), self.ids_from(), face_bytes(self.shape));
        let (memory, at) = (&mut self.memory[row as usize / self.rows], row as usize % self.rows);
        let block = &mut memory[at / BLOCK_ROWS * BLOCK_ROWS * code.len()..][..BLOCK_ROWS * code.len()];
        block.chunks_exact_mut(BLOCK_ROWS).zip(code).for_each(|(column, byte)| column[at % BLOCK_ROWS] = *byte);
        let stored = &mut memory[faces_from + at * face_bytes..][..face_bytes];
        stored[..rest.len()].copy_from_slice(rest);
        stored[rest.len()..].copy_from_slice(&last);
        memory[ids_from + at * ids.len()..][..ids.len()].copy_from_slice(ids);
    }

    /// Overwrites a row that is left, so that no face lingers in memory.
    pub fn wipe(&mut self, row: u32) {
        let nobody =
            Owner { template: TemplateId::from_bytes([0; 16]), rider: RiderId::from_bytes([0; 16]), photographs: 0 };
        let nothing = Quantised {
            code: vec![0; self.shape.code_bytes()].into(),
            rest: vec![0; self.shape.rest_bytes()].into(),
            scale: 0,
        };
        self.write(row, &nobody, &nothing, 0);
    }

    fn faces_from(&self) -> usize {
        self.rows * self.shape.code_bytes()
    }

    fn ids_from(&self) -> usize {
        self.faces_from() + self.rows * face_bytes(self.shape)
    }

    fn place(&self, row: u32) -> (&MmapMut, usize) {
        (&self.memory[row as usize / self.rows], row as usize % self.rows)
    }
}

const fn face_bytes(shape: Shape) -> usize {
    shape.rest_bytes() + LAST_BYTES
}

/// A row's *seal* is the content that it was made of, as `fingerprint::content_of` has it, exclusive or a checksum of what is
/// stored. So four bytes tell both whether the row still is what it was and what the cloud must hold for it to be right.
/// Gives the content by the seal, or the seal by the content.
pub fn sealed(seal: u32, code: &[u8], rest: &[u8], last: &[u8]) -> u32 {
    let checksum = fact(&[code, rest, last]);
    seal ^ checksum as u32
}
