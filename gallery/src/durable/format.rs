//! What snapshots, logs and what is staged have in common: the head, and sealed pieces that are bound to their file and place in it.
//!
//! | bytes | head |
//! |---|---|
//! | 8 | `FGSNAP\0\0`, `FGLOG\0\0\0` or `FGSTAGED` |
//! | 2 | format: 2, of rows with a seal; formerly 1, of rows without |
//! | 4 | dimensions |
//! | 8 | fingerprint of model, centre and rotation |
//! | 8 | of a log: the version of the feed that it follows; else 0 |
//! | 16 | random: no two files seal alike |
//! | 16 | tag over the above: tells another key from damage |
//!
//! | bytes | piece |
//! |---|---|
//! | 4 | length n of what is sealed |
//! | 4 | its complement: a file that ends within a piece is torn only if the length is right |
//! | n | XChaCha20-Poly1305 ciphertext; its nonce is the head's random bytes and the piece's number |
//! | 16 | tag over the above, the head and the length |
//!
//! Numbers are little-endian. Pieces are numbered from 1; the head's tag is number 0.

use std::io::{self, Read, Write};
use std::path::Path;

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use facegate_domain::ids::ModelId;
use rand::RngCore;
use zeroize::Zeroizing;

use super::DurableError;
use crate::index::{Layout, rotation_version};

const FORMAT: u16 = 2;
const FORMAT_WITHOUT_SEALS: u16 = 1;
const OPEN_HEAD_BYTES: usize = 46;
const LENGTH_BYTES: usize = 8;
const TAG_BYTES: usize = 16;
/// Before the length of a piece has been verified, no more is believed.
pub const PIECE_BYTES_MAX: usize = 1 << 26;

/// Which of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Snapshot,
    Log,
    Staged,
}

/// What files of one index look like.
#[derive(Clone)]
pub struct Format {
    dims: u32,
    fingerprint: u64,
    key: Key,
}

/// A cipher under the gallery's key.
#[derive(Clone)]
pub struct Key(XChaCha20Poly1305);

/// Seals or opens the pieces of one file, in order.
pub struct Pieces {
    head: Vec<u8>,
    key: Key,
    next: u64,
    /// Of the head and the pieces that were read whole.
    whole_bytes: u64,
}

/// What reading a piece gave.
pub enum Piece {
    Whole(Zeroizing<Vec<u8>>),
    /// The file ends within the piece.
    Torn,
    /// The file ended before.
    End,
    Altered,
}

impl Key {
    pub fn new(key: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(key.into()))
    }
}

impl Format {
    pub fn new(model: &ModelId, dims: usize, centre: Option<&[f32]>, key: Key) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325;
        let mut add = |byte: &u8| hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        model.as_str().as_bytes().iter().for_each(&mut add);
        centre.unwrap_or_default().iter().flat_map(|value| value.to_le_bytes()).for_each(|byte| add(&byte));
        add(&rotation_version());
        Self { dims: u32::try_from(dims).unwrap_or(u32::MAX), fingerprint: hash, key }
    }

    /// The head of a new file. `base`: the version of the feed that a log follows.
    pub fn begin(&self, kind: Kind, base: u64, out: &mut impl Write) -> io::Result<Pieces> {
        self.begin_as(FORMAT, kind, base, out)
    }

    /// The head of a file as a version of before wrote it.
    #[cfg(test)]
    pub fn begin_former(&self, kind: Kind, base: u64, out: &mut impl Write) -> io::Result<Pieces> {
        self.begin_as(FORMAT_WITHOUT_SEALS, kind, base, out)
    }

    fn begin_as(&self, format: u16, kind: Kind, base: u64, out: &mut impl Write) -> io::Result<Pieces> {
        let mut head = Vec::with_capacity(OPEN_HEAD_BYTES + TAG_BYTES);
        head.extend_from_slice(kind.magic());
        head.extend_from_slice(&format.to_le_bytes());
        head.extend_from_slice(&self.dims.to_le_bytes());
        head.extend_from_slice(&self.fingerprint.to_le_bytes());
        head.extend_from_slice(&base.to_le_bytes());
        let mut random = [0; 16];
        rand::rng().fill_bytes(&mut random);
        head.extend_from_slice(&random);
        let mut pieces = Pieces { head, key: self.key.clone(), next: 0, whole_bytes: 0 };
        let tag = pieces.seal(&mut [], &[])?;
        pieces.head.extend_from_slice(&tag);
        out.write_all(&pieces.head)?;
        Ok(pieces)
    }

    /// Reads the head of the file at `path`; `None` if the file ends within it.
    pub fn resume(&self, kind: Kind, path: &Path, input: &mut impl Read) -> Result<Option<Pieces>, DurableError> {
        let mut head = vec![0; OPEN_HEAD_BYTES + TAG_BYTES];
        let read = fill(input, &mut head).map_err(|source| DurableError::File { path: path.to_owned(), source })?;
        let damaged = |what| DurableError::Damaged { path: path.to_owned(), what };
        let foreign = |what| DurableError::Foreign { path: path.to_owned(), what };
        let start = &head[..read.min(8)];
        if start != &kind.magic()[..start.len()] {
            return Err(damaged("it does not begin as such a file does"));
        }
        if read >= 10 {
            let format = u16::from_le_bytes([head[8], head[9]]);
            if format > FORMAT {
                return Err(DurableError::Newer { path: path.to_owned(), format });
            }
        }
        if read < head.len() {
            return Ok(None);
        }
        let tag = head.split_off(OPEN_HEAD_BYTES);
        let mut pieces = Pieces { head, key: self.key.clone(), next: 0, whole_bytes: 0 };
        if !pieces.open(&mut [], &[], &tag) {
            return Err(damaged("its head was altered, or it was sealed under another key"));
        }
        if pieces.head[10..14] != self.dims.to_le_bytes() {
            return Err(foreign("its embeddings have another number of dimensions"));
        }
        if pieces.head[14..22] != self.fingerprint.to_le_bytes() {
            return Err(foreign("its templates were made by another model or centred otherwise"));
        }
        pieces.head.extend_from_slice(&tag);
        pieces.whole_bytes = pieces.head_bytes();
        Ok(Some(pieces))
    }
}

