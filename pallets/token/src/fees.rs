//! Fees: collected while a block is made, and split at its end.

use crate::{Config, CreditOf, Event, Pallet, PendingFees, FEE_AUTHOR_SHARE, FEE_TREASURY_SHARE};
use frame_support::traits::{fungible::Balanced, Imbalance, OnUnbalanced, SuppressedDrop};
use weir_primitives::{interfaces::CurrentBlock, AccountId, Balance};

impl<T: Config> Pallet<T> {
    /// Splits what the transactions of the block have paid.
    pub(crate) fn split_fees() {
        let Some((fees, tips)) = PendingFees::<T>::take() else { return };
        let (fees, tips) = (fees.into_inner(), tips.into_inner());
        let (gross, tipped) = (fees.peek(), tips.peek());
        let (to_author, rest) = fees.split(FEE_AUTHOR_SHARE.mul_floor(gross));
        let (to_treasury, to_burn) = rest.split(FEE_TREASURY_SHARE.mul_floor(gross));
        let author = Self::give(T::CurrentBlock::author(), to_author.merge(tips));
        let treasury = Self::give(Some(Self::treasury()), to_treasury);
        // Dropping a credit burns it.
        drop(to_burn);
        let burned = gross.saturating_add(tipped).saturating_sub(author).saturating_sub(treasury);
        Self::deposit_event(Event::FeesSplit { gross, tips: tipped, burned, author, treasury });
    }

    /// Gives a part of the fees to somebody; burns it, and says zero, if nobody can take it.
    fn give(account: Option<AccountId>, part: CreditOf<T>) -> Balance {
        let amount = part.peek();
        match account {
            Some(account) if T::Currency::resolve(&account, part).is_ok() => amount,
            _ => 0,
        }
    }
}

/// Collects fees. Given to the fee handler of `pallet-transaction-payment`, which hands over the fee first and then the tip.
impl<T: Config> OnUnbalanced<CreditOf<T>> for Pallet<T> {
    fn on_unbalanceds(mut fee_then_tip: impl Iterator<Item = CreditOf<T>>) {
        let fee = fee_then_tip.next().unwrap_or_default();
        let tip = fee_then_tip.next().unwrap_or_default();
        if fee.peek() == 0 && tip.peek() == 0 {
            return;
        }
        let (mut fees, mut tips) = PendingFees::<T>::get().unwrap_or_default();
        fees.as_mut().subsume(fee);
        tips.as_mut().subsume(tip);
        PendingFees::<T>::put((fees, tips));
    }
}
