//! Identifiers. Each is its own type, so that a rider cannot be passed where a template is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A name or number that is not a valid identifier, with what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    #[error("{kind} {given:?} is not a valid name: use 1 to 48 characters of a-z, 0-9 and '-'")]
    Name { kind: &'static str, given: String },
    #[error("{kind} {given:?} is not a UUID")]
    Uuid { kind: &'static str, given: String },
    #[error("record id {given:?} is not of the form gate/epoch/sequence")]
    Record { given: String },
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Errors: `InvalidId::Name` unless 1–48 characters of `a-z0-9-`.
            pub fn new(name: impl Into<String>) -> Result<Self, InvalidId> {
                let name = name.into();
                let valid = (1..=48).contains(&name.len())
                    && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
                if valid { Ok(Self(name)) } else { Err(InvalidId::Name { kind: $kind, given: name }) }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(s: &str) -> Result<Self, InvalidId> {
                Self::new(s)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(s: String) -> Result<Self, InvalidId> {
                Self::new(s)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

name_id!(
    /// One gate (one aisle in one direction, or both), unique in the network.
    GateId,
    "gate"
);
name_id!(
    /// One station.
    StationId,
    "station"
);
name_id!(
    /// One embedding model; a template only ever meets probes of its own model.
    ModelId,
    "model"
);

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// A new random (version 4) id.
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }

            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // The first group tells records apart in a log without writing the whole id everywhere.
                write!(f, "{}…", &self.0.simple().to_string()[..8])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(s: &str) -> Result<Self, InvalidId> {
                Uuid::parse_str(s).map(Self).map_err(|_| InvalidId::Uuid { kind: $kind, given: s.to_owned() })
            }
        }
    };
}

random_id!(
    /// A rider. Random: the only thing that the face store and the identity store have in common.
    RiderId,
    "rider"
);
random_id!(
    /// One act of an attendant at a ticket booth.
    ActId,
    "act"
);
random_id!(
    /// One stored template of a rider.
    TemplateId,
    "template"
);

/// The one identity of a gate's record (invariant 1 of taps): gate, epoch issued by the station, gap-free sequence from 0.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordId {
    pub gate: GateId,
    pub epoch: u32,
    pub sequence: u64,
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.gate, self.epoch, self.sequence)
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RecordId {
    type Err = InvalidId;
    fn from_str(s: &str) -> Result<Self, InvalidId> {
        let parse = || {
            let mut parts = s.split('/');
            let gate = GateId::new(parts.next()?).ok()?;
            let epoch = parts.next()?.parse().ok()?;
            let sequence = parts.next()?.parse().ok()?;
            parts.next().is_none().then_some(Self { gate, epoch, sequence })
        };
        parse().ok_or_else(|| InvalidId::Record { given: s.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_id_reads_back_what_it_prints() {
        let id = RecordId { gate: GateId::new("north-in-1").unwrap(), epoch: 3, sequence: 42 };
        assert_eq!(id.to_string(), "north-in-1/3/42");
        assert_eq!(id.to_string().parse::<RecordId>().unwrap(), id);
    }

    #[test]
    fn names_with_other_characters_are_refused_and_named() {
        for bad in ["", "North", "a b", "ü", &"x".repeat(49)] {
            let error = GateId::new(bad).unwrap_err().to_string();
            assert!(error.contains("gate") && error.contains(&format!("{bad:?}")), "{error}");
        }
        for bad in ["a/1", "a/1/2/3", "A/1/2", "a/x/2"] {
            assert!(bad.parse::<RecordId>().is_err(), "{bad}");
        }
    }
}
