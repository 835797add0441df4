//! Weights of `pallet_finality`: bounds that were counted from the code, several times what each step should take in WASM. `scripts/weights finality`
//! measures `benchmarking.rs` on the reference machine and replaces them.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{RuntimeDbWeight, Weight},
};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// `on_initialize`.
    fn on_initialize() -> Weight;
    /// `elect`.
    fn elect(c: u32) -> Weight;
    /// `join`.
    fn join() -> Weight;
    /// `raise_bond`.
    fn raise_bond() -> Weight;
    /// `set_key`.
    fn set_key() -> Weight;
    /// `leave`.
    fn leave() -> Weight;
    /// `withdraw`.
    fn withdraw() -> Weight;
    /// `prove`.
    fn prove() -> Weight;
    /// `authorize_prove`.
    fn authorize_prove(p: u32) -> Weight;
    /// `show_equivocation`.
    fn show_equivocation() -> Weight;
    /// `authorize_show_equivocation`.
    fn authorize_show_equivocation() -> Weight;
    /// `end_stall`.
    fn end_stall() -> Weight;
    /// `slash`.
    fn slash() -> Weight;
}

/// Bounds, with storage at the prices `D`: per signature 250 µs, per header of a justification 80 µs (decoded, hashed, walked by each voter), per
/// candidate 40 µs.
pub struct MeasuredWeight<D>(PhantomData<D>);

/// A signature that is checked.
const SIGNATURE: u64 = 250_000_000;
/// A header of a justification.
const HEADER: u64 = 80_000_000;
/// A candidate that is looked at.
const CANDIDATE: u64 = 40_000_000;
/// What every call does beside.
const CALL: u64 = 300_000_000;
/// Of a justification.
const HEADERS: u64 = 256;
/// Of all places.
const CANDIDATES: u64 = 256;

impl<D: Get<RuntimeDbWeight>> WeightInfo for MeasuredWeight<D> {
    fn on_initialize() -> Weight {
        Weight::from_parts(20_000_000, 0).saturating_add(D::get().reads(6)).saturating_add(D::get().writes(2))
    }
    fn elect(c: u32) -> Weight {
        Weight::from_parts(CALL, 0)
            .saturating_add(Weight::from_parts(CANDIDATE, 0).saturating_mul(c.into()))
            .saturating_add(D::get().reads(16))
            .saturating_add(D::get().reads(3_u64.saturating_mul(c.into())))
            .saturating_add(D::get().reads(64))
            .saturating_add(D::get().writes(76))
    }
    fn join() -> Weight {
        Weight::from_parts(CALL + SIGNATURE + CANDIDATES * CANDIDATE, 0)
            .saturating_add(D::get().reads(10 + 2 * CANDIDATES))
            .saturating_add(D::get().writes(8))
    }
    fn raise_bond() -> Weight {
        Weight::from_parts(CALL + CANDIDATES * CANDIDATE, 0)
            .saturating_add(D::get().reads(10 + 2 * CANDIDATES))
            .saturating_add(D::get().writes(8))
    }
    fn set_key() -> Weight {
        Weight::from_parts(CALL + SIGNATURE, 0).saturating_add(D::get().reads(4)).saturating_add(D::get().writes(3))
    }
    fn leave() -> Weight {
        Weight::from_parts(CALL, 0).saturating_add(D::get().reads(4)).saturating_add(D::get().writes(3))
    }
    fn withdraw() -> Weight {
        Weight::from_parts(CALL, 0).saturating_add(D::get().reads(6)).saturating_add(D::get().writes(5))
    }
    fn prove() -> Weight {
        Weight::from_parts(CALL + HEADERS * HEADER, 0)
            .saturating_add(D::get().reads(12))
            .saturating_add(D::get().writes(8))
    }
    fn authorize_prove(p: u32) -> Weight {
        Weight::from_parts(CALL + HEADERS * HEADER, 0)
            .saturating_add(Weight::from_parts(SIGNATURE, 0).saturating_mul(p.into()))
            .saturating_add(D::get().reads(8))
    }
    fn show_equivocation() -> Weight {
        Weight::from_parts(2 * CALL + 2 * SIGNATURE, 0)
            .saturating_add(D::get().reads(14))
            .saturating_add(D::get().writes(10))
    }
    fn authorize_show_equivocation() -> Weight {
        Weight::from_parts(CALL + 2 * SIGNATURE, 0).saturating_add(D::get().reads(4))
    }
    fn end_stall() -> Weight {
        Weight::from_parts(2 * CALL, 0).saturating_add(D::get().reads(140)).saturating_add(D::get().writes(76))
    }
    fn slash() -> Weight {
        Weight::from_parts(2 * CALL, 0).saturating_add(D::get().reads(8)).saturating_add(D::get().writes(8))
    }
}

impl WeightInfo for () {
    fn on_initialize() -> Weight {
        Weight::zero()
    }
    fn elect(_: u32) -> Weight {
        Weight::zero()
    }
    fn join() -> Weight {
        Weight::zero()
    }
    fn raise_bond() -> Weight {
        Weight::zero()
    }
    fn set_key() -> Weight {
        Weight::zero()
    }
    fn leave() -> Weight {
        Weight::zero()
    }
    fn withdraw() -> Weight {
        Weight::zero()
    }
    fn prove() -> Weight {
        Weight::zero()
    }
    fn authorize_prove(_: u32) -> Weight {
        Weight::zero()
    }
    fn show_equivocation() -> Weight {
        Weight::zero()
    }
    fn authorize_show_equivocation() -> Weight {
        Weight::zero()
    }
    fn end_stall() -> Weight {
        Weight::zero()
    }
    fn slash() -> Weight {
        Weight::zero()
    }
}
