//! Emission, and how a reward is issued: a fifth free, the rest held until it vests.

use crate::{
    migrations, Budget, Config, CurrentBudget, Event, HoldReason, Pallet, Payees, Promised, Reason, Rings, Sums,
    AUTHORS_SHARE, BATCHES_SHARE, CAP, CAPACITY_SHARE, LIQUID_SHARE,
};
use frame_support::{
    ensure,
    storage::with_storage_layer,
    traits::{
        fungible::{Mutate, MutateHold},
        tokens::Precision,
        Get,
    },
};
use sp_runtime::{ArithmeticError, DispatchError, DispatchResult, Perbill, Saturating};
use weir_primitives::{
    interfaces::{Everybody, OnAuthored, OnEpochBorder},
    parameters::Token,
    AccountId, Balance, Epoch,
};

impl<T: Config> Pallet<T> {
    /// Sets what an epoch may issue, adds it to the schedule, and says how much that is.
    pub(crate) fn set_budget(epoch: Epoch, token: &Token) -> Balance {
        let mut sums = Sums::<T>::get();
        let issued = sums.issued.saturating_add(Promised::<T>::get());
        let left = CAP.saturating_sub(issued);
        // What is left is below 2^90: exact. An epoch that is longer than the divisor issues all of it and no more.
        let emission = left
            .saturating_mul(epoch.blocks.into())
            .checked_div(Balance::from(token.emission_divisor))
            .unwrap_or(0)
            .min(left);
        let budget = Budget {
            per_block: Perbill::one()
                .saturating_sub(BATCHES_SHARE)
                .mul_floor(AUTHORS_SHARE.mul_floor(emission))
                .checked_div(epoch.blocks.into())
                .unwrap_or(0),
            capacity: CAPACITY_SHARE.mul_floor(emission),
        };
        sums.scheduled = issued.saturating_add(emission);
        CurrentBudget::<T>::put(budget);
        let scheduled = sums.scheduled;
        Sums::<T>::put(sums);
        Self::deposit_event(Event::EpochBudget {
            epoch: epoch.index,
            per_block: budget.per_block,
            capacity: budget.capacity,
            scheduled,
        });
        emission
    }

    /// Issues a reward, a fifth free and the rest held; nothing at all if the account cannot take it.
    pub(crate) fn reward(account: &AccountId, reason: Reason, gross: Balance) {
        if gross == 0 {
            return;
        }
        let issued = with_storage_layer(|| Self::issue(account, reason, gross));
        if issued.is_err() {
            Self::deposit_event(Event::RewardLost { account: account.clone(), reason, gross });
        }
    }

    fn issue(account: &AccountId, reason: Reason, gross: Balance) -> DispatchResult {
        let payee = Payees::<T>::get(account).unwrap_or_else(|| account.clone());
        let liquid = LIQUID_SHARE.mul_floor(gross);
        let vesting = gross.saturating_sub(liquid);
        Self::release_vested(&payee)?;

        let mut sums = Sums::<T>::get();
        sums.issued = sums.issued.saturating_add(gross);
        ensure!(sums.issued <= CAP, DispatchError::Arithmetic(ArithmeticError::Overflow));
        sums.vesting = sums.vesting.saturating_add(vesting);
        T::Currency::mint_into(&payee, gross)?;
        T::Currency::hold(&HoldReason::Vesting.into(), &payee, vesting)?;
        Rings::<T>::mutate(&payee, |ring| ring.add(vesting, Self::block_number(), T::VestingBlocks::get()));
        Sums::<T>::put(sums);
        Self::deposit_event(Event::Rewarded { account: account.clone(), payee, reason, gross, liquid, vesting });
        Ok(())
    }

    /// Releases what has vested, and says how much.
    pub(crate) fn release_vested(account: &AccountId) -> Result<Balance, DispatchError> {
        migrations::move_ring::<T>(account);
        let mut ring = Rings::<T>::get(account);
        let amount = ring.release(Self::block_number());
        if amount == 0 {
            return Ok(0);
        }
        T::Currency::release(&HoldReason::Vesting.into(), account, amount, Precision::Exact)?;
        Sums::<T>::mutate(|sums| sums.vesting = sums.vesting.saturating_sub(amount));
        if ring.held() == 0 {
            Rings::<T>::remove(account);
        } else {
            Rings::<T>::insert(account, ring);
        }
        Ok(amount)
    }
}

impl<T: Config> OnAuthored for Pallet<T> {
    fn on_authored(author: &AccountId) {
        Self::reward(author, Reason::Block, CurrentBudget::<T>::get().per_block);
    }
}

impl<T: Config> OnEpochBorder for Pallet<T> {
    fn on_epoch_border(epoch: Epoch, everybody: &Everybody, is_paid: bool) {
        let Some(parameters) = T::Parameters::get() else { return };
        let emission = Self::set_budget(epoch, &parameters.token);
        Self::begin_epoch(emission, everybody, is_paid, &parameters);
        Self::begin_traffic(emission);
    }
}
