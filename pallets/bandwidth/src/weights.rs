//! Weights of `pallet_bandwidth`: what `benchmarking.rs` measured. Written by `scripts/weights`, not by hand.
//!
//! On AMD EPYC, 2026-11-27, with 20 steps and 20 repetitions, Compiled WASM.
//!
//! Benchmarks: BLAKE2b-256 ad0006b307fe9493854c8a56091490dbd008a339aa9739839be12cb9eae41ded.

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
    /// `start_epoch`.
    fn start_epoch() -> Weight;
    /// `walk`, where `m` is from 1 to 16.
    fn walk(m: u32) -> Weight;
    /// `pass_slots`, where `s` is from 1 to 250.
    fn pass_slots(s: u32) -> Weight;
    /// `evaluate`, where `m` is from 1 to 32.
    fn evaluate(m: u32) -> Weight;
    /// `pay_duties`.
    fn pay_duties() -> Weight;
    /// `evict`.
    fn evict() -> Weight;
    /// `forget`.
    fn forget() -> Weight;
    /// `submit`, where `r` is from 1 to 32.
    fn submit(r: u32) -> Weight;
    /// `authorize_submit`, where `r` is from 1 to 32.
    fn authorize_submit(r: u32) -> Weight;
    /// `submit_own`.
    fn submit_own() -> Weight;
    /// `authorize_submit_own`.
    fn authorize_submit_own() -> Weight;
    /// `show_equivocation`.
    fn show_equivocation() -> Weight;
}

/// What was measured, with storage at the prices `D`.
pub struct MeasuredWeight<D>(PhantomData<D>);

impl<D: Get<RuntimeDbWeight>> WeightInfo for MeasuredWeight<D> {
    fn on_initialize() -> Weight {
        // At the fastest 54_672 ns.
        Weight::from_parts(72_388_000, 0)
            .saturating_add(D::get().reads(13))
            .saturating_add(D::get().writes(1))
    }
    fn start_epoch() -> Weight {
        // At the fastest 2_837_435 ns.
        Weight::from_parts(4_485_252_000, 0)
            .saturating_add(D::get().reads(180))
            .saturating_add(D::get().writes(318))
    }
    fn walk(m: u32) -> Weight {
        // At the fastest 7_391 ns.
        Weight::from_parts(7_771_000, 0)
            // Standard error 78_096.
            .saturating_add(Weight::from_parts(64 * 7_128_238, 0).saturating_mul(m.into()))
            .saturating_add(D::get().reads(64_u64.saturating_mul(m.into())))
    }
    fn pass_slots(s: u32) -> Weight {
        // At the fastest 40_120 ns.
        Weight::from_parts(40_821_000, 0)
            // Standard error 314_084.
            .saturating_add(Weight::from_parts(27_079_035, 0).saturating_mul(s.into()))
            .saturating_add(D::get().reads(8))
            .saturating_add(D::get().reads(2_u64.saturating_mul(s.into())))
    }
    fn evaluate(m: u32) -> Weight {
        // At the fastest 549_006 ns.
        Weight::from_parts(228_819_126, 0)
            // Standard error 5_393_185.
            .saturating_add(Weight::from_parts(275_505_170, 0).saturating_mul(m.into()))
            .saturating_add(D::get().reads(33))
            .saturating_add(D::get().reads(7_u64.saturating_mul(m.into())))
            .saturating_add(D::get().writes(24))
            .saturating_add(D::get().writes(5_u64.saturating_mul(m.into())))
    }
    fn pay_duties() -> Weight {
        // At the fastest 0 ns.
        Weight::from_parts(275_000_000, 0)
            .saturating_add(D::get().reads(9))
            .saturating_add(D::get().writes(8))
    }
    fn evict() -> Weight {
        // At the fastest 142_692 ns.
        Weight::from_parts(201_209_000, 0)
            .saturating_add(D::get().reads(23))
            .saturating_add(D::get().writes(18))
    }
    fn forget() -> Weight {
        // At the fastest 177_203 ns.
        Weight::from_parts(256_501_000, 0)
            .saturating_add(D::get().reads(130))
            .saturating_add(D::get().writes(128))
    }
    fn submit(r: u32) -> Weight {
        // At the fastest 287_146 ns.
        Weight::from_parts(401_574_726, 0)
            // Standard error 375_762.
            .saturating_add(Weight::from_parts(8_277_730, 0).saturating_mul(r.into()))
            .saturating_add(D::get().reads(17))
            .saturating_add(D::get().writes(8))
    }
    fn authorize_submit(r: u32) -> Weight {
        // At the fastest 660_702 ns.
        Weight::from_parts(1_039_284_901, 0)
            // Standard error 1_251_520.
            .saturating_add(Weight::from_parts(40_483_760, 0).saturating_mul(r.into()))
            .saturating_add(D::get().reads(49))
    }
    fn submit_own() -> Weight {
        // At the fastest 56_494 ns.
        Weight::from_parts(64_806_000, 0)
            .saturating_add(D::get().reads(2))
            .saturating_add(D::get().writes(2))
    }
    fn authorize_submit_own() -> Weight {
        // At the fastest 509_407 ns.
        Weight::from_parts(626_781_000, 0)
            .saturating_add(D::get().reads(49))
    }
    fn show_equivocation() -> Weight {
        // At the fastest 390_710 ns.
        Weight::from_parts(431_872_000, 0)
            .saturating_add(D::get().reads(16))
            .saturating_add(D::get().writes(9))
    }
}

impl WeightInfo for () {
    fn on_initialize() -> Weight {
        Weight::zero()
    }
    fn start_epoch() -> Weight {
        Weight::zero()
    }
    fn walk(_: u32) -> Weight {
        Weight::zero()
    }
    fn pass_slots(_: u32) -> Weight {
        Weight::zero()
    }
    fn evaluate(_: u32) -> Weight {
        Weight::zero()
    }
    fn pay_duties() -> Weight {
        Weight::zero()
    }
    fn evict() -> Weight {
        Weight::zero()
    }
    fn forget() -> Weight {
        Weight::zero()
    }
    fn submit(_: u32) -> Weight {
        Weight::zero()
    }
    fn authorize_submit(_: u32) -> Weight {
        Weight::zero()
    }
    fn submit_own() -> Weight {
        Weight::zero()
    }
    fn authorize_submit_own() -> Weight {
        Weight::zero()
    }
    fn show_equivocation() -> Weight {
        Weight::zero()
    }
}
