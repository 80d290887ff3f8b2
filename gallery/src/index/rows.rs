//! Where the templates lie: numbered rows without gaps, in segments of memory that are given back when they run empty.
//!
//! A removal moves the last row into the hole. So rows change their numbers, and a search that reads row by row must know
//! which rows changed while it read: the last changes are kept for it.

#![allow(clippy::cast_possible_truncation, reason = "rows are below ROWS_MAX")]

use std::collections::VecDeque;

use facegate_domain::fingerprint::{Fingerprint, bucket_of};
use facegate_domain::ids::{RiderId, TemplateId};

use super::digests::{BUCKETS, Digests, Verification};
use super::ids::{ROWS_MAX, RowsById};
use super::quantise::{Quantised, Shape};
use super::segments::{Segments, Which};
use super::stored::Layout;

pub use super::segments::Owner;

/// No room for another template.
#[derive(Debug, thiserror::Error)]
pub enum Full {
    #[error("{ROWS_MAX} templates are the most that one index holds")]
    Rows,
    #[error("no memory for more templates: {0}")]
    Memory(std::io::Error),
}

/// A template as a digest has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub template: TemplateId,
    pub rider: RiderId,
    /// See `fingerprint::content_of`; 0 if it is not known.
    pub content: u32,
}

/// See the module.
pub struct Rows {
    remembered: usize,
    segments: Segments,
    len: usize,
    riders_len: usize,
    by_template: RowsById,
    by_rider: RowsById,
    digests: Digests,
    /// While the digests are built anew.
    verification: Option<Verification>,
    changed: VecDeque<u32>,
    /// Changes so far; the last ones are in `changed`.
    changes: u64,
}

/// A removal's effect on row numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// The row that was freed, and holds what `last` held unless it is the same.
    pub row: u32,
    pub last: u32,
    pub owner: Owner,
}

