//! The wall clock, which measurements share.

use codec::{Decode, Encode};
use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How far our clock is set off on purpose, in microseconds.
static OFFSET_US: AtomicI64 = AtomicI64::new(0);

/// Sets the clock of this process off, so that tests can have clocks that differ.
pub fn set_test_offset(microseconds: i64) {
    OFFSET_US.store(microseconds, Ordering::Relaxed);
}

/// A moment by some agent's wall clock, in microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct UnixMicros(pub u64);

impl UnixMicros {
    /// What our clock shows.
    pub fn now() -> Self {
        Self::of_system(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// What our clock showed when the system's showed this.
    pub(crate) fn of_system(since_epoch: Duration) -> Self {
        Self(micros(since_epoch)).shifted(OFFSET_US.load(Ordering::Relaxed))
    }

    /// A moment in milliseconds, as the chain counts.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(milliseconds.saturating_mul(1_000))
    }

    /// In milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// The moment that is a duration later.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// The time from an earlier moment to this one; none if it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The difference to another moment in microseconds, negative if this is the earlier one.
    pub fn minus(self, other: Self) -> i64 {
        i64::try_from(i128::from(self.0) - i128::from(other.0)).unwrap_or(if self > other {
            i64::MAX
        } else {
            i64::MIN
        })
    }

    /// When this process will see its clock show this; now, if that has passed.
    pub fn instant(self) -> Instant {
        Instant::now() + self.since(Self::now())
    }

    fn shifted(self, microseconds: i64) -> Self {
        Self(self.0.saturating_add_signed(microseconds))
    }
}

/// A duration in whole microseconds.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_a_sign_and_durations_do_not() {
        let (early, late) = (UnixMicros(1_000), UnixMicros(3_500));
        assert_eq!((late.minus(early), early.minus(late)), (2_500, -2_500));
        assert_eq!((late.since(early), early.since(late)), (Duration::from_micros(2_500), Duration::ZERO));
        assert_eq!(UnixMicros(u64::MAX).minus(UnixMicros(0)), i64::MAX);
        assert_eq!(UnixMicros::from_millis(u64::MAX), UnixMicros(u64::MAX));
    }
}
