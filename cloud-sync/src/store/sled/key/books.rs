//! Keys of what finance keeps. Dates sort as their texts do; names of acquirers end where no name can have a byte.

use facegate_domain::Timestamp;
use facegate_domain::billing::ItemId;
use facegate_domain::settlement::SettledKind;
use jiff::civil::Date;
use uuid::Uuid;

use super::{Key, join, time};
use crate::store::LinePlace;

pub(in crate::store::sled) const SETTLEMENT: &[u8] = b"settlement/";
pub(in crate::store::sled) const CLOSED: &[u8] = b"closed/";
/// The day that is being closed.
pub(in crate::store::sled) const CLOSING: &[u8] = b"closing";

fn date_text(date: Date) -> [u8; 10] {
    let mut text = [b'0'; 10];
    text.iter_mut().zip(date.to_string().bytes()).for_each(|(to, from)| *to = from);
    text
}

pub(in crate::store::sled) fn settlements_of(date: Date) -> Key {
    join(SETTLEMENT, &[&date_text(date)])
}

pub(in crate::store::sled) fn settlement(acquirer: &str, date: Date) -> Key {
    join(&settlements_of(date), &[acquirer.as_bytes()])
}

/// All lines of a file, in the order of what they are about.
pub(in crate::store::sled) fn settled_lines(acquirer: &str, date: Date) -> Key {
    join(b"settled-line/", &[&date_text(date), acquirer.as_bytes(), &[0]])
}

fn place_part(place: &LinePlace) -> Key {
    join(place.subject.as_bytes(), &[place.kind.name().as_bytes(), &[0], place.reference.as_bytes()])
}

pub(in crate::store::sled) fn settled_line(acquirer: &str, date: Date, place: &LinePlace) -> Key {
    join(&settled_lines(acquirer, date), &[&place_part(place)])
}

/// Which line of which file an acquirer's reference is in.
pub(in crate::store::sled) fn settled_reference(acquirer: &str, kind: SettledKind, reference: &str) -> Key {
    join(b"settled-ref/", &[acquirer.as_bytes(), &[0], kind.name().as_bytes(), &[0], reference.as_bytes()])
}

/// All lines of all files that are about this.
pub(in crate::store::sled) fn settled_ofs(subject: Uuid) -> Key {
    join(b"settled-of/", &[subject.as_bytes()])
}

pub(in crate::store::sled) fn settled_of(acquirer: &str, date: Date, place: &LinePlace) -> Key {
    let (kind, reference) = (place.kind.name().as_bytes(), place.reference.as_bytes());
    join(&settled_ofs(place.subject), &[&date_text(date), acquirer.as_bytes(), &[0], kind, &[0], reference])
}

/// Items of closed days, by the moment at which they came.
pub(in crate::store::sled) const LATE: &[u8] = b"late/";

pub(in crate::store::sled) fn late_from(at: Timestamp) -> Key {
    join(LATE, &[&time(at)])
}

pub(in crate::store::sled) fn late(at: Timestamp, item: ItemId) -> Key {
    join(&late_from(at), &[item.as_bytes()])
}

pub(in crate::store::sled) fn closed(day: Date) -> Key {
    join(CLOSED, &[&date_text(day)])
}
