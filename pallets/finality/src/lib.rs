//! # Finality
//!
//! Who votes on what is final, and what the chain itself knows to be final.
//!
//! ## Overview
//!
//! Blocks are made final by GRANDPA, whose voters this pallet chooses ([`weir_primitives::finality::voters`]) and tells to `pallet-grandpa`, in
//! the place of sessions. Genesis names the first ones. Whoever has a voter bond, a key of its own for votes and bandwidth behind its blocks
//! stands for election at the start of an epoch; the set changes when that many epochs have passed as a set lasts.
//!
//! The chain learns what is final by proofs ([`Call::prove`]), which anybody carries for nothing, about once in an epoch: a *snapshot* of bandwidth
//! comes into force only when the block that took it is proven, and no set is followed by another one before it was *handed over*: until the voters
//! of the set before have made the block final that changed it. So a private fork, which has no votes, mines on no measurements of its own and
//! changes no set, and sets of voters do not pile up while finality stands still.
//!
//! | | |
//! | --- | --- |
//! | bond | held from [`Call::join`] on, until the last set that its owner was in is handed over, plus the unbonding time |
//! | equivocation | anybody shows it: the whole bond is taken, a tenth of it for who showed it |
//! | a stall | ends when two thirds of the weight are back, or governance names other voters ([`Call::end_stall`]) |
//!
//! ## Invariants
//!
//! - what is held of an account = its bond, and nothing is held of others;
//! - the candidates = those who bonded and did not leave, each with its bond;
//! - each key votes for one account;
//! - the voters that GRANDPA has = those of the current set.
//!
//! ## Beware
//!
//! The voters of genesis have no bond: they are trusted until the first election succeeds, and never again.

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
mod bonds;
#[cfg(test)]
mod mock;
mod proofs;
mod sets;
#[cfg(test)]
mod tests;
#[cfg(any(feature = "try-runtime", test))]
mod try_state;
pub mod weights;

use alloc::{boxed::Box, vec::Vec};
use frame_support::{
    pallet_prelude::*,
    traits::{
        fungible::{Inspect, Mutate, MutateHold},
        EnsureOrigin, Get,
    },
};
use frame_system::{ensure_authorized, pallet_prelude::*};
pub use pallet::*;
use proofs::precommits_at_most;
use sp_consensus_grandpa::EquivocationProof;
use sp_runtime::{Perbill, SaturatedConversion};
use weights::WeightInfo;
use weir_primitives::{
    finality::{
        voters::Voter, Finality, SetId, VoterKey, VoterSignature, Wanted, MOST_CANDIDATES, MOST_JUSTIFICATION_BYTES,
        MOST_VOTERS,
    },
    interfaces::{CurrentBlock, Epochs, Snapshots},
    AccountId, Balance, BlockNumber, EpochIndex, Hash,
};

/// How long the reason for a slash can be.
pub const MAX_REASON_BYTES: u32 = 512;

/// The voters of a set, the heaviest first.
pub type Voters = BoundedVec<Voter, ConstU32<MOST_VOTERS>>;

/// What calls and hooks cost; GRANDPA's pallet has weights of its own.
type Weights<T> = <T as Config>::WeightInfo;

/// The parameters that this pallet needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Those of finality.
    pub finality: Finality,
    /// The least bandwidth behind a set, in bits per second.
    pub least_total_bits_per_second: u64,
    /// How long a bond is held after its owner left and its last set was handed over.
    pub unbonding_blocks: BlockNumber,
    /// How deep a block must be for nothing to hang on it that a fork could repeat.
    pub snapshot_depth: BlockNumber,
}

/// Somebody who bonded.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Bonded {
    /// The key that votes in the next sets.
    pub key: VoterKey,
    /// What is held.
    pub bond: Balance,
    /// The first set that the bond can answer for.
    pub since: SetId,
    /// The last set that its owner was chosen for.
    pub last: Option<SetId>,
    /// The block in which its owner left.
    pub left: Option<BlockNumber>,
}

/// A set of voters.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Set {
    /// Who votes, and who answers for it.
    pub voters: Voters,
    /// The block in which it was proven that the set is over.
    pub handed_over: Option<BlockNumber>,
}

/// A change of the set that is not proven final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Change {
    /// The block that changed it.
    pub number: BlockNumber,
    /// Its hash, known from the next block on.
    pub hash: Option<Hash>,
}

