//! XChaCha20-Poly1305 with associated data.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 8 | id of the key |
//! | 24 | nonce, random for every sealing |
//! | n | ciphertext |
//! | 16 | tag over version, key id, the caller's associated data and the ciphertext |

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::RngCore;
use zeroize::Zeroizing;

use super::{Key, KeyId, KeyRing};

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + 8;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("{bytes} bytes are too few to be sealed data; it was cut short or never sealed")]
    TooShort { bytes: usize },
    #[error("sealed data of version {0} needs a newer Facegate")]
    UnknownVersion(u8),
    #[error("sealed under key {found:?}, this is key {ours:?}; give the process the key it was sealed under")]
    OtherKey { found: KeyId, ours: KeyId },
    #[error("sealed data was altered or belongs elsewhere; it is not used")]
    Altered,
    #[error("more data than can be sealed at once")]
    TooLong,
}

/// Seals under one key, and opens what was sealed under it or an older one. `Debug` shows the key's id.
#[derive(Clone)]
pub struct Sealer {
    id: KeyId,
    cipher: XChaCha20Poly1305,
    older: Vec<(KeyId, XChaCha20Poly1305)>,
}

impl Sealer {
    pub fn new(key: &Key) -> Self {
        Self { id: key.id(), cipher: cipher(key), older: Vec::new() }
    }

    /// Seals under the ring's newest key; opens under any of them.
    pub fn of(ring: &KeyRing) -> Self {
        let older = ring.iter().skip(1).map(|key| (key.id(), cipher(key)));
        Self { older: older.collect(), ..Self::new(ring.newest()) }
    }

    /// The key that seals.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The key that something was sealed under; none for what is not sealed.
    pub fn sealed_under(sealed: &[u8]) -> Option<KeyId> {
        let id = sealed.get(1..HEADER_BYTES)?.try_into().ok()?;
        (sealed[0] == VERSION).then_some(KeyId(id))
    }

    /// `belongs_to` is not stored; [`Sealer::open`] must be given the same (a record's id, its model…), so that
    /// sealed data moved elsewhere does not open.
    pub fn seal(&self, plain: &[u8], belongs_to: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        let header = self.header();
        let aad = [header.as_slice(), belongs_to].concat();
        let payload = Payload { msg: plain, aad: &aad };
        let sealed = self.cipher.encrypt(XNonce::from_slice(&nonce), payload).map_err(|_| SealError::TooLong)?;
        Ok([header.as_slice(), &nonce, &sealed].concat())
    }

    /// The plain bytes, wiped when dropped.
    pub fn open(&self, sealed: &[u8], belongs_to: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if sealed.len() < HEADER_BYTES + NONCE_BYTES + TAG_BYTES {
            return Err(SealError::TooShort { bytes: sealed.len() });
        }
        let (header, rest) = sealed.split_at(HEADER_BYTES);
        let (nonce, sealed) = rest.split_at(NONCE_BYTES);
        if header[0] != VERSION {
            return Err(SealError::UnknownVersion(header[0]));
        }
        let mut found = KeyId([0; 8]);
        found.0.copy_from_slice(&header[1..]);
        let older = self.older.iter().find(|(id, _)| *id == found).map(|(_, cipher)| cipher);
        let cipher = if found == self.id { Some(&self.cipher) } else { older };
        let cipher = cipher.ok_or(SealError::OtherKey { found, ours: self.id })?;
        let aad = [header, belongs_to].concat();
        let payload = Payload { msg: sealed, aad: &aad };
        let plain = cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| SealError::Altered)?;
        Ok(Zeroizing::new(plain))
    }

    fn header(&self) -> [u8; HEADER_BYTES] {
        let mut header = [VERSION; HEADER_BYTES];
        header[1..].copy_from_slice(&self.id.0);
        header
    }
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.expose().into())
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({:?})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_what_it_sealed_and_seals_the_same_differently_each_time() {
        let sealer = Sealer::new(&Key::generate());
        for plain in [&b""[..], b"a face template"] {
            let sealed = sealer.seal(plain, b"rider 7").unwrap();
            assert_eq!(sealer.open(&sealed, b"rider 7").unwrap().as_slice(), plain);
            assert_ne!(sealer.seal(plain, b"rider 7").unwrap(), sealed);
        }
    }

    #[test]
    fn another_owner_and_another_key_are_refused() {
        let (key, other) = (Key::generate(), Key::generate());
        let sealed = Sealer::new(&key).seal(b"secret", b"rider 7").unwrap();
        assert_eq!(Sealer::new(&key).open(&sealed, b"rider 8"), Err(SealError::Altered));
        let refused = Sealer::new(&other).open(&sealed, b"rider 7");
        assert_eq!(refused, Err(SealError::OtherKey { found: key.id(), ours: other.id() }));

        // Even with the other key's id written over the header, the tag does not fit.
        let mut forged = sealed;
        forged[1..9].copy_from_slice(&other.id().0);
        assert_eq!(Sealer::new(&other).open(&forged, b"rider 7"), Err(SealError::Altered));
    }

    #[test]
    fn a_ring_seals_under_its_newest_key_and_opens_under_all() {
        let (old, new) = (Key::generate(), Key::generate());
        let before = Sealer::new(&old).seal(b"secret", b"rider 7").unwrap();
        let ring = Sealer::of(&KeyRing::new(new.clone(), vec![old.clone()]));
        assert_eq!(ring.open(&before, b"rider 7").unwrap().as_slice(), b"secret");
        let after = ring.seal(b"secret", b"rider 7").unwrap();
        assert_eq!(Sealer::sealed_under(&before), Some(old.id()));
        assert_eq!(Sealer::sealed_under(&after), Some(new.id()));
        assert_eq!((ring.id(), Sealer::sealed_under(b"short")), (new.id(), None));
        let refused = Sealer::new(&old).open(&after, b"rider 7");
        assert_eq!(refused, Err(SealError::OtherKey { found: new.id(), ours: old.id() }));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let sealer = Sealer::new(&Key::generate());
        let sealed = sealer.seal(b"secret", b"rider 7").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(sealer.open(&flipped, b"rider 7").is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(sealer.open(&sealed[..length], b"rider 7").is_err(), "length {length}");
        }
    }
}
