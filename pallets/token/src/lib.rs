//! # Token
//!
//! Supply, emission, vesting, and the split of fees.
//!
//! ## Overview
//!
//! Never more than [`CAP`] is issued, counting what was burned again. At the start of each epoch a part of what was never issued
//! becomes the budget of the epoch: one in [`weir_primitives::parameters::Token::emission_divisor`] for each of its blocks. It decays
//! for ever and never reaches the cap.
//!
//! | share of a budget | who gets it |
//! | --- | --- |
//! | 40 % | authors: nine tenths for the epoch's blocks, the same for each; a tenth for the batches of reports that they are first to include |
//! | 35 % | providers, by their part of all guaranteed bandwidth in the epoch; B_pay bounds the rate |
//! | 20 % | providers, for traffic that was paid for: at most nine tenths of what was burned for it |
//! | 5 % | challengers, by what they were to send and take in the duties that they met; 0.2 % of their bond at the most |
//!
//! What bandwidth earns is kept by [`earnings`], what traffic earns by [`traffic`]. A reward goes to its account's payee, if it named one. A fifth of each reward is free at once. The rest is held, and vests in an account's [`vesting::Ring`]. Of the fees of every
//! block, half is burned, 30 % goes to its author and 20 % to the treasury; tips go to the author. They are split when the block
//! ends, once for all its transactions.
//!
//! ## Invariants
//!
//! - what exists = what was ever issued − what was burned;
//! - ever issued + promised ≤ scheduled ≤ cap;
//! - what all have earned by bandwidth, duties and traffic, and were not paid, ≤ what is promised;
//! - what traffic mints ≤ nine tenths of what was burned for it, in every epoch and for every provider;
//! - what is held for vesting = the sum of what the rings still hold;
//! - each reward = its liquid part + its vesting part; the fees and tips of a block = burned + author + treasury;
//! - no fee outlives its block.
//!
//! ## Beware
//!
//! A reward that an account cannot take, since it would be below the existential deposit, is not issued. Fee shares that
//! nobody can take are burned.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
#[allow(clippy::arithmetic_side_effects, reason = "of benchmarks")]
pub mod benchmarking;
pub mod earnings;
mod fees;
pub mod migrations;
#[cfg(test)]
mod mock;
mod rewards;
#[cfg(test)]
mod tests;
pub mod traffic;
#[cfg(any(feature = "try-runtime", test))]
mod try_state;
pub mod vesting;
pub mod weights;

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use earnings::{BatchBudget, DutyPrices, Earned};
use frame_support::{
    pallet_prelude::*,
    traits::{
        fungible::{Balanced, Credit, Inspect, InspectHold, Mutate, MutateHold},
        Get, NoDrop,
    },
    PalletId,
};
use frame_system::pallet_prelude::*;
pub use pallet::*;
use sp_runtime::{traits::AccountIdConversion, Perbill, SaturatedConversion};
use traffic::{Claims, Sold};
use vesting::Ring;
use weights::WeightInfo;
use weir_primitives::{
    accumulator::{Accumulator, Share},
    interfaces::{CurrentBlock, Epochs},
    parameters::Parameters,
    runtime_api::Supply,
    AccountId, Balance, BlockNumber, Epoch, EpochIndex, PLANCK_PER_WEIR,
};

/// The most that is ever issued, burned or not: 1 000 000 000 WEIR.
pub const CAP: Balance = 1_000_000_000_u128.saturating_mul(PLANCK_PER_WEIR);
/// The part of a budget that goes to the authors of blocks.
pub const AUTHORS_SHARE: Perbill = Perbill::from_percent(40);
/// The part of that which goes to those who include batches of reports.
pub const BATCHES_SHARE: Perbill = Perbill::from_percent(10);
/// The part of a budget that goes to providers.
pub const CAPACITY_SHARE: Perbill = Perbill::from_percent(35);
/// The most of a budget that goes to traffic.
pub const TRAFFIC_SHARE: Perbill = Perbill::from_percent(20);
/// The part of a budget that goes to challengers.
pub const CHALLENGERS_SHARE: Perbill = Perbill::from_percent(5);
/// The part of a reward that is free at once.
pub const LIQUID_SHARE: Perbill = Perbill::from_percent(20);
/// The part of a fee that goes to the author of the block.
pub const FEE_AUTHOR_SHARE: Perbill = Perbill::from_percent(30);
/// The part of a fee that goes to the treasury. What the two leave is burned.
pub const FEE_TREASURY_SHARE: Perbill = Perbill::from_percent(20);
/// What the treasury's account is derived from.
pub const TREASURY: PalletId = PalletId(*b"weir/trs");

/// The sums of all tokens.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Totals {
    /// Everything ever issued, genesis balances included.
    pub issued: Balance,
    /// What will have been issued when the current epoch ends, if its whole budget is spent.
    pub scheduled: Balance,
    /// Rewards that are held until they vest.
    pub vesting: Balance,
}

