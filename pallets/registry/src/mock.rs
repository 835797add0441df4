//! A runtime with only what this pallet needs.

use crate as pallet_registry;
use core::cell::RefCell;
use frame_support::{
    derive_impl,
    traits::{ConstU32, ConstU64, Get},
};
use frame_system::EnsureRoot;
use sp_core::{ed25519, Pair};
use sp_runtime::{traits::IdentityLookup, BuildStorage};
use std::collections::BTreeMap;
use weir_primitives::{
    interfaces::{Epochs, HasRoom, OnGuaranteed, Participants, Units},
    measurement::{
        endpoint::{self, Service},
        lottery::groups::Family,
        peer_payload, Endpoints,
    },
    registry::Registry as Rules,
    AccountId, Balance, BlockNumber, Epoch, EpochIndex, Hash,
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
    pub type Registry = pallet_registry;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
    type AccountId = AccountId;
    type Hash = Hash;
    type Lookup = IdentityLookup<AccountId>;
    type AccountData = pallet_balances::AccountData<Balance>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type Balance = Balance;
    type AccountStore = System;
    type ExistentialDeposit = frame_support::traits::ConstU128<1>;
}

pub const EPOCH: BlockNumber = 10;
pub const GROWTH_STEP: u64 = 25_000_000;
pub const MOST_DECLARED: u64 = 1_000_000_000;
pub const ENDOWED: Balance = 1_000_000;

/// The author that a provider boosts, and its guaranteed bandwidth, by epoch.
type ByEpoch = BTreeMap<EpochIndex, (Option<AccountId>, u64)>;

thread_local! {
    static RULES: RefCell<Rules> = RefCell::new(rules());
    static ROOM: RefCell<u64> = const { RefCell::new(u64::MAX) };
    /// What was told of each provider, by the epoch from which on it holds.
    static TOLD: RefCell<BTreeMap<AccountId, ByEpoch>> =
        const { RefCell::new(BTreeMap::new()) };
}

pub fn rules() -> Rules {
    Rules {
        provider_bond: 10,
        bond_per_mbit: 1,
        challenger_bond: 100,
        unbonding_blocks: 25,
        slow_admission: false,
        admission_fee: 10,
        class_bits_per_second: 200_000_000,
        most_joining: 1_000,
    }
}

pub struct TestRules;

impl Get<Option<Rules>> for TestRules {
    fn get() -> Option<Rules> {
        Some(RULES.with_borrow(Clone::clone))
    }
}

pub fn set_rules(change: impl FnOnce(&mut Rules)) {
    RULES.with_borrow_mut(change);
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

pub struct Room;

impl HasRoom for Room {
    fn has_room_for(wanted: u64) -> bool {
        ROOM.with_borrow(|room| wanted <= *room)
    }
}

pub fn set_room(bits_per_second: u64) {
    ROOM.set(bits_per_second);
}

pub struct Told;

impl OnGuaranteed for Told {
    fn on_guaranteed(provider: &AccountId, from: EpochIndex, before: Units<'_>, after: Units<'_>) {
        let own = |units: Units<'_>| (units.mining_author.cloned(), units.bits_per_second);
        TOLD.with_borrow_mut(|told| {
            let told = told.entry(provider.clone()).or_default();
            let last = told.last_key_value().map_or((None, 0), |(_, last)| last.clone());
            // Who was told nothing yet has nothing, whoever he names.
            assert!(last == own(before) || (last.1 == 0 && before.bits_per_second == 0), "{last:?} {before:?}");
            told.insert(from, own(after));
        });
    }
}

impl Told {
    /// What a provider counts for in an epoch, as was told.
    pub fn at(provider: &AccountId, epoch: EpochIndex) -> (Option<AccountId>, u64) {
        TOLD.with_borrow(|told| {
            let told = told.get(provider).and_then(|told| told.range(..=epoch).next_back());
            told.map_or((None, 0), |(_, units)| units.clone())
        })
    }
}

impl pallet_registry::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Rules = TestRules;
    type GrowthStep = ConstU64<GROWTH_STEP>;
    type MostDeclared = ConstU64<MOST_DECLARED>;
    type Epochs = Clock;
    type HasRoom = Room;
    type OnGuaranteed = Told;
    type SlashOrigin = EnsureRoot<AccountId>;
    type MaxAdmitted = ConstU32<16>;
    type WeightInfo = ();
}

