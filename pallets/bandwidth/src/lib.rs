//! # Bandwidth
//!
//! When providers are measured and by whom, what challengers report of it, and what follows: guaranteed bandwidth in both directions, who
//! missed a duty, and who lied.
//!
//! ## Overview
//!
//! - An epoch has instants (`instants.rs`). Each has a seed, of which draws are pure functions of
//!   [`weir_primitives::measurement::lottery`]: whether a provider is measured, and by which committee.
//! - The members of a committee sign what they measured, and the prover carries their reports here in one call (`reports.rs`): no account, nonce or fee,
//!   since the contents authorize it. A member that was left out can hand in its own.
//! - After the deadline of an instant all slots are passed over, a bounded number in each block (`sweep.rs`).
//!
//! ## Invariants
//!
//! - what is guaranteed follows from the window, and is what the registry knows;
//! - nothing is kept of an instant that was evaluated;
//! - a report is taken once, within its time, from a member of the committee that the seed draws, with the prover's word.

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
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "of benchmarks")]
pub mod benchmarking;
mod instants;
#[cfg(test)]
mod mock;
mod reports;
mod status;
mod sweep;
#[cfg(test)]
mod tests;
pub mod types;
pub mod weights;

use frame_support::{migrations::MultiStepMigrator, pallet_prelude::*, traits::Get};
use frame_system::{ensure_authorized, pallet_prelude::*};
pub use pallet::*;
use sp_arithmetic::Perbill;
use sp_core::ed25519;
use types::{Batch, Instant, Plan, SignedReport, Taken, Window};
use weights::WeightInfo;
use weir_primitives::{
    interfaces::{CurrentBlock, Epochs, OnDuty, OnEpochBorder, OnIncluded, OnMeasured, Participants},
    measurement::{
        challenge::{member_payload, Challenge, MemberReport, Outcome},
        duties::Record,
        lottery::Seed,
        PeerKey,
    },
    parameters::{Measurement, Parameters, MAX_COMMITTEE},
    AccountId, BlockNumber, Epoch, EpochIndex, Hash, UnixMilliseconds,
};

/// How many instants can wait to be evaluated: those of an epoch and of the one before.
pub const MAX_INSTANTS: u32 = 24;
/// How many challengers can be noted to be jailed.
pub const MAX_JAIL_CANDIDATES: u32 = 64;

#[allow(clippy::expect_used, reason = "the macros of FRAME write it")]
#[frame_support::pallet]
pub mod pallet {
    use super::*;

    pub(crate) const STORAGE_VERSION: StorageVersion = StorageVersion::new(4);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config:
        frame_system::Config<AccountId = AccountId, Hash = Hash, RuntimeEvent: From<Event<Self>>>
    {
        /// The parameters of the chain.
        type Parameters: Get<Option<Parameters>>;
        /// The timestamp and the author of the current block.
        type CurrentBlock: CurrentBlock;
        /// Who takes part.
        type Participants: Participants;
        /// Is told of the start of each epoch.
        type OnEpochBorder: OnEpochBorder;
        /// Is told who was measured.
        type OnMeasured: OnMeasured;
        /// Is told who included a batch first.
        type OnIncluded: OnIncluded;
        /// Is told what challengers did.
        type OnDuty: OnDuty;
        /// How many batches of reports a block takes at the most.
        #[pallet::constant]
        type BatchesPerBlock: Get<u32>;
        /// What passing over slots may cost in one block.
        type SweepWeight: Get<Weight>;
        /// What calls and hooks cost.
        type WeightInfo: WeightInfo;
        /// Sets up what is not this pallet's.
        #[cfg(feature = "runtime-benchmarks")]
        type Scene: benchmarking::Scene;
    }

    /// The epoch of the current block, and what is measured in it. None in genesis.
    #[pallet::storage]
    pub type Plans<T> = StorageValue<_, Plan, OptionQuery>;

    /// The instants that are not evaluated yet, in their order.
    #[pallet::storage]
    pub type Instants<T> = StorageValue<_, BoundedVec<Instant, ConstU32<MAX_INSTANTS>>, ValueQuery>;

    /// What was reported of each challenge, by epoch and instant, and slot.
    #[pallet::storage]
    pub type Reports<T> = StorageDoubleMap<_, Twox64Concat, (EpochIndex, u32), Twox64Concat, u32, Taken, ValueQuery>;

    /// The challenges of which a batch of a whole committee was taken.
    #[pallet::storage]
    pub type Batches<T> = StorageDoubleMap<_, Twox64Concat, (EpochIndex, u32), Twox64Concat, u32, (), OptionQuery>;

    /// A block, and how many batches and how many single reports it has taken.
    #[pallet::storage]
    pub type InBlock<T> = StorageValue<_, (BlockNumber, u32, u32), ValueQuery>;

