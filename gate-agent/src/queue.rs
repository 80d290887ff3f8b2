//! A bounded queue in which the newest wins: a stale face is worthless, so a full queue loses its oldest item.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

/// Between one producer that must never wait and one consumer thread that may.
#[derive(Debug)]
pub struct NewestWins<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    items_max: usize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

impl<T> NewestWins<T> {
    /// `items_max` is at least one.
    pub fn new(items_max: usize) -> Self {
        let state = State { items: VecDeque::with_capacity(items_max), closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), items_max: items_max.max(1) }
    }

    /// Puts an item in and gives back the one that had to go for it, if the queue was full (or is closed).
    pub fn push(&self, item: T) -> Option<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Some(item);
        }
        let superseded = if state.items.len() >= self.items_max { state.items.pop_front() } else { None };
        state.items.push_back(item);
        self.changed.notify_one();
        superseded
    }

    /// Waits for the oldest item that is left; `None` when the queue was closed. Blocks the thread.
    pub fn pop(&self) -> Option<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.closed {
                return None;
            }
            if let Some(item) = state.items.pop_front() {
                return Some(item);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends both sides; what is still queued is dropped.
    pub fn close(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        state.items.clear();
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn a_full_queue_loses_its_oldest() {
        let queue = NewestWins::new(2);
        let superseded: Vec<_> = (1..=5).filter_map(|n| queue.push(n)).collect();
        assert_eq!(superseded, [1, 2, 3]);
        assert_eq!((queue.pop(), queue.pop()), (Some(4), Some(5)));
    }

    #[test]
    fn closing_wakes_the_consumer_and_refuses_the_producer() {
        let queue = Arc::new(NewestWins::<u32>::new(2));
        let waiting = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.pop()
        });
        queue.close();
        assert_eq!(waiting.join().unwrap(), None);
        assert_eq!(queue.push(7), Some(7));
    }
}
