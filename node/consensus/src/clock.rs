//! This node's clock.

use std::sync::atomic::{AtomicI64, Ordering};
use weir_primitives::Milliseconds;

static OFFSET_MILLISECONDS: AtomicI64 = AtomicI64::new(0);

/// What our clock shows.
pub fn now() -> Milliseconds {
    sp_timestamp::Timestamp::current().as_millis().saturating_add_signed(OFFSET_MILLISECONDS.load(Ordering::Relaxed))
}

/// Makes this process's clock wrong by a number of milliseconds, for tests of what a wrong clock does.
pub fn shift(milliseconds: i64) {
    OFFSET_MILLISECONDS.store(milliseconds, Ordering::Relaxed);
}
