//! Proof of bandwidth-weighted work: the parts of the rules that need no state.
//!
//! A block is found by hashing. How hard that is follows from the chain's base [`Difficulty`], which every block of one
//! height and one fork shares, and from the boost [`credit`] that its author spends, which the chain gives out according
//! to measured bandwidth. What a block adds to the weight of its chain is the base, whatever was spent on it.

pub mod claims;
pub mod credit;
pub mod dates;
mod difficulty;
mod digest;
pub mod fork_choice;
pub mod retarget;
pub mod shares;

pub use difficulty::{Difficulty, Work};
pub use digest::{
    author_key_payload, author_payload, pre_digest_of, read_header, seal_payload, DigestError, PreDigest, Seal,
    SealedHeader, ENGINE_ID,
};
