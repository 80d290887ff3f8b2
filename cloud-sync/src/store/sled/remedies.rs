//! Money given back, and disputes.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::{Advanced, Charge, ChargeId, RetryPolicy};
use facegate_domain::dispute::{Dispute, DisputeId, DisputeState};
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::Entry;
use facegate_domain::money::{Currency, Money};
use facegate_domain::remedy::{Measure, Moved, Remedy, RemedyEvent, RemedyId, RemedyPolicy, RemedyRequest, Returned};

use super::tx::{Tx, damaged, decode};
use super::{SledStore, audit, charges, key, ledger, notices};
use crate::store::{Chargeback, Credit, RemedyStore, StoreError};

/// Credits looked at together.
const CREDITS_PAGE: usize = 1000;

#[async_trait]
impl RemedyStore for SledStore {
    async fn ask_remedy(
        &self,
        request: RemedyRequest,
        policy: &RemedyPolicy,
        now: Timestamp,
    ) -> Result<Remedy, StoreError> {
        self.write(|tx| {
            let id = RemedyId::of(request.rider, &request.order);
            if let Some(before) = tx.get::<Remedy>(&key::remedy(id))? {
                before.is_what(&request)?;
                return Ok(before);
            }
            if !tx.contains(&key::rider(request.rider))? {
                return Err(StoreError::UnknownRider(request.rider));
            }
            let charge = request.measure.charge().map(|id| charge(tx, id)).transpose()?;
            let charge = charge.map(|charge| Ok::<_, StoreError>((returned(tx, &charge)?, charge))).transpose()?;
            let about = charge.as_ref().map(|(returned, charge)| (charge, *returned));
            let moved = Remedy::ask(&request, about, policy, now)?;
            audit::append(tx, &request.by, "remedy.ask", &id.to_string(), now)?;
            keep(tx, None, &moved, now)?;
            Ok(moved.remedy)
        })
        .await
    }

    async fn decide_remedy(
        &self,
        id: RemedyId,
        approves: bool,
        by: &str,
        now: Timestamp,
    ) -> Result<Remedy, StoreError> {
        self.write(|tx| {
            let before = stored(tx, id)?;
            let moved = before.decide(approves, by, now)?;
            let action = if approves { "remedy.approve" } else { "remedy.reject" };
            audit::append(tx, by, action, &id.to_string(), now)?;
            keep(tx, Some(&before), &moved, now)?;
            Ok(moved.remedy)
        })
        .await
    }

    async fn advance_remedy(
        &self,
        id: RemedyId,
        event: RemedyEvent,
        now: Timestamp,
        retry: &RetryPolicy,
    ) -> Result<Moved, StoreError> {
        self.write(|tx| {
            let before = stored(tx, id)?;
            let moved = before.apply(&event, now, retry)?;
            keep(tx, Some(&before), &moved, now)?;
            Ok(moved)
        })
        .await
    }

    async fn hurry_remedy(&self, id: RemedyId, now: Timestamp) -> Result<bool, StoreError> {
        self.write(|tx| {
            let before = stored(tx, id)?;
            let Some(remedy) = before.hurried(now) else { return Ok(false) };
            tx.remove(key::remedy_due(before.next_at(), id));
            tx.put(key::remedy_due(remedy.next_at(), id), &());
            tx.put(key::remedy(id), &remedy);
            Ok(true)
        })
        .await
    }

    async fn old_credits(
        &self,
        since: Timestamp,
        after: Option<(RiderId, Currency)>,
        max: usize,
    ) -> Result<Vec<(RiderId, Credit)>, StoreError> {
        let tx = self.read();
        let beyond = |(rider, currency)| [key::credit(rider, currency), vec![0]].concat();
        let (mut from, mut old) = (after.map_or(key::CREDIT.to_vec(), beyond), Vec::new());
        loop {
            let page = tx.scan_from(key::CREDIT, &from, CREDITS_PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(old) };
            from = [last.as_slice(), &[0]].concat();
            for (k, v) in page {
                let credit: Credit = decode(&k, &v)?;
                if credit.amount.is_positive() && credit.since <= since {
                    old.push((RiderId::from_bytes(key::id_after(key::CREDIT, &k)), credit));
                    if old.len() == max {
                        return Ok(old);
                    }
                }
            }
        }
    }

