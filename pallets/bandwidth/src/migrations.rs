//! Migrations of the storage, one module for each version that they lead to.

/// To version 2: guaranteed bandwidth is the clipped mean of the window.
pub mod v2 {
    use crate::{Config, Pallet, Provider, Providers};
    use frame_support::{
        migrations::VersionedMigration, pallet_prelude::*, traits::UncheckedOnRuntimeUpgrade, weights::Weight,
    };
    use weir_primitives::parameters::Parameters;

    /// The migration itself, whatever the version of the storage.
    pub struct Unchecked<T>(PhantomData<T>);

    impl<T: Config> UncheckedOnRuntimeUpgrade for Unchecked<T> {
        /// Makes guaranteed bandwidth anew from the results, which stay. There are at most [`Config::MaxProviders`],
        /// so one block does. What was handed on already, shares and pay of the epoch that runs, stands until the
        /// next snapshot.
        fn on_runtime_upgrade() -> Weight {
            let Some(Parameters { measurement, .. }) = T::Parameters::get() else {
                log::error!(target: "runtime::bandwidth", "there are no parameters to migrate providers by");
                return T::DbWeight::get().reads(1);
            };
            let mut providers = 0u64;
            Providers::<T>::translate_values(|mut provider: Provider| {
                provider.set_guaranteed(&measurement);
                providers = providers.saturating_add(1);
                Some(provider)
            });
            T::DbWeight::get().reads_writes(providers.saturating_add(1), providers)
        }

        #[cfg(feature = "try-runtime")]
        fn pre_upgrade() -> Result<alloc::vec::Vec<u8>, sp_runtime::TryRuntimeError> {
            use codec::Encode;
            Ok(Providers::<T>::count().encode())
        }

        #[cfg(feature = "try-runtime")]
        fn post_upgrade(before: alloc::vec::Vec<u8>) -> Result<(), sp_runtime::TryRuntimeError> {
            use codec::Decode;
            let before = u32::decode(&mut before.as_slice()).map_err(|_| "what was kept does not decode")?;
            let readable = Providers::<T>::iter().count();
            ensure!(Providers::<T>::count() == before && readable == before as usize, "a provider was lost");
            Ok(())
        }
    }

    /// From version 1 to version 2.
    pub type Migration<T> = VersionedMigration<1, 2, Unchecked<T>, Pallet<T>, <T as frame_system::Config>::DbWeight>;

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::mock::{
            account, endpoints, identity, new_test_ext, proof, run_to, Bandwidth, RuntimeOrigin, Test, MBIT,
        };
        use frame_support::{
            assert_ok,
            traits::{GetStorageVersion, OnRuntimeUpgrade},
        };
        use sp_core::Pair;
        use weir_primitives::measurement::endpoint::Service;

        /// What version 1 guaranteed for the windows of [`chain_of_version_1`]: the second largest of three results.
        const BEFORE: [u64; 3] = [60, 60, 0];
        /// What version 2 does.
        const AFTER: [u64; 3] = [(60 + 60) / 3, (60 + 60 + 30) / 3, 0];

        fn guaranteed() -> [u64; 3] {
            [1, 2, 3].map(|id| Providers::<Test>::get(account(id)).unwrap().guaranteed_bits_per_second / MBIT)
        }

        fn chain_of_version_1() {
            run_to(1);
            for (id, results, before) in
                [(1, [90, 0, 60].as_slice(), BEFORE[0]), (2, &[30, 70, 60], BEFORE[1]), (3, &[80], BEFORE[2])]
            {
                assert_ok!(Bandwidth::register_provider(
                    RuntimeOrigin::signed(account(id)),
                    100 * MBIT,
                    identity(id).public(),
                    proof(id),
                    endpoints(Service::Probe),
                    None,
                ));
                Providers::<Test>::mutate(account(id), |provider| {
                    let provider = provider.as_mut().unwrap();
                    provider.results = results.iter().map(|mbits| mbits * MBIT).collect::<Vec<_>>().try_into().unwrap();
                    provider.guaranteed_bits_per_second = before * MBIT;
                });
            }
            StorageVersion::new(1).put::<Pallet<Test>>();
        }

