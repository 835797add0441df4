//! Proofs that blocks are final.

use crate::{Config, Error, Event, Handover, Pallet, Proven, Sets};
use alloc::vec::Vec;
use codec::Encode;
use frame_support::{ensure, pallet_prelude::DispatchResult};
use frame_system::pallet_prelude::HeaderFor;
use sp_consensus_grandpa::GrandpaJustification;
use sp_runtime::{
    transaction_validity::{
        InvalidTransaction, TransactionValidityError, TransactionValidityWithRefund, ValidTransaction,
    },
    RuntimeAppPublic, SaturatedConversion, Weight,
};
use weir_primitives::{
    finality::{
        justification::{self, Target},
        voters::Voter,
        Wanted, MOST_VOTERS,
    },
    interfaces::Snapshots,
    BlockNumber, Hash,
};

/// A proof comes before everything that pays fees, since credit and votes wait for it. There is one of them at a time.
const PRIORITY: u64 = u64::MAX / 2;
/// For how many blocks a proof is worth keeping.
const LONGEVITY: u64 = 64;
/// How many bytes a precommit has: hash and height of its block, signature, key.
const PRECOMMIT_BYTES: usize = 132;

/// How many precommits so many bytes can hold, of those that a justification may have.
pub(crate) fn precommits_at_most(justification: &[u8]) -> u32 {
    let fit = justification.len().checked_div(PRECOMMIT_BYTES).unwrap_or(0);
    u32::try_from(fit).unwrap_or(u32::MAX).min(MOST_VOTERS.saturating_mul(2))
}

/// The voters that a proof must be signed by, and what it proves.
type Read<T> = (Wanted, Vec<Voter>, BlockNumber, GrandpaJustification<HeaderFor<T>>);

impl<T: Config> Pallet<T> {
    /// Reads a proof, and whether it is for a block that the chain waits for; no signature is looked at.
    fn read_proof(bytes: &[u8]) -> Result<Read<T>, Error<T>> {
        let wanted = Self::wanted().ok_or(Error::<T>::NothingToProve)?;
        let (Wanted::Handover { set, .. } | Wanted::Snapshot { set, .. }) = wanted;
        let voters = Sets::<T>::get(set).ok_or(Error::<T>::NothingToProve)?.voters.into_inner();
        let (target, justification) =
            justification::read::<T::Block>(bytes, voters.len()).map_err(|_| Error::<T>::NoProof)?;
        let number: BlockNumber = target.number.saturated_into();
        let is_it = match wanted {
            Wanted::Handover { number: at, hash, .. } => (number, target.hash) == (at, hash),
            Wanted::Snapshot { number: least, .. } => number >= least && Self::is_of_this_chain(number, &target),
        };
        ensure!(is_it, Error::<T>::OtherBlock);
        Ok((wanted, voters, number, justification))
    }

    fn is_of_this_chain<N>(number: BlockNumber, target: &Target<N, Hash>) -> bool {
        number < Self::block_number() && target.hash != Hash::zero() && Self::hash_of(number) == target.hash
    }

    pub(crate) fn check_proof(bytes: &[u8]) -> Result<Wanted, Error<T>> {
        let (wanted, voters, _, justification) = Self::read_proof(bytes)?;
        let (Wanted::Handover { set, .. } | Wanted::Snapshot { set, .. }) = wanted;
        let checked = justification::check::<T::Block>(&justification, set, &voters, |key, signature, payload| {
            key.verify(&payload, signature)
        });
        checked.map_err(|_| Error::<T>::NoProof)?;
        Ok(wanted)
    }

    /// What the pool and a block are told of a proof.
    pub(crate) fn validity_of_proof(bytes: &[u8]) -> TransactionValidityWithRefund {
        let wanted = Self::check_proof(bytes).map_err(|error| {
            TransactionValidityError::Invalid(match error {
                // It came when another one was there already.
                Error::<T>::NothingToProve => InvalidTransaction::Stale,
                Error::<T>::OtherBlock => InvalidTransaction::Future,
                _ => InvalidTransaction::BadProof,
            })
        })?;
        let valid = ValidTransaction {
            priority: PRIORITY,
            requires: Vec::new(),
            provides: alloc::vec![("finality", wanted).encode()],
            longevity: LONGEVITY,
            propagate: true,
        };
        Ok((valid, Weight::zero()))
    }

    /// Takes a proof that was checked when the call was authorized.
    pub(crate) fn take_proof(bytes: &[u8]) -> DispatchResult {
        let (wanted, _, number, _) = Self::read_proof(bytes)?;
        let (Wanted::Handover { set, .. } | Wanted::Snapshot { set, .. }) = wanted;
        if let Wanted::Handover { .. } = wanted {
            Handover::<T>::kill();
            Self::note_handed_over(set);
        }
        Proven::<T>::put(number);
        T::Snapshots::on_proven(number);
        Self::deposit_event(Event::ProvenFinal { number, set });
        Ok(())
    }
}
