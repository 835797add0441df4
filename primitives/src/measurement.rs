//! Proof of bandwidth: the draw of committees, what challengers report, and what follows from it.
//!
//! - [`draw`]: who measures whom, from one seed for each epoch.
//! - [`lottery`]: the same in the second edition, from one seed for each instant; not on chain yet.
//! - [`estimator`]: from reports to what is proven, and to guaranteed bandwidth.
//! - [`duties`]: what challengers miss, and when they are jailed for it; not on chain yet.
//! - [`endpoint`]: where agents are reached.

pub mod draw;
pub mod duties;
pub mod endpoint;
pub mod estimator;
pub mod lottery;
mod report;

pub use report::{
    peer_payload, report_payload, Duty, Endpoint, Endpoints, Outcome, PeerKey, Report, Role, MAX_ENDPOINTS,
    MAX_ENDPOINT_BYTES,
};
