//! Proof of bandwidth: the draw of committees, what challengers report, and what follows from it.
//!
//! - [`draw`]: who measures whom, from one seed for each epoch.
//! - [`lottery`]: the same in the second edition, from one seed for each instant; not on chain yet.
//! - [`estimator`]: from reports to what is proven, and to guaranteed bandwidth.
//! - [`challenge`]: from the reports of one challenge to what it counts, in the second edition; not on chain yet.
//! - [`duties`]: what challengers miss, and when they are jailed for it; not on chain yet.
//! - [`endpoint`]: where agents are reached.

pub mod challenge;
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
