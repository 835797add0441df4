//! What agents and people are told of who takes part, put together from the pallets that know it.

use crate::{AccountId, Bandwidth, Runtime};
use alloc::vec::Vec;
use pallet_registry::{ChallengerSlots, Challengers, ProviderSlots, Providers};
use weir_primitives::runtime_api::{ChallengerStatus, OpenChallenge, ProviderStatus};

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

/// The providers in so many slots from one on.
pub fn providers(from_slot: u32, slots: u32) -> Vec<AccountId> {
    (from_slot..from_slot.saturating_add(slots.min(MOST_SLOTS)))
        .filter_map(ProviderSlots::<Runtime>::get)
        .filter(|entry| entry.until.is_none())
        .map(|entry| entry.account)
        .collect()
}
