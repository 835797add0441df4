//! The hybrid consensus engine of Weir: proof of bandwidth-weighted work.
//!
//! A block goes through three stages, each of which needs to know more than the one before:
//!
//! 1. [`announce`]: the header alone, when a peer announces it.
//! 2. [`check`]: what needs no context: decoding, work, signature.
//! 3. [`verifier`]: what needs the parent's state: base difficulty, credit, timestamp.
//!
//! [`import`] then weighs it, chooses the best chain and finalizes by depth, under one lock. The runtime refuses the same
//! false claims when it executes the block, so that the two cannot drift apart. [`miner`] makes blocks.

pub mod announce;
pub mod check;
pub mod import;
mod metrics;
pub mod miner;
pub mod select;
pub mod verifier;
pub mod weight;

pub use check::Rejection;
pub use metrics::Metrics;
