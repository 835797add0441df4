//! A miner outside the node: it asks nodes for work, searches, and hands in what it finds.
//!
//! All that it needs of a block is a preimage of 32 bytes and a target ([`protocol`]); who gets the rewards, what is in the block and whose
//! credit it spends is the node's business. With several nodes it searches the work that is worth most ([`choice`]), and goes on with
//! another one when a node is gone ([`node`]).

#[cfg(feature = "miner")]
pub mod choice;
#[cfg(feature = "miner")]
pub mod miner;
#[cfg(feature = "miner")]
pub mod node;
pub mod protocol;
