//! What each pallet is configured with.

use crate::{
    migrations,
    tunables::{self, RuntimeParameters, Tuned},
    AccountId, Balance, Balances, Bandwidth, Block, BlockNumber, Difficulty, Hash, MultiBlockMigrations, Nonce,
    OriginCaller, PalletInfo, Registry, Runtime, RuntimeCall, RuntimeEvent, RuntimeFreezeReason, RuntimeHoldReason,
    RuntimeOrigin, RuntimeTask, System, Token, VERSION,
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
    derive_impl,
    dispatch::DispatchClass,
    parameter_types,
    traits::{
        AsEnsureOriginWithArg, ConstU128, ConstU16, ConstU32, ConstU64, ConstU8, Get, InstanceFilter, VariantCountOf,
    },
    weights::{
        constants::{ExtrinsicBaseWeight, RocksDbWeight, WEIGHT_REF_TIME_PER_MICROS, WEIGHT_REF_TIME_PER_SECOND},
        ConstantMultiplier, RuntimeDbWeight, Weight, WeightToFeeCoefficient, WeightToFeeCoefficients,
        WeightToFeePolynomial,
    },
};
use frame_system::{
    limits::{BlockLength, BlockWeights},
    EnsureRoot,
};
use pallet_transaction_payment::{FungibleAdapter, Multiplier, TargetedFeeAdjustment};
use sp_runtime::{traits::BlakeTwo256, traits::Bounded, FixedPointNumber, Perbill, Perquintill};
use sp_version::RuntimeVersion;
use weir_primitives::{finality::MOST_VOTERS, PLANCK_PER_WEIR};

/// A thousandth of a WEIR.
pub const MILLI: Balance = PLANCK_PER_WEIR / 1_000;
/// The least that an account can hold.
pub const EXISTENTIAL_DEPOSIT: Balance = MILLI;

/// The part of a block that ordinary transactions can fill.
const NORMAL_DISPATCH_RATIO: Perbill = Perbill::from_percent(75);
/// A second of execution, a sixth of a public network's block time: a quarter of it, which only reports and upgrades can use, holds the batches of ten
/// thousand providers. Nobody sends proofs of what a block reads, so their size has no limit.
const MAXIMUM_BLOCK_WEIGHT: Weight = Weight::from_parts(WEIGHT_REF_TIME_PER_SECOND, u64::MAX);

/// What a row of the state costs that nobody has touched for long: the SDK's price of RocksDB.
pub type StorageDbWeight = RocksDbWeight;

parameter_types! {
    /// What a row costs that measurement touches in every epoch: a node's caches have it, and a block touches many. `scripts/bench storage` measures
    /// both.
    pub const EverydayDbWeight: RuntimeDbWeight =
        RuntimeDbWeight { read: 8 * WEIGHT_REF_TIME_PER_MICROS, write: 40 * WEIGHT_REF_TIME_PER_MICROS };
    pub const BlockHashCount: BlockNumber = 2_400;
    pub const Version: RuntimeVersion = VERSION;
    pub RuntimeBlockWeights: BlockWeights =
        BlockWeights::with_sensible_defaults(MAXIMUM_BLOCK_WEIGHT, NORMAL_DISPATCH_RATIO);
    pub RuntimeBlockLength: BlockLength = BlockLength::builder()
        .max_length(2 * 1024 * 1024)
        .modify_max_length_for_class(DispatchClass::Normal, |m| *m = NORMAL_DISPATCH_RATIO * *m)
        .build();
}

#[derive_impl(frame_system::config_preludes::SolochainDefaultConfig)]
impl frame_system::Config for Runtime {
    type Block = Block;
    type BlockWeights = RuntimeBlockWeights;
    type BlockLength = RuntimeBlockLength;
    type AccountId = AccountId;
    type Nonce = Nonce;
    type Hash = Hash;
    type BlockHashCount = BlockHashCount;
    type DbWeight = StorageDbWeight;
    type Version = Version;
    type AccountData = pallet_balances::AccountData<Balance>;
    type SS58Prefix = ConstU16<42>;
    type MaxConsumers = ConstU32<16>;
    type SystemWeightInfo = frame_system::weights::SubstrateWeight<Runtime>;
    type ExtensionsWeightInfo = frame_system::SubstrateExtensionsWeight<Runtime>;
    type SingleBlockMigrations = migrations::SingleBlock;
    type MultiBlockMigrator = MultiBlockMigrations;
}

impl pallet_timestamp::Config for Runtime {
    type Moment = u64;
    type OnTimestampSet = Difficulty;
    // The least interval between blocks depends on the block time of the chain; the difficulty pallet enforces it.
    type MinimumPeriod = ConstU64<1>;
    type WeightInfo = pallet_timestamp::weights::SubstrateWeight<Runtime>;
}

