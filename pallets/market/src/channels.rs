//! Channels: how they are opened, paid from, and closed.

use crate::{Channels, Config, Error, Event, HoldReason, Keys, Listings, NextChannel, Pallet, Reputations};
use frame_support::{
    ensure,
    pallet_prelude::DispatchResult,
    traits::{
        fungible::MutateHold,
        tokens::{Fortitude, Precision, Restriction},
        Get,
    },
};
use weir_primitives::{
    interfaces::{Guarantees, OnTraffic},
    market::{
        bytes_for, paid_of, receipt_payload, session_payload, split, Channel, ChannelId, Complaint, Receipt,
        ReceiptSignature, SessionKey, Split, Terms,
    },
    AccountId, Balance,
};

impl<T: Config> Pallet<T> {
    pub(crate) fn open_channel(
        consumer: AccountId,
        provider: AccountId,
        key: SessionKey,
        proof: &ReceiptSignature,
        deposit: Balance,
        at: Terms,
    ) -> DispatchResult {
        let rules = Self::rules()?;
        let listing = Listings::<T>::get(&provider).ok_or(Error::<T>::NotListed)?;
        ensure!(consumer != provider, Error::<T>::ToOneself);
        ensure!(listing.per_gib <= at.most_per_gib, Error::<T>::TooDear);
        ensure!(deposit >= rules.least_deposit, Error::<T>::DepositTooSmall);
        ensure!(!Keys::<T>::contains_key(key), Error::<T>::KeyTaken);
        // What was listed once may not be guaranteed any more.
        let guaranteed = T::Guarantees::of(&provider).unwrap_or(0);
        ensure!(guaranteed > 0, Error::<T>::NotGuaranteed);
        let promised = listing.offered_bits_per_second.min(guaranteed);
        ensure!(promised >= at.least_bits_per_second, Error::<T>::TooLittle);
        // Else who sees a key that is about to be used could keep its owner out.
        let payload = session_payload(Self::genesis_hash(), &consumer);
        ensure!(sp_io::crypto::ed25519_verify(proof, &payload, &key), Error::<T>::BadSignature);
        let held = deposit.saturating_add(rules.row_deposit);
        T::Currency::hold(&HoldReason::Channel.into(), &consumer, held)?;
        let channel = NextChannel::<T>::get();
        NextChannel::<T>::put(channel.saturating_add(1));
        let expires = Self::block_number().saturating_add(rules.channel_blocks);
        let per_gib = listing.per_gib;
        Keys::<T>::insert(key, channel);
        Channels::<T>::insert(
            channel,
            Channel {
                consumer: consumer.clone(),
                provider: provider.clone(),
                key,
                deposit,
                row_deposit: rules.row_deposit,
                paid: Receipt { bytes: 0, amount: 0 },
                burned: 0,
                per_gib,
                promised_bits_per_second: promised,
                guaranteed_bits_per_second: promised,
                less: None,
                expires,
                closes: None,
                was_disputed: false,
            },
        );
        Self::deposit_event(Event::Opened {
            channel,
            consumer,
            provider,
            key,
            per_gib,
            deposit,
            promised_bits_per_second: promised,
            expires,
        });
        Ok(())
    }

    pub(crate) fn add_to_channel(sender: &AccountId, channel: ChannelId, amount: Balance) -> DispatchResult {
        let mut entry = Channels::<T>::get(channel).ok_or(Error::<T>::NoChannel)?;
        ensure!(entry.consumer == *sender, Error::<T>::NotYours);
        ensure!(entry.closes.is_none(), Error::<T>::IsClosing);
        T::Currency::hold(&HoldReason::Channel.into(), sender, amount)?;
        entry.deposit = entry.deposit.saturating_add(amount);
        entry.expires = Self::block_number().saturating_add(Self::rules()?.channel_blocks);
        let (deposit, expires) = (entry.deposit, entry.expires);
        Channels::<T>::insert(channel, entry);
        Self::deposit_event(Event::ToppedUp { channel, deposit, expires });
        Ok(())
    }

