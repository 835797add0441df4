//! A runtime with only what this pallet needs.

use crate::{self as pallet_difficulty, NextSnapshot};
use frame_support::derive_impl;
use sp_keystore::{testing::MemoryKeystore, KeystoreExt};
use sp_runtime::{traits::IdentityLookup, BuildStorage};
use weir_primitives::{
    consensus::{Difficulty as Work, PreDigest},
    finality::Finality,
    interfaces::Epochs,
    parameters::{Consensus, Measurement, Parameters, Token, RULES_VERSION},
    registry::Registry,
    AccountId, BlockNumber, Epoch, EpochIndex, PLANCK_PER_WEIR,
};

type Block = frame_system::mocking::MockBlockU32<Test>;

#[frame_support::runtime]
mod runtime {
    #[runtime::runtime]
    #[runtime::derive(RuntimeCall, RuntimeEvent, RuntimeError, RuntimeOrigin, RuntimeTask)]
    pub struct Test;

    #[runtime::pallet_index(0)]
    pub type System = frame_system;
    #[runtime::pallet_index(1)]
    pub type Tested = pallet_difficulty;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
    type AccountId = AccountId;
    type Lookup = IdentityLookup<AccountId>;
}

/// All epochs are equally long.
pub struct Uniform;

impl Epochs for Uniform {
    fn index_at(number: BlockNumber) -> EpochIndex {
        Epoch::uniform(number, EPOCH).index
    }

    fn current() -> Epoch {
        // Of the block before: in this one nobody was told of a border yet.
        Epoch::uniform(System::block_number().saturating_sub(1), EPOCH)
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn set_current(epoch: Epoch) {
        System::set_block_number(epoch.first);
    }
}

impl pallet_difficulty::Config for Test {
    type OnAuthored = ();
    type Epochs = Uniform;
    type WeightInfo = ();
}

pub const EPOCH: BlockNumber = 10;

pub fn parameters() -> Parameters {
    Parameters {
        version: RULES_VERSION,
        consensus: Consensus {
            block_time: 6_000,
            least_block_interval: 300,
            furthest_ahead: 15_000,
            half_life: 600_000,
            initial_difficulty: Work::from(1_000_000),
            floor_difficulty: Work::from(1_000),
            snapshot_depth: 8,
            boost: 8,
            credit_cap_blocks: 8,
            least_total_bits_per_second: 1_000,
        },
        measurement: Measurement {
            epoch_blocks: EPOCH,
            instants: 2,
            notice: 12_000,
            groups_prefixes: false,
            least_seniors: 0,
            committee: 4,
            byzantine: 1,
            rank: 2,
            window: 3,
            clock_tolerance_us: 20_000,
            least_time_us: 500_000,
            train_us: 500_000,
            report_deadline: 10_000,
            growth_step_bits_per_second: 250_000_000,
        },
        registry: Registry {
            provider_bond: 0,
            bond_per_mbit: PLANCK_PER_WEIR,
            challenger_bond: 100 * PLANCK_PER_WEIR,
            unbonding_blocks: 20,
            slow_admission: false,
            admission_fee: 0,
            class_bits_per_second: 1_000_000_000,
            most_joining: 256,
        },
        token: Token { emission_divisor: 10_000, vesting_blocks: 96, full_pay_bits_per_second: 1_000 },
        finality: Finality {
            voter_bond: 100 * PLANCK_PER_WEIR,
            least_voters: 1,
            reference_bits_per_second: 1_000,
            epochs_per_set: 1,
            votes_behind: 4,
        },
    }
}

pub fn new_test_ext() -> sp_io::TestExternalities {
    let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
    pallet_difficulty::GenesisConfig::<Test> { parameters: Some(parameters()), ..Default::default() }
        .assimilate_storage(&mut storage)
        .unwrap();
    let mut ext = sp_io::TestExternalities::from(storage);
    ext.register_extension(KeystoreExt::new(MemoryKeystore::new()));
    // As if the snapshot of the first epoch had been taken, so that those of the others have their numbers.
    ext.execute_with(|| NextSnapshot::<Test>::put(1));
    ext
}

pub fn account(id: u8) -> AccountId {
    AccountId::new([id; 32])
}

/// The claims of an honest block on the current state, on schedule and without credit.
pub fn honest(author: u8) -> PreDigest {
    let number = System::block_number() + 1;
    PreDigest {
        author: account(author),
        base: pallet_difficulty::NextBase::<Test>::get().unwrap_or(Work::MIN).0,
        credit: Default::default(),
        timestamp: u64::from(number) * 6_000,
    }
}

/// Begins a block.
pub fn begin(claims: &PreDigest) {
    use frame_support::traits::Hooks;
    let number = System::block_number() + 1;
    let digest = sp_runtime::generic::Digest { logs: vec![claims.to_item()] };
    System::reset_events();
    System::initialize(&number, &Default::default(), &digest);
    pallet_difficulty::Pallet::<Test>::on_initialize(number);
}

/// Ends a block.
pub fn end(claims: &PreDigest) {
    use frame_support::traits::{Hooks, OnTimestampSet};
    pallet_difficulty::Pallet::<Test>::on_timestamp_set(claims.timestamp);
    pallet_difficulty::Pallet::<Test>::on_finalize(System::block_number());
    pallet_difficulty::Pallet::<Test>::do_try_state().unwrap();
}

/// Executes a block.
pub fn execute(claims: &PreDigest) {
    begin(claims);
    end(claims);
}
