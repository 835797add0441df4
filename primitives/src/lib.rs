//! Types, rules and runtime APIs that cross a crate boundary in Weir.
//!
//! Everything that two crates must agree on stands here once: the wire formats of the header, the rules that turn
//! timestamps into a difficulty and bandwidth into credit, the estimator that turns reports into bits per second, and the
//! interfaces between runtime and node. The rules are pure integer functions; pallets, node, agents, tests and simulations
//! all call the same ones.
//!
//! - [`accumulator`]: sharing budgets by units in constant time.
//! - [`consensus`]: header digests, proof of work, retarget, boost credit.
//! - [`epoch`]: what an epoch is.
//! - [`finality`]: who votes on what is final, and the proof of it.
//! - [`interfaces`]: what pallets tell each other.
//! - [`market`]: receipts, and how a payment is split.
//! - [`measurement`]: the draw of committees, reports, the estimator.
//! - [`parameters`]: what a chain fixes at genesis.
//! - [`registry`]: what taking part costs, and where somebody stands.
//! - [`runtime_api`]: what the node and the agents ask the runtime.
//! - [`versions`]: values that change at the borders of epochs.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

extern crate alloc;

pub mod accumulator;
pub mod consensus;
pub mod epoch;
pub mod finality;
pub mod interfaces;
pub mod market;
pub mod measurement;
pub mod parameters;
pub mod registry;
pub mod runtime_api;
pub mod versions;

pub use epoch::Epoch;
use sp_runtime::{
    traits::{IdentifyAccount, Verify},
    MultiSignature,
};

/// A signature of an account over a transaction.
pub type Signature = MultiSignature;
/// An account: the public key, or its hash, that a [`Signature`] verifies against.
pub type AccountId = <<Signature as Verify>::Signer as IdentifyAccount>::AccountId;
/// The height of a block. Genesis is 0.
pub type BlockNumber = u32;
/// A hash of the chain's hasher, BLAKE2-256.
pub type Hash = sp_core::H256;
/// How many transactions an account has sent.
pub type Nonce = u32;
/// An amount of tokens in [planck](PLANCK_PER_WEIR).
pub type Balance = u128;
/// A length of time.
pub type Milliseconds = u64;
/// A point in time: milliseconds since the Unix epoch.
pub type UnixMilliseconds = u64;
/// The number of an epoch. The first one, which starts at genesis, is 0.
pub type EpochIndex = u32;

/// The smallest unit of the token, of which one WEIR has this many.
pub const PLANCK_PER_WEIR: Balance = 1_000_000_000_000;
