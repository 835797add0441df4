//! What bandwidth and those who measure it earn, in constant time for each account.
//!
//! | who | gets | is paid |
//! | --- | --- | --- |
//! | provider | of the capacity of each epoch, when it begins, by what is guaranteed of it in that epoch ([`Accumulator`]) | when it is measured, or claims |
//! | challenger | for each duty that it met, by the bytes that it was to send and take, and a little for each ([`Duties`]) | with its first duty of a later epoch, or when it claims |
//! | author | for each batch of reports of a whole committee that it is the first to include ([`Batches`]) | at once |
//!
//! What was earned and not paid yet is [`Promised`]: it counts as issued when the next emission is worked out.

use crate::{
    Batches, CapacityShares, CapacityTotal, Config, Duties, DutyBudget, Pallet, Promised, Reason, AUTHORS_SHARE,
    BATCHES_SHARE, CAPACITY_SHARE, CHALLENGERS_SHARE, LIQUID_SHARE,
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::traits::fungible::Inspect;
use scale_info::TypeInfo;
use sp_core::U256;
use sp_runtime::Perbill;
use weir_primitives::{
    accumulator::Accumulator,
    interfaces::{Epochs, Everybody, OnDuty, OnGuaranteed, OnIncluded, OnMeasured, Units},
    parameters::Parameters,
    registry::LEAST_BITS_PER_SECOND,
    AccountId, Balance, EpochIndex,
};

/// What a duty counts for beside the bytes that were assigned, in bytes: all that one counts for in a challenge that was void.
const BYTES_PER_DUTY: u64 = 100_000;
/// The most that a challenger gets in an epoch, as a part of its bond.
const MOST_OF_BOND: Perbill = Perbill::from_parts(2_000_000);

/// What is left for batches in an epoch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct BatchBudget {
    /// What each batch gets its author.
    pub each: Balance,
    /// What is left.
    pub left: Balance,
}

/// What challengers are paid in an epoch, and what they did.
///
/// The price of a byte follows from what all did in the epoch before, and from what is expected of them, so that a duty is worth a fixed sum when
/// it is booked, and where few challenges are held nobody gets more for one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct DutyPrices {
    /// What there is for all: the share of challengers, or what they get at the most if that is less.
    pub budget: Balance,
    /// What is left of it.
    pub left: Balance,
    /// The most that one of them gets.
    pub most: Balance,
    /// The bytes that the budget pays: of all duties in the epoch before, or of those that are expected, if that is more.
    pub bytes_before: u128,
    /// The bytes of all duties in this one.
    pub bytes: u128,
}

/// What a challenger has earned.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Earned {
    /// The epoch of its last duty.
    pub epoch: EpochIndex,
    /// What it has earned in that.
    pub in_epoch: Balance,
    /// What was not paid yet, that included.
    pub owed: Balance,
}

/// What all duties of an epoch count for if every challenge is held: what is paid does not depend on how many were not.
fn expected_bytes(everybody: &Everybody, parameters: &Parameters) -> u128 {
    let measurement = &parameters.measurement;
    // Half as much again as what is wanted, down and up.
    let bits = everybody.wanted.saturating_mul(3).saturating_mul(measurement.train_us.into());
    let bytes = bits.checked_div(8_000_000).unwrap_or(0);
    let members = u128::from(everybody.providers).saturating_mul(measurement.committee.into());
    bytes
        .saturating_add(members.saturating_mul(BYTES_PER_DUTY.into()))
        .saturating_mul(measurement.instants.max(1).into())
}

impl<T: Config> Pallet<T> {
    /// Shares the capacity of an epoch that begins, and sets what duties and batches are worth in it.
    pub(crate) fn begin_epoch(emission: Balance, everybody: &Everybody, is_paid: bool, parameters: &Parameters) {
        if is_paid {
            let capacity = CAPACITY_SHARE.mul_floor(emission);
            let full_pay = parameters.token.full_pay_bits_per_second;
            let shared = CapacityTotal::<T>::mutate(|total| total.share(capacity, full_pay));
            Promised::<T>::mutate(|promised| *promised = promised.saturating_add(shared));
        }
        let most = MOST_OF_BOND.mul_floor(parameters.registry.challenger_bond);
        let budget = CHALLENGERS_SHARE.mul_floor(emission).min(most.saturating_mul(everybody.challengers.into()));
        let challenges = u64::from(everybody.providers).saturating_mul(parameters.measurement.instants.max(1).into());
        let expected = expected_bytes(everybody, parameters);
        DutyBudget::<T>::mutate(|prices| {
            *prices = DutyPrices { budget, left: budget, most, bytes_before: prices.bytes.max(expected), bytes: 0 };
        });
        // Never more than its part of the bond of the smallest provider: else who includes the batches of providers of its own has their
        // bonds back in a day.
        let most_each = MOST_OF_BOND.mul_floor(parameters.registry.bond_of_provider(LEAST_BITS_PER_SECOND));
        let left = if is_paid { BATCHES_SHARE.mul_floor(AUTHORS_SHARE.mul_floor(emission)) } else { 0 };
        let each = left.checked_div(Balance::from(challenges.max(1))).unwrap_or(0).min(most_each);
        Batches::<T>::put(BatchBudget { each, left });
    }

