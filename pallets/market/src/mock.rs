//! A runtime with only what this pallet needs.

use crate::{self as pallet_market, Rules};
use core::cell::{Cell, RefCell};
use frame_support::{derive_impl, traits::Get};
use sp_core::{ed25519, Pair};
use sp_runtime::{traits::IdentityLookup, BuildStorage};
use std::collections::BTreeMap;
use weir_primitives::{
    interfaces::{Guarantees, OnTraffic},
    market::{receipt_payload, session_payload, ChannelId, Receipt, ReceiptSignature},
    measurement::{
        endpoint::{self, Service},
        Endpoints,
    },
    AccountId, Balance, BlockNumber, Hash,
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
    pub type Market = pallet_market;
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
    type ExistentialDeposit = frame_support::traits::ConstU128<EXISTENTIAL_DEPOSIT>;
}

pub const EXISTENTIAL_DEPOSIT: Balance = 10;
pub const ENDOWED: Balance = 1_000_000;
pub const DISPUTE: BlockNumber = 20;
pub const LIFE: BlockNumber = 100;
pub const LEAST_DEPOSIT: Balance = 100;
pub const ROW_DEPOSIT: Balance = 30;
pub const LISTING_DEPOSIT: Balance = 50;
pub const TREASURY: AccountId = AccountId::new([255; 32]);

thread_local! {
    static GUARANTEED: RefCell<BTreeMap<AccountId, u64>> = const { RefCell::new(BTreeMap::new()) };
    static TRAFFIC: RefCell<Vec<(AccountId, u64, u64, Balance)>> = const { RefCell::new(Vec::new()) };
    static HAS_RULES: Cell<bool> = const { Cell::new(true) };
}

pub struct TestRules;

impl Get<Option<Rules>> for TestRules {
    fn get() -> Option<Rules> {
        HAS_RULES.get().then_some(Rules {
            dispute_blocks: DISPUTE,
            channel_blocks: LIFE,
            least_deposit: LEAST_DEPOSIT,
            row_deposit: ROW_DEPOSIT,
            listing_deposit: LISTING_DEPOSIT,
        })
    }
}

pub struct Treasury;

impl Get<AccountId> for Treasury {
    fn get() -> AccountId {
        TREASURY
    }
}

pub struct Guaranteed;

impl Guarantees for Guaranteed {
    fn of(provider: &AccountId) -> Option<u64> {
        GUARANTEED.with_borrow(|all| all.get(provider).copied())
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn set(provider: &AccountId, bits_per_second: u64) {
        GUARANTEED.with_borrow_mut(|all| all.insert(provider.clone(), bits_per_second));
    }
}

/// Makes an account a provider of which so much is guaranteed, or no provider.
pub fn guarantee(id: u8, bits_per_second: Option<u64>) {
    GUARANTEED.with_borrow_mut(|all| match bits_per_second {
        Some(bits) => all.insert(account(id), bits),
        None => all.remove(&account(id)),
    });
}

pub struct Traffic;

impl OnTraffic for Traffic {
    fn on_traffic(provider: &AccountId, bytes: u64, guaranteed_bits_per_second: u64, burned: Balance) {
        TRAFFIC.with_borrow_mut(|all| all.push((provider.clone(), bytes, guaranteed_bits_per_second, burned)));
    }
}

/// The traffic that was told: provider, bytes, guaranteed bits per second, burned.
pub fn told() -> Vec<(AccountId, u64, u64, Balance)> {
    TRAFFIC.with_borrow(Clone::clone)
}

impl pallet_market::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Rules = TestRules;
    type Treasury = Treasury;
    type Guarantees = Guaranteed;
    type OnTraffic = Traffic;
    type WeightInfo = ();
}

pub fn account(id: u8) -> AccountId {
    AccountId::new([id; 32])
}

pub fn key(seed: u8) -> ed25519::Pair {
    ed25519::Pair::from_seed(&[seed; 32])
}

pub fn endpoints() -> Endpoints {
    vec![endpoint::encode(([10, 0, 0, 1], 4_000).into(), Service::Control).try_into().unwrap()].try_into().unwrap()
}

/// That a key signs for a consumer.
pub fn prove(key: &ed25519::Pair, consumer: u8) -> ReceiptSignature {
    key.sign(&session_payload(System::block_hash(0), &account(consumer)))
}

/// What a key signs for a channel to a provider.
pub fn sign(key: &ed25519::Pair, provider: u8, channel: ChannelId, receipt: &Receipt) -> ReceiptSignature {
    key.sign(&receipt_payload(System::block_hash(0), &account(provider), channel, receipt))
}

pub fn on_hold(id: u8, reason: pallet_market::HoldReason) -> Balance {
    use frame_support::traits::fungible::InspectHold;
    Balances::balance_on_hold(&reason.into(), &account(id))
}

pub fn go_to(block: BlockNumber) {
    System::set_block_number(block);
}

/// A chain on which accounts 0 to 19 hold something, and the treasury the least it can.
pub fn new_test_ext() -> sp_io::TestExternalities {
    GUARANTEED.set(BTreeMap::new());
    TRAFFIC.set(Vec::new());
    HAS_RULES.set(true);
    let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
    let treasury = (TREASURY, EXISTENTIAL_DEPOSIT);
    let balances = (0..20).map(|id| (account(id), ENDOWED)).chain([treasury]).collect();
    pallet_balances::GenesisConfig::<Test> { balances, ..Default::default() }.assimilate_storage(&mut storage).unwrap();
    let mut ext: sp_io::TestExternalities = storage.into();
    #[cfg(feature = "runtime-benchmarks")]
    ext.register_extension(sp_keystore::KeystoreExt::new(sp_keystore::testing::MemoryKeystore::new()));
    ext.execute_with(|| System::set_block_number(1));
    ext
}
