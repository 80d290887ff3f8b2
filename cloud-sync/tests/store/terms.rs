//! What decides what riders pay, and whose rides are priced anew because of it.

use facegate_cloud_sync::store::{Again, KeptWaiver, PricedRide, Pricing, Settlement, StoreError};
use facegate_domain::billing::{Item, ItemKind, PurchaseId};
use facegate_domain::fares::rider::{Decision, HeldPass};
use facegate_domain::fares::{Waiver, Waives};
use facegate_domain::four_eyes::ApprovalError;
use facegate_domain::ids::RiderId;
use facegate_domain::journey::JourneyId;
use facegate_domain::money::Money;
use facegate_domain::operation::{Instruction, PublishedFares, StationMode};
use facegate_domain::remedy::RemedyPolicy;
use facegate_domain::terms::{BoughtPass, KeptTerms, TermsChange};
use facegate_domain::waiving::{ProposedWaiver, WaiverReach, WaiverRequest, WaivingError};

use crate::places::Place;
use crate::world::{Gate, after, fares, ride, rider, settle, settlement};

pub async fn terms_are_kept_once_with_what_was_bought_and_forgotten_with_the_account(place: &Place) {
    let store = place.open().await;
    let rider = rider(&*store).await;
    assert_eq!(store.terms(rider).await.unwrap(), KeptTerms::default());
    let (day, purchase) = (jiff::civil::date(2026, 11, 18), PurchaseId::of(rider, "o-1"));
    let pass = TermsChange::Pass(BoughtPass { purchase, held: HeldPass { pass: "week".into(), first_day: day } });
    let kind = ItemKind::Purchase { purchase, name: "week".into() };
    let item = Item::new(rider, day, Money::from_minor(2500, fares().currency()), kind, after(5));
    for new in [true, false] {
        assert_eq!(store.change_terms(rider, pass.clone(), after(5), Some(item.clone())).await.unwrap(), new);
    }
    assert_eq!(store.terms(rider).await.unwrap().passes.len(), 1);
    assert_eq!(store.uncharged_items_of(rider).await.unwrap(), [item]);
    let nobody = store.change_terms(RiderId::random(), pass, after(5), None).await;
    assert!(matches!(nobody, Err(StoreError::UnknownRider(_))), "{nobody:?}");
    let decision = Decision { ride: JourneyId::from_bytes([1; 16]), price_minor: 0, reason: "x".into() };
    let told = TermsChange::Decision(decision);
    assert!(store.change_terms(RiderId::random(), told, after(5), None).await.unwrap(), "of anybody's ride");
}

pub async fn who_is_to_be_priced_anew_stays_so_until_it_is_done_as_asked_last(place: &Place) {
    let store = place.open().await;
    let (one, two) = (RiderId::from_bytes([1; 16]), RiderId::from_bytes([2; 16]));
    store.reprice(&[two, one], after(50)).await.unwrap();
    store.reprice(&[one, one], after(40)).await.unwrap();
    store.reprice(&[one], after(60)).await.unwrap();
    let waiting = store.riders_to_reprice(None, 9).await.unwrap();
    let since: Vec<_> = waiting.iter().map(|(rider, again)| (*rider, again.since)).collect();
    assert_eq!(since, [(one, after(40)), (two, after(50))]);
    assert_eq!(store.riders_to_reprice(Some(one), 9).await.unwrap(), waiting[1..]);
    let done = |rider, version| Settlement { again: Some(version), ..Settlement::of(rider, 0) };
    settle(&*store, done(one, waiting[0].1.version - 1), 70).await.unwrap();
    settle(&*store, done(two, waiting[1].1.version), 70).await.unwrap();
    assert_eq!(store.riders_to_reprice(None, 9).await.unwrap(), waiting[..1]);
    store.reprice(&[two], after(80)).await.unwrap();
    assert_eq!(store.riders_to_reprice(Some(one), 9).await.unwrap(), [(two, Again { since: after(80), version: 1 })]);
}

pub async fn waivers_are_added_once_and_changed(place: &Place) {
    let store = place.open().await;
    let waiver =
        Waiver { reason: "storm".into(), waives: Waives::Fare, stations: None, from: after(0), until: after(100) };
    let id = uuid::Uuid::from_bytes([7; 16]);
    let spreads = Some(after(0)..after(100));
    let kept = KeptWaiver { id, waiver, told_by: None, confirmed_by: None, follows: None, spreads };
    assert!(store.add_waiver(kept.clone()).await.unwrap());
    let other = KeptWaiver { spreads: None, ..kept.clone() };
    assert!(!store.add_waiver(other.clone()).await.unwrap());
    assert_eq!(store.waivers().await.unwrap(), std::slice::from_ref(&kept));
    assert!(store.change_waiver(&kept, other.clone()).await.unwrap());
    assert!(!store.change_waiver(&kept, kept.clone()).await.unwrap(), "somebody else has changed it meanwhile");
    assert_eq!(store.waivers().await.unwrap(), [other]);
}

