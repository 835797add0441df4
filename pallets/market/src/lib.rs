//! # Market
//!
//! Providers say what they sell; consumers open payment channels to them, and pay by the byte with receipts.
//!
//! ## Overview
//!
//! A provider [lists](Listing) a price per GiB, a country, what it serves, how much of its line it offers (at most what is guaranteed of it)
//! and where it is reached. A consumer opens a [`Channel`] to one provider with a deposit and a key that signs for this channel alone, so
//! that the machine which consumes never has the key of the account. What the key signs is cumulative. Whatever moved, one call settles
//! it, for the same weight, and anybody may submit it.
//!
//! | | who | when |
//! | --- | --- | --- |
//! | [`settle`](Pallet::settle) | anybody with a receipt | until the channel is gone |
//! | [`close`](Pallet::close) | the provider | at once: nobody but it can lose by that |
//! | | the consumer | begins the dispute window, in which receipts still settle |
//! | [`finish`](Pallet::finish) | anybody | after that window, or one that begins when the channel expires |
//!
//! Of receipts the one of the largest amount counts, whatever bytes it names. Of a payment a tenth is burned and a hundredth goes to the
//! treasury; whoever counts traffic is told how many bytes it pays for at the channel's price. Where less is guaranteed of the provider
//! than was promised when the channel was opened, a part of what is due goes back to the consumer: as much as is missing. Less than before
//! counts only a dispute window after a settlement saw it first ([`Channel::judge`]), so that whoever settles at a bad moment, or twice,
//! changes nothing of what was served before.
//!
//! ## Invariants
//!
//! - what is held for an account's channels = the sum over them of what was put in less what was paid for;
//! - each payment: gross = refunded + burned + fee + net;
//! - what was paid from a channel only grows, and is never above what was put in;
//! - no number of a channel is given twice; each key signs for one channel at a time;
//! - whatever the other side does, a consumer has what it did not sign for back a dispute window after it closes, and a provider is paid
//!   what was signed if it submits that within the window.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
#[allow(clippy::arithmetic_side_effects, reason = "of benchmarks")]
pub mod benchmarking;
mod channels;
mod listings;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;
#[cfg(any(feature = "try-runtime", test))]
mod try_state;
pub mod weights;

use alloc::vec::Vec;
use frame_support::{
    pallet_prelude::*,
    traits::{
        fungible::{Inspect, Mutate, MutateHold},
        Get,
    },
};
use frame_system::pallet_prelude::*;
pub use pallet::*;
use sp_runtime::SaturatedConversion;
use weights::WeightInfo;
use weir_primitives::{
    interfaces::{Guarantees, OnTraffic},
    market::{Channel, ChannelId, Complaint, Listing, Receipt, ReceiptSignature, Reputation, SessionKey, Terms},
    AccountId, Balance, BlockNumber, Hash,
};

/// How long things take on the market, and what they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// For how long receipts can be submitted after a consumer closed a channel.
    pub dispute_blocks: BlockNumber,
    /// How long a channel lives before anybody can close it.
    pub channel_blocks: BlockNumber,
    /// The least deposit of a channel.
    pub least_deposit: Balance,
    /// What is held for a channel's rows in the state beside its deposit.
    pub row_deposit: Balance,
    /// What is held for a listing.
    pub listing_deposit: Balance,
}

#[allow(clippy::expect_used, reason = "the macros of FRAME write it")]
#[frame_support::pallet]
pub mod pallet {
    use super::*;

    pub(crate) const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config:
        frame_system::Config<AccountId = AccountId, Hash = Hash, RuntimeEvent: From<Event<Self>>>
    {
        /// Holds deposits, and burns a part of what is paid.
        type Currency: Inspect<AccountId, Balance = Balance>
            + Mutate<AccountId>
            + MutateHold<AccountId, Reason = Self::RuntimeHoldReason>;
        /// The runtime's reasons for holds.
        type RuntimeHoldReason: From<HoldReason>;
        /// How long things take, and what they need.
        type Rules: Get<Option<Rules>>;
        /// Who gets the fees.
        type Treasury: Get<AccountId>;
        /// Knows what is guaranteed of providers.
        type Guarantees: Guarantees;
        /// Is told of traffic that was paid for.
        type OnTraffic: OnTraffic;
        /// What calls cost.
        type WeightInfo: WeightInfo;
    }

