//! Sets of voters: elections, handovers, and what governance decides.

use crate::{
    Bonds, Candidates, Change, Config, Error, Event, Forced, ForcedChange, Handover, NextElection, OldestSet, Pallet,
    Set, Sets, Voters,
};
use alloc::{collections::BTreeSet, vec::Vec};
use frame_support::{ensure, pallet_prelude::DispatchResult};
use pallet_grandpa::{CurrentSetId, PendingChange};
use sp_consensus_grandpa::AuthorityList;
use weir_primitives::{
    finality::{
        voters::{elect, Candidate, Voter, WHOLE},
        SetId,
    },
    interfaces::{Epochs, Snapshots},
    BlockNumber, EpochIndex,
};

/// How many sets that nobody answers for any more are forgotten at a time.
const MOST_FORGOTTEN: u32 = 2;

impl<T: Config> Pallet<T> {
    /// The voters of genesis.
    pub(crate) fn name_first_voters(voters: Vec<Voter>) -> Result<(), Error<T>> {
        if voters.is_empty() {
            return Ok(());
        }
        let voters = Voters::try_from(voters).map_err(|_| Error::<T>::BadVoters)?;
        ensure!(are_sound(&voters), Error::<T>::BadVoters);
        let authorities = pallet_grandpa::BoundedAuthorityList::<T::MaxAuthorities>::try_from(authorities(&voters));
        pallet_grandpa::Authorities::<T>::put(authorities.map_err(|_| Error::<T>::BadVoters)?);
        Sets::<T>::insert(0, Set { voters, handed_over: None });
        Ok(())
    }

    /// Notes the hash of the block before this one, if it changed the set.
    pub(crate) fn note_hash_of_change() {
        if let Some(change) = Handover::<T>::get().filter(|change| change.hash.is_none()) {
            let hash = Some(frame_system::Pallet::<T>::parent_hash());
            Handover::<T>::put(Change { hash, ..change });
        }
    }

    /// Chooses other voters at the start of an epoch, if it is time and nothing waits to be proven before. Says how many candidates it looked at.
    pub(crate) fn elect_if_due() -> Option<u32> {
        let (epoch, number) = (T::Epochs::current(), Self::block_number());
        // The first epoch begins with genesis, and there is nothing to choose by.
        if epoch.first != number || epoch.index < NextElection::<T>::get() {
            return None;
        }
        if Handover::<T>::exists() || PendingChange::<T>::exists() {
            return None;
        }
        let candidates = Candidates::<T>::decode_len().unwrap_or(0);
        Self::elect(epoch.index);
        u32::try_from(candidates).ok()
    }

    pub(crate) fn elect(epoch: EpochIndex) {
        let Ok(rules) = Self::rules() else { return };
        let candidate = |(bond, account)| {
            let key = Bonds::<T>::get(&account)?.key;
            let bits_per_second = T::Snapshots::behind(&account);
            Some(Candidate { account, key, bond, bits_per_second })
        };
        let candidates = Candidates::<T>::get().into_iter().filter_map(candidate).collect();
        let Some(voters) = elect(candidates, &rules.finality, rules.least_total_bits_per_second) else { return };
        let voters = Voters::truncate_from(voters);
        let current = CurrentSetId::<T>::get();
        if Sets::<T>::get(current).is_some_and(|set| set.voters == voters) {
            return;
        }
        // Never while another change is pending, which would be an error.
        if pallet_grandpa::Pallet::<T>::schedule_change(authorities(&voters), 0u32.into(), None).is_err() {
            return;
        }
        NextElection::<T>::put(epoch.saturating_add(rules.finality.epochs_per_set));
        Handover::<T>::put(Change { number: Self::block_number(), hash: None });
        Self::seat(current.saturating_add(1), voters);
        Self::forget_sets(rules.unbonding_blocks);
    }

    /// Makes a set the current one.
    fn seat(set: SetId, voters: Voters) {
        CurrentSetId::<T>::put(set);
        for voter in &voters {
            Bonds::<T>::mutate(&voter.account, |bonded| {
                if let Some(bonded) = bonded {
                    bonded.last = Some(set);
                    // A set that governance named may have the number of one that never was, which somebody bonded after.
                    bonded.since = bonded.since.min(set);
                }
            });
        }
        if !Sets::<T>::contains_key(OldestSet::<T>::get()) {
            OldestSet::<T>::put(set);
        }
        Sets::<T>::insert(set, Set { voters: voters.clone(), handed_over: None });
        Self::deposit_event(Event::SetChanged { set, voters });
    }

    /// Notes that a set is over.
    pub(crate) fn note_handed_over(set: SetId) {
        let number = Self::block_number();
        Sets::<T>::mutate(set, |set| {
            if let Some(set) = set {
                set.handed_over = Some(number);
            }
        });
    }

    /// Forgets the oldest sets, as far as no bond answers for them any more.
    fn forget_sets(unbonding_blocks: BlockNumber) {
        let number = Self::block_number();
        for _ in 0..MOST_FORGOTTEN {
            let oldest = OldestSet::<T>::get();
            let over = Sets::<T>::get(oldest).and_then(|set| set.handed_over);
            if over.is_none_or(|over| over.saturating_add(unbonding_blocks) >= number) {
                return;
            }
            Sets::<T>::remove(oldest);
            OldestSet::<T>::put(oldest.saturating_add(1));
        }
    }

    pub(crate) fn schedule_forced_change(
        delay: BlockNumber,
        last_final: BlockNumber,
        voters: Voters,
    ) -> DispatchResult {
        let number = Self::block_number();
        ensure!(!voters.is_empty() && are_sound(&voters) && last_final < number, Error::<T>::BadVoters);
        let rules = Self::rules()?;
        ensure!((rules.snapshot_depth..=rules.unbonding_blocks).contains(&delay), Error::<T>::BadDelay);
        let list = authorities(&voters);
        pallet_grandpa::Pallet::<T>::schedule_change(list, delay.into(), Some(last_final.into()))?;
        let at = number.saturating_add(delay);
        ForcedChange::<T>::put(Forced { at, last_final, voters });
        Self::deposit_event(Event::StallEnds { at });
        Ok(())
    }

    /// Makes the voters that governance named the current set.
    ///
    /// Nodes number sets by what they saw final. A change after the last final block never happened for them: the set that it made is replaced, and
    /// one that is final is followed.
    pub(crate) fn force_change_if_due(number: BlockNumber) {
        let Some(forced) = ForcedChange::<T>::get().filter(|forced| forced.at <= number) else { return };
        let current = CurrentSetId::<T>::get();
        let unproven = Handover::<T>::take();
        let was_never = unproven.is_some_and(|change| change.number > forced.last_final);
        let set = if was_never { current } else { current.saturating_add(1) };
        // Where the last change was final and only the chain was not told, two sets are over at once.
        let over = [current.checked_sub(1).filter(|_| unproven.is_some()), set.checked_sub(1)];
        for before in over.into_iter().flatten() {
            Self::note_handed_over(before);
        }
        ForcedChange::<T>::kill();
        Self::seat(set, forced.voters);
    }
}

/// What GRANDPA is told of voters.
fn authorities(voters: &[Voter]) -> AuthorityList {
    voters.iter().map(|voter| (voter.key.clone(), voter.weight)).collect()
}

/// Whether each has a key of its own, and a weight, whose sum nodes can count.
fn are_sound(voters: &[Voter]) -> bool {
    let keys: BTreeSet<_> = voters.iter().map(|voter| &voter.key).collect();
    keys.len() == voters.len() && voters.iter().all(|voter| (1..=WHOLE).contains(&voter.weight))
}
