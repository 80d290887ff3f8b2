//! What riders of an aisle pass by.

use serde::Deserialize;

/// `[lane] takes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// A mixed lane: whichever comes first.
    #[default]
    FaceOrCode,
    /// A dedicated face lane: nobody is stopped by a phone, and no frame is searched for one.
    Face,
    /// Ride codes alone: nobody's face is looked for.
    Code,
    /// Both: the code says who he is, the face that it is him.
    CodeWithFace,
}

impl Lane {
    pub const fn name(self) -> &'static str {
        match self {
            Self::FaceOrCode => "face_or_code",
            Self::Face => "face",
            Self::Code => "code",
            Self::CodeWithFace => "code_with_face",
        }
    }

    pub const fn takes_faces(self) -> bool {
        !matches!(self, Self::Code)
    }

    pub const fn takes_codes(self) -> bool {
        !matches!(self, Self::Face)
    }
}
