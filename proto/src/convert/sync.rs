//! sync.proto: changes of the feed as facts about riders, and as what the operator told.

use facegate_domain::Timestamp;
use facegate_domain::code::IssuerKey;
use facegate_domain::face::Template;
use facegate_domain::habits::{Hours, Regular};
use facegate_domain::ids::{RecordId, RiderId, StationId, TemplateId};
use facegate_domain::operation::Instruction;

use super::gate::rider_from_wire;
use super::station::{embedding_from_wire, embedding_to_wire};
use super::{InvalidMessage, fixed, required};
use crate::v1;
use crate::v1::instruct_request::Instruction as Told;

/// The newest level of changes that this software understands.
pub const FEED_LEVEL: u32 = 4;

/// One fact that a station must honour.
#[derive(Debug, Clone, PartialEq)]
pub enum FeedChange {
    TemplatePut(Template),
    RiderRemoved(RiderId),
    EnteredSystem {
        rider: RiderId,
        entry: RecordId,
    },
    LeftSystem {
        rider: RiderId,
        entry: RecordId,
    },
    Denied(RiderId),
    Allowed(RiderId),
    /// Until then his face alone opens no entry.
    FaceCapped {
        rider: RiderId,
        until: Timestamp,
    },
    IssuerKeys(Vec<IssuerKey>),
    CodeNonceSpent {
        nonce: [u8; 8],
        issued_at: Timestamp,
    },
    Told(Instruction),
    /// Takes the place of what was said of that station before.
    Regulars {
        station: StationId,
        riders: Vec<Regular>,
    },
}

impl FeedChange {
    /// From which level on a station understands it; nothing newer is sent to one.
    pub const fn level(&self) -> u32 {
        match self {
            Self::TemplatePut(_)
            | Self::RiderRemoved(_)
            | Self::EnteredSystem { .. }
            | Self::LeftSystem { .. }
            | Self::Denied(_)
            | Self::Allowed(_)
            | Self::IssuerKeys(_)
            | Self::CodeNonceSpent { .. } => 1,
            Self::Told(Instruction::GateMode { .. } | Instruction::GateOrder(_)) => 4,
            Self::Told(_) | Self::Regulars { .. } => 2,
            Self::FaceCapped { .. } => 3,
        }
    }
}

/// A change and its place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionedChange {
    pub version: u64,
    pub change: FeedChange,
}

pub fn template_from_wire(wire: v1::TemplateRecord) -> Result<Template, InvalidMessage> {
    Ok(Template {
        id: TemplateId::from_bytes(fixed("template", &wire.template)?),
        rider: rider_from_wire(&wire.rider)?,
        embedding: embedding_from_wire(wire.model, &wire.embedding)?,
        photographs: wire.photographs,
    })
}

pub fn template_to_wire(template: &Template) -> v1::TemplateRecord {
    v1::TemplateRecord {
        template: template.id.as_bytes().to_vec(),
        rider: template.rider.as_bytes().to_vec(),
        model: template.embedding.model().as_str().to_owned(),
        embedding: embedding_to_wire(&template.embedding),
        photographs: template.photographs,
    }
}

pub fn regulars_from_wire(riders: Vec<v1::Regular>) -> Result<Vec<Regular>, InvalidMessage> {
    let regular = |wire: v1::Regular| {
        let unknown = || InvalidMessage::UnknownValue { field: "hours", got: format!("{:#x}", wire.hours) };
        let hours = Hours::from_bits(wire.hours).ok_or_else(unknown)?;
        Ok(Regular { rider: rider_from_wire(&wire.rider)?, hours })
    };
    riders.into_iter().map(regular).collect()
}

pub fn regulars_to_wire(riders: &[Regular]) -> Vec<v1::Regular> {
    let regular = |r: &Regular| v1::Regular { rider: r.rider.as_bytes().to_vec(), hours: r.hours.bits() };
    riders.iter().map(regular).collect()
}

pub fn issuer_keys_from_wire(keys: &[Vec<u8>]) -> Result<Vec<IssuerKey>, InvalidMessage> {
    keys.iter()
        .map(|key| {
            IssuerKey::from_bytes(&fixed("issuer key", key)?)
                .map_err(|e| InvalidMessage::UnknownValue { field: "issuer key", got: e.to_string() })
        })
        .collect()
}

pub fn issuer_keys_to_wire(keys: &[IssuerKey]) -> Vec<Vec<u8>> {
    keys.iter().map(|key| key.to_bytes().to_vec()).collect()
}

