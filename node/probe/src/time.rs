//! The wall clock, which measurements share.

use codec::{Decode, Encode};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that is off, for tests of clocks that differ. One shifted from outside would not do: the kernel stamps packets
/// by its own.
#[cfg(feature = "test-clock")]
mod test_clock {
    use std::sync::atomic::{AtomicI64, Ordering};

    /// How far our clock is set off, in microseconds.
    static OFFSET_US: AtomicI64 = AtomicI64::new(0);

    /// Sets the clock of this process off by a number of microseconds.
    pub fn set_test_offset(microseconds: i64) {
        OFFSET_US.store(microseconds, Ordering::Relaxed);
    }

    pub(super) fn offset_us() -> i64 {
        OFFSET_US.load(Ordering::Relaxed)
    }
}

#[cfg(feature = "test-clock")]
pub use test_clock::set_test_offset;

/// Whether something keeps the system's clock right, as the kernel knows of whoever sets it (RFC 5905 by way of `adjtimex`); nothing if the kernel
/// does not say.
pub fn is_clock_kept() -> Option<bool> {
    // SAFETY: it is made of numbers alone, of which zero is one.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: without modes it only writes to what it is given, which lives through the call.
    let answer = unsafe { libc::adjtimex(&raw mut state) };
    (answer >= 0).then_some(answer != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0)
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
        let shown = micros(since_epoch);
        #[cfg(feature = "test-clock")]
        let shown = shown.saturating_add_signed(test_clock::offset_us());
        Self(shown)
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
