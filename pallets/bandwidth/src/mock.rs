//! A runtime with only what this pallet needs.

use crate as pallet_bandwidth;
use core::cell::RefCell;
use frame_support::{
    derive_impl,
    migrations::MultiStepMigrator,
    traits::{ConstU32, Get, Hooks},
    weights::{constants::RocksDbWeight, Weight},
};
use sp_core::{ed25519, Pair};
use sp_keystore::{testing::MemoryKeystore, KeystoreExt};
use sp_runtime::{traits::IdentityLookup, BuildStorage};
use weir_primitives::{
    consensus::Difficulty,
    interfaces::{CurrentBlock, MeasuredProvider, OnEpoch},
    measurement::{
        endpoint::{self, Service},
        peer_payload, Endpoints,
    },
    parameters::{Consensus, Measurement, Parameters, Token, RULES_VERSION},
    AccountId, Balance, BlockNumber, Epoch, EpochIndex, Milliseconds, UnixMilliseconds, PLANCK_PER_WEIR,
};

type Block = frame_system::mocking::MockBlockU32<Test>;

#[frame_support::runtime]
mod runtime {
    #[runtime::runtime]
    #[runtime::derive(
        RuntimeCall,
        RuntimeEvent,
        RuntimeError,
        RuntimeOrigin,
        RuntimeFreezeReason,
        RuntimeHoldReason,
        RuntimeTask,
        RuntimeViewFunction
    )]
    pub struct Test;

    #[runtime::pallet_index(0)]
    pub type System = frame_system;
    #[runtime::pallet_index(1)]
    pub type Balances = pallet_balances;
    #[runtime::pallet_index(2)]
    pub type Bandwidth = pallet_bandwidth;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
    type AccountId = AccountId;
    type Lookup = IdentityLookup<AccountId>;
    type DbWeight = RocksDbWeight;
    type AccountData = pallet_balances::AccountData<Balance>;
    type MultiBlockMigrator = Migrator;
}

/// Says that it migrates when it is told to.
pub struct Migrator;

impl MultiStepMigrator for Migrator {
    fn ongoing() -> bool {
        MIGRATING.with_borrow(|migrating| *migrating)
    }

    fn step() -> Weight {
        Weight::zero()
    }
}

pub fn set_migrating(migrating: bool) {
    MIGRATING.set(migrating);
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type Balance = Balance;
    type AccountStore = System;
    type ExistentialDeposit = frame_support::traits::ConstU128<1>;
}

thread_local! {
    static PARAMETERS: RefCell<Parameters> = RefCell::new(parameters());
    static MIGRATING: RefCell<bool> = const { RefCell::new(false) };
    static NOW: RefCell<UnixMilliseconds> = const { RefCell::new(0) };
    static SNAPSHOTS: RefCell<Vec<(EpochIndex, Vec<MeasuredProvider>)>> = const { RefCell::new(Vec::new()) };
}

pub struct TestParameters;

impl Get<Option<Parameters>> for TestParameters {
    fn get() -> Option<Parameters> {
        Some(PARAMETERS.with_borrow(Clone::clone))
    }
}

pub struct Clock;

impl CurrentBlock for Clock {
    fn author() -> Option<AccountId> {
        None
    }

    fn timestamp() -> UnixMilliseconds {
        NOW.with_borrow(|now| *now)
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn set_author(_: &AccountId) {}
}

pub struct Snapshots;

impl Snapshots {
    pub fn all() -> Vec<(EpochIndex, Vec<MeasuredProvider>)> {
        SNAPSHOTS.with_borrow(Clone::clone)
    }
}

impl OnEpoch for Snapshots {
    fn on_epoch(epoch: Epoch, providers: &[MeasuredProvider]) {
        SNAPSHOTS.with_borrow_mut(|all| all.push((epoch.index, providers.to_vec())));
    }
}

impl pallet_bandwidth::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Parameters = TestParameters;
    type CurrentBlock = Clock;
    type OnEpoch = Snapshots;
    type MaxProviders = ConstU32<16>;
    type MaxChallengers = ConstU32<32>;
    type MaxEvaluations = ConstU32<2>;
    type WeightInfo = pallet_bandwidth::weights::CountedWeight<Test>;
}

pub const EPOCH: BlockNumber = 20;
pub const BLOCK_TIME: Milliseconds = 2_000;
pub const MBIT: u64 = 1_000_000;

pub fn parameters() -> Parameters {
    Parameters {
        version: RULES_VERSION,
        consensus: Consensus {
            block_time: BLOCK_TIME,
            least_block_interval: 100,
            furthest_ahead: 15_000,
            half_life: 120_000,
            initial_difficulty: Difficulty::from(1_000),
            floor_difficulty: Difficulty::from(1),
            finality_depth: 16,
            boost: 8,
            credit_cap_blocks: 16,
            least_total_bits_per_second: 1,
        },
        measurement: Measurement {
            epoch_blocks: EPOCH,
            instants: 2,
            committee: 4,
            byzantine: 1,
            rank: 2,
            window: 3,
            clock_tolerance_us: 20_000,
            least_time_us: 500_000,
            train_us: 500_000,
            report_deadline: 6_000,
            growth_step_bits_per_second: 250 * MBIT,
            bond_per_mbit: PLANCK_PER_WEIR,
            challenger_bond: 100 * PLANCK_PER_WEIR,
            unbonding_blocks: 40,
        },
        token: Token { emission_divisor: 1_000, vesting_blocks: 96, full_pay_bits_per_second: 1 },
    }
}

pub fn set_parameters(change: impl FnOnce(&mut Parameters)) {
    PARAMETERS.with_borrow_mut(change);
}

pub fn account(id: u8) -> AccountId {
    AccountId::new([id; 32])
}

/// The identity key of an account's agent.
pub fn identity(id: u8) -> ed25519::Pair {
    ed25519::Pair::from_seed(&[id; 32])
}

pub fn proof(id: u8) -> ed25519::Signature {
    identity(id).sign(&peer_payload(System::block_hash(0), &account(id)))
}

pub fn endpoints(service: Service) -> Endpoints {
    let bytes = endpoint::encode(([127, 0, 0, 1], 4_000).into(), service);
    vec![bytes.try_into().unwrap()].try_into().unwrap()
}

pub fn new_test_ext() -> sp_io::TestExternalities {
    PARAMETERS.set(parameters());
    MIGRATING.set(false);
    NOW.set(0);
    SNAPSHOTS.set(Vec::new());
    let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
    let balances = (0..64).map(|id| (account(id), 10_000 * PLANCK_PER_WEIR)).collect();
    pallet_balances::GenesisConfig::<Test> { balances, ..Default::default() }.assimilate_storage(&mut storage).unwrap();
    let mut ext: sp_io::TestExternalities = storage.into();
    // Where benchmarks keep the keys that they sign with.
    ext.register_extension(KeystoreExt::new(MemoryKeystore::new()));
    ext
}

/// Executes empty blocks on schedule until a height is the current one.
pub fn run_to(number: BlockNumber) {
    while System::block_number() < number {
        let next = System::block_number() + 1;
        System::reset_events();
        let parent = sp_core::H256::from_low_u64_be(u64::from(next) + 1_000);
        System::initialize(&next, &parent, &Default::default());
        NOW.set(u64::from(next) * BLOCK_TIME);
        Bandwidth::on_initialize(next);
        Bandwidth::do_try_state().unwrap();
    }
}