    /// An epoch, and how many providers were made to leave in it.
    #[pallet::storage]
    pub type Evictions<T> = StorageValue<_, (EpochIndex, u32), ValueQuery>;

    /// What was measured of the provider in each slot. That of one who left stays until the slot is given again.
    #[pallet::storage]
    pub type Windows<T> = StorageMap<_, Twox64Concat, u32, Window, OptionQuery>;

    /// What each challenger missed, and from which epoch on that is counted.
    #[pallet::storage]
    pub type Records<T> = StorageMap<_, Blake2_128Concat, AccountId, (EpochIndex, Record), ValueQuery>;

    /// The challengers that have missed the most, if it is too much.
    #[pallet::storage]
    pub type JailCandidates<T> =
        StorageValue<_, BoundedVec<(AccountId, Perbill), ConstU32<MAX_JAIL_CANDIDATES>>, ValueQuery>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// An epoch has begun.
        EpochStarted {
            /// The epoch, and what is measured in it.
            plan: Plan,
        },
        /// Challenges will start.
        InstantOpened {
            /// The epoch.
            epoch: EpochIndex,
            /// The instant, counted from 0.
            instant: u32,
            /// When they start.
            start: UnixMilliseconds,
        },
        /// A report was taken.
        Reported {
            /// The challenge.
            challenge: Challenge,
            /// The place of the member in its committee.
            place: u8,
            /// What it says.
            report: MemberReport,
        },
        /// A challenge was evaluated.
        Measured {
            /// The challenge.
            challenge: Challenge,
            /// The provider that was measured.
            provider: AccountId,
            /// What it has shown.
            outcome: Outcome,
            /// What was guaranteed of the lower direction before.
            was_bits_per_second: u64,
            /// What is guaranteed of it now.
            guaranteed_bits_per_second: u64,
        },
        /// A challenger signed two different reports of one challenge.
        Equivocated {
            /// The identity that signed both.
            identity: PeerKey,
            /// Who showed it.
            shown_by: AccountId,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The chain has no parameters.
        NoParameters,
        /// There is no such challenge, or it is evaluated already.
        NoSuchChallenge,
        /// The challenge is not drawn yet.
        NotYet,
        /// The challenge takes no more reports.
        TooLate,
        /// This block takes no more reports.
        NoRoom,
        /// There is no such member.
        NotInCommittee,
        /// It was reported already.
        AlreadyReported,
        /// The reports are not in the order of the committee, each member once.
        OutOfOrder,
        /// A signature is not that of whom it should be.
        BadSignature,
        /// The two reports say the same.
        NoEquivocation,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(_: BlockNumberFor<T>) -> Weight {
            let Some(parameters) = T::Parameters::get() else { return T::DbWeight::get().reads(1) };
            let measurement = &parameters.measurement;
            let number = Self::number();
            let mut weight = T::WeightInfo::on_initialize();
            let plan = match Self::last_plan() {
                Some(plan) if number < plan.epoch.end() => plan,
                last => {
                    weight = weight.saturating_add(T::WeightInfo::start_epoch());
                    let epoch = last.map_or(Epoch::initial(measurement.epoch_blocks), |plan| {
                        plan.epoch.next(measurement.epoch_blocks)
                    });
                    Self::start_epoch(epoch, &parameters)
                },
            };
            Self::open_instants(number, &plan, measurement);
            // What is migrated is not read, and no report comes in.
            if <T as frame_system::Config>::MultiBlockMigrator::ongoing() {
                Self::note_no_reports();
                return weight;
            }
            weight.saturating_add(Self::sweep(&parameters, T::SweepWeight::get()))
        }
    }

