//! Reports: who may hand in what, and until when. Everything is decided by the contents of a call, before a block is filled with it.

use crate::{
    types::{Batch, Instant, SignedReport},
    Batches, Config, Error, Event, InBlock, Instants, Pallet, Reports,
};
use alloc::vec::Vec;
use codec::Encode;
use core::cell::Cell;
use frame_support::{ensure, pallet_prelude::*, traits::Get};
use sp_core::ed25519;
use sp_io::crypto::ed25519_verify;
use weir_primitives::{
    interfaces::{CurrentBlock, EpochProvider, OnIncluded, Participants},
    measurement::{
        challenge::{batch_payload, commitment_payload, member_payload, Challenge},
        lottery::{
            committee::{committee, Candidate, DrawnProvider, Rules as CommitteeRules, Table, CANDIDATES_PER_MEMBER},
            Seed,
        },
        PeerKey,
    },
    parameters::{Measurement, MAX_COMMITTEE},
    AccountId, Hash,
};

/// Reports come before everything that pays fees, batches before single reports, and batches of more reports before those of fewer: whoever
/// could push them out of a pool or a block would decide who is paid. There are no more of them than one batch and n reports for each provider
/// that was drawn.
const PRIORITY: u64 = u64::MAX / 2;

/// The most looks at the table of challengers that a committee takes.
pub(crate) const MOST_LOOKS: u32 = MAX_COMMITTEE.saturating_mul(CANDIDATES_PER_MEMBER);

/// The accounts and identities of a committee, in its order.
type Members = Vec<(AccountId, PeerKey)>;

/// A table that counts how often it is looked at.
struct Watched<C> {
    table: C,
    looks: Cell<u32>,
}

impl<C: Table> Table for Watched<C> {
    fn slots(&self) -> u32 {
        self.table.slots()
    }

    fn seniors(&self) -> u32 {
        self.table.seniors()
    }

    fn candidate(&self, slot: u32) -> Option<Candidate> {
        self.looks.set(self.looks.get().saturating_add(1));
        self.table.candidate(slot)
    }
}

/// A challenge that takes reports now.
pub(crate) struct Drawn {
    instant: Instant,
    seed: Seed,
    provider: EpochProvider,
}

impl<T: Config> Pallet<T> {
    /// The committee of a provider, in its order; nobody where there is none. Also says how many looks at the table of challengers it took.
    pub(crate) fn committee_of(
        provider: &EpochProvider,
        instant: &Instant,
        seed: &Seed,
        measurement: &Measurement,
    ) -> (Option<Vec<u32>>, u32) {
        let drawn = DrawnProvider {
            account: provider.account.clone(),
            family: provider.family,
            prefix: provider.prefix.filter(|_| measurement.groups_prefixes),
        };
        let rules = CommitteeRules {
            members: measurement.committee,
            prefixes_differ: measurement.groups_prefixes,
            limits_juniors: measurement.groups_prefixes,
        };
        let table = Watched { table: T::Participants::challengers(instant.epoch), looks: Cell::new(0) };
        (committee(seed, instant.epoch, &drawn, &rules, &table), table.looks.get())
    }

    /// Looks up a challenge that takes reports now.
    fn drawn(challenge: Challenge) -> Result<Drawn, Error<T>> {
        let measurement = Self::measurement()?;
        ensure!(!Self::is_to_come(challenge.epoch, challenge.instant), Error::<T>::NotYet);
        let instant = Self::instant(challenge.epoch, challenge.instant).ok_or(Error::<T>::NoSuchChallenge)?;
        let seed = instant.seed.ok_or(Error::<T>::NoSuchChallenge)?;
        let is_known = Self::last_plan().is_some_and(|plan| plan.epoch.index <= instant.epoch.saturating_add(1));
        let takes = Self::takes_reports(&instant, T::CurrentBlock::timestamp(), &measurement);
        ensure!(is_known && takes, Error::<T>::TooLate);
        let provider = T::Participants::provider(challenge.slot, challenge.epoch).ok_or(Error::<T>::NoSuchChallenge)?;
        ensure!(Self::is_drawn(challenge.slot, &provider, &instant, &seed, &measurement), Error::<T>::NoSuchChallenge);
        Ok(Drawn { instant, seed, provider })
    }