/// A change of the set that governance decided.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Forced {
    /// The block at whose end it happens.
    pub at: BlockNumber,
    /// The last block that is final by then, as governance knows.
    pub last_final: BlockNumber,
    /// Who votes from then on.
    pub voters: Voters,
}

#[allow(clippy::expect_used, reason = "the macros of FRAME write it")]
#[frame_support::pallet]
pub mod pallet {
    use super::*;

    pub(crate) const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config:
        frame_system::Config<AccountId = AccountId, Hash = Hash, RuntimeEvent: From<Event<Self>>>
        + pallet_grandpa::Config
    {
        /// Holds the bonds, and burns what is slashed.
        type Currency: Inspect<AccountId, Balance = Balance>
            + Mutate<AccountId>
            + MutateHold<AccountId, Reason = Self::RuntimeHoldReason>;
        /// The runtime's reasons for holds.
        type RuntimeHoldReason: From<HoldReason>;
        /// The parameters.
        type Rules: Get<Option<Rules>>;
        /// Knows the epochs.
        type Epochs: Epochs;
        /// Knows the bandwidth behind authors, and waits for what is proven.
        type Snapshots: Snapshots;
        /// Knows who made the current block.
        type CurrentBlock: CurrentBlock;
        /// Who may end a stall, and slash for other reasons than a proof.
        type GovernanceOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// What calls and hooks cost.
        type WeightInfo: WeightInfo;
    }