    #[pallet::call(weight = <T as Config>::WeightInfo)]
    impl<T: Config> Pallet<T> {
        /// Hands in the reports of a challenge, all that the prover has, in the order of the committee. `prover` is the signature of the
        /// provider's identity over [`weir_primitives::measurement::challenge::batch_payload`]. Followed by [`Event::Reported`].
        #[pallet::call_index(0)]
        #[pallet::weight((T::WeightInfo::submit(count(batch)), DispatchClass::Operational))]
        #[pallet::weight_of_authorize(authorize_submit::<T>(batch))]
        #[pallet::authorize(|_, challenge, batch, prover| {
            Pallet::<T>::validity(Pallet::<T>::check_batch(*challenge, batch, prover), *challenge, None, count(batch))
        })]
        pub fn submit(
            origin: OriginFor<T>,
            challenge: Challenge,
            batch: Batch,
            prover: ed25519::Signature,
        ) -> DispatchResult {
            ensure_authorized(origin)?;
            let _ = prover;
            Self::take(challenge, &batch, true)
        }

        /// Hands in the report of a member that the prover left out. `member` is the member's identity, and `prover` the signature of the provider's
        /// over [`weir_primitives::measurement::challenge::commitment_payload`]. Followed by [`Event::Reported`].
        #[pallet::call_index(1)]
        #[pallet::weight((T::WeightInfo::submit_own(), DispatchClass::Operational))]
        #[pallet::weight_of_authorize(authorize_submit_own::<T>())]
        #[pallet::authorize(|_, challenge, member, signed, prover| {
            let checked = Pallet::<T>::check_single(*challenge, member, signed, prover);
            Pallet::<T>::validity(checked, *challenge, Some(signed.place), 1)
        })]
        pub fn submit_own(
            origin: OriginFor<T>,
            challenge: Challenge,
            member: PeerKey,
            signed: SignedReport,
            prover: ed25519::Signature,
        ) -> DispatchResult {
            ensure_authorized(origin)?;
            let _ = (member, prover);
            Self::take(challenge, &[signed], false)
        }

        /// Shows that an identity signed two different reports for one seed and provider: its whole bond is taken, and the sender gets a
        /// tenth of it. Followed by [`Event::Equivocated`].
        #[pallet::call_index(2)]
        pub fn show_equivocation(
            origin: OriginFor<T>,
            identity: PeerKey,
            seed: Seed,
            provider: AccountId,
            one: (MemberReport, ed25519::Signature),
            other: (MemberReport, ed25519::Signature),
        ) -> DispatchResult {
            let shown_by = ensure_signed(origin)?;
            ensure!(one.0 != other.0, Error::<T>::NoEquivocation);
            for (report, signature) in [one, other] {
                let payload = member_payload(Self::genesis_hash(), &seed, &provider, &report);
                ensure!(sp_io::crypto::ed25519_verify(&signature, &payload, &identity), Error::<T>::BadSignature);
            }
            T::Participants::slash_challenger(&identity, &shown_by)?;
            Self::deposit_event(Event::Equivocated { identity, shown_by });
            Ok(())
        }
    }
}

/// How many reports a batch has.
fn count(batch: &Batch) -> u32 {
    u32::try_from(batch.len()).unwrap_or(u32::MAX)
}

/// What checking a batch costs, if its committee is the hardest to find. A look for each member is in what was measured.
fn authorize_submit<T: Config>(batch: &Batch) -> Weight {
    let looks = reports::MOST_LOOKS.saturating_sub(MAX_COMMITTEE);
    T::WeightInfo::authorize_submit(count(batch)).saturating_add(Pallet::<T>::weight_of_looks(looks))
}

/// What checking a single report costs, if its committee is the hardest to find.
fn authorize_submit_own<T: Config>() -> Weight {
    T::WeightInfo::authorize_submit_own().saturating_add(Pallet::<T>::weight_of_looks(reports::MOST_LOOKS))
}

impl<T: Config> Pallet<T> {
    pub(crate) fn measurement() -> Result<Measurement, Error<T>> {
        T::Parameters::get().map(|parameters| parameters.measurement).ok_or(Error::<T>::NoParameters)
    }

    pub(crate) fn genesis_hash() -> Hash {
        frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::from(0u32))
    }

    /// Begins an epoch. Who takes part is told first, since what they count of it is asked for after that.
    fn start_epoch(epoch: Epoch, parameters: &Parameters) -> Plan {
        let parent: Hash = frame_system::Pallet::<T>::parent_hash();
        let plan = Plan { epoch, instants: 0, one_in: 1 };
        Plans::<T>::put(plan);
        T::Participants::start_epoch(epoch.index, &parent.0);
        let everybody = T::Participants::everybody(epoch.index);
        Self::jail_worst(epoch.index, everybody.challengers);
        let plan = Self::plan(epoch, parameters);
        Plans::<T>::put(plan);
        T::OnEpochBorder::on_epoch_border(epoch, &everybody, everybody.seniors >= parameters.measurement.least_seniors);
        Self::deposit_event(Event::EpochStarted { plan });
        plan
    }
}

impl<T: Config> Epochs for Pallet<T> {
    fn index_at(number: BlockNumber) -> EpochIndex {
        Self::last_plan().map_or(0, |plan| plan.epoch.index_at(number))
    }

    fn current() -> Epoch {
        let blocks = T::Parameters::get().map_or(1, |parameters| parameters.measurement.epoch_blocks);
        Self::last_plan().map_or(Epoch::initial(blocks), |plan| plan.epoch)
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn set_current(epoch: Epoch) {
        Plans::<T>::put(Plan { epoch, instants: 2, one_in: 1 });
    }
}