impl pallet_balances::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeHoldReason = RuntimeHoldReason;
    type RuntimeFreezeReason = RuntimeFreezeReason;
    type WeightInfo = pallet_balances::weights::SubstrateWeight<Runtime>;
    type Balance = Balance;
    type DustRemoval = ();
    type ExistentialDeposit = ConstU128<EXISTENTIAL_DEPOSIT>;
    type AccountStore = System;
    type ReserveIdentifier = [u8; 8];
    type FreezeIdentifier = RuntimeFreezeReason;
    type MaxLocks = ConstU32<50>;
    type MaxReserves = ConstU32<50>;
    type MaxFreezes = VariantCountOf<RuntimeFreezeReason>;
    type DoneSlashHandler = ();
}

/// What a transaction of the least possible weight costs, before fullness: a tenth of a milliWEIR.
const BASE_FEE: Balance = MILLI / 10;

/// A fee proportional to weight, with a tenth of a milliWEIR for the base weight of a transaction.
pub struct WeightToFee;

impl WeightToFeePolynomial for WeightToFee {
    type Balance = Balance;

    fn polynomial() -> WeightToFeeCoefficients<Balance> {
        let base = Balance::from(ExtrinsicBaseWeight::get().ref_time());
        [WeightToFeeCoefficient {
            degree: 1,
            negative: false,
            coeff_frac: Perbill::from_rational(BASE_FEE % base, base),
            coeff_integer: BASE_FEE / base,
        }]
        .into_iter()
        .collect()
    }
}

parameter_types! {
    /// The fee level rises while blocks are fuller than this, and falls while they are emptier.
    pub const TargetBlockFullness: Perquintill = Perquintill::from_percent(25);
    /// At full blocks the level doubles in about 12 000 blocks.
    pub AdjustmentVariable: Multiplier = Multiplier::saturating_from_rational(75, 1_000_000);
    pub MinimumMultiplier: Multiplier = Multiplier::saturating_from_rational(1, 10);
    pub MaximumMultiplier: Multiplier = Multiplier::max_value();
    pub const TransactionByteFee: Balance = MILLI / 1_000;
}

impl pallet_transaction_payment::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type OnChargeTransaction = FungibleAdapter<Balances, Token>;
    type WeightToFee = WeightToFee;
    type LengthToFee = ConstantMultiplier<Balance, TransactionByteFee>;
    type FeeMultiplierUpdate =
        TargetedFeeAdjustment<Runtime, TargetBlockFullness, AdjustmentVariable, MinimumMultiplier, MaximumMultiplier>;
    type OperationalFeeMultiplier = ConstU8<5>;
    type WeightInfo = pallet_transaction_payment::weights::SubstrateWeight<Runtime>;
}

impl pallet_difficulty::Config for Runtime {
    type OnAuthored = Token;
    type Epochs = Bandwidth;
    type WeightInfo = pallet_difficulty::weights::MeasuredWeight<StorageDbWeight>;
}

impl pallet_bandwidth::Config for Runtime {
    type Parameters = Tuned;
    type CurrentBlock = Difficulty;
    type Participants = Registry;
    // Difficulty takes its snapshot, token shares the capacity of the epoch.
    type OnEpochBorder = (Difficulty, Token);
    type OnMeasured = Token;
    type OnIncluded = Token;
    type OnDuty = Token;
    type BatchesPerBlock = ConstU32<84>;
    type SweepWeight = SweepWeight;
    type WeightInfo = BandwidthWeight;
    #[cfg(feature = "runtime-benchmarks")]
    type Scene = crate::benchmarks::Stage;
}

/// The weights of bandwidth: what happens in every epoch at the price of rows that are touched every day, and the rest at that of others.
pub struct BandwidthWeight;

/// What happens at each instant.
type Everyday = pallet_bandwidth::weights::MeasuredWeight<EverydayDbWeight>;
/// What touches rows that nobody has touched for long.
type Rare = pallet_bandwidth::weights::MeasuredWeight<StorageDbWeight>;

impl pallet_bandwidth::weights::WeightInfo for BandwidthWeight {
    fn on_initialize() -> Weight {
        Everyday::on_initialize()
    }

    fn start_epoch() -> Weight {
        Rare::start_epoch()
    }

    fn walk(m: u32) -> Weight {
        Everyday::walk(m)
    }

    fn pass_slots(s: u32) -> Weight {
        Everyday::pass_slots(s)
    }

    fn evaluate(m: u32) -> Weight {
        Everyday::evaluate(m)
    }

    // Each challenger is paid in each epoch. Whoever names another payee each time pays for that.
    fn pay_duties() -> Weight {
        Everyday::pay_duties()
    }

    fn evict() -> Weight {
        Rare::evict()
    }

    fn forget() -> Weight {
        Rare::forget()
    }

    fn submit(r: u32) -> Weight {
        Everyday::submit(r)
    }

