//! Why a rider is on the deny list. Each reason is put there and taken away by itself: a debt that is paid does not lift
//! what an operator has decided, and gates refuse as long as one is left.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DenyReason {
    /// A person decided so.
    Operator,
    /// A charge is owed and no instrument pays it.
    Debt,
    /// No instrument has passed its verification.
    Instrument,
    /// A rule about risk.
    Risk,
}

impl DenyReason {
    pub const ALL: [Self; 4] = [Self::Operator, Self::Debt, Self::Instrument, Self::Risk];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Debt => "debt",
            Self::Instrument => "instrument",
            Self::Risk => "risk",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}
