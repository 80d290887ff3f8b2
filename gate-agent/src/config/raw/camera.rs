//! `[camera]` and the streams beside it.

use std::path::PathBuf;
use std::time::Duration;

use facegate_runtime::config::Problems;
use reqwest::Url;
use serde::Deserialize;

use super::RawMode;
use crate::camera::folder::FolderCamera;
use crate::camera::health::HealthPolicy;
use crate::camera::mjpeg::MjpegSource;
use crate::camera::replay::{Replay, ReplayCamera};
use crate::config::{CameraConfig, SourceConfig};
use crate::freshness::FreshnessPolicy;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCamera {
    kind: RawKind,
    folder: Option<PathBuf>,
    path: Option<PathBuf>,
    url: Option<String>,
    pipeline: Option<String>,
    device: Option<String>,
    #[serde(default = "frames_per_second")]
    frames_per_second: f64,
    #[serde(default)]
    loops: bool,
    #[serde(default = "frame_age_max_ms")]
    frame_age_max_ms: u64,
    #[serde(default)]
    identical_frames: RawIdentical,
    #[serde(default = "silence_max_ms")]
    silence_max_ms: u64,
    #[serde(default = "frozen_after_ms")]
    frozen_after_ms: u64,
    #[serde(default = "sensor_skew_max_ms")]
    sensor_skew_max_ms: u64,
    depth: Option<RawSensor>,
    infrared: Option<RawSensor>,
}

const fn frames_per_second() -> f64 {
    15.0
}

const fn frame_age_max_ms() -> u64 {
    1000
}

const fn silence_max_ms() -> u64 {
    2000
}

const fn frozen_after_ms() -> u64 {
    5000
}

const fn sensor_skew_max_ms() -> u64 {
    100
}

/// A stream of images beside the camera's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSensor {
    kind: RawKind,
    path: Option<PathBuf>,
    url: Option<String>,
    pipeline: Option<String>,
    #[serde(default = "frames_per_second")]
    frames_per_second: f64,
    #[serde(default)]
    loops: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawIdentical {
    #[default]
    Refuse,
    Accept,
}

/// A decoder that lost its stream shows its last picture again; more often is a loop.
const STUTTERS_MAX: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawKind {
    Folder,
    Replay,
    Mjpeg,
    Gstreamer,
}

impl RawKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Replay => "replay",
            Self::Mjpeg => "mjpeg",
            Self::Gstreamer => "gstreamer",
        }
    }
}

/// The keys of which every kind has one, as they are written.
struct Keys<'a> {
    kind: RawKind,
    folder: Option<&'a PathBuf>,
    path: Option<&'a PathBuf>,
    url: Option<&'a String>,
    pipeline: Option<&'a String>,
    frames_per_second: f64,
    loops: bool,
}

impl RawCamera {
    pub(super) fn check(&self, mode: RawMode, problems: &mut Problems) -> Option<(CameraConfig, FreshnessPolicy)> {
        self.refuse_in_production(mode, problems);
        let source = self.keys().check("camera", problems);
        let mut sensor = |name: &str, raw: &Option<RawSensor>| match raw {
            None => Some(None),
            Some(raw) => raw.check(&format!("camera.{name}"), mode, problems).map(Some),
        };
        let (depth, infrared) = (sensor("depth", &self.depth), sensor("infrared", &self.infrared));
        let sensor_skew_max_ms = problems.within("camera.sensor_skew_max_ms", self.sensor_skew_max_ms, 1..=1000);
        let silence_max_ms = problems.within("camera.silence_max_ms", self.silence_max_ms, 200..=60_000);
        let frozen_after_ms = problems.within("camera.frozen_after_ms", self.frozen_after_ms, 500..=600_000);
        let age_max_ms = problems.within("camera.frame_age_max_ms", self.frame_age_max_ms, 50..=10_000);
        let source = source?;
        let device = self.device.clone().unwrap_or_else(|| source.device());
        let repeats = self.identical_frames == RawIdentical::Accept;
        // A folder's pictures come when somebody puts them there.
        let health = HealthPolicy {
            silence_max_ms: silence_max_ms.filter(|_| self.kind != RawKind::Folder),
            frozen_after_ms: frozen_after_ms.filter(|_| !repeats),
        };
        let identical_max = (!repeats).then_some(STUTTERS_MAX);
        let sensor_skew_max_ms = sensor_skew_max_ms?;
        let config = CameraConfig { source, depth: depth?, infrared: infrared?, sensor_skew_max_ms, health };
        Some((config, FreshnessPolicy { device, age_max_ms: age_max_ms?, identical_max }))
    }

