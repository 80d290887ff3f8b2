//! How often a password may be tried.
//!
//! Attempts are counted by name and address together, so that one host that guesses does not lock the true owner out,
//! and, ten times more generously, by name and by address alone, so that neither many hosts nor many names help.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;
use std::time::Duration;

/// Counters kept at once; beyond that the oldest window is forgotten.
const WINDOWS_MAX: usize = 30_000;

/// How much more one name, or one address, may try in sum.
const SUM_FACTOR: u32 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptPolicy {
    /// Failed attempts of one address at one name within a window.
    pub failures_max: u32,
    pub window: Duration,
}

/// Nothing was compared; try again after that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many sign-ins failed: wait {} s and try again", .retry_after.as_secs())]
pub struct TooMany {
    pub retry_after: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    NameAtAddress(String, IpAddr),
    Name(String),
    Address(IpAddr),
}

#[derive(Debug, Clone, Copy)]
struct Window {
    began_ms: u64,
    attempts: u32,
}

/// Times are the clock's monotonic milliseconds.
#[derive(Debug)]
pub struct Attempts {
    policy: AttemptPolicy,
    windows: Mutex<HashMap<Key, Window>>,
}

impl Attempts {
    pub fn new(policy: AttemptPolicy) -> Self {
        Self { policy, windows: Mutex::default() }
    }

    /// Counts one attempt, before it is made: many at once are as many as one after the other.
    pub fn admit(&self, name: &str, address: IpAddr, now_ms: u64) -> Result<(), TooMany> {
        let mut windows = self.windows.lock().expect("nothing panics while it holds the counters");
        let keys = keys(name, address);
        let full = keys.iter().filter_map(|key| {
            let window = windows.get(key)?;
            let left = self.left(window, now_ms)?;
            (window.attempts >= self.limit(key)).then_some(left)
        });
        if let Some(retry_after) = full.max() {
            return Err(TooMany { retry_after });
        }
        for key in keys {
            self.make_room(&mut windows, now_ms);
            let window = windows.entry(key).or_insert(Window { began_ms: now_ms, attempts: 0 });
            if self.left(window, now_ms).is_none() {
                *window = Window { began_ms: now_ms, attempts: 0 };
            }
            window.attempts += 1;
        }
        Ok(())
    }

    /// Takes back an attempt that was right: only failures count, however many people share an address.
    pub fn succeeded(&self, name: &str, address: IpAddr) {
        let mut windows = self.windows.lock().expect("nothing panics while it holds the counters");
        for key in keys(name, address) {
            if let Some(window) = windows.get_mut(&key) {
                window.attempts = window.attempts.saturating_sub(1);
            }
        }
    }

    fn limit(&self, key: &Key) -> u32 {
        match key {
            Key::NameAtAddress(..) => self.policy.failures_max,
            Key::Name(_) | Key::Address(_) => self.policy.failures_max.saturating_mul(SUM_FACTOR),
        }
    }

    /// What is left of a window; None if it is over.
    fn left(&self, window: &Window, now_ms: u64) -> Option<Duration> {
        let age = Duration::from_millis(now_ms.saturating_sub(window.began_ms));
        self.policy.window.checked_sub(age).filter(|left| !left.is_zero())
    }

    fn make_room(&self, windows: &mut HashMap<Key, Window>, now_ms: u64) {
        if windows.len() >= WINDOWS_MAX {
            windows.retain(|_, window| self.left(window, now_ms).is_some());
        }
        if windows.len() >= WINDOWS_MAX {
            let oldest = windows.iter().min_by_key(|(_, window)| window.began_ms).map(|(key, _)| key.clone());
            oldest.and_then(|key| windows.remove(&key));
        }
    }
}

fn keys(name: &str, address: IpAddr) -> [Key; 3] {
    let address = network(address);
    [Key::NameAtAddress(name.to_owned(), address), Key::Name(name.to_owned()), Key::Address(address)]
}

/// One customer of a provider has a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: AttemptPolicy = AttemptPolicy { failures_max: 3, window: Duration::from_secs(10) };

    fn host(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[test]
    fn a_host_that_guesses_waits_and_does_not_lock_out_the_owner() {
        let attempts = Attempts::new(POLICY);
        assert!((0..3).all(|_| attempts.admit("ops", host(1), 0).is_ok()));
        let refused = attempts.admit("ops", host(1), 4_000);
        assert_eq!(refused, Err(TooMany { retry_after: Duration::from_secs(6) }));
        assert!(attempts.admit("ops", host(2), 4_000).is_ok());
        assert!(attempts.admit("ops", host(1), 10_000).is_ok());
    }

    #[test]
    fn neither_many_hosts_nor_many_names_help() {
        let attempts = Attempts::new(POLICY);
        let admitted = (0..200).filter(|i| attempts.admit("ops", host(*i), 0).is_ok()).count();
        assert_eq!(admitted, 30);
        let admitted = (0..200).filter(|i| attempts.admit(&format!("ops-{i}"), host(250), 0).is_ok()).count();
        assert_eq!(admitted, 30);
    }

    #[test]
    fn successes_do_not_count() {
        let attempts = Attempts::new(POLICY);
        for _ in 0..100 {
            assert_eq!(attempts.admit("ops", host(1), 0), Ok(()));
            attempts.succeeded("ops", host(1));
        }
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one() {
        let attempts = Attempts::new(POLICY);
        let host = |i: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, i]);
        assert_eq!((0..10).filter(|i| attempts.admit("ops", host(*i), 0).is_ok()).count(), 3);
        assert_eq!(network("::ffff:10.0.0.1".parse().unwrap()), IpAddr::from([10, 0, 0, 1]));
    }

    #[test]
    fn the_counters_are_bounded() {
        let attempts = Attempts::new(AttemptPolicy { failures_max: u32::MAX, ..POLICY });
        for i in 0..WINDOWS_MAX / 2 + 10 {
            attempts.admit(&i.to_string(), host(1), 0).unwrap();
        }
        // Making room may take the very window that is then written again, so the count may be one below.
        let windows = attempts.windows.lock().unwrap().len();
        assert!((WINDOWS_MAX - 1..=WINDOWS_MAX).contains(&windows), "{windows}");
    }
}
