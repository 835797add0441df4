//! Weights of `pallet-bandwidth`.

use frame_support::weights::Weight;

/// What the pallet's work costs.
pub trait WeightInfo {
    /// What each block costs, without the sweep.
    fn on_initialize() -> Weight;
    /// Beginning an epoch.
    fn start_epoch() -> Weight;
    /// [`crate::Pallet::submit`].
    fn submit() -> Weight;
    /// Checking [`crate::Pallet::submit`].
    fn authorize_submit() -> Weight;
    /// [`crate::Pallet::submit_own`].
    fn submit_own() -> Weight;
    /// Checking [`crate::Pallet::submit_own`].
    fn authorize_submit_own() -> Weight;
    /// [`crate::Pallet::show_equivocation`].
    fn show_equivocation() -> Weight;
}

impl WeightInfo for () {
    fn on_initialize() -> Weight {
        Weight::zero()
    }
    fn start_epoch() -> Weight {
        Weight::zero()
    }
    fn submit() -> Weight {
        Weight::zero()
    }
    fn authorize_submit() -> Weight {
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
