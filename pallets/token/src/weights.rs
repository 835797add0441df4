//! Weights of `pallet_token`: what `benchmarking.rs` measured. Written by `scripts/weights`, not by hand.
//!
//! On AMD EPYC, 2026-11-27, with 20 steps and 20 repetitions, Compiled WASM.
//!
//! Benchmarks: BLAKE2b-256 cdce3e9f8f78249e8e362581abddd44a8c38f25d27a64bab2e2f94935910aef3.

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
        // At the fastest 148_130 ns.
        Weight::from_parts(214_819_000, 0)
            .saturating_add(D::get().reads(8))
            .saturating_add(D::get().writes(4))
    }
    fn on_finalize() -> Weight {
        // At the fastest 55_002 ns.
        Weight::from_parts(60_951_000, 0)
            .saturating_add(D::get().reads(4))
            .saturating_add(D::get().writes(3))
    }
    fn claim() -> Weight {
        // At the fastest 347_616 ns.
        Weight::from_parts(361_978_000, 0)
            .saturating_add(D::get().reads(20))
            .saturating_add(D::get().writes(10))
    }
    fn set_payee() -> Weight {
        // At the fastest 6_690 ns.
        Weight::from_parts(8_673_000, 0)
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
