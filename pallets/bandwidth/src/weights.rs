//! Weights of `pallet-bandwidth`.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};

/// What the pallet's work costs.
pub trait WeightInfo {
    /// What each block costs, without the sweep.
    fn on_initialize() -> Weight;
    /// Beginning an epoch.
    fn start_epoch() -> Weight;
    /// A look at the table of challengers.
    fn look() -> Weight;
    /// Passing over a slot that was not drawn.
    fn pass_slot() -> Weight;
    /// Evaluating the challenge of a slot whose committee took so many looks at the table of challengers; beside [`Self::pass_slot`].
    fn evaluate(looks: u32) -> Weight;
    /// Forgetting some of what was reported at an instant that is not evaluated.
    fn forget() -> Weight;
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

/// Counted from the code: every storage access at the database's price, and the arithmetic and signatures at a bound.
pub struct CountedWeight<T>(PhantomData<T>);

/// The time of one signature check, in picoseconds.
const SIGNATURE: u64 = 60_000_000;
/// The most members of a committee.
const MEMBERS: u64 = weir_primitives::parameters::MAX_COMMITTEE as u64;
/// The most looks at the table of challengers that a committee takes.
const LOOKS: u64 = crate::reports::MOST_LOOKS as u64;

impl<T: frame_system::Config> CountedWeight<T> {
    fn counted(picoseconds: u64, reads: u64, writes: u64) -> Weight {
        Weight::from_parts(picoseconds, 0).saturating_add(T::DbWeight::get().reads_writes(reads, writes))
    }
}

impl<T: frame_system::Config> WeightInfo for CountedWeight<T> {
    fn on_initialize() -> Weight {
        // The parameters and what can be tuned of them (10 reads), plan, instants, timestamp, migration.
        Self::counted(20_000_000, 16, 2)
    }
    fn start_epoch() -> Weight {
        // Sums, tables, 16 admitted (6 and 8 each), 64 candidates for jail of which those that fit are jailed (6 and 8 each), terms, budget.
        Self::counted(2_000_000_000, 600, 700)
    }
    fn look() -> Weight {
        Self::counted(2_000_000, 1, 0)
    }
    fn pass_slot() -> Weight {
        // The slot, and the sum of its prefix.
        Self::counted(5_000_000, 2, 0)
    }
    fn evaluate(looks: u32) -> Weight {
        // Reports, batch, window, the looks; of each member its slot, its record and what it earns (4 and 4 once in an epoch); the provider's
        // slot, the sums, what it is paid.
        Self::counted(200_000_000, 6 * 16 + 30, 3 * 16 + 30).saturating_add(Self::look().saturating_mul(looks.into()))
    }
    fn forget() -> Weight {
        let count = u64::from(crate::sweep::FORGOTTEN_AT_A_TIME).saturating_mul(2);
        Self::counted(20_000_000, count, count)
    }
    fn submit() -> Weight {
        Self::counted(50_000_000, 24, 9)
    }
    fn authorize_submit() -> Weight {
        Self::counted((MEMBERS + 1) * SIGNATURE, MEMBERS + 24, 0).saturating_add(Self::look().saturating_mul(LOOKS))
    }
    fn submit_own() -> Weight {
        Self::counted(30_000_000, 4, 2)
    }
    fn authorize_submit_own() -> Weight {
        Self::counted(2 * SIGNATURE, MEMBERS + 24, 0).saturating_add(Self::look().saturating_mul(LOOKS))
    }
    fn show_equivocation() -> Weight {
        Self::counted(2 * SIGNATURE + 100_000_000, 20, 16)
    }
}

impl WeightInfo for () {
    fn on_initialize() -> Weight {
        Weight::zero()
    }
    fn start_epoch() -> Weight {
        Weight::zero()
    }
    fn look() -> Weight {
        Weight::zero()
    }
    fn pass_slot() -> Weight {
        Weight::from_parts(1_000, 0)
    }
    fn evaluate(_: u32) -> Weight {
        Weight::zero()
    }
    fn forget() -> Weight {
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
