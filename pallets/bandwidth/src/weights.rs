//! Weights of `pallet-bandwidth`.

#![allow(missing_docs)]

use core::marker::PhantomData;
use frame_support::weights::Weight;

pub trait WeightInfo {
    fn on_initialize() -> Weight;
    fn start_epoch() -> Weight;
    fn look(l: u32) -> Weight;
    fn pass_slots(s: u32) -> Weight;
    fn evaluate(m: u32) -> Weight;
    fn evict() -> Weight;
    fn forget() -> Weight;
    fn submit(r: u32) -> Weight;
    fn authorize_submit(r: u32) -> Weight;
    fn submit_own() -> Weight;
    fn authorize_submit_own() -> Weight;
    fn show_equivocation() -> Weight;
}

pub struct MeasuredWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for MeasuredWeight<T> {
    fn on_initialize() -> Weight {
        Weight::zero()
    }
    fn start_epoch() -> Weight {
        Weight::zero()
    }
    fn look(_: u32) -> Weight {
        Weight::zero()
    }
    fn pass_slots(_: u32) -> Weight {
        Weight::zero()
    }
    fn evaluate(_: u32) -> Weight {
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

impl WeightInfo for () {
    fn on_initialize() -> Weight {
        Weight::zero()
    }
    fn start_epoch() -> Weight {
        Weight::zero()
    }
    fn look(_: u32) -> Weight {
        Weight::zero()
    }
    fn pass_slots(_: u32) -> Weight {
        Weight::zero()
    }
    fn evaluate(_: u32) -> Weight {
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