        #[test]
        fn providers_of_version_1_are_guaranteed_what_the_rule_of_version_2_makes_of_their_results() {
            new_test_ext().execute_with(|| {
                chain_of_version_1();
                assert!(Bandwidth::do_try_state().is_err(), "without the migration the state contradicts the rule");

                let weight = Migration::<Test>::on_runtime_upgrade();
                assert_eq!(guaranteed(), AFTER);
                assert_eq!(Providers::<Test>::count(), 3);
                assert_eq!(Pallet::<Test>::on_chain_storage_version(), StorageVersion::new(2));
                Bandwidth::do_try_state().unwrap();
                // Each provider, the parameters, and the version of the storage.
                let counted = <Test as frame_system::Config>::DbWeight::get().reads_writes(3 + 1 + 1, 3 + 1);
                assert_eq!(weight, counted);
            });
        }

        #[test]
        fn the_migration_runs_once() {
            new_test_ext().execute_with(|| {
                chain_of_version_1();
                Migration::<Test>::on_runtime_upgrade();
                // What a second run would make anew.
                Providers::<Test>::mutate(account(3), |provider| {
                    provider.as_mut().unwrap().guaranteed_bits_per_second = MBIT;
                });
                Migration::<Test>::on_runtime_upgrade();
                assert_eq!(guaranteed()[2], 1);
            });
        }
    }
}

/// To version 3: epochs, which followed from the height of a block alone, are counted, and what is planned for an epoch that has
/// begun says which one it is.
pub mod v3 {
    use crate::{types::Plan, Config, CurrentEpoch, Pallet, Plans};
    use codec::{Decode, Encode};
    use frame_support::{
        migrations::VersionedMigration, pallet_prelude::*, traits::UncheckedOnRuntimeUpgrade, weights::Weight,
    };
    use sp_runtime::SaturatedConversion;
    #[cfg(feature = "try-runtime")]
    use weir_primitives::EpochIndex;
    use weir_primitives::{measurement::draw::Seed, Epoch, UnixMilliseconds};

    /// What was planned for an epoch in version 2.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
    pub struct PlanV2 {
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

    /// The plans of version 2.
    #[cfg(feature = "try-runtime")]
    #[frame_support::storage_alias]
    type PlansV2<T: Config> = StorageMap<Pallet<T>, Twox64Concat, EpochIndex, PlanV2, OptionQuery>;

    /// The migration itself, whatever the version of the storage.
    pub struct CountEpochs<T>(PhantomData<T>);

    impl<T: Config> UncheckedOnRuntimeUpgrade for CountEpochs<T> {
        fn on_runtime_upgrade() -> Weight {
            let Some(parameters) = T::Parameters::get() else { return T::DbWeight::get().reads(1) };
            let blocks = parameters.measurement.epoch_blocks;
            let number = frame_system::Pallet::<T>::block_number().saturated_into();
            CurrentEpoch::<T>::put(Epoch::uniform(number, blocks));
            // Those of the open epochs, the current one and the next.
            let mut plans = 0u64;
            Plans::<T>::translate::<PlanV2, _>(|index, old| {
                plans = plans.saturating_add(1);
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
            Ok(PlansV2::<T>::iter().collect::<alloc::vec::Vec<_>>().encode())
        }

        #[cfg(feature = "try-runtime")]
        fn post_upgrade(before: alloc::vec::Vec<u8>) -> Result<(), sp_runtime::TryRuntimeError> {
            let before = alloc::vec::Vec::<(EpochIndex, PlanV2)>::decode(&mut before.as_slice())
                .map_err(|_| "what was kept does not decode")?;
            ensure!(before.len() == Plans::<T>::iter().count(), "a plan was lost");
            for (index, old) in before {
                let plan = Plans::<T>::get(index).ok_or("a plan was lost")?;
                ensure!(plan.start.map(|(_, start)| start) == old.start, "an epoch begins at another time");
            }
            Ok(())
        }
    }

    /// From version 2 to version 3.
    pub type Migration<T> = VersionedMigration<2, 3, CountEpochs<T>, Pallet<T>, <T as frame_system::Config>::DbWeight>;
}
