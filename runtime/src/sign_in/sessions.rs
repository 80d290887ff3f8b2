//! Who is signed in. Sessions live in this process: a restart signs everybody out, and nothing else.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// How long a session lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionPolicy {
    /// From sign-in, whatever happens in between.
    pub lifetime: Duration,
    /// Since the last request.
    pub idle: Duration,
    /// Sessions at once; beyond that the one unused for longest ends.
    pub sessions_max: usize,
}

/// The SHA-256 of a cookie: what is in memory cannot be used as one.
type TokenDigest = [u8; 32];

#[derive(Debug)]
struct Session<A> {
    account: A,
    began_ms: u64,
    seen_ms: u64,
}

/// The sessions of one server, by whose they are. Times are the clock's monotonic milliseconds.
#[derive(Debug)]
pub struct Sessions<A> {
    policy: SessionPolicy,
    live: Mutex<HashMap<TokenDigest, Session<A>>>,
}

impl<A: Clone + PartialEq> Sessions<A> {
    pub fn new(policy: SessionPolicy) -> Self {
        Self { policy, live: Mutex::new(HashMap::new()) }
    }

    /// Begins a session; gives its cookie: 256 random bits in base64url.
    pub fn begin(&self, account: A, now_ms: u64) -> String {
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let mut live = self.live();
        if live.len() >= self.policy.sessions_max {
            live.retain(|_, session| self.policy.allows(session, now_ms));
        }
        if live.len() >= self.policy.sessions_max {
            let stalest = live.iter().min_by_key(|(_, session)| session.seen_ms).map(|(digest, _)| *digest);
            stalest.and_then(|digest| live.remove(&digest));
        }
        live.insert(digest(&token), Session { account, began_ms: now_ms, seen_ms: now_ms });
        token
    }

    /// Whose session `token` is, if it still lasts; counts as a use of it.
    pub fn account(&self, token: &str, now_ms: u64) -> Option<A> {
        let (key, mut live) = (digest(token), self.live());
        let session = live.get_mut(&key)?;
        if self.policy.allows(session, now_ms) {
            session.seen_ms = now_ms;
            return Some(session.account.clone());
        }
        live.remove(&key);
        None
    }

    pub fn end(&self, token: &str) {
        self.live().remove(&digest(token));
    }

    /// Ends every session of `account`: its password has changed, or it is no more.
    pub fn end_all(&self, account: &A) {
        self.live().retain(|_, session| session.account != *account);
    }

    fn live(&self) -> MutexGuard<'_, HashMap<TokenDigest, Session<A>>> {
        self.live.lock().expect("nothing panics while it holds the sessions")
    }
}

impl SessionPolicy {
    fn allows<A>(self, session: &Session<A>, now_ms: u64) -> bool {
        let since = |then_ms: u64| Duration::from_millis(now_ms.saturating_sub(then_ms));
        since(session.began_ms) < self.lifetime && since(session.seen_ms) < self.idle
    }
}

fn digest(token: &str) -> TokenDigest {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: SessionPolicy =
        SessionPolicy { lifetime: Duration::from_millis(1000), idle: Duration::from_millis(300), sessions_max: 50 };

    fn operator() -> String {
        "night-shift".into()
    }

    #[test]
    fn a_session_ends_by_idleness_by_age_and_by_signing_out() {
        let sessions = Sessions::new(POLICY);
        let idle = sessions.begin(operator(), 0);
        assert_eq!(sessions.account(&idle, 299), Some(operator()));
        assert_eq!(sessions.account(&idle, 599), None);
        assert_eq!(sessions.account(&idle, 599), None, "an ended session does not come back");

        let old = sessions.begin(operator(), 0);
        assert!((1..=3).all(|i| sessions.account(&old, i * 299).is_some()));
        assert_eq!(sessions.account(&old, 1000), None);

        let left = sessions.begin(operator(), 0);
        sessions.end(&left);
        assert_eq!(sessions.account(&left, 1), None);
    }

    #[test]
    fn ending_all_of_an_account_leaves_the_others() {
        let sessions = Sessions::new(POLICY);
        let rider = "day-shift".to_owned();
        let (a, b, c) =
            (sessions.begin(rider.clone(), 0), sessions.begin(rider.clone(), 0), sessions.begin(operator(), 0));
        sessions.end_all(&rider);
        assert_eq!((sessions.account(&a, 1), sessions.account(&b, 1)), (None, None));
        assert_eq!(sessions.account(&c, 1), Some(operator()));
    }

    #[test]
    fn a_made_up_token_is_nobody() {
        let sessions = Sessions::new(POLICY);
        let token = sessions.begin(operator(), 0);
        assert_eq!(token.len(), 43);
        assert_eq!(sessions.account(&token[..42], 1), None);
        assert_eq!(sessions.account("", 1), None);
    }

    #[test]
    fn the_number_of_sessions_is_bounded() {
        let sessions = Sessions::new(POLICY);
        let first = sessions.begin(operator(), 0);
        let second = sessions.begin(operator(), 1);
        for _ in 2..=POLICY.sessions_max {
            sessions.begin(operator(), 2);
        }
        assert_eq!(sessions.live().len(), POLICY.sessions_max);
        assert_eq!(sessions.account(&first, 3), None);
        assert!(sessions.account(&second, 3).is_some());
    }
}
