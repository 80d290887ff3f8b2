//! The reserve that pays proven wrong charges: what finance sets aside for it, out of revenue.
//!
//! Somebody asks, with a reason. Above an amount another person has to approve it; what was asked for within a day counts
//! together, so that nobody sets it aside in small parts alone.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::four_eyes::{Approval, ApprovalError};
use crate::ledger::{Account, Entry, EntryId, LedgerError};
use crate::money::{Money, MoneyError};
use crate::remedy::{REASON_MAX, RemedyPolicy};

digest_id!(
    /// The identity of a funding: a digest of the name that whoever asks for it gave it, so that asking twice is once.
    FundingId,
    "funding"
);

impl FundingId {
    pub fn of(order: &str) -> Self {
        // Any text makes one line of this.
        Self::digest([format!("{order:?}")])
    }
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundingRequest {
    pub order: String,
    pub amount: Money,
    pub reason: String,
    /// As the audit log names him.
    pub by: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funding {
    pub id: FundingId,
    pub amount: Money,
    pub reason: String,
    #[serde(flatten)]
    pub approval: Approval,
}

/// Why the reserve stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FundingError {
    #[error("{amount} cannot be set aside: ask for an amount above nothing")]
    NotPositive { amount: Money },
    #[error("say why, in 1 to {REASON_MAX} characters")]
    Reason,
    #[error("funding {0} was asked for with another amount: give this one a name of its own")]
    OtherWords(FundingId),
    #[error("there is no funding {0}")]
    Unknown(FundingId),
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    #[error("the amounts cannot be computed: {0}")]
    Money(#[from] MoneyError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Funding {
    /// `lately` are those of the time in which they count together. Store both in one transaction.
    pub fn ask(
        request: &FundingRequest,
        lately: &[Self],
        policy: &RemedyPolicy,
        now: Timestamp,
    ) -> Result<(Self, Option<Entry>), FundingError> {
        let amount = request.amount;
        if !amount.is_positive() {
            return Err(FundingError::NotPositive { amount });
        }
        if request.reason.trim().is_empty() || request.reason.chars().count() > REASON_MAX {
            return Err(FundingError::Reason);
        }
        let counts = lately.iter().filter(|one| one.approval.counts_at(now));
        let before = Money::checked_sum(amount.currency(), counts.map(|one| one.amount))?;
        let alone = before.checked_add(amount)?.minor() <= policy.four_eyes_above_minor;
        let approval = Approval::ask(&request.by, now, alone);
        let funding = Self { id: FundingId::of(&request.order), amount, reason: request.reason.clone(), approval };
        let entry = funding.entry(now)?;
        Ok((funding, entry))
    }

    /// Whether it is what was asked for under its name before.
    pub fn is_what(&self, request: &FundingRequest) -> Result<(), FundingError> {
        if self.amount == request.amount { Ok(()) } else { Err(FundingError::OtherWords(self.id)) }
    }

    /// The second person's word.
    pub fn decide(&self, approves: bool, by: &str, now: Timestamp) -> Result<(Self, Option<Entry>), FundingError> {
        let decided = Self { approval: self.approval.decide(approves, by)?, ..self.clone() };
        let entry = decided.entry(now)?;
        Ok((decided, entry))
    }

    /// What it moves, once it is done.
    fn entry(&self, now: Timestamp) -> Result<Option<Entry>, LedgerError> {
        let id = EntryId::of("reserve", self.id);
        let entry = || Entry::transfer(id, now, self.amount, Account::RiskReserve, Account::OperatorRevenue);
        self.approval.is_done().then(entry).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::four_eyes::{ApprovalState, COUNTS_TOGETHER};

    const NOW: Timestamp = Timestamp::from_unix_ms(1_795_000_000_000);
    const POLICY: RemedyPolicy = RemedyPolicy { four_eyes_above_minor: 1000 };

    fn request(order: &str, minor: i64) -> FundingRequest {
        let amount = Money::from_minor(minor, "CNY".parse().unwrap());
        FundingRequest { order: order.to_owned(), amount, reason: "the quarter's".to_owned(), by: "ada".to_owned() }
    }

    #[test]
    fn small_sums_are_set_aside_at_once_and_more_takes_two() {
        let (small, entry) = Funding::ask(&request("a", 600), &[], &POLICY, NOW).unwrap();
        assert_eq!(small.approval.state, ApprovalState::Done);
        let postings = entry.unwrap();
        let reserve = postings.postings().iter().find(|posting| posting.account == Account::RiskReserve).unwrap();
        assert_eq!(reserve.amount.minor(), -600, "what is set aside is owed");
        let (second, entry) = Funding::ask(&request("b", 600), std::slice::from_ref(&small), &POLICY, NOW).unwrap();
        assert_eq!(
            (second.approval.state, entry),
            (ApprovalState::AwaitingApproval, None),
            "together they are too much for one"
        );
        let tomorrow = NOW.plus(COUNTS_TOGETHER);
        assert!(Funding::ask(&request("c", 600), &[small], &POLICY, tomorrow).unwrap().1.is_some());

        assert!(matches!(
            second.decide(true, "ada", NOW),
            Err(FundingError::Approval(ApprovalError::SamePerson { .. }))
        ));
        let (rejected, none) = second.decide(false, "bob", NOW).unwrap();
        assert_eq!((rejected.approval.state, none), (ApprovalState::Rejected, None));
        assert!(matches!(rejected.decide(true, "bob", NOW), Err(FundingError::Approval(ApprovalError::Decided(_)))));
        assert!(second.decide(true, "bob", NOW).unwrap().1.is_some());
        assert!(second.is_what(&request("b", 601)).is_err());
    }

    #[test]
    fn nothing_and_no_reason_are_refused() {
        assert!(matches!(Funding::ask(&request("a", 0), &[], &POLICY, NOW), Err(FundingError::NotPositive { .. })));
        let mute = FundingRequest { reason: " ".to_owned(), ..request("a", 1) };
        assert_eq!(Funding::ask(&mute, &[], &POLICY, NOW), Err(FundingError::Reason));
    }
}
