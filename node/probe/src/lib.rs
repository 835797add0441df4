//! The measurement data plane of Weir, and the messages that agents exchange about it. It knows no chain.
//!
//! *Down*: each challenger sends a paced train of UDP packets, filled with a keystream that only it can make, to a prover. The
//! prover keeps one digest per packet, and at the end commits to what it received with a Merkle root and a bitmap. The
//! challenger makes the same digests from its own keystream, and counts the bytes only if the root is the same: nobody can
//! claim a packet that did not arrive.
//!
//! *Up*: at the start each challenger tells the prover a key that nobody knew before, the prover sends it a train under that
//! key, and the challenger counts what arrives in the fixed window: nobody could have sent it ahead.
//!
//! - [`packet`]: the format, the keystream, the digest.
//! - [`path_mtu`]: path MTU discovery: how large a packet a path carries.
//! - [`commitment`]: bitmap and Merkle root.
//! - [`reception`]: what is kept of a train that arrives.
//! - [`port`]: the UDP port of an agent, with paced sending. It never answers a packet.
//! - [`socket`]: what the kernel offers for speed.
//! - [`limit`]: the token bucket by which an operator sells only a part of the line.
//! - [`share`]: how a challenger shares its capacity among measurements at one instant.
//! - [`message`]: what a prover and a challenger say to each other.
//! - [`time`]: the wall clock that they share.

pub mod commitment;
pub mod limit;
pub mod message;
pub mod packet;
pub mod path_mtu;
pub mod port;
pub mod reception;
pub mod share;
pub mod socket;
pub mod time;
