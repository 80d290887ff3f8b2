//! How bodies move: the beams that they break (`true`) and leave, each with the hundredths of a crossing since the start.

use super::protocol::Beam;

pub type Gait = &'static [(u32, Beam, bool)];

/// Straight through.
pub const WALKS: Gait = &[
    (0, Beam::Entry, true),
    (35, Beam::Mid, true),
    (42, Beam::Entry, false),
    (60, Beam::Exit, true),
    (70, Beam::Mid, false),
    (100, Beam::Exit, false),
];

/// With a case on wheels behind, which is in each beam shortly after.
pub const WITH_LUGGAGE: Gait = &[
    (0, Beam::Entry, true),
    (35, Beam::Mid, true),
    (42, Beam::Entry, false),
    (56, Beam::Entry, true),
    (60, Beam::Exit, true),
    (70, Beam::Mid, false),
    (84, Beam::Entry, false),
    (86, Beam::Mid, true),
    (100, Beam::Exit, false),
    (112, Beam::Mid, false),
    (116, Beam::Exit, true),
    (140, Beam::Exit, false),
];

/// A step into the open door, and back.
pub const TURNS_BACK: Gait = &[(0, Beam::Entry, true), (70, Beam::Entry, false)];

/// Straight through, and another behind who was not let through.
pub const TAILGATED: Gait = &[
    (0, Beam::Entry, true),
    (35, Beam::Mid, true),
    (42, Beam::Entry, false),
    (60, Beam::Exit, true),
    (70, Beam::Mid, false),
    (95, Beam::Entry, true),
    (100, Beam::Exit, false),
    (130, Beam::Mid, true),
    (137, Beam::Entry, false),
    (155, Beam::Exit, true),
    (165, Beam::Mid, false),
    (195, Beam::Exit, false),
];

/// From the other side.
pub const REVERSES: Gait = &[
    (0, Beam::Exit, true),
    (35, Beam::Mid, true),
    (42, Beam::Exit, false),
    (60, Beam::Entry, true),
    (70, Beam::Mid, false),
    (100, Beam::Entry, false),
];
