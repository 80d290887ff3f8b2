//! Attendants of a gate or a ticket booth: a few people named in the config, who sign in for half an hour.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use facegate_domain::Clock;
use serde::Deserialize;

use super::{AttemptPolicy, Attempts, Hashed, Password, Passwords, SessionPolicy, Sessions, TooMany};
use crate::config::Problems;

/// From sign-in, whatever happens in between: a display in a hall must not stay signed in.
pub const LIFETIME: Duration = Duration::from_secs(30 * 60);
const SESSIONS: SessionPolicy = SessionPolicy { lifetime: LIFETIME, idle: LIFETIME, sessions_max: 16 };
/// Wrong passwords of one name, and for how long they count.
const ATTEMPTS: AttemptPolicy = AttemptPolicy { failures_max: 3, window: Duration::from_secs(60) };
const NAME_CHARACTERS_MAX: usize = 64;
/// Under which names that nobody has are counted, all together.
const NOBODY: &str = "";

/// Who may sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attendant {
    pub name: String,
    pub password: Hashed,
}

/// As the config has him.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAttendant {
    name: String,
    password_hash: String,
}

impl RawAttendant {
    /// All of the section at `path`, if nothing is wrong with them.
    pub fn check(all: &[Self], path: &str, problems: &mut Problems) -> Option<Vec<Attendant>> {
        let check = |(index, raw): (usize, &Self)| {
            let at = |key: &str| format!("{path}[{index}].{key}");
            let name = raw.name.trim().to_owned();
            if name.is_empty() || name.chars().count() > NAME_CHARACTERS_MAX {
                problems.add(at("name"), format!("a name has 1 to {NAME_CHARACTERS_MAX} characters"));
            }
            if all[..index].iter().any(|before| before.name.trim() == name) {
                problems.add(at("name"), "somebody above has it already");
            }
            let password = problems.check(&at("password_hash"), Hashed::new(&raw.password_hash));
            password.map(|password| Attendant { name, password })
        };
        let checked: Vec<_> = all.iter().enumerate().map(check).collect();
        checked.into_iter().collect()
    }
}

/// Why nobody was signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSignedIn {
    #[error(transparent)]
    TooMany(#[from] TooMany),
    #[error("the name or the password is wrong")]
    Wrong,
}

/// Who is signed in now. In memory: a restart signs everybody out.
#[derive(Debug)]
pub struct Attendance {
    attendants: Vec<Attendant>,
    clock: Arc<dyn Clock>,
    sessions: Sessions<String>,
    attempts: Attempts,
    passwords: Passwords,
}

impl Attendance {
    pub fn new(attendants: Vec<Attendant>, clock: Arc<dyn Clock>) -> Self {
        let (sessions, attempts) = (Sessions::new(SESSIONS), Attempts::new(ATTEMPTS));
        Self { attendants, clock, sessions, attempts, passwords: Passwords::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.attendants.is_empty()
    }

    /// Begins a session of who knows the password; gives his name and the session's token. Somebody whom nobody knows takes as
    /// long to refuse.
    pub async fn sign_in(&self, name: &str, password: Password, from: IpAddr) -> Result<(String, String), NotSignedIn> {
        let found = self.attendants.iter().find(|attendant| attendant.name == name.trim());
        let counted = found.map_or(NOBODY, |attendant| &attendant.name);
        self.attempts.admit(counted, from, self.clock.monotonic_ms())?;
        let hash = found.map(|attendant| attendant.password.as_str().to_owned());
        let matches = self.passwords.matches(password, hash).await;
        let Some(attendant) = found.filter(|_| matches) else {
            tracing::warn!(name = counted, %from, "a sign-in of an attendant failed");
            return Err(NotSignedIn::Wrong);
        };
        self.attempts.succeeded(counted, from);
        tracing::info!(name = attendant.name, "an attendant signed in");
        let token = self.sessions.begin(attendant.name.clone(), self.clock.monotonic_ms());
        Ok((attendant.name.clone(), token))
    }

    /// Whose session this is, if it still lasts.
    pub fn name(&self, token: &str) -> Option<String> {
        self.sessions.account(token, self.clock.monotonic_ms())
    }

    pub fn sign_out(&self, token: &str) {
        self.sessions.end(token);
    }
}

#[cfg(test)]
mod tests {
    use facegate_domain::Timestamp;

    use super::*;
    use crate::clock::ManualClock;

    #[tokio::test]
    async fn a_session_lasts_half_an_hour_and_whoever_guesses_waits() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_ms(1_790_000_000_000)));
        let password = Hashed::new(&Password::typed("quiet platform two").hash().unwrap()).unwrap();
        let attendance = Attendance::new(vec![Attendant { name: "li".into(), password }], Arc::clone(&clock) as _);
        let here = IpAddr::from([127, 0, 0, 1]);
        let sign_in = |name, typed| attendance.sign_in(name, Password::typed(typed), here);
        let (name, token) = sign_in(" li ", "quiet platform two").await.unwrap();
        assert_eq!((name.as_str(), attendance.name(&token).as_deref()), ("li", Some("li")));
        for name in ["li", "nobody"] {
            for _ in 0..3 {
                assert_eq!(sign_in(name, "guessed").await, Err(NotSignedIn::Wrong));
            }
            assert!(matches!(sign_in(name, "quiet platform two").await, Err(NotSignedIn::TooMany(_))));
        }
        clock.advance(ATTEMPTS.window);
        let (_, other) = sign_in("li", "quiet platform two").await.unwrap();
        attendance.sign_out(&other);
        assert_eq!(attendance.name(&other), None);
        clock.advance(LIFETIME);
        assert_eq!(attendance.name(&token), None);
    }
}
