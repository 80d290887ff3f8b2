//! What riders tell and are given that decides what they pay: checked against the fare tables, written into the audit log,
//! kept, and applied to what was ridden before. Telling twice is telling once.

use std::sync::Arc;

use facegate_domain::Timestamp;
use facegate_domain::billing::{Item, ItemKind, PurchaseId};
use facegate_domain::fares::rider::{Coupon, Decision, HeldCategory, HeldPass, Repair};
use facegate_domain::fares::{FareTable, Ride, Tariff};
use facegate_domain::ids::{RiderId, StationId};
use facegate_domain::journey::{JourneyId, Ridden};
use facegate_domain::terms::{BoughtPass, GrantedCoupon, TermsChange, VerifiedCategory};
use jiff::civil::Date;

use crate::cloud::Cloud;
use crate::enrolment::{Actor, EnrolmentError};
use crate::store::{PricedRide, StoreError};
use crate::tariffs::with_published;

/// Longest name, reference or reason.
const TEXT_BYTES_MAX: usize = 200;
/// Rides of one coupon; a typing error must not become a year of them.
const COUPON_RIDES_MAX: u32 = 1000;

fn refuse<T>(field: &'static str, problem: impl Into<String>) -> Result<T, EnrolmentError> {
    Err(EnrolmentError::BadField { field, problem: problem.into() })
}

fn text(field: &'static str, given: &str) -> Result<(), EnrolmentError> {
    if given.trim().is_empty() || given.len() > TEXT_BYTES_MAX || given.chars().any(char::is_control) {
        return refuse(field, format!("give 1 to {TEXT_BYTES_MAX} bytes without control characters"));
    }
    Ok(())
}

/// The tables that hold at this moment, with what is published.
pub async fn tariff(cloud: &Cloud) -> Result<Tariff, EnrolmentError> {
    let told = cloud.store.instructions().await?;
    with_published(&cloud.config.fares, told.fares()).map_err(|error| EnrolmentError::Internal(error.to_string()))
}

fn some_table<T>(tariff: &Tariff, find: impl Fn(&FareTable) -> Option<T>) -> Option<T> {
    tariff.tables().iter().rev().find_map(|table| find(table))
}

/// When the travel day begins.
fn begins(tariff: &Tariff, day: Date) -> Timestamp {
    let days = tariff.tables()[0].calendar().days();
    days.end(day.yesterday().unwrap_or(Date::MIN))
}

fn today(cloud: &Cloud, tariff: &Tariff) -> Date {
    tariff.tables()[0].calendar().days().of(cloud.clock.now())
}

async fn change(
    cloud: &Cloud,
    actor: &Actor,
    action: &str,
    rider: RiderId,
    told: (TermsChange, Timestamp, Option<Item>),
) -> Result<(), EnrolmentError> {
    cloud.enrolment.rider(rider).await?;
    cloud.store.audit(actor.as_str(), action, &rider.to_string(), cloud.clock.now()).await?;
    let (change, since, bought) = told;
    cloud.store.change_terms(rider, change, since, bought).await?;
    Ok(())
}

/// What the rider is, as the integrator has verified it, from today on.
pub async fn verify_category(
    cloud: &Cloud,
    actor: &Actor,
    rider: RiderId,
    (category, evidence): (&str, &str),
    last_day: Date,
) -> Result<(), EnrolmentError> {
    text("evidence", evidence)?;
    let tariff = tariff(cloud).await?;
    if !tariff.tables().iter().any(|table| table.knows_category(category)) {
        return refuse("category", format!("no fare table has a category {category:?}"));
    }
    let first_day = today(cloud, &tariff);
    if last_day < first_day {
        return refuse("last_day", format!("{last_day} is over: the evidence must still hold"));
    }
    let held = HeldCategory { category: category.to_owned(), first_day, last_day };
    let verified = VerifiedCategory { held, evidence: evidence.to_owned(), verified_at: cloud.clock.now() };
    let told = (TermsChange::Category(verified), begins(&tariff, first_day), None);
    change(cloud, actor, &format!("rider.verify-category {category} by {evidence}"), rider, told).await
}

/// Sells a pass at the price of the table. `order` names the purchase: the same one is sold once.
pub async fn buy_pass(
    cloud: &Cloud,
    actor: &Actor,
    rider: RiderId,
    (pass, order): (&str, &str),
    first_day: Date,
) -> Result<PurchaseId, EnrolmentError> {
    text("order", order)?;
    let tariff = tariff(cloud).await?;
    let Some(price) = some_table(&tariff, |table| table.pass_price(pass)) else {
        return refuse("pass", format!("no fare table sells a pass {pass:?}"));
    };
    let now = cloud.clock.now();
    let day = today(cloud, &tariff);
    if first_day < day {
        return refuse("first_day", format!("{first_day} is over: a pass begins today or later"));
    }
    let purchase = PurchaseId::of(rider, order);
    let kind = ItemKind::Purchase { purchase, name: pass.to_owned() };
    let item = price.is_positive().then(|| Item::new(rider, day, price, kind, now));
    let held = HeldPass { pass: pass.to_owned(), first_day };
    let told = (TermsChange::Pass(BoughtPass { purchase, held }), begins(&tariff, first_day), item);
    change(cloud, actor, &format!("rider.buy-pass {pass} order {order}"), rider, told).await?;
    Ok(purchase)
}

