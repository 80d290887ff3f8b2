//! Whether the camera itself works: gone, silent, frozen, black, blinded or hung upside down. The gate says so, goes on
//! with codes, and is well again by itself as soon as the pictures are.
//!
//! A picture is compared with the one before at some thousand places. A sensor's noise moves most of them, also where
//! nothing happens; a decoder that shows its last picture again moves none, and a picture that was encoded anew almost
//! none. A clock in the corner of a frozen picture moves too few to count.

use std::sync::{Mutex, MutexGuard, PoisonError};

use facegate_models::Frame;

/// Places across and down a picture that are looked at.
const ACROSS: usize = 48;
const DOWN: usize = 27;
/// A place has changed by more than this: encoding the same picture anew changes it by less.
const CHANGE_MIN: u8 = 2;
/// So many changed places, of 1,296, make another picture.
const CHANGED_MIN: usize = 8;
/// What a picture shows must be so for this long: people walk by, lamps flicker.
const LASTS_MS: u64 = 2000;
const FRAMES_MIN: u32 = 3;
/// Every so many pictures are looked at upside down.
const TURN_EVERY: u32 = 10;
/// The detector finds faces on their heads, too, and takes the mouth for eyes; it is less sure of them. The demo's
/// people: 0.95 upright, 0.88 to 0.90 on their heads.
const SURER_BY: f32 = 0.03;
const TURNED_MIN: u32 = 3;

/// How the camera is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CameraState {
    /// No picture yet.
    Starting,
    Fine,
    /// It said so, in these words, and is being tried again.
    Lost(String),
    /// Connected, but no picture comes.
    Silent,
    /// The same picture again and again.
    Frozen,
    Black,
    Overexposed,
    UpsideDown,
}

impl CameraState {
    /// Every name, for metrics.
    pub const NAMES: [&'static str; 8] =
        ["starting", "fine", "lost", "silent", "frozen", "black", "overexposed", "upside_down"];

    pub const fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Fine => "fine",
            Self::Lost(_) => "lost",
            Self::Silent => "silent",
            Self::Frozen => "frozen",
            Self::Black => "black",
            Self::Overexposed => "overexposed",
            Self::UpsideDown => "upside_down",
        }
    }

    /// Whether it shows what is before the gate: faces and codes can be seen, however well.
    pub const fn sees(&self) -> bool {
        matches!(self, Self::Starting | Self::Fine | Self::Overexposed | Self::UpsideDown)
    }

    /// What the attendant reads.
    pub fn words(&self) -> Option<String> {
        let words = match self {
            Self::Starting | Self::Fine => return None,
            Self::Lost(reason) => return Some(format!("the camera is lost ({reason}); it is tried again")),
            Self::Silent => "the camera sends no pictures; it is opened anew",
            Self::Frozen => "the camera's picture stands still; it is opened anew, and no face is taken meanwhile",
            Self::Black => "the camera's picture is black: is it covered, or is the light out?",
            Self::Overexposed => "the camera's picture is white: is light shining into it?",
            Self::UpsideDown => "the camera hangs upside down: turn it",
        };
        Some(words.to_owned())
    }
}

/// What is asked of a camera; `None`: nothing, as of one that shows pictures only now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthPolicy {
    pub silence_max_ms: Option<u64>,
    pub frozen_after_ms: Option<u64>,
}

/// Shared by who receives frames and who looks at them. All times are the gate's monotonic clock.
#[derive(Debug)]
pub struct CameraHealth {
    policy: HealthPolicy,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    received_ms: u64,
    any: bool,
    lost: Option<String>,
    places: Vec<u8>,
    pictured_ms: u64,
    still: Lasting,
    black: Lasting,
    white: Lasting,
    looked: u32,
    turned: u32,
}

/// Something that is so since a moment, over so many pictures.
#[derive(Debug, Default, Clone, Copy)]
struct Lasting {
    since_ms: u64,
    frames: u32,
}

impl Lasting {
    fn observe(&mut self, holds: bool, at_ms: u64) {
        if !holds || self.frames == 0 {
            self.since_ms = at_ms;
        }
        self.frames = if holds { self.frames.saturating_add(1) } else { 0 };
    }

    fn holds(&self, at_ms: u64, for_ms: u64) -> bool {
        self.frames >= FRAMES_MIN && at_ms.saturating_sub(self.since_ms) >= for_ms
    }
}

