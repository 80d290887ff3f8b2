//! The lease of the key that seals this station's templates.
//!
//! The cloud derives the key and hands it out for a time; it is kept in memory only. Without a lease, beyond its end, and
//! before the version of the feed that it names is applied, faces are refused; ride codes go on. So neither a station cut
//! off for long nor one started from an old disk recognises a rider who has been erased meanwhile.
//!
//! It is renewed when a third of it is over, with jitter, so that there are days to mend the way to the cloud. A renewal
//! names a later version; until that is applied the lease of before stands, as long as it lasts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use facegate_domain::{Clock, Timestamp};
use facegate_proto::v1;
use facegate_proto::v1::sync_service_client::SyncServiceClient;
use facegate_runtime::backoff::Backoff;
use facegate_runtime::grpc::Wire;
use facegate_runtime::keys::{Key, KeyId};
use facegate_runtime::simulation;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use zeroize::Zeroizing;

use crate::faces;
use crate::station::{Station, StationError};

/// How often it is looked whether it is time to ask.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// The shares of a lease between which it is renewed.
const RENEW: std::ops::Range<f64> = 0.30..0.36;

/// Why faces are refused. Every one of them says what works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoFaces {
    #[error("the station has no lease of the key to its templates yet; use the ride code")]
    NoLease,
    #[error("the station's lease is over, since it could not reach the cloud for too long; use the ride code")]
    Over,
    #[error("the operator has ended the station's lease; use the ride code")]
    Revoked,
    #[error(
        "the station is catching up with what was erased: version {applied} of {required} is applied; use the ride code"
    )]
    CatchingUp { applied: u64, required: u64 },
    #[error("the station's templates are being opened; use the ride code")]
    Opening,
}

/// A lease as the cloud hands it out.
#[derive(Debug)]
pub struct Lease {
    pub key: Key,
    pub generation: u32,
    pub valid_for: Duration,
    pub required_version: u64,
}

/// Until when, by both clocks, and from which version of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Terms {
    until_ms: u64,
    until: Timestamp,
    required_version: u64,
}

impl Terms {
    /// The wall clock counts too: the machine may have slept, and its other clock with it.
    fn last(&self, clock: &dyn Clock) -> bool {
        clock.monotonic_ms() < self.until_ms && clock.now() < self.until
    }

    fn allow(&self, applied: u64, clock: &dyn Clock) -> bool {
        applied >= self.required_version && self.last(clock)
    }
}

#[derive(Debug, Default)]
struct Held {
    lease: Option<(Key, u32)>,
    /// Of the lease held, and before it of one whose version was applied already.
    terms: Vec<Terms>,
    revoked: bool,
}

/// The leases of a station, shared by who asks for them and who depends on them.
#[derive(Debug)]
pub struct Leases {
    clock: Arc<dyn Clock>,
    valid_max: Duration,
    held: Mutex<Held>,
    ask_now: Notify,
}

impl Leases {
    /// A lease counts for `valid_max` at most, whatever the cloud says.
    pub fn new(clock: Arc<dyn Clock>, valid_max: Duration) -> Self {
        Self { clock, valid_max, held: Mutex::default(), ask_now: Notify::new() }
    }

    /// Whether faces may be searched while the feed is applied up to `applied`.
    pub fn allow(&self, applied: u64) -> Result<(), NoFaces> {
        let held = self.held();
        if held.terms.iter().any(|terms| terms.allow(applied, &*self.clock)) {
            return Ok(());
        }
        match held.terms.last() {
            _ if held.revoked => Err(NoFaces::Revoked),
            None => Err(NoFaces::NoLease),
            Some(terms) if !terms.last(&*self.clock) => Err(NoFaces::Over),
            Some(terms) => Err(NoFaces::CatchingUp { applied, required: terms.required_version }),
        }
    }

    /// Takes a lease that was asked for at that moment of the two clocks; gives how long it counts.
    pub fn grant(&self, lease: Lease, asked_ms: u64, asked: Timestamp, applied: u64) -> Duration {
        let valid_for = lease.valid_for.min(self.valid_max);
        let until_ms = asked_ms.saturating_add(u64::try_from(valid_for.as_millis()).unwrap_or(u64::MAX));
        let terms = Terms { until_ms, until: asked.plus(valid_for), required_version: lease.required_version };
        let mut held = self.held();
        held.terms.retain(|terms| terms.allow(applied, &*self.clock));
        held.terms.truncate(1);
        held.terms.push(terms);
        held.lease = Some((lease.key, lease.generation));
        held.revoked = false;
        valid_for
    }

