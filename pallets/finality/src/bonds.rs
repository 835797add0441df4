//! Bonds: who stands for election, who leaves, and who loses what it bonded.

use crate::{Bonded, Bonds, Candidates, Config, Error, Event, HoldReason, Keys, NextElection, Pallet, Sets};
use codec::Encode;
use frame_support::{
    ensure,
    pallet_prelude::DispatchResult,
    storage::with_storage_layer,
    traits::{
        fungible::MutateHold,
        tokens::{Fortitude, Precision, Restriction},
    },
};
use sp_consensus_grandpa::{check_equivocation_proof, EquivocationProof};
use sp_runtime::{
    transaction_validity::{
        InvalidTransaction, TransactionValidityError, TransactionValidityWithRefund, ValidTransaction,
    },
    DispatchError, Perbill, RuntimeAppPublic, Weight,
};
use weir_primitives::{
    finality::{voter_payload, SetId, VoterKey, VoterSignature},
    interfaces::{Epochs, Snapshots},
    AccountId, Balance, BlockNumber, Hash,
};

/// The part of a slashed bond that goes to who showed why.
pub const REPORTER_SHARE: Perbill = Perbill::from_percent(10);

/// For how many blocks an equivocation is worth keeping.
const LONGEVITY: u64 = 64;

impl<T: Config> Pallet<T> {
    pub(crate) fn add_candidate(
        account: AccountId,
        bond: Balance,
        key: VoterKey,
        proof: &VoterSignature,
    ) -> DispatchResult {
        ensure!(!Bonds::<T>::contains_key(&account), Error::<T>::AlreadyBonded);
        ensure!(bond >= Self::rules()?.finality.voter_bond, Error::<T>::BondTooSmall);
        Self::claim_key(&account, &key, proof)?;
        T::Currency::hold(&HoldReason::Voter.into(), &account, bond)?;
        Self::stand(&account, bond)?;
        // Whatever the account did before, it did without this bond.
        let since = pallet_grandpa::CurrentSetId::<T>::get().saturating_add(1);
        Bonds::<T>::insert(&account, Bonded { key: key.clone(), bond, since, last: None, left: None });
        Self::deposit_event(Event::Joined { account, key, bond });
        Ok(())
    }

    pub(crate) fn add_to_bond(account: AccountId, by: Balance) -> DispatchResult {
        let mut bonded = Bonds::<T>::get(&account).ok_or(Error::<T>::NotBonded)?;
        T::Currency::hold(&HoldReason::Voter.into(), &account, by)?;
        bonded.bond = bonded.bond.saturating_add(by);
        let bond = bonded.bond;
        ensure!(bond >= Self::rules()?.finality.voter_bond, Error::<T>::BondTooSmall);
        if bonded.left.take().is_some() {
            Self::stand(&account, bond)?;
        } else {
            Candidates::<T>::mutate(|all| {
                if let Some(entry) = all.iter_mut().find(|(_, it)| *it == account) {
                    entry.0 = bond;
                }
            });
        }
        Bonds::<T>::insert(&account, bonded);
        Self::deposit_event(Event::BondRaised { account, bond });
        Ok(())
    }

    pub(crate) fn change_key(account: AccountId, key: VoterKey, proof: &VoterSignature) -> DispatchResult {
        let mut bonded = Self::candidate(&account)?;
        Self::claim_key(&account, &key, proof)?;
        // What it signed is looked up in the sets that it was in.
        Keys::<T>::remove(&bonded.key);
        bonded.key = key.clone();
        Bonds::<T>::insert(&account, bonded);
        Self::deposit_event(Event::KeySet { account, key });
        Ok(())
    }

    pub(crate) fn retire(account: AccountId) -> DispatchResult {
        Self::candidate(&account)?;
        Self::put_out(&account, false);
        Ok(())
    }

    pub(crate) fn pay_back(account: AccountId) -> DispatchResult {
        let bonded = Bonds::<T>::get(&account).ok_or(Error::<T>::NotBonded)?;
        let left = bonded.left.ok_or(Error::<T>::NotLeft)?;
        let from = match bonded.last.and_then(Sets::<T>::get) {
            Some(set) => set.handed_over.ok_or(Error::<T>::StillBonded)?.max(left),
            // Chosen for no set, or for one that was over long ago.
            None => left,
        };
        let due = from.saturating_add(Self::rules()?.unbonding_blocks);
        ensure!(Self::block_number() >= due, Error::<T>::StillBonded);
        let amount = T::Currency::release(&HoldReason::Voter.into(), &account, bonded.bond, Precision::Exact)?;
        Self::forget(&account, &bonded.key);
        Self::deposit_event(Event::PaidBack { account, amount });
        Ok(())
    }

    /// Takes a part of a bond, and its owner out of elections: a tenth goes to who showed why, if somebody did, and the rest is burned.
    ///
    /// # Errors
    ///
    /// When the account has no bond. Nothing is taken then.
    pub(crate) fn take_bond(account: &AccountId, part: Perbill, shown_by: Option<&AccountId>) -> DispatchResult {
        with_storage_layer(|| Self::take_bond_or_nothing(account, part, shown_by))
    }

