//! # Bandwidth
//!
//! Providers, challengers, challenges, reports and guaranteed bandwidth.
//!
//! ## Overview
//!
//! Once per epoch every provider is challenged by a committee of challengers that send to it all at one instant. Each of
//! them reports how much the provider proved to have received, and by when. When the deadline of the challenge has passed,
//! the pallet computes from the reports what was proven ([`weir_primitives::measurement::estimator`]), and from the last
//! results the guaranteed bandwidth, which is what a provider is paid for and what boosts the blocks of its mining author.
//!
//! ## The course of an epoch
//!
//! | block | what happens |
//! | --- | --- |
//! | first of epoch e−1 | the sets of providers and challengers of epoch e are frozen |
//! | third after it | the seed of epoch e is made from the hashes of the two blocks between |
//! | first of epoch e | challenges get their instants; the snapshot of guaranteed bandwidth is handed on ([`Config::OnEpoch`]) |
//! | first past a challenge's deadline | its reports are evaluated |
//!
//! ## Terms
//!
//! - *Position*: the place of a provider in the order that the seed gives the epoch. Instant and committee follow from it.
//! - *Identity*: the Ed25519 key of an agent, which signs its reports and is its libp2p peer. It holds no funds.
//!
//! ## Beware
//!
//! A measurement says what the answering endpoint can do, wherever it is. Nothing here gets Sybil resistance from
//! measuring: that comes from the bonds and the draw. Only the direction towards the provider is measured.

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
mod benchmarking;
pub mod migrations;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;
mod types;
pub mod weights;

use alloc::vec::Vec;
use frame_support::{
    migrations::MultiStepMigrator,
    pallet_prelude::*,
    traits::{
        fungible::{Inspect, MutateHold},
        tokens::Precision,
        Get,
    },
};
use frame_system::pallet_prelude::*;
pub use pallet::*;
use sp_core::ed25519;
use sp_runtime::SaturatedConversion;
pub use types::{Challenger, Plan, Provider};
use weights::WeightInfo;
use weir_primitives::{
    interfaces::{CurrentBlock, Epochs, MeasuredProvider, OnEpoch},
    measurement::{
        draw,
        endpoint::{self, Service},
        estimator::{proven_bits_per_second, raw_bits_per_second, Limits, Sample},
        peer_payload, report_payload, Duty, Endpoints, Outcome, PeerKey, Report, Role,
    },
    parameters::{Measurement, Parameters, MAX_COMMITTEE},
    runtime_api::{ChallengerStatus, ProviderStatus},
    AccountId, Balance, BlockNumber, Epoch, EpochIndex, Hash, UnixMilliseconds,
};

const BITS_PER_MBIT: u64 = 1_000_000;

/// The most epochs whose challenges can wait for their evaluation at one time.
const MAX_OPEN_EPOCHS: u32 = 8;

#[allow(clippy::expect_used, reason = "the macros of FRAME write it")]
#[frame_support::pallet]
pub mod pallet {
    use super::*;

    /// The version of the storage. Older ones are brought to it by [`crate::migrations`].
    pub(crate) const STORAGE_VERSION: StorageVersion = StorageVersion::new(3);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config:
        frame_system::Config<AccountId = AccountId, Hash = Hash, RuntimeEvent: From<Event<Self>>>
    {
        /// Holds the bonds.
        type Currency: Inspect<AccountId, Balance = Balance> + MutateHold<AccountId, Reason = Self::RuntimeHoldReason>;
        /// The runtime's reasons for holds.
        type RuntimeHoldReason: From<HoldReason>;
        /// The parameters of the chain.
        type Parameters: Get<Option<Parameters>>;
        /// The timestamp of the current block.
        type CurrentBlock: CurrentBlock;
        /// Is handed the snapshot of guaranteed bandwidth.
        type OnEpoch: OnEpoch;
        /// The most providers there can be. Bounds the work of the first block of an epoch.
        #[pallet::constant]
        type MaxProviders: Get<u32>;
        /// The most challengers there can be.
        #[pallet::constant]
        type MaxChallengers: Get<u32>;
        /// How many challenges are evaluated in one block at the most.
        #[pallet::constant]
        type MaxEvaluations: Get<u32>;
        /// What calls and hooks cost.
        type WeightInfo: WeightInfo;
    }

