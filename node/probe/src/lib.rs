//! The measurement data plane of Weir, without chain types.
//!
//! A challenger sends a paced train of UDP packets, filled with a keystream that only it can make, to a prover. The prover
//! keeps one digest per packet, and at the end commits to what it received with a Merkle root and a bitmap. The challenger
//! makes the same digests from its own keystream, and counts the bytes only if the root is the same: nobody can claim a
//! packet that did not arrive.
//!
//! - [`packet`]: the format, the keystream, the digest.
//! - [`commitment`]: bitmap and Merkle root.
//! - [`mod@sender`]: paced sending.
//! - [`receiver`]: what the prover takes from the network. It never answers a packet.
//! - [`limit`]: the token bucket by which an operator sells only a part of the line.

pub mod commitment;
pub mod limit;
pub mod packet;
pub mod receiver;
pub mod sender;