    async fn pay_credit_out(
        &self,
        rider: RiderId,
        currency: Currency,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Remedy>, StoreError> {
        self.write(|tx| {
            let old = charges::credit(tx, rider, currency)?.filter(|credit| credit.since <= since);
            let Some(credit) = old else { return Ok(Vec::new()) };
            let (mut left, mut paid) = (credit.amount, Vec::new());
            for charge in charges::latest_of(tx, rider)? {
                let returned = returned(tx, &charge)?;
                let Some(moved) = Remedy::payout((credit.since, left), (&charge, returned), now)? else { continue };
                if tx.contains(&key::remedy(moved.remedy.id()))? {
                    continue;
                }
                left = left.checked_sub(moved.remedy.amount()).map_err(facegate_domain::remedy::RemedyError::from)?;
                audit::append(tx, Remedy::PAID_OUT_BY, "remedy.payout", &moved.remedy.id().to_string(), now)?;
                keep(tx, None, &moved, now)?;
                paid.push(moved.remedy);
            }
            Ok(paid)
        })
        .await
    }

    async fn remedy(&self, id: RemedyId) -> Result<Option<Remedy>, StoreError> {
        self.read().get(&key::remedy(id))
    }

    async fn due_remedies(&self, now: Timestamp, max: usize) -> Result<Vec<Remedy>, StoreError> {
        let due = remedies(&self.read(), key::REMEDY_DUE, max)?;
        Ok(due.into_iter().filter(|remedy| remedy.state().is_under_way() && remedy.next_at() <= now).collect())
    }

    async fn awaiting_remedies(&self, max: usize) -> Result<Vec<Remedy>, StoreError> {
        remedies(&self.read(), key::REMEDY_ASKED, max)
    }

    async fn remedies_of(&self, rider: RiderId) -> Result<Vec<Remedy>, StoreError> {
        let mut all = remedies(&self.read(), &key::remedies_of_rider(rider), usize::MAX)?;
        all.reverse();
        Ok(all)
    }

    async fn open_dispute(&self, chargeback: &Chargeback, now: Timestamp) -> Result<Dispute, StoreError> {
        self.write(|tx| {
            let id = DisputeId::of(chargeback.charge, &chargeback.reference);
            if let Some(before) = tx.get::<Dispute>(&key::dispute(id))? {
                before.is_of(chargeback.amount)?;
                return Ok(before);
            }
            let charge = charge(tx, chargeback.charge)?;
            let (dispute, entry) = Dispute::open(&charge, &chargeback.reference, chargeback.amount, now)?;
            tx.put(key::dispute_of_charge(charge.id(), id), &());
            tx.put(key::dispute_of_rider(charge.rider(), now, id), &());
            keep_dispute(tx, &dispute, &entry)?;
            Ok(dispute)
        })
        .await
    }

    async fn close_dispute(&self, id: DisputeId, state: DisputeState, now: Timestamp) -> Result<Dispute, StoreError> {
        self.write(|tx| {
            let before: Dispute = tx.get(&key::dispute(id))?.ok_or(StoreError::UnknownDispute(id))?;
            let Some((dispute, entry)) = before.close(state, now)? else { return Ok(before) };
            keep_dispute(tx, &dispute, &entry)?;
            if let Some(charge) = dispute.debt(&charge(tx, dispute.charge)?) {
                charges::insert(tx, &Advanced { charge, entry: None, call: None })?;
            }
            Ok(dispute)
        })
        .await
    }

    async fn open_disputes(&self, max: usize) -> Result<Vec<Dispute>, StoreError> {
        disputes(&self.read(), key::DISPUTE_OPEN, max)
    }

    async fn disputes_of(&self, rider: RiderId) -> Result<Vec<Dispute>, StoreError> {
        disputes(&self.read(), &key::disputes_of_rider(rider), usize::MAX)
    }
}

fn charge(tx: &Tx<'_>, id: ChargeId) -> Result<Charge, StoreError> {
    let key = key::charge(id);
    decode(&key, &tx.get_bytes(&key)?.ok_or(StoreError::UnknownCharge(id))?)
}

fn stored(tx: &Tx<'_>, id: RemedyId) -> Result<Remedy, StoreError> {
    tx.get(&key::remedy(id))?.ok_or(StoreError::UnknownRemedy(id))
}

/// What came of the charge since.
fn returned(tx: &Tx<'_>, charge: &Charge) -> Result<Returned, StoreError> {
    let currency = charge.amount().currency();
    let refunded = remedies(tx, &key::remedies_of_charge(charge.id()), usize::MAX)?;
    let disputed = disputes(tx, &key::disputes_of_charge(charge.id()), usize::MAX)?;
    Ok(Returned {
        refunded: sum(currency, refunded.iter().filter(|remedy| remedy.counts()).map(Remedy::amount))?,
        disputed: sum(currency, disputed.iter().filter(|dispute| dispute.counts()).map(|dispute| dispute.amount))?,
    })
}

fn sum(currency: Currency, amounts: impl Iterator<Item = Money>) -> Result<Money, StoreError> {
    Ok(Money::checked_sum(currency, amounts).map_err(facegate_domain::remedy::RemedyError::from)?)
}

/// The remedies whose ids the keys with this prefix end with.
fn remedies(tx: &Tx<'_>, prefix: &[u8], max: usize) -> Result<Vec<Remedy>, StoreError> {
    let ids = tx.scan_from(prefix, prefix, max)?.into_iter().map(|(k, _)| RemedyId::from_bytes(key::tail(&k)));
    ids.map(|id| tx.get(&key::remedy(id))?.ok_or_else(|| damaged(&key::remedy(id), "gone"))).collect()
}

fn disputes(tx: &Tx<'_>, prefix: &[u8], max: usize) -> Result<Vec<Dispute>, StoreError> {
    let ids = tx.scan_from(prefix, prefix, max)?.into_iter().map(|(k, _)| DisputeId::from_bytes(key::tail(&k)));
    ids.map(|id| tx.get(&key::dispute(id))?.ok_or_else(|| damaged(&key::dispute(id), "gone"))).collect()
}

fn keep(tx: &mut Tx<'_>, before: Option<&Remedy>, moved: &Moved, now: Timestamp) -> Result<(), StoreError> {
    let remedy = &moved.remedy;
    let id = remedy.id();
    if let Some(before) = before {
        tx.remove(key::remedy_due(before.next_at(), id));
        tx.remove(key::remedy_asked(before.asked_at(), id));
    } else {
        tx.put(key::remedy_of_rider(remedy.rider(), remedy.asked_at(), id), &());
        if let Some(charge) = remedy.measure().charge() {
            tx.put(key::remedy_of_charge(charge, id), &());
        }
    }
    if remedy.state().is_under_way() {
        tx.put(key::remedy_due(remedy.next_at(), id), &());
    }
    if remedy.awaits_approval() {
        tx.put(key::remedy_asked(remedy.asked_at(), id), &());
    }
    tx.put(key::remedy(id), remedy);
    if let Some(told) = remedy.told() {
        notices::tell(tx, remedy.rider(), now, told)?;
    }
    if let (Measure::Waiver { charge }, Some(_)) = (remedy.measure(), &moved.entry) {
        charges::waive(tx, charge, now)?;
    }
    charges::add_credit(tx, remedy.rider(), remedy.credit_change(before)?, now)?;
    if let Some(at) = remedy.refunded_through(moved.entry.as_ref()) {
        tx.put(key::refunded(at, id), &());
    }
    moved.entry.iter().try_for_each(|entry| ledger::post(tx, entry))
}

fn keep_dispute(tx: &mut Tx<'_>, dispute: &Dispute, entry: &Entry) -> Result<(), StoreError> {
    let open = key::dispute_open(dispute.opened_at, dispute.id);
    if dispute.state == DisputeState::Open {
        tx.put(open, &());
    } else {
        tx.remove(open);
    }
    tx.put(key::dispute(dispute.id), dispute);
    ledger::post(tx, entry)
}
