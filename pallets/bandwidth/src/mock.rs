//! A runtime with this pallet and the registry.

use crate as pallet_bandwidth;
use core::cell::RefCell;
use frame_support::{
    derive_impl,
    migrations::MultiStepMigrator,
    traits::{ConstU32, ConstU64, Get, Hooks},
    weights::Weight,
};
use frame_system::EnsureRoot;
use sp_core::{ed25519, Pair};
use sp_runtime::{traits::IdentityLookup, BuildStorage};
use weir_primitives::{
    consensus::Difficulty,
    interfaces::{CurrentBlock, EpochProvider, HasRoom, OnDuty, OnIncluded, Participants},
    measurement::{
        challenge::{batch_payload, commitment_payload, member_payload, MemberReport},
        endpoint::{self, Service},
        lottery::{
            groups::{Family, Prefix},
            Seed,
        },
        peer_payload,
    },
    parameters::{Consensus, Measurement, Parameters, Token, RULES_VERSION},
    registry::Registry as RegistryRules,
    AccountId, Balance, BlockNumber, Hash, Milliseconds, UnixMilliseconds,
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
    #[runtime::pallet_index(3)]
    pub type Registry = pallet_registry;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
    type AccountId = AccountId;
    type Hash = Hash;
    type Lookup = IdentityLookup<AccountId>;
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

pub const BLOCK_TIME: Milliseconds = 2_000;
pub const EPOCH: BlockNumber = 20;
pub const ENDOWED: Balance = 1_000_000;
pub const MEMBERS: u32 = 4;

thread_local! {
    static PARAMETERS: RefCell<Parameters> = RefCell::new(parameters());
    static MIGRATING: RefCell<bool> = const { RefCell::new(false) };
    static NOW: RefCell<UnixMilliseconds> = const { RefCell::new(0) };
    static AUTHOR: RefCell<AccountId> = RefCell::new(account(200));
    static INCLUDED: RefCell<u32> = const { RefCell::new(0) };
    static DUTIES: RefCell<Vec<(AccountId, u64)>> = const { RefCell::new(Vec::new()) };
}

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
            snapshot_depth: 8,
            boost: 8,
            credit_cap_blocks: 8,
            least_total_bits_per_second: 1,
        },
        measurement: Measurement {
            epoch_blocks: EPOCH,
            instants: 2,
            notice: 6_000,
            groups_prefixes: false,
            least_seniors: 0,
            committee: MEMBERS,
            byzantine: 1,
            rank: 2,
            window: 3,
            clock_tolerance_us: 20_000,
            least_time_us: 500_000,
            train_us: 500_000,
            report_deadline: 10_000,
            growth_step_bits_per_second: 250_000_000,
        },
        registry: RegistryRules {
            provider_bond: 10,
            bond_per_mbit: 1,
            challenger_bond: 100,
            unbonding_blocks: 40,
            slow_admission: false,
            admission_fee: 0,
            class_bits_per_second: 1_000_000_000,
            most_joining: 1_000,
        },
        token: Token { emission_divisor: 1_000, vesting_blocks: 96, full_pay_bits_per_second: 1 },
        finality: weir_primitives::finality::Finality {
            voter_bond: 100 * weir_primitives::PLANCK_PER_WEIR,
            least_voters: 1,
            reference_bits_per_second: 1_000,
            epochs_per_set: 1,
            votes_behind: 4,
        },
    }
}

pub struct TestParameters;

impl Get<Option<Parameters>> for TestParameters {
    fn get() -> Option<Parameters> {
        Some(PARAMETERS.with_borrow(Clone::clone))
    }
}

impl Get<Option<RegistryRules>> for TestParameters {
    fn get() -> Option<RegistryRules> {
        Some(PARAMETERS.with_borrow(|all| all.registry.clone()))
    }
}

pub fn set_parameters(change: impl FnOnce(&mut Parameters)) {
    PARAMETERS.with_borrow_mut(change);
}

pub struct Clock;

impl CurrentBlock for Clock {
    fn author() -> Option<AccountId> {
        Some(AUTHOR.with_borrow(Clone::clone))
    }