impl Rows {
    /// `remembered`: changes that a search may miss while it runs; more make it begin again.
    pub fn new(shape: Shape, remembered: usize) -> Self {
        Self {
            remembered,
            segments: Segments::new(shape),
            len: 0,
            riders_len: 0,
            by_template: RowsById::new(),
            by_rider: RowsById::new(),
            digests: Digests::default(),
            verification: None,
            changed: VecDeque::new(),
            changes: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn allocated_bytes(&self) -> usize {
        self.segments.allocated_bytes()
    }

    /// Different riders.
    pub fn riders_len(&self) -> usize {
        self.riders_len
    }

    pub fn row_of(&self, template: TemplateId) -> Option<u32> {
        self.by_template.rows(template.as_bytes(), |row| self.segments.id(row, Which::Template)).next()
    }

    /// The rows of a rider's templates.
    pub fn rows_of(&self, rider: RiderId) -> Vec<u32> {
        self.by_rider.rows(rider.as_bytes(), |row| self.segments.id(row, Which::Rider)).collect()
    }

    pub fn owner(&self, row: u32) -> Owner {
        self.segments.owner(row)
    }

    /// The rest of a row's face, and its scale.
    pub fn rest(&self, row: u32) -> (&[u8], u16) {
        self.segments.rest(row)
    }

    /// All that a comparison reads beside the code.
    pub fn face(&self, row: u32) -> &[u8] {
        self.segments.face(row)
    }

    /// A row's sign bits.
    pub fn code(&self, row: u32) -> Vec<u8> {
        self.segments.code(row)
    }

    /// The codes of whole blocks from row `from` (a block's first) on: about `rows`, or fewer where a segment ends.
    pub fn codes(&self, from: usize, rows: usize) -> &[u8] {
        self.segments.codes(from, rows.min(self.len.saturating_sub(from)))
    }

    /// Over template and rider of every row.
    pub const fn fingerprint(&self) -> &Fingerprint {
        &self.digests.owners
    }

    /// The same and what they hold.
    pub const fn contents_fingerprint(&self) -> &Fingerprint {
        &self.digests.contents
    }

    /// Rows whose content is not known.
    pub const fn unknown(&self) -> usize {
        self.digests.unknown
    }

    pub fn bucket_of_unknown(&self) -> Option<usize> {
        let unknown = (0..self.len as u32).find(|row| self.segments.content(*row) == 0)?;
        Some(bucket_of(self.segments.id(unknown, Which::Template), BUCKETS))
    }

    /// Of the rows that belong to a bucket of the digest.
    pub fn in_bucket(&self, bucket: usize) -> Vec<Held> {
        let those =
            (0..self.len as u32).filter(|row| bucket_of(self.segments.id(*row, Which::Template), BUCKETS) == bucket);
        those.map(|row| self.held(row)).collect()
    }

    /// Goes on building the digests anew from the rows, by so many; true when that is done.
    pub fn verify(&mut self, rows: usize) -> bool {
        let mut building = self.verification.take().unwrap_or_default();
        let to = (building.next as usize + rows).min(self.len) as u32;
        (building.next..to).for_each(|row| building.fresh.come(&self.held(row)));
        building.next = to;
        if to as usize == self.len {
            self.digests = building.fresh;
            return true;
        }
        self.verification = Some(building);
        false
    }

    /// A row as a digest has it.
    pub fn held(&self, row: u32) -> Held {
        let Owner { template, rider, .. } = self.segments.owner(row);
        Held { template, rider, content: self.segments.content(row) }
    }

    /// The seal of a row's face.
    pub fn seal(&self, row: u32) -> u32 {
        self.segments.seal(row)
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

    /// Takes memory for so many more rows.
    pub fn reserve(&mut self, more: usize) -> Result<(), Full> {
        if self.len + more > ROWS_MAX {
            return Err(Full::Rows);
        }
        while self.len + more > self.segments.capacity() {
            self.segments.grow().map_err(Full::Memory)?;
        }
        Ok(())
    }

    /// Writes a template into a new row behind the others; its id must not be held.
    pub fn append(&mut self, owner: &Owner, face: &Quantised, seal: u32) -> Result<u32, Full> {
        self.reserve(1)?;
        let row = self.len as u32;
        self.len += 1;
        self.write(row, owner, face, seal);
        self.link(row, owner);
        Ok(row)
    }

    /// Writes another face, and perhaps another rider, into the row of a template that is held.
    pub fn replace(&mut self, row: u32, owner: &Owner, face: &Quantised, seal: u32) {
        let old = self.owner(row);
        self.unlink(row, &old);
        self.write(row, owner, face, seal);
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
            self.write(row, &moved, &face, self.seal(last));
            if let Some(building) = &mut self.verification
                && (row..last).contains(&(building.next.wrapping_sub(1)))
            {
                // It would not be come to any more.
                building.fresh.come(&Held {
                    template: moved.template,
                    rider: moved.rider,
                    content: self.segments.content(row),
                });
            }
            self.by_template.moved(moved.template.as_bytes(), last, row);
            self.by_rider.moved(moved.rider.as_bytes(), last, row);
        }
        self.wipe(last);
        self.len -= 1;
        self.segments.shrink_to(self.len);
        Removed { row, last, owner }
    }

    /// Writes a row of a snapshot, as `stored` has it, without noting its ids: at most one behind the last. False if the
    /// number is beyond that, or the bytes are no row's.
    pub fn restore(&mut self, row: usize, stored: &[u8], layout: Layout) -> Result<bool, Full> {
        if row > self.len || stored.len() != self.segments.stored_bytes(layout) {
            return Ok(false);
        }
        if row == self.len {
            self.reserve(1)?;
            self.len += 1;
        }
        self.segments.write_stored(row as u32, stored, layout);
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
        self.segments.shrink_to(len);
        self.changed.clear();
        let segments = &self.segments;
        let noted = |which| RowsById::of_rows(len as u32, |row| segments.id(row, which));
        let ((by_template, templates), (by_rider, riders)) = std::thread::scope(|scope| {
            let by_template = scope.spawn(|| noted(Which::Template));
            let by_rider = noted(Which::Rider);
            (by_template.join().expect("noting ids does not panic"), by_rider)
        });
        (self.by_template, self.by_rider, self.riders_len) = (by_template, by_rider, riders);
        self.verification = None;
        self.verify(len) && templates == len
    }

    fn link(&mut self, row: u32, owner: &Owner) {
        if self.by_rider.rows(owner.rider.as_bytes(), |row| self.segments.id(row, Which::Rider)).next().is_none() {
            self.riders_len += 1;
        }
        let segments = &self.segments;
        self.by_template.insert(owner.template.as_bytes(), row, |row| segments.id(row, Which::Template));
        self.by_rider.insert(owner.rider.as_bytes(), row, |row| segments.id(row, Which::Rider));
        let held = self.held(row);
        self.digests.come(&held);
        if let Some(building) = self.verification.as_mut().filter(|building| row < building.next) {
            building.fresh.come(&held);
        }
    }

    fn unlink(&mut self, row: u32, owner: &Owner) {
        let segments = &self.segments;
        self.by_template.remove(owner.template.as_bytes(), row, |row| segments.id(row, Which::Template));
        self.by_rider.remove(owner.rider.as_bytes(), row, |row| segments.id(row, Which::Rider));
        let held = self.held(row);
        self.digests.go(&held);
        if let Some(building) = self.verification.as_mut().filter(|building| row < building.next) {
            building.fresh.go(&held);
        }
        if self.by_rider.rows(owner.rider.as_bytes(), |row| self.segments.id(row, Which::Rider)).next().is_none() {
            self.riders_len -= 1;
        }
    }

    fn write(&mut self, row: u32, owner: &Owner, face: &Quantised, seal: u32) {
        self.segments.write(row, owner, face, seal);
        self.note(row);
    }

    fn wipe(&mut self, row: u32) {
        self.segments.wipe(row);
        self.note(row);
    }

    fn note(&mut self, row: u32) {
        if self.changed.len() == self.remembered {
            self.changed.pop_front();
        }
        self.changed.push_back(row);
        self.changes += 1;
    }
}
