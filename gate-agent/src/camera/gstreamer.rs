//! Any GStreamer pipeline as a camera: V4L2, RTSP, hardware decoders, in the words of `gst-launch-1.0`.
//!
//! The pipeline's end is ours: an `appsink` that takes JPEG, PNG or raw I420, NV12 and YUY2, keeps two pictures and drops
//! older ones. Capture times come from the pipeline's clock.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use facegate_models::{PixelLayout, SampleRange};
use gstreamer::prelude::*;
use gstreamer::{Caps, ClockTime, Element, MessageView, Pipeline, Sample, State};
use gstreamer_app::{AppSink, AppSinkCallbacks};
use gstreamer_video::{VideoColorRange, VideoFormat, VideoFrameExt, VideoFrameRef, VideoInfo};
use tokio::sync::Notify;

use super::reconnecting::{Pictures, Source, Taken};
use super::{Picture, RawPicture};

/// What the sink takes; a pipeline that gives something else is told so by GStreamer before it runs.
const TAKEN: &str = "image/jpeg; image/png; video/x-raw, format=(string){I420, NV12, YUY2}";
const PICTURES_KEPT: u32 = 2;

/// See the module's description.
#[derive(Debug)]
pub struct GstreamerSource {
    pipeline: String,
    frame_bytes_max: usize,
}

impl GstreamerSource {
    /// `pipeline` as [`problem`] found nothing wrong with.
    pub fn new(pipeline: String, frame_bytes_max: u64) -> Self {
        Self { pipeline, frame_bytes_max: usize::try_from(frame_bytes_max).unwrap_or(usize::MAX) }
    }

    /// How such a camera names itself: by its first element, since the rest may hold a password.
    pub fn device(pipeline: &str) -> String {
        format!("gstreamer:{}", pipeline.split_whitespace().next().unwrap_or_default())
    }
}

/// What is wrong with a pipeline before it is run.
pub fn problem(pipeline: &str) -> Option<String> {
    if pipeline.contains("appsink") {
        return Some("ends in an appsink already: leave it out, the camera brings its own".to_owned());
    }
    build(pipeline).err()
}

fn build(pipeline: &str) -> Result<(Pipeline, AppSink), String> {
    gstreamer::init().map_err(|e| format!("GStreamer cannot be used: {e}"))?;
    let whole = format!("{pipeline} ! appsink name=facegate-frames");
    // GStreamer's words name the element or property that is wrong.
    let parsed = gstreamer::parse::launch(&whole).map_err(|e| e.message().to_owned())?;
    let pipeline = parsed.downcast::<Pipeline>().map_err(|_| "is not a pipeline".to_owned())?;
    let sink = pipeline.by_name("facegate-frames").and_then(|sink| sink.downcast::<AppSink>().ok());
    let sink = sink.ok_or_else(|| "its end does not take a sink".to_owned())?;
    let caps = TAKEN.parse::<Caps>().map_err(|e| e.to_string())?;
    sink.set_caps(Some(&caps));
    // The newest wins, and no picture waits for its time: it is old enough already.
    sink.set_max_buffers(PICTURES_KEPT);
    sink.set_drop(true);
    sink.set_property("sync", false);
    Ok((pipeline, sink))
}

#[async_trait]
impl Source for GstreamerSource {
    fn device(&self) -> String {
        Self::device(&self.pipeline)
    }

    async fn open(&mut self) -> Result<Box<dyn Pictures>, String> {
        let (pipeline, sink) = build(&self.pipeline)?;
        let running = Running { pipeline, sink, news: Arc::default(), frame_bytes_max: self.frame_bytes_max };
        running.listen()?;
        // A change of state may wait for a network.
        let pipeline = running.pipeline.clone();
        let started = tokio::task::spawn_blocking(move || pipeline.set_state(State::Playing)).await;
        if !matches!(started, Ok(Ok(_))) {
            return Err(running.fault().unwrap_or_else(|| "the pipeline does not start".to_owned()));
        }
        Ok(Box::new(running))
    }
}

struct Running {
    pipeline: Pipeline,
    sink: AppSink,
    news: Arc<News>,
    frame_bytes_max: usize,
}

/// What GStreamer's threads tell.
#[derive(Default)]
struct News {
    ended: Mutex<Option<String>>,
    changed: Notify,
}

impl News {
    fn end(&self, reason: String) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.changed.notify_one();
    }
}