    /// In production nobody may put a face before a gate by writing a file.
    fn refuse_in_production(&self, mode: RawMode, problems: &mut Problems) {
        if mode != RawMode::Production {
            return;
        }
        refuse_simulated("camera", self.kind, problems);
        if self.identical_frames == RawIdentical::Accept {
            problems.add("camera.identical_frames", "`accept` is for mode = \"development\" only");
        }
    }

    fn keys(&self) -> Keys<'_> {
        Keys {
            kind: self.kind,
            folder: self.folder.as_ref(),
            path: self.path.as_ref(),
            url: self.url.as_ref(),
            pipeline: self.pipeline.as_ref(),
            frames_per_second: self.frames_per_second,
            loops: self.loops,
        }
    }
}

fn refuse_simulated(at: &str, kind: RawKind, problems: &mut Problems) {
    if matches!(kind, RawKind::Folder | RawKind::Replay) {
        let kind = kind.name();
        problems.add(format!("{at}.kind"), format!("`{kind}` is for mode = \"development\" only"));
    }
}

impl RawSensor {
    fn check(&self, at: &str, mode: RawMode, problems: &mut Problems) -> Option<SourceConfig> {
        if mode == RawMode::Production {
            refuse_simulated(at, self.kind, problems);
        }
        if self.kind == RawKind::Folder {
            problems.add(
                format!("{at}.kind"),
                "a folder's images lie beside their pictures, as NAME.depth.png and NAME.ir.png",
            );
            return None;
        }
        let Self { kind, frames_per_second, loops, .. } = *self;
        let (path, url, pipeline) = (self.path.as_ref(), self.url.as_ref(), self.pipeline.as_ref());
        Keys { kind, folder: None, path, url, pipeline, frames_per_second, loops }.check(at, problems)
    }
}

impl Keys<'_> {
    fn check(&self, at: &str, problems: &mut Problems) -> Option<SourceConfig> {
        let own = match self.kind {
            RawKind::Folder => "folder",
            RawKind::Replay => "path",
            RawKind::Mjpeg => "url",
            RawKind::Gstreamer => "pipeline",
        };
        let written = [
            ("folder", self.folder.is_some()),
            ("path", self.path.is_some()),
            ("url", self.url.is_some()),
            ("pipeline", self.pipeline.is_some()),
        ];
        for (key, is_there) in written {
            if is_there != (key == own) {
                let kind = self.kind.name();
                let message = if is_there { "is not for" } else { "missing; it is needed with" };
                problems.add(format!("{at}.{key}"), format!("{message} kind = \"{kind}\""));
            }
        }
        match self.kind {
            RawKind::Folder => Some(SourceConfig::Folder(self.folder?.clone())),
            RawKind::Replay => {
                let rate = problems.within(&format!("{at}.frames_per_second"), self.frames_per_second, 0.1..=120.0);
                let interval = Duration::from_secs_f64(1.0 / rate?);
                Some(SourceConfig::Replay(Replay { path: self.path?.clone(), interval, loops: self.loops }))
            }
            RawKind::Mjpeg => self.mjpeg(at, problems),
            RawKind::Gstreamer => self.gstreamer(at, problems),
        }
    }

    fn mjpeg(&self, at: &str, problems: &mut Problems) -> Option<SourceConfig> {
        match Url::parse(self.url?) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(SourceConfig::Mjpeg(url)),
            // The address itself is not repeated: it may hold a password.
            _ => {
                problems.add(format!("{at}.url"), "is not of the form http://host:port/path");
                None
            }
        }
    }

    #[cfg(feature = "gstreamer")]
    fn gstreamer(&self, at: &str, problems: &mut Problems) -> Option<SourceConfig> {
        let pipeline = self.pipeline?;
        match crate::camera::gstreamer::problem(pipeline) {
            None => Some(SourceConfig::Gstreamer(pipeline.clone())),
            Some(problem) => {
                problems.add(format!("{at}.pipeline"), problem);
                None
            }
        }
    }

    #[cfg(not(feature = "gstreamer"))]
    #[expect(clippy::unused_self, reason = "as with the feature")]
    fn gstreamer(&self, at: &str, problems: &mut Problems) -> Option<SourceConfig> {
        let message = "this program was built without GStreamer: build it with `--features gstreamer`";
        problems.add(format!("{at}.kind"), message);
        None
    }
}

impl SourceConfig {
    /// How the device of this source names itself.
    pub fn device(&self) -> String {
        match self {
            Self::Folder(folder) => FolderCamera::device(folder),
            Self::Replay(replay) => ReplayCamera::device(&replay.path),
            Self::Mjpeg(url) => MjpegSource::device(url),
            #[cfg(feature = "gstreamer")]
            Self::Gstreamer(pipeline) => crate::camera::gstreamer::GstreamerSource::device(pipeline),
        }
    }
}
