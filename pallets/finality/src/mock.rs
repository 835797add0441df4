//! A runtime with only what this pallet needs.

use crate as pallet_finality;
use crate::Rules;
use frame_support::{
    derive_impl,
    traits::{ConstU32, ConstU64, Get, Hooks},
};
use frame_system::EnsureRoot;
use sp_consensus_grandpa::{AuthorityPair, ConsensusLog};
use sp_core::{ed25519, Pair as _};
use sp_keystore::{testing::MemoryKeystore, KeystoreExt};
use sp_runtime::{traits::IdentityLookup, BuildStorage, DigestItem};
use std::{cell::RefCell, collections::BTreeMap, sync::Arc};
use weir_primitives::{
    finality::Finality,
    interfaces::{CurrentBlock, Epochs, Snapshots},
    AccountId, Balance, BlockNumber, Epoch, EpochIndex, Hash, UnixMilliseconds,
};

pub type Block = frame_system::mocking::MockBlockU32<Test>;
pub type Header = sp_runtime::generic::Header<BlockNumber, sp_runtime::traits::BlakeTwo256>;

#[frame_support::runtime]
mod runtime {
    #[runtime::runtime]
    #[runtime::derive(
        RuntimeCall,
        RuntimeEvent,
        RuntimeError,
        RuntimeOrigin,
        RuntimeTask,
        RuntimeHoldReason,
        RuntimeFreezeReason
    )]
    pub struct Test;

    #[runtime::pallet_index(0)]
    pub type System = frame_system;
    #[runtime::pallet_index(1)]
    pub type Balances = pallet_balances;
    #[runtime::pallet_index(2)]
    #[runtime::disable_call]
    #[runtime::disable_unsigned]
    pub type Grandpa = pallet_grandpa;
    #[runtime::pallet_index(3)]
    pub type Tested = pallet_finality;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
    type AccountId = AccountId;
    type Lookup = IdentityLookup<AccountId>;
    type AccountData = pallet_balances::AccountData<Balance>;
    type BlockHashCount = ConstU32<100>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type Balance = Balance;
    type AccountStore = System;
    type ExistentialDeposit = frame_support::traits::ConstU128<1>;
}

impl pallet_grandpa::Config for Test {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = ();
    type MaxAuthorities = ConstU32<64>;
    type MaxNominators = ConstU32<0>;
    type MaxSetIdSessionEntries = ConstU64<0>;
    type KeyOwnerProof = sp_core::Void;
    type EquivocationReportSystem = ();
}

pub const EPOCH: BlockNumber = 10;
pub const UNBONDING: BlockNumber = 25;
pub const ENDOWED: Balance = 1_000_000;
pub const BOND: Balance = 1_000;

thread_local! {
    static BEHIND: RefCell<BTreeMap<AccountId, u64>> = const { RefCell::new(BTreeMap::new()) };
    static WAITING: RefCell<Option<BlockNumber>> = const { RefCell::new(None) };
}

pub struct TestRules;

impl Get<Option<Rules>> for TestRules {
    fn get() -> Option<Rules> {
        let finality = Finality {
            voter_bond: BOND,
            least_voters: 2,
            reference_bits_per_second: 1_000,
            epochs_per_set: 2,
            votes_behind: 4,
        };
        Some(Rules { finality, least_total_bits_per_second: 100, unbonding_blocks: UNBONDING, snapshot_depth: 2 })
    }
}

pub struct Clock;

impl Epochs for Clock {
    fn index_at(number: BlockNumber) -> EpochIndex {
        number / EPOCH
    }

    fn current() -> Epoch {
        Epoch::uniform(System::block_number(), EPOCH)
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn set_current(epoch: Epoch) {
        System::set_block_number(epoch.first);
    }
}

/// Snapshots of what the test says.
pub struct Told;

impl Snapshots for Told {
    fn behind(author: &AccountId) -> u64 {
        BEHIND.with_borrow(|behind| behind.get(author).copied().unwrap_or(0))
    }

    fn waiting() -> Option<BlockNumber> {
        WAITING.with_borrow(|waiting| *waiting)
    }

