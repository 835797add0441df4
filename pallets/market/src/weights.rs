//! Weights of `pallet_market`: bounds, counted by hand until `scripts/weights` has measured them.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{RuntimeDbWeight, Weight},
};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// `list`.
    fn list() -> Weight;
    /// `unlist`.
    fn unlist() -> Weight;
    /// `open`.
    fn open() -> Weight;
    /// `top_up`.
    fn top_up() -> Weight;
    /// `settle`.
    fn settle() -> Weight;
    /// `close`.
    fn close() -> Weight;
    /// `finish`.
    fn finish() -> Weight;
}

/// Bounds, with storage at the prices `D`.
pub struct MeasuredWeight<D>(PhantomData<D>);

impl<D: Get<RuntimeDbWeight>> WeightInfo for MeasuredWeight<D> {
    // Of each: its rows, those of the account and its holds, the parameters and what can be tuned of them.
    fn list() -> Weight {
        Weight::from_parts(150_000_000, 0).saturating_add(D::get().reads_writes(12, 3))
    }
    fn unlist() -> Weight {
        Weight::from_parts(150_000_000, 0).saturating_add(D::get().reads_writes(6, 3))
    }
    fn open() -> Weight {
        Weight::from_parts(450_000_000, 0).saturating_add(D::get().reads_writes(16, 5))
    }
    fn top_up() -> Weight {
        Weight::from_parts(150_000_000, 0).saturating_add(D::get().reads_writes(12, 3))
    }
    // A signature, three accounts, and of traffic a reward with its ring.
    fn settle() -> Weight {
        Weight::from_parts(800_000_000, 0).saturating_add(D::get().reads_writes(30, 16))
    }
    fn close() -> Weight {
        Weight::from_parts(200_000_000, 0).saturating_add(D::get().reads_writes(12, 5))
    }
    fn finish() -> Weight {
        Weight::from_parts(200_000_000, 0).saturating_add(D::get().reads_writes(12, 5))
    }
}

impl WeightInfo for () {
    fn list() -> Weight {
        Weight::zero()
    }
    fn unlist() -> Weight {
        Weight::zero()
    }
    fn open() -> Weight {
        Weight::zero()
    }
    fn top_up() -> Weight {
        Weight::zero()
    }
    fn settle() -> Weight {
        Weight::zero()
    }
    fn close() -> Weight {
        Weight::zero()
    }
    fn finish() -> Weight {
        Weight::zero()
    }
}
