//! What a header is checked against, by what has to be known: the [`rules`] as pure functions, their use where a peer
//! announces a header ([`announced`]), and before a block is executed ([`verifier`]). A rejection ([`error`]) says whether its
//! sender is at fault.

pub mod announced;
pub mod error;
pub mod our_best;
pub mod rules;
pub mod verifier;