    /// The operator has ended it: the key is forgotten.
    pub fn revoke(&self) {
        *self.held() = Held { revoked: true, ..Held::default() };
    }

    pub fn is_revoked(&self) -> bool {
        self.held().revoked
    }

    /// The cloud has said that the next lease would be of this generation.
    pub fn told(&self, generation: u32) {
        if generation != 0 && generation != self.generation() {
            self.ask_now.notify_one();
        }
    }

    pub fn key(&self) -> Result<Key, NoFaces> {
        let held = self.held();
        held.lease.as_ref().map(|(key, _)| key.clone()).ok_or(if held.revoked {
            NoFaces::Revoked
        } else {
            NoFaces::NoLease
        })
    }

    /// Tells the key from another; `None` without a lease.
    pub fn key_id(&self) -> Option<KeyId> {
        self.held().lease.as_ref().map(|(key, _)| key.id())
    }

    /// 0 without a lease.
    pub fn generation(&self) -> u32 {
        self.held().lease.as_ref().map_or(0, |lease| lease.1)
    }

    /// When the lease ends, by the wall clock.
    pub fn ends(&self) -> Option<Timestamp> {
        self.held().terms.last().map(|terms| terms.until)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for a lease, opens the templates with the first, and renews, until stopped.
pub async fn keep(station: Arc<Station>, mut cloud: SyncServiceClient<Wire>, stop: CancellationToken) {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
    let mut rng = SmallRng::seed_from_u64(simulation::seed());
    // A lease is renewed by the station's clock; what failed is tried again by the time that passes here.
    let (mut renew_at_ms, mut retry) = (0, tokio::time::Instant::now());
    loop {
        if station.clock.monotonic_ms() >= renew_at_ms && tokio::time::Instant::now() >= retry {
            match step(&station, &mut cloud).await {
                Ok(valid_for) => {
                    backoff.reset();
                    let wait = valid_for.mul_f64(rng.random_range(RENEW)).as_millis();
                    renew_at_ms = station.clock.monotonic_ms().saturating_add(u64::try_from(wait).unwrap_or(u64::MAX));
                }
                Err(error) => {
                    let ends = station.leases.ends();
                    tracing::warn!(%error, ?ends, "no new lease of the templates' key, or they do not open");
                    (renew_at_ms, retry) = (0, tokio::time::Instant::now() + backoff.next_delay());
                }
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = station.leases.ask_now.notified() => (renew_at_ms, retry) = (0, tokio::time::Instant::now()),
            () = tokio::time::sleep(LOOK_EVERY) => (),
        }
    }
}

async fn step(station: &Arc<Station>, cloud: &mut SyncServiceClient<Wire>) -> Result<Duration, StationError> {
    let (asked_ms, asked) = (station.clock.monotonic_ms(), station.clock.now());
    match ask(cloud, station.installation.to_vec()).await {
        Ok(lease) => {
            tracing::info!(?lease, "lease");
            let valid_for = station.leases.grant(lease, asked_ms, asked, station.applied_version());
            open(station).await?;
            Ok(valid_for)
        }
        Err(status) => {
            if status.code() == Code::PermissionDenied {
                revoked(station).await?;
            }
            Err(StationError::Lease(Box::new(status)))
        }
    }
}

/// The operator has ended the station's lease: the key is forgotten, and with it every template in memory. Those on the
/// disk are sealed under a key that this station will never be given again.
pub async fn revoked(station: &Arc<Station>) -> Result<(), StationError> {
    if station.leases.is_revoked() && station.facts().gallery().is_none() {
        return Ok(());
    }
    tracing::error!("the operator has ended this station's lease: no face is recognised from now on, none is kept");
    // At once; the rest may have to wait for what is being applied.
    station.leases.revoke();
    let wiped = Arc::clone(station);
    simulation::blocking(move || wiped.wipe_faces()).await.map_err(|_| StationError::Panicked)?
}

async fn ask(cloud: &mut SyncServiceClient<Wire>, installation: Vec<u8>) -> Result<Lease, Status> {
    let request = v1::LeaseRequest { installation };
    let late = |_| Status::deadline_exceeded("no answer within ten seconds");
    let answer = tokio::time::timeout(ANSWER_WITHIN, cloud.lease(request)).await.map_err(late)??;
    let v1::LeaseResponse { key, generation, valid_for_ms, required_version } = answer.into_inner();
    let key = Zeroizing::new(key);
    let key = <[u8; 32]>::try_from(key.as_slice()).map_err(|_| Status::internal("the key is not of 32 bytes"))?;
    Ok(Lease {
        key: Key::from_bytes(key),
        generation,
        valid_for: Duration::from_millis(valid_for_ms),
        required_version,
    })
}

/// Opens the templates, if they are not open yet; on a blocking thread, since it may take seconds.
async fn open(station: &Arc<Station>) -> Result<(), StationError> {
    if station.facts().gallery().is_some() {
        return Ok(());
    }
    let opening = Arc::clone(station);
    simulation::blocking(move || faces::open_current(&opening)).await.map_err(|_| StationError::Panicked)??;
    station.opened();
    Ok(())
}

#[cfg(test)]
mod tests {
    use facegate_runtime::clock::ManualClock;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn leases() -> (Arc<ManualClock>, Leases) {
        let clock = Arc::new(ManualClock::at(NOW));
        (Arc::clone(&clock), Leases::new(clock, 100 * HOUR))
    }

    fn grant(leases: &Leases, hours: u32, required_version: u64, applied: u64) {
        let lease = Lease { key: Key::from_bytes([1; 32]), generation: 1, valid_for: hours * HOUR, required_version };
        leases.grant(lease, leases.clock.monotonic_ms(), leases.clock.now(), applied);
    }

    #[test]
    fn faces_wait_for_a_lease_and_for_the_version_that_it_names() {
        let (_, leases) = leases();
        assert_eq!(leases.allow(9), Err(NoFaces::NoLease));
        grant(&leases, 72, 5, 3);
        assert_eq!(leases.allow(4), Err(NoFaces::CatchingUp { applied: 4, required: 5 }));
        assert_eq!(leases.allow(5), Ok(()));
    }

    #[test]
    fn it_ends_by_whichever_clock_is_first_and_counts_from_the_asking() {
        for by_the_wall_alone in [false, true] {
            let (clock, leases) = leases();
            grant(&leases, 72, 0, 0);
            let pass = |time| {
                if by_the_wall_alone { clock.set_wall(clock.now().plus(time)) } else { clock.advance(time) }
            };
            pass(72 * HOUR - Duration::from_millis(1));
            assert_eq!(leases.allow(0), Ok(()));
            pass(Duration::from_millis(1));
            assert_eq!(leases.allow(0), Err(NoFaces::Over));
        }
        let (clock, leases) = leases();
        grant(&leases, 72, 0, 0);
        clock.set_wall(NOW.minus(1000 * HOUR));
        clock.advance(72 * HOUR);
        assert_eq!(leases.allow(0), Err(NoFaces::Over), "a wall clock set back prolongs nothing");
    }

    #[test]
    fn a_renewal_stops_nobody_while_its_version_is_on_the_way() {
        let (clock, leases) = leases();
        grant(&leases, 72, 5, 5);
        clock.advance(24 * HOUR);
        grant(&leases, 72, 9, 6);
        assert_eq!(leases.allow(6), Ok(()), "under the lease of before");
        clock.advance(48 * HOUR);
        assert_eq!(leases.allow(6), Err(NoFaces::CatchingUp { applied: 6, required: 9 }));
        assert_eq!(leases.allow(9), Ok(()));
    }

    #[test]
    fn one_that_was_over_comes_back_only_with_what_was_missed() {
        let (clock, leases) = leases();
        grant(&leases, 1, 5, 5);
        clock.advance(2 * HOUR);
        grant(&leases, 1, 9, 5);
        assert_eq!(leases.allow(5), Err(NoFaces::CatchingUp { applied: 5, required: 9 }));
    }

    #[test]
    fn the_operators_word_ends_it_at_once_and_the_station_has_a_limit_of_its_own() {
        let (clock, leases) = leases();
        grant(&leases, 500, 0, 0);
        clock.advance(100 * HOUR);
        assert_eq!(leases.allow(0), Err(NoFaces::Over));
        grant(&leases, 1, 0, 0);
        leases.revoke();
        assert_eq!((leases.allow(0), leases.key().err()), (Err(NoFaces::Revoked), Some(NoFaces::Revoked)));
    }
}
