//! Motion JPEG in AVI, read from front to back:
//!
//! | bytes | what |
//! |---|---|
//! | `RIFF` size `AVI ` | the file; a long one goes on in further `RIFF` size `AVIX` |
//! | `LIST` size `hdrl`, in it `avih` size | the headers; `avih` begins with the microseconds between two pictures |
//! | `LIST` size `movi`, in it `00dc` size | the pictures, one JPEG each; `LIST` size `rec ` may group them |
//!
//! Sizes are 32 bits, little-endian; what is of odd length is followed by one more byte. All else is passed over.

use std::io::{self, Read};
use std::time::Duration;

/// What a file that does not say how fast it is gets.
const INTERVAL: Duration = Duration::from_millis(40);
const INTERVAL_RANGE: std::ops::RangeInclusive<u32> = 1_000..=10_000_000;

/// Why a file is not played, or no further.
#[derive(Debug, thiserror::Error)]
pub enum AviError {
    #[error("this is not an AVI file")]
    NotAvi,
    #[error("the recording is cut off")]
    CutOff,
    #[error("the recording cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunk {
    Picture(Vec<u8>),
    /// So many bytes; passed over.
    TooLarge(u32),
}

/// An AVI file being read.
#[derive(Debug)]
pub struct Avi<R> {
    file: R,
    bytes_max: u64,
    interval: Duration,
    broken: bool,
}

impl<R: Read> Avi<R> {
    pub fn open(mut file: R, bytes_max: u64) -> Result<Self, AviError> {
        let mut head = [0; 12];
        file.read_exact(&mut head).map_err(|_| AviError::NotAvi)?;
        if &head[..4] != b"RIFF" || &head[8..] != b"AVI " {
            return Err(AviError::NotAvi);
        }
        Ok(Self { file, bytes_max, interval: INTERVAL, broken: false })
    }

    /// Between two pictures; known once the first one has been read.
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// The next picture; none at the end. After an error there is nothing more.
    pub fn next(&mut self) -> Option<Result<Chunk, AviError>> {
        if self.broken {
            return None;
        }
        let next = self.read().transpose();
        self.broken = matches!(next, Some(Err(_)) | None);
        next
    }

    fn read(&mut self) -> Result<Option<Chunk>, AviError> {
        loop {
            let Some((name, size)) = self.header()? else { return Ok(None) };
            match &name {
                // What it holds is read next, whatever kind of list it is.
                b"LIST" | b"RIFF" => self.pass_over(4)?,
                b"avih" if size >= 4 => {
                    let mut micros = [0; 4];
                    self.fill(&mut micros)?;
                    let micros = u32::from_le_bytes(micros);
                    if INTERVAL_RANGE.contains(&micros) {
                        self.interval = Duration::from_micros(micros.into());
                    }
                    self.pass_over(u64::from(size) - 4 + u64::from(size % 2))?;
                }
                [_, _, b'd', b'c'] if size > 0 && u64::from(size) <= self.bytes_max => {
                    let mut bytes = vec![0; size as usize];
                    self.fill(&mut bytes)?;
                    // The last one's may be missing.
                    let _ = self.pass_over(u64::from(size % 2));
                    return Ok(Some(Chunk::Picture(bytes)));
                }
                _ => {
                    self.pass_over(u64::from(size) + u64::from(size % 2))?;
                    if name.ends_with(b"dc") && size > 0 {
                        return Ok(Some(Chunk::TooLarge(size)));
                    }
                }
            }
        }
    }

    /// Name and size of the next chunk; none at the end of the file.
    fn header(&mut self) -> Result<Option<([u8; 4], u32)>, AviError> {
        let mut header = [0; 8];
        let mut read = 0;
        while read < header.len() {
            match self.file.read(&mut header[read..])? {
                0 if read == 0 => return Ok(None),
                0 => return Err(AviError::CutOff),
                more => read += more,
            }
        }
        let [a, b, c, d, size @ ..] = header;
        Ok(Some(([a, b, c, d], u32::from_le_bytes(size))))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), AviError> {
        self.file.read_exact(bytes).map_err(|_| AviError::CutOff)
    }

    fn pass_over(&mut self, bytes: u64) -> Result<(), AviError> {
        let passed = io::copy(&mut self.file.by_ref().take(bytes), &mut io::sink())?;
        if passed == bytes { Ok(()) } else { Err(AviError::CutOff) }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn chunk(name: &[u8], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len()).unwrap().to_le_bytes();
        let odd = if content.len() % 2 == 1 { &[0_u8][..] } else { &[] };
        [name, &size, content, odd].concat()
    }

    /// A film of these pictures at ten a second.
    pub fn film(pictures: &[&[u8]]) -> Vec<u8> {
        let header = chunk(
            b"LIST",
            &[&b"hdrl"[..], &chunk(b"avih", &[&100_000_u32.to_le_bytes()[..], &[0; 52]].concat())].concat(),
        );
        let sound = chunk(b"01wb", b"la la");
        let shown: Vec<Vec<u8>> = pictures.iter().map(|picture| chunk(b"00dc", picture)).collect();
        let movie =
            chunk(b"LIST", &[&b"movi"[..], &sound, &chunk(b"LIST", &[b"rec ", &shown.concat()[..]].concat())].concat());
        let index = chunk(b"idx1", &[0; 33]);
        chunk(b"RIFF", &[&b"AVI "[..], &header, &chunk(b"JUNK", b"odd"), &movie, &index].concat())
    }

    fn played(bytes: &[u8]) -> Vec<Result<Chunk, String>> {
        let mut avi = Avi::open(bytes, 8).unwrap();
        std::iter::from_fn(|| avi.next()).map(|next| next.map_err(|e| e.to_string())).take(100).collect()
    }

    #[test]
    fn a_film_is_its_pictures_at_its_pace() {
        let film = film(&[b"one", b"a large one", b"four"]);
        let expected = [Chunk::Picture(b"one".to_vec()), Chunk::TooLarge(11), Chunk::Picture(b"four".to_vec())];
        assert_eq!(played(&film), expected.map(Ok));
        let mut avi = Avi::open(&film[..], 8).unwrap();
        avi.next();
        assert_eq!(avi.interval(), Duration::from_millis(100));
    }

    #[test]
    fn a_film_cut_off_anywhere_ends_after_its_whole_pictures() {
        let film = film(&[b"one", b"two!"]);
        for length in 12..film.len() {
            let said = played(&film[..length]);
            let faults = said.iter().filter(|next| next.is_err()).count();
            assert!(faults <= 1 && said.len() <= 3, "{length}: {said:?}");
        }
        assert!(Avi::open(&film[..11], 8).is_err() && Avi::open(&b"RIFF....WAVE"[..], 8).is_err());
    }
}
