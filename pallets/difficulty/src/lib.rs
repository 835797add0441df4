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
//! - *Snapshot*: the bandwidth behind each author at the start of an epoch ([`weir_primitives::consensus::shares`]). It waits until it is proven final, and as many
//!   blocks as the snapshot depth, so that nobody mines a private fork on measurements made within it; from [`Term::from`] on it counts. While
//!   one waits, no other is taken: where finality stands still, the last one that was proven goes on to count.
//! - *Share*, *bucket*, *credit*: see [`weir_primitives::consensus::credit`].
//! - *Key*: what signs blocks for an account ([`keys`]). Credit, shares and rewards are the account's, whichever key signs.
//!
//! ## Beware
//!
//! An author without a block in the epoch before a snapshot counts for nothing in it, in numerator and sum. The only call names the key that signs
//! one's own blocks: nobody can change anything else of this by a transaction. A key that an account names no longer is an account of its own again: who
//! has it can make blocks as any stranger can, without the credit that it spent before.

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
pub mod keys;
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
use frame_system::pallet_prelude::{ensure_signed, BlockNumberFor, OriginFor};
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
    interfaces::{CurrentBlock, Epochs, Everybody, OnAuthored, OnEpochBorder, OnGuaranteed, Snapshots, Units},
    parameters::{Consensus, Parameters},
    runtime_api::NextBlock,
    AccountId, BlockNumber, Epoch, EpochIndex, Hash, UnixMilliseconds,
};

/// The number of a snapshot: how many were taken before it.
pub type SnapshotIndex = u32;

/// A snapshot, and from when on it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Term {
    /// Which one.
    pub snapshot: SnapshotIndex,
    /// The first block whose gain it decides.
    pub from: BlockNumber,
    /// The sum over all authors; zero if nobody has a share, also where too few challengers are known for anything to be boosted.
    pub total_bits_per_second: u128,
}

/// A snapshot that does not count yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Taken {
    /// Which one.
    pub snapshot: SnapshotIndex,
    /// The block that took it.
    pub number: BlockNumber,
    /// As in [`Term`].
    pub total_bits_per_second: u128,
}

#[allow(clippy::expect_used, reason = "the macros of FRAME write it")]
#[frame_support::pallet]
pub mod pallet {
    use super::*;

    /// The version of the storage. Older ones are brought to it by [`crate::migrations`].
    pub(crate) const STORAGE_VERSION: StorageVersion = StorageVersion::new(5);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config:
        frame_system::Config<AccountId = AccountId, Hash = Hash, RuntimeEvent: From<Event<Self>>>
    {
        /// Is told of the author of each block.
        type OnAuthored: OnAuthored;
        /// Knows the epochs.
        type Epochs: Epochs;
        /// The weights of the call and the hooks.
        type WeightInfo: WeightInfo;
    }

    /// The parameters of the chain. Set by genesis.
    #[pallet::storage]
    pub type ChainParameters<T> = StorageValue<_, Parameters, OptionQuery>;

    /// What the current block claims, with the account of its author in the place of the key; between two blocks, what the last one did.
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

    /// The number of the next snapshot.
    #[pallet::storage]
    pub type NextSnapshot<T> = StorageValue<_, SnapshotIndex, ValueQuery>;

    /// The snapshot that waits to be proven final.
    #[pallet::storage]
    pub type Waiting<T> = StorageValue<_, Taken, OptionQuery>;

    /// The key that signs for an account, where it is not the account itself.
    #[pallet::storage]
    pub type AuthorKeys<T> = StorageMap<_, Blake2_128Concat, AccountId, AccountId, OptionQuery>;

    /// The account for which a key signs: [`AuthorKeys`] the other way around.
    #[pallet::storage]
    pub type KeyOwners<T> = StorageMap<_, Blake2_128Concat, AccountId, AccountId, OptionQuery>;