    fn authorize_submit(r: u32) -> Weight {
        Everyday::authorize_submit(r)
    }

    fn submit_own() -> Weight {
        Everyday::submit_own()
    }

    fn authorize_submit_own() -> Weight {
        Everyday::authorize_submit_own()
    }

    fn show_equivocation() -> Weight {
        Rare::show_equivocation()
    }
}

parameter_types! {
    /// A fifth of what a block can hold: about as many providers are passed over in time then as blocks have places for their batches.
    pub SweepWeight: Weight = MAXIMUM_BLOCK_WEIGHT / 5;
}

impl pallet_registry::Config for Runtime {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Rules = tunables::RegistryRules;
    type GrowthStep = tunables::GrowthStep;
    type MostDeclared = tunables::MostDeclared;
    type Epochs = Bandwidth;
    type HasRoom = Bandwidth;
    type OnGuaranteed = (Difficulty, Token);
    type SlashOrigin = EnsureRoot<AccountId>;
    type MaxAdmitted = ConstU32<16>;
    type WeightInfo = pallet_registry::weights::MeasuredWeight<StorageDbWeight>;
}

impl pallet_grandpa::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = ();
    type MaxAuthorities = ConstU32<MOST_VOTERS>;
    type MaxNominators = ConstU32<0>;
    // Finality keeps the sets.
    type MaxSetIdSessionEntries = ConstU64<0>;
    type KeyOwnerProof = sp_core::Void;
    type EquivocationReportSystem = ();
}

impl pallet_finality::Config for Runtime {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Rules = tunables::FinalityRules;
    type Epochs = Bandwidth;
    type Snapshots = Difficulty;
    type CurrentBlock = Difficulty;
    type GovernanceOrigin = EnsureRoot<AccountId>;
    type WeightInfo = pallet_finality::weights::MeasuredWeight<StorageDbWeight>;
}

impl pallet_token::Config for Runtime {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Parameters = Tuned;
    type CurrentBlock = Difficulty;
    type Epochs = Bandwidth;
    type VestingBlocks = tunables::VestingBlocks;
    type WeightInfo = TokenWeight;
}

/// The weights of the token: of a claim also what it does for traffic, which its benchmark does not have yet. At the most that is three rows of
/// which one is gone then, and a third reward.
pub struct TokenWeight;

type TokenMeasured = pallet_token::weights::MeasuredWeight<StorageDbWeight>;

impl pallet_token::weights::WeightInfo for TokenWeight {
    fn on_initialize() -> Weight {
        TokenMeasured::on_initialize()
    }

    fn on_finalize() -> Weight {
        TokenMeasured::on_finalize()
    }

    fn claim() -> Weight {
        TokenMeasured::claim()
            .saturating_add(TokenMeasured::on_initialize())
            .saturating_add(StorageDbWeight::get().reads_writes(3, 3))
    }

    fn set_payee() -> Weight {
        TokenMeasured::set_payee()
    }
}

/// The account of the treasury.
pub struct Treasury;

impl Get<AccountId> for Treasury {
    fn get() -> AccountId {
        Token::treasury()
    }
}

impl pallet_market::Config for Runtime {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Rules = tunables::MarketRules;
    type Treasury = Treasury;
    type Guarantees = Registry;
    type OnTraffic = Token;
    type WeightInfo = pallet_market::weights::MeasuredWeight<StorageDbWeight>;
}

impl pallet_utility::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type PalletsOrigin = OriginCaller;
    type WeightInfo = pallet_utility::weights::SubstrateWeight<Runtime>;
}

/// What a number of entries and bytes of state is worth, as a deposit.
pub(crate) const fn deposit(entries: u32, bytes: u32) -> Balance {
    entries as Balance * 100 * MILLI + bytes as Balance * MILLI
}

parameter_types! {
    pub const MultisigDepositBase: Balance = deposit(1, 88);
    pub const MultisigDepositFactor: Balance = deposit(0, 32);
    pub const ProxyDepositBase: Balance = deposit(1, 8);
    pub const ProxyDepositFactor: Balance = deposit(0, 33);
    pub const AnnouncementDepositBase: Balance = deposit(1, 8);
    pub const AnnouncementDepositFactor: Balance = deposit(0, 66);
}

impl pallet_multisig::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type Currency = Balances;
    type DepositBase = MultisigDepositBase;
    type DepositFactor = MultisigDepositFactor;
    type MaxSignatories = ConstU32<100>;
    type WeightInfo = pallet_multisig::weights::SubstrateWeight<Runtime>;
    type BlockNumberProvider = System;
}

/// What a proxy may do for the account that named it.
#[derive(
    Copy,
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    scale_info::TypeInfo,
)]
pub enum ProxyType {
    /// Everything.
    #[default]
    Any,
    /// Everything that moves no tokens.
    NonTransfer,
    /// What an agent does: endpoints, mining author, pauses and the way back of its account, what it sells and the channels to it, and
    /// claiming for it.
    Agent,
}