impl Running {
    fn listen(&self) -> Result<(), String> {
        let (pictured, ended) = (Arc::clone(&self.news), Arc::clone(&self.news));
        let callbacks = AppSinkCallbacks::builder()
            .new_sample(move |_| {
                pictured.changed.notify_one();
                Ok(gstreamer::FlowSuccess::Ok)
            })
            .eos(move |_| ended.end("the pipeline's stream has ended".to_owned()));
        self.sink.set_callbacks(callbacks.build());
        let news = Arc::clone(&self.news);
        let bus = self.pipeline.bus().ok_or("the pipeline has no bus")?;
        bus.set_sync_handler(move |_, message| {
            if let MessageView::Error(error) = message.view() {
                let element = error.src().map(|source| source.name().to_string()).unwrap_or_default();
                news.end(format!("{element}: {}", error.error().message()));
            }
            gstreamer::BusSyncReply::Drop
        });
        Ok(())
    }

    fn fault(&self) -> Option<String> {
        self.news.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long ago the sample was captured, by the pipeline's clock.
    fn age_ms(&self, sample: &Sample) -> u64 {
        let age = || {
            let segment = sample.segment()?.downcast_ref::<ClockTime>()?;
            let captured = segment.to_running_time(sample.buffer()?.pts()?)?;
            self.pipeline.current_running_time()?.checked_sub(captured)
        };
        age().map_or(0, ClockTime::mseconds)
    }

    fn read(&self, sample: &Sample) -> Result<Picture, String> {
        let (Some(caps), Some(buffer)) = (sample.caps(), sample.buffer()) else {
            return Err("a sample without a picture".to_owned());
        };
        if buffer.size() > 16 * self.frame_bytes_max {
            return Err(format!("a picture of {} bytes", buffer.size()));
        }
        let is_raw = caps.structure(0).is_some_and(|structure| structure.name() == "video/x-raw");
        if is_raw {
            let info = VideoInfo::from_caps(caps).map_err(|e| e.to_string())?;
            let frame = VideoFrameRef::from_buffer_ref_readable(buffer, &info).map_err(|e| e.to_string())?;
            return raw(&frame, &info).map(Picture::Raw);
        }
        if buffer.size() > self.frame_bytes_max {
            return Err(format!("{} bytes, at most {} are read", buffer.size(), self.frame_bytes_max));
        }
        let bytes = buffer.map_readable().map_err(|e| e.to_string())?;
        Ok(Picture::Encoded(bytes.to_vec()))
    }
}

/// The planes one after the other, without the gaps that a decoder leaves between rows.
fn raw(frame: &VideoFrameRef<&gstreamer::BufferRef>, info: &VideoInfo) -> Result<RawPicture, String> {
    let layout = match info.format() {
        VideoFormat::I420 => PixelLayout::I420,
        VideoFormat::Nv12 => PixelLayout::Nv12,
        VideoFormat::Yuy2 => PixelLayout::Yuyv,
        other => return Err(format!("pictures of {other}")),
    };
    let (width, height) = (info.width() as usize, info.height() as usize);
    let mut samples = Vec::with_capacity(2 * width * height);
    for plane in 0..info.n_planes() {
        let data = frame.plane_data(plane).map_err(|e| e.to_string())?;
        let stride = frame.plane_stride()[plane as usize];
        let (row_bytes, rows) = match (layout, plane) {
            (PixelLayout::Yuyv, _) => (2 * width, height),
            (_, 0) => (width, height),
            (PixelLayout::Nv12, _) => (width, height / 2),
            (PixelLayout::I420, _) => (width / 2, height / 2),
        };
        let stride = usize::try_from(stride).ok().filter(|stride| *stride >= row_bytes).ok_or("rows upside down")?;
        for row in data.chunks(stride).take(rows) {
            samples.extend_from_slice(row.get(..row_bytes).ok_or("a picture that is cut off")?);
        }
    }
    let full = info.colorimetry().range() == VideoColorRange::Range0_255;
    let range = if full { SampleRange::Full } else { SampleRange::Limited };
    Ok(RawPicture { layout, range, width, height, samples })
}

#[async_trait]
impl Pictures for Running {
    async fn next(&mut self) -> Result<Taken, String> {
        loop {
            if let Some(sample) = self.sink.try_pull_sample(ClockTime::ZERO) {
                let age_ms = self.age_ms(&sample);
                return Ok(match self.read(&sample) {
                    Ok(picture) => Taken::Picture { picture, age_ms },
                    Err(reason) => Taken::Bad(reason),
                });
            }
            if let Some(reason) = self.fault() {
                return Err(reason);
            }
            self.news.changed.notified().await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pipeline: Element = self.pipeline.clone().upcast();
        // A device that hangs must not hold up the gate.
        std::thread::spawn(move || pipeline.set_state(State::Null));
    }
}
