//! Queued searches run together, lone ones at once.
//!
//! A scan for sixteen probes costs little more memory traffic than one for one. So whoever finds all slots busy waits in
//! a queue, and whoever gets a slot takes along the others who wait. Nobody waits for company: with a free slot, a
//! search starts by itself.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Jobs `J` with results `R`, at most `slots` batches at a time.
#[derive(Debug)]
pub struct Batcher<J, R> {
    slots: usize,
    batch_max: usize,
    queue: Mutex<Queue<J, R>>,
}

/// The batch that held this job panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the search panicked")]
pub struct Panicked;

#[derive(Debug)]
struct Queue<J, R> {
    waiting: VecDeque<(J, Arc<Ticket<J, R>>)>,
    running: usize,
}

/// What one who waits is told.
#[derive(Debug)]
struct Ticket<J, R> {
    told: Mutex<Option<Told<J, R>>>,
    changed: Condvar,
}

#[derive(Debug)]
enum Told<J, R> {
    /// A slot is his now: he has his job back, to run it with whoever waits then.
    Lead(J),
    Done(Result<R, Panicked>),
}

impl<J, R> Batcher<J, R> {
    /// `slots`: the number of cores to search on. `batch_max`: most jobs in one batch.
    pub fn new(slots: usize, batch_max: usize) -> Self {
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), running: 0 });
        Self { slots: slots.max(1), batch_max: batch_max.max(1), queue }
    }

    /// Waits for the result of one job. `run` gives a result for each job of a batch, in order; whichever caller leads
    /// runs it on its own thread.
    pub fn submit(&self, job: J, run: impl Fn(Vec<J>) -> Vec<R>) -> Result<R, Panicked> {
        let ticket = Arc::new(Ticket { told: Mutex::new(None), changed: Condvar::new() });
        let mut queue = self.queue();
        if queue.running < self.slots {
            queue.running += 1;
            drop(queue);
            return self.lead(job, run);
        }
        queue.waiting.push_back((job, Arc::clone(&ticket)));
        drop(queue);
        match ticket.wait() {
            Told::Done(result) => result,
            Told::Lead(job) => self.lead(job, run),
        }
    }

    /// Runs the own job with a fair share of those who wait, then hands the slot to the first of the others.
    fn lead(&self, own: J, run: impl Fn(Vec<J>) -> Vec<R>) -> Result<R, Panicked> {
        let mut jobs = vec![own];
        let mut tickets = Vec::new();
        {
            let mut queue = self.queue();
            let share = (queue.waiting.len() + 1).div_ceil(self.slots).min(self.batch_max) - 1;
            for (job, ticket) in queue.waiting.drain(..share) {
                jobs.push(job);
                tickets.push(ticket);
            }
        }
        // A panic is the callers' to hear of; the slot and those who wait go on.
        let mut results = catch_unwind(AssertUnwindSafe(|| run(jobs))).unwrap_or_default().into_iter();
        let own = results.next().ok_or(Panicked);
        for ticket in tickets {
            ticket.tell(Told::Done(results.next().ok_or(Panicked)));
        }
        let mut queue = self.queue();
        match queue.waiting.pop_front() {
            Some((job, next)) => next.tell(Told::Lead(job)),
            None => queue.running -= 1,
        }
        own
    }

    fn queue(&self) -> MutexGuard<'_, Queue<J, R>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J, R> Ticket<J, R> {
    fn tell(&self, told: Told<J, R>) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        self.changed.notify_one();
    }

    fn wait(&self) -> Told<J, R> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match told.take() {
                Some(told) => return told,
                None => told = self.changed.wait(told).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_lone_job_runs_alone_and_a_crowd_together() {
        let batcher = Batcher::new(1, 64);
        assert_eq!(batcher.submit(3, |jobs: Vec<i32>| jobs.iter().map(|j| (j * 2, jobs.len())).collect()), Ok((6, 1)));
        let (started, largest) = (Barrier::new(2), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let (batcher, started, largest) = (&batcher, &started, &largest);
            scope.spawn(move || {
                let slow = |jobs: Vec<i32>| {
                    started.wait();
                    while batcher.queue().waiting.len() < 20 {
                        std::thread::yield_now();
                    }
                    jobs.iter().map(|j| (*j, jobs.len())).collect()
                };
                assert_eq!(batcher.submit(0, slow), Ok((0, 1)));
            });
            started.wait();
            for job in 1..=20 {
                scope.spawn(move || {
                    let run = |jobs: Vec<i32>| jobs.iter().map(|j| (*j, jobs.len())).collect();
                    let (answer, batch) = batcher.submit(job, run).unwrap();
                    assert_eq!(answer, job, "everyone gets his own");
                    largest.fetch_max(batch, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(largest.into_inner(), 20);
    }

    #[test]
    fn no_more_batches_than_slots_run_at_a_time() {
        let batcher = Batcher::new(2, 4);
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for job in 0..200 {
                let (batcher, running, most) = (&batcher, &running, &most);
                scope.spawn(move || {
                    let run = |jobs: Vec<i32>| {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                        assert!(jobs.len() <= 4);
                        jobs
                    };
                    assert_eq!(batcher.submit(job, run), Ok(job));
                });
            }
        });
        assert!(most.into_inner() <= 2);
        assert_eq!(batcher.queue().running, 0);
    }

    #[test]
    fn a_panic_is_told_and_the_slot_stays() {
        let batcher = Batcher::new(1, 4);
        assert_eq!(batcher.submit(1, |_| panic!("as asked")), Err(Panicked));
        assert_eq!(batcher.submit(2, |jobs: Vec<i32>| jobs), Ok(2));
    }
}
