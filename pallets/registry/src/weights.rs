//! Weights of `pallet_registry`: what `benchmarking.rs` measured. Written by `scripts/weights`, not by hand.
//!
//! On AMD EPYC, 2026-11-27, with 20 steps and 20 repetitions, Compiled WASM.
//!
//! Benchmarks: BLAKE2b-256 bd6fadbd0c2649afd692c92c534ca2a8eeee95c89b711f13c0ce1fb885e50ef8.

#![cfg_attr(rustfmt, rustfmt_skip)]

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{RuntimeDbWeight, Weight},
};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// `register_provider`.
    fn register_provider() -> Weight;
    /// `register_challenger`.
    fn register_challenger() -> Weight;
    /// `set_declared`.
    fn set_declared() -> Weight;
    /// `set_mining_author`.
    fn set_mining_author() -> Weight;
    /// `set_endpoints`.
    fn set_endpoints() -> Weight;
    /// `pause`.
    fn pause() -> Weight;
    /// `come_back`.
    fn come_back() -> Weight;
    /// `set_identity`.
    fn set_identity() -> Weight;
    /// `leave`.
    fn leave() -> Weight;
    /// `withdraw`.
    fn withdraw() -> Weight;
    /// `slash`.
    fn slash() -> Weight;
}

/// What was measured, with storage at the prices `D`.
pub struct MeasuredWeight<D>(PhantomData<D>);

impl<D: Get<RuntimeDbWeight>> WeightInfo for MeasuredWeight<D> {
    fn register_provider() -> Weight {
        // At the fastest 238_174 ns.
        Weight::from_parts(364_001_000, 0)
            .saturating_add(D::get().reads(17))
            .saturating_add(D::get().writes(10))
    }
    fn register_challenger() -> Weight {
        // At the fastest 198_094 ns.
        Weight::from_parts(303_801_000, 0)
            .saturating_add(D::get().reads(16))
            .saturating_add(D::get().writes(9))
    }
    fn set_declared() -> Weight {
        // At the fastest 110_404 ns.
        Weight::from_parts(157_464_000, 0)
            .saturating_add(D::get().reads(15))
            .saturating_add(D::get().writes(8))
    }
    fn set_mining_author() -> Weight {
        // At the fastest 67_930 ns.
        Weight::from_parts(81_861_000, 0)
            .saturating_add(D::get().reads(14))
            .saturating_add(D::get().writes(6))
    }
    fn set_endpoints() -> Weight {
        // At the fastest 26_760 ns.
        Weight::from_parts(37_686_000, 0)
            .saturating_add(D::get().reads(3))
            .saturating_add(D::get().writes(2))
    }
    fn pause() -> Weight {
        // At the fastest 36_244 ns.
        Weight::from_parts(51_076_000, 0)
            .saturating_add(D::get().reads(5))
            .saturating_add(D::get().writes(5))
    }
    fn come_back() -> Weight {
        // At the fastest 122_431 ns.
        Weight::from_parts(141_199_000, 0)
            .saturating_add(D::get().reads(15))
            .saturating_add(D::get().writes(9))
    }
    fn set_identity() -> Weight {
        // At the fastest 192_936 ns.
        Weight::from_parts(217_633_000, 0)
            .saturating_add(D::get().reads(20))
            .saturating_add(D::get().writes(12))
    }
    fn leave() -> Weight {
        // At the fastest 137_855 ns.
        Weight::from_parts(150_153_000, 0)
            .saturating_add(D::get().reads(22))
            .saturating_add(D::get().writes(17))
    }
    fn withdraw() -> Weight {
        // At the fastest 112_827 ns.
        Weight::from_parts(123_644_000, 0)
            .saturating_add(D::get().reads(12))
            .saturating_add(D::get().writes(12))
    }
    fn slash() -> Weight {
        // At the fastest 179_316 ns.
        Weight::from_parts(195_260_000, 0)
            .saturating_add(D::get().reads(24))
            .saturating_add(D::get().writes(19))
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
