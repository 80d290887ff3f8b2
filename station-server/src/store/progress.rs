//! How far a snapshot has come that is on its way in, so that it goes on after a restart of the process.
//!
//! | bytes | |
//! |---|---|
//! | 4 | the level of changes that it is asked for with |
//! | 8 | the id of the key that seals its templates |
//! | 8 | templates staged |
//! | 8 | version of the feed |
//! | 8, 32 | the chain of its chunks: the next number, the link reached |
//! | … | what the cloud wants to hear to go on |
//!
//! Numbers are big-endian. It is written when everything that it speaks of is on the disk.

use facegate_proto::snapshot::Chain;
use facegate_runtime::keys::KeyId;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub level: u32,
    pub key: KeyId,
    pub templates: u64,
    pub version: u64,
    pub chain: Chain,
    pub resume: Vec<u8>,
}

impl Progress {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let numbers = [self.templates, self.version, self.chain.next].map(u64::to_be_bytes).concat();
        [self.level.to_be_bytes().as_slice(), &self.key.0, &numbers, &self.chain.link, &self.resume].concat()
    }

    /// `None`: it was not written by this software.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (level, rest) = bytes.split_first_chunk::<4>()?;
        let (key, rest) = rest.split_first_chunk::<8>()?;
        let (templates, rest) = rest.split_first_chunk::<8>()?;
        let (version, rest) = rest.split_first_chunk::<8>()?;
        let (next, rest) = rest.split_first_chunk::<8>()?;
        let (link, resume) = rest.split_first_chunk::<32>()?;
        let [templates, version, next] = [templates, version, next].map(|number| u64::from_be_bytes(*number));
        let (level, key) = (u32::from_be_bytes(*level), KeyId(*key));
        Some(Self { level, key, templates, version, chain: Chain { link: *link, next }, resume: resume.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_reads_back() {
        let chain = Chain { link: [3; 32], next: 9 };
        let (key, resume) = (KeyId([7; 8]), b"place".to_vec());
        let progress = Progress { level: 2, key, templates: 4000, version: 77, chain, resume };
        assert_eq!(Progress::from_bytes(&progress.to_bytes()), Some(progress.clone()));
        assert_eq!(Progress::from_bytes(&progress.to_bytes()[..60]), None);
    }
}
