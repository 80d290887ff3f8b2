//! Frames on a line that loses, tears and invents bytes; see the table in [`super`].

use std::fmt::Write as _;

/// Longer than any status; a line without an end is not waited for.
const FRAME_BYTES_MAX: usize = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Data,
    Acknowledgement,
    Report,
}

impl Kind {
    const fn letter(self) -> char {
        match self {
            Self::Data => 'D',
            Self::Acknowledgement => 'A',
            Self::Report => 'R',
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: Kind,
    pub number: u32,
    pub text: String,
}

impl Frame {
    /// `text` has no line end: it is JSON on one line.
    pub fn encode(&self) -> Vec<u8> {
        let mut line = format!("{} {} {}", self.kind.letter(), self.number, self.text);
        let crc = crc32fast::hash(line.as_bytes());
        // Writing to a string cannot fail.
        let _ = writeln!(line, "*{crc:08x}");
        line.into_bytes()
    }

    fn decode(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let (body, crc) = line.trim_end_matches('\r').rsplit_once('*')?;
        if crc.len() != 8 || u32::from_str_radix(crc, 16).ok()? != crc32fast::hash(body.as_bytes()) {
            return None;
        }
        let mut parts = body.splitn(3, ' ');
        let kind = match parts.next()? {
            "D" => Kind::Data,
            "A" => Kind::Acknowledgement,
            "R" => Kind::Report,
            _ => return None,
        };
        Some(Self { kind, number: parts.next()?.parse().ok()?, text: parts.next()?.to_owned() })
    }
}

/// Finds the frames in what comes along the line.
#[derive(Debug, Default)]
pub struct Frames {
    line: Vec<u8>,
    /// The line is too long to be a frame.
    overlong: bool,
}

impl Frames {
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Frame> {
        let mut found = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.overlong |= self.line.len() == FRAME_BYTES_MAX;
                if !self.overlong {
                    self.line.push(*byte);
                }
                continue;
            }
            let frame = if self.overlong { None } else { Frame::decode(&self.line) };
            if frame.is_none() && (self.overlong || !self.line.is_empty()) {
                metrics::counter!("facegate_gate_serial_garbage_total").increment(1);
                tracing::debug!(bytes = self.line.len(), "skipped what is no frame");
            }
            found.extend(frame);
            self.line.clear();
            self.overlong = false;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u32) -> Frame {
        Frame { kind: Kind::Data, number, text: r#"{"cmd":"open","token":"3-17"}"#.into() }
    }

    #[test]
    fn frames_are_found_between_garbage_halves_and_line_ends() {
        let mut frames = Frames::default();
        let mut bytes = b"\x00\xff*\nD 1 {\"cmd\"\n\r\n".to_vec();
        bytes.extend(frame(1).encode());
        bytes.extend(b"half a li");
        assert_eq!(frames.take(&bytes), [frame(1)]);
        assert_eq!(frames.take(b"ne\n"), []);
        let whole = frame(2).encode();
        assert_eq!(frames.take(&whole[..7]), []);
        assert_eq!(frames.take(&whole[7..]), [frame(2)]);
    }

    #[test]
    fn every_single_wrong_byte_is_found() {
        let good = frame(77).encode();
        for place in 0..good.len() {
            for flip in [1u8, 2, 32, 128] {
                let mut bad = good.clone();
                bad[place] ^= flip;
                let found = Frames::default().take(&bad);
                // Upper-case digits of the checksum are the same number.
                assert!(found.is_empty() || found == [frame(77)], "byte {place}: {found:?}");
            }
        }
    }

    #[test]
    fn a_line_without_an_end_costs_no_memory_and_the_next_frame_is_found() {
        let mut frames = Frames::default();
        for _ in 0..200 {
            assert_eq!(frames.take(&[b'x'; 1024]), []);
        }
        assert!(frames.line.len() <= FRAME_BYTES_MAX);
        assert_eq!(frames.take(b"\n"), []);
        assert_eq!(frames.take(&frame(3).encode()), [frame(3)]);
    }
}
