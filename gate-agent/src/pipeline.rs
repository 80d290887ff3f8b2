//! From the camera to looks: a task that takes frames, a short queue where the newest wins, a thread that looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::board::{Board, FrameFate};
use crate::camera::{Camera, CameraEvent, CapturedFrame};
use crate::queue::NewestWins;
use crate::vision::{Attention, BadFrame, FaceLook, Look, Vision};

/// Looks that may wait for the gate's decisions; beyond, the thread waits and frames supersede each other.
const LOOKS_QUEUED_MAX: usize = 2;

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
        camera: Box<dyn Camera>,
        vision: Vision,
        frames_queued_max: usize,
        board: Arc<Board>,
        shutdown: CancellationToken,
    ) -> Self {
        let queue = Arc::new(NewestWins::new(frames_queued_max));
        let in_flight = Arc::new(AtomicUsize::new(0));
        let attention = Arc::new(Attention::default());
        let (sender, looks) = mpsc::channel(LOOKS_QUEUED_MAX);
        let feed = Feed { queue: Arc::clone(&queue), in_flight: Arc::clone(&in_flight), board: Arc::clone(&board) };
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
    queue: Arc<NewestWins<CapturedFrame>>,
    in_flight: Arc<AtomicUsize>,
    board: Arc<Board>,
}

impl Feed {
    async fn run(self, mut camera: Box<dyn Camera>, shutdown: CancellationToken) {
        while let Some(event) = shutdown.run_until_cancelled(camera.next()).await {
            match event {
                CameraEvent::Frame(frame) => self.push(frame),
                CameraEvent::BadFrame { reason } => bad_frame(&self.board, &reason),
            }
        }
    }

    fn push(&self, frame: CapturedFrame) {
        self.board.frame(FrameFate::Received);
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        if let Some(superseded) = self.queue.push(frame) {
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
            self.board.frame(FrameFate::Superseded);
            tracing::debug!(frame = superseded.sequence, "superseded by a newer frame");
        }
    }
}

impl Drop for Feed {
    /// However the task ends, the looking thread must not wait for ever.
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Looks at frames, on a thread of its own.
struct Looking {
    queue: Arc<NewestWins<CapturedFrame>>,
    in_flight: Arc<AtomicUsize>,
    board: Arc<Board>,
    attention: Arc<Attention>,
}

impl Looking {
    fn run(&self, vision: &Vision, looks: &mpsc::Sender<Look>) {
        while let Some(frame) = self.queue.pop() {
            match vision.look(&frame, &self.attention) {
                Ok(look) => {
                    self.board.frame(fate(&look.face));
                    if looks.blocking_send(look).is_err() {
                        return;
                    }
                }
                Err(BadFrame(reason)) => {
                    self.in_flight.fetch_sub(1, Ordering::SeqCst);
                    bad_frame(&self.board, &format!("frame {}: {reason}", frame.sequence));
                }
            }
        }
    }
}

fn fate(face: &FaceLook) -> FrameFate {
    match face {
        FaceLook::NotLookedFor => FrameFate::NotLookedAt,
        FaceLook::Nobody | FaceLook::PasserBy => FrameFate::NoFace,
        FaceLook::Several | FaceLook::Poor(_) => FrameFate::Poor,
        FaceLook::Usable(_) => FrameFate::Usable,
    }
}

fn bad_frame(board: &Board, reason: &str) {
    board.frame(FrameFate::Bad);
    tracing::warn!(reason, "a bad frame was dropped; the gate goes on");
}
