//! Migrations of the storage.

use crate::{ChainParameters, Config, Pallet};
use frame_support::{
    migrations::VersionedMigration, pallet_prelude::*, traits::UncheckedOnRuntimeUpgrade, weights::Weight,
};

/// Writes the parameters in their present layout. That of every former version can be read
/// ([`weir_primitives::parameters::former`]), so a chain goes on without this; but who reads the state from outside knows only the
/// layout that the metadata tells of.
///
/// The weight of a chain of version 1 begins at zero here: what a state counts is compared only above a common ancestor, and nodes
/// that were there before have the weights of all blocks beside their chain.
pub struct RewriteParameters<T>(PhantomData<T>);

impl<T: Config> UncheckedOnRuntimeUpgrade for RewriteParameters<T> {
    fn on_runtime_upgrade() -> Weight {
        match ChainParameters::<T>::get() {
            Some(parameters) => ChainParameters::<T>::put(parameters),
            None => log::error!(target: "runtime::difficulty", "the parameters of the chain cannot be read"),
        }
        T::DbWeight::get().reads_writes(1, 1)
    }

    #[cfg(feature = "try-runtime")]
    fn pre_upgrade() -> Result<alloc::vec::Vec<u8>, sp_runtime::TryRuntimeError> {
        use codec::Encode;
        Ok(Pallet::<T>::parameters().ok_or("the parameters of the chain cannot be read")?.encode())
    }

    #[cfg(feature = "try-runtime")]
    fn post_upgrade(before: alloc::vec::Vec<u8>) -> Result<(), sp_runtime::TryRuntimeError> {
        let now = frame_support::storage::unhashed::get_raw(&ChainParameters::<T>::hashed_key());
        ensure!(now == Some(before), "the parameters are not those from before, in the present layout");
        Ok(())
    }
}

type From<const VERSION: u16, T> =
    VersionedMigration<VERSION, 3, RewriteParameters<T>, Pallet<T>, <T as frame_system::Config>::DbWeight>;

/// From versions 1 and 2 to version 3.
pub type V3<T> = (From<1, T>, From<2, T>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        mock::{execute, honest, new_test_ext, parameters, Test},
        pallet::STORAGE_VERSION,
    };
    use codec::Encode;
    use frame_support::{
        storage::unhashed,
        traits::{GetStorageVersion, OnRuntimeUpgrade},
    };
    use weir_primitives::parameters::{
        former::{ConsensusV1, TokenV2, V1, V2},
        Parameters,
    };

    fn v2() -> V2 {
        let Parameters { consensus, measurement, token, .. } = parameters();
        let token = TokenV2 { emission_divisor: 1_000, vesting_blocks: token.vesting_blocks };
        V2 { consensus, measurement, token }
    }

    fn v1() -> V1 {
        let V2 { consensus, measurement, token } = v2();
        let consensus = ConsensusV1 {
            block_time: consensus.block_time,
            half_life: consensus.half_life,
            initial_difficulty: consensus.initial_difficulty,
            floor_difficulty: consensus.floor_difficulty,
            finality_depth: consensus.finality_depth,
            boost: consensus.boost,
            credit_cap_blocks: consensus.credit_cap_blocks,
            least_total_bits_per_second: consensus.least_total_bits_per_second,
        };
        V1 { consensus, measurement, token }
    }

    /// As a chain of a former version has them: the version, then the rest.
    fn store(version: u16, layout: impl Encode) {
        unhashed::put_raw(&ChainParameters::<Test>::hashed_key(), &(u32::from(version), layout).encode());
        StorageVersion::new(version).put::<Pallet<Test>>();
    }

    fn is_brought_to_the_present(expected: Parameters) {
        expected.check().unwrap();
        // Readable before it is migrated, too.
        assert_eq!(Pallet::<Test>::parameters(), Some(expected.clone()));
        V3::<Test>::on_runtime_upgrade();
        assert_eq!(unhashed::get_raw(&ChainParameters::<Test>::hashed_key()), Some(expected.encode()));
        assert_eq!(Pallet::<Test>::on_chain_storage_version(), STORAGE_VERSION);
        execute(&honest(1));
        Pallet::<Test>::do_try_state().unwrap();
    }

    #[test]
    fn a_chain_of_version_1_keeps_its_parameters_and_makes_blocks_by_the_new_rules() {
        new_test_ext().execute_with(|| {
            store(1, v1());
            let expected = Parameters::from(v1());
            assert_eq!((expected.consensus.least_block_interval, expected.consensus.furthest_ahead), (300, 15_000));
            is_brought_to_the_present(expected);
        });
    }

    #[test]
    fn a_chain_of_version_2_goes_on_to_emit_and_to_pay_what_it_did() {
        new_test_ext().execute_with(|| {
            store(2, v2());
            let expected = Parameters::from(v2());
            assert_eq!(expected.token.emission_divisor, 1_000 * u64::from(expected.measurement.epoch_blocks));
            assert_eq!(expected.token.full_pay_bits_per_second, expected.consensus.least_total_bits_per_second);
            is_brought_to_the_present(expected);
        });
    }

    #[test]
    fn parameters_of_a_version_that_is_not_known_are_not_taken_for_others() {
        new_test_ext().execute_with(|| {
            store(4, v2());
            assert_eq!(Pallet::<Test>::parameters(), None);
        });
    }

    #[test]
    fn what_is_of_the_present_version_is_left_alone() {
        new_test_ext().execute_with(|| {
            unhashed::put_raw(&ChainParameters::<Test>::hashed_key(), b"not touched");
            StorageVersion::new(3).put::<Pallet<Test>>();
            V3::<Test>::on_runtime_upgrade();
            assert_eq!(unhashed::get_raw(&ChainParameters::<Test>::hashed_key()).unwrap(), b"not touched");
        });
    }
}
