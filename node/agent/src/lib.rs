//! The light agent of Weir: what providers and challengers run.
//!
//! It knows the chain only through the JSON-RPC of nodes, and its peers only through control streams and measurement
//! packets. It keeps no chain database: an identity key, and the reports that it signed.
//!
//! - [`chain`]: nodes, of which any may fail.
//! - [`control`] and [`wire`]: what agents say to each other.
//! - [`provide`] and [`challenge`]: the two sides of a measurement.
//! - [`status`]: what the chain knows about them.

pub mod chain;
pub mod challenge;
pub mod control;
pub mod duties;
pub mod identity;
pub mod provide;
pub mod rate;
pub mod registration;
pub mod status;
pub mod wire;

/// Types of the runtime, from its committed metadata.
#[allow(missing_docs, clippy::all)]
#[subxt::subxt(runtime_metadata_path = "metadata.scale")]
pub mod runtime {}

/// What ends an agent: one sentence for its operator.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fatal(pub String);

impl From<String> for Fatal {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// What our clock shows, in milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The moment at which our clock shows a time; now, if that has passed.
pub fn instant_of(time_ms: u64) -> std::time::Instant {
    std::time::Instant::now() + std::time::Duration::from_millis(time_ms.saturating_sub(now_ms()))
}
