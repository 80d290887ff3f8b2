//! From the camera to looks: a task that takes frames, a short queue where the newest wins, a thread that looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use facegate_domain::Clock;
use facegate_runtime::backoff::Backoff;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::board::{Board, FrameFate};
use crate::camera::health::{CameraHealth, CameraState};
use crate::camera::{Camera, CameraEvent, CapturedFrame};
use crate::freshness::Freshness;
use crate::queue::NewestWins;
use crate::vision::{Attention, BadFrame, FaceLook, Look, Vision};

/// Looks that may wait for the gate's decisions; beyond, the thread waits and frames supersede each other.
const LOOKS_QUEUED_MAX: usize = 2;

/// How often the camera's state is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(200);
/// A camera that shows nothing or stands still is opened anew after this; if that does not help, ever more seldom.
const REOPEN: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));

/// Where frames come from and how they are watched.
pub struct Source {
    pub camera: Box<dyn Camera>,
    pub freshness: Freshness,
    /// The same that the vision tells what it sees.
    pub health: Arc<CameraHealth>,
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({:?})", self.freshness)
    }
}

/// A frame that has been watched.
struct Received {
    frame: CapturedFrame,
    trusted: bool,
}

/// The running pipeline.
#[derive(Debug)]
pub struct Pipeline {
    looks: mpsc::Receiver<Look>,
    in_flight: Arc<AtomicUsize>,
    pub attention: Arc<Attention>,
}

impl Pipeline {
    /// Starts the camera's task and the looking thread; both end with `shutdown`.
    pub fn start(
        source: Source,
        vision: Vision,
        frames_queued_max: usize,
        board: Arc<Board>,
        shutdown: CancellationToken,
    ) -> Self {
        let queue = Arc::new(NewestWins::new(frames_queued_max));
        let in_flight = Arc::new(AtomicUsize::new(0));
        let attention = Arc::new(Attention::default());
        let (sender, looks) = mpsc::channel(LOOKS_QUEUED_MAX);
        let Source { camera, freshness, health, clock } = source;
        let (waiting, counted) = (Arc::clone(&queue), Arc::clone(&in_flight));
        let feed = Feed { queue: waiting, in_flight: counted, board: Arc::clone(&board), freshness, health, clock };
        tokio::spawn(feed.run(camera, shutdown));
        let looking = Looking { queue, in_flight: Arc::clone(&in_flight), board, attention: Arc::clone(&attention) };
        tokio::task::spawn_blocking(move || looking.run(&vision, &sender));
        Self { looks, in_flight, attention }
    }

    /// The next look; `None` after shutdown.
    pub async fn next(&mut self) -> Option<Look> {
        let look = self.looks.recv().await?;
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        Some(look)
    }

    /// Whether no frame is queued, being looked at or waiting to be taken: only then has silence a meaning.
    pub fn is_idle(&self) -> bool {
        self.in_flight.load(Ordering::SeqCst) == 0
    }
}

/// Takes frames from the camera.
struct Feed {
    queue: Arc<NewestWins<Received>>,
    in_flight: Arc<AtomicUsize>,
    board: Arc<Board>,
    freshness: Freshness,
    health: Arc<CameraHealth>,
    clock: Arc<dyn Clock>,
}

impl Feed {
    async fn run(mut self, mut camera: Box<dyn Camera>, shutdown: CancellationToken) {
        let mut watch = tokio::time::interval(WATCH_EVERY);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reopening = Reopening::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                _ = watch.tick() => {
                    let state = self.health.state(self.clock.monotonic_ms());
                    if reopening.is_due(&state) {
                        camera.reopen();
                    }
                    self.board.camera(state);
                }
                event = camera.next() => self.take(event),
            }
        }
    }

    fn take(&mut self, event: CameraEvent) {
        match event {
            CameraEvent::Frame(frame) => self.push(frame),
            CameraEvent::BadFrame { reason } => bad_frame(&self.board, &reason),
            CameraEvent::Lost { reason } => {
                tracing::warn!(reason, "the camera is lost; it is tried again, and ride codes need another reader");
                self.health.lost(reason);
            }
        }
    }

    fn push(&mut self, frame: CapturedFrame) {
        self.board.frame(FrameFate::Received);
        self.health.received(self.clock.monotonic_ms());
        let checked = self.freshness.check(&frame, self.clock.monotonic_ms());
        if let Err(violation) = checked {
            metrics::counter!("facegate_gate_frames_untrusted_total", "reason" => violation.name()).increment(1);
            let (number, device) = (frame.sequence, &frame.device);
            tracing::warn!(frame = number, %device, %violation, "a frame is not trusted; this approach goes by code");
        }
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        if let Some(superseded) = self.queue.push(Received { frame, trusted: checked.is_ok() }) {
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
            self.board.frame(FrameFate::Superseded);
            tracing::debug!(frame = superseded.frame.sequence, "superseded by a newer frame");
        }
    }
}

