//! Weights of `pallet-token`.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// The reward of a block's author.
    fn on_initialize() -> Weight;
    /// Splitting the fees of a block.
    fn on_finalize() -> Weight;
    /// [`crate::Pallet::claim`].
    fn claim() -> Weight;
    /// [`crate::Pallet::set_payee`].
    fn set_payee() -> Weight;
}

/// Counted from the code: every storage access at the database's price, and the arithmetic at a bound.
pub struct CountedWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for CountedWeight<T> {
    fn on_initialize() -> Weight {
        // Reads: parameters, payee, emission, supply, version, vesting in both layouts, account, holds,
        // issuance; writes all but the first seven and the version.
        Weight::from_parts(150_000_000, 8_192).saturating_add(T::DbWeight::get().reads_writes(15, 8))
    }
    fn on_finalize() -> Weight {
        // Reads the fees, the author, both accounts and the issuance; writes all but the author.
        Weight::from_parts(100_000_000, 8_192).saturating_add(T::DbWeight::get().reads_writes(5, 4))
    }
    fn claim() -> Weight {
        Weight::from_parts(150_000_000, 8_192).saturating_add(T::DbWeight::get().reads_writes(24, 14))
    }
    fn set_payee() -> Weight {
        Weight::from_parts(20_000_000, 4_096).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }
}

impl WeightInfo for () {
    fn on_initialize() -> Weight {
        Weight::zero()
    }
    fn on_finalize() -> Weight {
        Weight::zero()
    }
    fn claim() -> Weight {
        Weight::zero()
    }
    fn set_payee() -> Weight {
        Weight::zero()
    }
}
