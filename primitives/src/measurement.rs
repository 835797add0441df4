//! Proof of bandwidth: the draw of committees, what challengers report, and what follows from it.
//!
//! - [`lottery`]: who measures whom, from one seed for each instant.
//! - [`estimator`]: from reports to what is proven, and to guaranteed bandwidth.
//! - [`challenge`]: from the reports of one challenge to what it counts.
//! - [`duties`]: what challengers miss, and when they are jailed for it.
//! - [`endpoint`]: where agents are reached.

pub mod challenge;
pub mod duties;
pub mod endpoint;
pub mod estimator;
mod identity;
pub mod lottery;

pub use identity::{peer_payload, Endpoint, Endpoints, PeerKey, MAX_ENDPOINTS, MAX_ENDPOINT_BYTES};