pub fn account(id: u8) -> AccountId {
    AccountId::new([id; 32])
}

fn key(seed: u16) -> ed25519::Pair {
    let mut bytes = [7; 32];
    bytes[..2].copy_from_slice(&seed.to_le_bytes());
    ed25519::Pair::from_seed(&bytes)
}

/// An identity, and its signature for an account.
pub fn identity(seed: u16, account: &AccountId) -> (ed25519::Public, ed25519::Signature) {
    let key = key(seed);
    let proof = key.sign(&peer_payload(System::block_hash(0), account));
    (key.public(), proof)
}

pub fn endpoints(place: u8) -> Endpoints {
    vec![endpoint::encode(([10, 0, place, 1], 4_000).into(), Service::Control).try_into().unwrap()].try_into().unwrap()
}

/// One of each address family.
pub fn endpoints_of_both_families(place: u8) -> Endpoints {
    let ipv6 = std::net::Ipv6Addr::new(0x2001, 0xdb8, place.into(), 0, 0, 0, 0, 1);
    let ipv6 = endpoint::encode((ipv6, 4_000).into(), Service::Control).try_into().unwrap();
    endpoints(place).into_iter().chain([ipv6]).collect::<Vec<_>>().try_into().unwrap()
}

pub fn provide(id: u8, declared_mbits: u64) -> frame_support::dispatch::DispatchResult {
    let (identity, proof) = identity(id.into(), &account(id));
    let origin = RuntimeOrigin::signed(account(id));
    Registry::register_provider(origin, declared_mbits * 1_000_000, Family::V4, identity, proof, None)
}

pub fn challenge(id: u8) -> frame_support::dispatch::DispatchResult {
    let (identity, proof) = identity(1_000 + u16::from(id), &account(id));
    let origin = RuntimeOrigin::signed(account(id));
    Registry::register_challenger(origin, identity, proof, endpoints_of_both_families(id))
}

/// Goes on to a block, and begins the epochs in between.
pub fn go_to(block: BlockNumber) {
    while System::block_number() < block {
        let next = System::block_number() + 1;
        System::set_block_number(next);
        if next.is_multiple_of(EPOCH) {
            Registry::start_epoch(next / EPOCH, &[next as u8; 32]);
        }
    }
}

pub fn go_to_epoch(epoch: EpochIndex) {
    go_to(epoch * EPOCH);
}

/// A chain on which accounts 0 to 99 hold something.
pub fn new_test_ext() -> sp_io::TestExternalities {
    new_test_ext_with_genesis_challengers(0)
}

pub fn new_test_ext_with_genesis_challengers(count: u8) -> sp_io::TestExternalities {
    RULES.set(rules());
    ROOM.set(u64::MAX);
    TOLD.set(BTreeMap::new());
    let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
    let balances = (0..100).map(|id| (account(id), ENDOWED)).collect();
    pallet_balances::GenesisConfig::<Test> { balances, ..Default::default() }.assimilate_storage(&mut storage).unwrap();
    let challenger = |id: u8| {
        let endpoints = endpoints(id).into_iter().map(|endpoint| endpoint.into_inner()).collect();
        (account(id), key(1_000 + u16::from(id)).public(), endpoints)
    };
    let challengers = (0..count).map(challenger).collect();
    pallet_registry::GenesisConfig::<Test> { challengers, ..Default::default() }
        .assimilate_storage(&mut storage)
        .unwrap();
    let mut ext: sp_io::TestExternalities = storage.into();
    #[cfg(feature = "runtime-benchmarks")]
    ext.register_extension(sp_keystore::KeystoreExt::new(sp_keystore::testing::MemoryKeystore::new()));
    ext.execute_with(|| System::set_block_number(1));
    ext
}
