//! Rows as bytes: for the log and the snapshot.
//!
//! | bytes | row |
//! |---|---|
//! | 16 | template id |
//! | 16 | rider id |
//! | 1 | photographs |
//! | 2 | scale |
//! | 4 | seal: see `segments`; not in rows as they were formerly stored |
//! | 12 or 32 | code |
//! | … | rest: see `quantise` |

#![allow(clippy::cast_possible_truncation, reason = "rows are below ROWS_MAX")]

use std::time::Duration;

use facegate_domain::face::{Embedding, Template};
use facegate_domain::fingerprint::{Fingerprint, content_of};
use facegate_domain::ids::{RiderId, TemplateId};

use super::ids::ROWS_MAX;
use super::quantise::Quantised;
use super::rows::{Held, Owner, Rows};
use super::segments::sealed;
use super::{Contents, Index};
use crate::engine::EngineError;

/// As what rows are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Without a seal: of templates whose content is not known.
    Former,
    Sealed,
}

impl Layout {
    /// Bytes of a row before its face's.
    pub const fn head_bytes(self) -> usize {
        match self {
            Self::Former => 35,
            Self::Sealed => 39,
        }
    }
}

/// One template as the index stores it.
#[derive(Clone)]
pub struct Row {
    pub(super) owner: Owner,
    pub(super) face: Quantised,
    pub(super) seal: u32,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Row({:?})", self.owner.template)
    }
}

impl Row {
    pub fn put_into(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.owner.template.as_bytes());
        bytes.extend_from_slice(self.owner.rider.as_bytes());
        bytes.push(self.owner.photographs);
        bytes.extend_from_slice(&self.face.scale.to_le_bytes());
        bytes.extend_from_slice(&self.seal.to_le_bytes());
        bytes.extend_from_slice(&self.face.code);
        bytes.extend_from_slice(&self.face.rest);
    }

    /// Bytes of it as stored.
    pub fn bytes(&self) -> usize {
        Layout::Sealed.head_bytes() + self.face.code.len() + self.face.rest.len()
    }

    fn of(rows: &Rows, row: u32) -> Self {
        let (rest, scale) = rows.rest(row);
        let face = Quantised { code: rows.code(row).into(), rest: rest.to_vec().into(), scale };
        Self { owner: rows.owner(row), face, seal: rows.seal(row) }
    }
}

/// Rows that are looked at under one lock: some fifty microseconds' work.
const VERIFIED_AT_ONCE: usize = 1024;
const VERIFY_PAUSE: Duration = Duration::from_millis(1);

impl Index {
    /// More than this it cannot hold.
    pub const TEMPLATES_MAX: usize = ROWS_MAX;

    /// Makes room, so that so many templates can be put. Errors: there is none.
    pub fn reserve(&self, templates: usize) -> Result<(), EngineError> {
        Ok(self.write().rows.reserve(templates)?)
    }

    pub fn holds(&self, template: TemplateId) -> bool {
        self.read().rows.row_of(template).is_some()
    }

    /// The template as it would be stored. Errors if it is of another model or size.
    pub fn row(&self, template: &Template) -> Result<Row, EngineError> {
        self.row_as(template, &template.embedding)
    }

    /// The same, searched by another vector than that which the template came with: one that was centred.
    pub fn row_as(&self, template: &Template, searched: &Embedding) -> Result<Row, EngineError> {
        searched.expect(&self.model, self.shape.dims)?;
        let face = Quantised::new(self.shape, &self.rotation.apply(searched.values()));
        let photographs = u8::try_from(template.photographs).unwrap_or(u8::MAX);
        let [low, high] = face.scale.to_le_bytes();
        let seal = sealed(content_of(template), &face.code, &face.rest, &[low, high, photographs]);
        Ok(Row { owner: Owner { template: template.id, rider: template.rider, photographs }, face, seal })
    }

    /// Bytes of a stored row.
    pub fn row_bytes(&self, layout: Layout) -> usize {
        layout.head_bytes() + self.shape.padded
    }

    /// A row from just its bytes.
    pub fn read_row(&self, bytes: &[u8], layout: Layout) -> Option<Row> {
        let (template, bytes) = bytes.split_first_chunk::<16>()?;
        let (rider, bytes) = bytes.split_first_chunk::<16>()?;
        let (photographs, bytes) = bytes.split_first()?;
        let (scale, bytes) = bytes.split_first_chunk::<2>()?;
        let (seal, bytes) = match layout {
            Layout::Former => (None, bytes),
            Layout::Sealed => {
                bytes.split_first_chunk::<4>().map(|(seal, bytes)| (Some(u32::from_le_bytes(*seal)), bytes))?
            }
        };
        let (code, rest) = bytes.split_at_checked(self.shape.code_bytes())?;
        let owner = Owner {
            template: TemplateId::from_bytes(*template),
            rider: RiderId::from_bytes(*rider),
            photographs: *photographs,
        };
        let seal = seal.unwrap_or_else(|| sealed(0, code, rest, &[scale[0], scale[1], *photographs]));
        let scale = u16::from_le_bytes(*scale);
        let face = Quantised { code: code.to_vec().into(), rest: rest.to_vec().into(), scale };
        (rest.len() == self.shape.rest_bytes()).then_some(Row { owner, face, seal })
    }

