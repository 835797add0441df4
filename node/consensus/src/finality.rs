//! Which blocks are final: GRANDPA, by the voters that the chain chooses, and what this engine decides around it.
//!
//! - [`below`]: what leaves the chain below the final block is refused.
//! - [`first_votes`]: which precommit of a voter counts in a round.
//! - [`heaviest`]: which chain voters vote for.
//! - [`votes`]: how far behind the best block they stay.
//!
//! When finality leaves the best branch, the heaviest one above the final block becomes the best at once
//! ([`crate::import::Import::follow_finality`]).

pub mod below;
pub mod first_votes;
pub mod heaviest;
pub mod votes;