    /// Why funds are held.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// The bond of a provider for its declared capacity.
        #[codec(index = 0)]
        ProviderBond,
        /// The bond of a challenger.
        #[codec(index = 1)]
        ChallengerBond,
    }

    /// The providers. Each holds its bond.
    #[pallet::storage]
    pub type Providers<T> = CountedStorageMap<_, Blake2_128Concat, AccountId, Provider, OptionQuery>;

    /// The challengers. Each holds its bond.
    #[pallet::storage]
    pub type Challengers<T> = CountedStorageMap<_, Blake2_128Concat, AccountId, Challenger, OptionQuery>;

    /// The account of each identity. No two accounts share one.
    #[pallet::storage]
    pub type Peers<T> = StorageMap<_, Blake2_128Concat, PeerKey, AccountId, OptionQuery>;

    /// The epoch of the current block. None in genesis.
    #[pallet::storage]
    pub type CurrentEpoch<T> = StorageValue<_, Epoch, OptionQuery>;

    /// The timestamp of the last block that took no reports, since a migration was under way.
    #[pallet::storage]
    pub type LastWithoutReports<T> = StorageValue<_, UnixMilliseconds, ValueQuery>;

    /// What is planned for an epoch, until its last challenge has been evaluated.
    #[pallet::storage]
    pub type Plans<T> = StorageMap<_, Twox64Concat, EpochIndex, Plan, OptionQuery>;

    /// The providers of a planned epoch: in order of account until there is a seed, then in the order of the epoch.
    #[pallet::storage]
    pub type PlannedProviders<T: Config> =
        StorageMap<_, Twox64Concat, EpochIndex, BoundedVec<AccountId, T::MaxProviders>, ValueQuery>;

    /// The challengers of a planned epoch, in order of account.
    #[pallet::storage]
    pub type PlannedChallengers<T: Config> =
        StorageMap<_, Twox64Concat, EpochIndex, BoundedVec<AccountId, T::MaxChallengers>, ValueQuery>;

    /// The epochs that have begun and have challenges to evaluate, in their order.
    #[pallet::storage]
    pub type OpenEpochs<T> = StorageValue<_, BoundedVec<EpochIndex, ConstU32<MAX_OPEN_EPOCHS>>, ValueQuery>;

    /// The reports for a challenge, by epoch and position, one per member of the committee at the most.
    #[pallet::storage]
    pub type Reports<T> = StorageDoubleMap<
        _,
        Twox64Concat,
        EpochIndex,
        Twox64Concat,
        u32,
        BoundedVec<(AccountId, Report), ConstU32<MAX_COMMITTEE>>,
        ValueQuery,
    >;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A provider registered.
        ProviderRegistered {
            /// The account of the provider.
            provider: AccountId,
            /// The declared capacity.
            declared_bits_per_second: u64,
            /// The bond that is held.
            bond: Balance,
        },
        /// A challenger registered.
        ChallengerRegistered {
            /// The account of the challenger.
            challenger: AccountId,
            /// The bond that is held.
            bond: Balance,
        },
        /// A provider or challenger changed where it can be reached.
        EndpointsSet {
            /// The account of the provider or challenger.
            account: AccountId,
        },
        /// A provider named another author, or none.
        MiningAuthorSet {
            /// The account of the provider.
            provider: AccountId,
            /// The author whose blocks the provider boosts from the next snapshot on.
            author: Option<AccountId>,
        },
        /// A provider or challenger will not be drawn any more.
        Leaving {
            /// The account that is leaving.
            account: AccountId,
            /// The block from which on the bond can be taken back.
            from: BlockNumber,
        },
        /// A bond was given back.
        Left {
            /// The account that got its bond back.
            account: AccountId,
            /// The bond that was released.
            bond: Balance,
        },
        /// The challenges of an epoch have their instants.
        EpochStarted {
            /// The epoch.
            epoch: EpochIndex,
            /// How many blocks it has.
            blocks: BlockNumber,
            /// The timestamp of the epoch's first block.
            start: UnixMilliseconds,
            /// How many providers are challenged in the epoch.
            providers: u32,
            /// How many challengers the committees are drawn from.
            challengers: u32,
        },
        /// A report was taken.
        Reported {
            /// The epoch of the challenge.
            epoch: EpochIndex,
            /// The provider that was measured.
            provider: AccountId,
            /// The challenger that measured.
            challenger: AccountId,
            /// What the challenger reported; the bytes are clipped to the challenge's budget.
            report: Report,
        },
        /// A challenge was evaluated.
        Measured {
            /// The provider that was measured.
            provider: AccountId,
            /// The outcome of the challenge.
            outcome: Outcome,
            /// The guaranteed bandwidth before the challenge.
            was_bits_per_second: u64,
            /// The guaranteed bandwidth after the challenge.
            guaranteed_bits_per_second: u64,
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
        /// There is no room for more of them.
        TooMany,
        /// The declared capacity is below one Mbit/s.
        DeclaredTooLittle,
        /// There is no endpoint, or one that is not an address of the right kind.
        BadEndpoint,
        /// The identity acts for another account.
        IdentityTaken,
        /// The signature is not the identity's.
        BadSignature,
        /// The account is leaving.
        AlreadyLeaving,
        /// The bond is still held.
        StillBonded,
        /// There is no such challenge, or it is evaluated already.
        NoSuchChallenge,
        /// The challenge has not begun, or takes no more reports.
        NotTheTime,
        /// The challenger is not in the committee.
        NotInCommittee,
        /// The challenger reported already.
        AlreadyReported,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(number: BlockNumberFor<T>) -> Weight {
            let Some(parameters) = T::Parameters::get() else { return T::DbWeight::get().reads(1) };
            let number: BlockNumber = number.saturated_into();
            let epoch = Self::epoch_of_last_block(&parameters);
            if !CurrentEpoch::<T>::exists() {
                CurrentEpoch::<T>::put(epoch);
            }
            if <T as frame_system::Config>::MultiBlockMigrator::ongoing() {
                LastWithoutReports::<T>::put(T::CurrentBlock::timestamp());
            }
            let mut weight = T::WeightInfo::on_initialize();
            if number == epoch.first.saturating_add(3) {
                Self::set_seed(epoch.index.saturating_add(1), epoch.first);
                weight = weight.saturating_add(T::WeightInfo::set_seed());
            }
            if number >= epoch.end() {
                let epoch = epoch.next(parameters.measurement.epoch_blocks);
                CurrentEpoch::<T>::put(epoch);
                Self::start_epoch(epoch);
                weight = weight.saturating_add(T::WeightInfo::start_epoch());
            }
            let evaluated = Self::evaluate_due(&parameters);
            weight.saturating_add(T::WeightInfo::evaluate(evaluated))
        }

        fn integrity_test() {
            assert!(T::MaxEvaluations::get() > 0, "challenges are never evaluated");
            assert!(T::MaxChallengers::get() >= MAX_COMMITTEE, "the largest committee cannot be drawn");
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call(weight = <T as Config>::WeightInfo)]
    impl<T: Config> Pallet<T> {
        /// Registers the sender as a provider, and holds its bond.
        ///
        /// `peer` is the identity of its agent, and `proof` that key's signature over
        /// [`weir_primitives::measurement::peer_payload`]. `endpoints` are where it is measured. Followed by
        /// [`Event::ProviderRegistered`].
        #[pallet::call_index(0)]
        pub fn register_provider(
            origin: OriginFor<T>,
            declared_bits_per_second: u64,
            peer: PeerKey,
            proof: ed25519::Signature,
            endpoints: Endpoints,
            mining_author: Option<AccountId>,
        ) -> DispatchResult {
            let provider = ensure_signed(origin)?;
            let measurement = Self::measurement()?;
            ensure!(!Providers::<T>::contains_key(&provider), Error::<T>::AlreadyRegistered);
            ensure!(Providers::<T>::count() < T::MaxProviders::get(), Error::<T>::TooMany);
            ensure!(declared_bits_per_second >= BITS_PER_MBIT, Error::<T>::DeclaredTooLittle);
            Self::check_endpoints(&endpoints, Service::Probe)?;
            Self::claim_peer(&provider, peer, &proof)?;

            let mbits = Balance::from(declared_bits_per_second.div_ceil(BITS_PER_MBIT));
            let bond = measurement.bond_per_mbit.saturating_mul(mbits);
            T::Currency::hold(&HoldReason::ProviderBond.into(), &provider, bond)?;
            Providers::<T>::insert(
                &provider,
                Provider {
                    declared_bits_per_second,
                    bond,
                    peer,
                    endpoints,
                    mining_author,
                    results: BoundedVec::new(),
                    guaranteed_bits_per_second: 0,
                    last: None,
                    leaving: None,
                },
            );
            Self::deposit_event(Event::ProviderRegistered { provider, declared_bits_per_second, bond });
            Ok(())
        }

        /// Registers the sender as a challenger, and holds its bond.
        ///
        /// As [`Pallet::register_provider`], but `endpoints` are where provers reach its control streams. Followed by
        /// [`Event::ChallengerRegistered`].
        #[pallet::call_index(1)]
        pub fn register_challenger(
            origin: OriginFor<T>,
            peer: PeerKey,
            proof: ed25519::Signature,
            endpoints: Endpoints,
        ) -> DispatchResult {
            let challenger = ensure_signed(origin)?;
            let bond = Self::measurement()?.challenger_bond;
            ensure!(!Challengers::<T>::contains_key(&challenger), Error::<T>::AlreadyRegistered);
            ensure!(Challengers::<T>::count() < T::MaxChallengers::get(), Error::<T>::TooMany);
            Self::check_endpoints(&endpoints, Service::Control)?;
            Self::claim_peer(&challenger, peer, &proof)?;

            T::Currency::hold(&HoldReason::ChallengerBond.into(), &challenger, bond)?;
            Challengers::<T>::insert(&challenger, Challenger { bond, peer, endpoints, reports: 0, leaving: None });
            Self::deposit_event(Event::ChallengerRegistered { challenger, bond });
            Ok(())
        }

        /// Changes where the sender, a provider, is measured. Followed by [`Event::EndpointsSet`].
        #[pallet::call_index(2)]
        pub fn set_provider_endpoints(origin: OriginFor<T>, endpoints: Endpoints) -> DispatchResult {
            let account = ensure_signed(origin)?;
            Self::check_endpoints(&endpoints, Service::Probe)?;
            Self::change_provider(&account, |provider| provider.endpoints = endpoints)?;
            Self::deposit_event(Event::EndpointsSet { account });
            Ok(())
        }

        /// Changes where the sender, a challenger, is reached. Followed by [`Event::EndpointsSet`].
        #[pallet::call_index(3)]
        pub fn set_challenger_endpoints(origin: OriginFor<T>, endpoints: Endpoints) -> DispatchResult {
            let account = ensure_signed(origin)?;
            Self::check_endpoints(&endpoints, Service::Control)?;
            Challengers::<T>::try_mutate(&account, |challenger| {
                challenger.as_mut().ok_or(Error::<T>::NotRegistered)?.endpoints = endpoints;
                Ok::<_, Error<T>>(())
            })?;
            Self::deposit_event(Event::EndpointsSet { account });
            Ok(())
        }

        /// Names the author whose blocks the sender, a provider, boosts from the next snapshot on. Followed by
        /// [`Event::MiningAuthorSet`].
        #[pallet::call_index(4)]
        pub fn set_mining_author(origin: OriginFor<T>, author: Option<AccountId>) -> DispatchResult {
            let provider = ensure_signed(origin)?;
            Self::change_provider(&provider, |registered| registered.mining_author.clone_from(&author))?;
            Self::deposit_event(Event::MiningAuthorSet { provider, author });
            Ok(())
        }

        /// Takes the sender out of the next draws, as the provider it is. Its bond is held on for the unbonding time.
        /// Followed by [`Event::Leaving`].
        #[pallet::call_index(5)]
        pub fn leave_as_provider(origin: OriginFor<T>) -> DispatchResult {
            let account = ensure_signed(origin)?;
            let from = Self::unbonded_from()?;
            Providers::<T>::try_mutate(&account, |provider| {
                let provider = provider.as_mut().ok_or(Error::<T>::NotRegistered)?;
                ensure!(provider.leaving.is_none(), Error::<T>::AlreadyLeaving);
                provider.leaving = Some(from);
                Ok::<_, Error<T>>(())
            })?;
            Self::deposit_event(Event::Leaving { account, from });
            Ok(())
        }

        /// Takes the sender out of the next draws, as the challenger it is. Its bond is held on for the unbonding time.
        /// Followed by [`Event::Leaving`].
        #[pallet::call_index(6)]
        pub fn leave_as_challenger(origin: OriginFor<T>) -> DispatchResult {
            let account = ensure_signed(origin)?;
            let from = Self::unbonded_from()?;
            Challengers::<T>::try_mutate(&account, |challenger| {
                let challenger = challenger.as_mut().ok_or(Error::<T>::NotRegistered)?;
                ensure!(challenger.leaving.is_none(), Error::<T>::AlreadyLeaving);
                challenger.leaving = Some(from);
                Ok::<_, Error<T>>(())
            })?;
            Self::deposit_event(Event::Leaving { account, from });
            Ok(())
        }

        /// Gives the sender the bond back of the provider that it was, when the unbonding time is over. Followed by
        /// [`Event::Left`].
        #[pallet::call_index(7)]
        pub fn withdraw_provider_bond(origin: OriginFor<T>) -> DispatchResult {
            let account = ensure_signed(origin)?;
            let provider = Providers::<T>::get(&account).ok_or(Error::<T>::NotRegistered)?;
            Self::ensure_unbonded(provider.leaving)?;
            T::Currency::release(&HoldReason::ProviderBond.into(), &account, provider.bond, Precision::Exact)?;
            Providers::<T>::remove(&account);
            Peers::<T>::remove(provider.peer);
            Self::deposit_event(Event::Left { account, bond: provider.bond });
            Ok(())
        }

        /// Gives the sender the bond back of the challenger that it was, when the unbonding time is over. Followed by
        /// [`Event::Left`].
        #[pallet::call_index(8)]
        pub fn withdraw_challenger_bond(origin: OriginFor<T>) -> DispatchResult {
            let account = ensure_signed(origin)?;
            let challenger = Challengers::<T>::get(&account).ok_or(Error::<T>::NotRegistered)?;
            Self::ensure_unbonded(challenger.leaving)?;
            T::Currency::release(&HoldReason::ChallengerBond.into(), &account, challenger.bond, Precision::Exact)?;
            Challengers::<T>::remove(&account);
            Peers::<T>::remove(challenger.peer);
            Self::deposit_event(Event::Left { account, bond: challenger.bond });
            Ok(())
        }

        /// Adds the report of a challenger. Anyone may, until the deadline of the challenge.
        ///
        /// `signature` is by the challenger's identity, over [`weir_primitives::measurement::report_payload`]. A report
        /// that is taken costs nothing. Operational, so that nobody can keep reports out by filling blocks with ordinary
        /// transactions until the deadline. Followed by [`Event::Reported`].
        #[pallet::call_index(9)]
        #[pallet::weight((T::WeightInfo::report(), DispatchClass::Operational))]
        pub fn report(
            origin: OriginFor<T>,
            epoch: EpochIndex,
            position: u32,
            challenger: AccountId,
            report: Report,
            signature: ed25519::Signature,
        ) -> DispatchResultWithPostInfo {
            ensure_signed(origin)?;
            Self::take_report(epoch, position, challenger, report, &signature)?;
            Ok(Pays::No.into())
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// What is known about a provider.
        pub fn provider(account: AccountId) -> Option<ProviderStatus> {
            Providers::<T>::get(account).map(Into::into)
        }

        /// What is known about a challenger.
        pub fn challenger(account: AccountId) -> Option<ChallengerStatus> {
            Challengers::<T>::get(account).map(Into::into)
        }

        /// All providers.
        pub fn providers() -> Vec<AccountId> {
            Providers::<T>::iter_keys().collect()
        }
    }
}

/// Registration.
impl<T: Config> Pallet<T> {
    fn parameters() -> Result<Parameters, Error<T>> {
        T::Parameters::get().ok_or(Error::<T>::NoParameters)
    }

    fn measurement() -> Result<Measurement, Error<T>> {
        Ok(Self::parameters()?.measurement)
    }

    fn genesis_hash() -> Hash {
        frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::default())
    }

    fn block_number() -> BlockNumber {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    fn unbonded_from() -> Result<BlockNumber, Error<T>> {
        Ok(Self::block_number().saturating_add(Self::measurement()?.unbonding_blocks))
    }

    fn ensure_unbonded(leaving: Option<BlockNumber>) -> Result<(), Error<T>> {
        ensure!(leaving.is_some_and(|from| Self::block_number() >= from), Error::<T>::StillBonded);
        Ok(())
    }

    fn check_endpoints(endpoints: &Endpoints, wanted: Service) -> Result<(), Error<T>> {
        let right = |bytes: &[u8]| endpoint::decode(bytes).is_some_and(|(_, service)| service == wanted);
        ensure!(!endpoints.is_empty() && endpoints.iter().all(|bytes| right(bytes)), Error::<T>::BadEndpoint);
        Ok(())
    }

    /// Binds an identity to an account, if the identity agrees and is free.
    fn claim_peer(account: &AccountId, peer: PeerKey, proof: &ed25519::Signature) -> Result<(), Error<T>> {
        let payload = peer_payload(Self::genesis_hash(), account);
        ensure!(sp_io::crypto::ed25519_verify(proof, &payload, &peer), Error::<T>::BadSignature);
        ensure!(!Peers::<T>::contains_key(peer), Error::<T>::IdentityTaken);
        Peers::<T>::insert(peer, account);
        Ok(())
    }

    fn change_provider(account: &AccountId, change: impl FnOnce(&mut Provider)) -> Result<(), Error<T>> {
        Providers::<T>::try_mutate(account, |provider| {
            change(provider.as_mut().ok_or(Error::<T>::NotRegistered)?);
            Ok(())
        })
    }
}

impl<T: Config> Epochs for Pallet<T> {
    fn index_at(number: BlockNumber) -> EpochIndex {
        T::Parameters::get().map_or(0, |parameters| Self::epoch_of_last_block(&parameters).index_at(number))
    }
}

/// The course of an epoch.
impl<T: Config> Pallet<T> {
    /// The epoch of the last block whose hooks ran: in those of another pallet, perhaps that of the parent.
    fn epoch_of_last_block(parameters: &Parameters) -> Epoch {
        CurrentEpoch::<T>::get().unwrap_or_else(|| Epoch::initial(parameters.measurement.epoch_blocks))
    }

    /// Makes the seed of the epoch after the one that began with block `first`, and puts its providers into their order.
    fn set_seed(epoch: EpochIndex, first: BlockNumber) {
        let Some(mut plan) = Plans::<T>::get(epoch) else { return };
        let hash = |offset| {
            frame_system::Pallet::<T>::block_hash(first.saturating_add(offset).saturated_into::<BlockNumberFor<T>>())
        };
        let seed = (b"weir:seed:v1", hash(1), hash(2)).using_encoded(sp_io::hashing::blake2_256);
        let providers = PlannedProviders::<T>::get(epoch);
        let ordered: Vec<AccountId> = draw::order(seed, plan.providers)
            .into_iter()
            .filter_map(|index| providers.get(usize::try_from(index).ok()?).cloned())
            .collect();
        PlannedProviders::<T>::insert(epoch, BoundedVec::truncate_from(ordered));
        plan.seed = Some(seed);
        Plans::<T>::insert(epoch, plan);
    }

    /// Hands on the snapshot, gives the epoch's challenges their instants, and freezes the sets of the next one.
    fn start_epoch(epoch: Epoch) {
        let mut measured = Vec::new();
        let mut providers = Vec::new();
        for (account, provider) in Providers::<T>::iter() {
            if provider.leaving.is_some() {
                continue;
            }
            providers.push(account.clone());
            if provider.guaranteed_bits_per_second > 0 {
                measured.push(MeasuredProvider {
                    account,
                    mining_author: provider.mining_author,
                    guaranteed_bits_per_second: provider.guaranteed_bits_per_second,
                });
            }
        }
        // In an order that does not depend on how the state is stored.
        measured.sort_unstable_by(|a, b| a.account.cmp(&b.account));
        T::OnEpoch::on_epoch(epoch, &measured);
        Self::open(epoch);
        Self::freeze(epoch.index.saturating_add(1), providers);
    }

    fn open(epoch: Epoch) {
        let Some(mut plan) = Plans::<T>::get(epoch.index) else { return };
        let start = T::CurrentBlock::timestamp();
        plan.start = Some((epoch, start));
        Plans::<T>::insert(epoch.index, plan);
        Self::deposit_event(Event::EpochStarted {
            epoch: epoch.index,
            blocks: epoch.blocks,
            start,
            providers: plan.providers,
            challengers: plan.challengers,
        });
        OpenEpochs::<T>::mutate(|open| {
            // Only if so many epochs passed before one deadline: the oldest challenges then count as never held.
            if open.is_full() {
                Self::close(open.remove(0));
            }
            open.force_push(epoch.index);
        });
    }

    fn freeze(epoch: EpochIndex, mut providers: Vec<AccountId>) {
        let mut challengers: Vec<AccountId> =
            Challengers::<T>::iter().filter(|(_, it)| it.leaving.is_none()).map(|(account, _)| account).collect();
        providers.sort_unstable();
        challengers.sort_unstable();
        let providers = BoundedVec::<_, T::MaxProviders>::truncate_from(providers);
        let challengers = BoundedVec::<_, T::MaxChallengers>::truncate_from(challengers);
        let count = |length| u32::try_from(length).unwrap_or(u32::MAX);
        Plans::<T>::insert(
            epoch,
            Plan {
                seed: None,
                start: None,
                providers: count(providers.len()),
                challengers: count(challengers.len()),
                evaluated: 0,
            },
        );
        PlannedProviders::<T>::insert(epoch, providers);
        PlannedChallengers::<T>::insert(epoch, challengers);
    }

    fn close(epoch: EpochIndex) {
        Plans::<T>::remove(epoch);
        PlannedProviders::<T>::remove(epoch);
        PlannedChallengers::<T>::remove(epoch);
        // At most one entry per provider.
        let _ = Reports::<T>::clear_prefix(epoch, T::MaxProviders::get(), None);
    }

    /// The start and the deadline of the challenge at a position.
    fn times(plan: &Plan, position: u32, parameters: &Parameters) -> Option<(UnixMilliseconds, UnixMilliseconds)> {
        let instant = draw::instant_of(position, plan.providers, parameters.measurement.instants);
        let (epoch, epoch_start) = plan.start?;
        let start = parameters.measurement.instant(epoch, epoch_start, instant, parameters.consensus.block_time);
        Some((start, start.saturating_add(parameters.measurement.report_deadline)))
    }

    /// The committee of the challenge at a position. The provider's own account is left out; another account of its
    /// owner is not.
    fn committee(
        plan: &Plan,
        position: u32,
        provider: &AccountId,
        challengers: &[AccountId],
        size: u32,
    ) -> Option<Vec<AccountId>> {
        let eligible: Vec<&AccountId> = challengers.iter().filter(|account| *account != provider).collect();
        let count = u32::try_from(eligible.len()).ok()?;
        let members = draw::committee(plan.seed?, position, count, size)?;
        members.into_iter().map(|index| eligible.get(usize::try_from(index).ok()?).map(|it| (*it).clone())).collect()
    }

    fn take_report(
        epoch: EpochIndex,
        position: u32,
        challenger: AccountId,
        mut report: Report,
        signature: &ed25519::Signature,
    ) -> DispatchResult {
        let parameters = Self::parameters()?;
        let plan = Plans::<T>::get(epoch).ok_or(Error::<T>::NoSuchChallenge)?;
        let provider = PlannedProviders::<T>::get(epoch)
            .get(usize::try_from(position).unwrap_or(usize::MAX))
            .cloned()
            .ok_or(Error::<T>::NoSuchChallenge)?;
        ensure!(position >= plan.evaluated, Error::<T>::NoSuchChallenge);
        let (start, deadline) = Self::times(&plan, position, &parameters).ok_or(Error::<T>::NotTheTime)?;
        let now = T::CurrentBlock::timestamp();
        ensure!(now >= start && now <= deadline, Error::<T>::NotTheTime);

        let challengers = PlannedChallengers::<T>::get(epoch);
        let committee = Self::committee(&plan, position, &provider, &challengers, parameters.measurement.committee)
            .ok_or(Error::<T>::NoSuchChallenge)?;
        ensure!(committee.contains(&challenger), Error::<T>::NotInCommittee);

        let peer = Challengers::<T>::get(&challenger).ok_or(Error::<T>::NotRegistered)?.peer;
        let payload = report_payload(Self::genesis_hash(), epoch, position, &provider, &challenger, &report);
        ensure!(sp_io::crypto::ed25519_verify(signature, &payload, &peer), Error::<T>::BadSignature);

        let declared = Providers::<T>::get(&provider).ok_or(Error::<T>::NoSuchChallenge)?.declared_bits_per_second;
        report.bytes = report.bytes.min(parameters.measurement.challenger_budget_bytes(declared));
        Reports::<T>::try_mutate(epoch, position, |reports| {
            ensure!(!reports.iter().any(|(account, _)| *account == challenger), Error::<T>::AlreadyReported);
            reports.try_push((challenger.clone(), report)).map_err(|_| Error::<T>::TooMany)
        })?;
        Challengers::<T>::mutate(&challenger, |it| {
            if let Some(it) = it {
                it.reports = it.reports.saturating_add(1);
            }
        });
        Self::deposit_event(Event::Reported { epoch, provider, challenger, report });
        Ok(())
    }

    /// Evaluates the challenges whose deadline has passed, in their order, and says how many it was.
    fn evaluate_due(parameters: &Parameters) -> u32 {
        let now = T::CurrentBlock::timestamp();
        let mut evaluated = 0u32;
        while evaluated < T::MaxEvaluations::get() {
            let Some(epoch) = OpenEpochs::<T>::get().first().copied() else { break };
            let Some(mut plan) = Plans::<T>::get(epoch) else { break };
            let providers = PlannedProviders::<T>::get(epoch);
            let challengers = PlannedChallengers::<T>::get(epoch);
            while evaluated < T::MaxEvaluations::get() {
                let position = plan.evaluated;
                let due = Self::times(&plan, position, parameters).is_some_and(|(_, deadline)| now > deadline);
                let provider = usize::try_from(position).ok().and_then(|index| providers.get(index));
                let Some(provider) = provider.filter(|_| due) else { break };
                Self::evaluate(epoch, &plan, provider, &challengers, parameters);
                plan.evaluated = position.saturating_add(1);
                evaluated = evaluated.saturating_add(1);
            }
            if plan.evaluated < plan.providers {
                Plans::<T>::insert(epoch, plan);
                break;
            }
            Self::close(epoch);
            OpenEpochs::<T>::mutate(|open| open.retain(|it| *it != epoch));
        }
        evaluated
    }

    /// Evaluates the next challenge of an epoch.
    fn evaluate(
        epoch: EpochIndex,
        plan: &Plan,
        account: &AccountId,
        challengers: &[AccountId],
        parameters: &Parameters,
    ) {
        let measurement = &parameters.measurement;
        let position = plan.evaluated;
        let reports = Reports::<T>::take(epoch, position);
        // With too few challengers there was no challenge, and the window stays as it is. So it does where reports were kept out.
        let has_committee = Self::committee(plan, position, account, challengers, measurement.committee).is_some();
        let start = Self::times(plan, position, parameters).map_or(0, |(start, _)| start);
        if !has_committee || LastWithoutReports::<T>::get() >= start {
            return;
        }
        let samples: Vec<Sample> = reports.iter().map(|(_, report)| Sample::from(*report)).collect();
        let limits = Limits {
            byzantine: measurement.byzantine,
            least_time_us: measurement.least_time_us,
            clock_tolerance_us: measurement.clock_tolerance_us,
        };
        let fit = |bits: u128| u64::try_from(bits).unwrap_or(u64::MAX);
        let proven_bits_per_second = fit(proven_bits_per_second(&samples, limits));
        Providers::<T>::mutate(account, |provider| {
            let Some(provider) = provider else { return };
            let was_bits_per_second = provider.guaranteed_bits_per_second;
            let growth = was_bits_per_second.saturating_mul(2).max(measurement.growth_step_bits_per_second);
            let outcome = Outcome {
                epoch,
                reports: u32::try_from(samples.len()).unwrap_or(u32::MAX),
                proven_bits_per_second,
                counted_bits_per_second: proven_bits_per_second.min(provider.declared_bits_per_second).min(growth),
                raw_bits_per_second: fit(raw_bits_per_second(&samples, limits)),
            };
            provider.add(outcome, measurement);
            Self::deposit_event(Event::Measured {
                provider: account.clone(),
                outcome,
                was_bits_per_second,
                guaranteed_bits_per_second: provider.guaranteed_bits_per_second,
            });
        });
    }

    /// The challenges of running epochs that concern an account and still take reports.
    pub fn duties(account: &AccountId) -> Vec<Duty> {
        let Some(parameters) = T::Parameters::get() else { return Vec::new() };
        OpenEpochs::<T>::get()
            .into_iter()
            .filter_map(|epoch| Plans::<T>::get(epoch).map(|plan| (epoch, plan)))
            .flat_map(|(epoch, plan)| Self::duties_in(account, epoch, &plan, &parameters))
            .collect()
    }

    fn duties_in(account: &AccountId, epoch: EpochIndex, plan: &Plan, parameters: &Parameters) -> Vec<Duty> {
        let measurement = &parameters.measurement;
        let challengers = PlannedChallengers::<T>::get(epoch);
        let now = T::CurrentBlock::timestamp();
        let duty = |(position, provider): (u32, AccountId)| {
            let (start, deadline) = Self::times(plan, position, parameters)?;
            let committee = Self::committee(plan, position, &provider, &challengers, measurement.committee)?;
            let role = if provider == *account {
                Role::Provider
            } else if committee.contains(account) {
                Role::Challenger
            } else {
                return None;
            };
            if position < plan.evaluated || now > deadline {
                return None;
            }
            let registered = Providers::<T>::get(&provider)?;
            Some(Duty {
                role,
                epoch,
                position,
                start,
                deadline,
                bits_per_second: measurement.challenger_bits_per_second(registered.declared_bits_per_second),
                budget_bytes: measurement.challenger_budget_bytes(registered.declared_bits_per_second),
                provider: (provider, registered.peer, registered.endpoints),
                committee: committee
                    .into_iter()
                    .filter_map(|member| Challengers::<T>::get(&member).map(|it| (member, it.peer, it.endpoints)))
                    .collect(),
            })
        };
        (0u32..).zip(PlannedProviders::<T>::get(epoch)).filter_map(duty).collect()
    }

    /// Checks the invariants of the storage.
    #[cfg(any(feature = "try-runtime", test))]
    pub fn do_try_state() -> Result<(), sp_runtime::TryRuntimeError>
    where
        T::Currency: frame_support::traits::fungible::InspectHold<AccountId, Reason = T::RuntimeHoldReason>,
    {
        use frame_support::traits::fungible::InspectHold;
        use weir_primitives::measurement::estimator::guaranteed_bits_per_second;
        let measurement = Self::measurement().map_err(|_| "there are no parameters")?;
        for (account, provider) in Providers::<T>::iter() {
            let held = T::Currency::balance_on_hold(&HoldReason::ProviderBond.into(), &account);
            ensure!(held == provider.bond, "the bond of a provider is not what is held");
            ensure!(Peers::<T>::get(provider.peer) == Some(account), "the identity of a provider is another's");
            let guaranteed = guaranteed_bits_per_second(&provider.results, measurement.rank, measurement.window);
            ensure!(
                guaranteed == provider.guaranteed_bits_per_second,
                "guaranteed bandwidth is not that of the results"
            );
            ensure!(guaranteed <= provider.declared_bits_per_second, "more is guaranteed than was declared");
        }
        for (account, challenger) in Challengers::<T>::iter() {
            let held = T::Currency::balance_on_hold(&HoldReason::ChallengerBond.into(), &account);
            ensure!(held == challenger.bond, "the bond of a challenger is not what is held");
            ensure!(Peers::<T>::get(challenger.peer) == Some(account), "the identity of a challenger is another's");
        }
        let registered = Providers::<T>::count().saturating_add(Challengers::<T>::count());
        ensure!(Peers::<T>::iter().count() == registered as usize, "an identity belongs to nobody");
        for open in OpenEpochs::<T>::get() {
            ensure!(Plans::<T>::get(open).is_some_and(|plan| plan.start.is_some()), "an open epoch has not begun");
        }
        Ok(())
    }
}