    /// The digest over template and rider of every row.
    pub fn fingerprint(&self) -> Fingerprint {
        self.read().rows.fingerprint().clone()
    }

    /// The same and what they hold, as it was when they were last [verified](Index::verify) or put.
    pub fn contents_fingerprint(&self) -> Fingerprint {
        self.read().rows.contents_fingerprint().clone()
    }

    /// What is in the rows of one bucket of the digest, all held at one moment. Looks at every row: changes wait for it,
    /// searches do not.
    pub fn in_bucket(&self, bucket: usize) -> Vec<Held> {
        self.read().rows.in_bucket(bucket)
    }

    /// How many templates have a content that is not known, since a version of before stored them.
    pub fn unknown(&self) -> usize {
        self.read().rows.unknown()
    }

    /// A bucket of the digest that such a template is in. Looks at every row, as [`Index::in_bucket`] does.
    pub fn bucket_of_unknown(&self) -> Option<usize> {
        self.read().rows.bucket_of_unknown()
    }

    /// Builds the digests anew from the rows themselves, so that what has changed in memory shows. Searches and changes go
    /// on: a stretch of rows at a time is looked at under the lock, with pauses. Takes seconds.
    pub fn verify(&self) {
        while !self.write().rows.verify(VERIFIED_AT_ONCE) {
            std::thread::sleep(VERIFY_PAUSE);
        }
    }

    /// Changes of rows so far.
    pub fn changes(&self) -> u64 {
        self.read().rows.changes()
    }

    /// Appends up to `count` rows from `from` on; gives how many there were.
    pub fn copy_rows(&self, from: usize, count: usize, bytes: &mut Vec<u8>) -> usize {
        let contents = self.read();
        let rows = from as u32..contents.rows.len().min(from + count).max(from) as u32;
        rows.map(|row| Row::of(&contents.rows, row).put_into(bytes)).count()
    }

    /// How many changes there were, and the rows that changed since there were `before`; `None` if those are not
    /// remembered any more.
    pub fn changed_since(&self, before: u64) -> Option<(u64, Vec<u32>)> {
        let contents = self.read();
        Some((contents.rows.changes(), contents.rows.changed_since(before)?))
    }

    /// Appends these rows, each with its number (4), to what has `reached` rows so far. Rows that are not there any more
    /// are left out; those that would leave a gap are given back.
    pub fn copy_changed(&self, rows: &[u32], reached: &mut usize, bytes: &mut Vec<u8>) -> Vec<u32> {
        let contents = self.read();
        let mut early = Vec::new();
        for row in rows.iter().copied().filter(|row| (*row as usize) < contents.rows.len()) {
            if row as usize > *reached {
                early.push(row);
                continue;
            }
            *reached = (*reached).max(row as usize + 1);
            bytes.extend_from_slice(&row.to_le_bytes());
            Row::of(&contents.rows, row).put_into(bytes);
        }
        early
    }

    /// Reads rows of a snapshot, from number `from` on, which must be the next; `None` if they are not whole. The index
    /// cannot be used before `restore_end`.
    pub fn restore_rows(&mut self, from: usize, bytes: &[u8], layout: Layout) -> Result<Option<()>, EngineError> {
        let row_bytes = self.row_bytes(layout);
        let rows = &mut self.contents().rows;
        if !bytes.len().is_multiple_of(row_bytes) {
            return Ok(None);
        }
        for (i, bytes) in bytes.chunks_exact(row_bytes).enumerate() {
            if !rows.restore(from + i, bytes, layout)? {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }

    /// Reads rows that changed while the snapshot was written. `None` if they are not whole.
    pub fn restore_changed(&mut self, bytes: &[u8], layout: Layout) -> Result<Option<()>, EngineError> {
        let stride = 4 + self.row_bytes(layout);
        let rows = &mut self.contents().rows;
        if !bytes.len().is_multiple_of(stride) {
            return Ok(None);
        }
        for bytes in bytes.chunks_exact(stride) {
            let (number, bytes) = bytes.split_at(4);
            let number = number.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte));
            if !rows.restore(number, bytes, layout)? {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }

    /// Ends with `len` rows. `None` if there are fewer, or two of one template.
    pub fn restore_end(&mut self, len: usize) -> Option<()> {
        self.contents().rows.restored(len).then_some(())
    }

    fn contents(&mut self) -> &mut Contents {
        self.contents.get_mut().expect("no change to the index panics half-way")
    }
}
