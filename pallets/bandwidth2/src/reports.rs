//! Reports: who may hand in what, and until when. Everything is decided by the contents of a call, before a block is filled with it.

use crate::{
    types::{Batch, Challenge, Instant, SignedReport},
    Batches, Config, Error, Event, Instants, Pallet, Reports,
};
use alloc::vec::Vec;
use codec::Encode;
use frame_support::{ensure, pallet_prelude::*, traits::Get};
use sp_core::ed25519;
use sp_io::crypto::ed25519_verify;
use weir_primitives::{
    interfaces::{CurrentBlock, EpochProvider, OnIncluded, Participants},
    measurement::{
        challenge::{batch_payload, commitment_payload, member_payload},
        lottery::{
            committee::{committee, DrawnProvider, Rules as CommitteeRules},
            Seed,
        },
        PeerKey,
    },
    parameters::Measurement,
    AccountId, Hash,
};

/// Batches come before single reports, and batches of more reports before those of fewer.
const BATCH_PRIORITY: u64 = 1_000;

/// What a call must be about for the chain to look at its signatures.
pub(crate) struct Drawn {
    instant: Instant,
    seed: Seed,
    provider: EpochProvider,
    /// The identities of the committee, in its order.
    committee: Vec<(AccountId, PeerKey)>,
}

impl<T: Config> Pallet<T> {
    /// The committee of a provider, in its order; nobody where there is none.
    pub fn committee_of(
        provider: &EpochProvider,
        instant: &Instant,
        seed: &Seed,
        measurement: &Measurement,
    ) -> Option<Vec<u32>> {
        let drawn = DrawnProvider {
            account: provider.account.clone(),
            family: provider.family,
            prefix: provider.prefix.filter(|_| measurement.groups_prefixes),
            // What a challenge can count, whatever was declared: a declaration that no committee could serve would else keep a
            // window as it is.
            bits_per_second: measurement.challenger_bits_per_second(provider.wanted),
        };
        let rules = CommitteeRules {
            members: measurement.committee,
            prefixes_differ: measurement.groups_prefixes,
            limits_juniors: measurement.groups_prefixes,
        };
        committee(seed, instant.epoch, &drawn, &rules, &T::Participants::challengers(instant.epoch))
    }

    /// Looks up a challenge that takes reports now.
    fn drawn(challenge: Challenge) -> Result<Drawn, Error<T>> {
        let measurement = Self::measurement()?;
        let instant = Self::instant(challenge.epoch, challenge.instant).ok_or(Error::<T>::NoSuchChallenge)?;
        let seed = instant.seed.ok_or(Error::<T>::NoSuchChallenge)?;
        ensure!(Self::takes_reports(&instant, T::CurrentBlock::timestamp(), &measurement), Error::<T>::NotTheTime);
        let provider = T::Participants::provider(challenge.slot, challenge.epoch).ok_or(Error::<T>::NoSuchChallenge)?;
        ensure!(Self::is_drawn(challenge.slot, &provider, &instant, &seed, &measurement), Error::<T>::NoSuchChallenge);
        let slots = Self::committee_of(&provider, &instant, &seed, &measurement).ok_or(Error::<T>::NoSuchChallenge)?;
        let committee = slots.into_iter().map(|slot| T::Participants::challenger(slot, challenge.epoch));
        let committee = committee.collect::<Option<Vec<_>>>().ok_or(Error::<T>::NoSuchChallenge)?;
        Ok(Drawn { instant, seed, provider, committee })
    }

    fn check_member(drawn: &Drawn, genesis: Hash, signed: &SignedReport) -> Result<(), Error<T>> {
        let (_, identity) = drawn.committee.get(usize::from(signed.place)).ok_or(Error::<T>::NotInCommittee)?;
        let payload = member_payload(genesis, &drawn.seed, &drawn.provider.account, &signed.report);
        ensure!(ed25519_verify(&signed.signature, &payload, identity), Error::<T>::BadSignature);
        Ok(())
    }

