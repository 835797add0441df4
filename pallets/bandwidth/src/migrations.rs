//! Migrations of the storage.
//!
//! # To version 2
//!
//! Epochs followed from the height of a block alone. From here on they are counted, and what is planned for an epoch that has begun
//! says which one it is.

use crate::{types::Plan, Config, CurrentEpoch, Pallet, Plans};
use codec::{Decode, Encode};
use frame_support::{
    migrations::VersionedMigration, pallet_prelude::*, traits::UncheckedOnRuntimeUpgrade, weights::Weight,
};
use sp_runtime::SaturatedConversion;
#[cfg(feature = "try-runtime")]
use weir_primitives::EpochIndex;
use weir_primitives::{measurement::draw::Seed, Epoch, UnixMilliseconds};

/// What was planned for an epoch in version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PlanV1 {
    /// What order and committees are drawn from.
    pub seed: Option<Seed>,
    /// The timestamp of the epoch's first block.
    pub start: Option<UnixMilliseconds>,
    /// How many providers are challenged.
    pub providers: u32,
    /// How many challengers there are to draw from.
    pub challengers: u32,
    /// How many of the challenges have been evaluated.
    pub evaluated: u32,
}

/// The plans of version 1.
#[cfg(feature = "try-runtime")]
#[frame_support::storage_alias]
type PlansV1<T: Config> = StorageMap<Pallet<T>, Twox64Concat, EpochIndex, PlanV1, OptionQuery>;

/// The migration itself, whatever the version of the storage.
pub struct CountEpochs<T>(PhantomData<T>);

impl<T: Config> UncheckedOnRuntimeUpgrade for CountEpochs<T> {
    fn on_runtime_upgrade() -> Weight {
        let Some(parameters) = T::Parameters::get() else { return T::DbWeight::get().reads(1) };
        let blocks = parameters.measurement.epoch_blocks;
        let number = frame_system::Pallet::<T>::block_number().saturated_into();
        CurrentEpoch::<T>::put(Epoch::uniform(number, blocks));
        // Those of the open epochs, the current one and the next.
        let mut plans = 0;
        Plans::<T>::translate::<PlanV1, _>(|index, old| {
            plans += 1;
            let first = index.saturating_mul(blocks);
            Some(Plan {
                seed: old.seed,
                start: old.start.map(|start| (Epoch { index, first, blocks }, start)),
                providers: old.providers,
                challengers: old.challengers,
                evaluated: old.evaluated,
            })
        });
        T::DbWeight::get()
            .reads_writes(2, 1)
            .saturating_add(T::DbWeight::get().reads_writes(1, 1).saturating_mul(plans))
    }

    #[cfg(feature = "try-runtime")]
    fn pre_upgrade() -> Result<alloc::vec::Vec<u8>, sp_runtime::TryRuntimeError> {
        Ok(PlansV1::<T>::iter().collect::<alloc::vec::Vec<_>>().encode())
    }

    #[cfg(feature = "try-runtime")]
    fn post_upgrade(before: alloc::vec::Vec<u8>) -> Result<(), sp_runtime::TryRuntimeError> {
        let before = alloc::vec::Vec::<(EpochIndex, PlanV1)>::decode(&mut before.as_slice())
            .map_err(|_| "what was kept does not decode")?;
        ensure!(before.len() == Plans::<T>::iter().count(), "a plan was lost");
        for (index, old) in before {
            let plan = Plans::<T>::get(index).ok_or("a plan was lost")?;
            ensure!(plan.start.map(|(_, start)| start) == old.start, "an epoch begins at another time");
        }
        Ok(())
    }
}

/// From version 1 to version 2.
pub type V2<T> = VersionedMigration<1, 2, CountEpochs<T>, Pallet<T>, <T as frame_system::Config>::DbWeight>;
