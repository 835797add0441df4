//! Migrations of the storage, one module for each version that they lead to.

/// To version 2: the distance and the limit of dates are parameters, and the weight of the chain is counted.
pub mod v2 {
    use crate::{pallet::STORAGE_VERSION, ChainParameters, Config, Pallet};
    use codec::{Decode, Encode};
    use frame_support::{
        migrations::VersionedMigration, pallet_prelude::*, traits::UncheckedOnRuntimeUpgrade, weights::Weight,
    };
    use weir_primitives::{
        consensus::Difficulty,
        parameters::{Consensus, Measurement, Parameters, Token, RULES_VERSION},
        BlockNumber, Milliseconds,
    };

    /// How far ahead a block may be dated from this version on; a constant of the node before.
    const FURTHEST_AHEAD: Milliseconds = 15_000;
    /// The least distance between two blocks is the block time divided by this; by 6 before.
    const SPACING_DIVISOR: Milliseconds = 20;

    /// The parameters of block production as version 1 stored them.
    #[derive(Clone, Debug, Encode, Decode)]
    pub struct ConsensusV1 {
        /// The wanted time between two blocks.
        pub block_time: Milliseconds,
        /// The half-life of the retarget rule.
        pub half_life: Milliseconds,
        /// The base difficulty of the first blocks.
        pub initial_difficulty: Difficulty,
        /// The least base difficulty.
        pub floor_difficulty: Difficulty,
        /// The depth of finality.
        pub finality_depth: BlockNumber,
        /// How much easier a block gets by one whole credit.
        pub boost: u32,
        /// The cap of a bucket of credit, in blocks.
        pub credit_cap_blocks: u32,
        /// The bandwidth that the sum of all counts as at least.
        pub least_total_bits_per_second: u64,
    }

    /// The parameters of a chain as version 1 stored them.
    #[derive(Clone, Debug, Encode, Decode)]
    pub struct ParametersV1 {
        /// The version of the rules.
        pub version: u32,
        /// Block production.
        pub consensus: ConsensusV1,
        /// Bandwidth.
        pub measurement: Measurement,
        /// Money.
        pub token: Token,
    }

    impl From<ParametersV1> for Parameters {
        fn from(old: ParametersV1) -> Self {
            let consensus = old.consensus;
            Self {
                version: RULES_VERSION,
                consensus: Consensus {
                    block_time: consensus.block_time,
                    least_block_interval: consensus.block_time.checked_div(SPACING_DIVISOR).unwrap_or(0).max(1),
                    furthest_ahead: FURTHEST_AHEAD,
                    half_life: consensus.half_life,
                    initial_difficulty: consensus.initial_difficulty,
                    floor_difficulty: consensus.floor_difficulty,
                    finality_depth: consensus.finality_depth,
                    boost: consensus.boost,
                    credit_cap_blocks: consensus.credit_cap_blocks,
                    least_total_bits_per_second: consensus.least_total_bits_per_second,
                },
                measurement: old.measurement,
                token: old.token,
            }
        }
    }

    /// The migration itself, whatever the version of the storage.
    pub struct Unchecked<T>(PhantomData<T>);

    impl<T: Config> UncheckedOnRuntimeUpgrade for Unchecked<T> {
        /// The weight of the chain begins at zero here: what a state counts is compared only above a common ancestor, and nodes
        /// that were there before have the weights of all blocks beside their chain.
        fn on_runtime_upgrade() -> Weight {
            let translated = ChainParameters::<T>::translate::<ParametersV1, _>(|old| old.map(Into::into));
            if translated.is_err() {
                log::error!(target: "runtime::difficulty", "the parameters of version 1 cannot be read");
            }
            T::DbWeight::get().reads_writes(1, 1)
        }

        #[cfg(feature = "try-runtime")]
        fn pre_upgrade() -> Result<alloc::vec::Vec<u8>, sp_runtime::TryRuntimeError> {
            let key = ChainParameters::<T>::hashed_key();
            let old: ParametersV1 =
                frame_support::storage::unhashed::get(&key).ok_or("the parameters of version 1 are not there")?;
            Ok(old.encode())
        }

        #[cfg(feature = "try-runtime")]
        fn post_upgrade(old: alloc::vec::Vec<u8>) -> Result<(), sp_runtime::TryRuntimeError> {
            let old = ParametersV1::decode(&mut old.as_slice()).map_err(|_| "what was kept does not decode")?;
            ensure!(ChainParameters::<T>::get() == Some(old.into()), "the parameters are not those from before");
            Ok(())
        }
    }

    /// From version 1 to version 2.
    pub type Migration<T> = VersionedMigration<1, 2, Unchecked<T>, Pallet<T>, <T as frame_system::Config>::DbWeight>;

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::mock::{execute, honest, new_test_ext, parameters, Test};
        use frame_support::traits::{GetStorageVersion, OnRuntimeUpgrade};

        fn old() -> ParametersV1 {
            let Parameters { consensus, measurement, token, .. } = parameters();
            ParametersV1 {
                version: 1,
                consensus: ConsensusV1 {
                    block_time: consensus.block_time,
                    half_life: consensus.half_life,
                    initial_difficulty: consensus.initial_difficulty,
                    floor_difficulty: consensus.floor_difficulty,
                    finality_depth: consensus.finality_depth,
                    boost: consensus.boost,
                    credit_cap_blocks: consensus.credit_cap_blocks,
                    least_total_bits_per_second: consensus.least_total_bits_per_second,
                },
                measurement,
                token,
            }
        }

        #[test]
        fn a_chain_of_version_1_keeps_its_parameters_and_makes_blocks_by_the_new_rules() {
            new_test_ext().execute_with(|| {
                frame_support::storage::unhashed::put(&ChainParameters::<Test>::hashed_key(), &old());
                StorageVersion::new(1).put::<Pallet<Test>>();

                Migration::<Test>::on_runtime_upgrade();
                let new = ChainParameters::<Test>::get().unwrap();
                new.check().unwrap();
                assert_eq!(new, Parameters::from(old()));
                assert_eq!((new.consensus.least_block_interval, new.consensus.furthest_ahead), (300, 15_000));
                assert_eq!(Pallet::<Test>::on_chain_storage_version(), STORAGE_VERSION);
                execute(&honest(1));
                Pallet::<Test>::do_try_state().unwrap();
            });
        }

        #[test]
        fn without_the_migration_a_chain_of_version_1_would_make_no_block() {
            new_test_ext().execute_with(|| {
                frame_support::storage::unhashed::put(&ChainParameters::<Test>::hashed_key(), &old());
                assert_eq!(ChainParameters::<Test>::get(), None);
            });
        }

        #[test]
        fn the_migration_runs_once() {
            new_test_ext().execute_with(|| {
                // The storage is of version 2 already: what is there would not decode as version 1.
                let before = ChainParameters::<Test>::get();
                Migration::<Test>::on_runtime_upgrade();
                assert_eq!(ChainParameters::<Test>::get(), before);
            });
        }
    }
}
