//! # Registry
//!
//! Who takes part in measurement: providers, who are measured, and challengers, who measure.
//!
//! ## Overview
//!
//! Everybody has a bond, an identity (the key that its agent signs with) and, while it can be drawn, a slot: a number. Whatever
//! decides a draw acts from the next epoch on, and the epochs before this one, this one and the next are known
//! ([`weir_primitives::versions`]), so that anybody can draw again what was drawn.
//!
//! | | provider | challenger |
//! | --- | --- | --- |
//! | bond | a fixed sum, and a rate for each declared Mbit/s | a fixed sum |
//! | joins | in the next epoch, a bounded number in each | at once in test networks, else by lot among those who wait |
//! | changes | declared capacity, mining author, identity | endpoints, identity; pauses |
//! | is put out | when it left, proved nothing for long, or was slashed | when it left, was jailed, or was slashed |
//!
//! ## Invariants
//!
//! - what is held for a role = the bonds (and what is to be given back of them) of all in that role;
//! - each sum of an epoch = the sum over the slots that are active in it;
//! - each active account has one slot, each slot one account at a time, each identity one account;
//! - a slot is given again only when the last epoch of who had it has been evaluated.

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

pub mod adoption;
#[cfg(feature = "runtime-benchmarks")]
#[allow(clippy::arithmetic_side_effects, reason = "of benchmarks")]
pub mod benchmarking;
pub mod challengers;
mod identities;
#[cfg(test)]
mod mock;
mod participants;
mod providers;
pub mod slashing;
mod slots;
#[cfg(test)]
mod tests;
#[cfg(any(feature = "try-runtime", test))]
mod try_state;
pub mod types;
pub mod weights;

use alloc::vec::Vec;
use frame_support::{
    pallet_prelude::*,
    traits::{
        fungible::{Inspect, Mutate, MutateHold},
        EnsureOrigin, Get,
    },
};
use frame_system::pallet_prelude::*;
pub use pallet::*;
use sp_core::ed25519;
use sp_runtime::{Perbill, SaturatedConversion};
use types::{Challenger, ChallengerSlot, Owner, Provider, ProviderSlot, Role, Table};
use weights::WeightInfo;
use weir_primitives::{
    interfaces::{Epochs, HasRoom, OnGuaranteed},
    measurement::{
        lottery::groups::{Family, Prefix},
        Endpoints, PeerKey,
    },
    registry::Registry,
    versions::Versions,
    AccountId, Balance, BlockNumber, EpochIndex, Hash,
};

