//! Weights of `pallet-registry`.

#![allow(missing_docs)]

use core::marker::PhantomData;
use frame_support::weights::Weight;

pub trait WeightInfo {
    fn register_provider() -> Weight;
    fn register_challenger() -> Weight;
    fn set_declared() -> Weight;
    fn set_mining_author() -> Weight;
    fn set_endpoints() -> Weight;
    fn pause() -> Weight;
    fn come_back() -> Weight;
    fn set_identity() -> Weight;
    fn leave() -> Weight;
    fn withdraw() -> Weight;
    fn slash() -> Weight;
}

pub struct MeasuredWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for MeasuredWeight<T> {
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
