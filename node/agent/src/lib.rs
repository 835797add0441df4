//! The light agent of Weir: what providers and challengers run.
//!
//! It knows the chain only through the JSON-RPC of nodes, and its peers only through control streams and measurement
//! packets. It keeps no chain database: an identity key, and the reports that it signed.
//!
//! - [`chain`]: nodes, of which any may fail.
//! - [`control`], [`channel`] and [`clock`]: how agents reach each other, speak, and compare clocks.
//! - [`prover`] and [`challenger`]: the two sides of a measurement.
//! - [`provide`] and [`challenge`]: the same, as the chain draws it.
//! - [`measure`] and [`answer`]: the same, by hand.
//! - [`status`]: what the chain knows about them.

pub mod answer;
pub mod chain;
pub mod challenge;
pub mod challenger;
pub mod channel;
pub mod clock;
pub mod control;
pub mod duties;
pub mod identity;
pub mod measure;
pub mod plot;
pub mod prover;
pub mod provide;
pub mod rate;
pub mod registration;
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
