//! Frames: see the table in `journal.rs`.

pub(super) const FRAME_HEADER_BYTES: usize = 28;

const RECORD: [u8; 4] = *b"REC1";
const MARK: [u8; 4] = *b"MRK1";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Record,
    Mark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub kind: Kind,
    pub index: u64,
    /// Records below this index were durable when the frame was written.
    pub durable_before: u64,
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    pub(super) fn record(index: u64, durable_before: u64, payload: &'a [u8]) -> Self {
        Self { kind: Kind::Record, index, durable_before, payload }
    }

    pub(super) fn mark(next: u64) -> Frame<'static> {
        Frame { kind: Kind::Mark, index: next, durable_before: next, payload: &[] }
    }

    /// # Panics
    /// If the payload is over 4 GiB, which [`super::segment::BYTES_MAX`] excludes.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let length = u32::try_from(self.payload.len()).expect("a payload is smaller than a segment");
        out.extend_from_slice(if self.kind == Kind::Record { &RECORD } else { &MARK });
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&self.index.to_le_bytes());
        out.extend_from_slice(&self.durable_before.to_le_bytes());
        let crc = checksum(&out[start..], self.payload);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(self.payload);
    }

    /// The frame at the start of `bytes`, or what is wrong with it.
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let header = bytes.get(..FRAME_HEADER_BYTES).ok_or("a frame's header is cut off")?;
        let kind = match &header[..4] {
            kind if kind == RECORD => Kind::Record,
            kind if kind == MARK => Kind::Mark,
            _ => return Err("no frame begins here"),
        };
        let payload = payload_bytes(header).and_then(|length| bytes.get(FRAME_HEADER_BYTES..)?.get(..length));
        let payload = payload.ok_or("a frame's payload is cut off")?;
        if checksum(&header[..24], payload).to_le_bytes() != header[24..] {
            return Err("a frame's checksum is wrong");
        }
        Ok(Self { kind, index: u64_at(header, 8), durable_before: u64_at(header, 16), payload })
    }

    pub(super) fn bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.payload.len()
    }
}

/// How long the payload claims to be.
pub(super) fn payload_bytes(header: &[u8]) -> Option<usize> {
    let length = header.get(4..8)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(length)).ok()
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}

/// The caller has checked that the eight bytes are there.
pub(super) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_decode_to_what_was_encoded() {
        for frame in [Frame::record(7, 5, b"tap"), Frame::record(0, 0, b""), Frame::mark(9)] {
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            assert_eq!(bytes.len(), frame.bytes());
            bytes.extend_from_slice(b"what follows is not looked at");
            assert_eq!(Frame::decode(&bytes), Ok(frame));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let mut good = Vec::new();
        Frame::record(7, 5, b"tap").encode(&mut good);
        for bit in 0..good.len() * 8 {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::decode(&flipped).is_err(), "bit {bit}");
        }
        for length in 0..good.len() {
            assert!(Frame::decode(&good[..length]).is_err(), "length {length}");
        }
    }
}
