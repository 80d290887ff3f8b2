//! Builds the keys of the table in `sled.rs`. Numbers are big-endian, so that keys sort as their numbers do.

pub(super) mod acquirers;
pub(super) mod books;

use facegate_domain::Timestamp;
use facegate_domain::charge::ChargeId;
use facegate_domain::fingerprint::FactSet;
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId, TemplateId};
use facegate_domain::journal_audit::JournalRange;
use facegate_domain::ledger::{Account, Control, EntryId};
use facegate_domain::money::Currency;
use facegate_runtime::keys::KeyId;
use jiff::civil::Date;

use crate::store::ErasureId;

mod after;
mod rides;
mod standing;

pub(super) use after::*;
pub(super) use rides::*;
pub(super) use standing::*;

type Key = Vec<u8>;

pub(super) const LAYOUT: &[u8] = b"layout";
pub(super) const FEED_HEAD: &[u8] = b"feed-head";
pub(super) const FEED_ID: &[u8] = b"feed-id";
pub(super) const FEED_FIRST: &[u8] = b"feed-first";
pub(super) const ISSUER_KEYS: &[u8] = b"issuer-keys";

pub(super) const RIDER: &[u8] = b"rider/";
pub(super) const LEAVING: &[u8] = b"leaving/";
pub(super) const FACE: &[u8] = b"face/";
pub(super) const ERASURE: &[u8] = b"erasure/";
/// Erasures that are not final.
pub(super) const ERASING: &[u8] = b"erasing/";
pub(super) const FEED: &[u8] = b"feed/";
pub(super) const INSIDE: &[u8] = b"inside/";
pub(super) const DENIED: &[u8] = b"denied/";
pub(super) const DIGEST: &[u8] = b"digest/";
pub(super) const DIGEST_ROOTS: &[u8] = b"digest-roots";
pub(super) const DIGEST_AT: &[u8] = b"digest-at/";
pub(super) const DIGEST_HEAD: &[u8] = b"digest-head";
pub(super) const DIGEST_CONTENTS_HEAD: &[u8] = b"digest-contents-head";
pub(super) const TOLD: &[u8] = b"told/";
pub(super) const NONCE: &[u8] = b"nonce/";
pub(super) const STATION: &[u8] = b"station/";
pub(super) const REGULARS: &[u8] = b"regulars/";
pub(super) const REGULARS_ROOT: &[u8] = b"regulars-root/";
pub(super) const REGULARS_AT: &[u8] = b"regulars-at";
pub(super) const JOURNAL: &[u8] = b"journal/";
pub(super) const UNKNOWN: &[u8] = b"unknown/";
pub(super) const CONFLICT: &[u8] = b"conflict/";
pub(super) const TAP: &[u8] = b"tap/";
pub(super) const OPEN: &[u8] = b"open/";
pub(super) const ENTRY: &[u8] = b"entry/";
pub(super) const ENTRY_AT: &[u8] = b"entry-at/";
pub(super) const HOUR: &[u8] = b"hour/";
pub(super) const BALANCE: &[u8] = b"balance/";
pub(super) const AUDIT: &[u8] = b"audit/";
pub(super) const SKEWED: &[u8] = b"skewed/";