    /// Why funds are held.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// The bond of a voter.
        #[codec(index = 0)]
        Voter,
    }

    /// The accounts that have a voter bond.
    #[pallet::storage]
    pub type Bonds<T> = StorageMap<_, Blake2_128Concat, AccountId, Bonded, OptionQuery>;

    /// For whom each key votes.
    #[pallet::storage]
    pub type Keys<T> = StorageMap<_, Blake2_128Concat, VoterKey, AccountId, OptionQuery>;

    /// Who stands for election, with what bond.
    #[pallet::storage]
    pub type Candidates<T> = StorageValue<_, BoundedVec<(Balance, AccountId), ConstU32<MOST_CANDIDATES>>, ValueQuery>;

    /// The sets whose voters still answer for them.
    #[pallet::storage]
    pub type Sets<T> = StorageMap<_, Twox64Concat, SetId, Set, OptionQuery>;

    /// The oldest of [`Sets`].
    #[pallet::storage]
    pub type OldestSet<T> = StorageValue<_, SetId, ValueQuery>;

    /// The change of the set that waits to be proven final.
    #[pallet::storage]
    pub type Handover<T> = StorageValue<_, Change, OptionQuery>;

    /// The change of the set that governance decided, until it happens.
    #[pallet::storage]
    pub type ForcedChange<T> = StorageValue<_, Forced, OptionQuery>;

    /// The highest block that is proven final.
    #[pallet::storage]
    pub type Proven<T> = StorageValue<_, BlockNumber, ValueQuery>;

    /// The epoch from which on the set can change again.
    #[pallet::storage]
    pub type NextElection<T> = StorageValue<_, EpochIndex, ValueQuery>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// An account stands for election.
        Joined {
            /// The account.
            account: AccountId,
            /// Its key.
            key: VoterKey,
            /// The bond that is held.
            bond: Balance,
        },
        /// The bond of a candidate became larger.
        BondRaised {
            /// The account.
            account: AccountId,
            /// The bond that is held.
            bond: Balance,
        },
        /// An account votes with another key from the next set on.
        KeySet {
            /// The account.
            account: AccountId,
            /// Its key.
            key: VoterKey,
        },
        /// An account does not stand for election any more.
        Left {
            /// The account.
            account: AccountId,
            /// Whether a larger bond took its place.
            was_displaced: bool,
        },
        /// A bond was given back.
        PaidBack {
            /// The account.
            account: AccountId,
            /// The amount that was released.
            amount: Balance,
        },
        /// Other voters vote from the next block on.
        SetChanged {
            /// The set.
            set: SetId,
            /// Who votes, the heaviest first.
            voters: Voters,
        },
        /// Blocks were proven final.
        ProvenFinal {
            /// The highest of them.
            number: BlockNumber,
            /// The set that signed.
            set: SetId,
        },
        /// A voter signed two different votes of one kind in one round.
        Equivocated {
            /// The account that answers for its key.
            account: AccountId,
            /// The set.
            set: SetId,
            /// Who showed it.
            shown_by: Option<AccountId>,
        },
        /// A bond, or a part of one, was taken: burned, and given to who showed why.
        Slashed {
            /// The account.
            account: AccountId,
            /// The amount that was taken.
            taken: Balance,
            /// The amount that was burned.
            burned: Balance,
            /// The part of it that who showed why got.
            rewarded: Balance,
        },
        /// Governance had a bond taken.
        SlashedFor {
            /// The account.
            account: AccountId,
            /// The reason.
            reason: BoundedVec<u8, ConstU32<MAX_REASON_BYTES>>,
        },
        /// Governance names other voters, who vote from after a block on.
        StallEnds {
            /// The block.
            at: BlockNumber,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The chain has no parameters.
        NoParameters,
        /// The account has bonded already.
        AlreadyBonded,
        /// The account has not bonded.
        NotBonded,
        /// The account has left.
        HasLeft,
        /// The account has not left.
        NotLeft,
        /// The bond is less than the least one.
        BondTooSmall,
        /// As many as can stand for election do, and each bonded more, or has bandwidth that the sender has not.
        NoRoom,
        /// The key votes for somebody.
        KeyTaken,
        /// The signature is not the key's.
        BadSignature,
        /// The bond is still held.
        StillBonded,
        /// Nothing waits to be proven.
        NothingToProve,
        /// It is a proof for another block than the one that is waited for, or for none of this chain.
        OtherBlock,
        /// It is no proof.
        NoProof,
        /// It is no equivocation, of a set that nobody answers for any more, or of no voter of it with a bond.
        NoEquivocation,
        /// There is no voter, one twice, one with no weight or more than the whole, or a block that is to come.
        BadVoters,
        /// The delay is shorter than the snapshot depth, or longer than the unbonding time.
        BadDelay,
    }

    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// The first voters, whose votes weigh the same: account and key.
        pub voters: Vec<(AccountId, VoterKey)>,
        #[serde(skip)]
        #[doc(hidden)]
        pub _config: PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            let voters = self.voters.iter().cloned().map(|(account, key)| Voter { account, key, weight: 1 });
            let named = Pallet::<T>::name_first_voters(voters.collect());
            assert!(named.is_ok(), "the voters of genesis are too many, or one is there twice: {named:?}");
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(_: BlockNumberFor<T>) -> Weight {
            Self::note_hash_of_change();
            let weight = Weights::<T>::on_initialize();
            match Self::elect_if_due() {
                Some(candidates) => weight.saturating_add(Weights::<T>::elect(candidates)),
                None => weight,
            }
        }

        /// After `pallet-grandpa`, whose voters have changed then.
        fn on_finalize(number: BlockNumberFor<T>) {
            Self::force_change_if_due(number.saturated_into());
        }

        fn integrity_test() {
            assert_eq!(<T as pallet_grandpa::Config>::MaxAuthorities::get(), MOST_VOTERS, "GRANDPA takes other sets");
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call(weight = <T as Config>::WeightInfo)]
    impl<T: Config> Pallet<T> {
        /// Holds a bond, and makes the sender a candidate for the next sets. `proof` is the signature of `key` over
        /// [`weir_primitives::finality::voter_payload`]. Where all places are taken, somebody without bandwidth is displaced by who has some, and else
        /// the smallest bond by a larger one. Followed by [`Event::Joined`].
        #[pallet::call_index(0)]
        pub fn join(origin: OriginFor<T>, bond: Balance, key: VoterKey, proof: VoterSignature) -> DispatchResult {
            Self::add_candidate(ensure_signed(origin)?, bond, key, &proof)
        }

        /// Makes the sender's bond larger, if only by nothing. Who left, or was displaced, stands for election again. Followed by
        /// [`Event::BondRaised`].
        #[pallet::call_index(1)]
        pub fn raise_bond(origin: OriginFor<T>, by: Balance) -> DispatchResult {
            Self::add_to_bond(ensure_signed(origin)?, by)
        }

        /// Gives the sender another key from the next set on. Until then, and for what it signed, the old one votes. `proof` is as for
        /// [`Call::join`]. Followed by [`Event::KeySet`].
        #[pallet::call_index(2)]
        pub fn set_key(origin: OriginFor<T>, key: VoterKey, proof: VoterSignature) -> DispatchResult {
            Self::change_key(ensure_signed(origin)?, key, &proof)
        }

        /// Takes the sender out of the next elections. Its bond is held until the last set that it was in is handed over, plus the unbonding time.
        /// Followed by [`Event::Left`].
        #[pallet::call_index(3)]
        pub fn leave(origin: OriginFor<T>) -> DispatchResult {
            Self::retire(ensure_signed(origin)?)
        }

        /// Gives back the bond of an account that left. Anyone may, for anyone. Followed by [`Event::PaidBack`].
        #[pallet::call_index(4)]
        pub fn withdraw(origin: OriginFor<T>, account: AccountId) -> DispatchResult {
            ensure_signed(origin)?;
            Self::pay_back(account)
        }

        /// Proves what [`Pallet::wanted`] says that the chain waits for, by a justification of GRANDPA. Free: what it says authorizes it. Followed by
        /// [`Event::ProvenFinal`].
        #[pallet::call_index(5)]
        #[pallet::weight((Weights::<T>::prove(), DispatchClass::Operational))]
        #[pallet::weight_of_authorize(Weights::<T>::authorize_prove(precommits_at_most(justification)))]
        #[pallet::authorize(|_, justification| Pallet::<T>::validity_of_proof(justification))]
        pub fn prove(
            origin: OriginFor<T>,
            justification: BoundedVec<u8, ConstU32<MOST_JUSTIFICATION_BYTES>>,
        ) -> DispatchResult {
            ensure_authorized(origin)?;
            Self::take_proof(&justification)
        }

        /// Shows that a voter signed two different votes of one kind in one round: its whole bond is taken. A tenth is for the sender; where nobody
        /// signs the call, for the author of the block. Followed by [`Event::Equivocated`].
        #[pallet::call_index(6)]
        #[pallet::weight((Weights::<T>::show_equivocation(), DispatchClass::Operational))]
        #[pallet::weight_of_authorize(Weights::<T>::authorize_show_equivocation())]
        #[pallet::authorize(|_, proof| Pallet::<T>::validity_of_equivocation(proof))]
        pub fn show_equivocation(
            origin: OriginFor<T>,
            proof: Box<EquivocationProof<Hash, BlockNumber>>,
        ) -> DispatchResult {
            let shown_by = match ensure_authorized(origin.clone()) {
                Ok(()) => T::CurrentBlock::author(),
                Err(_) => Some(ensure_signed(origin)?),
            };
            Self::punish_equivocation(&proof, shown_by)
        }

        /// Names other voters, where those of the current set do not come back. They vote from `delay` blocks after this one on, for what
        /// comes after `last_final`, the highest block that any node has seen final; until then nobody votes. The delay is at least the snapshot depth, so that
        /// no other fork has the call in a block of its own by then. For governance: each side of a partition would end a stall of its own. Followed by
        /// [`Event::StallEnds`].
        #[pallet::call_index(7)]
        pub fn end_stall(
            origin: OriginFor<T>,
            delay: BlockNumber,
            last_final: BlockNumber,
            voters: Voters,
        ) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            Self::schedule_forced_change(delay, last_final, voters)
        }

        /// Takes a part of a bond for a reason that everybody can read, and its owner out of elections. For governance. Followed by
        /// [`Event::Slashed`] and [`Event::SlashedFor`].
        #[pallet::call_index(8)]
        pub fn slash(
            origin: OriginFor<T>,
            account: AccountId,
            part: Perbill,
            reason: BoundedVec<u8, ConstU32<MAX_REASON_BYTES>>,
        ) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            Self::take_bond(&account, part, None)?;
            Self::deposit_event(Event::SlashedFor { account, reason });
            Ok(())
        }
    }
}

impl<T: Config> Pallet<T> {
    /// What the chain waits to be proven, if anything.
    pub fn wanted() -> Option<Wanted> {
        let current = pallet_grandpa::CurrentSetId::<T>::get();
        match Handover::<T>::get() {
            Some(change) => {
                let (set, number) = (current.checked_sub(1)?, change.number);
                change.hash.map(|hash| Wanted::Handover { set, number, hash })
            },
            None => T::Snapshots::waiting().map(|number| Wanted::Snapshot { set: current, number }),
        }
    }

    pub(crate) fn rules() -> Result<Rules, Error<T>> {
        T::Rules::get().ok_or(Error::<T>::NoParameters)
    }

    pub(crate) fn block_number() -> BlockNumber {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    pub(crate) fn genesis_hash() -> Hash {
        Self::hash_of(0)
    }

    /// The hash of a block of this chain; of zeros, where it is not known any more.
    pub(crate) fn hash_of(number: BlockNumber) -> Hash {
        frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::from(number))
    }
}
