//! A camera behind a line that may break: opened, read until it ends, and opened again, ever more slowly.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Clock;
use facegate_runtime::backoff::Backoff;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Camera, CameraEvent, CapturedFrame, Picture};

/// A camera that does not answer within this is tried again.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
const FIRST_RETRY: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// What can be opened again and again.
#[async_trait]
pub trait Source: Send {
    /// How the device names itself, without secrets.
    fn device(&self) -> String;

    /// Errors: why not, in words for an operator.
    async fn open(&mut self) -> Result<Box<dyn Pictures>, String>;
}

/// An open line.
#[async_trait]
pub trait Pictures: Send {
    /// The next picture. Errors: why the line has ended. What has begun may be dropped without losing anything.
    async fn next(&mut self) -> Result<Taken, String>;
}

/// What came over the line.
pub enum Taken {
    /// A picture and how long ago it was captured, as far as the line tells.
    Picture { picture: Picture, age_ms: u64 },
    /// One that cannot be used, while the line goes on.
    Bad(String),
}

/// See the module's description.
pub struct Reconnecting<S> {
    source: S,
    device: Arc<str>,
    clock: Arc<dyn Clock>,
    line: Option<Box<dyn Pictures>>,
    backoff: Backoff,
    /// Not opened again before.
    retry_at: Option<Instant>,
    next_sequence: u64,
}

impl<S: Source> Reconnecting<S> {
    pub fn new(source: S, clock: Arc<dyn Clock>) -> Self {
        let device = source.device().into();
        let backoff = Backoff::new(FIRST_RETRY, RETRY_MAX);
        Self { source, device, clock, line: None, backoff, retry_at: None, next_sequence: 0 }
    }

    fn lost(&mut self, reason: String) -> CameraEvent {
        self.line = None;
        self.retry_at = Some(Instant::now() + self.backoff.next_delay());
        CameraEvent::Lost { reason }
    }
}

#[async_trait]
impl<S: Source> Camera for Reconnecting<S> {
    async fn next(&mut self) -> CameraEvent {
        loop {
            let Some(line) = &mut self.line else {
                if let Some(at) = self.retry_at {
                    sleep_until(at).await;
                }
                match timeout(OPEN_WITHIN, self.source.open()).await {
                    Ok(Ok(line)) => self.line = Some(line),
                    Ok(Err(reason)) => return self.lost(reason),
                    Err(_) => return self.lost(format!("{} does not answer", self.device)),
                }
                continue;
            };
            return match line.next().await {
                Ok(Taken::Picture { picture, age_ms }) => {
                    self.backoff.reset();
                    let sequence = self.next_sequence;
                    self.next_sequence += 1;
                    let captured_ms = self.clock.monotonic_ms().saturating_sub(age_ms);
                    let device = Arc::clone(&self.device);
                    let (depth, infrared) = (None, None);
                    CameraEvent::Frame(CapturedFrame { sequence, captured_ms, device, picture, depth, infrared })
                }
                Ok(Taken::Bad(reason)) => CameraEvent::BadFrame { reason },
                Err(reason) => self.lost(reason),
            };
        }
    }

    fn reopen(&mut self) {
        self.line = None;
        self.retry_at = Some(Instant::now() + self.backoff.next_delay());
    }
}

impl<S> std::fmt::Debug for Reconnecting<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reconnecting({})", self.device)
    }
}

impl std::fmt::Debug for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Picture { picture, age_ms } => write!(f, "Picture({} bytes, {age_ms} ms old)", picture.bytes().len()),
            Self::Bad(reason) => write!(f, "Bad({reason})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use facegate_runtime::clock::SystemClock;

    use super::*;

    /// Refuses twice, then gives two pictures and a bad one and breaks, for ever.
    #[derive(Default)]
    struct Flaky {
        opened: u32,
    }

    struct Line(u32);

    #[async_trait]
    impl Source for Flaky {
        fn device(&self) -> String {
            "flaky".into()
        }

        async fn open(&mut self) -> Result<Box<dyn Pictures>, String> {
            self.opened += 1;
            if self.opened < 3 { Err(format!("refused {}", self.opened)) } else { Ok(Box::new(Line(0))) }
        }
    }

    #[async_trait]
    impl Pictures for Line {
        async fn next(&mut self) -> Result<Taken, String> {
            self.0 += 1;
            match self.0 {
                1 | 3 => Ok(Taken::Picture { picture: Picture::Encoded(vec![1]), age_ms: 0 }),
                2 => Ok(Taken::Bad("half".into())),
                _ => Err("broken".into()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_breaks_is_opened_again_and_its_frames_go_on_counting() {
        let mut camera = Reconnecting::new(Flaky::default(), Arc::new(SystemClock::new()));
        let mut said = Vec::new();
        for _ in 0..10 {
            said.push(match camera.next().await {
                CameraEvent::Frame(frame) => frame.sequence.to_string(),
                CameraEvent::BadFrame { reason } | CameraEvent::Lost { reason } => reason,
            });
        }
        let expected = ["refused 1", "refused 2", "0", "half", "1", "broken", "2", "half", "3", "broken"];
        assert_eq!(said, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_tried_ever_more_slowly_and_never_in_a_tight_loop() {
        struct Never;
        #[async_trait]
        impl Source for Never {
            fn device(&self) -> String {
                "never".into()
            }
            async fn open(&mut self) -> Result<Box<dyn Pictures>, String> {
                Err("no".into())
            }
        }
        let mut camera = Reconnecting::new(Never, Arc::new(SystemClock::new()));
        let begun = Instant::now();
        for _ in 0..30 {
            camera.next().await;
        }
        let took = begun.elapsed();
        assert!(took > Duration::from_secs(60) && took < Duration::from_secs(29 * 5 + 1), "{took:?}");
    }
}
