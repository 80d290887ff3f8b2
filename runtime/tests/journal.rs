//! The journal's promises, each on a simulated disk unless it is about the real one.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use facegate_runtime::disk::{Disk, RealDisk, SimDisk};
use facegate_runtime::journal::{Journal, JournalError, JournalOptions, Recovery};

const OPTIONS: JournalOptions = JournalOptions { segment_bytes_max: 4 << 10, total_bytes_max: 64 << 10 };
const FRAME_HEADER_BYTES: usize = 28;
const SEGMENT_HEADER_BYTES: usize = 24;

fn dir() -> &'static Path {
    Path::new("journal")
}

fn open(disk: &SimDisk) -> Result<(Journal, Recovery), JournalError> {
    Journal::open(Arc::new(disk.clone()), dir(), OPTIONS)
}

fn segment(first: u64) -> PathBuf {
    dir().join(format!("{first:020}.seg"))
}

fn payload(index: u64) -> Vec<u8> {
    format!("record {index} {}", "x".repeat(usize::try_from(index % 50).unwrap())).into_bytes()
}

async fn append(journal: &Journal, indexes: std::ops::Range<u64>) {
    for index in indexes {
        assert_eq!(journal.append(payload(index)).await.unwrap(), index);
    }
}

fn assert_holds(journal: &Journal, indexes: std::ops::Range<u64>) {
    let expected: Vec<_> = indexes.clone().map(|index| (index, payload(index))).collect();
    assert_eq!(journal.read(indexes.start, usize::MAX).unwrap(), expected);
}

#[tokio::test]
async fn records_come_back_in_order_from_anywhere_across_segments_and_restarts() {
    let disk = SimDisk::new();
    let (journal, recovery) = open(&disk).unwrap();
    assert_eq!(recovery, Recovery { first_index: 0, next_index: 0, torn: None });
    append(&journal, 0..200).await;
    assert!(disk.list(dir()).unwrap().len() > 3, "several segments");
    drop(journal);

    let (journal, recovery) = open(&disk).unwrap();
    assert_eq!(recovery, Recovery { first_index: 0, next_index: 200, torn: None });
    for from in 0..=200 {
        assert_holds(&journal, from..200);
    }
    assert_eq!(journal.read(17, 3).unwrap().len(), 3);
    assert_eq!(journal.read(500, 3).unwrap(), []);
}

#[tokio::test]
async fn a_torn_tail_is_cut_off_and_its_place_taken_by_the_next_record() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk).unwrap();
    append(&journal, 0..2).await;
    // Longer than what takes its place later, so that leftovers of it would show.
    journal.append(vec![b'x'; 500]).await.unwrap();
    drop(journal);
    // As if the power had gone in the middle of writing record 2, before its mark.
    let whole = disk.content(&segment(0)).unwrap();
    let last = SEGMENT_HEADER_BYTES + 2 * FRAME_HEADER_BYTES + payload(0).len() + payload(1).len();
    let last = last + marks_before_the_end(&whole) * FRAME_HEADER_BYTES;
    disk.set_content(&segment(0), whole[..last + FRAME_HEADER_BYTES + 490].to_vec()).unwrap();

    let (journal, recovery) = open(&disk).unwrap();
    let torn = recovery.torn.unwrap();
    assert_eq!((recovery.next_index, torn.segment, torn.offset), (2, segment(0), last as u64));
    assert_eq!(torn.bytes, FRAME_HEADER_BYTES as u64 + 490);
    append(&journal, 2..4).await;
    drop(journal);
    let (journal, recovery) = open(&disk).unwrap();
    assert_eq!(recovery.torn, None);
    assert_holds(&journal, 0..4);
}

/// Marks in a segment, the closing one left out.
fn marks_before_the_end(content: &[u8]) -> usize {
    content[..content.len() - FRAME_HEADER_BYTES].windows(4).filter(|window| window == b"MRK1").count()
}

#[tokio::test]
async fn a_corrupt_middle_is_refused_by_file_and_offset_and_nothing_is_touched() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk).unwrap();
    append(&journal, 0..3).await;
    drop(journal);
    let mut damaged = disk.content(&segment(0)).unwrap();
    damaged[SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + 1] ^= 1;
    disk.set_content(&segment(0), damaged.clone()).unwrap();

    let error = open(&disk).unwrap_err();
    let JournalError::CorruptMiddle { segment: file, offset, .. } = &error else { panic!("{error}") };
    assert_eq!((file, *offset), (&segment(0), SEGMENT_HEADER_BYTES as u64));
    assert_eq!(disk.content(&segment(0)).unwrap(), damaged);
}

#[tokio::test]
async fn a_missing_segment_is_refused() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk).unwrap();
    append(&journal, 0..200).await;
    drop(journal);
    let names = disk.list(dir()).unwrap();
    disk.remove(&dir().join(&names[1])).unwrap();
    assert!(matches!(open(&disk), Err(JournalError::CorruptMiddle { .. })));
}