    /// What an account has earned by bandwidth, duties or traffic, and was not paid yet.
    pub fn owed(account: &AccountId) -> Balance {
        let capacity = CapacityShares::<T>::get(account).map_or(0, |share| share.owed(&CapacityTotal::<T>::get()));
        let duties = Duties::<T>::get(account).owed;
        capacity.saturating_add(duties).saturating_add(Self::owed_for_traffic(account))
    }

    /// Pays what an account has earned by bandwidth. Says how much that was.
    pub(crate) fn pay_capacity(account: &AccountId) -> Balance {
        let total = CapacityTotal::<T>::get();
        let owed = CapacityShares::<T>::mutate_exists(account, |share| {
            let Some(kept) = share else { return 0 };
            if !Self::is_worth_paying(kept.owed(&total)) {
                return 0;
            }
            let owed = kept.take(&total);
            if kept.is_empty() {
                *share = None;
            }
            owed
        });
        Self::pay_promised(account, Reason::Capacity, owed)
    }

    /// Pays what a challenger has earned. Says how much that was.
    pub(crate) fn pay_duties(account: &AccountId) -> Balance {
        let current = T::Epochs::current().index;
        let owed = Duties::<T>::mutate_exists(account, |earned| {
            let Some(kept) = earned else { return 0 };
            if !Self::is_worth_paying(kept.owed) {
                return 0;
            }
            let owed = core::mem::take(&mut kept.owed);
            // What it got in this epoch bounds what it can get.
            if kept.epoch != current {
                *earned = None;
            }
            owed
        });
        Self::pay_promised(account, Reason::Duties, owed)
    }

    /// Whether an account that has nothing could hold it. What is less waits for more: nobody can have it lost by claiming early.
    pub(crate) fn is_worth_paying(amount: Balance) -> bool {
        LIQUID_SHARE.mul_floor(amount) >= T::Currency::minimum_balance()
    }

    /// Pays something that was promised before. Says how much that was.
    pub(crate) fn pay_promised(account: &AccountId, reason: Reason, amount: Balance) -> Balance {
        Promised::<T>::mutate(|promised| *promised = promised.saturating_sub(amount));
        Self::reward(account, reason, amount);
        amount
    }
}

impl<T: Config> OnGuaranteed for Pallet<T> {
    /// The epoch that begins next is shared by what is guaranteed in it.
    fn on_guaranteed(provider: &AccountId, _: EpochIndex, before: Units<'_>, after: Units<'_>) {
        if before.bits_per_second == after.bits_per_second {
            return;
        }
        CapacityTotal::<T>::mutate(|total: &mut Accumulator| {
            CapacityShares::<T>::mutate_exists(provider, |share| {
                let mut kept = share.unwrap_or_default();
                kept.set_units(total, after.bits_per_second);
                *share = (!kept.is_empty()).then_some(kept);
            });
        });
    }
}

impl<T: Config> OnMeasured for Pallet<T> {
    fn on_measured(provider: &AccountId) {
        Self::pay_capacity(provider);
    }
}

impl<T: Config> OnDuty for Pallet<T> {
    fn on_duty(challenger: &AccountId, assigned_bytes: u64) -> bool {
        let current = T::Epochs::current().index;
        let is_first = Duties::<T>::get(challenger).epoch != current;
        let was_paid = is_first && Self::pay_duties(challenger) > 0;
        let bytes = assigned_bytes.saturating_add(BYTES_PER_DUTY);
        DutyBudget::<T>::mutate(|prices| {
            prices.bytes = prices.bytes.saturating_add(bytes.into());
            Duties::<T>::mutate(challenger, |earned| {
                if earned.epoch != current {
                    (earned.epoch, earned.in_epoch) = (current, 0);
                }
                // A budget is below 2⁹⁰ and bytes below 2⁶⁴: exact in 256 bits.
                let worth = U256::from(prices.budget)
                    .saturating_mul(bytes.into())
                    .checked_div(prices.bytes_before.into())
                    .and_then(|worth| Balance::try_from(worth).ok())
                    .unwrap_or(0);
                let worth = worth.min(prices.left).min(prices.most.saturating_sub(earned.in_epoch));
                prices.left = prices.left.saturating_sub(worth);
                earned.in_epoch = earned.in_epoch.saturating_add(worth);
                earned.owed = earned.owed.saturating_add(worth);
                Promised::<T>::mutate(|promised| *promised = promised.saturating_add(worth));
            });
        });
        was_paid
    }
}

impl<T: Config> OnIncluded for Pallet<T> {
    fn on_included(author: &AccountId) {
        let amount = Batches::<T>::mutate(|batches| {
            let amount = batches.each.min(batches.left);
            batches.left = batches.left.saturating_sub(amount);
            amount
        });
        Self::reward(author, Reason::Batch, amount);
    }
}
