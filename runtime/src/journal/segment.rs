//! One segment file: its name, its header, and what a scan of its bytes finds.

use super::record::{FRAME_HEADER_BYTES, Frame, Kind, u64_at};

pub(super) const BYTES_MIN: u64 = 4 << 10;
pub(super) const BYTES_MAX: u64 = 1 << 30;
pub(super) const HEADER_BYTES: usize = 24;
/// A file with this ending was being made when the process died; it holds nothing.
pub(super) const UNFINISHED: &str = ".new";

const MAGIC: [u8; 8] = *b"FGATEJNL";
const VERSION: u32 = 1;
/// Where every so-manieth record begins is remembered, so that a read need not start at the front.
const STRIDE: u64 = 64;

/// A segment as the open journal knows it.
#[derive(Debug)]
pub(super) struct Segment {
    pub first: u64,
    /// Valid bytes, marks included.
    pub bytes: u64,
    /// Offset of record `first + k · STRIDE` at position k.
    landmarks: Vec<u64>,
}

impl Segment {
    pub(super) fn empty(first: u64) -> Self {
        Self { first, bytes: HEADER_BYTES as u64, landmarks: Vec::new() }
    }

    pub(super) fn file_name(&self) -> String {
        file_name(self.first)
    }

    /// Notes where a record begins; to be called for every record in order.
    pub(super) fn note(&mut self, index: u64, offset: u64) {
        if (index - self.first).is_multiple_of(STRIDE) {
            self.landmarks.push(offset);
        }
    }

    /// Where to start looking for record `index`: that offset, and the index of the record there.
    pub(super) fn landmark(&self, index: u64) -> Option<(u64, u64)> {
        let number = (index - self.first) / STRIDE;
        let offset = self.landmarks.get(usize::try_from(number).ok()?)?;
        Some((*offset, self.first + number * STRIDE))
    }
}

pub(super) fn file_name(first: u64) -> String {
    format!("{first:020}.seg")
}

/// The first index of the segment named so; `None` for other files.
pub(super) fn first_of_name(name: &str) -> Option<u64> {
    let first = name.strip_suffix(".seg")?.parse().ok()?;
    (file_name(first) == name).then_some(first)
}

pub(super) fn header(first: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&first.to_le_bytes());
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// Checks the header against the index that the file's name promises.
pub(super) fn check_header(bytes: &[u8], first: u64) -> Result<(), &'static str> {
    let found = bytes.get(..HEADER_BYTES).ok_or("the segment's header is cut off")?;
    if found == header(first) {
        Ok(())
    } else if found[..8] != MAGIC {
        Err("this is no journal segment")
    } else if crc32fast::hash(&found[..20]).to_le_bytes() != found[20..] {
        Err("the segment header's checksum is wrong")
    } else if u64_at(found, 12) != first {
        Err("the segment belongs under another name")
    } else {
        Err("the segment is of another format version")
    }
}

/// What a segment's bytes hold.
#[derive(Debug)]
pub(super) struct Scan {
    pub segment: Segment,
    /// The index after the last good record.
    pub next: u64,
    /// After the last record that is known to be durable. Marks may follow, which nobody ever synced for their own
    /// sake, and records.
    pub sure_bytes: usize,
    /// Whether there are records that are not known to be durable.
    pub unsure_records: bool,
    /// What is wrong after the good frames, if they do not fill the file.
    pub damage: Option<&'static str>,
}

impl Scan {
    /// Where the good frames end.
    pub(super) fn good_bytes(&self) -> usize {
        usize::try_from(self.segment.bytes).unwrap_or(usize::MAX)
    }
}

/// Walks the frames of a segment whose header was checked.
pub(super) fn scan(bytes: &[u8], first: u64) -> Scan {
    let mut segment = Segment::empty(first);
    let mut next = first;
    let mut durable_before = first;
    let mut ends = Vec::new();
    let mut offset = HEADER_BYTES;
    let mut damage = None;
    while offset < bytes.len() {
        match Frame::decode(&bytes[offset..]) {
            Ok(frame) if frame.index == next => {
                if frame.kind == Kind::Record {
                    segment.note(next, offset as u64);
                    ends.push(offset + frame.bytes());
                    next += 1;
                }
                durable_before = durable_before.max(frame.durable_before);
                offset += frame.bytes();
            }
            Ok(_) => damage = Some("a frame has another index than its place"),
            Err(what) => damage = Some(what),
        }
        if damage.is_some() {
            break;
        }
    }
    segment.bytes = offset as u64;
    let sure = usize::try_from(durable_before - first).unwrap_or(usize::MAX).min(ends.len());
    let sure_bytes = sure.checked_sub(1).map_or(HEADER_BYTES, |last| ends[last]);
    Scan { segment, next, sure_bytes, unsure_records: sure < ends.len(), damage }
}

/// Whether a frame after the damage at `offset` says that record `index`, which should begin there, was durable.
pub(super) fn was_durable(bytes: &[u8], offset: usize, index: u64) -> bool {
    let last = bytes.len().saturating_sub(FRAME_HEADER_BYTES);
    (offset..=last).any(|at| {
        bytes.get(at..).and_then(|rest| Frame::decode(rest).ok()).is_some_and(|frame| frame.durable_before > index)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_we_write_are_segments() {
        assert_eq!(first_of_name(&file_name(42)), Some(42));
        for name in ["42.seg", "00000000000000000042.seg.new", "lock", "+0000000000000000042.seg"] {
            assert_eq!(first_of_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_scan_knows_what_is_durable_and_where_records_begin() {
        let mut bytes = header(10);
        let mut begins = Vec::new();
        for index in 10..200 {
            begins.push(bytes.len());
            // The last ten are one commit; those before were durable when it was written.
            Frame::record(index, index.min(190), b"payload").encode(&mut bytes);
        }
        let scan = scan(&bytes, 10);
        assert_eq!((scan.next, scan.good_bytes(), scan.damage), (200, bytes.len(), None));
        assert_eq!((scan.sure_bytes, scan.unsure_records), (begins[180], true));
        let (offset, index) = scan.segment.landmark(150).unwrap();
        assert_eq!(index, 138);
        assert_eq!(usize::try_from(offset).unwrap(), begins[128]);
    }

    #[test]
    fn a_mark_makes_everything_before_it_sure() {
        let mut bytes = header(0);
        Frame::record(0, 0, b"a").encode(&mut bytes);
        let torn = bytes.len();
        Frame::mark(1).encode(&mut bytes);
        let scan = scan(&bytes, 0);
        assert_eq!((scan.sure_bytes, scan.unsure_records, scan.good_bytes()), (torn, false, bytes.len()));
        assert!(was_durable(&bytes, HEADER_BYTES, 0));
        assert!(!was_durable(&bytes[..torn], HEADER_BYTES, 0));
    }
}
