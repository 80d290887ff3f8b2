//! What a rider pays with.

use facegate_domain::charge::{AcquirerName, AcquirerToken, Change, Instrument};
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::{Account, Entry, EntryId};
use facegate_domain::money::Money;

use super::{Actor, Enrolment, EnrolmentError};

/// Largest top-up at once, minor units: a typing error must not become money.
const TOP_UP_MINOR_MAX: i64 = 1_000_000;

/// The top-up that binding a wallet makes if it is not named otherwise.
const FIRST_TOP_UP: &str = "first";

/// An account as the caller names it.
#[derive(Clone, PartialEq, Eq)]
pub enum AccountToBind {
    /// `reference` names the top-up: the same one is booked once, however often it is sent.
    Wallet { top_up_minor: i64, reference: String },
    /// `acquirer` is whose token it is; empty: the only one's.
    Acquirer { acquirer: String, token: String },
}

impl std::fmt::Debug for AccountToBind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wallet { top_up_minor, reference } => write!(f, "Wallet({top_up_minor}, {reference:?})"),
            Self::Acquirer { acquirer, token } => {
                write!(f, "Acquirer({acquirer:?}, token of {} characters)", token.len())
            }
        }
    }
}

impl Enrolment {
    pub async fn bind_account(
        &self,
        actor: &Actor,
        rider: RiderId,
        account: AccountToBind,
    ) -> Result<(), EnrolmentError> {
        self.rider(rider).await?;
        let (instrument, entries) = self.instrument_of(rider, account)?;
        let action = format!("rider.bind-{}", instrument.name());
        self.change_instruments(actor, rider, &action, Some(Change::Only(instrument.into())), entries).await.map(drop)
    }

    /// The instrument, and the entries that come with it.
    pub(super) fn instrument_of(
        &self,
        rider: RiderId,
        account: AccountToBind,
    ) -> Result<(Instrument, Vec<Entry>), EnrolmentError> {
        Ok(match account {
            AccountToBind::Acquirer { acquirer, token } => {
                let acquirer = self.acquirer(&acquirer)?;
                (Instrument::Acquirer { acquirer, token: AcquirerToken::new(token)? }, Vec::new())
            }
            AccountToBind::Wallet { top_up_minor, reference } => {
                (Instrument::Wallet, self.top_up(rider, top_up_minor, &reference)?)
            }
        })
    }

    /// While none is configured a token without a name may be bound: it is the first one's that is.
    fn acquirer(&self, named: &str) -> Result<AcquirerName, EnrolmentError> {
        let known = &self.policy.acquirers;
        match (named, &known[..]) {
            ("", []) => Ok(AcquirerName::default()),
            ("", [only]) => Ok(only.clone()),
            _ => known.iter().find(|name| name.as_str() == named).cloned().ok_or_else(|| {
                let problem = format!("must be one of the acquirers {known:?}");
                EnrolmentError::BadField { field: "acquirer", problem }
            }),
        }
    }

    pub(super) fn top_up(&self, rider: RiderId, minor: i64, reference: &str) -> Result<Vec<Entry>, EnrolmentError> {
        let reference = if reference.is_empty() { FIRST_TOP_UP } else { reference };
        let (amount, reference) = self.movement(minor, reference)?;
        if minor == 0 {
            return Ok(Vec::new());
        }
        let id = EntryId::of("top-up", format_args!("{rider}/{reference}"));
        let entry = Entry::transfer(id, self.clock.now(), amount, Account::Wallet(rider), Account::BoothCash);
        Ok(vec![entry.map_err(|error| EnrolmentError::Internal(error.to_string()))?])
    }

    /// An amount and its name, as a caller may give them.
    pub(super) fn movement<'r>(&self, minor: i64, reference: &'r str) -> Result<(Money, &'r str), EnrolmentError> {
        let bad = |field, problem: &str| EnrolmentError::BadField { field, problem: problem.to_owned() };
        if !(0..=TOP_UP_MINOR_MAX).contains(&minor) {
            return Err(bad("top_up_minor", &format!("must be from 0 to {TOP_UP_MINOR_MAX}")));
        }
        let named = reference.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !named || !(1..=64).contains(&reference.len()) {
            return Err(bad("top_up_reference", "must be at most 64 letters, digits, '-' and '_'"));
        }
        Ok((Money::from_minor(minor, self.policy.currency), reference))
    }
}