impl CameraHealth {
    pub fn new(policy: HealthPolicy, now_ms: u64) -> Self {
        let seen = Seen {
            received_ms: now_ms,
            any: false,
            lost: None,
            places: Vec::new(),
            pictured_ms: now_ms,
            still: Lasting::default(),
            black: Lasting::default(),
            white: Lasting::default(),
            looked: 0,
            turned: 0,
        };
        Self { policy, seen: Mutex::new(seen) }
    }

    /// A frame has come, whatever it shows.
    pub fn received(&self, now_ms: u64) {
        let mut seen = self.seen();
        (seen.received_ms, seen.any, seen.lost) = (now_ms, true, None);
    }

    pub fn lost(&self, reason: String) {
        self.seen().lost = Some(reason);
    }

    /// Takes in a picture captured at `at_ms`; whether the camera's picture stands still.
    pub fn pictured(&self, frame: &Frame, at_ms: u64) -> bool {
        let places = places(frame);
        let mut seen = self.seen();
        let changed = places.iter().zip(&seen.places).filter(|(a, b)| a.abs_diff(**b) > CHANGE_MIN).count();
        let still = places.len() == seen.places.len() && changed < CHANGED_MIN;
        let count = |holds: fn(u8) -> bool| places.iter().filter(|value| holds(**value)).count();
        // Covered or in the dark: nothing but the sensor's own noise. Blinded: most of it without any detail.
        let black = count(|value| value > 40) * 50 < places.len();
        let white = count(|value| value >= 250) * 10 > places.len() * 7;
        seen.still.observe(still, at_ms);
        seen.black.observe(black, at_ms);
        seen.white.observe(white, at_ms);
        (seen.places, seen.pictured_ms) = (places, at_ms);
        self.is_frozen(&seen)
    }

    /// Whether this picture is to be looked at upside down as well: now and then, since it costs a look.
    pub fn is_due_a_turn(&self) -> bool {
        let mut seen = self.seen();
        seen.looked = seen.looked.wrapping_add(1);
        seen.looked.is_multiple_of(TURN_EVERY)
    }

    /// How sure the detector is of the surest face in a picture, as it came and turned by half; 0: of none.
    pub fn compared(&self, upright: f32, turned: f32) {
        let mut seen = self.seen();
        if turned > upright + SURER_BY {
            seen.turned = seen.turned.saturating_add(1);
        } else if upright > turned + SURER_BY {
            seen.turned = 0;
        }
    }

    pub fn state(&self, now_ms: u64) -> CameraState {
        let seen = self.seen();
        if let Some(reason) = &seen.lost {
            return CameraState::Lost(reason.clone());
        }
        let silent = self.policy.silence_max_ms.is_some_and(|most| now_ms.saturating_sub(seen.received_ms) > most);
        match () {
            () if silent => CameraState::Silent,
            () if !seen.any => CameraState::Starting,
            // What is frozen may be black: that it stands still says less.
            () if seen.black.holds(seen.pictured_ms, LASTS_MS) => CameraState::Black,
            () if seen.white.holds(seen.pictured_ms, LASTS_MS) => CameraState::Overexposed,
            () if self.is_frozen(&seen) => CameraState::Frozen,
            () if seen.turned >= TURNED_MIN => CameraState::UpsideDown,
            () => CameraState::Fine,
        }
    }