impl InstanceFilter<RuntimeCall> for ProxyType {
    fn filter(&self, call: &RuntimeCall) -> bool {
        match self {
            Self::Any => true,
            Self::NonTransfer => !matches!(
                call,
                RuntimeCall::Balances(..)
                    | RuntimeCall::Sudo(..)
                    | RuntimeCall::Token(pallet_token::Call::set_payee { .. })
                    // What is behind a channel goes where its key signs.
                    | RuntimeCall::Market(pallet_market::Call::open { .. } | pallet_market::Call::top_up { .. })
            ),
            Self::Agent => matches!(
                call,
                RuntimeCall::Registry(
                    pallet_registry::Call::set_endpoints { .. }
                        | pallet_registry::Call::set_mining_author { .. }
                        | pallet_registry::Call::pause { .. }
                        | pallet_registry::Call::come_back { .. }
                ) | RuntimeCall::Market(
                    pallet_market::Call::list { .. }
                        | pallet_market::Call::unlist { .. }
                        | pallet_market::Call::settle { .. }
                        | pallet_market::Call::close { .. }
                        | pallet_market::Call::finish { .. }
                ) | RuntimeCall::Token(pallet_token::Call::claim { .. })
            ),
        }
    }

    fn is_superset(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (Self::NonTransfer, Self::Agent) => true,
            (a, b) => a == b,
        }
    }
}

impl pallet_proxy::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type Currency = Balances;
    type ProxyType = ProxyType;
    type ProxyDepositBase = ProxyDepositBase;
    type ProxyDepositFactor = ProxyDepositFactor;
    type MaxProxies = ConstU32<32>;
    type WeightInfo = pallet_proxy::weights::SubstrateWeight<Runtime>;
    type MaxPending = ConstU32<32>;
    type CallHasher = BlakeTwo256;
    type AnnouncementDepositBase = AnnouncementDepositBase;
    type AnnouncementDepositFactor = AnnouncementDepositFactor;
    type BlockNumberProvider = System;
}

impl pallet_sudo::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type WeightInfo = pallet_sudo::weights::SubstrateWeight<Runtime>;
}

parameter_types! {
    /// Half of what a block can hold.
    pub MaxMigrationWeight: Weight = MAXIMUM_BLOCK_WEIGHT / 2;
}

impl pallet_migrations::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    #[cfg(not(feature = "runtime-benchmarks"))]
    type Migrations = migrations::MultiBlock;
    #[cfg(feature = "runtime-benchmarks")]
    type Migrations = pallet_migrations::mock_helpers::MockedMigrations;
    type CursorMaxLen = ConstU32<1_024>;
    type IdentifierMaxLen = ConstU32<256>;
    type MigrationStatusHandler = ();
    type FailedMigrationHandler = migrations::FailedMigration;
    type MaxServiceWeight = MaxMigrationWeight;
    type WeightInfo = pallet_migrations::weights::SubstrateWeight<Runtime>;
}

impl pallet_parameters::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeParameters = RuntimeParameters;
    type AdminOrigin = AsEnsureOriginWithArg<EnsureRoot<AccountId>>;
    // The SDK has measured none for others.
    type WeightInfo = ();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_but_one_for_everything_says_where_rewards_go() {
        let set_payee = RuntimeCall::Token(pallet_token::Call::set_payee { payee: None });
        let claim = RuntimeCall::Token(pallet_token::Call::claim { account: AccountId::new([1; 32]) });
        assert_eq!(
            [ProxyType::Any, ProxyType::NonTransfer, ProxyType::Agent].map(|it| it.filter(&set_payee)),
            [true, false, false]
        );
        assert!(ProxyType::NonTransfer.filter(&claim) && ProxyType::Agent.filter(&claim));
    }

    #[test]
    fn no_proxy_but_one_for_everything_puts_funds_behind_a_channel() {
        let calls = [
            pallet_market::Call::open {
                provider: AccountId::new([1; 32]),
                key: Default::default(),
                proof: Default::default(),
                deposit: 1,
                at: weir_primitives::market::Terms { most_per_gib: 1, least_bits_per_second: 1 },
            },
            pallet_market::Call::top_up { channel: 1, amount: 1 },
        ];
        for call in calls.map(RuntimeCall::Market) {
            let allowed = [ProxyType::Any, ProxyType::NonTransfer, ProxyType::Agent].map(|it| it.filter(&call));
            assert_eq!(allowed, [true, false, false]);
        }
        let finish = RuntimeCall::Market(pallet_market::Call::finish { channel: 1 });
        assert!(ProxyType::NonTransfer.filter(&finish) && ProxyType::Agent.filter(&finish));
    }
}