/// Gives rides at a discount of the table. `reference` names the grant: the same one is given once.
pub async fn grant_coupon(
    cloud: &Cloud,
    actor: &Actor,
    rider: RiderId,
    coupon: Coupon,
    reference: &str,
) -> Result<(), EnrolmentError> {
    text("reference", reference)?;
    let tariff = tariff(cloud).await?;
    if !tariff.tables().iter().any(|table| table.has_coupon(&coupon.discount)) {
        return refuse("discount", format!("no fare table has a discount {:?} by coupon", coupon.discount));
    }
    if !(1..=COUPON_RIDES_MAX).contains(&coupon.rides) {
        return refuse("rides", format!("use 1 to {COUPON_RIDES_MAX}"));
    }
    if coupon.last_day < coupon.first_day {
        return refuse("last_day", "it is before the first day");
    }
    let since = begins(&tariff, coupon.first_day);
    let action = format!("rider.grant-coupon {} {reference}", coupon.discount);
    let granted = GrantedCoupon { reference: reference.to_owned(), coupon };
    change(cloud, actor, &action, rider, (TermsChange::Coupon(granted), since, None)).await
}

/// A coupon for who was referred, and one for who referred him; for each rider who is new once.
pub async fn refer(
    cloud: &Cloud,
    actor: &Actor,
    (new, referrer): (RiderId, RiderId),
    coupon: Coupon,
) -> Result<(), EnrolmentError> {
    if new == referrer {
        return refuse("referred_by", "nobody refers himself");
    }
    let known = cloud.store.terms(new).await?;
    let other = known.coupons.iter().find(|granted| granted.reference.starts_with(REFERRED));
    if other.is_some_and(|granted| granted.reference != format!("{REFERRED}{referrer}")) {
        return refuse("referred_by", "somebody else has referred this rider already");
    }
    cloud.enrolment.rider(referrer).await?;
    grant_coupon(cloud, actor, new, coupon.clone(), &format!("{REFERRED}{referrer}")).await?;
    grant_coupon(cloud, actor, referrer, coupon, &format!("has referred {new}")).await
}

const REFERRED: &str = "referred by ";

/// The rider tells where he entered or left; nobody saw it.
pub async fn repair(
    cloud: &Cloud,
    actor: &Actor,
    rider: RiderId,
    ride: JourneyId,
    station: &str,
) -> Result<(), EnrolmentError> {
    let station = StationId::new(station)
        .map_err(|error| EnrolmentError::BadField { field: "station", problem: error.to_string() })?;
    let known = cloud.store.ride(ride).await?.filter(|priced| priced.ride.rider() == rider);
    let Some(priced) = known.filter(|priced| priced.superseded.is_none()) else {
        return refuse("journey", "there is no such trip of this rider's");
    };
    let Ridden::Broken(incomplete) = &priced.ride else {
        return refuse("journey", "both ends of this trip were seen: there is nothing to tell");
    };
    let tap = incomplete.tap();
    let tariff = tariff(cloud).await?;
    let Some(until) = repair_until(&tariff, &priced.ride) else {
        return refuse("journey", "the fare table lets nobody tell a missing end");
    };
    if cloud.clock.now() >= until {
        return refuse("journey", format!("the last moment to tell the missing end was {}", moment(until)));
    }
    if tariff.at(tap.at).is_ok_and(|table| table.stations().all(|known| *known != station)) {
        return refuse("station", format!("the fare table knows no station {station}"));
    }
    let repair = Repair { tap: tap.id.clone(), station, made_at: cloud.clock.now() };
    change(cloud, actor, &format!("rider.repair {ride}"), rider, (TermsChange::Repair(repair), tap.at, None)).await
}

/// Until when the missing end of a ride may be told; None if it may not.
pub fn repair_until(tariff: &Tariff, ride: &Ridden) -> Option<Timestamp> {
    let table: &Arc<FareTable> = tariff.at(ride.first().at).ok()?;
    let days = table.repair_days().filter(|_| ride.whole().is_none())?;
    let day = tariff.day_of(Ride::from(ride)).checked_add(jiff::Span::new().days(i64::from(days))).ok()?;
    Some(table.calendar().days().end(day))
}

fn moment(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.unix_ms()).map_or_else(|_| "never".to_owned(), |at| at.to_string())
}

/// What is done about a ride without a price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// It costs so much; nothing waives it. The rider reads why.
    At { price_minor: i64, reason: String },
    /// By the rules, as they are now.
    Again,
}

/// A held ride is let go by an operator.
pub async fn release(cloud: &Cloud, actor: &Actor, ride: JourneyId, release: Release) -> Result<(), EnrolmentError> {
    let waits = |priced: &PricedRide| priced.is_held() || priced.waits_elsewhere();
    let Some(priced) = cloud.store.ride(ride).await?.filter(waits) else {
        return refuse("ride", "there is no held ride of this id: list those that are held");
    };
    let (rider, since) = (priced.ride.rider(), priced.ride.first().at);
    let audit = async |action: &str, said: &str| -> Result<(), StoreError> {
        cloud.store.audit(actor.as_str(), action, &format!("{ride} {said}"), cloud.clock.now()).await.map(drop)
    };
    match release {
        Release::Again => {
            audit("rides.reprice", "").await?;
            cloud.store.reprice(&[rider], since).await?;
        }
        Release::At { price_minor, reason } => {
            text("reason", &reason)?;
            if price_minor < 0 {
                return refuse("price_minor", "a ride costs nothing or more; a refund gives money back");
            }
            audit("rides.release", &format!("at {price_minor}: {reason}")).await?;
            let decision = Decision { ride, price_minor, reason };
            cloud.store.change_terms(rider, TermsChange::Decision(decision), since, None).await?;
        }
    }
    Ok(())
}