    fn timestamp() -> UnixMilliseconds {
        NOW.with_borrow(|now| *now)
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn set_author(author: &AccountId) {
        AUTHOR.set(author.clone());
    }
}

pub struct Room;

impl HasRoom for Room {
    fn has_room_for(_: u64) -> bool {
        true
    }
}

pub struct Listener;

impl OnIncluded for Listener {
    fn on_included(author: &AccountId) {
        assert_eq!(*author, AUTHOR.with_borrow(Clone::clone));
        INCLUDED.with_borrow_mut(|included| *included += 1);
    }
}

impl OnDuty for Listener {
    fn on_duty(challenger: &AccountId, assigned_bytes: u64) -> bool {
        DUTIES.with_borrow_mut(|duties| duties.push((challenger.clone(), assigned_bytes)));
        false
    }
}

pub fn included() -> u32 {
    INCLUDED.with_borrow(|included| *included)
}

pub fn take_duties() -> Vec<(AccountId, u64)> {
    DUTIES.with_borrow_mut(core::mem::take)
}

frame_support::parameter_types! {
    pub const OfASweep: Weight = Weight::from_parts(4_000, 0);
}

/// Only passing over slots costs anything.
pub struct ByTheSlot;

impl crate::weights::WeightInfo for ByTheSlot {
    fn on_initialize() -> Weight {
        Weight::zero()
    }
    fn start_epoch() -> Weight {
        Weight::zero()
    }
    fn walk(_: u32) -> Weight {
        Weight::zero()
    }
    fn pass_slots(slots: u32) -> Weight {
        Weight::from_parts(1_000, 0).saturating_mul(slots.into())
    }
    fn evaluate(_: u32) -> Weight {
        Weight::zero()
    }
    fn pay_duties() -> Weight {
        Weight::zero()
    }
    fn evict() -> Weight {
        Weight::zero()
    }
    fn forget() -> Weight {
        Weight::zero()
    }
    fn submit(_: u32) -> Weight {
        Weight::zero()
    }
    fn authorize_submit(_: u32) -> Weight {
        Weight::zero()
    }
    fn submit_own() -> Weight {
        Weight::zero()
    }
    fn authorize_submit_own() -> Weight {
        Weight::zero()
    }
    fn show_equivocation() -> Weight {
        Weight::zero()
    }
}

/// Sets the scene with the registry alone.
#[cfg(feature = "runtime-benchmarks")]
mod stage {
    use super::*;
    use crate::benchmarking::Scene;
    use pallet_registry::benchmarking as registry;
    use sp_runtime::DispatchError;
    use weir_primitives::EpochIndex;

    pub struct Stage;

    impl Scene for Stage {
        fn set_parameters(parameters: Parameters) {
            PARAMETERS.set(parameters);
        }

        fn seat_challenger(number: u32, account: &AccountId, identity: ed25519::Public) -> Result<(), DispatchError> {
            registry::seat_challenger::<Test>(account, identity, registry::endpoints(number).unwrap())
        }

        fn queue_challenger(number: u32, account: &AccountId, identity: ed25519::Public) -> Result<(), DispatchError> {
            registry::queue_challenger::<Test>(account, identity, registry::endpoints(number).unwrap())
        }

        fn seat_provider(account: &AccountId, identity: ed25519::Public, prefix: Prefix) -> Result<u32, DispatchError> {
            registry::leave_empty_prefixes::<Test>();
            registry::seat_provider::<Test>(account, identity, registry::Known::behind(prefix))
        }

        fn make_junior(account: &AccountId, from: EpochIndex) -> Result<(), DispatchError> {
            registry::make_junior::<Test>(account, from)
        }

        fn earn(_: &AccountId) -> Result<(), DispatchError> {
            Ok(())
        }
    }
}

impl pallet_bandwidth::Config for Test {
    type Parameters = TestParameters;
    type CurrentBlock = Clock;
    type Participants = Registry;
    type OnEpochBorder = ();
    type OnMeasured = ();
    type OnIncluded = Listener;
    type OnDuty = Listener;
    type BatchesPerBlock = ConstU32<3>;
    type SweepWeight = OfASweep;
    type WeightInfo = ByTheSlot;
    #[cfg(feature = "runtime-benchmarks")]
    type Scene = stage::Stage;
}

impl pallet_registry::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Rules = TestParameters;
    type GrowthStep = ConstU64<250_000_000>;
    type MostDeclared = ConstU64<2_666_666_666>;
    type Epochs = Bandwidth;
    type HasRoom = Room;
    type OnGuaranteed = ();
    type SlashOrigin = EnsureRoot<AccountId>;
    type MaxAdmitted = ConstU32<16>;
    type WeightInfo = ();
}

pub fn account(id: u8) -> AccountId {
    AccountId::new([id; 32])
}

/// The key of an account's agent, for each of its two roles.
pub fn key(account: &AccountId, is_provider: bool) -> ed25519::Pair {
    let mut seed: [u8; 32] = account.clone().into();
    seed[31] = u8::from(is_provider);
    ed25519::Pair::from_seed(&seed)
}

pub fn provide(id: u8, mbits: u64) {
    let key = key(&account(id), true);
    let proof = key.sign(&peer_payload(System::block_hash(0), &account(id)));
    let origin = RuntimeOrigin::signed(account(id));
    Registry::register_provider(origin, mbits * 1_000_000, Family::V4, key.public(), proof, None).unwrap();
}

