//! Where frames come from. A camera gives encoded pictures; nothing here looks at pixels.

pub mod folder;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

/// One picture as the camera delivered it.
pub struct CapturedFrame {
    /// Gap-free count of the camera's frames from 0.
    pub sequence: u64,
    /// The gate's monotonic clock when the frame was captured.
    pub captured_ms: u64,
    /// How the device that took it names itself.
    pub device: Arc<str>,
    /// JPEG or PNG, still encoded and not to be trusted.
    pub bytes: Vec<u8>,
    /// The same view's distances, PNG of 16 bits of grey in millimetres, from a camera that has them.
    pub depth: Option<Vec<u8>>,
    /// The same view under the infrared lamp, PNG, from a camera that has it.
    pub infrared: Option<Vec<u8>>,
}

impl fmt::Debug for CapturedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CapturedFrame({}, {} bytes)", self.sequence, self.bytes.len())
    }
}

/// What the camera has to say.
#[derive(Debug)]
pub enum CameraEvent {
    Frame(CapturedFrame),
    /// A frame that could not be taken (unreadable, too large); the camera goes on.
    BadFrame {
        reason: String,
    },
}

/// A source of frames.
#[async_trait]
pub trait Camera: Send {
    /// The next frame, waiting for it as long as it takes. A camera that is lost reconnects by itself.
    async fn next(&mut self) -> CameraEvent;
}
