//! Where frames come from. A camera gives pictures; nothing here looks at pixels but `health`, which looks at the camera.

pub mod beside;
pub mod folder;
#[cfg(feature = "gstreamer")]
pub mod gstreamer;
pub mod health;
pub mod mjpeg;
mod multipart;
pub mod reconnecting;
pub mod replay;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use facegate_domain::Clock;
use facegate_models::{FaceEngine, Frame, ImageError, MisfitPlanes, PixelLayout, SampleRange};

use self::beside::WithSensors;
use self::folder::FolderCamera;
use self::mjpeg::MjpegSource;
use self::reconnecting::Reconnecting;
use self::replay::ReplayCamera;
use crate::config::{CameraConfig, SourceConfig};

/// One picture as the camera delivered it.
pub struct CapturedFrame {
    /// Gap-free count of the camera's frames from 0.
    pub sequence: u64,
    /// The gate's monotonic clock when the frame was captured.
    pub captured_ms: u64,
    /// How the device that took it names itself.
    pub device: Arc<str>,
    pub picture: Picture,
    /// The same view's distances, PNG of 16 bits of grey in millimetres, from a camera that has them.
    pub depth: Option<Vec<u8>>,
    /// The same view under the infrared lamp, PNG or JPEG, from a camera that has it.
    pub infrared: Option<Vec<u8>>,
}

impl fmt::Debug for CapturedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CapturedFrame({}, {} bytes)", self.sequence, self.picture.bytes().len())
    }
}

/// The picture of a frame, not to be trusted.
pub enum Picture {
    /// JPEG or PNG.
    Encoded(Vec<u8>),
    /// Uncompressed, as a hardware decoder hands it over.
    Raw(RawPicture),
}

/// Samples of a picture, rows without gaps.
pub struct RawPicture {
    pub layout: PixelLayout,
    pub range: SampleRange,
    pub width: usize,
    pub height: usize,
    pub samples: Vec<u8>,
}

/// Why there is nothing to look at in a frame.
#[derive(Debug, thiserror::Error)]
pub enum UnreadablePicture {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("an uncompressed picture of {width}x{height} that does not fit its samples or is out of bounds: {reason}")]
    Raw { width: usize, height: usize, reason: &'static str },
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({} bytes)", self.bytes().len())
    }
}

impl fmt::Debug for RawPicture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawPicture({:?}, {}x{})", self.layout, self.width, self.height)
    }
}

impl Picture {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Encoded(bytes) => bytes,
            Self::Raw(raw) => &raw.samples,
        }
    }

    /// Decodes it; limits are checked before memory is taken.
    pub fn decode(self, engine: &FaceEngine) -> Result<Frame, UnreadablePicture> {
        let RawPicture { layout, range, width, height, samples } = match self {
            Self::Encoded(bytes) => return Ok(engine.decode(&bytes)?),
            Self::Raw(raw) => raw,
        };
        let limits = engine.options().image;
        let unfit = |reason| UnreadablePicture::Raw { width, height, reason };
        if width.saturating_mul(height) as u64 > limits.pixels_max {
            return Err(unfit("too many pixels"));
        }
        if width.min(height) < limits.side_px_min as usize {
            return Err(unfit("too few pixels"));
        }
        let fitted = Frame::from_camera(layout, range, width, height, samples);
        fitted.map_err(|MisfitPlanes| unfit("the samples are not that many, or a side is odd"))
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
    /// Nothing comes any more; the camera tries by itself to be there again.
    Lost {
        reason: String,
    },
}

/// A source of frames.
#[async_trait]
pub trait Camera: Send {
    /// The next frame, waiting for it as long as it takes. A camera that is lost reconnects by itself. What has begun
    /// may be dropped and begun anew without losing a frame.
    async fn next(&mut self) -> CameraEvent;

    /// The picture stands still, or none comes though nothing was said to be lost: lets go of the device, and opens it
    /// anew. A camera without a device has nothing to do.
    fn reopen(&mut self) {}
}

/// The camera that the configuration names, with the depth and infrared streams beside it.
pub fn open(config: &CameraConfig, frame_bytes_max: u64, clock: &Arc<dyn Clock>) -> Box<dyn Camera> {
    let open = |source: &SourceConfig| open_source(source, frame_bytes_max, Arc::clone(clock));
    let colour = open(&config.source);
    if config.depth.is_none() && config.infrared.is_none() {
        return colour;
    }
    let [depth, infrared] = [&config.depth, &config.infrared].map(|source| source.as_ref().map(open));
    Box::new(WithSensors::new(colour, depth, infrared, config.sensor_skew_max_ms))
}

fn open_source(source: &SourceConfig, bytes_max: u64, clock: Arc<dyn Clock>) -> Box<dyn Camera> {
    match source {
        SourceConfig::Folder(folder) => Box::new(FolderCamera::new(folder.clone(), bytes_max, clock)),
        SourceConfig::Replay(replay) => Box::new(ReplayCamera::new(replay.clone(), bytes_max, clock)),
        SourceConfig::Mjpeg(url) => Box::new(Reconnecting::new(MjpegSource::new(url.clone(), bytes_max), clock)),
        #[cfg(feature = "gstreamer")]
        SourceConfig::Gstreamer(pipeline) => {
            let source = gstreamer::GstreamerSource::new(pipeline.clone(), bytes_max);
            Box::new(Reconnecting::new(source, clock))
        }
    }
}
