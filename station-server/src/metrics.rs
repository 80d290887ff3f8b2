//! What a station counts. Every name starts with `facegate_`; see `describe` for what each means.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::fingerprint::FactSet;
use facegate_domain::policy::Refusal;
use facegate_domain::score::Tier;
use facegate_gallery::Gallery;
use facegate_gallery::monitor::Recall;
use facegate_proto::v1;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::backlog::BacklogView;
use crate::station::Station;

pub use crate::intake::Counts;

/// Tells the recorder what the names mean; once, at start.
pub fn describe() {
    describe_histogram!("facegate_identify_seconds", "From a probe's arrival at the station to the decision");
    describe_counter!("facegate_decisions_total", "Riders recognised, by the narrowest tier that held them");
    describe_counter!("facegate_decisions_by_tier_alone_total", "Those that the city's prior alone would have refused");
    describe_gauge!("facegate_accepted_risk", "Sum of the risks accepted since the start, by the same tier");
    describe_counter!("facegate_come_back_refused_total", "Erased templates that the feed brought again");
    describe_gauge!("facegate_recognises", "1 if faces may be searched: a lease, and what it asks for applied");
    describe_gauge!("facegate_lease_ends_seconds", "When the lease of the templates' key ends, unix seconds; 0: none");
    describe_counter!("facegate_refusals_total", "Faces and codes refused by the station, by reason");
    describe_counter!("facegate_sightings_total", "Faces at entrance cameras, by whether a rider was recognised");
    describe_counter!("facegate_journal_records_total", "Records handed over by gates, by what became of them");
    describe_counter!("facegate_forward_shortfalls_total", "Batches after which the cloud lacked earlier records");
    describe_counter!("facegate_forward_put_off_total", "Batches that the cloud put off to serve others first");
    describe_counter!("facegate_refetched_records_total", "Records handed over once more, by who still held them");
    describe_counter!(
        "facegate_journal_future_records_total",
        "Records stamped later than now: a gate's clock is wrong"
    );
    describe_gauge!("facegate_journal_waiting_percent", "Unacknowledged records' share of what the journal may hold");
    describe_gauge!("facegate_journal_days_left", "Until the journal is full at the rate of the last hour");
    describe_gauge!("facegate_cloud_contact_age_seconds", "Since the cloud was heard of; see [offline] in the config");
    describe_gauge!("facegate_deny_list_age_seconds", "Age of the deny list; see [offline] in the config");
    describe_counter!("facegate_feed_refused_total", "Changes of the feed that could not be honoured");
    describe_counter!(
        "facegate_healed_buckets_total",
        "Parts of the facts that were re-read, since they differed from the cloud's"
    );
    describe_counter!("facegate_snapshot_broken_total", "Chunks of snapshots that were not whole, and asked for again");
    describe_counter!("facegate_epochs_issued_total", "Journal epochs issued to gates");
    describe_gauge!("facegate_templates", "Templates in the gallery");
    describe_gauge!("facegate_tier_riders", "Riders in each tier");
    describe_gauge!("facegate_denied_riders", "Riders on the deny list");
    describe_gauge!("facegate_codes_remembered", "Ride codes remembered against replay");
    describe_gauge!("facegate_recall_mates", "Latest probes with a mate that were searched once more, exhaustively");
    describe_gauge!("facegate_recall_missed", "Those whose mate the live search had missed");
    describe_gauge!("facegate_recall_alarm", "1 if more are missed than by design");
    describe_gauge!("facegate_backlog_records", "Records not yet acknowledged by the cloud");
    describe_gauge!("facegate_journal_bytes", "Size of the station's journal");
    describe_gauge!("facegate_feed_version", "Version of the feed that searches honour");
    describe_gauge!("facegate_feed_head_version", "Version of the feed in the cloud, when it was last heard of");
}

pub fn identified(took: Duration) {
    histogram!("facegate_identify_seconds").record(took.as_secs_f64());
}

