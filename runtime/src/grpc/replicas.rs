//! Several addresses of one server: a connection is made to one of them, and after a break to the next.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::connect::{Connected, Connector};

/// Clones share whose turn it is.
#[derive(Clone)]
pub(super) struct Replicas {
    all: Arc<[Connector]>,
    next: Arc<AtomicUsize>,
    within: Duration,
}

impl Replicas {
    /// The first one is drawn, so that many clients spread over them. None without any.
    pub fn new(all: Vec<Connector>, within: Duration) -> Option<Self> {
        if all.is_empty() {
            return None;
        }
        let next = Arc::new(AtomicUsize::new(rand::random_range(0..all.len())));
        Some(Self { all: all.into(), next, within })
    }

    /// Tries each of them once, beginning with the one after the last that was tried: one that takes connections and
    /// serves nothing is left again.
    pub async fn connect(&self) -> io::Result<Connected> {
        let mut last = io::Error::other("no address was tried");
        for _ in 0..self.all.len() {
            let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.all.len();
            match tokio::time::timeout(self.within, self.all[turn].connect()).await {
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::Error::new(io::ErrorKind::TimedOut, format!("no connection in {:?}", self.within)),
            }
        }
        Err(last)
    }
}