const POLICY: RemedyPolicy = RemedyPolicy { four_eyes_above_minor: 300 };

fn asked(n: u8, minor: i64) -> WaiverRequest {
    let waiver = Waiver {
        reason: format!("storm {n}"),
        waives: Waives::Fare,
        stations: None,
        from: after(0),
        until: after(100),
    };
    let money = |minor| Money::from_minor(minor, fares().currency());
    let reach = WaiverReach { rides: 1, riders: 1, cost: money(minor), expected: money(0), is_part: false };
    WaiverRequest { id: uuid::Uuid::from_bytes([n; 16]), waiver, reach, by: "operator/a".into() }
}

pub async fn a_large_waiver_holds_once_another_person_has_approved_it_and_the_log_says_who(place: &Place) {
    let store = place.open().await;
    let revision = async || store.tariff_revision().await.unwrap();
    let small = store.propose_waiver(asked(1, 200), &POLICY, after(900)).await.unwrap();
    assert!(small.approval.is_done());
    assert_eq!(store.propose_waiver(asked(1, 200), &POLICY, after(901)).await.unwrap(), small, "told twice is once");
    let other = WaiverRequest { id: small.id, ..asked(2, 200) };
    let other = store.propose_waiver(other, &POLICY, after(901)).await;
    assert!(matches!(other, Err(StoreError::Waiving(WaivingError::OtherWords(_)))), "{other:?}");
    assert_eq!(revision().await, 1);
    let waits = store.propose_waiver(asked(2, 200), &POLICY, after(902)).await.unwrap();
    let rejected = store.propose_waiver(asked(3, 4000), &POLICY, after(903)).await.unwrap();
    assert!(waits.approval.waits() && rejected.approval.waits(), "together they are too much for one");
    let ids = |found: Vec<ProposedWaiver>| found.into_iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(ids(store.awaiting_waivers(9).await.unwrap()), [waits.id, rejected.id]);
    assert_eq!(ids(store.awaiting_waivers(1).await.unwrap()), [waits.id]);
    assert_eq!(ids(store.latest_waivers(2).await.unwrap()), [rejected.id, waits.id]);
    assert_eq!((store.waivers().await.unwrap().len(), revision().await), (1, 1), "what waits waives nothing");

    let same = store.decide_waiver(waits.id, true, "operator/a", after(904)).await;
    let is_same = matches!(same, Err(StoreError::Waiving(WaivingError::Approval(ApprovalError::SamePerson { .. }))));
    assert!(is_same, "{same:?}");
    let nobody = store.decide_waiver(uuid::Uuid::nil(), true, "operator/b", after(904)).await;
    assert!(matches!(nobody, Err(StoreError::Waiving(WaivingError::Unknown(_)))), "{nobody:?}");
    store.show_waiver(waits.id, asked(2, 250).reach).await.unwrap();
    let done = store.decide_waiver(waits.id, true, "operator/b", after(905)).await.unwrap();
    assert_eq!((done.approval.is_done(), done.reach.cost.minor()), (true, 250), "as it was shown last");
    store.decide_waiver(rejected.id, false, "operator/b", after(906)).await.unwrap();
    assert!(store.decide_waiver(rejected.id, true, "operator/c", after(907)).await.is_err());
    store.show_waiver(done.id, asked(2, 1).reach).await.unwrap();
    assert_eq!(store.proposed_waiver(done.id).await.unwrap(), Some(done.clone()), "it is decided");
    assert_eq!(store.awaiting_waivers(9).await.unwrap(), []);
    let mut kept = store.waivers().await.unwrap();
    kept.retain(|kept| kept.id == done.id);
    let by = (kept[0].told_by.as_deref(), kept[0].confirmed_by.as_deref());
    assert_eq!((by, kept[0].spreads.clone()), ((Some("operator/a"), Some("operator/b")), Some(after(0)..after(100))));
    assert_eq!((store.waivers().await.unwrap().len(), revision().await), (2, 2));
    let log = store.audit_entries(0, 100).await.unwrap();
    let told: Vec<_> = log.iter().map(|line| (line.actor.as_str(), line.action.as_str())).collect();
    let (waive, approve, reject) = ("fares.waive", "fares.approve-waiver", "fares.reject-waiver");
    let (a, b) = ("operator/a", "operator/b");
    assert_eq!(told, [(a, waive), (a, waive), (a, waive), (b, approve), (b, reject)]);
    assert!(log[1].subject.contains("storm 2") && log[1].subject.ends_with("awaiting_approval"), "{}", log[1].subject);
}

