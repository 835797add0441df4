//! A token bucket over bytes: how an operator sells only a part of the line.

use std::time::{Duration, Instant};

/// How long a full bucket lasts at its rate: long enough for the jitter of a scheduler, short enough that a burst adds less
/// than a fiftieth to a measurement of half a second.
const DEPTH: Duration = Duration::from_millis(10);

/// Lets through what fits a rate, and nothing else.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    bits_per_second: u64,
    bits: f64,
    updated: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(bits_per_second: u64, now: Instant) -> Self {
        let bucket = Self { bits_per_second, bits: 0.0, updated: now };
        Self { bits: bucket.most(), ..bucket }
    }

    fn most(&self) -> f64 {
        self.bits_per_second as f64 * DEPTH.as_secs_f64()
    }

    /// Whether this many bytes may pass now. If they may not, nothing is taken from the bucket.
    pub fn take(&mut self, bytes: u64, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.updated).as_secs_f64();
        // A packet must fit even where the rate is so low that ten milliseconds of it are less than one.
        let wanted = bytes as f64 * 8.0;
        self.bits = (self.bits + passed * self.bits_per_second as f64).min(self.most().max(wanted));
        self.updated = now;
        let fits = wanted <= self.bits;
        if fits {
            self.bits -= wanted;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_more_than_rate_and_one_burst_passes(
            megabits in 1u64..1_000, gaps_us in proptest::collection::vec(0u64..2_000, 1..500),
        ) {
            let start = Instant::now();
            let mut bucket = TokenBucket::new(megabits * 1_000_000, start);
            let mut passed_bytes = 0u64;
            let mut now = start;
            for gap in gaps_us {
                now += Duration::from_micros(gap);
                if bucket.take(1_428, now) {
                    passed_bytes += 1_428;
                }
            }
            let allowed = (megabits * 1_000_000) as f64 * ((now - start) + DEPTH).as_secs_f64();
            prop_assert!((passed_bytes * 8) as f64 <= allowed + 1_428.0 * 8.0);
        }
    }

    #[test]
    fn a_flood_gets_the_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(50_000_000, start);
        let passed = (0..100_000u64).filter(|step| bucket.take(1_428, start + Duration::from_micros(step * 5))).count();
        let rate = passed as f64 * 1_428.0 * 8.0 / 0.5;
        assert!((48e6..52e6).contains(&rate), "{rate}");
    }
}
