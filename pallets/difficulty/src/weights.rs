//! Weights of `pallet-difficulty`.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// `on_initialize` and `on_finalize` together.
    fn on_initialize() -> Weight;
}

/// Counted from the code: every storage access at the database's price, and the arithmetic at a bound.
pub struct CountedWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for CountedWeight<T> {
    fn on_initialize() -> Weight {
        // Reads: digest, parameters (4 times, cached after the first), next base, latest, terms, bucket, the
        // author, totals, anchor, weight, and of the epoch itself and what can be tuned. Writes: bucket, author, totals, latest, anchor, next
        // base, weight.
        Weight::from_parts(50_000_000, 16_384).saturating_add(T::DbWeight::get().reads_writes(18, 7))
    }
}

impl WeightInfo for () {
    fn on_initialize() -> Weight {
        Weight::zero()
    }
}
