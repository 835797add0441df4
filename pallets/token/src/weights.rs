//! Weights of `pallet_token`: what `benchmarking.rs` measured. Written by `scripts/weights`, not by hand.
//!
//! On AMD EPYC, 2026-11-27, with 20 steps and 20 repetitions, Compiled WASM.
//!
//! Benchmarks: BLAKE2b-256 221cab815a527b005d7952f7570ccb3e6b17bf2d97d6330e6d1710034ffb5f33.

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
    /// `on_finalize`.
    fn on_finalize() -> Weight;
    /// `claim`.
    fn claim() -> Weight;
    /// `set_payee`.
    fn set_payee() -> Weight;
}

/// What was measured, with storage at the prices `D`.
pub struct MeasuredWeight<D>(PhantomData<D>);

impl<D: Get<RuntimeDbWeight>> WeightInfo for MeasuredWeight<D> {
    fn on_initialize() -> Weight {
        // At the fastest 155_641 ns.
        Weight::from_parts(226_085_000, 0)
            .saturating_add(D::get().reads(8))
            .saturating_add(D::get().writes(4))
    }
    fn on_finalize() -> Weight {
        // At the fastest 56_574 ns.
        Weight::from_parts(88_432_000, 0)
            .saturating_add(D::get().reads(4))
            .saturating_add(D::get().writes(3))
    }
    fn claim() -> Weight {
        // At the fastest 298_513 ns.
        Weight::from_parts(431_951_000, 0)
            .saturating_add(D::get().reads(17))
            .saturating_add(D::get().writes(7))
    }
    fn set_payee() -> Weight {
        // At the fastest 7_121 ns.
        Weight::from_parts(8_572_000, 0)
            .saturating_add(D::get().writes(1))
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