/// The first and the next number of a queue whose entries are stored by number.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Queue {
    /// The number of the oldest entry.
    pub begin: u32,
    /// The number of the next entry.
    pub end: u32,
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
    {
        /// Holds the bonds, and burns what is slashed.
        type Currency: Inspect<AccountId, Balance = Balance>
            + Mutate<AccountId>
            + MutateHold<AccountId, Reason = Self::RuntimeHoldReason>;
        /// The runtime's reasons for holds.
        type RuntimeHoldReason: From<HoldReason>;
        /// The parameters of the registry.
        type Rules: Get<Option<Registry>>;
        /// What the first challenge of a provider must be able to show at the most, in bits per second.
        type GrowthStep: Get<u64>;
        /// The most that a provider can declare, in bits per second.
        type MostDeclared: Get<u64>;
        /// Knows the epochs.
        type Epochs: Epochs;
        /// Whether what is wanted of challengers and blocks can be served.
        type HasRoom: HasRoom;
        /// Is told what guaranteed bandwidth counts for whom.
        type OnGuaranteed: OnGuaranteed;
        /// Who may slash for other reasons than a proof.
        type SlashOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// How many challengers are admitted in one block at the most.
        #[pallet::constant]
        type MaxAdmitted: Get<u32>;
        /// What calls and hooks cost.
        type WeightInfo: WeightInfo;
    }

    /// Why funds are held.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// The bond of a provider.
        #[codec(index = 0)]
        Provider,
        /// The bond of a challenger.
        #[codec(index = 1)]
        Challenger,
    }

    /// The accounts that are providers, or have something bonded as such.
    #[pallet::storage]
    pub type Providers<T> = StorageMap<_, Blake2_128Concat, AccountId, Provider, OptionQuery>;

    /// The accounts that are challengers, or have something bonded as such.
    #[pallet::storage]
    pub type Challengers<T> = StorageMap<_, Blake2_128Concat, AccountId, Challenger, OptionQuery>;

    /// The slots of providers.
    #[pallet::storage]
    pub type ProviderSlots<T> = StorageMap<_, Twox64Concat, u32, ProviderSlot, OptionQuery>;

    /// The slots of challengers.
    #[pallet::storage]
    pub type ChallengerSlots<T> = StorageMap<_, Twox64Concat, u32, ChallengerSlot, OptionQuery>;

    /// How many slots there are of each role, and which became free.
    #[pallet::storage]
    pub type Tables<T> = StorageMap<_, Twox64Concat, Role, Table, ValueQuery>;

    /// The slots that became free, in that order, each with the first epoch in which it can be given again.
    #[pallet::storage]
    pub type FreedSlots<T> = StorageDoubleMap<_, Twox64Concat, Role, Twox64Concat, u32, (u32, EpochIndex), OptionQuery>;

    /// Whose each identity is.
    #[pallet::storage]
    pub type Identities<T> = StorageMap<_, Blake2_128Concat, PeerKey, Owner, OptionQuery>;

    /// What adds up over all slots.
    #[pallet::storage]
    pub type Sums<T> = StorageValue<_, types::Sums, ValueQuery>;

    /// What the challenges of the providers behind each prefix must be able to show together, in bits per second.
    #[pallet::storage]
    pub type PrefixSums<T> = StorageMap<_, Blake2_128Concat, Prefix, Versions<u128>, OptionQuery>;

    /// Prefixes that nobody is behind any more, in the order in which they were left, each with the first epoch of that.
    #[pallet::storage]
    pub type EmptyPrefixes<T> = StorageMap<_, Twox64Concat, u32, (Prefix, EpochIndex), OptionQuery>;

    /// Which of [`EmptyPrefixes`] there are.
    #[pallet::storage]
    pub type ZeroedPrefixes<T> = StorageValue<_, Queue, ValueQuery>;

    /// An epoch, and how many providers join in it.
    #[pallet::storage]
    pub type Joining<T> = StorageValue<_, (EpochIndex, u32), ValueQuery>;

    /// The challengers that wait to be admitted, without gaps.
    #[pallet::storage]
    pub type Waiting<T> = StorageMap<_, Twox64Concat, u32, AccountId, OptionQuery>;

    /// How many challengers wait.
    #[pallet::storage]
    pub type WaitingCount<T> = StorageValue<_, u32, ValueQuery>;

    /// What part of a challenger the last epoch was short of admitting, in 256ths.
    #[pallet::storage]
    pub type AdmissionCarried<T> = StorageValue<_, u32, ValueQuery>;

    /// How many of the challengers that are active are so since each epoch, where they are juniors still.
    #[pallet::storage]
    pub type JuniorsFrom<T> = StorageMap<_, Twox64Concat, EpochIndex, u32, ValueQuery>;

    /// An epoch, and how many challengers come back in it.
    #[pallet::storage]
    pub type Returning<T> = StorageValue<_, (EpochIndex, u32), ValueQuery>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A provider joins.
        ProviderJoined {
            /// The account of the provider.
            provider: AccountId,
            /// Its slot.
            slot: u32,
            /// The first epoch in which it is drawn.
            from: EpochIndex,
            /// The declared capacity, in bits per second.
            declared: u64,
            /// The bond that is held.
            bond: Balance,
            /// The address family over which it is measured.
            family: Family,
            /// The identity of its agent.
            identity: PeerKey,
            /// The author whose blocks it boosts.
            mining_author: Option<AccountId>,
        },
        /// A provider declares another capacity from the next epoch on, with this bond.
        DeclaredSet {
            /// The account of the provider.
            provider: AccountId,
            /// The declared capacity, in bits per second.
            declared: u64,
            /// The bond that is held.
            bond: Balance,
        },
        /// A provider names another author, or none, from the next epoch on.
        MiningAuthorSet {
            /// The account of the provider.
            provider: AccountId,
            /// The author whose blocks the provider boosts.
            author: Option<AccountId>,
        },
        /// A challenger waits to be admitted.
        ChallengerWaits {
            /// The account of the challenger.
            challenger: AccountId,
            /// The bond that is held.
            bond: Balance,
            /// The amount that was burned.
            burned: Balance,
        },
        /// A challenger is drawn from an epoch on.
        ChallengerActive {
            /// The account of the challenger.
            challenger: AccountId,
            /// Its slot.
            slot: u32,
            /// The first epoch in which it is drawn.
            from: EpochIndex,
            /// The identity of its agent.
            identity: PeerKey,
            /// Where provers reach it.
            endpoints: Endpoints,
        },
        /// A challenger is reached elsewhere from the next epoch on.
        EndpointsSet {
            /// The account of the challenger.
            challenger: AccountId,
            /// Where provers reach it then.
            endpoints: Endpoints,
        },
        /// A challenger is not drawn from the next epoch on.
        Paused {
            /// The account of the challenger.
            challenger: AccountId,
        },
        /// A challenger missed too much, and is not drawn before an epoch.
        Jailed {
            /// The account of the challenger.
            challenger: AccountId,
            /// The first epoch in which it can be drawn again.
            until: EpochIndex,
        },
        /// An account acts through another identity from the next epoch on.
        IdentityChanged {
            /// The account.
            account: AccountId,
            /// As what.
            role: Role,
            /// The identity.
            identity: PeerKey,
        },
        /// An account is not drawn from the next epoch on; its bond can be taken back from a block on.
        Left {
            /// The account.
            account: AccountId,
            /// As what.
            role: Role,
            /// The block from which on the bond can be taken back.
            until: BlockNumber,
        },
        /// A provider has proven nothing for too long, and was made to leave.
        Evicted {
            /// The account of the provider.
            provider: AccountId,
        },
        /// A bond, or a part of one, was given back.
        PaidBack {
            /// The account.
            account: AccountId,
            /// As what.
            role: Role,
            /// The amount that was released.
            amount: Balance,
        },
        /// A bond, or a part of one, was taken: burned, and given to who showed why.
        Slashed {
            /// The account.
            account: AccountId,
            /// As what.
            role: Role,
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
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The chain has no parameters.
        NoParameters,
        /// The account is registered already.
        AlreadyRegistered,
        /// The account is not registered.
        NotRegistered,
        /// The account is leaving.
        Leaving,
        /// The challenger is not drawn at present.
        NotActive,
        /// The challenger is in jail, or in draws, still.
        NotYet,
        /// The account had too many identities lately.
        TooManyIdentities,
        /// The declared capacity is below one Mbit/s.
        DeclaredTooLittle,
        /// The declared capacity is more than a committee can show.
        DeclaredTooMuch,
        /// There is no endpoint of IPv4, one that is no address of a control stream, or two of one address family.
        BadEndpoint,
        /// There is no endpoint of IPv6, without which nobody is a challenger on this chain.
        OneFamilyMissing,
        /// The identity acts for another account, or did lately.
        IdentityTaken,
        /// The signature is not the identity's.
        BadSignature,
        /// No more can join, or come back, in the next epoch. Try again in the one after.
        TooManyJoin,
        /// There are not enough challengers, or blocks, to measure more. Try again later.
        NoRoom,
        /// It is so already.
        NothingChanges,
        /// The bond is still held.
        StillBonded,
    }

    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// The first challengers, who are seniors: account, identity, endpoints.
        pub challengers: Vec<(AccountId, PeerKey, Vec<Vec<u8>>)>,
        #[serde(skip)]
        #[doc(hidden)]
        pub _config: PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            for (account, identity, endpoints) in &self.challengers {
                let endpoints: Result<Vec<_>, _> = endpoints.iter().cloned().map(BoundedVec::try_from).collect();
                let endpoints = endpoints.ok().and_then(|endpoints| Endpoints::try_from(endpoints).ok());
                let added = endpoints
                    .ok_or(Error::<T>::BadEndpoint.into())
                    .and_then(|it| Pallet::<T>::add_genesis_challenger(account.clone(), *identity, it));
                assert!(added.is_ok(), "a challenger of genesis cannot be added: {account:?}: {added:?}");
            }
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call(weight = <T as Config>::WeightInfo)]
    impl<T: Config> Pallet<T> {
        /// Makes the sender a provider from the next epoch on, and holds its bond. `proof` is the signature of `identity`, the key
        /// of its agent, over [`weir_primitives::measurement::peer_payload`]. Followed by [`Event::ProviderJoined`].
        #[pallet::call_index(0)]
        pub fn register_provider(
            origin: OriginFor<T>,
            declared_bits_per_second: u64,
            family: Family,
            identity: PeerKey,
            proof: ed25519::Signature,
            mining_author: Option<AccountId>,
        ) -> DispatchResult {
            let account = ensure_signed(origin)?;
            Self::claim_identity(&account, Role::Provider, identity, &proof)?;
            Self::add_provider(account, identity, declared_bits_per_second, family, mining_author)
        }

        /// Makes the sender a challenger, and holds its bond. Where admission is slow, it waits for its lot, and burns the fee.
        /// Followed by [`Event::ChallengerActive`] or [`Event::ChallengerWaits`].
        #[pallet::call_index(1)]
        pub fn register_challenger(
            origin: OriginFor<T>,
            identity: PeerKey,
            proof: ed25519::Signature,
            endpoints: Endpoints,
        ) -> DispatchResult {
            let account = ensure_signed(origin)?;
            Self::claim_identity(&account, Role::Challenger, identity, &proof)?;
            Self::add_challenger(account, identity, endpoints)
        }

        /// Declares another capacity. What the bond is larger is held at once; what it is smaller can be taken back after the
        /// unbonding time. Followed by [`Event::DeclaredSet`].
        #[pallet::call_index(2)]
        pub fn set_declared(origin: OriginFor<T>, declared_bits_per_second: u64) -> DispatchResult {
            Self::change_declared(&ensure_signed(origin)?, declared_bits_per_second)
        }

        /// Names the author whose blocks the sender, a provider, boosts. Followed by [`Event::MiningAuthorSet`].
        #[pallet::call_index(3)]
        pub fn set_mining_author(origin: OriginFor<T>, author: Option<AccountId>) -> DispatchResult {
            let provider = ensure_signed(origin)?;
            let registered = Providers::<T>::get(&provider).ok_or(Error::<T>::NotRegistered)?;
            let slot = registered.slot.ok_or(Error::<T>::Leaving)?;
            Self::change_provider(slot, |entry, next| entry.mining_author.set(next, author.clone()));
            Self::deposit_event(Event::MiningAuthorSet { provider, author });
            Ok(())
        }

        /// Sets where the sender, a challenger, is reached: one endpoint of each address family that it serves. Followed by
        /// [`Event::EndpointsSet`].
        #[pallet::call_index(4)]
        pub fn set_endpoints(origin: OriginFor<T>, endpoints: Endpoints) -> DispatchResult {
            Self::change_endpoints(&ensure_signed(origin)?, endpoints)
        }

        /// Announces that the sender, a challenger, is not to be drawn. Free of any blame. Followed by [`Event::Paused`].
        #[pallet::call_index(5)]
        pub fn pause(origin: OriginFor<T>) -> DispatchResult {
            Self::pause_challenger(&ensure_signed(origin)?)
        }

        /// Ends a pause, or a time in jail that is over: the sender is drawn again, as a junior. Followed by
        /// [`Event::ChallengerActive`].
        #[pallet::call_index(6)]
        pub fn come_back(origin: OriginFor<T>) -> DispatchResult {
            Self::return_challenger(&ensure_signed(origin)?)
        }

        /// Gives the sender another identity. The old one answers for what it signed until the unbonding time is over. Followed by
        /// [`Event::IdentityChanged`].
        #[pallet::call_index(7)]
        pub fn set_identity(
            origin: OriginFor<T>,
            role: Role,
            identity: PeerKey,
            proof: ed25519::Signature,
        ) -> DispatchResult {
            let account = ensure_signed(origin)?;
            Self::change_identity(&account, role, identity, &proof)?;
            Self::deposit_event(Event::IdentityChanged { account, role, identity });
            Ok(())
        }

        /// Takes the sender out of draws. Followed by [`Event::Left`].
        #[pallet::call_index(8)]
        pub fn leave(origin: OriginFor<T>, role: Role) -> DispatchResult {
            let account = ensure_signed(origin)?;
            match role {
                Role::Provider => Self::retire_provider(&account),
                Role::Challenger => Self::retire_challenger(&account),
            }
        }

        /// Gives back what is due of a bond. Anyone may, for anyone. Followed by [`Event::PaidBack`].
        #[pallet::call_index(9)]
        pub fn withdraw(origin: OriginFor<T>, account: AccountId, role: Role) -> DispatchResult {
            ensure_signed(origin)?;
            let amount = match role {
                Role::Provider => Self::pay_back_provider(&account)?,
                Role::Challenger => Self::pay_back_challenger(&account)?,
            };
            Self::deposit_event(Event::PaidBack { account, role, amount });
            Ok(())
        }

        /// Takes a part of a bond for a reason that everybody can read, and whose it is out of draws. For governance. Followed by
        /// [`Event::Slashed`] and [`Event::SlashedFor`].
        #[pallet::call_index(10)]
        pub fn slash(
            origin: OriginFor<T>,
            account: AccountId,
            role: Role,
            part: Perbill,
            reason: BoundedVec<u8, ConstU32<MAX_REASON_BYTES>>,
        ) -> DispatchResult {
            T::SlashOrigin::ensure_origin(origin)?;
            Self::take_bond(&account, role, part, None)?;
            Self::deposit_event(Event::SlashedFor { account, reason });
            Ok(())
        }
    }
}

/// How long the reason for a slash can be.
pub const MAX_REASON_BYTES: u32 = 512;

impl<T: Config> Pallet<T> {
    fn rules() -> Result<Registry, Error<T>> {
        T::Rules::get().ok_or(Error::<T>::NoParameters)
    }

    fn epoch() -> EpochIndex {
        // Right in the first block of an epoch too, whoever is told of it first.
        T::Epochs::index_at(Self::block_number())
    }

    fn block_number() -> BlockNumber {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    fn genesis_hash() -> Hash {
        frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::from(0u32))
    }

    /// The block from which on a bond that is leaving now can be taken back: never before what its owner is still drawn for was evaluated.
    fn unbonded_at() -> Result<BlockNumber, Error<T>> {
        let epoch = T::Epochs::current();
        let evaluated = epoch.end().saturating_add(epoch.blocks.saturating_mul(2));
        Ok(Self::block_number().saturating_add(Self::rules()?.unbonding_blocks).max(evaluated))
    }
}