fn join(prefix: &[u8], parts: &[&[u8]]) -> Key {
    let mut key = prefix.to_vec();
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

/// Milliseconds shifted so that times before 1970 sort first.
fn time(at: Timestamp) -> [u8; 8] {
    (at.unix_ms() ^ i64::MIN).to_be_bytes()
}

/// `gate \0 epoch sequence`: the gate's name ends where no name can have a byte.
fn record_part(id: &RecordId) -> Key {
    let mut key = journal_part(&id.gate, id.epoch);
    key.extend_from_slice(&id.sequence.to_be_bytes());
    key
}

fn journal_part(gate: &GateId, epoch: u32) -> Key {
    join(gate.as_str().as_bytes(), &[&[0], &epoch.to_be_bytes()])
}

pub(super) fn key_since(purpose: &str, id: KeyId) -> Key {
    join(b"key-since/", &[purpose.as_bytes(), b"/", &id.0])
}

pub(super) fn count(name: &str) -> Key {
    join(b"count/", &[name.as_bytes()])
}

pub(super) fn rider(id: RiderId) -> Key {
    join(RIDER, &[id.as_bytes()])
}

pub(super) fn leaving(id: RiderId) -> Key {
    join(LEAVING, &[id.as_bytes()])
}

pub(super) fn face(id: TemplateId) -> Key {
    join(FACE, &[id.as_bytes()])
}

pub(super) fn erasure(id: ErasureId) -> Key {
    join(ERASURE, &[id.as_bytes()])
}

pub(super) fn erasing(id: ErasureId) -> Key {
    join(ERASING, &[id.as_bytes()])
}

pub(super) fn feed(version: u64) -> Key {
    join(FEED, &[&version.to_be_bytes()])
}

/// All buckets of a set.
pub(super) fn digests(set: &FactSet) -> Key {
    join(DIGEST, &[set.to_string().as_bytes(), &[0]])
}

pub(super) fn digest(set: &FactSet, bucket: usize) -> Key {
    join(&digests(set), &[&u16::try_from(bucket).unwrap_or(u16::MAX).to_be_bytes()])
}

pub(super) fn digest_at(version: u64) -> Key {
    join(DIGEST_AT, &[&version.to_be_bytes()])
}

pub(super) fn inside(rider: RiderId) -> Key {
    join(INSIDE, &[rider.as_bytes()])
}

pub(super) fn denied(rider: RiderId) -> Key {
    join(DENIED, &[rider.as_bytes()])
}

pub(super) fn told(place: &str) -> Key {
    join(TOLD, &[place.as_bytes()])
}

pub(super) const GATE_ACT_AT: &[u8] = b"gate-act-at/";
/// The latest of each gate.
pub(super) const GATE_ACT_OF: &[u8] = b"gate-act-of/";

pub(super) fn gate_act(id: &str) -> Key {
    join(b"gate-act/", &[id.as_bytes()])
}

pub(super) fn gate_acts_until(at: Timestamp) -> Key {
    join(GATE_ACT_AT, &[&time(at)])
}

pub(super) fn gate_act_at(at: Timestamp, id: &str) -> Key {
    join(&gate_acts_until(at), &[id.as_bytes()])
}

pub(super) fn gate_act_of(gate: &GateId) -> Key {
    join(GATE_ACT_OF, &[gate.as_str().as_bytes()])
}

pub(super) fn nonce(nonce: [u8; 8]) -> Key {
    join(NONCE, &[&nonce])
}

pub(super) fn replay(id: &RecordId) -> Key {
    join(b"replay/", &[&record_part(id)])
}

pub(super) fn station(id: &StationId) -> Key {
    join(STATION, &[id.as_str().as_bytes()])
}

pub(super) fn record(id: &RecordId) -> Key {
    join(b"record/", &[&record_part(id)])
}

pub(super) fn regulars(id: &StationId) -> Key {
    join(REGULARS, &[id.as_str().as_bytes()])
}

pub(super) fn regulars_root(id: &StationId) -> Key {
    join(REGULARS_ROOT, &[id.as_str().as_bytes()])
}

/// Where a rider is a regular.
pub(super) fn regular_ofs(rider: RiderId) -> Key {
    join(b"regular-of/", &[rider.as_bytes()])
}

pub(super) fn regular_of(rider: RiderId, station: &StationId) -> Key {
    join(&regular_ofs(rider), &[station.as_str().as_bytes()])
}

/// All records of one journal.
pub(super) fn records(gate: &GateId, epoch: u32) -> Key {
    join(b"record/", &[&journal_part(gate, epoch)])
}

pub(super) fn journal(gate: &GateId, epoch: u32) -> Key {
    join(JOURNAL, &[&journal_part(gate, epoch)])
}

/// All journals of one gate.
pub(super) fn journals(gate: &GateId) -> Key {
    join(JOURNAL, &[gate.as_str().as_bytes(), &[0]])
}

/// Passages that name one authorisation.
pub(super) fn passages(authorisation: &RecordId) -> Key {
    join(b"passage/", &[&record_part(authorisation)])
}

pub(super) fn passage(authorisation: &RecordId, sequence: u64) -> Key {
    join(&passages(authorisation), &[&sequence.to_be_bytes()])
}

pub(super) fn unknown(authorisation: &RecordId) -> Key {
    join(UNKNOWN, &[&record_part(authorisation)])
}

pub(super) fn conflict(id: &RecordId, content: &[u8; 32]) -> Key {
    join(CONFLICT, &[&record_part(id), content])
}

pub(super) fn taps(rider: RiderId) -> Key {
    join(TAP, &[rider.as_bytes()])
}

pub(super) fn taps_from(rider: RiderId, at: Timestamp) -> Key {
    join(&taps(rider), &[&time(at)])
}

pub(super) fn tap(rider: RiderId, at: Timestamp, id: &RecordId) -> Key {
    join(&taps_from(rider, at), &[&record_part(id)])
}

pub(super) fn opens(rider: RiderId) -> Key {
    join(OPEN, &[rider.as_bytes()])
}

pub(super) fn open(rider: RiderId, at: Timestamp, id: &RecordId) -> Key {
    join(&opens(rider), &[&time(at), &record_part(id)])
}

/// Above all open taps of `rider`, below those of the next one: no time begins with a byte of 255.
pub(super) fn after_opens(rider: RiderId) -> Key {
    join(&opens(rider), &[&[u8::MAX]])
}

/// The time in the key of an open tap.
pub(super) fn time_of_open(key: &[u8]) -> Timestamp {
    time_after(&[OPEN, &[0; 16]].concat(), key)
}

/// The time after as many bytes as `before` has.
fn time_after(before: &[u8], key: &[u8]) -> Timestamp {
    let mut time = [0; 8];
    time.iter_mut().zip(key.iter().skip(before.len())).for_each(|(to, from)| *to = *from);
    Timestamp::from_unix_ms(i64::from_be_bytes(time) ^ i64::MIN)
}

pub(super) fn charge(id: ChargeId) -> Key {
    join(b"charge/", &[id.as_bytes()])
}

/// Unfinished charges by the time of their next look: `due/` time, id.
pub(super) const DUE: &[u8] = b"due/";

pub(super) fn due(next_at: Timestamp, id: ChargeId) -> Key {
    join(DUE, &[&time(next_at), id.as_bytes()])
}

pub(super) fn entry(number: u64) -> Key {
    join(ENTRY, &[&number.to_be_bytes()])
}

/// All entries from that moment on.
pub(super) fn entries_from(at: Timestamp) -> Key {
    join(ENTRY_AT, &[&time(at)])
}

pub(super) fn entry_at(at: Timestamp, number: u64) -> Key {
    join(&entries_from(at), &[&number.to_be_bytes()])
}

pub(super) fn time_of_entry(key: &[u8]) -> Timestamp {
    time_after(ENTRY_AT, key)
}

pub(super) fn hours_from(hour: i64) -> Key {
    join(HOUR, &[&(hour ^ i64::MIN).to_be_bytes()])
}

pub(super) fn hour(hour: i64, control: Control, currency: Currency) -> Key {
    join(&hours_from(hour), &[currency.as_str().as_bytes(), control.name().as_bytes()])
}

/// What a key of an hour is about.
pub(super) fn of_hour(key: &[u8]) -> Option<(Control, Currency)> {
    let (currency, control) = std::str::from_utf8(key.get(HOUR.len() + 8..)?).ok()?.split_at_checked(3)?;
    Some((Control::named(control)?, currency.parse().ok()?))
}

pub(super) fn entry_id(id: &EntryId) -> Key {
    join(b"entry-id/", &[id.as_str().as_bytes()])
}

pub(super) fn balance(account: &Account, currency: Currency) -> Key {
    let account = serde_json::to_vec(account).expect("an account is plain data");
    join(BALANCE, &[&account, currency.as_str().as_bytes()])
}

pub(super) fn audit(number: u64) -> Key {
    join(AUDIT, &[&number.to_be_bytes()])
}

/// What was said of a journal, by day. Dates sort as their texts do.
pub(super) fn words(gate: &GateId, epoch: u32) -> Key {
    join(b"word/", &[&journal_part(gate, epoch)])
}

pub(super) fn word(gate: &GateId, epoch: u32, day: Date) -> Key {
    join(&words(gate, epoch), &[day.to_string().as_bytes()])
}

pub(super) fn wanted_of(gate: &GateId, epoch: u32) -> Key {
    join(b"wanted/", &[&journal_part(gate, epoch)])
}

pub(super) fn wanted(range: &JournalRange) -> Key {
    let (first, last) = (range.span.first.to_be_bytes(), range.span.last.to_be_bytes());
    join(&wanted_of(&range.gate, range.epoch), &[&first, &last])
}

pub(super) fn audited_of(gate: &GateId, epoch: u32) -> Key {
    join(b"audited/", &[&journal_part(gate, epoch)])
}

pub(super) fn audited_day(gate: &GateId, epoch: u32, day: Date) -> Key {
    join(&audited_of(gate, epoch), &[day.to_string().as_bytes(), b"/"])
}

pub(super) fn audited(gate: &GateId, epoch: u32, day: Date, revision: u32) -> Key {
    join(&audited_day(gate, epoch, day), &[&revision.to_be_bytes()])
}

pub(super) fn skewed(id: &RecordId) -> Key {
    join(SKEWED, &[&record_part(id)])
}

/// The number or id that a key ends with.
pub(super) fn tail<const N: usize>(key: &[u8]) -> [u8; N] {
    let mut tail = [0; N];
    let start = key.len().saturating_sub(N);
    tail[N - (key.len() - start)..].copy_from_slice(&key[start..]);
    tail
}

/// The 16 bytes after a prefix.
pub(super) fn id_after(prefix: &[u8], key: &[u8]) -> [u8; 16] {
    let mut id = [0; 16];
    id.iter_mut().zip(key.iter().skip(prefix.len())).for_each(|(to, from)| *to = *from);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_time_and_sequence_and_no_gate_lies_inside_another() {
        let at = |ms| time(Timestamp::from_unix_ms(ms));
        assert!(at(-5) < at(0) && at(0) < at(1) && at(255) < at(256));
        let id = |gate: &str, epoch, sequence| RecordId { gate: GateId::new(gate).unwrap(), epoch, sequence };
        assert!(record(&id("a", 1, 255)) < record(&id("a", 1, 256)));
        assert!(record(&id("a", 1, u64::MAX)) < record(&id("a", 2, 0)));
        assert!(!record(&id("a-b", 1, 0)).starts_with(&records(&GateId::new("a").unwrap(), 1)));
        assert_eq!(tail::<8>(&feed(7)), 7_u64.to_be_bytes());
    }
}