    /// Why funds are held.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// They are behind a channel.
        #[codec(index = 0)]
        Channel,
        /// They keep a listing.
        #[codec(index = 1)]
        Listing,
    }

    /// What providers sell.
    #[pallet::storage]
    pub type Listings<T> = StorageMap<_, Blake2_128Concat, AccountId, Listing, OptionQuery>;

    /// The channels that are open.
    #[pallet::storage]
    pub type Channels<T> = StorageMap<_, Twox64Concat, ChannelId, Channel, OptionQuery>;

    /// For which of them a key signs.
    #[pallet::storage]
    pub type Keys<T> = StorageMap<_, Blake2_128Concat, SessionKey, ChannelId, OptionQuery>;

    /// The number of the next channel.
    #[pallet::storage]
    pub type NextChannel<T> = StorageValue<_, ChannelId, ValueQuery>;

    /// What is known of those who sell, or have sold.
    #[pallet::storage]
    pub type Reputations<T> = StorageMap<_, Blake2_128Concat, AccountId, Reputation, ValueQuery>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A provider sells, on these terms from now on. Channels that are open keep theirs.
        Listed {
            /// The provider.
            provider: AccountId,
            /// What it sells.
            listing: Listing,
        },
        /// A provider sells no more.
        Unlisted {
            /// The provider.
            provider: AccountId,
        },
        /// A channel was opened.
        Opened {
            /// Its number.
            channel: ChannelId,
            /// Who pays.
            consumer: AccountId,
            /// Who is paid.
            provider: AccountId,
            /// The key that signs its receipts.
            key: SessionKey,
            /// What it costs, in planck per GiB.
            per_gib: Balance,
            /// What is behind it.
            deposit: Balance,
            /// What is promised, in bits per second.
            promised_bits_per_second: u64,
            /// The block from which on it can be closed by anybody.
            expires: BlockNumber,
        },
        /// More was put behind a channel.
        ToppedUp {
            /// Its number.
            channel: ChannelId,
            /// All that was put behind it.
            deposit: Balance,
            /// The block from which on it can be closed by anybody.
            expires: BlockNumber,
        },
        /// What a receipt says was paid: gross = refunded + burned + fee + net.
        Settled {
            /// The number of the channel.
            channel: ChannelId,
            /// Who was paid.
            provider: AccountId,
            /// How many bytes were paid for.
            bytes: u64,
            /// What was due for them.
            gross: Balance,
            /// What went back to the consumer, since less is guaranteed than was promised.
            refunded: Balance,
            /// What was burned.
            burned: Balance,
            /// What went to the treasury.
            fee: Balance,
            /// What went to the provider.
            net: Balance,
        },
        /// A consumer wants to close a channel.
        Closing {
            /// The number of the channel.
            channel: ChannelId,
            /// The block up to which receipts must be submitted.
            until: BlockNumber,
            /// What the consumer complains about.
            complaint: Option<Complaint>,
        },
        /// A channel is gone.
        Closed {
            /// Its number.
            channel: ChannelId,
            /// All that was paid by it.
            paid: Receipt,
            /// What was given back of the deposit.
            returned: Balance,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The chain has no parameters.
        NoParameters,
        /// The account is not registered as a provider.
        NotAProvider,
        /// More is offered than is guaranteed, or nothing.
        NotGuaranteed,
        /// The listing says nothing that makes sense: no price, nothing that is served, no country, or an endpoint of another shape.
        BadListing,
        /// There is no such listing.
        NotListed,
        /// The provider is registered, and the listing its own.
        StillProviding,
        /// The price is above what the consumer would pay.
        TooDear,
        /// Less is promised than the consumer needs.
        TooLittle,
        /// The deposit is less than a channel needs.
        DepositTooSmall,
        /// Who pays is who is paid.
        ToOneself,
        /// The key signs for another channel.
        KeyTaken,
        /// There is no such channel.
        NoChannel,
        /// The sender has no part in the channel.
        NotYours,
        /// The channel is closing.
        IsClosing,
        /// The receipt pays for nothing that was not paid.
        OldReceipt,
        /// The receipt is for more than is behind the channel.
        Overspent,
        /// The key of the channel has not signed this.
        BadSignature,
        /// Receipts can still be submitted.
        TooEarly,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call(weight = <T as Config>::WeightInfo)]
    impl<T: Config> Pallet<T> {
        /// Says what the sender sells, or changes it. A deposit is held while it is listed. Followed by [`Event::Listed`].
        #[pallet::call_index(0)]
        pub fn list(origin: OriginFor<T>, listing: Listing) -> DispatchResult {
            Self::put_listing(ensure_signed(origin)?, listing)
        }

        /// Takes a listing away: its provider, or anybody once that is no provider any more. Followed by [`Event::Unlisted`].
        #[pallet::call_index(1)]
        pub fn unlist(origin: OriginFor<T>, provider: AccountId) -> DispatchResult {
            Self::remove_listing(&ensure_signed(origin)?, provider)
        }

        /// Opens a channel to a provider, on terms that are no worse than those named. The key shows by a signature over
        /// [`weir_primitives::market::session_payload`] that it signs for the sender. Followed by [`Event::Opened`].
        #[pallet::call_index(2)]
        pub fn open(
            origin: OriginFor<T>,
            provider: AccountId,
            key: SessionKey,
            proof: ReceiptSignature,
            deposit: Balance,
            at: Terms,
        ) -> DispatchResult {
            Self::open_channel(ensure_signed(origin)?, provider, key, &proof, deposit, at)
        }

        /// Puts more behind a channel of the sender, and lets it live as long as a new one from now on. Followed by [`Event::ToppedUp`].
        #[pallet::call_index(3)]
        pub fn top_up(origin: OriginFor<T>, channel: ChannelId, amount: Balance) -> DispatchResult {
            Self::add_to_channel(&ensure_signed(origin)?, channel, amount)
        }

        /// Pays what a receipt says beyond what was paid before. Anybody may. Followed by [`Event::Settled`].
        #[pallet::call_index(4)]
        pub fn settle(
            origin: OriginFor<T>,
            channel: ChannelId,
            receipt: Receipt,
            signature: ReceiptSignature,
        ) -> DispatchResult {
            ensure_signed(origin)?;
            Self::pay(channel, receipt, &signature)
        }

        /// Closes a channel: at once if its provider asks, else when the dispute window is over. A consumer can say what it complains
        /// about. Followed by [`Event::Closed`] or [`Event::Closing`].
        #[pallet::call_index(5)]
        pub fn close(origin: OriginFor<T>, channel: ChannelId, complaint: Option<Complaint>) -> DispatchResult {
            Self::close_channel(&ensure_signed(origin)?, channel, complaint)
        }

        /// Gives back what is left of a channel whose dispute window is over. Anybody may. Followed by [`Event::Closed`].
        #[pallet::call_index(6)]
        pub fn finish(origin: OriginFor<T>, channel: ChannelId) -> DispatchResult {
            ensure_signed(origin)?;
            Self::finish_channel(channel)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// What a provider sells.
        pub fn listing(provider: AccountId) -> Option<Listing> {
            Listings::<T>::get(provider)
        }

        /// The channel of a number.
        pub fn channel(channel: ChannelId) -> Option<Channel> {
            Channels::<T>::get(channel)
        }

        /// The channel that a key signs for.
        pub fn channel_of(key: SessionKey) -> Option<(ChannelId, Channel)> {
            let channel = Keys::<T>::get(key)?;
            Some((channel, Channels::<T>::get(channel)?))
        }

        /// What is known of a provider.
        pub fn reputation(provider: AccountId) -> Reputation {
            Reputations::<T>::get(provider)
        }
    }
}

