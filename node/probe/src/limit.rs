//! A token bucket over bytes: how an operator sells only a part of the line.
//!
//! While more arrives than the rate allows, each packet passes with the probability that makes the two equal (random early
//! detection, after Floyd and Jacobson 1993, on the average load instead of the average queue). Several senders that are
//! together too fast then get equal parts, whatever their bursts; dropping only when the bucket is empty gave one of four
//! nearly twice the part of another.

use std::time::{Duration, Instant};

/// How long a full bucket lasts at its rate: long enough for the jitter of a scheduler, short enough that a burst adds less
/// than a fiftieth to a measurement of half a second.
const DEPTH: Duration = Duration::from_millis(10);
/// Over how long the load is averaged: many bursts of a paced sender, and a small part of a train.
const AVERAGED_OVER: Duration = Duration::from_millis(20);
/// How much more than the rate passes the dice, so that the bucket, which has the last word, does not run full.
const MARGIN: f64 = 1.02;

/// Lets through what fits a rate, and nothing else.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    bits_per_second: u64,
    bits: f64,
    updated: Instant,
    /// The average of what arrives, in bits per second.
    load: f64,
    /// The state of a xorshift generator. Nothing depends on its being unpredictable.
    random: u64,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(bits_per_second: u64, now: Instant) -> Self {
        let bucket = Self { bits_per_second, bits: 0.0, updated: now, load: 0.0, random: 0x9e37_79b9_7f4a_7c15 };
        Self { bits: bucket.most(), ..bucket }
    }

    fn most(&self) -> f64 {
        self.bits_per_second as f64 * DEPTH.as_secs_f64()
    }

    /// A number from 0 to 1.
    fn chance(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether this many bytes may pass now. If they may not, nothing is taken from the bucket.
    pub fn take(&mut self, bytes: u64, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.updated).as_secs_f64();
        // A packet must fit even where the rate is so low that ten milliseconds of it are less than one.
        let wanted = bytes as f64 * 8.0;
        self.bits = (self.bits + passed * self.bits_per_second as f64).min(self.most().max(wanted));
        self.updated = now;
        let averaged_over = AVERAGED_OVER.as_secs_f64();
        self.load = self.load * (-passed / averaged_over).exp() + wanted / averaged_over;
        let is_drawn = self.chance() * self.load <= self.bits_per_second as f64 * MARGIN;
        let fits = wanted <= self.bits && is_drawn;
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
    fn senders_that_are_together_too_fast_get_equal_parts() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(50_000_000, start);
        let mut parts = [0u32; 4];
        // Every millisecond each of four senders sends a burst of eight packets.
        for millisecond in 0..500u64 {
            for (sender, part) in parts.iter_mut().enumerate() {
                for packet in 0..8 {
                    let microseconds = millisecond * 1_000 + sender as u64 * 10 + packet;
                    *part += u32::from(bucket.take(1_428, start + Duration::from_micros(microseconds)));
                }
            }
        }
        let (least, most) = (parts.iter().min().unwrap(), parts.iter().max().unwrap());
        assert!(f64::from(*most) / f64::from(*least) < 1.3, "{parts:?}");
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
