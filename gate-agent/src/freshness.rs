//! Against injected frames: each must be fresh, next in sequence, and from the configured device.
//!
//! Who can put frames on a camera's line can replay a rider. What that disturbs (numbers, stamps, the device's name,
//! pictures that come again bit by bit) makes the gate refuse faces for the rest of the approach; ride codes still
//! work. It is no proof: a device that signs its frames would be one.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::camera::CapturedFrame;

/// Frames whose digests are remembered: some seconds of a camera.
const REMEMBERED: usize = 64;

/// What is asked of frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreshnessPolicy {
    /// The only device whose frames count, as the camera names itself.
    pub device: String,
    /// Older frames are stale.
    pub age_max_ms: u64,
    /// A sensor's noise never gives the same picture twice; a decoder that stutters does, so often within
    /// [`REMEMBERED`] frames. None: pictures may come again (development only).
    pub identical_max: Option<usize>,
}

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("it is from another device than the configured one")]
    OtherDevice,
    #[error("its number does not follow: a frame is replayed, or two sources are mixed")]
    OutOfSequence,
    #[error("its capture time lies before the last frame's")]
    BackInTime,
    #[error("its capture time lies in the future")]
    FromTheFuture,
    #[error("it is too old")]
    Stale,
    #[error("the same picture has come before, bit by bit")]
    Identical,
}

impl Violation {
    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OtherDevice => "other_device",
            Self::OutOfSequence => "out_of_sequence",
            Self::BackInTime => "back_in_time",
            Self::FromTheFuture => "from_the_future",
            Self::Stale => "stale",
            Self::Identical => "identical",
        }
    }
}

/// Watches one camera's frames in the order in which they come.
#[derive(Debug)]
pub struct Freshness {
    policy: FreshnessPolicy,
    /// Number and capture time of the last good frame.
    last: Option<(u64, u64)>,
    pictures: Remembered,
    depth: Remembered,
    infrared: Remembered,
}

impl Freshness {
    pub fn new(policy: FreshnessPolicy) -> Self {
        let nothing = Remembered::default;
        Self { policy, last: None, pictures: nothing(), depth: nothing(), infrared: nothing() }
    }

    /// Takes in a frame at `now_ms`, the monotonic clock that stamps frames, too. Errors: what is wrong with it.
    pub fn check(&mut self, frame: &CapturedFrame, now_ms: u64) -> Result<(), Violation> {
        // Every frame is remembered, or a replay could hide behind another fault.
        let repeats = self.remember(frame);
        self.judge(frame, repeats, now_ms)?;
        // Of no other frame, or one that is forged would shut out the camera's own.
        self.last = Some((frame.sequence, frame.captured_ms));
        Ok(())
    }

    fn judge(&self, frame: &CapturedFrame, repeats: usize, now_ms: u64) -> Result<(), Violation> {
        let follows = self.last.is_none_or(|(sequence, _)| frame.sequence > sequence);
        let back_in_time = self.last.is_some_and(|(_, captured_ms)| frame.captured_ms < captured_ms);
        match () {
            () if *frame.device != *self.policy.device => Err(Violation::OtherDevice),
            () if !follows => Err(Violation::OutOfSequence),
            () if back_in_time => Err(Violation::BackInTime),
            () if frame.captured_ms > now_ms => Err(Violation::FromTheFuture),
            () if now_ms - frame.captured_ms > self.policy.age_max_ms => Err(Violation::Stale),
            () if self.policy.identical_max.is_some_and(|most| repeats > most) => Err(Violation::Identical),
            () => Ok(()),
        }
    }

    /// How often one of the frame's images is among those remembered already. Each kind is remembered by itself, or an
    /// old depth image could lend its relief to new pictures.
    fn remember(&mut self, frame: &CapturedFrame) -> usize {
        let picture = self.pictures.repeats(frame.picture.bytes());
        let depth = frame.depth.as_ref().map_or(0, |image| self.depth.repeats(image));
        let infrared = frame.infrared.as_ref().map_or(0, |image| self.infrared.repeats(image));
        picture.max(depth).max(infrared)
    }
}

/// Digests of the newest images of one kind.
#[derive(Debug, Default)]
struct Remembered(VecDeque<u64>);