/// After an orderly end or a killed process every flipped bit is either refused, or lies in the closing mark, which
/// carries no record: never a wrong record, never one less.
#[tokio::test]
async fn no_flipped_bit_changes_or_loses_an_acknowledged_record() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk).unwrap();
    append(&journal, 0..100).await;
    drop(journal);
    let names = disk.list(dir()).unwrap();
    assert!(names.len() > 1);
    let mut spared = 0;
    for name in &names {
        let path = dir().join(name);
        let good = disk.content(&path).unwrap();
        for byte in 0..good.len() {
            let mut flipped = good.clone();
            flipped[byte] ^= 1 << (byte % 8);
            disk.set_content(&path, flipped).unwrap();
            match open(&disk) {
                Err(JournalError::CorruptMiddle { segment, .. }) => assert_eq!(segment, path),
                Err(other) => panic!("{name} byte {byte}: {other}"),
                Ok((journal, recovery)) => {
                    spared += 1;
                    assert_eq!(Some(name), names.last(), "byte {byte}");
                    assert!(byte >= good.len() - FRAME_HEADER_BYTES && recovery.torn.is_some(), "byte {byte}");
                    assert_holds(&journal, 0..100);
                }
            }
        }
        disk.set_content(&path, good).unwrap();
    }
    assert_eq!(spared, FRAME_HEADER_BYTES);
}

#[tokio::test]
async fn a_record_that_rots_while_the_journal_is_open_is_not_given_out() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk).unwrap();
    append(&journal, 0..3).await;
    let mut damaged = disk.content(&segment(0)).unwrap();
    damaged[SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES] ^= 1;
    disk.set_content(&segment(0), damaged).unwrap();
    assert!(matches!(journal.read(0, 1), Err(JournalError::CorruptMiddle { .. })));
}

#[tokio::test]
async fn a_full_journal_refuses_until_segments_are_released() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk).unwrap();
    let mut next = 0;
    let full = loop {
        match journal.append(payload(next)).await {
            Ok(index) => next = index + 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, JournalError::Full { max, .. } if max == OPTIONS.total_bytes_max), "{full}");
    assert!(journal.total_bytes() <= OPTIONS.total_bytes_max);
    let both = journal.append_all(vec![vec![1], vec![2; 5000]]).await;
    assert!(matches!(both, Err(JournalError::Full { .. } | JournalError::RecordTooLarge { .. })), "{both:?}");
    assert_eq!(journal.next_index(), next, "a refused append stores nothing");

    journal.release_before(next).unwrap();
    let first = journal.first_index();
    assert!(first > 0 && first <= next && journal.total_bytes() <= OPTIONS.segment_bytes_max);
    assert!(matches!(journal.read(first - 1, 1), Err(JournalError::Released { .. })));
    append(&journal, next..next + 5).await;
    drop(journal);
    let (journal, recovery) = open(&disk).unwrap();
    assert_eq!((recovery.first_index, recovery.next_index), (first, next + 5));
    assert_holds(&journal, first..next + 5);
}

#[tokio::test]
async fn a_full_disk_leaves_the_journal_as_it_was() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk).unwrap();
    append(&journal, 0..5).await;
    let used = disk.content(&segment(0)).unwrap().len() as u64;
    // More of it is written than what takes its place later, so that leftovers of it would show.
    disk.set_capacity(Some(used + 400));
    let refused = journal.append(vec![7; 500]).await.unwrap_err();
    assert!(matches!(&refused, JournalError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull));
    assert!(journal.failure().is_none());
    disk.set_capacity(None);
    append(&journal, 5..8).await;
    drop(journal);
    let (journal, recovery) = open(&disk).unwrap();
    assert_eq!(recovery.torn, None);
    assert_holds(&journal, 0..8);
}

/// The kernel may drop what a failed sync should have written and still call the next sync a success.
#[tokio::test]
async fn after_a_failed_sync_the_journal_stops_and_opening_makes_durable_what_is_there() {
    for seed in 0..20 {
        let disk = SimDisk::new();
        let (journal, _) = open(&disk).unwrap();
        append(&journal, 0..2).await;
        disk.fail_syncs(1);
        assert!(matches!(journal.append(payload(2)).await, Err(JournalError::Stopped(_))));
        assert!(matches!(journal.append(payload(2)).await, Err(JournalError::Stopped(_))));
        assert!(matches!(journal.failure(), Some(JournalError::Stopped(_))));
        assert_eq!(journal.next_index(), 2);
        assert_holds(&journal, 0..2);
        drop(journal);

        // The page cache still shows record 2. Whoever reads it from now on may rely on it.
        let (journal, recovery) = open(&disk).unwrap();
        assert_eq!(recovery.next_index, 3);
        assert_holds(&journal, 0..3);
        disk.cut_power(seed);
        drop(journal);
        disk.restore_power();
        let (journal, _) = open(&disk).unwrap();
        assert_holds(&journal, 0..3);
    }
}

