//! # Difficulty
//!
//! Base difficulty, boost credit, and the author of each block.
//!
//! ## Overview
//!
//! The pre-runtime digest of a block claims an author, a base difficulty, the credit that the author spends and a timestamp
//! ([`weir_primitives::consensus::PreDigest`]). Nodes check the proof of work against the claims; this pallet checks the
//! claims, and refuses by an assertion the whole block where one does not hold:
//!
//! - the base is the one that the retarget rule gave for this height ([`NextBase`]);
//! - the credit is at most what the author has after this block's gain ([`Buckets`]);
//! - the date is at least the least interval after the parent's, and is the one that the timestamp inherent sets.
//!
//! It also sums up the weight of the chain, so that a node which starts from a proof of a state has it.
//!
//! ## Terms
//!
//! - *Snapshot*: the bandwidth behind each author at the start of an epoch ([`weir_primitives::consensus::shares`]). It counts from [`Term::from`] on, when it is
//!   deeper than the finality depth, so that nobody mines a private fork on measurements made within it.
//! - *Share*, *bucket*, *credit*: see [`weir_primitives::consensus::credit`].
//!
//! ## Beware
//!
//! An author without a block in the epoch before a snapshot counts for nothing in it, in numerator and sum. There are no
//! calls: nobody can change any of this by a transaction.

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
mod benchmarking;
pub mod migrations;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;
pub mod weights;

use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
    pallet_prelude::*,
    traits::{Get, OnTimestampSet},
};
use frame_system::pallet_prelude::BlockNumberFor;
pub use pallet::*;
use sp_core::U256;
use sp_runtime::{Perbill, SaturatedConversion, StateVersion};
use weights::WeightInfo;
use weir_primitives::{
    consensus::{
        claims::{Allowed, FalseClaim},
        credit::{self, Bucket, Share, TERMS},
        pre_digest_of,
        retarget::{retarget, Anchor},
        shares::{Author, Totals},
        Difficulty, PreDigest,
    },
    interfaces::{CurrentBlock, Epochs, Everybody, OnAuthored, OnEpochBorder, OnGuaranteed, Units},
    parameters::{Consensus, Parameters},
    runtime_api::NextBlock,
    AccountId, BlockNumber, Epoch, EpochIndex, UnixMilliseconds,
};

/// A snapshot, and from when on it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Term {
    /// The epoch at whose start it was taken.
    pub epoch: EpochIndex,
    /// The first block whose gain it decides.
    pub from: BlockNumber,
    /// The sum over all authors; zero if nobody has a share, also where too few challengers are known for anything to be boosted.
    pub total_bits_per_second: u128,
}

#[allow(clippy::expect_used, reason = "the macros of FRAME write it")]
#[frame_support::pallet]
pub mod pallet {
    use super::*;

    /// The version of the storage. Older ones are brought to it by [`crate::migrations`].
    pub(crate) const STORAGE_VERSION: StorageVersion = StorageVersion::new(4);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config<AccountId = AccountId, RuntimeEvent: From<Event<Self>>> {
        /// Is told of the author of each block.
        type OnAuthored: OnAuthored;
        /// Knows the epochs.
        type Epochs: Epochs;
        /// The weights of the hooks, counted from the code.
        type WeightInfo: WeightInfo;
    }

    /// The parameters of the chain. Set by genesis.
    #[pallet::storage]
    pub type ChainParameters<T> = StorageValue<_, Parameters, OptionQuery>;

    /// What the current block claims; between two blocks, what the last one did.
    #[pallet::storage]
    pub type Latest<T> = StorageValue<_, PreDigest, OptionQuery>;

    /// The block that the retarget rule counts from. None before the first block.
    #[pallet::storage]
    pub type RetargetAnchor<T> = StorageValue<_, Anchor, OptionQuery>;

    /// The base difficulty of the next block. Between the floor and the ceiling.
    #[pallet::storage]
    pub type NextBase<T> = StorageValue<_, Difficulty, OptionQuery>;

    /// The sum of the base difficulties of all blocks since genesis, the current one included: what fork choice compares.
    #[pallet::storage]
    pub type ChainWeight<T> = StorageValue<_, U256, ValueQuery>;

    /// The credit of each author, as of its last block.
    #[pallet::storage]
    pub type Buckets<T> = StorageMap<_, Blake2_128Concat, AccountId, Bucket, ValueQuery>;

    /// The bandwidth behind each author, and the epochs in which it made blocks.
    #[pallet::storage]
    pub type Authors<T> = StorageMap<_, Blake2_128Concat, AccountId, Author, ValueQuery>;

    /// The sums of the bandwidth that counts behind all authors, by epoch.
    #[pallet::storage]
    pub type ShareTotals<T> = StorageValue<_, Totals, ValueQuery>;