pub fn challenge(id: u8) {
    let key = key(&account(id), false);
    let proof = key.sign(&peer_payload(System::block_hash(0), &account(id)));
    let endpoint = endpoint::encode(([10, 0, id, 1], 4_000).into(), Service::Control).try_into().unwrap();
    let origin = RuntimeOrigin::signed(account(id));
    let endpoints = vec![endpoint].try_into().unwrap();
    Registry::register_challenger(origin, key.public(), proof, endpoints).unwrap();
}

/// Goes on by a block that is dated so long after the one before.
pub fn next_block_after(milliseconds: Milliseconds) {
    let number = System::block_number() + 1;
    let parent = Hash::repeat_byte(number as u8);
    System::reset_events();
    System::initialize(&number, &parent, &Default::default());
    NOW.with_borrow_mut(|now| *now += milliseconds);
    Bandwidth::on_initialize(number);
}

pub fn next_block() {
    next_block_after(BLOCK_TIME);
}

pub fn go_to(block: BlockNumber) {
    while System::block_number() < block {
        next_block();
    }
}

pub fn genesis() -> Hash {
    System::block_hash(0)
}

/// Who measures the provider in a slot at an instant.
pub struct Sat {
    pub challenge: weir_primitives::measurement::challenge::Challenge,
    pub provider: EpochProvider,
    pub seed: Seed,
    pub committee: Vec<AccountId>,
}

pub fn sat(challenge: weir_primitives::measurement::challenge::Challenge) -> Option<Sat> {
    let instant = Bandwidth::instant(challenge.epoch, challenge.instant)?;
    let seed = instant.seed?;
    let provider = Registry::provider(challenge.slot, challenge.epoch)?;
    let measurement = parameters().measurement;
    let slots = Bandwidth::committee_of(&provider, &instant, &seed, &measurement).0?;
    let committee =
        slots.into_iter().map(|slot| <Registry as Participants>::challenger(slot, challenge.epoch).unwrap().0);
    Some(Sat { challenge, provider, seed, committee: committee.collect() })
}

/// A fourth of 80 Mbit/s down and 40 up in half a second.
pub fn report() -> MemberReport {
    MemberReport {
        seen: Prefix::V4([192, 0, 2]),
        down_bytes: 1_250_000,
        down_elapsed_us: 500_000,
        up_bytes: 1_250_000,
        round_trip_us: 20_000,
        commitment: [7; 32],
    }
}

impl Sat {
    pub fn signed(&self, place: u8, report: MemberReport) -> crate::types::SignedReport {
        let key = key(&self.committee[usize::from(place)], false);
        let signature = key.sign(&member_payload(genesis(), &self.seed, &self.provider.account, &report));
        crate::types::SignedReport { place, report, signature }
    }

    pub fn batch(&self, reports: &[(u8, MemberReport)]) -> (crate::types::Batch, ed25519::Signature) {
        use codec::Encode;
        let batch: Vec<_> = reports.iter().map(|(place, report)| self.signed(*place, *report)).collect();
        let batch: crate::types::Batch = batch.try_into().unwrap();
        let payload = batch_payload(genesis(), &self.seed, &self.provider.account, &batch.encode());
        let signature = key(&self.provider.account, true).sign(&payload);
        (batch, signature)
    }

    pub fn all(&self) -> (crate::types::Batch, ed25519::Signature) {
        self.batch(&(0..MEMBERS as u8).map(|place| (place, report())).collect::<Vec<_>>())
    }

    pub fn member(&self, place: u8) -> ed25519::Public {
        key(&self.committee[usize::from(place)], false).public()
    }

    /// What a member hands in that the prover left out.
    pub fn own(&self, place: u8) -> crate::Call<Test> {
        crate::Call::submit_own {
            challenge: self.challenge,
            member: self.member(place),
            signed: self.signed(place, report()),
            prover: self.commitment(place, [7; 32]),
        }
    }

    pub fn commitment(&self, place: u8, commitment: [u8; 32]) -> ed25519::Signature {
        let payload = commitment_payload(genesis(), &self.seed, &self.member(place), &commitment);
        key(&self.provider.account, true).sign(&payload)
    }
}

/// A chain on which accounts 0 to 99 hold something.
pub fn new_test_ext() -> sp_io::TestExternalities {
    PARAMETERS.set(parameters());
    MIGRATING.set(false);
    NOW.set(1_000_000);
    INCLUDED.set(0);
    AUTHOR.set(account(200));
    DUTIES.set(Vec::new());
    let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
    let balances = (0..100).map(|id| (account(id), ENDOWED)).collect();
    pallet_balances::GenesisConfig::<Test> { balances, ..Default::default() }.assimilate_storage(&mut storage).unwrap();
    let mut ext: sp_io::TestExternalities = storage.into();
    #[cfg(feature = "runtime-benchmarks")]
    ext.register_extension(sp_keystore::KeystoreExt::new(sp_keystore::testing::MemoryKeystore::new()));
    ext.execute_with(next_block);
    ext
}
