//! Reading durable records, beside the writer.

use std::io;
use std::path::PathBuf;

use super::JournalError;
use super::record::{FRAME_HEADER_BYTES, Frame, Kind, payload_bytes};
use super::shared::Shared;
use crate::disk::DiskFile;

/// A read stops once it has this much, so that what it gives fits into one message.
const READ_BYTES_MAX: usize = 2 << 20;

pub(super) fn read(shared: &Shared, from: u64, max: usize) -> Result<Vec<(u64, Vec<u8>)>, JournalError> {
    let mut records = Vec::new();
    let mut bytes = 0;
    let mut next = from;
    while records.len() < max && bytes < READ_BYTES_MAX {
        let Some(place) = locate(shared, next)? else { break };
        let before = next;
        let end = place.read(shared, |index, record| {
            if index >= next {
                bytes += record.len();
                records.push((index, record.to_vec()));
                next += 1;
            }
            records.len() < max && bytes < READ_BYTES_MAX
        })?;
        if next == before {
            return Err(place.corrupt(end, "records are missing at the segment's end"));
        }
    }
    Ok(records)
}

/// Where to start reading, and how far what is durable goes.
struct Place {
    path: PathBuf,
    /// The first index and offset to look at: at or a little before the wanted record.
    index: u64,
    offset: u64,
    /// The segment's valid bytes.
    end: u64,
}

/// `None` if record `index` is not written yet.
fn locate(shared: &Shared, index: u64) -> Result<Option<Place>, JournalError> {
    let state = shared.state();
    if index < state.first_index() {
        return Err(JournalError::Released { index, first: state.first_index() });
    }
    if index >= state.next {
        return Ok(None);
    }
    let place = state.segment_of(index).and_then(|segment| {
        let (offset, index) = segment.landmark(index)?;
        Some(Place { path: shared.dir.join(segment.file_name()), index, offset, end: segment.bytes })
    });
    Ok(place)
}

impl Place {
    /// Gives records in order to `take` until it says to stop or the segment ends; returns where it stopped.
    fn read(&self, shared: &Shared, mut take: impl FnMut(u64, &[u8]) -> bool) -> Result<u64, JournalError> {
        let file = shared.disk.open(&self.path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                JournalError::Released { index: self.index, first: shared.state().first_index() }
            }
            _ => JournalError::io("open the segment", &self.path)(error),
        })?;
        let (mut offset, mut index) = (self.offset, self.index);
        while offset < self.end {
            let bytes = frame_at(file.as_ref(), offset, self.end).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => self.corrupt(offset, "a frame is cut off"),
                _ => JournalError::io("read the segment", &self.path)(error),
            })?;
            let frame = Frame::decode(&bytes).map_err(|what| self.corrupt(offset, what))?;
            if frame.index != index {
                return Err(self.corrupt(offset, "a frame has another index than its place"));
            }
            offset += frame.bytes() as u64;
            if frame.kind == Kind::Record {
                index += 1;
                if !take(frame.index, frame.payload) {
                    break;
                }
            }
        }
        Ok(offset)
    }

    fn corrupt(&self, offset: u64, what: &'static str) -> JournalError {
        JournalError::CorruptMiddle { segment: self.path.clone(), offset, what }
    }
}

/// The bytes of the frame that begins at `offset` and must end by `end`.
fn frame_at(file: &dyn DiskFile, offset: u64, end: u64) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; FRAME_HEADER_BYTES];
    file.read_at(offset, &mut frame)?;
    let payload = payload_bytes(&frame).ok_or(io::ErrorKind::UnexpectedEof)?;
    let whole = FRAME_HEADER_BYTES.saturating_add(payload);
    if end - offset < whole as u64 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    frame.resize(whole, 0);
    file.read_at(offset + FRAME_HEADER_BYTES as u64, &mut frame[FRAME_HEADER_BYTES..])?;
    Ok(frame)
}
