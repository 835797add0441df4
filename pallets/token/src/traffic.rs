//! What traffic earns: a part of what was burned when it was paid for, in constant time for each payment.
//!
//! A payment claims at most κ of its own burn ([`mintable`]), and less where its bytes are more than what the provider's line can have carried in
//! the epoch. What is claimed in an epoch shares its budget of traffic: each claim is paid in full, or all are scaled down by one factor, which is
//! known when the epoch is over. Claims of a provider are credited by that factor when it is paid for traffic in a later epoch, or claims.
//! So nobody has to be visited at the border of an epoch, and an epoch is forgotten when the last claim in it was credited.

use crate::{Config, Pallet, Promised, Reason, Traffic, TrafficBudget, TrafficEpochs, TRAFFIC_SHARE};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::traits::Get;
use scale_info::TypeInfo;
use sp_core::U256;
use weir_primitives::{
    interfaces::{Epochs, OnTraffic},
    market::{bytes_that_count, mintable},
    AccountId, Balance, EpochIndex,
};

/// What is claimed in an epoch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Claims {
    /// What there is for all.
    pub budget: Balance,
    /// What all claim.
    pub sum: Balance,
    /// How many providers' claims were not credited yet.
    pub providers: u32,
}

impl Claims {
    /// What they are worth together.
    pub fn worth(&self) -> Balance {
        self.sum.min(self.budget)
    }

    /// What one of them is worth.
    pub fn worth_of(&self, claim: Balance) -> Balance {
        if self.sum <= self.budget {
            return claim;
        }
        // Both are below 2⁹⁰.
        let part = U256::from(claim).saturating_mul(self.budget.into()).checked_div(self.sum.into());
        part.and_then(|part| Balance::try_from(part).ok()).unwrap_or(0)
    }
}

/// What a provider's traffic has earned.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Sold {
    /// The epoch in which it was paid last.
    pub epoch: EpochIndex,
    /// How many bytes have counted in that.
    pub bytes: u64,
    /// What it claims in that.
    pub claim: Balance,
    /// What it has earned in others, and was not paid yet.
    pub owed: Balance,
}

impl<T: Config> Pallet<T> {
    /// Sets what traffic can mint in an epoch that begins.
    pub(crate) fn begin_traffic(emission: Balance) {
        TrafficBudget::<T>::put(TRAFFIC_SHARE.mul_floor(emission));
    }

    /// What a provider has earned by traffic in epochs that are over, and was not paid yet.
    pub(crate) fn owed_for_traffic(provider: &AccountId) -> Balance {
        let sold = Traffic::<T>::get(provider);
        let is_over = sold.epoch < T::Epochs::current().index;
        let credited = if is_over { TrafficEpochs::<T>::get(sold.epoch).worth_of(sold.claim) } else { 0 };
        sold.owed.saturating_add(credited)
    }

    /// Pays what a provider has earned by traffic in epochs that are over. Says how much that was.
    pub(crate) fn pay_traffic(provider: &AccountId) -> Balance {
        let current = T::Epochs::current().index;
        let owed = Traffic::<T>::mutate_exists(provider, |sold| {
            let Some(kept) = sold else { return 0 };
            Self::credit_traffic(kept, current);
            if !Self::is_worth_paying(kept.owed) {
                return 0;
            }
            let owed = core::mem::take(&mut kept.owed);
            // What counted in this epoch bounds what can.
            if kept.epoch != current {
                *sold = None;
            }
            owed
        });
        Self::pay_promised(provider, Reason::Traffic, owed)
    }

    /// Turns the claim of an epoch that is over into what it was worth.
    fn credit_traffic(sold: &mut Sold, current: EpochIndex) {
        if sold.epoch >= current || sold.claim == 0 {
            return;
        }
        let claim = core::mem::take(&mut sold.claim);
        TrafficEpochs::<T>::mutate_exists(sold.epoch, |claims| {
            let Some(kept) = claims else { return };
            sold.owed = sold.owed.saturating_add(kept.worth_of(claim));
            kept.providers = kept.providers.saturating_sub(1);
            if kept.providers == 0 {
                *claims = None;
            }
        });
    }
}

impl<T: Config> OnTraffic for Pallet<T> {
    fn on_traffic(provider: &AccountId, bytes: u64, guaranteed_bits_per_second: u64, burned: Balance) {
        let Some(parameters) = T::Parameters::get() else { return };
        let epoch = T::Epochs::current();
        if Traffic::<T>::get(provider).epoch != epoch.index {
            Self::pay_traffic(provider);
        }
        Traffic::<T>::mutate_exists(provider, |sold| {
            let mut kept = sold.unwrap_or_default();
            if kept.epoch != epoch.index {
                (kept.epoch, kept.bytes) = (epoch.index, 0);
            }
            let block_time = parameters.consensus.block_time;
            let counts = bytes_that_count(bytes, kept.bytes, guaranteed_bits_per_second, epoch.blocks, block_time);
            // What is claimed is below 2⁹⁰.
            let claim = U256::from(mintable(burned))
                .saturating_mul(counts.into())
                .checked_div(bytes.into())
                .and_then(|claim| Balance::try_from(claim).ok())
                .unwrap_or(0);
            if claim > 0 {
                let is_first = kept.claim == 0;
                let more = TrafficEpochs::<T>::mutate(epoch.index, |claims| {
                    if claims.sum == 0 {
                        claims.budget = TrafficBudget::<T>::get();
                    }
                    let before = claims.worth();
                    claims.sum = claims.sum.saturating_add(claim);
                    claims.providers = claims.providers.saturating_add(is_first.into());
                    claims.worth().saturating_sub(before)
                });
                Promised::<T>::mutate(|promised| *promised = promised.saturating_add(more));
            }
            kept.bytes = kept.bytes.saturating_add(counts);
            kept.claim = kept.claim.saturating_add(claim);
            *sold = (kept != Sold { epoch: epoch.index, ..Default::default() }).then_some(kept);
        });
    }
}
