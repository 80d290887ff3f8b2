//! What is drawn at random: the operator's terms, and what a rider, his gates and his acquirer do.

use std::time::Duration;

use facegate_domain::Timestamp;
use proptest::prelude::*;

use crate::world::{DAY, NOW};

/// Of a world.
#[derive(Debug, Clone)]
pub struct Terms {
    pub hold_for: Duration,
    pub at_most_minor: Option<i64>,
}

/// What an acquirer makes of a call that reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Will {
    Does,
    /// Says that it will, and has by the second time it is asked about.
    Later,
    /// Declines for today.
    Soft,
    /// Declines for good.
    Hard,
    /// Has let the authorisation go by the time that it is to be captured.
    Lapsed,
}

/// What happens on the road.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    NotReached,
    /// The work is done and the answer lost.
    AnswerLost,
    /// The cloud dies before the call leaves.
    CrashBefore,
    /// The cloud dies before the answer is stored.
    CrashAfter,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    Never,
    At { station: &'static str, after_min: u64, late_min: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pays {
    /// So many cards, asked one after the other.
    Cards(usize),
    Wallet,
}

/// One rider's, and his acquirer's.
#[derive(Debug, Clone)]
pub struct History {
    enters_min: u64,
    /// From the passage to its records' arrival.
    entry_late_min: u64,
    pub exit: Exit,
    /// Every record is delivered twice.
    pub twice: bool,
    /// How his acquirer's calls and queries go, one after the other; well once these are used up.
    pub contacts: Vec<(Fault, Will)>,
    /// Steps at which somebody says that there is news of the hold.
    pub told_at: Vec<u64>,
    pub pays: Pays,
    /// Of a wallet, minor units.
    pub funds: i64,
}

fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

impl History {
    pub fn entered(&self) -> Timestamp {
        NOW.plus(minutes(self.enters_min))
    }

    pub fn left(&self) -> Option<Timestamp> {
        match self.exit {
            Exit::Never => None,
            Exit::At { after_min, .. } => Some(self.entered().plus(minutes(after_min))),
        }
    }

    /// When the records of his entry and of his exit arrive.
    pub fn arrive(&self) -> (Timestamp, Option<Timestamp>) {
        let late = match self.exit {
            Exit::Never => 0,
            Exit::At { late_min, .. } => late_min,
        };
        (self.entered().plus(minutes(self.entry_late_min)), self.left().map(|left| left.plus(minutes(late))))
    }
}

pub fn terms() -> impl Strategy<Value = Terms> {
    let hold_for = prop_oneof![2 => Just(DAY * 3), 1 => Just(DAY / 2), 1 => Just(minutes(90)), 1 => Just(minutes(20))];
    // Above every fare, the dearest, the cheapest, below all.
    let at_most = prop_oneof![3 => Just(None), 1 => Just(Some(400)), 1 => Just(Some(300)), 1 => Just(Some(250))];
    (hold_for, at_most).prop_map(|(hold_for, at_most_minor)| Terms { hold_for, at_most_minor })
}

pub fn history() -> impl Strategy<Value = History> {
    let late = || prop_oneof![5 => Just(0), 1 => 1..200_u64, 1 => 1000..5000_u64];
    let exit = prop_oneof![
        1 => Just(Exit::Never),
        6 => (prop_oneof![Just("south"), Just("west"), Just("north")], 3..80_u64, late())
            .prop_map(|(station, after_min, late_min)| Exit::At { station, after_min, late_min }),
    ];
    let pays = prop_oneof![4 => (1..3_usize).prop_map(Pays::Cards), 1 => Just(Pays::Wallet)];
    let contacts = proptest::collection::vec((fault(), will()), 0..10);
    let told_at = proptest::collection::vec(0..36_u64, 0..4);
    (0..60_u64, late(), exit, any::<bool>(), contacts, told_at, pays, 0..1200_i64).prop_map(
        |(enters_min, entry_late_min, exit, twice, contacts, told_at, pays, funds)| History {
            enters_min,
            entry_late_min,
            exit,
            twice,
            contacts,
            told_at,
            pays,
            funds,
        },
    )
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        12 => Just(Fault::None),
        1 => Just(Fault::NotReached),
        2 => Just(Fault::AnswerLost),
        1 => Just(Fault::CrashBefore),
        1 => Just(Fault::CrashAfter),
    ]
}

fn will() -> impl Strategy<Value = Will> {
    prop_oneof![
        8 => Just(Will::Does),
        2 => Just(Will::Later),
        2 => Just(Will::Soft),
        1 => Just(Will::Hard),
        1 => Just(Will::Lapsed),
    ]
}
