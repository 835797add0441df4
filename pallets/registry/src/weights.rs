//! Weights of `pallet-registry`.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// [`crate::Pallet::register_provider`].
    fn register_provider() -> Weight;
    /// [`crate::Pallet::register_challenger`].
    fn register_challenger() -> Weight;
    /// [`crate::Pallet::set_declared`].
    fn set_declared() -> Weight;
    /// [`crate::Pallet::set_mining_author`].
    fn set_mining_author() -> Weight;
    /// [`crate::Pallet::set_endpoints`].
    fn set_endpoints() -> Weight;
    /// [`crate::Pallet::pause`].
    fn pause() -> Weight;
    /// [`crate::Pallet::come_back`].
    fn come_back() -> Weight;
    /// [`crate::Pallet::set_identity`].
    fn set_identity() -> Weight;
    /// [`crate::Pallet::leave`].
    fn leave() -> Weight;
    /// [`crate::Pallet::withdraw`].
    fn withdraw() -> Weight;
    /// [`crate::Pallet::slash`].
    fn slash() -> Weight;
}

/// Counted from the code: every storage access at the database's price, and the arithmetic and signatures at a bound.
pub struct CountedWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> CountedWeight<T> {
    fn of(reads: u64, writes: u64) -> Weight {
        Weight::from_parts(150_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(reads, writes))
    }
}

impl<T: frame_system::Config> WeightInfo for CountedWeight<T> {
    fn register_provider() -> Weight {
        Self::of(16, 14)
    }
    fn register_challenger() -> Weight {
        Self::of(14, 12)
    }
    fn set_declared() -> Weight {
        Self::of(16, 12)
    }
    fn set_mining_author() -> Weight {
        Self::of(10, 8)
    }
    fn set_endpoints() -> Weight {
        Self::of(4, 2)
    }
    fn pause() -> Weight {
        Self::of(8, 6)
    }
    fn come_back() -> Weight {
        Self::of(9, 7)
    }
    fn set_identity() -> Weight {
        Self::of(8, 4)
    }
    fn leave() -> Weight {
        Self::of(18, 14)
    }
    fn withdraw() -> Weight {
        Self::of(6, 4)
    }
    fn slash() -> Weight {
        Self::of(22, 18)
    }
}

impl WeightInfo for () {
    fn register_provider() -> Weight {
        Weight::zero()
    }
    fn register_challenger() -> Weight {
        Weight::zero()
    }
    fn set_declared() -> Weight {
        Weight::zero()
    }
    fn set_mining_author() -> Weight {
        Weight::zero()
    }
    fn set_endpoints() -> Weight {
        Weight::zero()
    }
    fn pause() -> Weight {
        Weight::zero()
    }
    fn come_back() -> Weight {
        Weight::zero()
    }
    fn set_identity() -> Weight {
        Weight::zero()
    }
    fn leave() -> Weight {
        Weight::zero()
    }
    fn withdraw() -> Weight {
        Weight::zero()
    }
    fn slash() -> Weight {
        Weight::zero()
    }
}
