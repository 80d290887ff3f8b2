//! The memory of the rows: segments of large pages, each with all codes, then all faces, then all ids of its rows.

#![allow(clippy::cast_possible_truncation, reason = "rows are below ROWS_MAX")]

use facegate_domain::ids::{RiderId, TemplateId};
use memmap2::MmapMut;

use super::quantise::{Quantised, Shape};
use super::scan::BLOCK_ROWS;
use super::stored::HEAD_BYTES;

/// Memory of one segment, which holds as many rows as fit: ten large pages, where the system has them.
const SEGMENT_BYTES: usize = 20 << 20;
const ID_BYTES: usize = 16;

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

    /// Rest, scale (2) and photographs (1), in one stretch of memory.
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

    pub fn write(&mut self, row: u32, owner: &Owner, face: &Quantised) {
        let ids = [*owner.template.as_bytes(), *owner.rider.as_bytes()];
        let [low, high] = face.scale.to_le_bytes();
        self.write_parts(row, ids.as_flattened(), &face.code, &face.rest, [low, high, owner.photographs]);
    }

    /// Bytes of a row as `stored` lays it out.
    pub fn stored_bytes(&self) -> usize {
        HEAD_BYTES + self.shape.padded
    }

    /// Writes a row as `stored` lays it out: head and face.
    pub fn write_stored(&mut self, row: u32, stored: &[u8]) {
        let (head, face) = stored.split_at(HEAD_BYTES);
        let (code, rest) = face.split_at(self.shape.code_bytes());
        let (ids, last) = head.split_at(2 * ID_BYTES);
        self.write_parts(row, ids, code, rest, [last[1], last[2], last[0]]);
    }

    /// `last`: scale (2) and photographs.
    fn write_parts(&mut self, row: u32, ids: &[u8], code: &[u8], rest: &[u8], last: [u8; 3]) {
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
        self.write(row, &nobody, &nothing);
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
    shape.rest_bytes() + 3
}
