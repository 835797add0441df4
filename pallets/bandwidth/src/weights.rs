//! Weights of `pallet-bandwidth`.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// A block in which nothing is due.
    fn on_initialize() -> Weight;
    /// The making of a seed and an order, for as many providers as there can be.
    fn set_seed() -> Weight;
    /// The first block of an epoch, for as many providers and challengers as there can be.
    fn start_epoch() -> Weight;
    /// The evaluation of a number of challenges.
    fn evaluate(challenges: u32) -> Weight;
    /// [`crate::Pallet::register_provider`].
    fn register_provider() -> Weight;
    /// [`crate::Pallet::register_challenger`].
    fn register_challenger() -> Weight;
    /// [`crate::Pallet::set_provider_endpoints`].
    fn set_provider_endpoints() -> Weight;
    /// [`crate::Pallet::set_challenger_endpoints`].
    fn set_challenger_endpoints() -> Weight;
    /// [`crate::Pallet::set_mining_author`].
    fn set_mining_author() -> Weight;
    /// [`crate::Pallet::leave_as_provider`].
    fn leave_as_provider() -> Weight;
    /// [`crate::Pallet::leave_as_challenger`].
    fn leave_as_challenger() -> Weight;
    /// [`crate::Pallet::withdraw_provider_bond`].
    fn withdraw_provider_bond() -> Weight;
    /// [`crate::Pallet::withdraw_challenger_bond`].
    fn withdraw_challenger_bond() -> Weight;
    /// [`crate::Pallet::report`].
    fn report() -> Weight;
}

/// Counted from the code: every storage access at the database's price, and the arithmetic at a bound.
pub struct CountedWeight<T>(PhantomData<T>);

/// The most providers or challengers that the counts below allow for.
const MOST: u64 = 256;
/// The time of one signature check, in picoseconds.
const SIGNATURE: u64 = 60_000_000;

impl<T: crate::Config> CountedWeight<T> {
    fn counted(picoseconds: u64, reads: u64, writes: u64) -> Weight {
        // 512 bytes of proof for each read is more than any entry but the planned sets takes.
        Weight::from_parts(picoseconds, reads.saturating_mul(512))
            .saturating_add(T::DbWeight::get().reads_writes(reads, writes))
    }
}

impl<T: crate::Config> WeightInfo for CountedWeight<T> {
    fn on_initialize() -> Weight {
        // The parameters and what can be tuned of them (6 reads), epoch, migration, timestamp, open epochs, and of the first of them the
        // plan and both sets.
        Self::counted(10_000_000, 13, 1)
    }
    fn set_seed() -> Weight {
        Self::counted(10_000_000_u64.saturating_add(MOST.saturating_mul(2_000_000)), 4, 2)
    }
    fn start_epoch() -> Weight {
        // Reads every provider and challenger; hands on what may be one share and one reward (four writes) per provider.
        Self::counted(MOST.saturating_mul(100_000_000), MOST.saturating_mul(7), MOST.saturating_mul(6))
    }
    fn evaluate(challenges: u32) -> Weight {
        let count = u64::from(challenges);
        Self::counted(count.saturating_mul(200_000_000), count.saturating_mul(5), count.saturating_mul(4))
    }
    fn register_provider() -> Weight {
        Self::counted(SIGNATURE.saturating_add(60_000_000), 12, 6)
    }
    fn register_challenger() -> Weight {
        Self::counted(SIGNATURE.saturating_add(60_000_000), 12, 6)
    }
    fn set_provider_endpoints() -> Weight {
        Self::counted(30_000_000, 1, 1)
    }
    fn set_challenger_endpoints() -> Weight {
        Self::counted(30_000_000, 1, 1)
    }
    fn set_mining_author() -> Weight {
        Self::counted(30_000_000, 1, 1)
    }
    fn leave_as_provider() -> Weight {
        Self::counted(30_000_000, 7, 1)
    }
    fn leave_as_challenger() -> Weight {
        Self::counted(30_000_000, 7, 1)
    }
    fn withdraw_provider_bond() -> Weight {
        Self::counted(60_000_000, 4, 5)
    }
    fn withdraw_challenger_bond() -> Weight {
        Self::counted(60_000_000, 4, 5)
    }
    fn report() -> Weight {
        // The planned sets are of MOST accounts of 32 bytes each.
        Self::counted(SIGNATURE.saturating_add(200_000_000), 14, 2)
            .saturating_add(Weight::from_parts(0, MOST.saturating_mul(64)))
    }
}
