//! Where the templates lie: numbered rows without gaps, in segments of memory that are given back when they run empty.
//!
//! A removal moves the last row into the hole. So rows change their numbers, and a search that reads row by row must know
//! which rows changed while it read: the last changes are kept for it.

#![allow(clippy::cast_possible_truncation, reason = "rows are below ROWS_MAX")]

use std::collections::VecDeque;

use facegate_domain::ids::{RiderId, TemplateId};
use memmap2::MmapMut;

use super::ids::{ROWS_MAX, RowsById};
use super::quantise::{Quantised, Shape};
use super::scan::BLOCK_ROWS;

/// Rows in a segment: some 20 MiB.
pub const SEGMENT_ROWS: usize = 1 << 17;
/// What a large page begins at a multiple of, where the system has them.
const LARGE_PAGE: usize = 2 << 20;

/// No room for another template.
#[derive(Debug, thiserror::Error)]
pub enum Full {
    #[error("{ROWS_MAX} templates are the most that one index holds")]
    Rows,
    #[error("no memory for more templates: {0}")]
    Memory(std::io::Error),
}

/// See the module.
pub struct Rows {
    pub shape: Shape,
    remembered: usize,
    segments: Vec<Segment>,
    len: usize,
    riders_len: usize,
    by_template: RowsById,
    by_rider: RowsById,
    changed: VecDeque<u32>,
    /// Changes so far; the last ones are in `changed`.
    changes: u64,
}

/// What stands in a row beside the face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub template: TemplateId,
    pub rider: RiderId,
    pub photographs: u8,
}

/// One stretch of rows, in memory of its own: all codes, then all faces, then all ids.
struct Segment {
    memory: MmapMut,
    /// Where the codes, the faces and the ids begin, and the end.
    borders: [usize; 4],
}

/// A removal's effect on row numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// The row that was freed, and holds what `last` held unless it is the same.
    pub row: u32,
    pub last: u32,
    pub owner: Owner,
}

const TEMPLATE: usize = 0;
const RIDER: usize = 16;
const ID_BYTES: usize = 32;

