//! The draw: who is measured at which instant of an epoch, and by whom.
//!
//! In the order in which it happens:
//!
//! 1. [`instants`]: how many instants an epoch has, which block each belongs to, and the seed that follows from that
//!    block.
//! 2. [`groups`]: which providers a seed draws. Each provider belongs to a group, and a group is drawn as one.
//! 3. [`committee`]: the challengers of a provider that is drawn.
//!
//! What holds, whoever asks:
//!
//! - *Everybody agrees.* All of it follows from a seed and the tables of an epoch, which do not change within it. A
//!   draw of an epoch that is over can be worked out again.
//! - *An agent decides alone.* A provider needs its own entry to know whether it is drawn, a challenger that of each
//!   provider; nobody has to put all providers into an order. A committee takes at most 64 · n looks at the table of
//!   challengers.
//! - *Nothing is remembered.* Whoever was just measured is drawn again as easily as anybody else, so that no provider
//!   knows its line to be free of measurements for the rest of an epoch.
//! - *A full committee or none.* With fewer than n members nothing is measured.
//!
//! Not part of it: who is admitted, and when an entry changes. A seed is known from the block after its own on, and
//! the author of that block can have another one by giving the block up.

pub mod committee;
pub mod groups;
pub mod instants;

use sp_runtime::traits::{BlakeTwo256, Hash};

/// What the draws of an instant come from.
pub type Seed = [u8; 32];

/// The first eight bytes, little-endian, of BLAKE2-256 over a domain and what else is given.
pub fn word(domain: &[u8], parts: &[&[u8]]) -> u64 {
    let mut input = domain.to_vec();
    parts.iter().for_each(|part| input.extend_from_slice(part));
    let mut word = [0u8; 8];
    word.iter_mut().zip(BlakeTwo256::hash(&input).0).for_each(|(to, from)| *to = from);
    u64::from_le_bytes(word)
}