    fn take_bond_or_nothing(account: &AccountId, part: Perbill, shown_by: Option<&AccountId>) -> DispatchResult {
        let bonded = Bonds::<T>::get(account).ok_or(Error::<T>::NotBonded)?;
        let reason = HoldReason::Voter.into();
        let taken = part.mul_ceil(bonded.bond);
        let mut burned = taken;
        if let Some(reporter) = shown_by {
            // A reporter that cannot hold it gets nothing.
            let given = T::Currency::transfer_on_hold(
                &reason,
                account,
                reporter,
                REPORTER_SHARE.mul_floor(taken),
                Precision::Exact,
                Restriction::Free,
                Fortitude::Force,
            );
            burned = burned.saturating_sub(given.unwrap_or(0));
        }
        T::Currency::burn_held(&reason, account, burned, Precision::Exact, Fortitude::Force)?;
        if bonded.left.is_none() {
            Self::put_out(account, false);
        }
        let left = bonded.bond.saturating_sub(taken);
        if left == 0 {
            Self::forget(account, &bonded.key);
        } else {
            Bonds::<T>::mutate(account, |it| {
                if let Some(it) = it {
                    it.bond = left;
                }
            });
        }
        // Others are to take its place soon.
        NextElection::<T>::put(T::Epochs::current().index);
        let (account, rewarded) = (account.clone(), taken.saturating_sub(burned));
        Self::deposit_event(Event::Slashed { account, taken, burned, rewarded });
        Ok(())
    }

    /// Who answers for an equivocation, and in which set it was.
    fn culprit(proof: &EquivocationProof<Hash, BlockNumber>) -> Result<(AccountId, SetId), Error<T>> {
        let set = proof.set_id();
        let voters = Sets::<T>::get(set).ok_or(Error::<T>::NoEquivocation)?.voters;
        let voter = voters.into_iter().find(|it| it.key == *proof.offender()).ok_or(Error::<T>::NoEquivocation)?;
        let answers = Bonds::<T>::get(&voter.account).is_some_and(|bonded| bonded.since <= set);
        ensure!(answers && check_equivocation_proof(proof.clone()), Error::<T>::NoEquivocation);
        Ok((voter.account, set))
    }

    pub(crate) fn validity_of_equivocation(
        proof: &EquivocationProof<Hash, BlockNumber>,
    ) -> TransactionValidityWithRefund {
        let refused = |_| TransactionValidityError::Invalid(InvalidTransaction::Call);
        let (account, _) = Self::culprit(proof).map_err(refused)?;
        let valid = ValidTransaction {
            priority: u64::MAX,
            requires: Default::default(),
            provides: alloc::vec![("equivocation", account).encode()],
            longevity: LONGEVITY,
            propagate: true,
        };
        Ok((valid, Weight::zero()))
    }

    pub(crate) fn punish_equivocation(
        proof: &EquivocationProof<Hash, BlockNumber>,
        shown_by: Option<AccountId>,
    ) -> DispatchResult {
        let (account, set) = Self::culprit(proof)?;
        Self::take_bond(&account, Perbill::one(), shown_by.as_ref())?;
        Self::deposit_event(Event::Equivocated { account, set, shown_by });
        Ok(())
    }

    /// A bond whose owner stands for election.
    fn candidate(account: &AccountId) -> Result<Bonded, DispatchError> {
        let bonded = Bonds::<T>::get(account).ok_or(Error::<T>::NotBonded)?;
        ensure!(bonded.left.is_none(), Error::<T>::HasLeft);
        Ok(bonded)
    }

    fn claim_key(account: &AccountId, key: &VoterKey, proof: &VoterSignature) -> DispatchResult {
        ensure!(!Keys::<T>::contains_key(key), Error::<T>::KeyTaken);
        let payload = voter_payload(Self::genesis_hash(), account);
        ensure!(key.verify(&payload, proof), Error::<T>::BadSignature);
        Keys::<T>::insert(key, account);
        Ok(())
    }

    /// Makes somebody a candidate. Where all places are taken, who has no bandwidth behind it is displaced by who has: bonds alone elect nobody, and
    /// would keep out those who could be elected. Else a larger bond displaces the smallest.
    fn stand(account: &AccountId, bond: Balance) -> DispatchResult {
        let all = Candidates::<T>::get();
        if all.is_full() {
            let has_bandwidth = |account: &AccountId| T::Snapshots::behind(account) > 0;
            let ranks = all.iter().rev().map(|(bond, account)| ((has_bandwidth(account), *bond), account));
            // Of equal ones, who came first stays.
            let (lowest, displaced) = ranks.min_by_key(|(rank, _)| *rank).ok_or(Error::<T>::NoRoom)?;
            ensure!((has_bandwidth(account), bond) > lowest, Error::<T>::NoRoom);
            Self::put_out(displaced, true);
        }
        Candidates::<T>::try_mutate(|all| all.try_push((bond, account.clone()))).map_err(|_| Error::<T>::NoRoom)?;
        Ok(())
    }

    /// Takes somebody out of elections.
    fn put_out(account: &AccountId, was_displaced: bool) {
        let number = Self::block_number();
        Candidates::<T>::mutate(|all| all.retain(|(_, it)| it != account));
        Bonds::<T>::mutate(account, |bonded| {
            if let Some(bonded) = bonded {
                bonded.left = Some(number);
            }
        });
        Self::deposit_event(Event::Left { account: account.clone(), was_displaced });
    }

    fn forget(account: &AccountId, key: &VoterKey) {
        Bonds::<T>::remove(account);
        Keys::<T>::remove(key);
    }
}
