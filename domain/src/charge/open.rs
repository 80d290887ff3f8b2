//! How charges begin: over a bill's items, or before there is a bill, to verify an instrument or hold a maximum fare.

use super::{
    Account, Advanced, Charge, ChargeError, ChargeId, Decline, Entry, EntryId, IdempotencyKey, Instrument, Money,
    Purpose, State, Timestamp, Tried,
};
use crate::billing::{Item, ItemId};
use crate::ids::RiderId;

impl Charge {
    /// Opens a charge over the items of a bill and books what the rider now owes, or is owed.
    ///
    /// Errors: no items, or items in two currencies.
    pub fn open(
        rider: RiderId,
        billed: &[Item],
        instrument: Instrument,
        now: Timestamp,
    ) -> Result<Advanced, ChargeError> {
        let first = billed.first().ok_or(ChargeError::Nothing)?;
        let items: Vec<ItemId> = billed.iter().map(Item::id).collect();
        let net = Money::checked_sum(first.amount().currency(), billed.iter().map(Item::amount))?;
        let amount = if net.is_positive() { net } else { Money::zero(net.currency()) };
        let charge = Self {
            items,
            billed: net,
            ..Self::begun(rider, ChargeId::of(&[]), Purpose::Bill, amount, instrument, now)
        };
        let id = ChargeId::of(&charge.items);
        let state = if net.is_positive() { State::Due } else { State::Settled };
        let charge = Self { id, key: IdempotencyKey::of(id), state, ..charge };
        Ok(Advanced { entry: charge.bill_entry(now)?, charge, call: None })
    }

    /// Opens a charge that captures nothing: it shows that the instrument can pay `amount`, or holds it for a ride.
    pub fn ahead(
        rider: RiderId,
        id: ChargeId,
        purpose: Purpose,
        amount: Money,
        instrument: Instrument,
        now: Timestamp,
    ) -> Advanced {
        let charge = Self::begun(rider, id, purpose, amount, instrument, now);
        Advanced { charge, entry: None, call: None }
    }

    /// What is owed once more of this charge, which was captured: its rider took `amount` of it back through his bank, for
    /// good. It begins with that as a refusal of the instrument, so that others of his are asked, and it only if he offers
    /// it. What he owes is booked by whatever has it stored.
    pub fn owed_again(&self, id: ChargeId, amount: Money, now: Timestamp) -> Self {
        let owed = Self::begun(self.rider, id, Purpose::Bill, amount, self.instrument.clone(), now);
        let decline = Decline::taken_back();
        let tried =
            Tried { attempt: owed.attempt, instrument: owed.instrument.id(), at: now, decline: decline.clone() };
        Self { billed: amount, tried: vec![tried], state: State::Declined { decline }, ..owed }
    }

    fn begun(
        rider: RiderId,
        id: ChargeId,
        purpose: Purpose,
        amount: Money,
        instrument: Instrument,
        now: Timestamp,
    ) -> Self {
        let zero = Money::zero(amount.currency());
        Self {
            id,
            rider,
            purpose,
            items: Vec::new(),
            billed: zero,
            credit_used: zero,
            amount,
            asked: amount,
            instrument,
            attempt: 1,
            key: IdempotencyKey::of(id),
            state: State::Due,
            tried: Vec::new(),
            opened_at: now,
            begun_at: now,
            asked_at: None,
            troubles: 0,
            next_at: now,
        }
    }

    /// Puts the bill of the ride it was held for on a hold: what the ride costs, less what the rider has to his credit,
    /// is captured, the rest released. None if the hold does not take it ([`Charge::takes_bill`]), or his credit pays it.
    pub fn bill_held(&self, billed: &[Item], credit: Money, now: Timestamp) -> Result<Option<Advanced>, ChargeError> {
        let first = billed.first().ok_or(ChargeError::Nothing)?;
        let net = Money::checked_sum(first.amount().currency(), billed.iter().map(Item::amount))?;
        if !self.takes_bill(net) || credit.compare(net)?.is_ge() {
            return Ok(None);
        }
        let items = billed.iter().map(Item::id).collect();
        let credit_used = if credit.is_positive() { credit } else { Money::zero(net.currency()) };
        let amount = net.checked_sub(credit_used)?;
        let purpose = Purpose::Bill;
        // Whoever waits for an answer goes on waiting for it.
        let next_at = if self.state.is_in_flight() { self.next_at } else { now };
        let charge = Self { purpose, items, billed: net, credit_used, amount, next_at, ..self.clone() };
        Ok(Some(Advanced { entry: charge.bill_entry(now)?, charge, call: None }))
    }

    /// Whether a bill of `amount` can be put on it: a hold that is not at its end, and not on its way back.
    pub fn takes_bill(&self, amount: Money) -> bool {
        let open = matches!(
            self.state,
            State::Due
                | State::Authorising
                | State::Authorised { .. }
                | State::Pending { .. }
                | State::Unknown { authorisation: None }
        );
        let enough = amount.is_positive() && amount.compare(self.asked).is_ok_and(std::cmp::Ordering::is_le);
        matches!(self.purpose, Purpose::Hold { .. }) && open && enough
    }

    /// A hold that nothing will be put on: it is given back now, or once its outcome is known. None if there is nothing
    /// to give back, or it is on its way.
    #[must_use]
    pub fn let_go(&self, now: Timestamp) -> Option<Self> {
        let Purpose::Hold { until } = self.purpose else { return None };
        if self.is_finished() || until <= now || matches!(self.state, State::Voiding { .. }) {
            return None;
        }
        let next_at = if matches!(self.state, State::Authorised { .. }) { now } else { self.next_at };
        Some(Self { purpose: Purpose::Hold { until: now }, next_at, ..self.clone() })
    }

    /// Whether no instrument of the rider's was good for the hold.
    pub const fn is_refused_hold(&self) -> bool {
        matches!((&self.purpose, &self.state), (Purpose::Hold { .. }, State::Refused { .. }))
    }

    fn bill_entry(&self, now: Timestamp) -> Result<Option<Entry>, ChargeError> {
        if self.billed.is_zero() {
            return Ok(None);
        }
        let owes = Account::RiderReceivable(self.rider);
        Ok(Some(Entry::transfer(EntryId::of("bill", self.id), now, self.billed, Account::OperatorRevenue, owes)?))
    }
}

impl Advanced {
    /// A charge that was just opened, with what the rider has to his credit set off against it.
    pub fn with_credit(self, credit: Money) -> Result<Self, ChargeError> {
        let amount = self.charge.amount;
        let used = if credit.compare(amount)?.is_le() { credit } else { amount };
        if !used.is_positive() {
            return Ok(self);
        }
        let amount = amount.checked_sub(used)?;
        let state = if amount.is_positive() { self.charge.state.clone() } else { State::Settled };
        let charge = Charge { credit_used: used, amount, asked: amount, state, ..self.charge };
        Ok(Self { charge, ..self })
    }

    /// A charge that was just opened while no instrument may be asked for it: declined without a call.
    pub fn without_instrument(self) -> Self {
        let decline = Decline::soft("no instrument may be used for this amount");
        let state = if self.charge.state == State::Due { State::Declined { decline } } else { self.charge.state };
        Self { charge: Charge { state, ..self.charge }, ..self }
    }
}

impl Charge {
    /// By how much its opening changes what the rider has to his credit.
    pub fn credit_change(&self) -> Result<Money, ChargeError> {
        let given =
            if self.billed.is_positive() { Money::zero(self.billed.currency()) } else { self.billed.checked_neg()? };
        Ok(given.checked_sub(self.credit_used)?)
    }
}
