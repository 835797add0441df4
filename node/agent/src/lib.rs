//! The light agent of Weir: what providers and challengers run.
//!
//! It knows the chain only through the JSON-RPC of nodes, and its peers only through control streams and measurement
//! packets. It keeps no chain database: an identity key, and the reports that it signed.
//!
//! - [`session`]: the control protocol, its two sides, and clocks.
//! - [`chain`]: measurements as the chain draws them.
//! - [`manual`]: measurements by hand.
//! - [`audit`]: what the chain says that it measured and paid, worked out again.
//! - [`account`]: what accounts do by hand, and [`amount`]s of WEIR.
//! - [`market`]: what is sold and bought, by hand.
//! - [`status`]: what the chain knows about them.
//! - [`metrics`]: what an agent tells Prometheus.

pub mod account;
pub mod amount;
pub mod audit;
pub mod chain;
pub mod identity;
pub mod manual;
pub mod market;
pub mod metrics;
pub mod plot;
pub mod rate;
pub mod session;
pub mod status;

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
    weir_probe::time::UnixMicros::now().as_millis()
}