    #[pallet::error]
    pub enum Error<T> {
        /// The key signs for another account.
        KeyTaken,
        /// The key is the account itself, which signs when it names no key.
        OwnKey,
        /// The key did not sign that it signs for this account, on this chain.
        BadSignature,
    }

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
        /// A snapshot of the bandwidth behind each author was taken. It waits to be proven final.
        SnapshotTaken {
            /// Which one.
            snapshot: SnapshotIndex,
            /// The sum of the bandwidth behind all of them.
            total_bits_per_second: u128,
        },
        /// A snapshot was proven final.
        SnapshotProven {
            /// Which one.
            snapshot: SnapshotIndex,
            /// The first block whose gain it decides.
            from: BlockNumber,
        },
        /// From the next block on another key signs for an account.
        KeySet {
            /// The account.
            account: AccountId,
            /// The key; none if the account signs itself.
            key: Option<AccountId>,
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

    #[pallet::call(weight = <T as Config>::WeightInfo)]
    impl<T: Config> Pallet<T> {
        /// Names the key that signs the sender's blocks from the next one on, with its signature over
        /// [`weir_primitives::consensus::author_key_payload`]; without one, the sender's own. The key before, if any, no longer signs for the sender.
        /// Credit, shares and rewards stay where they are. Followed by [`Event::KeySet`].
        #[pallet::call_index(0)]
        pub fn set_author_key(origin: OriginFor<T>, key: Option<keys::ProvenKey>) -> DispatchResult {
            Self::change_key(&ensure_signed(origin)?, key)
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        /// Refuses, by an assertion, a block whose claims are wrong. Nodes have checked the same before.
        fn on_initialize(number: BlockNumberFor<T>) -> Weight {
            let claimed = Self::check_claims(number.saturated_into());
            assert!(claimed.is_ok(), "the header makes a false claim: {claimed:?}");
            // The number of the next snapshot, whether one waits, and whose key it is are not in what was measured.
            T::WeightInfo::on_initialize().saturating_add(T::DbWeight::get().reads(3))
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

    /// What block `number`, the next one, is checked against if `key` signs it.
    pub fn next_block(key: &AccountId, number: BlockNumber, extrinsics_root: StateVersion) -> Option<NextBlock> {
        let author = Self::account_of(key);
        let rules = Self::parameters()?.consensus;
        Some(NextBlock {
            base: NextBase::<T>::get()?,
            earliest: rules.dates().earliest(Self::timestamp()),
            spendable: Self::bucket(&author, number, &rules).spendable(),
            parent_weight: ChainWeight::<T>::get(),
            rules,
            extrinsics_root_version: extrinsics_root.into(),
        })
    }

    fn number() -> BlockNumber {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    /// The bucket of `author` after the gain of block `number`.
    fn bucket(author: &AccountId, number: BlockNumber, rules: &Consensus) -> Bucket {
        let behind = Authors::<T>::get(author);
        let terms: Vec<credit::Term> = Terms::<T>::get()
            .iter()
            .map(|term| credit::Term {
                from: term.from,
                share: Share::new(
                    if term.total_bits_per_second == 0 { 0 } else { behind.share(term.snapshot) },
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
        let author = Self::account_of(&claims.author);
        let bucket = Self::bucket(&author, number, &rules);
        let allowed =
            Allowed { base, earliest: rules.dates().earliest(Self::timestamp()), spendable: bucket.spendable() };
        allowed.check(&claims).map_err(Refusal::Claim)?;
        let weight = ChainWeight::<T>::get().checked_add(claims.base).ok_or(Refusal::Weight)?;

        ChainWeight::<T>::put(weight);
        Buckets::<T>::insert(&author, bucket.spend(claims.credit).ok_or(Refusal::Credit)?);
        Self::note_author(&author, number);
        if !claims.credit.is_zero() {
            Self::deposit_event(Event::CreditSpent { author: author.clone(), credit: claims.credit });
        }
        T::OnAuthored::on_authored(&author);
        Latest::<T>::put(PreDigest { author, ..claims });
        Ok(())
    }

    fn note_author(author: &AccountId, number: BlockNumber) {
        let next = NextSnapshot::<T>::get();
        // The block that takes a snapshot is the first one after it.
        let takes_one = T::Epochs::index_at(number) > T::Epochs::current().index && !Waiting::<T>::exists();
        let since = if takes_one { next } else { next.saturating_sub(1) };
        ShareTotals::<T>::mutate(|totals| Authors::<T>::mutate(author, |author| author.note_block(since, totals)));
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
        ensure!(
            AuthorKeys::<T>::iter().count() == KeyOwners::<T>::iter().count(),
            "a key has no owner, or an owner no key"
        );
        ensure!(
            AuthorKeys::<T>::iter().all(|(account, key)| KeyOwners::<T>::get(key) == Some(account)),
            "a key signs for somebody else"
        );
        let terms = Terms::<T>::get();
        ensure!(terms.iter().zip(terms.iter().skip(1)).all(|(a, b)| a.from < b.from), "terms are out of order");
        let totals = ShareTotals::<T>::get();
        for term in &terms {
            let sum: u128 = Authors::<T>::iter_values().map(|author| u128::from(author.share(term.snapshot))).sum();
            ensure!(sum == totals.of(term.snapshot), "shares do not add up to their total");
            ensure!([0, sum].contains(&term.total_bits_per_second), "a snapshot has another total");
        }
        let known = terms.iter().map(|term| term.snapshot).chain(Waiting::<T>::get().map(|taken| taken.snapshot));
        let known: Vec<_> = known.collect();
        ensure!(
            known.iter().rev().zip(1u32..).all(|(at, ago)| at.saturating_add(ago) == NextSnapshot::<T>::get()),
            "a snapshot is missing"
        );
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
    fn on_guaranteed(_: &AccountId, _: EpochIndex, before: Units<'_>, after: Units<'_>) {
        let from = NextSnapshot::<T>::get();
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
    /// Takes a snapshot, unless one waits, and forgets the oldest one.
    fn on_epoch_border(_: Epoch, _: &Everybody, is_paid: bool) {
        if Waiting::<T>::exists() {
            return;
        }
        let snapshot = NextSnapshot::<T>::get();
        let total_bits_per_second = if is_paid { ShareTotals::<T>::get().of(snapshot) } else { 0 };
        Terms::<T>::mutate(|terms| {
            if terms.is_full() {
                terms.remove(0);
            }
        });
        Waiting::<T>::put(Taken { snapshot, number: Self::number(), total_bits_per_second });
        NextSnapshot::<T>::put(snapshot.saturating_add(1));
        Self::deposit_event(Event::SnapshotTaken { snapshot, total_bits_per_second });
    }
}

impl<T: Config> Snapshots for Pallet<T> {
    fn behind(author: &AccountId) -> u64 {
        let number = Self::number();
        let terms = Terms::<T>::get();
        let in_force = terms.iter().rev().find(|term| term.from <= number);
        in_force
            .filter(|term| term.total_bits_per_second > 0)
            .map_or(0, |term| Authors::<T>::get(author).share(term.snapshot))
    }

    fn waiting() -> Option<BlockNumber> {
        Waiting::<T>::get().map(|taken| taken.number)
    }

    fn on_proven(height: BlockNumber) {
        let Some(taken) = Waiting::<T>::get().filter(|taken| taken.number <= height) else { return };
        let Some(parameters) = Self::parameters() else { return };
        let Taken { snapshot, number, total_bits_per_second } = taken;
        let deep = number.saturating_add(parameters.consensus.snapshot_depth);
        let from = deep.max(Self::number()).saturating_add(1);
        Waiting::<T>::kill();
        Terms::<T>::mutate(|terms| terms.force_push(Term { snapshot, from, total_bits_per_second }));
        Self::deposit_event(Event::SnapshotProven { snapshot, from });
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn set(author: &AccountId, bits_per_second: u64) {
        let number = Self::number();
        let snapshot = NextSnapshot::<T>::get().saturating_sub(1);
        Waiting::<T>::kill();
        ShareTotals::<T>::mutate(|totals| {
            Authors::<T>::mutate(author, |author| {
                author.note_block(snapshot, totals);
                author.change(snapshot.saturating_add(1), 0, bits_per_second, totals);
            });
        });
        let total_bits_per_second = ShareTotals::<T>::get().of(snapshot.saturating_add(1));
        let term = Term { snapshot: snapshot.saturating_add(1), from: number, total_bits_per_second };
        Terms::<T>::put(BoundedVec::truncate_from(alloc::vec![term]));
        Waiting::<T>::put(Taken { snapshot, number, total_bits_per_second });
    }
}