/// What an epoch may issue.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Budget {
    /// The reward of each block's author.
    pub per_block: Balance,
    /// What all providers together get at the end of the epoch.
    pub capacity: Balance,
}

/// Tokens that are in nobody's account.
type CreditOf<T> = Credit<AccountId, <T as Config>::Currency>;

/// What a reward is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Reason {
    /// A block.
    Block,
    /// Guaranteed bandwidth.
    Capacity,
    /// Measuring others.
    Duties,
    /// Including a batch of reports first.
    Batch,
    /// Traffic that was paid for.
    Traffic,
}

#[allow(clippy::expect_used, reason = "the macros of FRAME write it")]
#[frame_support::pallet]
pub mod pallet {
    use super::*;

    /// The version of the storage. Older ones are brought to it by [`crate::migrations`].
    pub(crate) const STORAGE_VERSION: StorageVersion = StorageVersion::new(2);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config<AccountId = AccountId, RuntimeEvent: From<Event<Self>>> {
        /// The token.
        type Currency: Inspect<AccountId, Balance = Balance>
            + Mutate<AccountId>
            + Balanced<AccountId>
            + InspectHold<AccountId, Reason = Self::RuntimeHoldReason>
            + MutateHold<AccountId, Reason = Self::RuntimeHoldReason>;
        /// The runtime's reasons for holds.
        type RuntimeHoldReason: From<HoldReason>;
        /// The parameters of the chain.
        type Parameters: Get<Option<Parameters>>;
        /// The author of the current block.
        type CurrentBlock: CurrentBlock;
        /// Knows the epochs.
        type Epochs: Epochs;
        /// The time over which a reward vests.
        type VestingBlocks: Get<BlockNumber>;
        /// What calls and hooks cost.
        type WeightInfo: WeightInfo;
    }

