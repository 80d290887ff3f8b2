//! Attacks that one gate has refused lately, from the counts that its process tells since it began.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// What comes within so long of each other is kept as one number.
const BUCKET_MS: i64 = 10_000;

/// What a gate's process says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttacksTold {
    /// Since it began.
    pub counted: u64,
    /// By the station's clock.
    pub said_at: Timestamp,
}

/// Of one gate. No longer than the time for which they are kept makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateAttacks {
    counted: u64,
    said_at: Timestamp,
    /// By the beginning of their bucket, rising.
    lately: Vec<(Timestamp, u64)>,
}

impl GateAttacks {
    /// The first word of a gate is where counting begins: what was before is not lately.
    pub const fn begin(told: AttacksTold) -> Self {
        Self { counted: told.counted, said_at: told.said_at, lately: Vec::new() }
    }

    /// What is known after a gate's word, and for so long. A word that is older than the last one, come by another way,
    /// says nothing.
    #[must_use]
    pub fn after(&self, told: AttacksTold, now: Timestamp, kept: Duration) -> Self {
        if told.said_at < self.said_at {
            return self.clone();
        }
        // A gate that was started anew counts from nothing.
        let more = told.counted.checked_sub(self.counted).unwrap_or(told.counted);
        let mut lately = self.lately.clone();
        if more > 0 {
            let bucket = Timestamp::from_unix_ms(now.unix_ms().div_euclid(BUCKET_MS) * BUCKET_MS);
            match lately.last_mut() {
                // A clock that was put back makes no bucket of the past.
                Some((at, attacks)) if *at >= bucket => *attacks = attacks.saturating_add(more),
                _ => lately.push((bucket, more)),
            }
        }
        lately.retain(|(at, _)| is_since(*at, now.minus(kept)));
        Self { counted: told.counted, said_at: told.said_at, lately }
    }

    /// Those of buckets that end after `since`.
    pub fn since(&self, since: Timestamp) -> u64 {
        let lately = self.lately.iter().filter(|(at, _)| is_since(*at, since));
        lately.map(|(_, attacks)| attacks).fold(0, |sum, attacks| sum.saturating_add(*attacks))
    }
}

fn is_since(bucket: Timestamp, since: Timestamp) -> bool {
    bucket.unix_ms().saturating_add(BUCKET_MS) > since.unix_ms()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Duration = Duration::from_secs(600);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_ms(1_795_000_000_000 + second * 1000)
    }

    fn told(counted: u64, second: i64) -> AttacksTold {
        AttacksTold { counted, said_at: at(second) }
    }

    #[test]
    fn attacks_count_from_the_first_word_on_over_starts_and_until_their_time_is_over() {
        let first = GateAttacks::begin(told(100, 0));
        assert_eq!(first.since(at(-600)), 0, "what was before is not lately");
        let three = first.after(told(103, 1), at(1), KEPT);
        let anew = three.after(told(2, 300), at(300), KEPT);
        assert_eq!((three.since(at(0)), anew.since(at(0)), anew.since(at(200))), (3, 5, 2));
        assert_eq!(anew.after(told(2, 400), at(400), KEPT).since(at(0)), 5, "the same word again adds nothing");
        assert_eq!(anew.after(told(103, 1), at(400), KEPT), anew, "nor does one that was overtaken");
        let later = anew.after(told(2, 905), at(905), KEPT);
        assert_eq!((later.since(at(0)), later.lately.len()), (2, 1), "the first ones are gone");
        assert_eq!(later.after(told(2, 1500), at(1500), KEPT).lately, []);
    }

    #[test]
    fn an_attack_without_end_is_a_number_for_each_bucket_of_the_time() {
        let mut attacks = GateAttacks::begin(told(0, 0));
        for second in 1..5000_i64 {
            attacks = attacks.after(told(second.unsigned_abs() * 3, second), at(second), KEPT);
        }
        assert!(attacks.lately.len() <= 61, "{}", attacks.lately.len());
        assert!((1797..=1830).contains(&attacks.since(at(4999 - 600))), "{}", attacks.since(at(4399)));
        // A clock that was put back.
        let back = attacks.after(told(20_000, 5001), at(1000), KEPT);
        assert!(back.since(at(4399)) > attacks.since(at(4399)));
    }
}
