//! Listings: what providers sell.

use crate::{Config, Error, Event, HoldReason, Listings, Pallet};
use frame_support::{
    ensure,
    pallet_prelude::DispatchResult,
    traits::{fungible::MutateHold, tokens::Precision},
};
use weir_primitives::{interfaces::Guarantees, market::Listing, AccountId};

impl<T: Config> Pallet<T> {
    pub(crate) fn put_listing(provider: AccountId, listing: Listing) -> DispatchResult {
        ensure!(listing.makes_sense(), Error::<T>::BadListing);
        let guaranteed = T::Guarantees::of(&provider).ok_or(Error::<T>::NotAProvider)?;
        let offered = listing.offered_bits_per_second;
        ensure!(offered > 0 && offered <= guaranteed, Error::<T>::NotGuaranteed);
        if !Listings::<T>::contains_key(&provider) {
            T::Currency::hold(&HoldReason::Listing.into(), &provider, Self::rules()?.listing_deposit)?;
        }
        Listings::<T>::insert(&provider, &listing);
        Self::deposit_event(Event::Listed { provider, listing });
        Ok(())
    }

    pub(crate) fn remove_listing(sender: &AccountId, provider: AccountId) -> DispatchResult {
        ensure!(Listings::<T>::contains_key(&provider), Error::<T>::NotListed);
        ensure!(*sender == provider || T::Guarantees::of(&provider).is_none(), Error::<T>::StillProviding);
        Listings::<T>::remove(&provider);
        T::Currency::release_all(&HoldReason::Listing.into(), &provider, Precision::Exact)?;
        Self::deposit_event(Event::Unlisted { provider });
        Ok(())
    }
}
