//! Restarts, epochs and deliveries on a real directory.

use facegate_domain::ids::RiderId;
use facegate_domain::journal_audit::Span;
use facegate_domain::score::{Similarity, Tier};
use facegate_domain::tap::{Direction, Evidence, Remarks};
use facegate_runtime::clock::ManualClock;
use facegate_runtime::disk::RealDisk;

use super::*;

const KEPT: Duration = Duration::from_secs(7 * 86_400);

fn place(dir: &Path, clock: &Arc<ManualClock>) -> JournalPlace {
    JournalPlace {
        gate: GateId::new("north-in").unwrap(),
        dir: dir.join("journal"),
        options: JournalOptions { segment_bytes_max: 4096, total_bytes_max: 1 << 20 },
        kept: KEPT,
        disk: Arc::new(RealDisk),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_unix_ms(1_790_000_000_000)))
}

fn open(dir: &Path) -> GateJournal {
    open_at(dir, &clock())
}

fn open_at(dir: &Path, clock: &Arc<ManualClock>) -> GateJournal {
    GateJournal::open(place(dir, clock), Memory::open(&RealDisk, &dir.join("memory")).unwrap()).unwrap()
}

fn range(epoch: u32, first: u64, last: u64) -> JournalRange {
    JournalRange { gate: GateId::new("north-in").unwrap(), epoch, span: Span { first, last } }
}

fn station() -> StationId {
    StationId::new("north").unwrap()
}

fn face() -> Authorisation {
    let evidence = Evidence::Face { similarity: Similarity::from_cosine(0.8), tier: Tier::City, risk: 1e-7, frames: 3 };
    Authorisation::new(RiderId::random(), Direction::Entry, evidence)
}

fn sequences(batch: &Batch) -> Vec<u64> {
    batch.records.iter().map(|r| r.id.as_ref().unwrap().sequence).collect()
}

#[tokio::test]
async fn nobody_is_authorised_before_the_station_gave_an_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    assert_eq!(journal.position(), (0, 0));
    assert!(matches!(journal.authorise(face()).await, Err(GateJournalError::NotRegistered)));
}

#[tokio::test]
async fn an_authorisation_left_alone_is_found_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = {
        let journal = open(dir.path());
        journal.memory.remember(&station(), &[]).await.unwrap();
        assert!(journal.adopt(4, station(), 0).unwrap());
        let first = journal.authorise(face()).await.unwrap();
        journal.conclude(first, PassageOutcome::Passed, Remarks::default(), None).await.unwrap();
        (first, journal.authorise(face()).await.unwrap())
    };
    assert_eq!((first.sequence, second.sequence), (0, 2));
    let journal = open(dir.path());
    assert_eq!(journal.position(), (4, 3));
    assert_eq!(journal.unconcluded().iter().map(|u| u.0).collect::<Vec<_>>(), [second]);
    journal.conclude(second, PassageOutcome::Unknown, Remarks::default(), None).await.unwrap();
    assert!(journal.unconcluded().is_empty());
}

#[tokio::test]
async fn records_go_out_in_order_and_a_new_epoch_waits_for_the_old() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let journal = open_at(dir.path(), &clock);
    journal.adopt(1, station(), 0).unwrap();
    let old = journal.authorise(face()).await.unwrap();
    journal.adopt(2, station(), 0).unwrap();
    let new = journal.authorise(face()).await.unwrap();
    journal.conclude(old, PassageOutcome::TimedOut, Remarks::default(), None).await.unwrap();
    assert_eq!((new.epoch, new.sequence, journal.backlog()), (2, 0, 3));

    let batch = journal.undelivered(10).unwrap().unwrap();
    assert_eq!((batch.epoch, sequences(&batch)), (1, vec![0, 1]));
    journal.delivered(1, 2).unwrap();
    assert!(dir.path().join("journal/epoch-1").exists(), "it may be asked for once more");
    let batch = journal.undelivered(10).unwrap().unwrap();
    assert_eq!((batch.epoch, sequences(&batch)), (2, vec![0]));
    journal.delivered(2, 1).unwrap();
    assert!(journal.undelivered(10).unwrap().is_none());
    assert_eq!(journal.unconcluded().len(), 1);
    clock.advance(KEPT + Duration::from_secs(1));
    journal.delivered(2, 1).unwrap();
    assert!(!dir.path().join("journal/epoch-1").exists(), "an epoch delivered to the end goes in its time");
    assert!(dir.path().join("journal/epoch-2").exists());
}