#[tokio::test]
async fn a_record_no_segment_can_take_is_refused_and_the_largest_one_kept() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk).unwrap();
    let Err(JournalError::RecordTooLarge { max, .. }) = journal.append(vec![0; 1 << 20]).await else { panic!() };
    let largest = vec![3; usize::try_from(max).unwrap()];
    assert_eq!(journal.append_all(vec![largest.clone(); 3]).await.unwrap(), 0..3);
    assert!(journal.append(vec![0; usize::try_from(max).unwrap() + 1]).await.is_err());
    drop(journal);
    let (journal, _) = open(&disk).unwrap();
    assert!(journal.read(0, 9).unwrap().iter().map(|(_, record)| record).eq([&largest; 3]));
    for segment in disk.list(dir()).unwrap().iter().filter(|name| name.ends_with(".seg")) {
        let bytes = disk.content(&dir().join(segment)).unwrap().len() as u64;
        assert!(bytes <= OPTIONS.segment_bytes_max, "{segment}: {bytes}");
    }
}

#[tokio::test]
async fn limits_that_cannot_work_are_refused() {
    for (segment_bytes_max, total_bytes_max) in [(1 << 10, 1 << 20), (8 << 10, 12 << 10), (2 << 30, 8 << 30)] {
        let options = JournalOptions { segment_bytes_max, total_bytes_max };
        let opened = Journal::open(Arc::new(SimDisk::new()), dir(), options);
        assert!(matches!(opened, Err(JournalError::Options(_))), "{options:?}");
    }
}

#[tokio::test]
async fn waiting_ends_when_the_record_is_durable() {
    let (journal, _) = open(&SimDisk::new()).unwrap();
    append(&journal, 0..1).await;
    journal.wait_beyond(0).await;
    let waiting = tokio::spawn({
        let journal = journal.clone();
        async move { journal.wait_beyond(1).await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!waiting.is_finished());
    append(&journal, 1..2).await;
    tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn on_a_real_disk_it_is_exclusive_private_and_reopens() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("station/journal");
    let open = || Journal::open(Arc::new(RealDisk), &dir, OPTIONS);
    let (journal, _) = open().unwrap();
    append(&journal, 0..150).await;
    assert!(matches!(open(), Err(JournalError::InUse { .. })));
    journal.release_before(100).unwrap();
    let first = journal.first_index();
    drop(journal);
    let (journal, recovery) = open().unwrap();
    assert_eq!((recovery.first_index, recovery.next_index, recovery.torn), (first, 150, None));
    assert_holds(&journal, first..150);
    for file in std::fs::read_dir(&dir).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.path());
    }
}

#[tokio::test]
async fn acknowledged_records_are_kept_until_their_room_is_needed_and_others_never_go() {
    let disk = SimDisk::new();
    let (journal, _) = open(&disk).unwrap();
    append(&journal, 0..100).await;
    journal.acknowledge_before(100);
    assert_eq!((journal.first_index(), journal.waiting_bytes()), (0, 0), "kept, so that they can be asked for again");
    // Far more than the bound: what is acknowledged makes room, the oldest first.
    for index in 100..2000 {
        append(&journal, index..index + 1).await;
        journal.acknowledge_before(index - 20);
        assert!(journal.total_bytes() <= OPTIONS.total_bytes_max && journal.first_index() <= index - 20);
    }
    let first = journal.first_index();
    assert!(first > 0);
    assert_holds(&journal, first..2000);
    assert!(journal.waiting_bytes() < 20 * 100 + 64 * 100, "{}", journal.waiting_bytes());
    // Nothing acknowledged any more: refused at the bound, and nothing is lost.
    let mut index = 2000;
    let full = loop {
        match journal.append(payload(index)).await {
            Ok(appended) => assert_eq!(appended, index),
            Err(error) => break error,
        }
        index += 1;
    };
    assert!(matches!(full, JournalError::Full { .. }), "{full}");
    assert!(journal.first_index() <= 1979 && journal.first_index() > first);
    assert_holds(&journal, 1979..index);
    assert!(journal.waiting_bytes() > OPTIONS.total_bytes_max / 2);
    journal.acknowledge_before(index);
    append(&journal, index..index + 1).await;
}

#[tokio::test]
async fn old_records_go_by_whole_segments_and_only_if_acknowledged() {
    let (journal, _) = open(&SimDisk::new()).unwrap();
    append(&journal, 0..300).await;
    let before = |limit: u64| move |bytes: &[u8]| (0..limit).any(|index| bytes == payload(index));
    journal.release_old(before(200)).unwrap();
    assert_eq!(journal.first_index(), 0, "nobody has them");
    journal.acknowledge_before(150);
    journal.release_old(before(200)).unwrap();
    let first = journal.first_index();
    assert!(first > 0 && first <= 150, "{first}");
    journal.acknowledge_before(300);
    journal.release_old(before(200)).unwrap();
    let first = journal.first_index();
    assert!(first > 150 && first < 200, "all from 200 on are young: {first}");
    assert_holds(&journal, first..300);
}