    /// Why funds are held.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// A reward that has not vested yet.
        #[codec(index = 0)]
        Vesting,
    }

    /// The sums of all tokens.
    #[pallet::storage]
    pub type Sums<T> = StorageValue<_, Totals, ValueQuery>;

    /// What the current epoch may issue.
    #[pallet::storage]
    pub type CurrentBudget<T> = StorageValue<_, Budget, ValueQuery>;

    /// The rewards of each account that have not been released yet. While a migration to version 2 is under way, those of some
    /// accounts are still in [`migrations::Vestings`].
    #[pallet::storage]
    pub type Rings<T> = StorageMap<_, Blake2_128Concat, AccountId, Ring, ValueQuery>;

    /// What the transactions of the current block have paid: fees, and tips.
    #[pallet::storage]
    pub type PendingFees<T: Config> = StorageValue<_, (NoDrop<CreditOf<T>>, NoDrop<CreditOf<T>>), OptionQuery>;

    /// What was earned and not paid yet: each planck of it belongs to somebody, or is what rounding leaves.
    #[pallet::storage]
    pub type Promised<T> = StorageValue<_, Balance, ValueQuery>;

    /// What all providers have earned by guaranteed bandwidth.
    #[pallet::storage]
    pub type CapacityTotal<T> = StorageValue<_, Accumulator, ValueQuery>;

    /// What each provider has of it.
    #[pallet::storage]
    pub type CapacityShares<T> = StorageMap<_, Blake2_128Concat, AccountId, Share, OptionQuery>;

    /// What challengers are paid in this epoch.
    #[pallet::storage]
    pub type DutyBudget<T> = StorageValue<_, DutyPrices, ValueQuery>;

    /// What each challenger has earned.
    #[pallet::storage]
    pub type Duties<T> = StorageMap<_, Blake2_128Concat, AccountId, Earned, ValueQuery>;

    /// What is left for those who include batches of reports in this epoch.
    #[pallet::storage]
    pub type Batches<T> = StorageValue<_, BatchBudget, ValueQuery>;

    /// What traffic can mint in this epoch.
    #[pallet::storage]
    pub type TrafficBudget<T> = StorageValue<_, Balance, ValueQuery>;

    /// What is claimed in each epoch some of whose claims were not credited yet.
    #[pallet::storage]
    pub type TrafficEpochs<T> = StorageMap<_, Twox64Concat, EpochIndex, Claims, ValueQuery>;

    /// What each provider's traffic has earned.
    #[pallet::storage]
    pub type Traffic<T> = StorageMap<_, Blake2_128Concat, AccountId, Sold, ValueQuery>;

    /// To whom the rewards of an account go, if not to itself.
    #[pallet::storage]
    pub type Payees<T> = StorageMap<_, Blake2_128Concat, AccountId, AccountId, OptionQuery>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A reward was issued.
        Rewarded {
            /// The account that has earned it.
            account: AccountId,
            /// The account that it went to.
            payee: AccountId,
            /// What the reward is for.
            reason: Reason,
            /// The gross amount: liquid plus vesting.
            gross: Balance,
            /// The part that is free at once.
            liquid: Balance,
            /// The part that is held until it vests.
            vesting: Balance,
        },
        /// A reward was not issued, since the account cannot hold so little.
        RewardLost {
            /// The account that was not rewarded.
            account: AccountId,
            /// What the reward would have been for.
            reason: Reason,
            /// The gross amount, which stays unissued.
            gross: Balance,
        },
        /// The rewards of an account go to another one, or to itself again.
        PayeeSet {
            /// The account.
            account: AccountId,
            /// Where its rewards go, if not to itself.
            payee: Option<AccountId>,
        },
        /// Vested tokens were released.
        Claimed {
            /// The account that the tokens belong to.
            account: AccountId,
            /// The amount that was released.
            amount: Balance,
            /// The amount that is still held.
            vesting: Balance,
        },
        /// The fees of a block were split: gross plus tips = burned plus author plus treasury.
        FeesSplit {
            /// The fees of all its transactions, without tips.
            gross: Balance,
            /// The tips of all its transactions.
            tips: Balance,
            /// The amount that was burned.
            burned: Balance,
            /// The part of the block's author, with the tips.
            author: Balance,
            /// The part of the treasury.
            treasury: Balance,
        },
        /// An epoch has its budget.
        EpochBudget {
            /// The epoch.
            epoch: EpochIndex,
            /// The reward of each block.
            per_block: Balance,
            /// What all providers together will get at the end of the epoch.
            capacity: Balance,
            /// Everything that can have been issued by the end of the epoch.
            scheduled: Balance,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// Nothing has vested since the last time.
        NothingToClaim,
    }

    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        #[serde(skip)]
        #[doc(hidden)]
        pub _config: PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            let issued = T::Currency::total_issuance();
            assert!(issued <= CAP, "the genesis balances are above the cap");
            Sums::<T>::put(Totals { issued, scheduled: issued, vesting: 0 });
            if let Some(parameters) = T::Parameters::get() {
                let _ = Pallet::<T>::set_budget(Epoch::initial(parameters.measurement.epoch_blocks), &parameters.token);
            }
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        /// The author was rewarded when the block was claimed; this is what that cost, and what splitting the fees will.
        fn on_initialize(_: BlockNumberFor<T>) -> Weight {
            T::WeightInfo::on_initialize().saturating_add(T::WeightInfo::on_finalize())
        }

        fn on_finalize(_: BlockNumberFor<T>) {
            Self::split_fees();
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            ensure!(!PendingFees::<T>::exists(), "fees have outlived their block");
            Self::do_try_state()
        }
    }

    #[pallet::call(weight = <T as Config>::WeightInfo)]
    impl<T: Config> Pallet<T> {
        /// Pays what an account has earned by bandwidth, duties and traffic, and releases what has vested of its rewards. Anyone may, for anyone.
        /// Followed by [`Event::Rewarded`] for what was paid, and [`Event::Claimed`] for what was released.
        #[pallet::call_index(0)]
        pub fn claim(origin: OriginFor<T>, account: AccountId) -> DispatchResult {
            ensure_signed(origin)?;
            let amount = Self::release_vested(&account)?;
            let paid = Self::pay_capacity(&account)
                .saturating_add(Self::pay_duties(&account))
                .saturating_add(Self::pay_traffic(&account));
            ensure!(amount > 0 || paid > 0, Error::<T>::NothingToClaim);
            if amount > 0 {
                let vesting = Rings::<T>::get(&account).held();
                Self::deposit_event(Event::Claimed { account, amount, vesting });
            }
            Ok(())
        }

        /// Names the account that the sender's rewards go to from now on; nobody for the sender itself. What vests already stays where it is.
        /// Followed by [`Event::PayeeSet`].
        #[pallet::call_index(1)]
        pub fn set_payee(origin: OriginFor<T>, payee: Option<AccountId>) -> DispatchResult {
            let account = ensure_signed(origin)?;
            Payees::<T>::set(&account, payee.clone().filter(|payee| *payee != account));
            Self::deposit_event(Event::PayeeSet { account, payee });
            Ok(())
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// The sums of all tokens.
        pub fn supply() -> Supply {
            let Totals { issued, scheduled, vesting } = Sums::<T>::get();
            let existing = T::Currency::total_issuance();
            Supply { cap: CAP, scheduled, issued, burned: issued.saturating_sub(existing), vesting, existing }
        }

        /// What a claim would release for an account now.
        pub fn claimable(account: AccountId) -> Balance {
            Self::ring(&account).vested(Self::block_number())
        }

        /// What an account has earned by bandwidth, duties and traffic, and was not paid yet. What it claims in this epoch is not in it.
        pub fn owed_to(account: AccountId) -> Balance {
            Self::owed(&account)
        }
    }
}

impl<T: Config> Pallet<T> {
    fn block_number() -> BlockNumber {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    /// The account of the treasury.
    pub fn treasury() -> AccountId {
        TREASURY.into_account_truncating()
    }

    /// What an account has vesting, wherever it is kept.
    fn ring(account: &AccountId) -> Ring {
        migrations::former_ring::<T>(account).unwrap_or_else(|| Rings::<T>::get(account))
    }
}
