//! Proof of bandwidth: the draw of committees, what challengers report, and what follows from it.

pub mod draw;
pub mod endpoint;
pub mod estimator;
mod report;

pub use report::{
    peer_payload, report_payload, Duty, Endpoint, Endpoints, Outcome, PeerKey, Report, Role, MAX_ENDPOINTS,
    MAX_ENDPOINT_BYTES,
};
