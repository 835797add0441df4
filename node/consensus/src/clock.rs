//! This node's clock.

use weir_primitives::UnixMilliseconds;

/// What our clock shows.
pub fn now() -> UnixMilliseconds {
    sp_timestamp::Timestamp::current().as_millis()
}
