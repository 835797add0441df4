//! The invariants of the storage.

use crate::{Bonds, Candidates, Config, HoldReason, Keys, OldestSet, Pallet, Sets};
use frame_support::{ensure, traits::fungible::InspectHold};
use pallet_grandpa::{Authorities, CurrentSetId, PendingChange};
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
    /// Checks the invariants of the storage.
    ///
    /// # Errors
    ///
    /// One sentence about the first that does not hold.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        let candidates = Candidates::<T>::get();
        let mut standing = 0usize;
        for (account, bonded) in Bonds::<T>::iter() {
            let held = T::Currency::balance_on_hold(&HoldReason::Voter.into(), &account);
            ensure!(held == bonded.bond, "what is held of a voter is not its bond");
            ensure!(Keys::<T>::get(&bonded.key).as_ref() == Some(&account), "a key votes for somebody else");
            let stands = candidates.iter().filter(|(bond, it)| *it == account && *bond == bonded.bond).count();
            ensure!(stands == usize::from(bonded.left.is_none()), "a bond stands for election, or does not, wrongly");
            standing = standing.saturating_add(stands);
        }
        ensure!(standing == candidates.len(), "somebody without a bond stands for election");
        ensure!(Keys::<T>::iter().count() == Bonds::<T>::iter().count(), "a key votes for nobody");

        let current = CurrentSetId::<T>::get();
        let Some(set) = Sets::<T>::get(current) else {
            ensure!(Authorities::<T>::get().is_empty(), "GRANDPA has voters that nobody knows");
            return Ok(());
        };
        ensure!(Sets::<T>::iter_keys().all(|it| (OldestSet::<T>::get()..=current).contains(&it)), "a set is lost");
        let voters = set.voters.iter().map(|it| (it.key.clone(), it.weight));
        ensure!(
            PendingChange::<T>::exists() || voters.eq(Authorities::<T>::get().into_inner()),
            "GRANDPA has other voters than the set"
        );
        Ok(())
    }
}