impl TryFrom<v1::Change> for VersionedChange {
    type Error = InvalidMessage;
    fn try_from(wire: v1::Change) -> Result<Self, InvalidMessage> {
        use v1::change::Change as Wire;
        let change = match required("change", wire.change)? {
            Wire::TemplatePut(put) => FeedChange::TemplatePut(template_from_wire(required("template", put.template)?)?),
            Wire::RiderRemoved(removed) => FeedChange::RiderRemoved(rider_from_wire(&removed.rider)?),
            Wire::EnteredSystem(e) => FeedChange::EnteredSystem {
                rider: rider_from_wire(&e.rider)?,
                entry: required("entry", e.entry)?.try_into()?,
            },
            Wire::LeftSystem(l) => FeedChange::LeftSystem {
                rider: rider_from_wire(&l.rider)?,
                entry: required("entry", l.entry)?.try_into()?,
            },
            Wire::Denied(denied) => FeedChange::Denied(rider_from_wire(&denied.rider)?),
            Wire::Allowed(allowed) => FeedChange::Allowed(rider_from_wire(&allowed.rider)?),
            Wire::FaceCapped(capped) => FeedChange::FaceCapped {
                rider: rider_from_wire(&capped.rider)?,
                until: Timestamp::from_unix_ms(capped.until_unix_ms),
            },
            Wire::IssuerKeys(keys) => FeedChange::IssuerKeys(issuer_keys_from_wire(&keys.keys)?),
            Wire::CodeNonceSpent(spent) => FeedChange::CodeNonceSpent {
                nonce: fixed("nonce", &spent.nonce)?,
                issued_at: Timestamp::from_unix_ms(spent.issued_at_unix_ms),
            },
            Wire::Settings(settings) => FeedChange::Told(settings.try_into()?),
            Wire::FareTable(fares) => FeedChange::Told(fares.try_into()?),
            Wire::Mode(mode) => FeedChange::Told(mode.try_into()?),
            Wire::GateMode(mode) => FeedChange::Told(mode.try_into()?),
            Wire::GateOrder(order) => FeedChange::Told(order.try_into()?),
            Wire::Regulars(regulars) => FeedChange::Regulars {
                station: StationId::new(regulars.station)?,
                riders: regulars_from_wire(regulars.riders)?,
            },
        };
        Ok(Self { version: wire.version, change })
    }
}

impl From<VersionedChange> for v1::Change {
    fn from(versioned: VersionedChange) -> Self {
        use v1::change::Change as Wire;
        let rider_bytes = |rider: RiderId| rider.as_bytes().to_vec();
        let change = match versioned.change {
            FeedChange::TemplatePut(template) => {
                Wire::TemplatePut(v1::TemplatePut { template: Some(template_to_wire(&template)) })
            }
            FeedChange::RiderRemoved(rider) => Wire::RiderRemoved(v1::RiderRemoved { rider: rider_bytes(rider) }),
            FeedChange::EnteredSystem { rider, entry } => {
                Wire::EnteredSystem(v1::EnteredSystem { rider: rider_bytes(rider), entry: Some(entry.into()) })
            }
            FeedChange::LeftSystem { rider, entry } => {
                Wire::LeftSystem(v1::LeftSystem { rider: rider_bytes(rider), entry: Some(entry.into()) })
            }
            FeedChange::Denied(rider) => Wire::Denied(v1::Denied { rider: rider_bytes(rider) }),
            FeedChange::Allowed(rider) => Wire::Allowed(v1::Allowed { rider: rider_bytes(rider) }),
            FeedChange::FaceCapped { rider, until } => {
                Wire::FaceCapped(v1::FaceCapped { rider: rider_bytes(rider), until_unix_ms: until.unix_ms() })
            }
            FeedChange::IssuerKeys(keys) => Wire::IssuerKeys(v1::IssuerKeys { keys: issuer_keys_to_wire(&keys) }),
            FeedChange::CodeNonceSpent { nonce, issued_at } => Wire::CodeNonceSpent(v1::CodeNonceSpent {
                nonce: nonce.to_vec(),
                issued_at_unix_ms: issued_at.unix_ms(),
            }),
            FeedChange::Told(instruction) => match Told::from(instruction) {
                Told::Settings(settings) => Wire::Settings(settings),
                Told::FareTable(fares) => Wire::FareTable(fares),
                Told::Mode(mode) => Wire::Mode(mode),
                Told::GateMode(mode) => Wire::GateMode(mode),
                Told::GateOrder(order) => Wire::GateOrder(order),
            },
            FeedChange::Regulars { station, riders } => {
                Wire::Regulars(v1::Regulars { station: station.into(), riders: regulars_to_wire(&riders) })
            }
        };
        Self { version: versioned.version, change: Some(change) }
    }
}

#[cfg(test)]
mod tests {
    use facegate_domain::code::CodeIssuer;
    use facegate_domain::face::Embedding;
    use facegate_domain::ids::{GateId, ModelId};

    use super::*;

    #[test]
    fn every_change_survives_the_wire() {
        let rider = RiderId::random();
        let entry = RecordId { gate: GateId::new("g").unwrap(), epoch: 1, sequence: 5 };
        let embedding = Embedding::from_unit(ModelId::new("sface").unwrap(), vec![0.6, 0.8]).unwrap();
        let changes = [
            FeedChange::TemplatePut(Template { id: TemplateId::random(), rider, embedding, photographs: 3 }),
            FeedChange::RiderRemoved(rider),
            FeedChange::EnteredSystem { rider, entry: entry.clone() },
            FeedChange::LeftSystem { rider, entry },
            FeedChange::Denied(rider),
            FeedChange::Allowed(rider),
            FeedChange::FaceCapped { rider, until: Timestamp::from_unix_ms(7) },
            FeedChange::IssuerKeys(vec![CodeIssuer::from_secret(&[1; 32]).public()]),
            FeedChange::CodeNonceSpent { nonce: [1; 8], issued_at: Timestamp::from_unix_ms(5) },
            FeedChange::Told(Instruction::FaresWithdrawn { name: "2026".into() }),
            FeedChange::Regulars {
                station: StationId::new("north").unwrap(),
                riders: vec![Regular { rider, hours: Hours::NONE.with(7).with(18) }],
            },
        ];
        for change in changes {
            let versioned = VersionedChange { version: 9, change };
            assert_eq!(VersionedChange::try_from(v1::Change::from(versioned.clone())), Ok(versioned));
        }
    }
}