    /// The last snapshots, the oldest first. Their [`Term::from`] rises.
    #[pallet::storage]
    pub type Terms<T> = StorageValue<_, BoundedVec<Term, ConstU32<{ TERMS as u32 }>>, ValueQuery>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A block was made easier by credit.
        CreditSpent {
            /// The author of the block.
            author: AccountId,
            /// The credit that the author spent.
            credit: Perbill,
        },
        /// A snapshot of the bandwidth behind each author was taken.
        SnapshotTaken {
            /// The epoch that begins.
            epoch: EpochIndex,
            /// The first block whose gain it decides.
            from: BlockNumber,
            /// The sum of the bandwidth behind all of them.
            total_bits_per_second: u128,
        },
    }

    /// The parameters of the chain.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// Everything that is fixed at genesis.
        pub parameters: Option<Parameters>,
        #[serde(skip)]
        #[doc(hidden)]
        pub _config: PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            if let Some(parameters) = &self.parameters {
                let checked = parameters.check();
                assert!(checked.is_ok(), "the parameters of the chain are wrong: {checked:?}");
                NextBase::<T>::put(parameters.consensus.initial_difficulty);
                ChainParameters::<T>::put(parameters);
            }
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        /// Refuses, by an assertion, a block whose claims are wrong. Nodes have checked the same before.
        fn on_initialize(number: BlockNumberFor<T>) -> Weight {
            let claimed = Self::check_claims(number.saturated_into());
            assert!(claimed.is_ok(), "the header makes a false claim: {claimed:?}");
            T::WeightInfo::on_initialize()
        }

        fn on_finalize(number: BlockNumberFor<T>) {
            Self::set_next_base(number.saturated_into());
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }
}

/// Why a block is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The digests are malformed.
    Digest(weir_primitives::consensus::DigestError),
    /// The chain has no parameters.
    NoParameters,
    /// The header claims what its parent's state does not allow.
    Claim(FalseClaim),
    /// The author's credit is not what it was checked against.
    Credit,
    /// The weight of the chain would not fit 256 bits.
    Weight,
}

impl<T: Config> Pallet<T> {
    /// The parameters of the chain; none if genesis set none, and then no block can be built.
    pub fn parameters() -> Option<Parameters> {
        ChainParameters::<T>::get()
    }

    /// What block `number` of `author`, the next one, is checked against.
    pub fn next_block(author: &AccountId, number: BlockNumber, extrinsics_root: StateVersion) -> Option<NextBlock> {
        let rules = Self::parameters()?.consensus;
        Some(NextBlock {
            base: NextBase::<T>::get()?,
            earliest: rules.dates().earliest(Self::timestamp()),
            spendable: Self::bucket(author, number, &rules).spendable(),
            parent_weight: ChainWeight::<T>::get(),
            rules,
            extrinsics_root_version: extrinsics_root.into(),
        })
    }

    /// The bucket of `author` after the gain of block `number`.
    fn bucket(author: &AccountId, number: BlockNumber, rules: &Consensus) -> Bucket {
        let behind = Authors::<T>::get(author);
        let terms: Vec<credit::Term> = Terms::<T>::get()
            .iter()
            .map(|term| credit::Term {
                from: term.from,
                share: Share::new(
                    if term.total_bits_per_second == 0 { 0 } else { behind.share(term.epoch) },
                    term.total_bits_per_second,
                    rules.least_total_bits_per_second,
                ),
            })
            .collect();
        Buckets::<T>::get(author).at(number, &terms, rules.credit_cap_blocks)
    }

    /// Checks what the digest of the current block claims, books what it spends, and tells who made it.
    fn check_claims(number: BlockNumber) -> Result<(), Refusal> {
        let claims = pre_digest_of(&frame_system::Pallet::<T>::digest()).map_err(Refusal::Digest)?;
        let rules = Self::parameters().ok_or(Refusal::NoParameters)?.consensus;
        let base = NextBase::<T>::get().ok_or(Refusal::NoParameters)?;
        let bucket = Self::bucket(&claims.author, number, &rules);
        let allowed =
            Allowed { base, earliest: rules.dates().earliest(Self::timestamp()), spendable: bucket.spendable() };
        allowed.check(&claims).map_err(Refusal::Claim)?;
        let weight = ChainWeight::<T>::get().checked_add(claims.base).ok_or(Refusal::Weight)?;

        ChainWeight::<T>::put(weight);
        Buckets::<T>::insert(&claims.author, bucket.spend(claims.credit).ok_or(Refusal::Credit)?);
        Self::note_author(&claims.author, number);
        if !claims.credit.is_zero() {
            Self::deposit_event(Event::CreditSpent { author: claims.author.clone(), credit: claims.credit });
        }
        T::OnAuthored::on_authored(&claims.author);
        Latest::<T>::put(claims);
        Ok(())
    }