pub async fn held_rides_and_rides_of_a_time_are_told_page_by_page(place: &Place) {
    let store = place.open().await;
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let mut rides = Vec::new();
    for n in 0..4 {
        let journey = ride(&*store, &mut entry, &mut exit, RiderId::random(), after(n * 1000)).await;
        let mut settled = settlement(&journey);
        settled.rides[0].1 = Pricing::Held { reason: "nobody knows".into() };
        settled.items.clear();
        settle(&*store, settled, 9000).await.unwrap();
        rides.push(journey);
    }
    let mut held = store.held_rides(None, 3).await.unwrap();
    held.extend(store.held_rides(held.last().map(PricedRide::id), 3).await.unwrap());
    let mut ids: Vec<_> = rides.iter().map(|journey| journey.id).collect();
    ids.sort_unstable();
    assert_eq!(held.iter().map(PricedRide::id).collect::<Vec<_>>(), ids);
    let fare = fares().price(&rides[1]).unwrap();
    let repriced = vec![(rides[1].id, Pricing::ours(fare))];
    settle(&*store, Settlement { repriced, ..Settlement::of(rides[1].rider(), 0) }, 9100).await.unwrap();
    assert!(store.held_rides(None, 9).await.unwrap().iter().all(|priced| priced.id() != rides[1].id));
    let (from, until) = (rides[1].exit.at, rides[3].exit.at);
    let page = store.rides_ended(from, until, None, 1).await.unwrap();
    assert_eq!(page[0].id(), rides[1].id);
    let next = store.rides_ended(from, until, Some((page[0].ride.last().at, page[0].id())), 9).await.unwrap();
    assert_eq!(next.iter().map(PricedRide::id).collect::<Vec<_>>(), [rides[2].id]);
}

pub async fn what_was_priced_by_an_older_tariff_is_not_settled(place: &Place) {
    let store = place.open().await;
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let rider = RiderId::random();
    let journey = ride(&*store, &mut entry, &mut exit, rider, after(0)).await;
    let by = |revision| Settlement { tariff: Some(revision), ..settlement(&journey) };
    let mut last = store.tariff_revision().await.unwrap();
    let waiver =
        Waiver { reason: "storm".into(), waives: Waives::Fare, stations: None, from: after(0), until: after(900) };
    let id = uuid::Uuid::from_bytes([8; 16]);
    let kept = KeptWaiver { id, waiver, told_by: None, confirmed_by: None, follows: None, spreads: None };
    let shorter = Waiver { until: after(500), ..kept.waiver.clone() };
    let ended = KeptWaiver { waiver: shorter, ..kept.clone() };
    let published = PublishedFares { name: "new".into(), valid_from: after(0), toml: "name = 'new'".into() };
    for change in 0..4 {
        match change {
            0 => assert!(store.add_waiver(kept.clone()).await.unwrap()),
            1 => assert!(store.change_waiver(&kept, ended.clone()).await.unwrap()),
            2 => _ = store.instruct(Instruction::Fares(published.clone())).await.unwrap(),
            _ => _ = store.instruct(Instruction::FaresWithdrawn { name: "new".into() }).await.unwrap(),
        }
        let refused = settle(&*store, by(last), 900).await;
        assert!(matches!(refused, Err(StoreError::TariffChanged(who)) if who == rider), "{change}: {refused:?}");
        assert!(store.ride(journey.id).await.unwrap().is_none(), "nothing of it is stored");
        let now = store.tariff_revision().await.unwrap();
        assert!(now > last, "{change}");
        last = now;
    }
    // Neither what is told twice, nor how far a waiver has spread, nor a station's mode changes a price.
    assert!(!store.add_waiver(kept).await.unwrap());
    let spreading = KeptWaiver { spreads: Some(after(0)..after(900)), ..ended.clone() };
    assert!(store.change_waiver(&ended, spreading).await.unwrap());
    store.instruct(Instruction::Mode { station: None, mode: Some(StationMode::Closed) }).await.unwrap();
    settle(&*store, by(last), 900).await.unwrap();
}
