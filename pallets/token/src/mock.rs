//! A runtime with only what this pallet needs.

use crate as pallet_token;
use core::cell::{Cell, RefCell};
use frame_support::{
    derive_impl,
    traits::{ConstU32, Get, GetStorageVersion},
};
use sp_runtime::{traits::IdentityLookup, BuildStorage};
use weir_primitives::{
    consensus::Difficulty,
    interfaces::{CurrentBlock, Epochs},
    parameters::{Consensus, Measurement, Parameters, Token as TokenParameters, RULES_VERSION},
    registry::Registry,
    AccountId, Balance, BlockNumber, Epoch, EpochIndex, UnixMilliseconds, PLANCK_PER_WEIR,
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
    pub type Token = pallet_token;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
    type DbWeight = frame_support::weights::constants::RocksDbWeight;
    type AccountId = AccountId;
    type Lookup = IdentityLookup<AccountId>;
    type AccountData = pallet_balances::AccountData<Balance>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type Balance = Balance;
    type AccountStore = System;
    type ExistentialDeposit = frame_support::traits::ConstU128<EXISTENTIAL_DEPOSIT>;
}

thread_local! {
    static AUTHOR: RefCell<Option<AccountId>> = const { RefCell::new(None) };
    static DIVISOR: RefCell<u64> = const { RefCell::new(1_000) };
    static CURRENT: Cell<Epoch> = const { Cell::new(Epoch { index: 0, first: 0, blocks: EPOCH }) };
}

pub const EXISTENTIAL_DEPOSIT: Balance = 1_000;

pub struct TestParameters;

impl Get<Option<Parameters>> for TestParameters {
    fn get() -> Option<Parameters> {
        Some(Parameters {
            version: RULES_VERSION,
            consensus: Consensus {
                block_time: 2_000,
                least_block_interval: 100,
                furthest_ahead: 15_000,
                half_life: 120_000,
                initial_difficulty: Difficulty::from(1_000),
                floor_difficulty: Difficulty::from(1),
                snapshot_depth: 8,
                boost: 8,
                credit_cap_blocks: 8,
                least_total_bits_per_second: 500,
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
                growth_step_bits_per_second: 1,
            },
            registry: Registry {
                provider_bond: 10 * PLANCK_PER_WEIR,
                bond_per_mbit: 1,
                challenger_bond: CHALLENGER_BOND,
                unbonding_blocks: 20,
                slow_admission: false,
                admission_fee: 0,
                class_bits_per_second: 1_000_000_000,
                most_joining: 256,
            },
            token: TokenParameters {
                emission_divisor: DIVISOR.with_borrow(|epochs| epochs * u64::from(EPOCH)),
                vesting_blocks: 96,
                full_pay_bits_per_second: 1_000,
            },
            finality: weir_primitives::finality::Finality {
                voter_bond: 100 * weir_primitives::PLANCK_PER_WEIR,
                least_voters: 1,
                reference_bits_per_second: 1_000,
                epochs_per_set: 1,
                votes_behind: 4,
            },
        })
    }
}

pub struct CurrentAuthor;

impl CurrentBlock for CurrentAuthor {
    fn author() -> Option<AccountId> {
        AUTHOR.with_borrow(Clone::clone)
    }

    fn timestamp() -> UnixMilliseconds {
        0
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn set_author(author: &AccountId) {
        set_author(Some(author.clone()));
    }
}

impl pallet_token::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Parameters = TestParameters;
    type CurrentBlock = CurrentAuthor;
    type Epochs = Begun;
    type VestingBlocks = ConstU32<96>;
    type WeightInfo = ();
}

/// An epoch is what began last.
pub struct Begun;

impl Epochs for Begun {
    fn index_at(number: BlockNumber) -> EpochIndex {
        Epoch::uniform(number, EPOCH).index
    }

    fn current() -> Epoch {
        CURRENT.get()
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn set_current(epoch: Epoch) {
        System::set_block_number(epoch.first);
        CURRENT.set(epoch);
    }
}

pub const EPOCH: BlockNumber = 10;
pub const CHALLENGER_BOND: Balance = 100 * PLANCK_PER_WEIR;

/// Has an epoch be the current one.
pub fn set_current(epoch: Epoch) {
    CURRENT.set(epoch);
}

pub fn set_author(author: Option<AccountId>) {
    AUTHOR.set(author);
}

/// Has an epoch issue one in so many of what was never issued.
pub fn set_emission_divisor(epochs: u64) {
    DIVISOR.set(epochs);
}

pub fn account(id: u8) -> AccountId {
    AccountId::new([id; 32])
}

/// A chain on which accounts 0 to 9 hold a million WEIR each.
pub fn new_test_ext() -> sp_io::TestExternalities {
    with_genesis(1_000_000 * PLANCK_PER_WEIR)
}

pub fn with_genesis(balance: Balance) -> sp_io::TestExternalities {
    AUTHOR.set(None);
    DIVISOR.set(1_000);
    CURRENT.set(Epoch::initial(EPOCH));
    let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
    let balances = (0..10).map(|id| (account(id), balance)).collect();
    pallet_balances::GenesisConfig::<Test> { balances, ..Default::default() }.assimilate_storage(&mut storage).unwrap();
    pallet_token::GenesisConfig::<Test>::default().assimilate_storage(&mut storage).unwrap();
    let mut ext: sp_io::TestExternalities = storage.into();
    ext.execute_with(|| {
        System::set_block_number(1);
        Token::in_code_storage_version().put::<Token>();
    });
    ext
}
