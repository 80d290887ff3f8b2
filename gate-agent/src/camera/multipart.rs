//! The parts of a `multipart/x-mixed-replace` stream, as cameras send them, with and without `Content-Length`.
//!
//! Nothing that the other side sends makes this grow: a part, its headers and what lies between parts are bounded.

use bytes::{Buf, BytesMut};
use memchr::memmem;

/// Headers of one part; a camera's have a hundred bytes.
const HEADERS_BYTES_MAX: usize = 8192;
/// What may lie before a part: line ends, a preamble.
const BETWEEN_BYTES_MAX: usize = 8192;

/// Why a stream is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadStream {
    #[error("the boundary that the stream's header names does not come: is it a motion JPEG stream?")]
    NoBoundary,
    #[error("a part's headers have no end within {HEADERS_BYTES_MAX} bytes")]
    HeadersTooLarge,
    #[error("a part has no end within {bytes_max} bytes")]
    PartTooLarge { bytes_max: usize },
}

/// Feed it what arrives, and take parts.
#[derive(Debug)]
pub struct Parts {
    delimiter: Vec<u8>,
    bytes_max: usize,
    buffer: BytesMut,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    Headers,
    /// With its length, or until the next boundary; so many bytes have been searched for that.
    Body(Option<usize>, usize),
    Ended,
}

/// What the stream has next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Part(Vec<u8>),
    /// More bytes are needed.
    Hungry,
    /// The closing boundary has come.
    End,
}

impl Parts {
    /// `boundary` as the stream's content type has it. Some cameras name it with the dashes that only the stream has.
    pub fn new(boundary: &str, bytes_max: usize) -> Self {
        let name = boundary.trim_matches('"');
        let delimiter = format!("--{}", name.strip_prefix("--").unwrap_or(name)).into_bytes();
        Self { delimiter, bytes_max, buffer: BytesMut::new(), state: State::Between }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Errors end the stream: nothing after them can be understood.
    pub fn next(&mut self) -> Result<Next, BadStream> {
        loop {
            let step = match self.state {
                State::Between => self.find_boundary()?,
                State::Headers => self.read_headers()?,
                State::Body(Some(length), _) => self.take_counted(length),
                State::Body(None, searched) => self.take_until_boundary(searched)?,
                State::Ended => return Ok(Next::End),
            };
            match step {
                Step::To(state) => self.state = state,
                Step::Part(part) => {
                    self.state = State::Between;
                    return Ok(Next::Part(part));
                }
                Step::Hungry => return Ok(Next::Hungry),
            }
        }
    }

    /// Skips what lies before the boundary and its line.
    fn find_boundary(&mut self) -> Result<Step, BadStream> {
        let Some(at) = memmem::find(&self.buffer, &self.delimiter) else {
            let room = self.buffer.len() <= BETWEEN_BYTES_MAX;
            return if room { Ok(Step::Hungry) } else { Err(BadStream::NoBoundary) };
        };
        let after = &self.buffer[at + self.delimiter.len()..];
        if after.starts_with(b"--") {
            return Ok(Step::To(State::Ended));
        }
        match memchr::memchr(b'\n', after) {
            Some(end) => {
                self.buffer.advance(at + self.delimiter.len() + end + 1);
                Ok(Step::To(State::Headers))
            }
            None if after.len() > HEADERS_BYTES_MAX => Err(BadStream::HeadersTooLarge),
            None => Ok(Step::Hungry),
        }
    }

    fn read_headers(&mut self) -> Result<Step, BadStream> {
        let mut length = None;
        let mut at = 0;
        loop {
            let Some(end) = memchr::memchr(b'\n', &self.buffer[at..]) else {
                let room = self.buffer.len() <= HEADERS_BYTES_MAX;
                return if room { Ok(Step::Hungry) } else { Err(BadStream::HeadersTooLarge) };
            };
            let line = self.buffer[at..at + end].trim_ascii();
            at += end + 1;
            if at > HEADERS_BYTES_MAX {
                return Err(BadStream::HeadersTooLarge);
            }
            if line.is_empty() {
                break;
            }
            length = length.or_else(|| content_length(line));
        }
        self.buffer.advance(at);
        match length {
            Some(length) if length > self.bytes_max => Err(BadStream::PartTooLarge { bytes_max: self.bytes_max }),
            length => Ok(Step::To(State::Body(length, 0))),
        }
    }

    fn take_counted(&mut self, length: usize) -> Step {
        if self.buffer.len() < length { Step::Hungry } else { Step::Part(self.buffer.split_to(length).to_vec()) }
    }

    fn take_until_boundary(&mut self, searched: usize) -> Result<Step, BadStream> {
        match memmem::find(&self.buffer[searched..], &self.delimiter) {
            Some(at) if searched + at <= self.bytes_max + 2 => {
                let part = self.buffer.split_to(searched + at);
                let part = part.strip_suffix(b"\r\n").or_else(|| part.strip_suffix(b"\n")).unwrap_or(&part);
                Ok(Step::Part(part.to_vec()))
            }
            None if self.buffer.len() <= self.bytes_max + self.delimiter.len() + 2 => {
                let searched = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
                self.state = State::Body(None, searched);
                Ok(Step::Hungry)
            }
            _ => Err(BadStream::PartTooLarge { bytes_max: self.bytes_max }),
        }
    }
}

enum Step {
    To(State),
    Part(Vec<u8>),
    Hungry,
}

/// The length that a header line tells; a nonsensical one is none.
fn content_length(line: &[u8]) -> Option<usize> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    name.trim().eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 1000;

