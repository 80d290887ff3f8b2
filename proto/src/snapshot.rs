//! What makes a snapshot's chunks verifiable: each carries a checksum of its content, and the last a digest over all of
//! them, so that none is damaged, missing, doubled or out of order.
//!
//! The digest is a chain of SHA-256: it begins with 32 zero bytes; each chunk's link is the hash of the link before, the
//! chunk's number (8 bytes, big-endian), the length of its content (8) and its checksum (4). A link names all that came
//! before it, so an interrupted snapshot goes on from one.

use prost::Message;
use sha2::{Digest, Sha256};

use crate::v1;

/// The newest format of chunks that this software reads and writes.
pub const SNAPSHOT_FORMAT: u32 = 1;

/// What is wrong with a chunk: it is not used, and asked for again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadChunk {
    #[error(
        "the snapshot is of format {format}, this software reads up to {SNAPSHOT_FORMAT}: upgrade it; until then it goes on with what it has"
    )]
    Newer { format: u32 },
    #[error("chunk {number} of the snapshot came where {expected} was due")]
    OutOfOrder { number: u64, expected: u64 },
    #[error("chunk {number} of the snapshot was damaged on its way")]
    Damaged { number: u64 },
    #[error("the snapshot's digest is not that of its chunks: it begins anew")]
    Digest,
}

impl BadChunk {
    /// Whether what came before the chunk is of no use either.
    pub const fn voids_all(&self) -> bool {
        matches!(self, Self::Digest)
    }
}

/// The link reached, and the number of the chunk that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chain {
    pub link: [u8; 32],
    pub next: u64,
}

impl Chain {
    /// A chunk with these facts, the next of the chain.
    pub fn chunk(&mut self, version: u64, facts: Vec<v1::Change>, complete: bool) -> v1::SnapshotChunk {
        let content = v1::SnapshotFacts { facts }.encode_to_vec();
        let (number, checksum) = (self.next, crc32fast::hash(&content));
        self.add(content.len(), checksum);
        let digest = if complete { self.link.to_vec() } else { Vec::new() };
        let format = SNAPSHOT_FORMAT;
        v1::SnapshotChunk { version, complete, format, number, content, checksum, digest, ..Default::default() }
    }

    /// Verifies a chunk of format 1 and takes it in. Number 0 begins the chain anew.
    pub fn take(&mut self, chunk: &v1::SnapshotChunk) -> Result<(), BadChunk> {
        if chunk.format > SNAPSHOT_FORMAT {
            return Err(BadChunk::Newer { format: chunk.format });
        }
        let mut chain = if chunk.number == 0 { Self::default() } else { *self };
        if chunk.number != chain.next {
            return Err(BadChunk::OutOfOrder { number: chunk.number, expected: chain.next });
        }
        if crc32fast::hash(&chunk.content) != chunk.checksum {
            return Err(BadChunk::Damaged { number: chunk.number });
        }
        chain.add(chunk.content.len(), chunk.checksum);
        if chunk.complete && chunk.digest != chain.link {
            return Err(BadChunk::Digest);
        }
        *self = chain;
        Ok(())
    }

    fn add(&mut self, length: usize, checksum: u32) {
        let mut hash = Sha256::new_with_prefix(self.link);
        hash.update(self.next.to_be_bytes());
        hash.update((length as u64).to_be_bytes());
        hash.update(checksum.to_be_bytes());
        *self = Self { link: hash.finalize().into(), next: self.next + 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks() -> Vec<v1::SnapshotChunk> {
        let mut chain = Chain::default();
        let fact = |version| v1::Change { version, change: None };
        (0..3).map(|n| chain.chunk(7, vec![fact(n), fact(9)], n == 2)).collect()
    }

    #[test]
    fn whole_chunks_in_order_are_taken_and_go_on_after_a_break() {
        let chunks = chunks();
        let mut chain = Chain::default();
        chain.take(&chunks[0]).unwrap();
        chain.take(&chunks[1]).unwrap();
        let mut resumed = chain;
        chain.take(&chunks[2]).unwrap();
        resumed.take(&chunks[2]).unwrap();
        assert_eq!(chain, resumed);
        // A cloud that begins anew begins with number 0.
        resumed.take(&chunks[0]).unwrap();
        assert_eq!(resumed.next, 1);
    }

    #[test]
    fn damage_gaps_and_newer_formats_are_told_apart_and_change_nothing() {
        let chunks = chunks();
        let mut chain = Chain::default();
        chain.take(&chunks[0]).unwrap();
        let before = chain;
        let mut bad = chunks[1].clone();
        bad.content[0] ^= 1;
        assert_eq!(chain.take(&bad), Err(BadChunk::Damaged { number: 1 }));
        assert_eq!(chain.take(&chunks[2]), Err(BadChunk::OutOfOrder { number: 2, expected: 1 }));
        assert_eq!(
            chain.take(&v1::SnapshotChunk { format: 9, ..Default::default() }),
            Err(BadChunk::Newer { format: 9 })
        );
        chain.take(&chunks[1]).unwrap();
        let other = v1::SnapshotChunk { digest: vec![0; 32], ..chunks[2].clone() };
        assert_eq!(chain.take(&other), Err(BadChunk::Digest));
        assert_ne!(chain, before);
        chain.take(&chunks[2]).unwrap();
    }
}
