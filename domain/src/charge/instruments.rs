//! What one rider pays with: several instruments in the order in which they are asked, each with the limits that he or
//! his bank has set.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::charge::{AcquirerName, AcquirerToken, Instrument};
use crate::clock::Timestamp;
use crate::ids::RiderId;
use crate::money::Money;

/// More is no use to anybody, and the list is read at every charge.
pub const INSTRUMENTS_MAX: usize = 8;

digest_id!(
    /// Names an instrument of a rider: a digest of whose token it is and of the token, so that adding it twice is once.
    InstrumentId,
    "instrument"
);

impl Instrument {
    pub fn id(&self) -> InstrumentId {
        match self {
            Self::Wallet => InstrumentId::digest(["wallet"]),
            Self::Acquirer { acquirer, token } => InstrumentId::digest([acquirer.as_str(), token.expose()]),
        }
    }

    /// Who is asked: the wallet is an acquirer over our own books, and knows riders by their id.
    pub fn account(&self, rider: RiderId) -> (AcquirerName, AcquirerToken) {
        match self {
            Self::Wallet => (AcquirerName::wallet(), AcquirerToken::of_wallet(rider)),
            Self::Acquirer { acquirer, token } => (acquirer.clone(), token.clone()),
        }
    }
}

/// What a charge is made for, as far as limits go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Rides, billed without the rider.
    Rides,
    /// The rider asks for it himself.
    PayNow,
}

/// What an instrument may be used for. None: as much as the acquirer allows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Of one charge, in minor units.
    pub amount_max_minor: Option<i64>,
    /// Of the charges of one travel day together.
    pub day_amount_max_minor: Option<i64>,
    /// Charges of one travel day.
    pub day_count_max: Option<u32>,
    /// The only channel it may be used in.
    pub only: Option<Channel>,
    /// From when on it is not asked any more.
    pub expires_at: Option<Timestamp>,
}

/// What an instrument was used for on one travel day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    pub count: u32,
    pub minor: i64,
}

/// Why an instrument is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassedOver {
    /// As long as the charge is what it is.
    Always,
    /// Today; tomorrow is another day.
    Today,
}

impl Limits {
    /// Whether a charge of `amount` keeps within them after `used`.
    pub fn allow(&self, amount: Money, channel: Channel, used: Used, now: Timestamp) -> Result<(), PassedOver> {
        let minor = amount.minor();
        let expired = self.expires_at.is_some_and(|expires_at| expires_at <= now);
        let too_much = self.amount_max_minor.is_some_and(|max| minor > max);
        // One that is more than a whole day may have is too much on every day.
        let beyond_a_day = self.day_amount_max_minor.is_some_and(|max| minor > max) || self.day_count_max == Some(0);
        if expired || too_much || beyond_a_day || self.only.is_some_and(|only| only != channel) {
            return Err(PassedOver::Always);
        }
        let spent = self.day_amount_max_minor.is_some_and(|max| used.minor.saturating_add(minor) > max);
        let often = self.day_count_max.is_some_and(|max| used.count >= max);
        if spent || often { Err(PassedOver::Today) } else { Ok(()) }
    }
}

/// One of a rider's instruments.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bound {
    pub instrument: Instrument,
    #[serde(default)]
    pub limits: Limits,
}

impl Bound {
    pub fn id(&self) -> InstrumentId {
        self.instrument.id()
    }
}

impl From<Instrument> for Bound {
    fn from(instrument: Instrument) -> Self {
        Self { instrument, limits: Limits::default() }
    }
}

/// Why a list of instruments stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InstrumentProblem {
    #[error("a rider has at most {INSTRUMENTS_MAX} instruments; remove one first")]
    TooMany,
    #[error("the rider has no such instrument")]
    Unknown,
    #[error("the order must name each of the rider's instruments once")]
    NotTheSame,
    #[error("limits must be above zero, and that of a day not below that of a charge")]
    Limits,
}

/// A change of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// In place of all others.
    Only(Bound),
    /// Asked last; one that is there already gets these limits and keeps its place.
    Add(Bound),
    Remove(InstrumentId),
    Reorder(Vec<InstrumentId>),
}

/// A rider's instruments, the one that is asked first first.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instruments(Vec<Bound>);

impl Instruments {
    /// The list after `change`, or why there is none.
    pub fn after(&self, change: &Change) -> Result<Self, InstrumentProblem> {
        let mut list = self.0.clone();
        match change {
            Change::Only(bound) => list = vec![bound.checked()?],
            Change::Add(bound) => match list.iter().position(|known| known.instrument == bound.instrument) {
                Some(place) => list[place] = bound.checked()?,
                None if list.len() >= INSTRUMENTS_MAX => return Err(InstrumentProblem::TooMany),
                None => list.push(bound.checked()?),
            },
            Change::Remove(id) => {
                let place = list.iter().position(|bound| bound.id() == *id).ok_or(InstrumentProblem::Unknown)?;
                list.remove(place);
            }
            Change::Reorder(order) => {
                let find = |id: &InstrumentId| list.iter().find(|bound| bound.id() == *id).cloned();
                let ordered: Vec<Bound> =
                    order.iter().map(find).collect::<Option<_>>().ok_or(InstrumentProblem::Unknown)?;
                let twice = (1..order.len()).any(|place| order[..place].contains(&order[place]));
                if twice || ordered.len() != list.len() {
                    return Err(InstrumentProblem::NotTheSame);
                }
                list = ordered;
            }
        }
        Ok(Self(list))
    }

    pub fn first(&self) -> Option<&Bound> {
        self.0.first()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Bound> {
        self.0.iter()
    }

    pub fn get(&self, id: InstrumentId) -> Option<&Bound> {
        self.0.iter().find(|bound| bound.id() == id)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Bound {
    fn checked(&self) -> Result<Self, InstrumentProblem> {
        let Limits { amount_max_minor, day_amount_max_minor, day_count_max, .. } = self.limits;
        let positive = [amount_max_minor, day_amount_max_minor].iter().flatten().all(|max| *max > 0);
        let in_order = amount_max_minor.zip(day_amount_max_minor).is_none_or(|(one, day)| one <= day);
        let fine = positive && in_order && day_count_max != Some(0);
        if fine { Ok(self.clone()) } else { Err(InstrumentProblem::Limits) }
    }
}

impl FromIterator<Bound> for Instruments {
    fn from_iter<I: IntoIterator<Item = Bound>>(bound: I) -> Self {
        Self(bound.into_iter().collect())
    }
}

impl fmt::Debug for Instruments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instruments({})", self.0.len())
    }
}
