//! A recording as a camera, for development: a Motion-JPEG AVI file at its own pace, or the pictures of a folder in name
//! order at the configured one. Played once or again and again; what was played stays where it is.

mod avi;

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Clock;
use tokio::time::{Instant, sleep_until};

use self::avi::{Avi, Chunk};
use super::{Camera, CameraEvent, CapturedFrame, Picture};

/// A recording that cannot be opened is looked for again after this.
const RETRY: Duration = Duration::from_secs(1);

/// What is played, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// An AVI file, or a folder of `.jpg` and `.png` pictures.
    pub path: PathBuf,
    /// Between two pictures of a folder; a file has its own.
    pub interval: Duration,
    pub loops: bool,
}

/// See the module's description.
pub struct ReplayCamera {
    replay: Replay,
    frame_bytes_max: u64,
    clock: Arc<dyn Clock>,
    device: Arc<str>,
    playing: Option<Playing>,
    next_at: Instant,
    next_sequence: u64,
    ended: bool,
}

enum Playing {
    File(Avi<BufReader<File>>),
    Pictures(VecDeque<PathBuf>),
}

impl ReplayCamera {
    pub fn new(replay: Replay, frame_bytes_max: u64, clock: Arc<dyn Clock>) -> Self {
        let device = Self::device(&replay.path).into();
        let next_at = Instant::now();
        Self { replay, frame_bytes_max, clock, device, playing: None, next_at, next_sequence: 0, ended: false }
    }

    /// How the camera of this recording names itself.
    pub fn device(path: &Path) -> String {
        format!("replay:{}", path.display())
    }

    fn begin(&self) -> Result<Playing, String> {
        let path = &self.replay.path;
        let words = |e: std::io::Error| format!("{}: {e}", path.display());
        if path.is_dir() {
            let entries = std::fs::read_dir(path).map_err(words)?;
            let is_picture =
                |path: &PathBuf| path.extension().and_then(OsStr::to_str).is_some_and(|e| matches!(e, "jpg" | "png"));
            let mut pictures: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_picture).collect();
            pictures.sort();
            return Ok(Playing::Pictures(pictures.into()));
        }
        let file = BufReader::new(File::open(path).map_err(words)?);
        Ok(Playing::File(Avi::open(file, self.frame_bytes_max).map_err(|e| format!("{}: {e}", path.display()))?))
    }

    /// The next picture and how long it is shown; none at the end.
    fn take(&mut self) -> Option<(Result<Vec<u8>, String>, Duration)> {
        match self.playing.as_mut()? {
            Playing::File(avi) => {
                let chunk = avi.next()?;
                let picture = match chunk {
                    Ok(Chunk::Picture(bytes)) => Ok(bytes),
                    Ok(Chunk::TooLarge(bytes)) => Err(format!("a picture of {bytes} bytes is passed over")),
                    Err(error) => Err(error.to_string()),
                };
                Some((picture, avi.interval()))
            }
            Playing::Pictures(pictures) => {
                let path = pictures.pop_front()?;
                Some((read_bounded(&path, self.frame_bytes_max), self.replay.interval))
            }
        }
    }
}

fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("{}: more than {bytes_max} bytes", path.display()));
    }
    Ok(bytes)
}

#[async_trait]
impl Camera for ReplayCamera {
    async fn next(&mut self) -> CameraEvent {
        loop {
            if self.ended {
                std::future::pending::<()>().await;
            }
            sleep_until(self.next_at).await;
            if self.playing.is_none() {
                match self.begin() {
                    Ok(playing) => self.playing = Some(playing),
                    Err(reason) => {
                        self.next_at = Instant::now() + RETRY;
                        return CameraEvent::Lost { reason };
                    }
                }
            }
            let Some((picture, interval)) = self.take() else {
                self.playing = None;
                // An empty recording is no reason to spin.
                self.next_at = Instant::now() + self.replay.interval;
                if !self.replay.loops {
                    self.ended = true;
                    return CameraEvent::Lost { reason: "the recording is over".into() };
                }
                continue;
            };
            self.next_at = (self.next_at + interval).max(Instant::now());
            return match picture {
                Ok(bytes) => {
                    let sequence = self.next_sequence;
                    self.next_sequence += 1;
                    let (captured_ms, device) = (self.clock.monotonic_ms(), Arc::clone(&self.device));
                    let picture = Picture::Encoded(bytes);
                    let (depth, infrared) = (None, None);
                    CameraEvent::Frame(CapturedFrame { sequence, captured_ms, device, picture, depth, infrared })
                }
                Err(reason) => CameraEvent::BadFrame { reason },
            };
        }
    }
}

impl std::fmt::Debug for ReplayCamera {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReplayCamera({})", self.device)
    }
}

#[cfg(test)]
mod tests {
    use facegate_runtime::clock::SystemClock;

    use super::*;

    fn replay(path: &Path, loops: bool) -> ReplayCamera {
        let replay = Replay { path: path.to_owned(), interval: Duration::from_millis(40), loops };
        ReplayCamera::new(replay, 10, Arc::new(SystemClock::new()))
    }

    async fn says(camera: &mut ReplayCamera) -> String {
        match camera.next().await {
            CameraEvent::Frame(frame) => String::from_utf8(frame.picture.bytes().to_vec()).unwrap(),
            CameraEvent::BadFrame { reason } => format!("bad: {reason}"),
            CameraEvent::Lost { reason } => format!("lost: {reason}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_pictures_of_a_folder_come_in_order_at_their_pace_and_stay_there() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in [("2.png", "two"), ("1.jpg", "one"), ("3.jpg", "far too large"), ("notes.txt", "no")] {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let (mut camera, begun) = (replay(dir.path(), false), Instant::now());
        assert_eq!([says(&mut camera).await, says(&mut camera).await], ["one", "two"]);
        assert!(says(&mut camera).await.contains("more than 10 bytes"));
        assert_eq!(begun.elapsed().as_millis(), 80);
        assert_eq!(says(&mut camera).await, "lost: the recording is over");
        let more = tokio::time::timeout(Duration::from_secs(60), camera.next()).await;
        assert!(more.is_err(), "and then nothing");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 4);
        let mut again = replay(dir.path(), true);
        for expected in ["one", "two", "bad", "one"] {
            assert!(says(&mut again).await.starts_with(expected));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_recording_that_is_not_there_is_named_and_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("walk.avi");
        let mut camera = replay(&path, true);
        assert!(says(&mut camera).await.starts_with("lost: "));
        std::fs::write(&path, "no film").unwrap();
        assert!(says(&mut camera).await.contains("not an AVI file"));
        std::fs::write(&path, avi::tests::film(&[b"one", b"two"])).unwrap();
        assert_eq!([says(&mut camera).await, says(&mut camera).await], ["one", "two"]);
        let begun = Instant::now();
        assert_eq!([says(&mut camera).await, says(&mut camera).await], ["one", "two"]);
        assert!(begun.elapsed() >= Duration::from_millis(100), "at the file's own pace");
    }
}
