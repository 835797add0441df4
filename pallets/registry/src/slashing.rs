//! Taking bonds from those who lied.

use crate::{
    types::{Role, Standing},
    Challengers, Config, Error, Event, HoldReason, Pallet, Providers,
};
use frame_support::{
    storage::with_storage_layer,
    traits::{
        fungible::MutateHold,
        tokens::{Fortitude, Precision, Restriction},
    },
};
use sp_runtime::{DispatchError, Perbill};
use weir_primitives::{AccountId, Balance};

/// The part of a slashed bond that goes to who showed why.
pub const REPORTER_SHARE: Perbill = Perbill::from_percent(10);

impl<T: Config> Pallet<T> {
    /// Takes a part of a bond, and whoever it was of out of draws: a tenth goes to who showed the proof, if somebody did, and the rest is
    /// burned. Says how much was taken.
    ///
    /// A bond that is leaving is within reach until it was paid back. Who shows a proof against himself still loses nine tenths.
    ///
    /// # Errors
    ///
    /// When the account has no bond in this role. Nothing is taken then.
    pub fn take_bond(
        account: &AccountId,
        role: Role,
        part: Perbill,
        shown_by: Option<&AccountId>,
    ) -> Result<Balance, DispatchError> {
        with_storage_layer(|| Self::take_bond_or_nothing(account, role, part, shown_by))
    }

    fn take_bond_or_nothing(
        account: &AccountId,
        role: Role,
        part: Perbill,
        shown_by: Option<&AccountId>,
    ) -> Result<Balance, DispatchError> {
        let (reason, taken) = match role {
            Role::Provider => (HoldReason::Provider, Self::cut_provider(account, part)?),
            Role::Challenger => (HoldReason::Challenger, Self::cut_challenger(account, part)?),
        };
        let reason = reason.into();
        let mut burned = taken;
        if let Some(reporter) = shown_by {
            let share = REPORTER_SHARE.mul_floor(taken);
            // A reporter that cannot hold it gets nothing.
            let given = T::Currency::transfer_on_hold(
                &reason,
                account,
                reporter,
                share,
                Precision::Exact,
                Restriction::Free,
                Fortitude::Force,
            );
            burned = burned.saturating_sub(given.unwrap_or(0));
        }
        T::Currency::burn_held(&reason, account, burned, Precision::Exact, Fortitude::Force)?;
        let (account, rewarded) = (account.clone(), taken.saturating_sub(burned));
        Self::deposit_event(Event::Slashed { account, role, taken, burned, rewarded });
        Ok(taken)
    }

    /// Lowers what a provider has bonded, and puts it out of its slot.
    fn cut_provider(account: &AccountId, part: Perbill) -> Result<Balance, DispatchError> {
        let mut provider = Providers::<T>::get(account).ok_or(Error::<T>::NotRegistered)?;
        let until = Self::unbonded_at()?;
        let (excess, excess_until) = provider.excess.unwrap_or((0, 0));
        let (of_bond, of_excess) = (part.mul_ceil(provider.bond), part.mul_ceil(excess));
        provider.bond = provider.bond.saturating_sub(of_bond);
        let left = excess.saturating_sub(of_excess);
        provider.excess = (left > 0).then_some((left, excess_until));
        if let Some(slot) = provider.slot.take() {
            provider.leaves = Some(until);
            Self::retire_identity(provider.identity, until);
            Self::empty_provider_slot(slot);
        }
        Providers::<T>::insert(account, provider);
        Ok(of_bond.saturating_add(of_excess))
    }

    /// Lowers what a challenger has bonded, and puts it out of its slot or the queue.
    fn cut_challenger(account: &AccountId, part: Perbill) -> Result<Balance, DispatchError> {
        let until = Self::unbonded_at()?;
        if let Some(Standing::Waiting { place }) = Challengers::<T>::get(account).map(|it| it.standing) {
            Self::stop_waiting(place);
        }
        let mut challenger = Challengers::<T>::get(account).ok_or(Error::<T>::NotRegistered)?;
        if let Standing::Active { slot } = challenger.standing {
            Self::empty_challenger_slot(slot);
        }
        let taken = part.mul_ceil(challenger.bond);
        challenger.bond = challenger.bond.saturating_sub(taken);
        if !challenger.is_leaving() {
            challenger.standing = Standing::Leaving { until };
            Self::retire_identity(challenger.identity, until);
        }
        Challengers::<T>::insert(account, challenger);
        Ok(taken)
    }
}