impl Rows {
    /// `remembered`: changes that a search may miss while it runs; more make it begin again.
    pub fn new(shape: Shape, remembered: usize) -> Self {
        Self {
            shape,
            remembered,
            segments: Vec::new(),
            len: 0,
            riders_len: 0,
            by_template: RowsById::new(),
            by_rider: RowsById::new(),
            changed: VecDeque::new(),
            changes: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn allocated_bytes(&self) -> usize {
        let of_row = self.shape.code_bytes() + self.face_bytes() + ID_BYTES;
        self.segments.len() * SEGMENT_ROWS * of_row
    }

    /// Different riders.
    pub fn riders_len(&self) -> usize {
        self.riders_len
    }

    pub fn row_of(&self, template: TemplateId) -> Option<u32> {
        self.by_template.rows(template.as_bytes(), |row| self.id(row, TEMPLATE)).next()
    }

    /// The rows of a rider's templates.
    pub fn rows_of(&self, rider: RiderId) -> Vec<u32> {
        self.by_rider.rows(rider.as_bytes(), |row| self.id(row, RIDER)).collect()
    }

    pub fn owner(&self, row: u32) -> Owner {
        let (segment, at) = self.place(row);
        Owner {
            template: TemplateId::from_bytes(*id_in(segment.ids(), at, TEMPLATE)),
            rider: RiderId::from_bytes(*id_in(segment.ids(), at, RIDER)),
            photographs: self.face(row)[self.shape.rest_bytes() + 2],
        }
    }

    /// The rest of a row's face, and its scale.
    pub fn rest(&self, row: u32) -> (&[u8], u16) {
        let face = self.face(row);
        let rest = self.shape.rest_bytes();
        (&face[..rest], u16::from_le_bytes([face[rest], face[rest + 1]]))
    }

    /// Rest, scale and photographs, in one stretch of memory.
    pub fn face(&self, row: u32) -> &[u8] {
        let (segment, at) = self.place(row);
        let bytes = self.face_bytes();
        &segment.faces()[at * bytes..][..bytes]
    }

    /// A row's sign bits.
    pub fn code(&self, row: u32) -> Vec<u8> {
        let (segment, at) = self.place(row);
        let bytes = self.shape.code_bytes();
        let block = &segment.codes()[at / BLOCK_ROWS * BLOCK_ROWS * bytes..][..BLOCK_ROWS * bytes];
        block.chunks_exact(BLOCK_ROWS).map(|column| column[at % BLOCK_ROWS]).collect()
    }

    /// The codes of whole blocks from row `from` (a block's first) on: at most `rows`, and of one segment.
    pub fn codes(&self, from: usize, rows: usize) -> &[u8] {
        let Some(segment) = self.segments.get(from / SEGMENT_ROWS) else { return &[] };
        let at = from % SEGMENT_ROWS;
        let here = rows.min(SEGMENT_ROWS - at).min(self.len.saturating_sub(from)).next_multiple_of(BLOCK_ROWS);
        let bytes = self.shape.code_bytes();
        &segment.codes()[at * bytes..(at + here) * bytes]
    }

    /// Changes of rows so far.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The rows that changed since `changes` was that many; `None` if that is not remembered any more.
    pub fn changed_since(&self, changes: u64) -> Option<Vec<u32>> {
        let missed = usize::try_from(self.changes - changes).ok()?;
        let from = self.changed.len().checked_sub(missed)?;
        Some(self.changed.range(from..).copied().collect())
    }

    /// Writes a template into a new row behind the others; its id must not be held.
    pub fn append(&mut self, owner: &Owner, face: &Quantised) -> Result<u32, Full> {
        if self.len == ROWS_MAX {
            return Err(Full::Rows);
        }
        if self.len == self.segments.len() * SEGMENT_ROWS {
            self.segments.push(Segment::new(self.shape, self.face_bytes()).map_err(Full::Memory)?);
        }
        let row = self.len as u32;
        self.len += 1;
        self.write(row, owner, face);
        self.link(row, owner);
        Ok(row)
    }

    /// Writes another face, and perhaps another rider, into the row of a template that is held.
    pub fn replace(&mut self, row: u32, owner: &Owner, face: &Quantised) {
        let old = self.owner(row);
        self.unlink(row, &old);
        self.write(row, owner, face);
        self.link(row, owner);
    }

    /// Removes a row; the last one takes its place.
    pub fn remove(&mut self, row: u32) -> Removed {
        let (last, owner) = (self.len as u32 - 1, self.owner(row));
        self.unlink(row, &owner);
        if row != last {
            let moved = self.owner(last);
            let (rest, scale) = self.rest(last);
            let face = Quantised { code: self.code(last).into(), rest: rest.to_vec().into(), scale };
            self.write(row, &moved, &face);
            self.by_template.moved(moved.template.as_bytes(), last, row);
            self.by_rider.moved(moved.rider.as_bytes(), last, row);
        }
        self.wipe(last);
        self.len -= 1;
        self.segments.truncate(self.len.div_ceil(SEGMENT_ROWS));
        Removed { row, last, owner }
    }

    /// Writes a row of a snapshot, without its ids: at most one behind the last. False if the number is beyond that.
    pub fn restore(&mut self, row: usize, owner: &Owner, face: &Quantised) -> Result<bool, Full> {
        if row > self.len {
            return Ok(false);
        }
        if row == ROWS_MAX {
            return Err(Full::Rows);
        }
        if row == self.segments.len() * SEGMENT_ROWS {
            self.segments.push(Segment::new(self.shape, self.face_bytes()).map_err(Full::Memory)?);
        }
        self.len = self.len.max(row + 1);
        self.write(row as u32, owner, face);
        Ok(true)
    }

    /// After the last row of a snapshot: `len` rows count, and their ids are noted. False if there are fewer, or two of
    /// one template.
    pub fn restored(&mut self, len: usize) -> bool {
        if len > self.len {
            return false;
        }
        while self.len > len {
            self.len -= 1;
            self.wipe(self.len as u32);
        }
        self.segments.truncate(len.div_ceil(SEGMENT_ROWS));
        self.changed.clear();
        let segments = &self.segments;
        let (by_template, templates) = RowsById::of(len as u32, |row| id(segments, row, TEMPLATE));
        let (by_rider, riders) = RowsById::of(len as u32, |row| id(segments, row, RIDER));
        (self.by_template, self.by_rider, self.riders_len) = (by_template, by_rider, riders);
        templates == len
    }

    fn link(&mut self, row: u32, owner: &Owner) {
        if self.by_rider.rows(owner.rider.as_bytes(), |row| self.id(row, RIDER)).next().is_none() {
            self.riders_len += 1;
        }
        let segments = &self.segments;
        self.by_template.insert(owner.template.as_bytes(), row, |row| id(segments, row, TEMPLATE));
        self.by_rider.insert(owner.rider.as_bytes(), row, |row| id(segments, row, RIDER));
    }

    fn unlink(&mut self, row: u32, owner: &Owner) {
        let segments = &self.segments;
        self.by_template.remove(owner.template.as_bytes(), row, |row| id(segments, row, TEMPLATE));
        self.by_rider.remove(owner.rider.as_bytes(), row, |row| id(segments, row, RIDER));
        if self.by_rider.rows(owner.rider.as_bytes(), |row| self.id(row, RIDER)).next().is_none() {
            self.riders_len -= 1;
        }
    }

    fn write(&mut self, row: u32, owner: &Owner, face: &Quantised) {
        let (code_bytes, face_bytes, rest_bytes) =
            (self.shape.code_bytes(), self.face_bytes(), self.shape.rest_bytes());
        let (segment, at) = (&mut self.segments[row as usize / SEGMENT_ROWS], row as usize % SEGMENT_ROWS);
        let (codes, faces, ids) = segment.parts_mut();
        let block = &mut codes[at / BLOCK_ROWS * BLOCK_ROWS * code_bytes..][..BLOCK_ROWS * code_bytes];
        block.chunks_exact_mut(BLOCK_ROWS).zip(face.code.iter()).for_each(|(column, c)| column[at % BLOCK_ROWS] = *c);
        let stored = &mut faces[at * face_bytes..][..face_bytes];
        stored[..rest_bytes].copy_from_slice(&face.rest);
        stored[rest_bytes..rest_bytes + 2].copy_from_slice(&face.scale.to_le_bytes());
        stored[rest_bytes + 2] = owner.photographs;
        let ids = &mut ids[at * ID_BYTES..][..ID_BYTES];
        ids[..16].copy_from_slice(owner.template.as_bytes());
        ids[16..].copy_from_slice(owner.rider.as_bytes());
        self.note(row);
    }

    /// Overwrites a row that is left, so that no face lingers in memory.
    fn wipe(&mut self, row: u32) {
        let nobody =
            Owner { template: TemplateId::from_bytes([0; 16]), rider: RiderId::from_bytes([0; 16]), photographs: 0 };
        let nothing = Quantised {
            code: vec![0; self.shape.code_bytes()].into(),
            rest: vec![0; self.shape.rest_bytes()].into(),
            scale: 0,
        };
        self.write(row, &nobody, &nothing);
    }

    fn note(&mut self, row: u32) {
        if self.changed.len() == self.remembered {
            self.changed.pop_front();
        }
        self.changed.push_back(row);
        self.changes += 1;
    }

    fn face_bytes(&self) -> usize {
        self.shape.rest_bytes() + 3
    }

    fn place(&self, row: u32) -> (&Segment, usize) {
        (&self.segments[row as usize / SEGMENT_ROWS], row as usize % SEGMENT_ROWS)
    }

    fn id(&self, row: u32, which: usize) -> &[u8; 16] {
        id(&self.segments, row, which)
    }
}

impl Segment {
    fn new(shape: Shape, face_bytes: usize) -> std::io::Result<Self> {
        let sizes = [shape.code_bytes(), face_bytes, ID_BYTES].map(|bytes| bytes * SEGMENT_ROWS);
        let memory = MmapMut::map_anon(sizes.iter().sum::<usize>() + LARGE_PAGE)?;
        // A wish: where the system has no large pages to give, small ones do.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        let first = memory.as_ptr().align_offset(LARGE_PAGE).min(LARGE_PAGE);
        let borders = [first, first + sizes[0], first + sizes[0] + sizes[1], first + sizes.iter().sum::<usize>()];
        Ok(Self { memory, borders })
    }

    /// Blocks of transposed codes: see `scan`.
    fn codes(&self) -> &[u8] {
        &self.memory[self.borders[0]..self.borders[1]]
    }

    /// `rest`, scale (2), photographs (1) of each row.
    fn faces(&self) -> &[u8] {
        &self.memory[self.borders[1]..self.borders[2]]
    }

    /// Template id (16) and rider id (16) of each row.
    fn ids(&self) -> &[u8] {
        &self.memory[self.borders[2]..self.borders[3]]
    }

    /// Codes, faces, ids.
    fn parts_mut(&mut self) -> (&mut [u8], &mut [u8], &mut [u8]) {
        let [first, faces, ids, end] = self.borders;
        let (codes, rest) = self.memory[first..end].split_at_mut(faces - first);
        let (faces, ids) = rest.split_at_mut(ids - faces);
        (codes, faces, ids)
    }
}

fn id(segments: &[Segment], row: u32, which: usize) -> &[u8; 16] {
    id_in(segments[row as usize / SEGMENT_ROWS].ids(), row as usize % SEGMENT_ROWS, which)
}

fn id_in(ids: &[u8], at: usize, which: usize) -> &[u8; 16] {
    ids[at * ID_BYTES + which..].first_chunk().expect("a segment has 32 bytes of ids for each of its rows")
}
