//! How long the station goes on without the cloud, and what it does then: the operator's choice.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::policy::Refusal;

use crate::store::{Store, StoreError};

/// A restart may forget so much of the latest contact.
const KEPT_EVERY: Duration = Duration::from_secs(10);

/// What is done about riders when the deny list is older than it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleDenyList {
    /// Let them through and warn.
    Allow,
    /// Send them to the booth.
    Refuse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfflineLimits {
    pub deny_list_age_max: Duration,
    pub deny_list_stale: StaleDenyList,
    /// Without any word from the cloud for longer, nobody is authorised.
    pub alone_max: Duration,
}

/// What being cut off comes to at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    InTouch,
    /// The deny list is too old; riders pass.
    Stale,
    /// Nobody passes.
    Closed,
}

impl OfflineLimits {
    /// `alone` since the cloud was heard of, `age` of the deny list.
    pub fn standing(&self, alone: Duration, age: Duration) -> Standing {
        let stale = age > self.deny_list_age_max;
        if alone > self.alone_max || stale && self.deny_list_stale == StaleDenyList::Refuse {
            Standing::Closed
        } else if stale {
            Standing::Stale
        } else {
            Standing::InTouch
        }
    }
}

/// When the cloud was last heard of, by this station's wall clock, over restarts.
#[derive(Debug)]
pub struct Contact(Mutex<Moments>);

#[derive(Debug, Clone, Copy)]
struct Moments {
    cloud: Timestamp,
    /// All that the feed held at this moment is honoured here.
    feed: Timestamp,
    /// A version of the feed, and when it was its last: once it is honoured, so is all from before then.
    awaited: Option<(u64, Timestamp)>,
    kept: Timestamp,
    standing: Standing,
}

impl Contact {
    /// A station that never noted a contact begins to count now.
    pub fn open(store: &Store, now: Timestamp) -> Result<Self, StoreError> {
        let (cloud, feed) = store.contact()?.unwrap_or((now, now));
        store.set_contact(cloud, feed)?;
        let moments = Moments { cloud, feed, awaited: None, kept: cloud, standing: Standing::InTouch };
        Ok(Self(Mutex::new(moments)))
    }

    /// The cloud answered that its feed is at `head`, while this station was at `applied`.
    pub fn heard(&self, store: &Store, head: u64, applied: u64, now: Timestamp) -> Result<(), StoreError> {
        let mut moments = self.moments();
        moments.cloud = now;
        if let Some((version, at)) = moments.awaited
            && applied >= version
        {
            moments.feed = at;
            moments.awaited = None;
        }
        if applied >= head {
            moments.feed = now;
        } else if moments.awaited.is_none() {
            moments.awaited = Some((head, now));
        }
        // A clock that was set back counts too: the older moment must not stay.
        if now < moments.kept || now.since(moments.kept) >= KEPT_EVERY {
            moments.kept = now;
            store.set_contact(moments.cloud, moments.feed)?;
        }
        Ok(())
    }

    /// How long ago the cloud was heard of, and how old the deny list is.
    pub fn ages(&self, now: Timestamp) -> (Duration, Duration) {
        let moments = self.moments();
        (now.since(moments.cloud), now.since(moments.feed))
    }

    /// Whether a rider may be authorised now. Tells the log when that changes.
    pub fn check(&self, limits: &OfflineLimits, now: Timestamp) -> Result<(), Refusal> {
        let (alone, age) = self.ages(now);
        let standing = limits.standing(alone, age);
        let before = std::mem::replace(&mut self.moments().standing, standing);
        if before != standing {
            let (alone_s, deny_list_age_s) = (alone.as_secs(), age.as_secs());
            match standing {
                Standing::InTouch => tracing::info!("in touch with the cloud again"),
                Standing::Stale => tracing::warn!(alone_s, deny_list_age_s, "the deny list is too old; riders pass"),
                Standing::Closed => {
                    tracing::error!(
                        alone_s,
                        deny_list_age_s,
                        "cut off for too long: nobody is authorised, see [offline]"
                    );
                }
            }
        }
        if standing == Standing::Closed { Err(Refusal::OfflineTooLong) } else { Ok(()) }
    }

    fn moments(&self) -> MutexGuard<'_, Moments> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_choice_as_a_table() {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        let limits =
            |deny_list_stale| OfflineLimits { deny_list_age_max: hours(24), deny_list_stale, alone_max: hours(7 * 24) };
        for (stale, alone, age, expected) in [
            (StaleDenyList::Allow, 0, 0, Standing::InTouch),
            (StaleDenyList::Allow, 24, 24, Standing::InTouch),
            (StaleDenyList::Allow, 25, 25, Standing::Stale),
            (StaleDenyList::Allow, 0, 25, Standing::Stale),
            (StaleDenyList::Allow, 169, 169, Standing::Closed),
            (StaleDenyList::Refuse, 24, 24, Standing::InTouch),
            (StaleDenyList::Refuse, 25, 25, Standing::Closed),
            (StaleDenyList::Refuse, 0, 25, Standing::Closed),
        ] {
            assert_eq!(limits(stale).standing(hours(alone), hours(age)), expected, "{stale:?} {alone} {age}");
        }
    }
}
