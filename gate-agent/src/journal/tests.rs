//! Restarts, epochs and deliveries on a real directory.

use facegate_domain::ids::RiderId;
use facegate_domain::score::{Similarity, Tier};
use facegate_domain::tap::{Direction, Evidence};
use facegate_runtime::clock::SystemClock;
use facegate_runtime::disk::RealDisk;

use super::*;

fn place(dir: &Path) -> JournalPlace {
    JournalPlace {
        gate: GateId::new("north-in").unwrap(),
        dir: dir.join("journal"),
        options: JournalOptions { segment_bytes_max: 4096, total_bytes_max: 1 << 20 },
        disk: Arc::new(RealDisk),
        clock: Arc::new(SystemClock::new()),
    }
}

fn open(dir: &Path) -> GateJournal {
    GateJournal::open(place(dir), Memory::open(&RealDisk, &dir.join("memory")).unwrap()).unwrap()
}

fn station() -> StationId {
    StationId::new("north").unwrap()
}

fn face() -> Authorisation {
    let evidence = Evidence::Face { similarity: Similarity::from_cosine(0.8), tier: Tier::City, risk: 1e-7, frames: 3 };
    Authorisation { rider: RiderId::random(), direction: Direction::Entry, evidence }
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
        journal.conclude(first, PassageOutcome::Passed).await.unwrap();
        (first, journal.authorise(face()).await.unwrap())
    };
    assert_eq!((first.sequence, second.sequence), (0, 2));
    let journal = open(dir.path());
    assert_eq!(journal.position(), (4, 3));
    assert_eq!(journal.unconcluded().iter().map(|u| u.0).collect::<Vec<_>>(), [second]);
    journal.conclude(second, PassageOutcome::Unknown).await.unwrap();
    assert!(journal.unconcluded().is_empty());
}

#[tokio::test]
async fn records_go_out_in_order_and_a_new_epoch_waits_for_the_old() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    journal.adopt(1, station(), 0).unwrap();
    let old = journal.authorise(face()).await.unwrap();
    journal.adopt(2, station(), 0).unwrap();
    let new = journal.authorise(face()).await.unwrap();
    journal.conclude(old, PassageOutcome::TimedOut).await.unwrap();
    assert_eq!((new.epoch, new.sequence, journal.backlog()), (2, 0, 3));

    let batch = journal.undelivered(10).unwrap().unwrap();
    assert_eq!((batch.epoch, sequences(&batch)), (1, vec![0, 1]));
    journal.delivered(1, 2).unwrap();
    assert!(!dir.path().join("journal/epoch-1").exists(), "an epoch delivered to the end goes");
    let batch = journal.undelivered(10).unwrap().unwrap();
    assert_eq!((batch.epoch, sequences(&batch)), (2, vec![0]));
    journal.delivered(2, 1).unwrap();
    assert!(journal.undelivered(10).unwrap().is_none());
    assert_eq!(journal.unconcluded().len(), 1);
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
    let journal = open(dir.path());
    journal.adopt(1, station(), 0).unwrap();
    let left_open = journal.authorise(face()).await.unwrap();
    for _ in 0..100 {
        let token = journal.authorise(face()).await.unwrap();
        journal.conclude(token, PassageOutcome::Passed).await.unwrap();
    }
    let (_, next) = journal.position();
    journal.delivered(1, next).unwrap();
    assert_eq!(open_and_first(&journal), (vec![left_open], 0));
    journal.conclude(left_open, PassageOutcome::Passed).await.unwrap();
    journal.delivered(1, next + 1).unwrap();
    let (open, first) = open_and_first(&journal);
    assert!(open.is_empty() && first > 100, "released up to {first}");
}

fn open_and_first(journal: &GateJournal) -> (Vec<PassageToken>, u64) {
    let first = journal.state().epochs[&1].journal.first_index();
    (journal.unconcluded().into_iter().map(|u| u.0).collect(), first)
}
