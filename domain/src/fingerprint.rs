//! Whether two hold the same facts, without telling each other all of them: an order-independent digest over a set, in
//! buckets, so that only what differs has to be told again.
//!
//! A fact is a 64-bit hash; a bucket is the exclusive or of the hashes of its facts, so it follows each change at once and
//! however the facts came. It finds what went wrong by itself; it does not withstand somebody who makes facts up.

use std::fmt;
use std::str::FromStr;

use crate::face::Template;
use crate::habits::Regular;
use crate::ids::{InvalidId, ModelId, RiderId, StationId, TemplateId};

/// Facts of one kind, which stations and the cloud hold alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FactSet {
    /// The templates of one model: id and rider.
    Templates(ModelId),
    /// The same, and what they hold.
    Contents(ModelId),
    /// The deny list.
    Denied,
    /// Who is inside since which entry.
    Inside,
    /// What the operator told.
    Told,
    /// Whom one station sees often, and when.
    Regulars(StationId),
}

impl FactSet {
    /// In how many parts it is compared. The first bits of an id tell the part.
    pub const fn buckets(&self) -> usize {
        match self {
            Self::Templates(_) | Self::Contents(_) => 1024,
            Self::Denied | Self::Inside => 64,
            Self::Told | Self::Regulars(_) => 1,
        }
    }
}

impl fmt::Display for FactSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Templates(model) => write!(f, "templates/{model}"),
            Self::Contents(model) => write!(f, "contents/{model}"),
            Self::Regulars(station) => write!(f, "regulars/{station}"),
            Self::Denied => f.write_str("denied"),
            Self::Inside => f.write_str("inside"),
            Self::Told => f.write_str("told"),
        }
    }
}

impl FromStr for FactSet {
    type Err = InvalidId;
    fn from_str(name: &str) -> Result<Self, InvalidId> {
        let unknown = || InvalidId::Name { kind: "set of facts", given: name.to_owned() };
        match name.split_once('/') {
            None if name == "denied" => Ok(Self::Denied),
            None if name == "inside" => Ok(Self::Inside),
            None if name == "told" => Ok(Self::Told),
            Some(("templates", model)) => ModelId::new(model).map(Self::Templates),
            Some(("contents", model)) => ModelId::new(model).map(Self::Contents),
            Some(("regulars", station)) => StationId::new(station).map(Self::Regulars),
            _ => Err(unknown()),
        }
    }
}

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash of one fact, by what it consists of.
pub fn fact(parts: &[&[u8]]) -> u64 {
    let mut hash = SEED;
    for part in parts {
        hash = mixed(hash ^ part.len() as u64);
        for chunk in part.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            hash = mixed(hash ^ u64::from_le_bytes(word));
        }
    }
    hash
}

/// The fact that a template is this rider's.
pub fn owner_fact(template: TemplateId, rider: RiderId) -> u64 {
    fact(&[template.as_bytes(), rider.as_bytes()])
}

/// The fact that this is what it holds: see [`content_of`].
pub fn content_fact(template: TemplateId, rider: RiderId, content: u32) -> u64 {
    fact(&[template.as_bytes(), rider.as_bytes(), &content.to_le_bytes()])
}

pub fn regular_fact(regular: &Regular) -> u64 {
    fact(&[regular.rider.as_bytes(), &regular.hours.bits().to_le_bytes()])
}

/// A checksum of what a template holds beside its ids: the vector as the model made it, and how many photographs were
/// fused into it, as far as a byte counts. Never 0, which stands for one that is not known.
pub fn content_of(template: &Template) -> u32 {
    let bits = template.embedding.values().iter().map(|value| u64::from(value.to_bits()));
    let hash = bits.fold(mixed(SEED ^ u64::from(template.photographs.min(255))), |hash, bits| mixed(hash ^ bits));
    ((hash >> 32) as u32).max(1)
}

