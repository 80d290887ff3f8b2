//! A folder as a camera, for development: every `.jpg` or `.png` that appears is one frame, taken in name order and
//! deleted. Whoever writes the pictures writes them elsewhere and renames them in, so that none is seen half.
//!
//! `NAME.depth.png` and `NAME.ir.png` beside `NAME.jpg` are the same moment's depth and infrared images; they are
//! renamed in before it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Clock;

use super::{Camera, CameraEvent, CapturedFrame, Picture};

/// How often the folder is looked into while it is empty.
const POLL: Duration = Duration::from_millis(10);
/// What takes the place of a picture's extension in the names of the images beside it.
const DEPTH: &str = "depth.png";
const INFRARED: &str = "ir.png";

/// See the module's description.
#[derive(Debug)]
pub struct FolderCamera {
    folder: PathBuf,
    frame_bytes_max: u64,
    clock: Arc<dyn Clock>,
    next_sequence: u64,
    /// Said once, not at every look.
    complained: bool,
    device: Arc<str>,
}

impl FolderCamera {
    /// Frames of more than `frame_bytes_max` bytes are deleted unread.
    pub fn new(folder: PathBuf, frame_bytes_max: u64, clock: Arc<dyn Clock>) -> Self {
        let device = Self::device(&folder).into();
        Self { folder, frame_bytes_max, clock, next_sequence: 0, complained: false, device }
    }

    /// How the camera of this folder names itself.
    pub fn device(folder: &Path) -> String {
        format!("folder:{}", folder.display())
    }

    /// The image beside a frame, which goes with it.
    fn beside(&self, picture: &Path, kind: &str) -> Option<Vec<u8>> {
        let path = picture.with_extension(kind);
        let bytes = path.is_file().then(|| read_bounded(&path, self.frame_bytes_max))?;
        let removed = std::fs::remove_file(&path).map_err(|e| e.to_string());
        bytes.and_then(|bytes| removed.map(|()| bytes)).map_err(|reason| tracing::warn!(kind, reason, "not taken")).ok()
    }

    fn take(&mut self, path: &Path) -> CameraEvent {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (depth, infrared) = (self.beside(path, DEPTH), self.beside(path, INFRARED));
        let bytes = read_bounded(path, self.frame_bytes_max);
        if let Err(error) = std::fs::remove_file(path) {
            // It would come again for ever: keep it out of the way of the other frames.
            tracing::error!(frame = name, %error, "a frame cannot be deleted; the folder camera waits for its removal");
            std::thread::sleep(POLL);
        }
        match bytes {
            Ok(bytes) => {
                let sequence = self.next_sequence;
                self.next_sequence += 1;
                let (captured_ms, device) = (self.clock.monotonic_ms(), Arc::clone(&self.device));
                let picture = Picture::Encoded(bytes);
                CameraEvent::Frame(CapturedFrame { sequence, captured_ms, device, picture, depth, infrared })
            }
            Err(reason) => CameraEvent::BadFrame { reason: format!("{name}: {reason}") },
        }
    }
}

#[async_trait]
impl Camera for FolderCamera {
    async fn next(&mut self) -> CameraEvent {
        loop {
            match first_picture(&self.folder) {
                Ok(Some(path)) => {
                    self.complained = false;
                    return self.take(&path);
                }
                Ok(None) => self.complained = false,
                Err(error) if !self.complained => {
                    self.complained = true;
                    tracing::warn!(folder = %self.folder.display(), %error, "no camera folder yet; waiting for it");
                }
                Err(_) => {}
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

fn first_picture(folder: &Path) -> io::Result<Option<PathBuf>> {
    let mut first: Option<PathBuf> = None;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_picture = path.extension().and_then(OsStr::to_str).is_some_and(|e| matches!(e, "jpg" | "png"));
        let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        let is_beside = [DEPTH, INFRARED].iter().any(|kind| kind.strip_suffix(".png") == stem.rsplit('.').next());
        if is_picture && !is_beside && path.is_file() && first.as_ref().is_none_or(|f| path < *f) {
            first = Some(path);
        }
    }
    Ok(first)
}

fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let bytes = path.metadata().map_err(|e| e.to_string())?.len();
    if bytes > bytes_max {
        return Err(format!("{bytes} bytes, at most {bytes_max} are read"));
    }
    std::fs::read(path).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use facegate_runtime::clock::SystemClock;

    use super::*;

    #[tokio::test]
    async fn pictures_come_once_in_name_order_and_others_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in
            [("b.png", "B"), ("a.jpg", "A"), ("c.tmp", "half"), ("huge.jpg", "0123456789"), ("z.jpg", "Z")]
        {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let mut camera = FolderCamera::new(dir.path().to_owned(), 5, Arc::new(SystemClock::new()));
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(match camera.next().await {
                CameraEvent::Frame(f) => (f.sequence, String::from_utf8(f.picture.bytes().to_vec()).unwrap()),
                CameraEvent::BadFrame { reason } | CameraEvent::Lost { reason } => (99, reason),
            });
        }
        let expected = [(0, "A"), (1, "B"), (99, "huge.jpg: 10 bytes, at most 5 are read"), (2, "Z")];
        assert_eq!(seen, expected.map(|(n, s)| (n, s.to_owned())));
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["c.tmp"]);
    }

    #[tokio::test]
    async fn depth_and_infrared_images_come_with_their_picture_and_never_alone() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["1.depth.png", "1.ir.png", "1.jpg", "2.depth.png", "3.png"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        let mut camera = FolderCamera::new(dir.path().to_owned(), 100, Arc::new(SystemClock::new()));
        let mut seen = Vec::new();
        for _ in 0..2 {
            let CameraEvent::Frame(frame) = camera.next().await else { panic!("a bad frame") };
            assert_eq!(*frame.device, *FolderCamera::device(dir.path()));
            seen.push(
                [Some(frame.picture.bytes().to_vec()), frame.depth, frame.infrared]
                    .map(|b| b.map(|b| String::from_utf8(b).unwrap())),
            );
        }
        let text = |name: &str| Some(name.to_owned());
        assert_eq!(seen[0], [text("1.jpg"), text("1.depth.png"), text("1.ir.png")]);
        assert_eq!(seen[1], [text("3.png"), None, None]);
        assert!(dir.path().join("2.depth.png").exists() && !dir.path().join("1.ir.png").exists());
    }
}