/// The most listings that are looked at in one page.
pub const MOST_LOOKED_AT: u32 = 1_000;

impl<T: Config> Pallet<T> {
    /// What is listed after a provider, in the order of the state: at most so many that fit, and the last that was looked at if there are more.
    pub fn page(
        after: Option<AccountId>,
        at_most: u32,
        fits: impl Fn(&AccountId, &Listing) -> bool,
    ) -> (Vec<(AccountId, Listing)>, Option<AccountId>) {
        let mut all = match after {
            Some(last) => Listings::<T>::iter_from(Listings::<T>::hashed_key_for(last)),
            None => Listings::<T>::iter(),
        };
        let (mut found, mut last) = (Vec::new(), None);
        for _ in 0..MOST_LOOKED_AT {
            let Some((provider, listing)) = all.next() else { return (found, None) };
            last = Some(provider.clone());
            if fits(&provider, &listing) {
                found.push((provider, listing));
                if found.len() >= at_most as usize {
                    break;
                }
            }
        }
        (found, last)
    }

    /// The channel of a number, and the block up to which receipts settle.
    pub fn channel_until(channel: ChannelId) -> Option<(Channel, BlockNumber)> {
        let entry = Channels::<T>::get(channel)?;
        let until = entry.until(Self::rules().ok()?.dispute_blocks);
        Some((entry, until))
    }

    fn rules() -> Result<Rules, Error<T>> {
        T::Rules::get().ok_or(Error::<T>::NoParameters)
    }

    fn block_number() -> BlockNumber {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    fn genesis_hash() -> Hash {
        frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::from(0u32))
    }
}