    pub(crate) fn pay(channel: ChannelId, receipt: Receipt, signature: &ReceiptSignature) -> DispatchResult {
        let mut entry = Channels::<T>::get(channel).ok_or(Error::<T>::NoChannel)?;
        let before = entry.paid;
        ensure!(receipt.amount > before.amount, Error::<T>::OldReceipt);
        ensure!(receipt.amount <= entry.deposit, Error::<T>::Overspent);
        let payload = receipt_payload(Self::genesis_hash(), &entry.provider, channel, &receipt);
        ensure!(sp_io::crypto::ed25519_verify(signature, &payload, &entry.key), Error::<T>::BadSignature);

        let gross = receipt.amount.saturating_sub(before.amount);
        let guaranteed = T::Guarantees::of(&entry.provider).unwrap_or(0);
        let counts = entry.judge(guaranteed, Self::block_number(), Self::rules()?.dispute_blocks);
        let paid = paid_of(gross, counts, entry.promised_bits_per_second);
        let refunded = gross.saturating_sub(paid);
        // What a receipt names costs nothing; what was paid for is bounded by the price.
        let bytes = bytes_for(paid, entry.per_gib);
        let Split { burned, fee, net } = Self::transfer(&entry.consumer, &entry.provider, paid)?;
        Self::give_back(&entry.consumer, refunded)?;

        let is_first_dispute = entry.closes.is_some() && !entry.was_disputed;
        entry.was_disputed |= is_first_dispute;
        entry.paid = receipt;
        entry.burned = entry.burned.saturating_add(burned);
        let provider = entry.provider.clone();
        Channels::<T>::insert(channel, entry);
        Reputations::<T>::mutate(&provider, |known| {
            known.bytes = known.bytes.saturating_add(bytes);
            known.burned = known.burned.saturating_add(burned);
            known.refunded = known.refunded.saturating_add(refunded);
            known.disputes = known.disputes.saturating_add(is_first_dispute.into());
        });
        // Not what is burned since the treasury could not take it.
        T::OnTraffic::on_traffic(&provider, bytes, guaranteed.max(counts), burned.min(split(paid).burned));
        Self::deposit_event(Event::Settled { channel, provider, bytes, gross, refunded, burned, fee, net });
        Ok(())
    }

    /// Pays from what is held behind channels. What the treasury cannot take is burned.
    fn transfer(
        consumer: &AccountId,
        provider: &AccountId,
        gross: Balance,
    ) -> Result<Split, sp_runtime::DispatchError> {
        let reason = HoldReason::Channel.into();
        let mut parts = split(gross);
        let pay = |to: &AccountId, amount: Balance| {
            T::Currency::transfer_on_hold(
                &reason,
                consumer,
                to,
                amount,
                Precision::Exact,
                Restriction::Free,
                Fortitude::Force,
            )
        };
        if parts.fee > 0 && pay(&T::Treasury::get(), parts.fee).is_err() {
            parts.burned = parts.burned.saturating_add(parts.fee);
            parts.fee = 0;
        }
        if parts.net > 0 {
            pay(provider, parts.net)?;
        }
        if parts.burned > 0 {
            T::Currency::burn_held(&reason, consumer, parts.burned, Precision::Exact, Fortitude::Force)?;
        }
        Ok(parts)
    }

    fn give_back(consumer: &AccountId, amount: Balance) -> DispatchResult {
        if amount > 0 {
            T::Currency::release(&HoldReason::Channel.into(), consumer, amount, Precision::Exact)?;
        }
        Ok(())
    }

    pub(crate) fn close_channel(
        sender: &AccountId,
        channel: ChannelId,
        complaint: Option<Complaint>,
    ) -> DispatchResult {
        let mut entry = Channels::<T>::get(channel).ok_or(Error::<T>::NoChannel)?;
        if *sender == entry.provider {
            if entry.closes.is_none() {
                Reputations::<T>::mutate(sender, |known| known.closed_itself = known.closed_itself.saturating_add(1));
            }
            return Self::remove_channel(channel, &entry);
        }
        ensure!(*sender == entry.consumer, Error::<T>::NotYours);
        // Closing again would put the end off, for a provider that waits for it.
        ensure!(entry.closes.is_none(), Error::<T>::IsClosing);
        let until = Self::block_number().saturating_add(Self::rules()?.dispute_blocks);
        entry.closes = Some((until, complaint));
        Channels::<T>::insert(channel, entry);
        Self::deposit_event(Event::Closing { channel, until, complaint });
        Ok(())
    }

    pub(crate) fn finish_channel(channel: ChannelId) -> DispatchResult {
        let entry = Channels::<T>::get(channel).ok_or(Error::<T>::NoChannel)?;
        ensure!(Self::block_number() > entry.until(Self::rules()?.dispute_blocks), Error::<T>::TooEarly);
        Self::remove_channel(channel, &entry)
    }

    fn remove_channel(channel: ChannelId, entry: &Channel) -> DispatchResult {
        let returned = entry.held();
        Self::give_back(&entry.consumer, returned)?;
        Channels::<T>::remove(channel);
        Keys::<T>::remove(entry.key);
        Reputations::<T>::mutate(&entry.provider, |known| {
            known.channels = known.channels.saturating_add(1);
            if let (Some((_, Some(kind))), 1..) = (entry.closes, entry.burned) {
                let complaints = known.complaints(kind);
                complaints.channels = complaints.channels.saturating_add(1);
                complaints.burned = complaints.burned.saturating_add(entry.burned);
            }
        });
        Self::deposit_event(Event::Closed { channel, paid: entry.paid, returned });
        Ok(())
    }
}
