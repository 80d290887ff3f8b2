//! Which attendant is signed in, and how soon a password may be tried again. In memory: a restart signs everybody out.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

/// From sign-in, whatever happens in between: a display in a hall must not stay signed in.
pub const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// At once; beyond that the oldest ends.
const SESSIONS_MAX: usize = 16;
/// Wrong passwords in a row before one has to wait, first so long, then twice as long each time, up to the last.
const FREE: u32 = 3;
const WAIT_MS: (u64, u64) = (10_000, 300_000);

/// Times are the clock's monotonic milliseconds.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By the SHA-256 of their cookies: what is in memory cannot be used as one.
    live: BTreeMap<[u8; 32], Session>,
    wrong: BTreeMap<String, Wrong>,
}

#[derive(Debug)]
struct Session {
    name: String,
    began_ms: u64,
}

#[derive(Debug, Clone, Copy)]
struct Wrong {
    times: u32,
    until_ms: u64,
}

impl Sessions {
    /// Counts one attempt at the password of `name` before it is made: many at once are as many as one after the other.
    ///
    /// Errors: how long to wait; nothing may be compared then.
    pub fn attempt(&self, name: &str, now_ms: u64) -> Result<(), Duration> {
        let mut state = self.state();
        let before = state.wrong.get(name).copied().unwrap_or(Wrong { times: 0, until_ms: 0 });
        if before.until_ms > now_ms {
            return Err(Duration::from_millis(before.until_ms - now_ms));
        }
        let times = before.times.saturating_add(1);
        let (least, most) = WAIT_MS;
        let wait_ms = times.checked_sub(FREE).map_or(0, |more| least.saturating_mul(1 << more.min(10)).min(most));
        state.wrong.insert(name.to_owned(), Wrong { times, until_ms: now_ms + wait_ms });
        Ok(())
    }

    /// Begins a session of who knew the password; gives its cookie.
    pub fn begin(&self, name: &str, now_ms: u64) -> String {
        let token = hex::encode(rand::random::<[u8; 32]>());
        let mut state = self.state();
        state.wrong.remove(name);
        if state.live.len() >= SESSIONS_MAX {
            let oldest = state.live.iter().min_by_key(|(_, session)| session.began_ms).map(|(digest, _)| *digest);
            oldest.and_then(|digest| state.live.remove(&digest));
        }
        state.live.insert(digest(&token), Session { name: name.to_owned(), began_ms: now_ms });
        token
    }

    /// Whose session this is, if it still lasts.
    pub fn name(&self, token: &str, now_ms: u64) -> Option<String> {
        let mut state = self.state();
        state.live.retain(|_, session| now_ms.saturating_sub(session.began_ms) < lifetime_ms());
        state.live.get(&digest(token)).map(|session| session.name.clone())
    }

    pub fn end(&self, token: &str) {
        self.state().live.remove(&digest(token));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lifetime_ms() -> u64 {
    u64::try_from(LIFETIME.as_millis()).unwrap_or(u64::MAX)
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_age_and_by_signing_out() {
        let sessions = Sessions::default();
        let (old, left) = (sessions.begin("li", 0), sessions.begin("wang", 0));
        assert_eq!(sessions.name(&old, lifetime_ms() - 1).as_deref(), Some("li"));
        sessions.end(&left);
        assert_eq!(sessions.name(&left, 1), None);
        assert_eq!(sessions.name(&old, lifetime_ms()), None);
        assert_eq!(sessions.name("", 1), None);
        assert!((0..100).all(|at| !sessions.begin("li", at).is_empty()));
        assert_eq!(sessions.state().live.len(), SESSIONS_MAX);
    }

    #[test]
    fn whoever_guesses_waits_ever_longer_and_whoever_knows_starts_anew() {
        let sessions = Sessions::default();
        assert!((0..3).all(|_| sessions.attempt("li", 0).is_ok()));
        assert_eq!(sessions.attempt("li", 4000), Err(Duration::from_secs(6)));
        assert_eq!(sessions.attempt("wang", 4000), Ok(()), "others are not locked out");
        assert_eq!(sessions.attempt("li", 10_000), Ok(()));
        assert_eq!(sessions.attempt("li", 10_000), Err(Duration::from_secs(20)));
        assert!((0..40).filter(|_| sessions.attempt("li", 1 << 40).is_ok()).count() <= 1);
        assert!(sessions.attempt("li", 1 << 40).unwrap_err() <= Duration::from_millis(WAIT_MS.1));
        sessions.begin("li", 1 << 41);
        assert_eq!(sessions.attempt("li", 1 << 41), Ok(()));
    }
}