impl Drop for Feed {
    /// However the task ends, the looking thread must not wait for ever.
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// When a camera that shows nothing new is opened anew.
struct Reopening {
    pauses: Backoff,
    next: Option<Instant>,
}

impl Reopening {
    fn new() -> Self {
        Self { pauses: Backoff::new(REOPEN.0, REOPEN.1), next: None }
    }

    fn is_due(&mut self, state: &CameraState) -> bool {
        match state {
            // Opened anew it is silent at first, and the same hall may be seen: neither is a recovery.
            CameraState::Silent | CameraState::Frozen => {
                let due = self.next.is_none_or(|at| Instant::now() >= at);
                if due {
                    self.next = Some(Instant::now() + self.pauses.next_delay());
                }
                due
            }
            CameraState::Fine => {
                self.pauses.reset();
                false
            }
            _ => false,
        }
    }
}

/// Looks at frames, on a thread of its own.
struct Looking {
    queue: Arc<NewestWins<Received>>,
    in_flight: Arc<AtomicUsize>,
    board: Arc<Board>,
    attention: Arc<Attention>,
}

impl Looking {
    fn run(&self, vision: &Vision, looks: &mpsc::Sender<Look>) {
        while let Some(Received { frame, trusted }) = self.queue.pop() {
            let sequence = frame.sequence;
            match vision.look(frame, trusted, &self.attention) {
                Ok(look) => {
                    self.board.frame(fate(&look.face));
                    if looks.blocking_send(look).is_err() {
                        return;
                    }
                }
                Err(BadFrame(reason)) => {
                    self.in_flight.fetch_sub(1, Ordering::SeqCst);
                    bad_frame(&self.board, &format!("frame {sequence}: {reason}"));
                }
            }
        }
    }
}

fn fate(face: &FaceLook) -> FrameFate {
    match face {
        FaceLook::NotLookedFor | FaceLook::Untrusted | FaceLook::DecidedAbout => FrameFate::NotLookedAt,
        FaceLook::Nobody | FaceLook::PasserBy => FrameFate::NoFace,
        FaceLook::Several | FaceLook::Poor(_) | FaceLook::Unavailable => FrameFate::Poor,
        FaceLook::Usable(_) => FrameFate::Usable,
    }
}

fn bad_frame(board: &Board, reason: &str) {
    board.frame(FrameFate::Bad);
    tracing::warn!(reason, "a bad frame was dropped; the gate goes on");
}

#[cfg(test)]
mod tests {
    use facegate_domain::ids::GateId;
    use facegate_runtime::clock::SystemClock;

    use super::*;
    use crate::board::Who;
    use crate::camera::Picture;
    use crate::camera::health::HealthPolicy;
    use crate::config::{Mode, Role};
    use crate::freshness::FreshnessPolicy;

    #[test]
    fn a_picture_that_keeps_coming_back_is_handed_on_as_not_to_be_trusted() {
        let id = GateId::new("north-in-1").unwrap();
        let who = Who { id, role: Role::Gate, mode: Mode::Production, direction: None };
        let policy = FreshnessPolicy { device: "cam-1".into(), age_max_ms: 60_000, identical_max: Some(1) };
        let mut feed = Feed {
            queue: Arc::new(NewestWins::new(1)),
            in_flight: Arc::default(),
            board: Arc::new(Board::new(who)),
            freshness: Freshness::new(policy),
            health: Arc::new(CameraHealth::new(HealthPolicy { silence_max_ms: None, frozen_after_ms: None }, 0)),
            clock: Arc::new(SystemClock::new()),
        };
        let trusted = (0..6_u64).map(|sequence| {
            // Only every other picture is new.
            let picture = if sequence.is_multiple_of(2) { 0 } else { sequence };
            let picture = Picture::Encoded(picture.to_be_bytes().to_vec());
            let device = "cam-1".into();
            feed.push(CapturedFrame { sequence, captured_ms: 0, device, picture, depth: None, infrared: None });
            feed.queue.pop().unwrap().trusted
        });
        assert_eq!(trusted.collect::<Vec<_>>(), [true, true, true, true, false, true]);
        assert_eq!(feed.in_flight.load(Ordering::SeqCst), 6, "untrusted frames are looked at, too: for codes");
    }
}
