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
    last: Option<(u64, u64)>,
    digests: VecDeque<u64>,
}

impl Freshness {
    pub fn new(policy: FreshnessPolicy) -> Self {
        Self { policy, last: None, digests: VecDeque::new() }
    }

    /// Takes in a frame at `now_ms`, the monotonic clock that stamps frames, too. Errors: what is wrong with it.
    pub fn check(&mut self, frame: &CapturedFrame, now_ms: u64) -> Result<(), Violation> {
        // Every frame is remembered, or a replay could hide behind another fault.
        let repeats = self.remember(frame);
        let (sequence, captured_ms) = self.last.unwrap_or((0, 0));
        let follows = self.last.is_none() || frame.sequence > sequence;
        self.last = Some((sequence.max(frame.sequence), captured_ms.max(frame.captured_ms)));
        match () {
            () if *frame.device != *self.policy.device => Err(Violation::OtherDevice),
            () if !follows => Err(Violation::OutOfSequence),
            () if frame.captured_ms < captured_ms => Err(Violation::BackInTime),
            () if frame.captured_ms > now_ms => Err(Violation::FromTheFuture),
            () if now_ms - frame.captured_ms > self.policy.age_max_ms => Err(Violation::Stale),
            () if self.policy.identical_max.is_some_and(|most| repeats > most) => Err(Violation::Identical),
            () => Ok(()),
        }
    }

    /// How often the frame's picture is among those remembered already.
    fn remember(&mut self, frame: &CapturedFrame) -> usize {
        let mut hasher = DefaultHasher::new();
        frame.bytes.hash(&mut hasher);
        let digest = hasher.finish();
        let repeats = self.digests.iter().filter(|known| **known == digest).count();
        if self.digests.len() == REMEMBERED {
            self.digests.pop_front();
        }
        self.digests.push_back(digest);
        repeats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(sequence: u64, captured_ms: u64, picture: u8) -> CapturedFrame {
        CapturedFrame {
            sequence,
            captured_ms,
            device: "cam-1".into(),
            bytes: vec![picture],
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
    fn a_restarted_count_stays_refused_until_it_passes_the_old_one() {
        let mut freshness = watched();
        assert_eq!(freshness.check(&frame(50, 100, 1), 100), Ok(()));
        assert_eq!(freshness.check(&frame(0, 140, 2), 140), Err(Violation::OutOfSequence));
        assert_eq!(freshness.check(&frame(51, 180, 3), 180), Ok(()));
    }
}
