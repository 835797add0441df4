//! What an upgrade to this runtime does to the state of an older one.
//!
//! What is bounded is done in the block of the upgrade ([`SingleBlock`]). What is not takes as many blocks as it needs
//! ([`MultiBlock`]), in which no transactions are executed, but blocks are made and rewarded: so the pallet must understand both
//! layouts until it is done, and a migration that fails halfway leaves a chain that can go on ([`FailedMigration`]).

pub mod first_edition;

use crate::Runtime;

/// Done in the first block of the new runtime, in this order: the parameters first, by which the others go.
pub type SingleBlock = (pallet_difficulty::migrations::V5<Runtime>, first_edition::Migration);

/// Done in the blocks from there on, one after the other.
pub type MultiBlock = (pallet_token::migrations::MoveRings<Runtime>,);

/// A chain whose migration fails takes transactions again: both layouts are understood, and without transactions nobody could ever
/// upgrade it to a runtime that knows better.
pub type FailedMigration = frame_support::migrations::ForceUnstuckOnFailedMigration;