impl Kind {
    const fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Snapshot => b"FGSNAP\0\0",
            Self::Log => b"FGLOG\0\0\0",
            Self::Staged => b"FGSTAGED",
        }
    }
}

impl Pieces {
    /// The version of the feed that this log follows.
    pub fn base(&self) -> u64 {
        self.head[22..].first_chunk().map_or(0, |base| u64::from_le_bytes(*base))
    }

    /// As what the rows in it are stored.
    pub fn layout(&self) -> Layout {
        let former = self.head[8..10] == FORMAT_WITHOUT_SEALS.to_le_bytes();
        if former { Layout::Former } else { Layout::Sealed }
    }

    /// Bytes of the head.
    pub fn head_bytes(&self) -> u64 {
        self.head.len() as u64
    }

    /// How far the file was read without fault.
    pub fn whole_bytes(&self) -> u64 {
        self.whole_bytes
    }

    /// Seals `plain` (which is overwritten) as the next piece.
    pub fn write(&mut self, plain: &mut [u8], out: &mut impl Write) -> io::Result<()> {
        if plain.len() > PIECE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let length = length_of(plain);
        let tag = self.seal(plain, &length)?;
        out.write_all(&length)?;
        out.write_all(plain)?;
        out.write_all(&tag)
    }

    /// Reads and opens the next piece.
    pub fn read(&mut self, input: &mut impl Read) -> io::Result<Piece> {
        let mut length = [0; LENGTH_BYTES];
        match fill(input, &mut length)? {
            0 => return Ok(Piece::End),
            LENGTH_BYTES => (),
            _ => return Ok(Piece::Torn),
        }
        let (bytes, complement) = length.split_at(LENGTH_BYTES / 2);
        let bytes = bytes.iter().rev().fold(0, |bytes, byte| bytes << 8 | usize::from(*byte));
        let complements = length.iter().zip(complement).all(|(byte, complement)| *byte == !complement);
        if !complements || bytes > PIECE_BYTES_MAX {
            return Ok(Piece::Altered);
        }
        let mut sealed = Zeroizing::new(vec![0; bytes]);
        let mut tag = [0; TAG_BYTES];
        if fill(input, &mut sealed)? < bytes || fill(input, &mut tag)? < TAG_BYTES {
            return Ok(Piece::Torn);
        }
        if !self.open(&mut sealed, &length, &tag) {
            return Ok(Piece::Altered);
        }
        self.whole_bytes += (LENGTH_BYTES + bytes + TAG_BYTES) as u64;
        Ok(Piece::Whole(sealed))
    }

    fn seal(&mut self, plain: &mut [u8], length: &[u8]) -> io::Result<Tag> {
        let (nonce, with) = self.next(length);
        self.key.0.encrypt_in_place_detached(&nonce, &with, plain).map_err(|_| io::ErrorKind::InvalidInput.into())
    }

    fn open(&mut self, sealed: &mut [u8], length: &[u8], tag: &[u8]) -> bool {
        let (nonce, with) = self.next(length);
        self.key.0.decrypt_in_place_detached(&nonce, &with, sealed, Tag::from_slice(tag)).is_ok()
    }

    fn next(&mut self, length: &[u8]) -> (XNonce, Vec<u8>) {
        let mut nonce = XNonce::default();
        nonce[..16].copy_from_slice(&self.head[30..46]);
        nonce[16..].copy_from_slice(&self.next.to_le_bytes());
        self.next += 1;
        (nonce, [&self.head, length].concat())
    }
}

/// The length of a piece, and its complement.
fn length_of(plain: &[u8]) -> [u8; LENGTH_BYTES] {
    #[expect(clippy::cast_possible_truncation, reason = "at most PIECE_BYTES_MAX")]
    let length = plain.len() as u32;
    (u64::from(length) | u64::from(!length) << 32).to_le_bytes()
}

/// Reads until the buffer is full or the input ends; gives how much was read.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match input.read(&mut buffer[read..]) {
            Ok(0) => break,
            Ok(bytes) => read += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

impl std::fmt::Debug for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Format(dims={})", self.dims)
    }
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pieces(next={})", self.next)
    }
}
