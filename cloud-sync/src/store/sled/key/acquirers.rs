//! Keys of what passes between the cloud and its acquirers.

use facegate_domain::Timestamp;
use jiff::civil::Date;

use super::{Key, join, time};

pub(in super::super) const TOLD_EVENT_AT: &[u8] = b"told-event-at/";

pub(in super::super) fn asked(acquirer: &str, key: &str) -> Key {
    join(b"asked/", &[acquirer.as_bytes(), &[0], key.as_bytes()])
}

/// By the acquirer's own name for it.
pub(in super::super) fn asked_as(acquirer: &str, reference: &str) -> Key {
    join(b"asked-as/", &[acquirer.as_bytes(), &[0], reference.as_bytes()])
}

pub(in super::super) fn told_event(acquirer: &str, event: &str) -> Key {
    join(b"told-event/", &[acquirer.as_bytes(), &[0], event.as_bytes()])
}

pub(in super::super) fn told_events_until(at: Timestamp) -> Key {
    join(TOLD_EVENT_AT, &[&time(at)])
}

pub(in super::super) fn told_event_at(at: Timestamp, acquirer: &str, event: &str) -> Key {
    join(&told_events_until(at), &[acquirer.as_bytes(), &[0], event.as_bytes()])
}

pub(in super::super) fn debit(acquirer: &str, key: &str) -> Key {
    join(b"debit/", &[acquirer.as_bytes(), &[0], key.as_bytes()])
}

pub(in super::super) fn debits_ordered(acquirer: &str) -> Key {
    join(b"debit-ordered/", &[acquirer.as_bytes(), &[0]])
}

pub(in super::super) fn debit_ordered(acquirer: &str, key: &str) -> Key {
    join(&debits_ordered(acquirer), &[key.as_bytes()])
}

pub(in super::super) fn debit_files(acquirer: &str) -> Key {
    join(b"debit-file/", &[acquirer.as_bytes(), &[0]])
}

pub(in super::super) fn debit_file(acquirer: &str, day: Date) -> Key {
    join(&debit_files(acquirer), &[day.to_string().as_bytes()])
}

pub(in super::super) fn debit_answers(acquirer: &str) -> Key {
    join(b"debit-answer/", &[acquirer.as_bytes(), &[0]])
}

pub(in super::super) fn debit_answer(acquirer: &str, number: u64) -> Key {
    join(&debit_answers(acquirer), &[&number.to_be_bytes()])
}