/// What each tier did since the start: for the report to the cloud, and counted in `/metrics` as well.
#[derive(Debug, Default)]
pub struct TierFigures(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    tiers: BTreeMap<Tier, TierCounts>,
    come_back_refused: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct TierCounts {
    decisions: u64,
    added: u64,
    risk: f64,
    added_risk: f64,
}

impl TierFigures {
    /// A rider was recognised; `added`: the city's prior alone would not have.
    pub fn decided(&self, tier: Tier, risk: f64, added: bool) {
        counter!("facegate_decisions_total", "tier" => tier.name()).increment(1);
        let mut counted = self.counted();
        let counts = counted.tiers.entry(tier).or_default();
        counts.decisions += 1;
        counts.risk += risk;
        if added {
            counter!("facegate_decisions_by_tier_alone_total", "tier" => tier.name()).increment(1);
            counts.added += 1;
            counts.added_risk += risk;
        }
        gauge!("facegate_accepted_risk", "tier" => tier.name()).set(counts.risk);
    }

    /// A template that was erased came again and was refused.
    pub fn came_back(&self) {
        counter!("facegate_come_back_refused_total").increment(1);
        self.counted().come_back_refused += 1;
    }

    pub fn come_back_refused(&self) -> u64 {
        self.counted().come_back_refused
    }

    pub fn report(&self, tier: Tier, riders: u64) -> v1::TierReport {
        let TierCounts { decisions, added, risk, added_risk } =
            self.counted().tiers.get(&tier).copied().unwrap_or_default();
        v1::TierReport { tier: tier.name().to_owned(), riders, decisions, added, risk, added_risk }
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn refused(reason: Refusal) {
    counter!("facegate_refusals_total", "reason" => reason.name()).increment(1);
}

pub fn sighted(recognised: bool) {
    counter!("facegate_sightings_total", "recognised" => if recognised { "yes" } else { "no" }).increment(1);
}

pub fn intake(counts: &Counts) {
    let outcomes = [
        ("accepted", counts.accepted),
        ("duplicate", counts.duplicate),
        ("conflict", counts.conflict),
        ("after_gap", counts.after_gap),
        ("again", counts.again),
    ];
    for (outcome, count) in outcomes {
        counter!("facegate_journal_records_total", "outcome" => outcome).increment(count);
    }
}

pub fn forward_shortfall() {
    counter!("facegate_forward_shortfalls_total").increment(1);
}

pub fn put_off() {
    counter!("facegate_forward_put_off_total").increment(1);
}

pub fn refetched(from: &'static str, records: usize) {
    counter!("facegate_refetched_records_total", "from" => from).increment(records as u64);
}

pub fn from_the_future() {
    counter!("facegate_journal_future_records_total").increment(1);
}

pub fn backlog(view: BacklogView) {
    gauge!("facegate_journal_waiting_percent").set(f64::from(view.percent));
    gauge!("facegate_journal_days_left").set(view.days_left.unwrap_or(f64::INFINITY));
}

pub fn alone(alone: Duration, deny_list_age: Duration) {
    gauge!("facegate_cloud_contact_age_seconds").set(alone.as_secs_f64());
    gauge!("facegate_deny_list_age_seconds").set(deny_list_age.as_secs_f64());
}

pub fn feed_refused() {
    counter!("facegate_feed_refused_total").increment(1);
}

pub fn bucket_healed(set: &FactSet) {
    counter!("facegate_healed_buckets_total", "set" => set.to_string()).increment(1);
}

pub fn snapshot_broken() {
    counter!("facegate_snapshot_broken_total").increment(1);
}

pub fn epoch_issued() {
    counter!("facegate_epochs_issued_total").increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; these counts stay far below 2^52")]
pub fn sizes(station: &Station) {
    let facts = station.facts();
    gauge!("facegate_templates").set(facts.gallery().map_or(0, Gallery::templates) as f64);
    gauge!("facegate_recognises").set(f64::from(u8::from(station.searchable().is_ok())));
    gauge!("facegate_lease_ends_seconds").set(station.leases.ends().map_or(0, Timestamp::unix_s) as f64);
    for tier in Tier::ALL {
        let riders = facts.gallery().map_or(0, |gallery| gallery.tier_len(tier, station.clock.now()));
        gauge!("facegate_tier_riders", "tier" => tier.name()).set(riders as f64);
    }
    gauge!("facegate_denied_riders").set(facts.denied() as f64);
    gauge!("facegate_backlog_records").set(station.backlog() as f64);
    gauge!("facegate_journal_bytes").set(station.journal.total_bytes() as f64);
    gauge!("facegate_feed_version").set(station.applied_version() as f64);
    let (alone_for, deny_list_age) = station.contact.ages(station.clock.now());
    alone(alone_for, deny_list_age);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; counts of checks stay far below 2^52")]
pub fn recall(recall: Recall) {
    gauge!("facegate_recall_mates").set(recall.mates as f64);
    gauge!("facegate_recall_missed").set(recall.missed as f64);
    gauge!("facegate_recall_alarm").set(f64::from(u8::from(recall.has_drifted())));
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; versions stay far below 2^52")]
pub fn feed_head(version: u64) {
    gauge!("facegate_feed_head_version").set(version as f64);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; codes stay far below 2^52")]
pub fn codes(remembered: usize) {
    gauge!("facegate_codes_remembered").set(remembered as f64);
}