#[tokio::test]
async fn what_is_asked_for_once_more_comes_in_parts_and_what_is_gone_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let journal = open_at(dir.path(), &clock);
    journal.adopt(1, station(), 0).unwrap();
    for _ in 0..100 {
        let token = journal.authorise(face()).await.unwrap();
        journal.conclude(token, PassageOutcome::Passed, Remarks::default(), None).await.unwrap();
    }
    journal.delivered(1, 200).unwrap();
    let all = async || {
        let (mut sequences, mut not_held) = (Vec::new(), Vec::new());
        while let Some(again) = journal.asked_again(7).unwrap() {
            assert!(again.records.len() <= 7);
            sequences.extend(again.records.iter().map(|record| record.id.as_ref().unwrap().sequence));
            not_held.extend(again.not_held.clone());
            journal.answered(again);
        }
        (sequences, not_held)
    };
    journal.ask_again(vec![range(1, 10, 29), range(1, 10, 29), range(3, 0, 4), range(1, 195, 210)]);
    let other = JournalRange { gate: GateId::new("north-out").unwrap(), ..range(1, 0, 1) };
    journal.ask_again(vec![other]);
    let expected = (10..30).chain(195..200).collect::<Vec<_>>();
    assert_eq!(all().await, (expected, vec![range(3, 0, 4), range(1, 200, 210)]));

    clock.advance(KEPT + Duration::from_secs(1));
    let token = journal.authorise(face()).await.unwrap();
    journal.conclude(token, PassageOutcome::Passed, Remarks::default(), None).await.unwrap();
    journal.delivered(1, 202).unwrap();
    let (_, first) = open_and_first(&journal);
    assert!(first > 20, "{first}");
    journal.ask_again(vec![range(1, 0, 201)]);
    assert_eq!(all().await, ((first..202).collect::<Vec<_>>(), vec![range(1, 0, first - 1)]));
}

#[tokio::test]
async fn old_epochs_are_kept_in_number_too() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    for epoch in 1..=10 {
        journal.adopt(epoch, station(), 0).unwrap();
        let token = journal.authorise(face()).await.unwrap();
        journal.conclude(token, PassageOutcome::Passed, Remarks::default(), None).await.unwrap();
        if epoch != 2 {
            journal.delivered(epoch, 2).unwrap();
        }
    }
    let kept = journal.state().epochs.keys().copied().collect::<Vec<_>>();
    assert_eq!(kept, [2, 6, 7, 8, 9, 10], "what the station does not have never goes");
}

#[tokio::test]
async fn a_full_journal_lets_nobody_through_and_says_how_full_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut place = place(dir.path(), &clock());
    place.options.total_bytes_max = 64 << 10;
    let journal = GateJournal::open(place, Memory::open(&RealDisk, &dir.path().join("memory")).unwrap()).unwrap();
    journal.adopt(1, station(), 0).unwrap();
    let refused = loop {
        match journal.authorise(face()).await {
            Ok(token) => {
                journal.conclude(token, PassageOutcome::Passed, Remarks::default(), None).await.unwrap_or_default();
            }
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, GateJournalError::Journal(JournalError::Full { .. })), "{refused}");
    assert!(journal.waiting_percent() > 80, "{}", journal.waiting_percent());
    let (_, next) = journal.position();
    journal.delivered(1, next).unwrap();
    assert!(journal.waiting_percent() < 10, "{}", journal.waiting_percent());
    journal.authorise(face()).await.unwrap();
}

#[tokio::test]
async fn a_lost_journal_or_a_forgetful_station_lead_to_the_right_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    assert!(!journal.adopt(3, station(), 7).unwrap(), "the station holds records that we lost");
    assert_eq!(journal.position(), (0, 0));
    assert!(journal.adopt(4, station(), 0).unwrap());
    drop(journal);
    assert_eq!(open(dir.path()).position(), (0, 0), "an epoch without a record is not worth keeping");
}

#[tokio::test]
async fn segments_go_when_delivered_but_never_an_open_authorisation() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let journal = open_at(dir.path(), &clock);
    journal.adopt(1, station(), 0).unwrap();
    let left_open = journal.authorise(face()).await.unwrap();
    for _ in 0..100 {
        let token = journal.authorise(face()).await.unwrap();
        journal.conclude(token, PassageOutcome::Passed, Remarks::default(), None).await.unwrap();
    }
    let (_, next) = journal.position();
    clock.advance(KEPT + Duration::from_secs(1));
    journal.delivered(1, next).unwrap();
    assert_eq!(open_and_first(&journal), (vec![left_open], 0));
    journal.conclude(left_open, PassageOutcome::Passed, Remarks::default(), None).await.unwrap();
    journal.delivered(1, next + 1).unwrap();
    let (open, first) = open_and_first(&journal);
    assert!(open.is_empty() && first > 100, "released up to {first}");
}

fn open_and_first(journal: &GateJournal) -> (Vec<PassageToken>, u64) {
    let first = journal.state().epochs[&1].journal.first_index();
    (journal.unconcluded().into_iter().map(|u| u.0).collect(), first)
}