    /// Checks a batch, cheap things first.
    pub(crate) fn check_batch(
        challenge: Challenge,
        batch: &Batch,
        prover: &ed25519::Signature,
    ) -> Result<(), Error<T>> {
        ensure!(!batch.is_empty(), Error::<T>::NothingReported);
        // In the order of the committee, each member once.
        let ordered = batch.iter().zip(batch.iter().skip(1)).all(|(a, b)| a.place < b.place);
        ensure!(ordered, Error::<T>::OutOfOrder);
        ensure!(
            !Batches::<T>::contains_key((challenge.epoch, challenge.instant), challenge.slot),
            Error::<T>::AlreadyReported
        );
        let drawn = Self::drawn(challenge)?;
        let genesis = Self::genesis_hash();
        let payload = batch_payload(genesis, &drawn.seed, &drawn.provider.account, &batch.encode());
        ensure!(ed25519_verify(prover, &payload, &drawn.provider.identity), Error::<T>::BadSignature);
        batch.iter().try_for_each(|signed| Self::check_member(&drawn, genesis, signed))
    }

    /// Checks the report of a member that the prover left out: it has the prover's word for what it checked.
    pub(crate) fn check_single(
        challenge: Challenge,
        signed: &SignedReport,
        prover: &ed25519::Signature,
    ) -> Result<(), Error<T>> {
        let taken = Reports::<T>::get((challenge.epoch, challenge.instant), challenge.slot);
        ensure!(!taken.iter().any(|(place, _)| *place == signed.place), Error::<T>::AlreadyReported);
        let drawn = Self::drawn(challenge)?;
        let genesis = Self::genesis_hash();
        let (_, member) = drawn.committee.get(usize::from(signed.place)).ok_or(Error::<T>::NotInCommittee)?;
        let payload = commitment_payload(genesis, &drawn.seed, member, &signed.report.commitment);
        ensure!(ed25519_verify(prover, &payload, &drawn.provider.identity), Error::<T>::BadSignature);
        Self::check_member(&drawn, genesis, signed)
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
            }
            Ok::<_, Error<T>>(())
        })?;
        if is_batch {
            Batches::<T>::insert(instant, challenge.slot, ());
            crate::BatchesInBlock::<T>::mutate(|count| *count = count.saturating_add(1));
            if let Some(author) = T::CurrentBlock::author() {
                T::OnIncluded::on_included(&author);
            }
        }
        for signed in reports {
            Self::deposit_event(Event::Reported { challenge, place: signed.place, report: signed.report });
        }
        Ok(())
    }

    /// What the pool and a block are told of a call that hands in reports.
    pub(crate) fn validity(
        checked: Result<(), Error<T>>,
        challenge: Challenge,
        single: Option<u8>,
        reports: usize,
    ) -> TransactionValidityWithRefund {
        match checked {
            Ok(()) => (),
            // It may be the time soon.
            Err(Error::NotTheTime) if Self::is_early(challenge) => return Err(InvalidTransaction::Future.into()),
            Err(Error::BadSignature) => return Err(InvalidTransaction::BadProof.into()),
            Err(_) => return Err(InvalidTransaction::Stale.into()),
        }
        // A part of each block is for reports, and the rest for everybody else.
        if crate::BatchesInBlock::<T>::get() >= T::BatchesPerBlock::get() {
            return Err(InvalidTransaction::ExhaustsResources.into());
        }
        let reports = u64::try_from(reports).unwrap_or(u64::MAX);
        let priority = if single.is_none() { reports.saturating_mul(BATCH_PRIORITY) } else { 1 };
        let longevity = Self::blocks_left(challenge);
        let validity = ValidTransaction::with_tag_prefix("weir-report")
            .and_provides((challenge, single))
            .priority(priority)
            .longevity(longevity)
            .propagate(true)
            .into();
        Ok((validity, Weight::zero()))
    }

    fn is_early(challenge: Challenge) -> bool {
        Self::instant(challenge.epoch, challenge.instant).is_some_and(|it| T::CurrentBlock::timestamp() < it.start)
    }

    /// In how many blocks a challenge takes no more reports, if they come on time.
    fn blocks_left(challenge: Challenge) -> u64 {
        let (Some(instant), Ok(measurement)) = (Self::instant(challenge.epoch, challenge.instant), Self::measurement())
        else {
            return 1;
        };
        let deadline = instant.start.saturating_add(measurement.report_deadline);
        let left = deadline.saturating_sub(T::CurrentBlock::timestamp());
        left.checked_div(T::BlockTime::get().max(1)).unwrap_or(1).max(1)
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