    /// All parts of a stream that arrives in pieces of this size.
    fn parts(boundary: &str, stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, Result<Next, BadStream>) {
        let (mut reader, mut found) = (Parts::new(boundary, MAX), Vec::new());
        for chunk in stream.chunks(piece) {
            reader.push(chunk);
            loop {
                match reader.next() {
                    Ok(Next::Part(part)) => found.push(part),
                    Ok(Next::Hungry) => break,
                    end => return (found, end),
                }
            }
            assert!(reader.buffer.len() <= 2 * MAX + HEADERS_BYTES_MAX + piece, "it grows");
        }
        (found, Ok(Next::Hungry))
    }

    fn counted(part: &[u8]) -> Vec<u8> {
        let head = format!("--b\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", part.len());
        [head.as_bytes(), part, b"\r\n"].concat()
    }

    fn uncounted(part: &[u8]) -> Vec<u8> {
        [b"--b\r\nContent-Type: image/jpeg\r\n\r\n", part, b"\r\n"].concat()
    }

    #[test]
    fn every_way_of_writing_the_boundary_is_understood() {
        let stream = [counted(b"one"), uncounted(b"two"), counted(b"three"), b"--b--\r\n".to_vec()].concat();
        let expected = vec![b"one".to_vec(), b"two".to_vec(), b"three".to_vec()];
        for boundary in ["b", "--b", "\"b\""] {
            assert_eq!(parts(boundary, &stream, 7), (expected.clone(), Ok(Next::End)), "{boundary}");
        }
        let bare = b"--b\nContent-Length: 3\n\none\n--b\nX: y\n\ntwo\n--b\n";
        assert_eq!(parts("b", bare, 1).0, expected[..2]);
    }

    #[test]
    fn hostile_streams_are_given_up_by_name_and_do_not_grow() {
        let endless = |head: &[u8]| [head, &vec![b'x'; 200_000][..]].concat();
        let table = [
            ("another boundary", endless(b"--other\r\n\r\n"), BadStream::NoBoundary),
            ("no stream at all", endless(b"<html>"), BadStream::NoBoundary),
            ("a boundary line without end", endless(b"--b"), BadStream::HeadersTooLarge),
            ("headers without end", endless(b"--b\r\nX: "), BadStream::HeadersTooLarge),
            (
                "a thousand headers",
                [b"--b\r\n".to_vec(), b"X: y\r\n".repeat(5000)].concat(),
                BadStream::HeadersTooLarge,
            ),
            ("a part without end", endless(b"--b\r\n\r\n"), BadStream::PartTooLarge { bytes_max: MAX }),
            (
                "a length beyond all bounds",
                endless(b"--b\r\nContent-Length: 99999999999\r\n\r\n"),
                BadStream::PartTooLarge { bytes_max: MAX },
            ),
        ];
        for (what, stream, expected) in table {
            assert_eq!(parts("b", &stream, 1460), (vec![], Err(expected)), "{what}");
        }
    }

    #[test]
    fn a_wrong_length_costs_the_parts_that_it_touches_and_no_more() {
        let too_long = b"--b\r\nContent-Length: 60\r\n\r\nshort\r\n".to_vec();
        let too_short = b"--b\r\nContent-Length: 2\r\n\r\nlonger\r\n".to_vec();
        let nonsense = b"--b\r\nContent-Length: many\r\n\r\nplain\r\n".to_vec();
        let stream =
            [too_long, counted(b"swallowed"), counted(b"next"), too_short, nonsense, counted(b"last")].concat();
        let found = parts("b", &stream, 10).0;
        assert_eq!(found[1..], [b"next".to_vec(), b"lo".to_vec(), b"plain".to_vec(), b"last".to_vec()]);
    }

    proptest! {
        #[test]
        fn parts_come_out_as_they_went_in_however_the_stream_is_cut(
            sent in prop::collection::vec((prop::collection::vec(0_u8..b'-', 0..200), any::<bool>()), 1..8),
            piece in 1_usize..300,
        ) {
            let clean = |part: &Vec<u8>| part.iter().map(|b| b | 1).collect::<Vec<u8>>();
            let clean: Vec<_> = sent.iter().map(|(part, has_length)| (clean(part), *has_length)).collect();
            let written = clean.iter().map(|(part, has_length)| if *has_length { counted(part) } else { uncounted(part) });
            let stream = [written.collect::<Vec<_>>().concat(), b"--b--".to_vec()].concat();
            let (found, end) = parts("b", &stream, piece);
            prop_assert_eq!(found, clean.into_iter().map(|(part, _)| part).collect::<Vec<_>>());
            prop_assert_eq!(end, Ok(Next::End));
        }

        #[test]
        fn anything_at_all_ends_or_waits(stream in prop::collection::vec(any::<u8>(), 0..5000), piece in 1_usize..700) {
            let (found, _) = parts("b", &stream, piece);
            prop_assert!(found.iter().all(|part| part.len() <= MAX));
        }
    }
}
