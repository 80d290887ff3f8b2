//! The rider's instruments in their order, his wallet, and what he owes.

use facegate_domain::charge::{Bound, Change, Channel, Charge, InstrumentId, Instruments, Limits};
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::{Account, Entry, EntryId};
use facegate_domain::money::Money;
use facegate_domain::{Timestamp, deny::DenyReason};

use super::account::AccountToBind;
use super::{Actor, Enrolment, EnrolmentError};

/// Entries of a wallet that are shown at once.
const MOVEMENTS_MAX: usize = 100;

/// Limits as the caller names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewLimits {
    pub amount_max_minor: Option<i64>,
    pub day_amount_max_minor: Option<i64>,
    pub day_count_max: Option<u32>,
    pub only: Option<Channel>,
    /// The last month in which it is good, as on a card: `YYYY-MM`.
    pub good_through: Option<String>,
}

/// What is in a wallet, and how it came there.
#[derive(Debug)]
pub struct WalletStatement {
    pub balance: Money,
    /// Set aside for charges that are under way.
    pub held: Money,
    /// The latest first, each with its number.
    pub movements: Vec<(u64, Entry)>,
}

/// What a rider owes, is owed, and what follows from it.
#[derive(Debug)]
pub struct Owing {
    pub debts: Vec<Charge>,
    pub credit: Money,
    pub denied_for: Vec<DenyReason>,
}

impl Enrolment {
    pub async fn instruments(&self, rider: RiderId) -> Result<Instruments, EnrolmentError> {
        self.rider(rider).await?;
        Ok(self.store.instruments(rider).await?)
    }

    /// Adds an instrument, asked last; one that is there already gets these limits.
    pub async fn add_instrument(
        &self,
        actor: &Actor,
        rider: RiderId,
        account: AccountToBind,
        limits: NewLimits,
    ) -> Result<Instruments, EnrolmentError> {
        let (instrument, entries) = self.instrument_of(rider, account)?;
        let bound = Bound { instrument, limits: checked(limits)? };
        let action = format!("rider.add-{}", bound.instrument.name());
        self.change_instruments(actor, rider, &action, Some(Change::Add(bound)), entries).await
    }

    pub async fn remove_instrument(
        &self,
        actor: &Actor,
        rider: RiderId,
        instrument: InstrumentId,
    ) -> Result<Instruments, EnrolmentError> {
        let change = Some(Change::Remove(instrument));
        self.change_instruments(actor, rider, "rider.remove-instrument", change, Vec::new()).await
    }

    pub async fn order_instruments(
        &self,
        actor: &Actor,
        rider: RiderId,
        order: Vec<InstrumentId>,
    ) -> Result<Instruments, EnrolmentError> {
        let change = Some(Change::Reorder(order));
        self.change_instruments(actor, rider, "rider.order-instruments", change, Vec::new()).await
    }

    pub(super) async fn change_instruments(
        &self,
        actor: &Actor,
        rider: RiderId,
        action: &str,
        change: Option<Change>,
        entries: Vec<Entry>,
    ) -> Result<Instruments, EnrolmentError> {
        self.rider(rider).await?;
        self.audit(actor, action, rider).await?;
        Ok(self.store.change_instruments(rider, change, entries, self.clock.now()).await?)
    }

    /// Pays into the wallet; `reference` names it, so that it is booked once. Debts are tried with it.
    pub async fn top_up_wallet(
        &self,
        actor: &Actor,
        rider: RiderId,
        minor: i64,
        reference: &str,
    ) -> Result<WalletStatement, EnrolmentError> {
        let entries = self.top_up(rider, minor, reference)?;
        self.change_instruments(actor, rider, "rider.top-up", None, entries).await?;
        self.wallet(rider).await
    }

    /// Pays out of the wallet at a booth, not beyond what is in it and not set aside.
    pub async fn withdraw_from_wallet(
        &self,
        actor: &Actor,
        rider: RiderId,
        minor: i64,
        reference: &str,
    ) -> Result<WalletStatement, EnrolmentError> {
        self.rider(rider).await?;
        let (amount, reference) = self.movement(minor, reference)?;
        let id = EntryId::of("withdraw", format_args!("{rider}/{reference}"));
        let entry = Entry::transfer(id, self.clock.now(), amount, Account::BoothCash, Account::Wallet(rider));
        let entry = entry.map_err(|error| EnrolmentError::Internal(error.to_string()))?;
        self.audit(actor, "rider.withdraw", rider).await?;
        self.store.withdraw(rider, entry).await?;
        self.wallet(rider).await
    }

    pub async fn wallet(&self, rider: RiderId) -> Result<WalletStatement, EnrolmentError> {
        self.rider(rider).await?;
        let currency = self.policy.currency;
        // What is in a wallet is owed to its rider, which the ledger writes as a negative balance.
        let owed = async |account| {
            let balance = self.store.balance(account, currency).await?;
            balance.checked_neg().map_err(|error| EnrolmentError::Internal(error.to_string()))
        };
        Ok(WalletStatement {
            balance: owed(Account::Wallet(rider)).await?,
            held: owed(Account::WalletHeld(rider)).await?,
            movements: self.store.wallet_movements(rider, None, MOVEMENTS_MAX).await?,
        })
    }

    pub async fn owing(&self, rider: RiderId) -> Result<Owing, EnrolmentError> {
        self.rider(rider).await?;
        let credit = self.store.credit(rider, self.policy.currency).await?;
        Ok(Owing {
            debts: self.store.debts(rider).await?,
            credit: credit.map_or(Money::zero(self.policy.currency), |credit| credit.amount),
            denied_for: self.store.denied_for(rider).await?.into_iter().collect(),
        })
    }

    /// Has what the rider owes tried at once with what he pays with now.
    pub async fn pay_debts(&self, actor: &Actor, rider: RiderId) -> Result<Owing, EnrolmentError> {
        self.rider(rider).await?;
        self.audit(actor, "rider.pay-now", rider).await?;
        self.store.ask_for_debts(rider, self.clock.now()).await?;
        self.owing(rider).await
    }
}

fn checked(new: NewLimits) -> Result<Limits, EnrolmentError> {
    let NewLimits { amount_max_minor, day_amount_max_minor, day_count_max, only, good_through } = new;
    let expires_at = good_through.as_deref().map(month_over).transpose()?;
    Ok(Limits { amount_max_minor, day_amount_max_minor, day_count_max, only, expires_at })
}

/// When that month is over everywhere.
fn month_over(month: &str) -> Result<Timestamp, EnrolmentError> {
    let bad = || EnrolmentError::BadField { field: "good_through", problem: "must be a month like 2027-04".to_owned() };
    let first: jiff::civil::Date = format!("{month}-01").parse().map_err(|_| bad())?;
    let next = first.last_of_month().tomorrow().and_then(jiff::civil::Date::tomorrow).map_err(|_| bad())?;
    let over = next.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| bad())?;
    Ok(Timestamp::from_unix_ms(over.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_good_through_its_month_in_every_zone() {
        let over = month_over("2027-02").unwrap();
        assert_eq!(jiff::Timestamp::from_millisecond(over.unix_ms()).unwrap().to_string(), "2027-03-02T00:00:00Z");
        for bad in ["", "2027", "2027-13", "02/27", "2027-2"] {
            assert!(month_over(bad).is_err(), "{bad}");
        }
    }
}
