//! What one frame says about one face.

use serde::{Deserialize, Serialize};

use super::{DepthFinding, InfraredFinding};
use crate::mesh::MeshPoints;

/// The cues that are fused, one weight each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cue {
    /// The pair of texture nets: log-odds of skin against paper and screens.
    Texture,
    /// The border of a screen or print around the face: 1 none, 0 certain.
    Border,
    /// Interference of a screen's grid with the camera's: minus the strength of peaks in the spectrum.
    Moire,
    /// Motion of the face's points that no flat picture could make: degrees of a head's turn that explain it.
    Plane,
}

impl Cue {
    pub const ALL: [Self; 4] = [Self::Texture, Self::Border, Self::Moire, Self::Plane];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Texture => "texture",
            Self::Border => "border",
            Self::Moire => "moire",
            Self::Plane => "plane",
        }
    }
}

/// How much one look may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// All but the nets: most frames of an approach.
    Light,
    /// With the nets, each run once: every third or so frame of an approach.
    Frame,
    /// With the nets on mirrored views and, where the face fills the picture, on reflected surroundings: a still.
    Still,
}

/// Measurements of one face in one frame; none: the cue has nothing to go by. Larger is more alive.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LivenessSample {
    pub texture: Option<f32>,
    pub border: Option<f32>,
    pub moire: Option<f32>,
    /// The points of the face's surface, whose motion from frame to frame is a cue.
    pub mesh: Option<MeshPoints>,
    /// Part of the face lies outside the frame.
    pub clipped: bool,
    pub depth: Option<DepthFinding>,
    pub infrared: Option<InfraredFinding>,
}

impl LivenessSample {
    /// A cue's measurement in this frame; motion has none, since it takes several.
    pub fn measured(&self, cue: Cue) -> Option<f32> {
        match cue {
            Cue::Texture => self.texture,
            Cue::Border => self.border,
            Cue::Moire => self.moire,
            Cue::Plane => None,
        }
    }
}
