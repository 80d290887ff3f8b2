//! Everything that is wrong with a config file, collected so that an operator fixes it in one go.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// One thing to fix: where (`tls.cert`, `gates[2].id`) and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub path: String,
    pub message: String,
}

/// Collects problems while a raw config is checked. Each `check` gives the value if it was good, so that the
/// caller goes on to the next field either way and builds the config at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn add(&mut self, path: impl Into<String>, message: impl fmt::Display) {
        self.0.push(Problem { path: path.into(), message: message.to_string() });
    }

    /// The value, or a problem at `path` with the error's own words.
    pub fn check<T, E: fmt::Display>(&mut self, path: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(path, error)).ok()
    }

    /// `host:port` as an address to listen at or connect to; host must be an IP address.
    pub fn address(&mut self, path: &str, text: &str) -> Option<SocketAddr> {
        self.check(path, text.parse().map_err(|_| format!("`{text}` is not an address like 127.0.0.1:7443")))
    }

    /// A number of milliseconds within `range`.
    pub fn duration_ms(&mut self, path: &str, ms: u64, range: RangeInclusive<u64>) -> Option<Duration> {
        self.within(path, ms, range).map(Duration::from_millis)
    }

    /// A number of seconds within `range`.
    pub fn duration_s(&mut self, path: &str, s: u64, range: RangeInclusive<u64>) -> Option<Duration> {
        self.within(path, s, range).map(Duration::from_secs)
    }

    pub fn within<T: PartialOrd + fmt::Display>(
        &mut self,
        path: &str,
        value: T,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        if range.contains(&value) {
            return Some(value);
        }
        self.add(path, format!("{value} is not between {} and {}", range.start(), range.end()));
        None
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// The finished config, if no problem was found. `value` is `None` only when one was.
    pub fn into_result<C>(self, value: Option<C>) -> Result<C, Self> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            _ => Err(self),
        }
    }

    pub(super) fn extend(&mut self, others: impl IntoIterator<Item = Problem>) {
        self.0.extend(others);
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            write!(f, "\n  {}: {}", problem.path, problem.message)?;
        }
        Ok(())
    }
}
