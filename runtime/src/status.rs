//! What agents and people are told of who takes part, put together from the pallets that know it.

use crate::{AccountId, Bandwidth, Market, Registry, Runtime};
use alloc::vec::Vec;
use pallet_registry::{ChallengerSlots, Challengers, ProviderSlots, Providers};
use weir_primitives::{
    interfaces::Guarantees,
    market::Listing,
    runtime_api::{ChallengerStatus, Offer, OpenChallenge, ProviderStatus, Search},
};

/// The most offers in one page.
const MOST_OFFERS: u32 = 100;
/// The most slots that are looked at in one call.
const MOST_SLOTS: u32 = 1_000;

/// The challenges of a provider that are drawn and not evaluated yet.
pub fn challenges(provider: &AccountId) -> Vec<OpenChallenge> {
    let slot = match Providers::<Runtime>::get(provider).and_then(|provider| provider.slot) {
        Some(slot) => slot,
        None => return Vec::new(),
    };
    let endpoints = |slot, epoch| Some(ChallengerSlots::<Runtime>::get(slot)?.endpoints.at(epoch).clone());
    let mut challenges = Bandwidth::open_challenges(slot, endpoints);
    // The slot may have been another's when the challenge was drawn.
    challenges.retain(|challenge| challenge.provider == *provider);
    challenges
}

/// What is known about a provider.
pub fn provider(account: &AccountId) -> Option<ProviderStatus> {
    let known = Providers::<Runtime>::get(account)?;
    let entry = known.slot.and_then(ProviderSlots::<Runtime>::get);
    let measured = known.slot.map(|slot| Bandwidth::measured(slot, account)).unwrap_or_default();
    Some(ProviderStatus {
        slot: known.slot,
        from: entry.as_ref().map_or(0, |entry| entry.from),
        declared_bits_per_second: entry.as_ref().map_or(0, |entry| *entry.declared.last()),
        guaranteed_bits_per_second: entry.as_ref().map_or(0, |entry| *entry.guaranteed.last()),
        directions_bits_per_second: measured.guaranteed,
        results: measured.results,
        last: measured.last,
        mining_author: entry.as_ref().and_then(|entry| entry.mining_author.last().clone()),
        bond: known.bond,
        identity: known.identity,
        family: entry.as_ref().map_or(weir_primitives::measurement::lottery::groups::Family::V4, |entry| entry.family),
        prefix: entry.as_ref().and_then(|entry| *entry.prefix.last()),
        leaving: known.leaves,
    })
}

/// What is known about a challenger.
pub fn challenger(account: &AccountId) -> Option<ChallengerStatus> {
    let known = Challengers::<Runtime>::get(account)?;
    let record = Bandwidth::record(account);
    Some(ChallengerStatus {
        standing: known.standing,
        bond: known.bond,
        identity: known.identity,
        endpoints: known.endpoints,
        times_jailed: known.times_jailed,
        duties: record.entries(),
        excess: record.excess(),
    })
}

/// What a provider sells, if it still is one.
pub fn offer(provider: &AccountId) -> Option<Offer> {
    offer_of(provider, Market::listing(provider.clone())?)
}

fn offer_of(provider: &AccountId, listing: Listing) -> Option<Offer> {
    Some(Offer {
        identity: Providers::<Runtime>::get(provider)?.identity,
        guaranteed_bits_per_second: Registry::of(provider)?,
        reputation: Market::reputation(provider.clone()),
        provider: provider.clone(),
        listing,
    })
}

/// Offers after that of a provider that fit, at most so many, and the provider to go on from if there may be more.
pub fn offers(after: Option<AccountId>, at_most: u32, search: &Search) -> (Vec<Offer>, Option<AccountId>) {
    let fits = |provider: &AccountId, listing: &Listing| {
        let Listing { per_gib, region, serves, offered_bits_per_second, .. } = listing;
        search.most_per_gib.is_none_or(|most| *per_gib <= most)
            && search.region.is_none_or(|wanted| *region == wanted)
            && (serves.proxy || !search.proxy)
            && (serves.content || !search.content)
            && *offered_bits_per_second >= search.least_bits_per_second
            && Registry::of(provider).is_some_and(|bits| bits > 0 && bits >= search.least_bits_per_second)
    };
    let (found, next) = Market::page(after, at_most.clamp(1, MOST_OFFERS), fits);
    let offers = found.into_iter().filter_map(|(provider, listing)| offer_of(&provider, listing));
    (offers.collect(), next)
}

/// The providers in so many slots from one on.
pub fn providers(from_slot: u32, slots: u32) -> Vec<AccountId> {
    (from_slot..from_slot.saturating_add(slots.min(MOST_SLOTS)))
        .filter_map(ProviderSlots::<Runtime>::get)
        .filter(|entry| entry.until.is_none())
        .map(|entry| entry.account)
        .collect()
}