    /// The accounts and identities of the committee, in its order, and how many looks that took: the walk that finds it costs the most, and comes
    /// after the prover's signature.
    fn members(drawn: &Drawn) -> Result<(Members, u32), Error<T>> {
        let measurement = Self::measurement()?;
        let (slots, looks) = Self::committee_of(&drawn.provider, &drawn.instant, &drawn.seed, &measurement);
        let slots = slots.ok_or(Error::<T>::NoSuchChallenge)?;
        let members = slots.into_iter().map(|slot| T::Participants::challenger(slot, drawn.instant.epoch));
        let members = members.collect::<Option<Vec<_>>>().ok_or(Error::<T>::NoSuchChallenge)?;
        Ok((members, looks))
    }

    fn check_member(drawn: &Drawn, identity: &PeerKey, genesis: Hash, signed: &SignedReport) -> Result<(), Error<T>> {
        let payload = member_payload(genesis, &drawn.seed, &drawn.provider.account, &signed.report);
        ensure!(ed25519_verify(&signed.signature, &payload, identity), Error::<T>::BadSignature);
        Ok(())
    }

    /// Checks a batch, cheap things first, and says how many looks at the table of challengers that took.
    pub(crate) fn check_batch(
        challenge: Challenge,
        batch: &Batch,
        prover: &ed25519::Signature,
    ) -> Result<u32, Error<T>> {
        ensure!(Self::batches_in_block() < T::BatchesPerBlock::get(), Error::<T>::NoRoom);
        // In the order of the committee, each member once.
        let ordered = batch.iter().zip(batch.iter().skip(1)).all(|(a, b)| a.place < b.place);
        ensure!(ordered, Error::<T>::OutOfOrder);
        Self::ensure_new(challenge, batch)?;
        let drawn = Self::drawn(challenge)?;
        let genesis = Self::genesis_hash();
        let payload = batch_payload(genesis, &drawn.seed, &drawn.provider.account, &batch.encode());
        ensure!(ed25519_verify(prover, &payload, &drawn.provider.identity), Error::<T>::BadSignature);
        let (members, looks) = Self::members(&drawn)?;
        for signed in batch {
            let (_, identity) = members.get(usize::from(signed.place)).ok_or(Error::<T>::NotInCommittee)?;
            Self::check_member(&drawn, identity, genesis, signed)?;
        }
        Ok(looks)
    }

    /// Checks the report of a member that the prover left out: it has the prover's word for what it checked. Both signatures come before the walk
    /// that finds the committee: who has seen one such report cannot make nodes walk by changing it.
    pub(crate) fn check_single(
        challenge: Challenge,
        member: &PeerKey,
        signed: &SignedReport,
        prover: &ed25519::Signature,
    ) -> Result<u32, Error<T>> {
        ensure!(Self::singles_in_block() < T::BatchesPerBlock::get(), Error::<T>::NoRoom);
        Self::ensure_new(challenge, core::slice::from_ref(signed))?;
        let drawn = Self::drawn(challenge)?;
        let genesis = Self::genesis_hash();
        ensure!(u32::from(signed.place) < Self::measurement()?.committee, Error::<T>::NotInCommittee);
        let payload = commitment_payload(genesis, &drawn.seed, member, &signed.report.commitment);
        ensure!(ed25519_verify(prover, &payload, &drawn.provider.identity), Error::<T>::BadSignature);
        Self::check_member(&drawn, member, genesis, signed)?;
        let (members, looks) = Self::members(&drawn)?;
        let is_at_place = members.get(usize::from(signed.place)).is_some_and(|(_, identity)| identity == member);
        ensure!(is_at_place, Error::<T>::NotInCommittee);
        Ok(looks)
    }

    /// Whether a call says anything that is not known yet.
    fn ensure_new(challenge: Challenge, reports: &[SignedReport]) -> Result<(), Error<T>> {
        let taken = Reports::<T>::get((challenge.epoch, challenge.instant), challenge.slot);
        let is_new = |signed: &SignedReport| !taken.iter().any(|(place, _)| *place == signed.place);
        ensure!(reports.iter().any(is_new), Error::<T>::AlreadyReported);
        Ok(())
    }