    fn is_frozen(&self, seen: &Seen) -> bool {
        self.policy.frozen_after_ms.is_some_and(|after| seen.still.holds(seen.pictured_ms, after))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The brightness at places evenly over the picture.
fn places(frame: &Frame) -> Vec<u8> {
    let luma = frame.luma();
    let (width, height) = (luma.width as usize, luma.height as usize);
    let at = |n: usize, count: usize, length: usize| (2 * n + 1) * length / (2 * count);
    let rows = (0..DOWN).map(|row| at(row, DOWN, height) * width);
    rows.flat_map(|row| (0..ACROSS).map(move |column| luma.samples[row + at(column, ACROSS, width)])).collect()
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma};

    use super::*;

    const POLICY: HealthPolicy = HealthPolicy { silence_max_ms: Some(2000), frozen_after_ms: Some(5000) };

    fn frame(pixel: impl Fn(u32, u32) -> u8) -> Frame {
        let picture = GrayImage::from_fn(640, 360, |x, y| Luma([pixel(x, y)]));
        Frame::from_rgb(&image::DynamicImage::ImageLuma8(picture).into_rgb8())
    }

    /// Noise of a few grey levels over a hall, another in every picture.
    fn hall(n: u32) -> Frame {
        frame(|x, y| {
            let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503) ^ n.wrapping_mul(97_777)) >> 7 & 7;
            u8::try_from(60 + x / 8 + noise).unwrap()
        })
    }

    /// The state after ten seconds of ten pictures a second.
    fn after(pictures: impl Fn(u32) -> Frame) -> CameraState {
        let health = CameraHealth::new(POLICY, 0);
        for n in 0..100 {
            let at_ms = u64::from(n) * 100;
            health.received(at_ms);
            health.pictured(&pictures(n), at_ms);
        }
        health.state(10_000)
    }

    #[test]
    fn pictures_say_how_the_camera_is() {
        let table =
            [
                ("a hall, empty but for the sensor's noise", after(hall), CameraState::Fine),
                ("the same picture again and again", after(|_| hall(1)), CameraState::Frozen),
                (
                    "encoded anew each time",
                    after(|n| frame(|x, y| u8::try_from(60 + x / 8 + (x * y + n) % 3).unwrap())),
                    CameraState::Frozen,
                ),
                (
                    "with a clock that runs in the corner",
                    after(|n| {
                        frame(|x, y| {
                            if x < 60 && y < 12 { u8::try_from(n * 2).unwrap() } else { u8::try_from(x / 4).unwrap() }
                        })
                    }),
                    CameraState::Frozen,
                ),
                ("covered", after(|n| frame(|x, y| u8::try_from((x ^ y ^ n) % 9).unwrap())), CameraState::Black),
                (
                    "the sun in the lens",
                    after(|n| frame(|x, _| if x > 90 { 255 } else { u8::try_from(x + n).unwrap() })),
                    CameraState::Overexposed,
                ),
                (
                    "a dark hall with a lamp",
                    after(|n| frame(|x, y| if x < 90 { 200 } else { u8::try_from((x ^ y ^ n) % 9).unwrap() })),
                    CameraState::Fine,
                ),
            ];
        for (what, state, expected) in table {
            assert_eq!(state, expected, "{what}");
        }
    }

    #[test]
    fn it_is_well_again_with_the_first_good_picture() {
        let health = CameraHealth::new(POLICY, 0);
        assert_eq!(health.state(100), CameraState::Starting);
        assert_eq!(health.state(2001), CameraState::Silent);
        health.lost("unplugged".into());
        assert_eq!(health.state(9000), CameraState::Lost("unplugged".into()));
        for at_ms in (10_000..16_000).step_by(500) {
            health.received(at_ms);
            health.pictured(&hall(1), at_ms);
        }
        assert_eq!(health.state(16_000), CameraState::Frozen);
        health.received(16_100);
        assert!(!health.pictured(&hall(2), 16_100));
        assert_eq!(health.state(16_100), CameraState::Fine);
        assert_eq!(health.state(18_101), CameraState::Silent);
    }

    #[test]
    fn a_camera_of_which_nothing_is_asked_may_be_silent_and_still() {
        let health = CameraHealth::new(HealthPolicy { silence_max_ms: None, frozen_after_ms: None }, 0);
        assert_eq!(health.state(60_000), CameraState::Starting);
        for at_ms in [0, 10_000, 20_000, 30_000] {
            health.received(at_ms);
            assert!(!health.pictured(&hall(1), at_ms));
        }
        assert_eq!(health.state(90_000), CameraState::Fine);
    }

    #[test]
    fn faces_that_are_surer_turned_tell_that_it_hangs_upside_down() {
        let health = CameraHealth::new(POLICY, 0);
        health.received(0);
        let asked = (0..40).filter(|_| health.is_due_a_turn()).count();
        assert_eq!(asked, 4, "now and then, since it costs a look");
        (0..9).for_each(|_| health.compared(0.95, 0.90));
        health.compared(0.0, 0.8);
        health.compared(0.90, 0.92);
        assert_eq!(health.state(0), CameraState::Fine, "one picture says little");
        (0..3).for_each(|_| health.compared(0.89, 0.95));
        assert_eq!(health.state(0), CameraState::UpsideDown);
        health.compared(0.95, 0.0);
        assert_eq!(health.state(0), CameraState::Fine);
    }

    #[test]
    fn every_state_has_its_name_and_faults_have_words() {
        use CameraState::{Black, Fine, Frozen, Lost, Overexposed, Silent, Starting, UpsideDown};
        let all = [Starting, Fine, Lost("x".into()), Silent, Frozen, Black, Overexposed, UpsideDown];
        for (state, name) in all.iter().zip(CameraState::NAMES) {
            assert_eq!(state.name(), name);
            assert_eq!(state.words().is_none(), matches!(state, Starting | Fine));
        }
    }
}