impl Remembered {
    /// How often the image is remembered already; it is from now on.
    fn repeats(&mut self, image: &[u8]) -> usize {
        let mut hasher = DefaultHasher::new();
        image.hash(&mut hasher);
        let digest = hasher.finish();
        let repeats = self.0.iter().filter(|known| **known == digest).count();
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(digest);
        repeats
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::Picture;

    fn frame(sequence: u64, captured_ms: u64, picture: u8) -> CapturedFrame {
        CapturedFrame {
            sequence,
            captured_ms,
            device: "cam-1".into(),
            picture: Picture::Encoded(vec![picture]),
            depth: None,
            infrared: None,
        }
    }

    fn watched() -> Freshness {
        let policy = FreshnessPolicy { device: "cam-1".into(), age_max_ms: 500, identical_max: Some(1) };
        Freshness::new(policy)
    }

    #[test]
    fn the_table() {
        let other = CapturedFrame { device: "cam-2".into(), ..frame(8, 1000, 9) };
        let table = [
            ("the next", frame(8, 1000, 9), 1010, Ok(())),
            ("some were dropped on the way", frame(80, 1000, 9), 1010, Ok(())),
            ("two in one millisecond", frame(8, 900, 9), 1010, Ok(())),
            ("another camera", other, 1010, Err(Violation::OtherDevice)),
            ("the same number again", frame(7, 1000, 9), 1010, Err(Violation::OutOfSequence)),
            ("an older number", frame(3, 1000, 9), 1010, Err(Violation::OutOfSequence)),
            ("captured before the last one", frame(8, 899, 9), 1010, Err(Violation::BackInTime)),
            ("captured in the future", frame(8, 1011, 9), 1010, Err(Violation::FromTheFuture)),
            ("held back for long", frame(8, 1000, 9), 1501, Err(Violation::Stale)),
            ("a stutter", frame(8, 1000, 1), 1010, Ok(())),
        ];
        for (what, next, now_ms, expected) in table {
            let mut freshness = watched();
            assert_eq!(freshness.check(&frame(7, 900, 1), 905), Ok(()));
            assert_eq!(freshness.check(&next, now_ms), expected, "{what}");
        }
    }

    #[test]
    fn a_loop_of_pictures_is_found_though_its_numbers_and_stamps_are_new() {
        let mut freshness = watched();
        let played = (0..60).map(|n| freshness.check(&frame(n, n * 40, (n % 20) as u8), n * 40 + 5));
        let found: Vec<_> = played.collect();
        assert!(found[..40].iter().all(Result::is_ok), "once again is a stutter");
        assert!(found[40..].iter().all(|result| *result == Err(Violation::Identical)));
        let mut lenient = Freshness::new(FreshnessPolicy { identical_max: None, ..watched().policy });
        assert!((0..60).all(|n| lenient.check(&frame(n, n * 40, 0), n * 40).is_ok()));
    }

    #[test]
    fn a_bad_frame_spoils_none_that_come_after_it() {
        let other = CapturedFrame { device: "cam-2".into(), ..frame(u64::MAX, 1000, 9) };
        let table = [
            ("another camera", other, Violation::OtherDevice),
            ("an older number", frame(3, 1009, 9), Violation::OutOfSequence),
            ("captured before the last one", frame(u64::MAX, 899, 9), Violation::BackInTime),
            ("captured in the future", frame(u64::MAX, u64::MAX, 9), Violation::FromTheFuture),
            ("held back for long", frame(u64::MAX, 901, 9), Violation::Stale),
            ("come before", frame(u64::MAX, 1402, 1), Violation::Identical),
        ];
        for (what, bad, violation) in table {
            let mut freshness = watched();
            assert_eq!(freshness.check(&frame(6, 890, 1), 905), Ok(()));
            assert_eq!(freshness.check(&frame(7, 900, 1), 905), Ok(()));
            assert_eq!(freshness.check(&bad, 1402), Err(violation), "{what}");
            assert_eq!(freshness.check(&frame(8, 1000, 2), 1402), Ok(()), "{what}");
        }
    }

    #[test]
    fn a_depth_or_infrared_image_that_comes_again_is_found_beside_new_pictures() {
        let found = |beside: fn(u8) -> (u8, u8)| {
            let mut freshness = watched();
            let checked = (0..3).map(|n| {
                let (depth, infrared) = beside(n);
                let plain = frame(u64::from(n), u64::from(n) * 40, n);
                let frame = CapturedFrame { depth: Some(vec![depth]), infrared: Some(vec![infrared]), ..plain };
                freshness.check(&frame, 100)
            });
            checked.collect::<Vec<_>>()
        };
        assert_eq!(found(|n| (n, n)), [Ok(()); 3], "an image is compared with its own kind only");
        assert_eq!(found(|n| (7, n)), [Ok(()), Ok(()), Err(Violation::Identical)]);
        assert_eq!(found(|n| (n, 7)), [Ok(()), Ok(()), Err(Violation::Identical)]);
    }

    #[test]
    fn a_restarted_count_stays_refused_until_it_passes_the_old_one() {
        let mut freshness = watched();
        assert_eq!(freshness.check(&frame(50, 100, 1), 100), Ok(()));
        assert_eq!(freshness.check(&frame(0, 140, 2), 140), Err(Violation::OutOfSequence));
        assert_eq!(freshness.check(&frame(51, 180, 3), 180), Ok(()));
    }
}
