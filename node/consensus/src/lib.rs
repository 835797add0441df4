//! The hybrid consensus engine of Weir: proof of bandwidth-weighted work.
//!
//! A block goes through three stages, each of which needs to know more than the one before:
//!
//! 1. [`header::announced`]: the header alone, when a peer announces it.
//! 2. [`header::rules`]: what needs no context: decoding, work, signature. [`sync::verify_ahead`] runs it over whole batches
//!    ahead of import, on all processors, and keeps the results for the verifier.
//! 3. [`header::verifier`]: what needs the parent's state: base difficulty, credit, timestamp.
//!
//! [`import`] then executes and weighs it, chooses the best chain and finalizes by depth ([`finality`]), under one lock. The
//! runtime refuses the same false claims when it executes the block, so that the two cannot drift apart. [`sync::peer_policy`] bans
//! the peers that sent what no honest one could. [`miner`] makes blocks.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod clock;
pub mod fail_point;
pub mod finality;
pub mod header;
pub mod import;
mod metrics;
pub mod miner;
pub mod sync;

pub use header::error::Rejection;
pub use metrics::Metrics;