/// MurmurHash3's finaliser: every bit of the input changes half of the output's.
const fn mixed(mut x: u64) -> u64 {
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

/// Which of `buckets` (a power of two, at most 65,536) an id belongs to: its first bits.
pub const fn bucket_of(id: &[u8; 16], buckets: usize) -> usize {
    let first = ((id[0] as usize) << 8) | id[1] as usize;
    (first * buckets) >> 16
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    buckets: Vec<u64>,
    root: u64,
}

impl Fingerprint {
    /// Of no facts, in so many buckets (a power of two, at most 65,536).
    pub fn new(buckets: usize) -> Self {
        Self { buckets: vec![0; buckets], root: 0 }
    }

    /// The fact came, or went.
    pub fn toggle(&mut self, id: &[u8; 16], fact: u64) {
        let bucket = bucket_of(id, self.buckets.len());
        self.buckets[bucket] ^= fact;
        self.root ^= fact;
    }

    /// Equal if the sets are.
    pub const fn root(&self) -> u64 {
        self.root
    }

    pub fn buckets(&self) -> &[u64] {
        &self.buckets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::Embedding;

    fn id(n: u8) -> [u8; 16] {
        [n.wrapping_mul(37); 16]
    }

    #[test]
    fn the_order_does_not_matter_and_what_went_leaves_no_trace() {
        let (mut one, mut other) = (Fingerprint::new(64), Fingerprint::new(64));
        (0..100).for_each(|n| one.toggle(&id(n), fact(&[&id(n)])));
        (0..120).rev().for_each(|n| other.toggle(&id(n), fact(&[&id(n)])));
        assert_ne!(one.root(), other.root());
        (100..120).for_each(|n| other.toggle(&id(n), fact(&[&id(n)])));
        assert_eq!(one, other);
    }

    #[test]
    fn one_fact_more_shows_in_its_bucket_alone() {
        let mut with = Fingerprint::new(1024);
        let without = with.clone();
        with.toggle(&[255; 16], fact(&[b"x", b"y"]));
        let differ = with.buckets().iter().zip(without.buckets()).filter(|(a, b)| a != b);
        assert_eq!(differ.count(), 1);
        assert_eq!(with.buckets().iter().position(|b| *b != 0), Some(1023));
    }

    #[test]
    fn facts_that_run_together_are_told_apart() {
        assert_ne!(fact(&[b"ab", b"c"]), fact(&[b"a", b"bc"]));
        assert_ne!(fact(&[b"a"]), fact(&[b"a\0"]));
        assert_ne!(fact(&[&[0; 8]]), fact(&[&[0; 16]]));
    }

    #[test]
    fn sets_read_back_by_name() {
        let model = ModelId::new("sface-2021dec").unwrap();
        let regulars = FactSet::Regulars(StationId::new("north").unwrap());
        let of_model = [FactSet::Templates(model.clone()), FactSet::Contents(model), regulars];
        for set in of_model.into_iter().chain([FactSet::Denied, FactSet::Inside, FactSet::Told]) {
            assert_eq!(set.to_string().parse(), Ok(set.clone()));
            assert!(set.buckets().is_power_of_two());
        }
        for unknown in ["faces", "faces/sface", "templates", "denied/north"] {
            assert!(unknown.parse::<FactSet>().is_err(), "{unknown}");
        }
    }

    #[test]
    fn a_template_that_differs_in_one_bit_has_another_content() {
        let model = ModelId::new("m").unwrap();
        let of = |values: &[f32], photographs| {
            let embedding = Embedding::from_unit(model.clone(), values.to_vec()).unwrap();
            content_of(&Template { id: TemplateId::random(), rider: RiderId::random(), embedding, photographs })
        };
        let content = of(&[0.6, 0.8], 1);
        assert_eq!(content, of(&[0.6, 0.8], 1), "whoever has it");
        assert_ne!(content, of(&[0.6, 0.8], 2));
        assert_ne!(content, of(&[0.8, 0.6], 1));
        assert_ne!(content, of(&[0.6, f32::from_bits(0.8_f32.to_bits() ^ 1)], 1));
        let [id, rider] = [[1; 16], [2; 16]];
        let fact = |content| content_fact(TemplateId::from_bytes(id), RiderId::from_bytes(rider), content);
        assert_ne!(fact(1), fact(2));
    }
}
