//! Weights of `pallet_bandwidth`: what `benchmarking.rs` measured. Written by `scripts/weights`, not by hand.
//!
//! On AMD EPYC, 2026-11-27, with 20 steps and 20 repetitions, Compiled WASM.
//!
//! Benchmarks: BLAKE2b-256 6706116e5573ad172568083e82a3f80bd7a185ae01432ff0ff6c6bcec5f59cca.

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
        // At the fastest 56_133 ns.
        Weight::from_parts(62_844_000, 0)
            .saturating_add(D::get().reads(13))
            .saturating_add(D::get().writes(1))
    }
    fn start_epoch() -> Weight {
        // At the fastest 4_251_725 ns.
        Weight::from_parts(5_435_814_000, 0)
            .saturating_add(D::get().reads(296))
            .saturating_add(D::get().writes(434))
    }
    fn walk(m: u32) -> Weight {
        // At the fastest 357_721 ns.
        Weight::from_parts(371_632_000, 0)
            // Standard error 4_144_208.
            .saturating_add(Weight::from_parts(502_953_867, 0).saturating_mul(m.into()))
            .saturating_add(D::get().reads(64_u64.saturating_mul(m.into())))
    }
    fn pass_slots(s: u32) -> Weight {
        // At the fastest 41_542 ns.
        Weight::from_parts(42_483_000, 0)
            // Standard error 317_185.
            .saturating_add(Weight::from_parts(27_618_457, 0).saturating_mul(s.into()))
            .saturating_add(D::get().reads(8))
            .saturating_add(D::get().reads(2_u64.saturating_mul(s.into())))
    }
    fn evaluate(m: u32) -> Weight {
        // At the fastest 375_497 ns.
        Weight::from_parts(311_277_872, 0)
            // Standard error 1_162_241.
            .saturating_add(Weight::from_parts(51_464_018, 0).saturating_mul(m.into()))
            .saturating_add(D::get().reads(33))
            .saturating_add(D::get().reads(3_u64.saturating_mul(m.into())))
            .saturating_add(D::get().writes(24))
            .saturating_add(D::get().writes(2_u64.saturating_mul(m.into())))
    }
    fn pay_duties() -> Weight {
        // At the fastest 185_505 ns.
        Weight::from_parts(205_145_000, 0)
            .saturating_add(D::get().reads(16))
            .saturating_add(D::get().writes(7))
    }
    fn evict() -> Weight {
        // At the fastest 148_731 ns.
        Weight::from_parts(172_256_000, 0)
            .saturating_add(D::get().reads(23))
            .saturating_add(D::get().writes(18))
    }
    fn forget() -> Weight {
        // At the fastest 158_705 ns.
        Weight::from_parts(212_937_000, 0)
            .saturating_add(D::get().reads(130))
            .saturating_add(D::get().writes(128))
    }
    fn submit(r: u32) -> Weight {
        // At the fastest 226_646 ns.
        Weight::from_parts(295_597_570, 0)
            // Standard error 449_953.
            .saturating_add(Weight::from_parts(6_095_117, 0).saturating_mul(r.into()))
            .saturating_add(D::get().reads(17))
            .saturating_add(D::get().writes(8))
    }
    fn authorize_submit(r: u32) -> Weight {
        // At the fastest 574_904 ns.
        Weight::from_parts(502_251_339, 0)
            // Standard error 1_177_125.
            .saturating_add(Weight::from_parts(64_121_329, 0).saturating_mul(r.into()))
            .saturating_add(D::get().reads(49))
    }
    fn submit_own() -> Weight {
        // At the fastest 65_457 ns.
        Weight::from_parts(104_325_000, 0)
            .saturating_add(D::get().reads(2))
            .saturating_add(D::get().writes(2))
    }
    fn authorize_submit_own() -> Weight {
        // At the fastest 619_140 ns.
        Weight::from_parts(847_729_000, 0)
            .saturating_add(D::get().reads(49))
    }
    fn show_equivocation() -> Weight {
        // At the fastest 404_921 ns.
        Weight::from_parts(585_019_000, 0)
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
