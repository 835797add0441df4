//! Migrations of the storage.

use crate::{Authors, ChainParameters, Config, NextSnapshot, Pallet, ShareTotals, Term, Terms};
use alloc::{collections::BTreeSet, vec::Vec};
use frame_support::{
    migrations::VersionedMigration, pallet_prelude::*, storage_alias, traits::UncheckedOnRuntimeUpgrade,
    weights::Weight,
};
use weir_primitives::{
    consensus::shares::{Author, Totals},
    AccountId, EpochIndex,
};

/// Writes the parameters in their present layout. That of every former version can be read
/// ([`weir_primitives::parameters::former`]), so a chain goes on without this; but who reads the state from outside knows only the
/// layout that the metadata tells of.
///
/// The weight of a chain of version 1 begins at zero here: what a state counts is compared only above a common ancestor, and nodes
/// that were there before have the weights of all blocks beside their chain.
pub struct ToVersion4<T>(PhantomData<T>);

impl<T: Config> UncheckedOnRuntimeUpgrade for ToVersion4<T> {
    fn on_runtime_upgrade() -> Weight {
        match ChainParameters::<T>::get() {
            Some(parameters) => ChainParameters::<T>::put(parameters),
            None => log::error!(target: "runtime::difficulty", "the parameters of the chain cannot be read"),
        }
        T::DbWeight::get().reads_writes(1, 1).saturating_add(move_shares::<T>())
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

#[allow(missing_docs, reason = "the macro writes structures without any")]
mod former {
    use super::*;

    /// The last epoch in which an author made a block, and the last one before that.
    #[storage_alias]
    pub type Authored<T: Config> =
        StorageMap<Pallet<T>, Blake2_128Concat, AccountId, (EpochIndex, Option<EpochIndex>), OptionQuery>;

    /// The bandwidth behind each author in the snapshots of [`Terms`].
    #[storage_alias]
    pub type Shares<T: Config> =
        StorageDoubleMap<Pallet<T>, Twox64Concat, EpochIndex, Blake2_128Concat, AccountId, u64, OptionQuery>;
}

/// The most entries of those who have no share that are forgotten at once. More of them are of no use, and stay.
const MOST_FORGOTTEN: u32 = 1_000;

/// Brings the shares of authors from snapshots to what follows from changes. What the snapshots have given counts as long as it would have;
/// after them nothing is behind anybody until bandwidth was measured in both directions.
///
/// At most 256 providers were there, so that there are no more authors with a share in each. Who has none is told by nothing that is asked for: that it
/// made a block counts when something is behind it, and then it makes another.
fn move_shares<T: Config>() -> Weight {
    let terms = Terms::<T>::get();
    let next = terms.last().map_or(0, |term| term.snapshot).saturating_add(1);
    let mut moved = 0u64;
    let with_shares: BTreeSet<AccountId> =
        terms.iter().flat_map(|term| former::Shares::<T>::iter_key_prefix(term.snapshot)).collect();
    for account in with_shares {
        let share = |term: &Term| (term.snapshot, former::Shares::<T>::take(term.snapshot, &account).unwrap_or(0));
        let shares: Vec<_> = terms.iter().map(share).collect();
        let (last, before) = former::Authored::<T>::take(&account).unwrap_or((0, None));
        // It made a block in the epoch before each of these.
        let counted = shares.iter().filter(|(_, bits)| *bits > 0).map(|(epoch, _)| epoch.saturating_sub(1));
        let last = counted.fold(last, u32::max);
        Authors::<T>::insert(account, Author::of_snapshots(last, before, &shares, next));
        moved = moved.saturating_add(1);
    }
    let forgotten = u64::from(former::Authored::<T>::clear(MOST_FORGOTTEN, None).unique);
    let totals = terms.iter().map(|term| (term.snapshot, term.total_bits_per_second));
    ShareTotals::<T>::put(Totals::of_snapshots(totals));
    let writes = moved.saturating_mul(5).saturating_add(forgotten).saturating_add(1);
    T::DbWeight::get().reads_writes(moved.saturating_mul(7).saturating_add(forgotten).saturating_add(2), writes)
}

type From<const VERSION: u16, T> =
    VersionedMigration<VERSION, 4, ToVersion4<T>, Pallet<T>, <T as frame_system::Config>::DbWeight>;

/// Writes the parameters in their present layout, and numbers snapshots by themselves: until then the number of a snapshot was its epoch's. The
/// last one is in force, or will be, without a proof.
pub struct ToVersion5<T>(PhantomData<T>);

impl<T: Config> UncheckedOnRuntimeUpgrade for ToVersion5<T> {
    fn on_runtime_upgrade() -> Weight {
        match ChainParameters::<T>::get() {
            Some(parameters) => ChainParameters::<T>::put(parameters),
            None => log::error!(target: "runtime::difficulty", "the parameters of the chain cannot be read"),
        }
        NextSnapshot::<T>::put(Terms::<T>::get().last().map_or(0, |term| term.snapshot.saturating_add(1)));
        T::DbWeight::get().reads_writes(2, 2)
    }

    #[cfg(feature = "try-runtime")]
    fn post_upgrade(_: alloc::vec::Vec<u8>) -> Result<(), sp_runtime::TryRuntimeError> {
        Pallet::<T>::do_try_state()
    }
}

/// From versions 1 to 4 to version 5.
pub type V5<T> = (
    From<1, T>,
    From<2, T>,
    From<3, T>,
    VersionedMigration<4, 5, ToVersion5<T>, Pallet<T>, <T as frame_system::Config>::DbWeight>,
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        mock::{account, execute, honest, new_test_ext, parameters, Test},
        pallet::STORAGE_VERSION,
    };
    use codec::Encode;
    use frame_support::{
        storage::unhashed,
        traits::{GetStorageVersion, OnRuntimeUpgrade},
    };
    use weir_primitives::parameters::{
        former::{ConsensusV1, MeasurementV3, TokenV2, V1, V2, V3, V4},
        Parameters,
    };

    fn v2() -> V2 {
        let Parameters { consensus, measurement, registry, token, .. } = parameters();
        let measurement = MeasurementV3 {
            epoch_blocks: measurement.epoch_blocks,
            instants: measurement.instants,
            committee: measurement.committee,
            byzantine: measurement.byzantine,
            rank: measurement.rank,
            window: measurement.window,
            clock_tolerance_us: measurement.clock_tolerance_us,
            least_time_us: measurement.least_time_us,
            train_us: measurement.train_us,
            report_deadline: measurement.report_deadline,
            growth_step_bits_per_second: measurement.growth_step_bits_per_second,
            bond_per_mbit: registry.bond_per_mbit,
            challenger_bond: registry.challenger_bond,
            unbonding_blocks: registry.unbonding_blocks,
        };
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
            finality_depth: consensus.snapshot_depth,
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
        V5::<Test>::on_runtime_upgrade();
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
    fn a_chain_of_version_3_keeps_its_prices() {
        new_test_ext().execute_with(|| {
            let V2 { consensus, measurement, .. } = v2();
            let v3 = V3 { consensus, measurement, token: parameters().token };
            store(3, v3.clone());
            let expected = Parameters::from(v3);
            assert_eq!(expected.registry.bond_of_provider(10_000_000), 10 * expected.registry.bond_per_mbit);
            is_brought_to_the_present(expected);
        });
    }

    #[test]
    fn a_chain_of_version_4_goes_on_to_number_its_snapshots() {
        new_test_ext().execute_with(|| {
            let Parameters { consensus, measurement, registry, token, .. } = parameters();
            let v4 = V4 { consensus, measurement, registry, token };
            store(4, v4.clone());
            Terms::<Test>::put(BoundedVec::truncate_from(vec![
                Term { snapshot: 6, from: 69, total_bits_per_second: 0 },
                Term { snapshot: 7, from: 79, total_bits_per_second: 0 },
            ]));
            is_brought_to_the_present(Parameters::from(v4));
            assert_eq!(NextSnapshot::<Test>::get(), 8);
        });
    }

    #[test]
    fn what_snapshots_have_given_counts_as_long_as_it_would_have_and_nothing_after() {
        new_test_ext().execute_with(|| {
            let (one, other, none) = (account(1), account(2), account(3));
            for (epoch, shares) in [(5, [10, 0]), (6, [20, 7]), (7, [30, 8])] {
                for (author, bits) in [&one, &other].into_iter().zip(shares).filter(|(_, bits)| *bits > 0) {
                    former::Shares::<Test>::insert(epoch, author, bits);
                }
                let total = u128::from(shares[0] + shares[1]);
                Terms::<Test>::mutate(|terms| {
                    terms.force_push(Term { snapshot: epoch, from: epoch * 10 + 9, total_bits_per_second: total })
                });
            }
            former::Authored::<Test>::insert(&one, (7, Some(6)));
            former::Authored::<Test>::insert(&other, (6, Some(5)));
            former::Authored::<Test>::insert(&none, (7, None::<EpochIndex>));
            StorageVersion::new(3).put::<Pallet<Test>>();
            V5::<Test>::on_runtime_upgrade();
            let shares = |epoch| [&one, &other, &none].map(|author| Authors::<Test>::get(author).share(epoch));
            assert_eq!([5, 6, 7, 8].map(shares), [[10, 0, 0], [20, 7, 0], [30, 8, 0], [0, 0, 0]]);
            assert!(Authors::<Test>::get(&one).made_a_block(7) && !Authors::<Test>::get(&other).made_a_block(7));
            assert_eq!(former::Authored::<Test>::iter().count() + former::Shares::<Test>::iter().count(), 0);
            Pallet::<Test>::do_try_state().unwrap();
        });
    }

    #[test]
    fn parameters_of_a_version_that_is_not_known_are_not_taken_for_others() {
        new_test_ext().execute_with(|| {
            store(6, v2());
            assert_eq!(Pallet::<Test>::parameters(), None);
        });
    }

    #[test]
    fn what_is_of_the_present_version_is_left_alone() {
        new_test_ext().execute_with(|| {
            unhashed::put_raw(&ChainParameters::<Test>::hashed_key(), b"not touched");
            StorageVersion::new(5).put::<Pallet<Test>>();
            V5::<Test>::on_runtime_upgrade();
            assert_eq!(unhashed::get_raw(&ChainParameters::<Test>::hashed_key()).unwrap(), b"not touched");
        });
    }
}