    /// How many batches, and single reports, this block has taken. The pool asks as if the next block were empty.
    fn taken_in_block() -> (u32, u32) {
        let (number, batches, singles) = InBlock::<T>::get();
        if number == Self::number() {
            (batches, singles)
        } else {
            (0, 0)
        }
    }

    fn batches_in_block() -> u32 {
        Self::taken_in_block().0
    }

    fn singles_in_block() -> u32 {
        Self::taken_in_block().1
    }

    /// Takes reports that were checked when the call was authorized.
    pub(crate) fn take(challenge: Challenge, reports: &[SignedReport], is_batch: bool) -> DispatchResult {
        let instant = (challenge.epoch, challenge.instant);
        Reports::<T>::try_mutate(instant, challenge.slot, |taken| {
            for signed in reports {
                // A member that was before its prover is in the batch too.
                if taken.iter().any(|(place, _)| *place == signed.place) {
                    continue;
                }
                taken.try_push((signed.place, signed.report)).map_err(|_| Error::<T>::OutOfOrder)?;
                Self::deposit_event(Event::Reported { challenge, place: signed.place, report: signed.report });
            }
            Ok::<_, Error<T>>(())
        })?;
        let (batches, singles) = Self::taken_in_block();
        let (batch, single) = if is_batch { (1, 0) } else { (0, 1) };
        InBlock::<T>::put((Self::number(), batches.saturating_add(batch), singles.saturating_add(single)));
        if is_batch && !Batches::<T>::contains_key(instant, challenge.slot) {
            // For a whole committee, so that nobody includes many batches of little.
            let measurement = Self::measurement()?;
            let whole = measurement.committee.saturating_sub(measurement.byzantine);
            if u32::try_from(reports.len()).is_ok_and(|count| count >= whole) {
                Batches::<T>::insert(instant, challenge.slot, ());
                if let Some(author) = T::CurrentBlock::author() {
                    T::OnIncluded::on_included(&author);
                }
            }
        }
        Ok(())
    }

    /// What the pool and a block are told of a call that hands in reports.
    pub(crate) fn validity(
        checked: Result<u32, Error<T>>,
        challenge: Challenge,
        single: Option<u8>,
        reports: u32,
    ) -> TransactionValidityWithRefund {
        let looks = match checked {
            Ok(looks) => looks,
            // Those that hear of it before the block are to keep it.
            Err(Error::NotYet) => return Err(InvalidTransaction::Future.into()),
            Err(Error::NoRoom) => return Err(InvalidTransaction::ExhaustsResources.into()),
            Err(Error::BadSignature) => return Err(InvalidTransaction::BadProof.into()),
            Err(_) => return Err(InvalidTransaction::Stale.into()),
        };
        let priority = if single.is_none() { PRIORITY.saturating_add(reports.into()) } else { PRIORITY };
        let longevity = Self::blocks_left(challenge);
        let validity = ValidTransaction::with_tag_prefix("weir-report")
            .and_provides((challenge, single))
            .priority(priority)
            .longevity(longevity)
            .propagate(true)
            .into();
        // Of the walk, which is paid for at its longest, what it did not take is given back.
        Ok((validity, Self::weight_of_looks(MOST_LOOKS.saturating_sub(looks))))
    }

    /// In how many blocks a challenge takes no more reports, if they come as fast as they may.
    fn blocks_left(challenge: Challenge) -> u64 {
        let (Some(instant), Some(parameters)) =
            (Self::instant(challenge.epoch, challenge.instant), T::Parameters::get())
        else {
            return 1;
        };
        let deadline = instant.start.saturating_add(parameters.measurement.report_deadline);
        let left = deadline.saturating_sub(T::CurrentBlock::timestamp());
        left.checked_div(parameters.consensus.least_block_interval.max(1)).unwrap_or(1).max(1)
    }

    /// Marks what is open as void from a block on that took no reports.
    pub(crate) fn note_no_reports() {
        let (now, Ok(measurement)) = (T::CurrentBlock::timestamp(), Self::measurement()) else { return };
        Instants::<T>::mutate(|open| {
            for it in open.iter_mut().filter(|it| Self::takes_reports(it, now, &measurement)) {
                it.is_void = true;
            }
        });
    }
}