    fn note_author(author: &AccountId, number: BlockNumber) {
        let epoch = T::Epochs::index_at(number);
        ShareTotals::<T>::mutate(|totals| Authors::<T>::mutate(author, |author| author.note_block(epoch, totals)));
    }

    /// Applies the retarget rule to the block that ends.
    fn set_next_base(number: BlockNumber) {
        let (Some(parameters), Some(base)) = (Self::parameters(), NextBase::<T>::get()) else { return };
        let timestamp = Self::timestamp();
        let anchor = RetargetAnchor::<T>::get().unwrap_or(Anchor { number, timestamp, difficulty: base });
        let (next, moved) = retarget(parameters.consensus.schedule(), anchor, number, timestamp);
        RetargetAnchor::<T>::put(moved);
        NextBase::<T>::put(next);
    }

    /// Checks the invariants of the storage.
    #[cfg(any(feature = "try-runtime", test))]
    pub fn do_try_state() -> Result<(), sp_runtime::TryRuntimeError> {
        let parameters = Self::parameters().ok_or("there are no parameters")?;
        parameters.check()?;
        let base = NextBase::<T>::get().ok_or("there is no next base")?;
        ensure!(base.clamp_to(parameters.consensus.floor_difficulty) == base, "the base is outside its limits");
        let terms = Terms::<T>::get();
        ensure!(terms.iter().zip(terms.iter().skip(1)).all(|(a, b)| a.from < b.from), "terms are out of order");
        let totals = ShareTotals::<T>::get();
        for term in &terms {
            let sum: u128 = Authors::<T>::iter_values().map(|author| u128::from(author.share(term.epoch))).sum();
            ensure!(sum == totals.of(term.epoch), "shares do not add up to their total");
            ensure!([0, sum].contains(&term.total_bits_per_second), "a snapshot has another total");
        }
        Ok(())
    }
}

impl<T: Config> Get<Option<Parameters>> for Pallet<T> {
    fn get() -> Option<Parameters> {
        Self::parameters()
    }
}

impl<T: Config> CurrentBlock for Pallet<T> {
    fn author() -> Option<AccountId> {
        Latest::<T>::get().map(|claims| claims.author)
    }

    fn timestamp() -> UnixMilliseconds {
        Latest::<T>::get().map_or(0, |claims| claims.timestamp)
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn set_author(author: &AccountId) {
        Latest::<T>::mutate(|claims| {
            let base = NextBase::<T>::get().unwrap_or(Difficulty::MIN);
            let claims = claims.get_or_insert(PreDigest {
                author: author.clone(),
                base: base.0,
                credit: sp_runtime::Perbill::zero(),
                timestamp: 0,
            });
            claims.author = author.clone();
        });
    }
}

/// The timestamp that the inherent sets must be the one in the digest, which the work covers.
impl<T: Config> OnTimestampSet<UnixMilliseconds> for Pallet<T> {
    fn on_timestamp_set(moment: UnixMilliseconds) {
        assert!(moment == Self::timestamp(), "the timestamp of the block is not the one in its digest");
    }
}

impl<T: Config> OnGuaranteed for Pallet<T> {
    fn on_guaranteed(_: &AccountId, from: EpochIndex, before: Units<'_>, after: Units<'_>) {
        ShareTotals::<T>::mutate(|totals| {
            let mut change = |author: &AccountId, before: u64, after: u64| {
                if before != after {
                    Authors::<T>::mutate(author, |author| author.change(from, before, after, totals));
                }
            };
            if let (Some(author), true) = (before.mining_author, before.mining_author == after.mining_author) {
                return change(author, before.bits_per_second, after.bits_per_second);
            }
            if let Some(author) = before.mining_author {
                change(author, before.bits_per_second, 0);
            }
            if let Some(author) = after.mining_author {
                change(author, 0, after.bits_per_second);
            }
        });
    }
}

impl<T: Config> OnEpochBorder for Pallet<T> {
    /// Says from when on the snapshot of the epoch that begins counts, and forgets the oldest one.
    fn on_epoch_border(epoch: Epoch, _: &Everybody, is_paid: bool) {
        let Some(parameters) = Self::parameters() else { return };
        let epoch = epoch.index;
        let total_bits_per_second = if is_paid { ShareTotals::<T>::get().of(epoch) } else { 0 };
        let number: BlockNumber = frame_system::Pallet::<T>::block_number().saturated_into();
        let from = number.saturating_add(parameters.consensus.finality_depth).saturating_add(1);
        Terms::<T>::mutate(|terms| {
            if terms.is_full() {
                terms.remove(0);
            }
            terms.force_push(Term { epoch, from, total_bits_per_second });
        });
        Self::deposit_event(Event::SnapshotTaken { epoch, from, total_bits_per_second });
    }
}
