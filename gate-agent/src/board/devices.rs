//! The board's part about the gate's eyes: its camera and its code reader.

use super::Board;
use crate::camera::health::CameraState;

impl Board {
    /// How the camera is; told often, and said when it changes.
    pub fn camera(&self, camera: CameraState) {
        for name in CameraState::NAMES {
            let is = f64::from(u8::from(camera.name() == name));
            metrics::gauge!("facegate_gate_camera_state", "state" => name).set(is);
        }
        if self.state().camera == camera {
            return;
        }
        match camera.words() {
            Some(words) => tracing::warn!(state = camera.name(), words, "the camera"),
            None => tracing::info!(state = camera.name(), "the camera"),
        }
        self.change(|state| state.camera = camera);
    }

    /// Whether the code reader is there.
    pub fn reader(&self, online: bool) {
        metrics::gauge!("facegate_gate_reader_online").set(f64::from(u8::from(online)));
        self.change(|state| state.reader = Some(online));
    }
}
