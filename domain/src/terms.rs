//! What is on record of a rider that decides what he pays: what he is, what he has bought or was given, what he told of
//! rides whose end nobody saw. Changes are kept once each, however often they come, so that telling twice is harmless.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::billing::PurchaseId;
use crate::clock::Timestamp;
use crate::fares::RiderTerms;
use crate::fares::rider::{Coupon, Decision, HeldCategory, HeldPass, Repair};

/// A category, and by what an integrator has verified it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedCategory {
    pub held: HeldCategory,
    /// The kind of evidence, such as "student_card"; never the evidence itself.
    pub evidence: String,
    pub verified_at: Timestamp,
}

/// A pass that was bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoughtPass {
    pub purchase: PurchaseId,
    pub held: HeldPass,
}

/// A coupon that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedCoupon {
    /// Names the grant: the same one counts once.
    pub reference: String,
    pub coupon: Coupon,
}

/// One thing that is told of a rider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TermsChange {
    Category(VerifiedCategory),
    Pass(BoughtPass),
    Coupon(GrantedCoupon),
    Repair(Repair),
    Decision(Decision),
}

/// Everything that was told, in that order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptTerms {
    pub categories: Vec<VerifiedCategory>,
    pub passes: Vec<BoughtPass>,
    pub coupons: Vec<GrantedCoupon>,
    pub repairs: Vec<Repair>,
    pub decisions: Vec<Decision>,
}

impl KeptTerms {
    /// False if it was told before, and nothing has changed.
    pub fn apply(&mut self, change: &TermsChange) -> bool {
        match change {
            TermsChange::Category(new) => {
                let known = self
                    .categories
                    .last()
                    .is_some_and(|last| (&last.held, &last.evidence) == (&new.held, &new.evidence));
                add(&mut self.categories, new, known)
            }
            TermsChange::Pass(new) => {
                let known = self.passes.iter().any(|pass| pass.purchase == new.purchase);
                add(&mut self.passes, new, known)
            }
            TermsChange::Coupon(new) => {
                let known = self.coupons.iter().any(|coupon| coupon.reference == new.reference);
                add(&mut self.coupons, new, known)
            }
            // The first that he told holds, so that nobody tries stations until one is cheap.
            TermsChange::Repair(new) => {
                let known = self.repairs.iter().any(|repair| repair.tap == new.tap);
                add(&mut self.repairs, new, known)
            }
            TermsChange::Decision(new) => {
                let known = self.decisions.iter().rev().find(|decision| decision.ride == new.ride) == Some(new);
                add(&mut self.decisions, new, known)
            }
        }
    }

    /// As fares see it.
    pub fn terms(&self) -> RiderTerms {
        RiderTerms {
            category: None,
            categories: self.categories.iter().map(|category| category.held.clone()).collect(),
            passes: self.passes.iter().map(|pass| pass.held.clone()).collect(),
            coupons: self.coupons.iter().map(|granted| granted.coupon.clone()).collect(),
            repairs: self.repairs.clone(),
            decisions: self.decisions.clone(),
        }
    }

    /// What he is on that day.
    pub fn category_on(&self, day: Date) -> Option<&VerifiedCategory> {
        let mut held = self.categories.iter().rev();
        held.find(|category| (category.held.first_day..=category.held.last_day).contains(&day))
    }
}

fn add<T: Clone>(list: &mut Vec<T>, new: &T, known: bool) -> bool {
    if !known {
        list.push(new.clone());
    }
    !known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{GateId, RecordId, RiderId, StationId};

    #[test]
    fn what_is_told_twice_is_kept_once_and_the_first_repair_holds() {
        let mut kept = KeptTerms::default();
        let day = |day| jiff::civil::date(2026, 11, day);
        let purchase = PurchaseId::of(RiderId::from_bytes([1; 16]), "order-1");
        let pass =
            |first_day| TermsChange::Pass(BoughtPass { purchase, held: HeldPass { pass: "week".into(), first_day } });
        assert!(kept.apply(&pass(day(1))) && !kept.apply(&pass(day(9))));
        let tap = RecordId { gate: GateId::new("g").unwrap(), epoch: 1, sequence: 4 };
        let repair = |station: &str| {
            let station = StationId::new(station).unwrap();
            TermsChange::Repair(Repair { tap: tap.clone(), station, made_at: Timestamp::default() })
        };
        assert!(kept.apply(&repair("far")) && !kept.apply(&repair("near")));
        let category = |category: &str, first, last| {
            let held = HeldCategory { category: category.into(), first_day: day(first), last_day: day(last) };
            let verified_at = Timestamp::default();
            TermsChange::Category(VerifiedCategory { held, evidence: "card".into(), verified_at })
        };
        assert!(kept.apply(&category("student", 1, 20)) && !kept.apply(&category("student", 1, 20)));
        assert!(kept.apply(&category("senior", 15, 30)));
        let of = |at| kept.terms().category_on(day(at)).map(str::to_owned);
        assert_eq!([of(14), of(15), of(30)], ["student", "senior", "senior"].map(|name| Some(name.to_owned())));
        assert_eq!(kept.category_on(day(31 - 1)).unwrap().held.category, "senior");
        assert_eq!((kept.passes.len(), kept.repairs.len()), (1, 1));
        assert_eq!(kept.repairs[0].station.as_str(), "far");
    }
}
