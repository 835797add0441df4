//! What holds in every state.

use crate::{Channels, Config, HoldReason, Keys, Listings, NextChannel, Pallet};
use alloc::collections::BTreeMap;
use frame_support::{ensure, traits::fungible::InspectHold};
use sp_runtime::TryRuntimeError;
use weir_primitives::{market::Channel, AccountId, Balance};

impl<T: Config> Pallet<T> {
    pub(crate) fn do_try_state() -> Result<(), TryRuntimeError> {
        let mut held = BTreeMap::<AccountId, Balance>::new();
        let mut channels = 0u64;
        for (number, channel) in Channels::<T>::iter() {
            let Channel { consumer, paid, deposit, key, burned, .. } = &channel;
            ensure!(number < NextChannel::<T>::get(), "a channel has the number of the next one");
            ensure!(paid.amount <= *deposit && *burned <= paid.amount, "more was paid than was put in");
            ensure!(Keys::<T>::get(key) == Some(number), "a channel's key signs for another one");
            let sum = held.entry(consumer.clone()).or_default();
            *sum = sum.saturating_add(channel.held());
            channels = channels.saturating_add(1);
        }
        ensure!(Keys::<T>::iter().count() as u64 == channels, "a key signs for no channel");
        for (consumer, sum) in held {
            let on_hold = T::Currency::balance_on_hold(&HoldReason::Channel.into(), &consumer);
            ensure!(on_hold == sum, "what is held is not what is behind channels");
        }
        for (provider, listing) in Listings::<T>::iter() {
            ensure!(listing.makes_sense(), "a listing makes no sense");
            let on_hold = T::Currency::balance_on_hold(&HoldReason::Listing.into(), &provider);
            ensure!(on_hold > 0, "nothing is held for a listing");
        }
        Ok(())
    }
}