    fn on_proven(height: BlockNumber) {
        WAITING.with_borrow_mut(|waiting| {
            if waiting.is_some_and(|at| at <= height) {
                *waiting = None;
            }
        });
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn set(author: &AccountId, bits_per_second: u64) {
        BEHIND.with_borrow_mut(|behind| behind.insert(author.clone(), bits_per_second));
    }
}

pub struct Author;

impl CurrentBlock for Author {
    fn author() -> Option<AccountId> {
        Some(account(200))
    }

    fn timestamp() -> UnixMilliseconds {
        0
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn set_author(_: &AccountId) {}
}

impl pallet_finality::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Rules = TestRules;
    type Epochs = Clock;
    type Snapshots = Told;
    type CurrentBlock = Author;
    type GovernanceOrigin = EnsureRoot<AccountId>;
    type WeightInfo = ();
}

pub fn account(id: u8) -> AccountId {
    AccountId::new([id; 32])
}

/// The key of an account, the so manyth.
pub fn pair(id: u8, nth: u8) -> AuthorityPair {
    let mut seed = [id; 32];
    seed[0] = nth;
    ed25519::Pair::from_seed(&seed).into()
}

/// Somebody whom [`account`] does not give.
pub fn stranger() -> AccountId {
    let mut bytes = [2; 32];
    bytes[0] = 1;
    AccountId::new(bytes)
}

pub fn put_behind(id: u8, bits_per_second: u64) {
    put_behind_account(account(id), bits_per_second);
}

pub fn put_behind_account(account: AccountId, bits_per_second: u64) {
    BEHIND.with_borrow_mut(|behind| behind.insert(account, bits_per_second));
}

pub fn let_wait(number: BlockNumber) {
    WAITING.set(Some(number));
}

pub fn hash_at(number: BlockNumber) -> Hash {
    System::block_hash(number)
}

/// Begins a block on the one before, whose header depends on `fork`.
pub fn begin(fork: u8) {
    let number = System::block_number() + 1;
    let parent = if number == 1 {
        Hash::repeat_byte(9)
    } else {
        Hash::from_low_u64_be(u64::from(number - 1) << 8 | u64::from(fork))
    };
    System::initialize(&number, &parent, &Default::default());
    Tested::on_initialize(number);
}

/// Ends the block, and says what it announced to GRANDPA.
pub fn end() -> Option<ConsensusLog<BlockNumber>> {
    let number = System::block_number();
    Grandpa::on_finalize(number);
    Tested::on_finalize(number);
    Tested::do_try_state().unwrap();
    let log = System::digest().logs.iter().find_map(|item| match item {
        DigestItem::Consensus(_, bytes) => codec::Decode::decode(&mut &bytes[..]).ok(),
        _ => None,
    });
    log
}

/// Makes blocks up to one, and says what the last of them announced.
pub fn run_to(number: BlockNumber) -> Option<ConsensusLog<BlockNumber>> {
    let mut last = None;
    while System::block_number() < number {
        begin(0);
        last = end();
    }
    last
}

/// With three voters in genesis, 101 to 103, and some money for everybody.
pub fn new_test_ext() -> sp_io::TestExternalities {
    BEHIND.set(BTreeMap::new());
    WAITING.set(None);
    let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
    let balances = (0..=255).map(account).chain([stranger()]).map(|account| (account, ENDOWED)).collect();
    pallet_balances::GenesisConfig::<Test> { balances, ..Default::default() }.assimilate_storage(&mut storage).unwrap();
    pallet_grandpa::GenesisConfig::<Test>::default().assimilate_storage(&mut storage).unwrap();
    let voters = (101..=103).map(|id| (account(id), pair(id, 0).public())).collect();
    pallet_finality::GenesisConfig::<Test> { voters, ..Default::default() }.assimilate_storage(&mut storage).unwrap();
    let mut ext = sp_io::TestExternalities::from(storage);
    // For the benchmarks, which sign.
    ext.register_extension(KeystoreExt(Arc::new(MemoryKeystore::new())));
    ext
}
