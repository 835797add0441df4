//! The hybrid consensus engine of Weir: proof of bandwidth-weighted work.
//!
//! A block goes through three stages, each of which needs to know more than the one before:
//!
//! 1. [`announce`]: the header alone, when a peer announces it.
//! 2. [`check`]: what needs no context: decoding, work, signature. [`queue`] runs it over whole batches ahead of import, on
//!    all processors ([`strategy`]), and keeps its [`verdicts`].
//! 3. [`verifier`]: what needs the parent's state: base difficulty, credit, timestamp.
//!
//! [`import`] then executes and weighs it, chooses the best chain and finalizes by depth, under one lock. The runtime
//! refuses the same false claims when it executes the block, so that the two cannot drift apart. [`penalty`] bans the peers
//! that sent what no honest one could. [`miner`] makes blocks.

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

pub mod announce;
pub mod check;
pub mod clock;
pub mod condemned;
pub mod fault;
pub mod import;
mod metrics;
pub mod miner;
pub mod penalty;
pub mod queue;
pub mod select;
pub mod strategy;
pub mod verdicts;
pub mod verifier;
pub mod weight;

pub use check::Rejection;
pub use metrics::Metrics;
