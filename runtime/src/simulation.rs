//! What a simulation takes out of a process so that a run is the same each time: threads, and the system's randomness.
//! Both hang on the thread that simulates; a server never begins a [`Simulation`], and nothing changes for it.

use std::cell::{Cell, RefCell};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinError;

thread_local! {
    static RNG: RefCell<Option<SmallRng>> = const { RefCell::new(None) };
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, this thread simulates.
#[derive(Debug)]
#[must_use = "the simulation ends when this is dropped"]
pub struct Simulation(());

impl Simulation {
    /// From here on [`seed`] follows `seed`, and [`blocking`] work is done on the spot.
    pub fn begin(seed: u64) -> Self {
        RNG.set(Some(SmallRng::seed_from_u64(seed)));
        RUNNING.set(true);
        Self(())
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        RNG.set(None);
        RUNNING.set(false);
    }
}

/// A seed for whoever spreads his tries over time.
pub fn seed() -> u64 {
    RNG.with_borrow_mut(|rng| rng.as_mut().map(Rng::random)).unwrap_or_else(|| rand::rng().random())
}

/// Does work that blocks, on one of tokio's threads for such work, so that nobody else is held up.
///
/// # Errors
/// If the work panicked.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    if RUNNING.get() { Ok(work()) } else { tokio::task::spawn_blocking(work).await }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_simulation_repeats_its_seeds_and_leaves_its_thread_for_nothing() {
        let here = std::thread::current().id();
        let run = |seed| {
            let _simulation = Simulation::begin(seed);
            [super::seed(), super::seed()]
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let simulation = Simulation::begin(1);
        assert_eq!(blocking(move || std::thread::current().id()).await.unwrap(), here);
        drop(simulation);
        assert_ne!(blocking(move || std::thread::current().id()).await.unwrap(), here);
    }
}
