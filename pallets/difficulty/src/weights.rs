//! Weights of `pallet_difficulty`: what `benchmarking.rs` measured. Written by `scripts/weights`, not by hand.
//!
//! On AMD EPYC, 2026-11-27, with 20 steps and 20 repetitions, Compiled WASM.
//!
//! Benchmarks: BLAKE2b-256 cca0ae026bf9b84e3cbb8b941b84b80df94f0dde47e7086860e7c726949684e2.

#![cfg_attr(rustfmt, rustfmt_skip)]

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{RuntimeDbWeight, Weight},
};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// `on_initialize`.
    fn on_initialize() -> Weight;
    /// `set_author_key`.
    fn set_author_key() -> Weight;
}

/// What was measured, with storage at the prices `D`.
pub struct MeasuredWeight<D>(PhantomData<D>);

impl<D: Get<RuntimeDbWeight>> WeightInfo for MeasuredWeight<D> {
    fn on_initialize() -> Weight {
        // At the fastest 129_763 ns.
        Weight::from_parts(198_865_000, 0)
            .saturating_add(D::get().reads(17))
            .saturating_add(D::get().writes(11))
    }
    fn set_author_key() -> Weight {
        // Not measured: a bound for the check of a signature, 60 us in WASM, and the rows.
        Weight::from_parts(400_000_000, 0)
            .saturating_add(D::get().reads(4))
            .saturating_add(D::get().writes(4))
    }
}

impl WeightInfo for () {
    fn on_initialize() -> Weight {
        Weight::zero()
    }
    fn set_author_key() -> Weight {
        Weight::zero()
    }
}
