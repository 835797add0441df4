//! What the pallet's calls cost, each where it does the most.

use crate::{
    types::{Challenger, Provider, ProviderSlot, Role, Standing, MAX_FORMER_IDENTITIES},
    Call, ChallengerSlots, Challengers, Config, EmptyPrefixes, HoldReason, Identities, JuniorsFrom, Pallet,
    ProviderSlots, Providers, Returning, Waiting, WaitingCount, ZeroedPrefixes, MAX_REASON_BYTES,
};
use alloc::vec;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use frame_benchmarking::v2::*;
use frame_support::{
    traits::{
        fungible::{Inspect, Mutate, MutateHold},
        tokens::Precision,
        EnsureOrigin, Get, UnfilteredDispatchable,
    },
    BoundedVec,
};
use frame_system::RawOrigin;
use sp_core::{crypto::KeyTypeId, ed25519};
use sp_runtime::{DispatchError, Perbill};
use weir_primitives::{
    interfaces::Epochs,
    measurement::{
        endpoint::{self, Service},
        lottery::{
            groups::{Family, Prefix},
            instants::wanted_bits_per_second,
        },
        peer_payload, Endpoints, PeerKey,
    },
    AccountId, Epoch, EpochIndex, PLANCK_PER_WEIR,
};

const KEYS: KeyTypeId = KeyTypeId(*b"weir");
const MBIT: u64 = 1_000_000;
/// The epoch in which everything happens: late enough that something of former ones can be forgotten.
const EPOCH: EpochIndex = 5;

/// Where a challenger is reached by either family, behind prefixes of its own.
pub fn endpoints(number: u32) -> Option<Endpoints> {
    let [_, high, middle, low] = number.to_be_bytes();
    let four = SocketAddr::from((Ipv4Addr::new(10u8.wrapping_add(high), middle, low, 1), 30_401));
    let six = SocketAddr::from((
        Ipv6Addr::new(0x2001, 0xdb8, u16::from_be_bytes([high, middle]), low.into(), 0, 0, 0, 1),
        30_401,
    ));
    let encoded = [four, six].map(|address| BoundedVec::try_from(endpoint::encode(address, Service::Control)).ok());
    encoded.into_iter().collect::<Option<vec::Vec<_>>>()?.try_into().ok()
}

/// Gives an account what it needs to bond anything.
pub fn endow<T: Config>(account: &AccountId) -> Result<(), DispatchError> {
    T::Currency::mint_into(account, 1_000_000 * PLANCK_PER_WEIR).map(|_| ())
}

/// Makes an account a challenger that is a senior.
///
/// # Errors
///
/// When it is one already, or the identity somebody's.
pub fn seat_challenger<T: Config>(
    account: &AccountId,
    identity: PeerKey,
    endpoints: Endpoints,
) -> Result<(), DispatchError> {
    endow::<T>(account)?;
    Pallet::<T>::add_genesis_challenger(account.clone(), identity, endpoints)
}

/// Makes a senior a junior that is active from an epoch on.
///
/// # Errors
///
/// When it is in no slot.
pub fn make_junior<T: Config>(account: &AccountId, from: EpochIndex) -> Result<(), DispatchError> {
    let Some(Standing::Active { slot }) = Challengers::<T>::get(account).map(|it| it.standing) else {
        return Err("it is in no slot".into());
    };
    ChallengerSlots::<T>::mutate(slot, |entry| {
        if let Some(entry) = entry {
            entry.from = from;
        }
    });
    JuniorsFrom::<T>::mutate(from, |juniors| *juniors = juniors.saturating_add(1));
    Ok(())
}

/// Makes an account a challenger that waits to be admitted, for whom a slot is free, and whose bond is less than what bonds are now.
///
/// # Errors
///
/// When it cannot bond what it should.
pub fn queue_challenger<T: Config>(
    account: &AccountId,
    identity: PeerKey,
    endpoints: Endpoints,
) -> Result<(), DispatchError> {
    endow::<T>(account)?;
    free_a_slot::<T>(Role::Challenger);
    let bond = Pallet::<T>::rules()?.challenger_bond / 2;
    T::Currency::hold(&HoldReason::Challenger.into(), account, bond)?;
    let place = WaitingCount::<T>::get();
    WaitingCount::<T>::put(place.saturating_add(1));
    Waiting::<T>::insert(place, account);
    let challenger = Challenger {
        standing: Standing::Waiting { place },
        bond,
        times_jailed: 0,
        identity,
        former_identities: Default::default(),
        endpoints,
    };
    Challengers::<T>::insert(account, challenger);
    Ok(())
}

/// What is known of a provider that was measured before.
pub struct Known {
    /// What it declares, in bits per second.
    pub declared: u64,
    /// What is guaranteed of that, in bits per second.
    pub guaranteed: u64,
    /// Where it was seen.
    pub prefix: Prefix,
    /// Whose blocks it boosts.
    pub mining_author: AccountId,
}

impl Known {
    /// One of 500 Mbit/s, of which 400 are guaranteed.
    pub fn behind(prefix: Prefix) -> Self {
        Self { declared: 500 * MBIT, guaranteed: 400 * MBIT, prefix, mining_author: account(2) }
    }
}

/// Makes an account a provider that is drawn in the current epoch, and says in which slot it is.
///
/// # Errors
///
/// When it cannot bond what it should.
pub fn seat_provider<T: Config>(account: &AccountId, identity: PeerKey, known: Known) -> Result<u32, DispatchError> {
    endow::<T>(account)?;
    let Known { declared, guaranteed, prefix, mining_author } = known;
    let bond = Pallet::<T>::rules()?.bond_of_provider(declared);
    T::Currency::hold(&HoldReason::Provider.into(), account, bond)?;
    let now = Pallet::<T>::epoch();
    let slot = Pallet::<T>::take_slot(Role::Provider, now);
    let wanted = wanted_bits_per_second(declared, 0, T::GrowthStep::get());
    let entry = ProviderSlot::new(account.clone(), now, identity, Family::V4, declared, wanted, Some(mining_author));
    Pallet::<T>::join(&entry);
    ProviderSlots::<T>::insert(slot, entry);
    let owner = crate::types::Owner { account: account.clone(), role: Role::Provider, until: None };
    Identities::<T>::insert(identity, owner);
    let provider = Provider {
        slot: Some(slot),
        bond,
        excess: None,
        leaves: None,
        identity,
        former_identities: Default::default(),
    };
    Providers::<T>::insert(account, provider);
    // Known since this epoch, not the next one only.
    Pallet::<T>::change_provider(slot, |entry, _| {
        entry.guaranteed.set(now, guaranteed);
        entry.prefix.set(now, Some(prefix));
    });
    Ok(slot)
}

/// Leaves as much to forget as is forgotten at a time when a prefix becomes empty.
pub fn leave_empty_prefixes<T: Config>() {
    ZeroedPrefixes::<T>::mutate(|zeroed| {
        for number in 0..2u8 {
            let prefix = Prefix::V4([203, 0, number]);
            crate::PrefixSums::<T>::insert(prefix, weir_primitives::versions::Versions::default());
            EmptyPrefixes::<T>::insert(zeroed.end, (prefix, 0));
            zeroed.end = zeroed.end.wrapping_add(1);
        }
    });
}

fn account(number: u8) -> AccountId {
    AccountId::new([number; 32])
}

/// A key, and its word that it acts for an account.
fn identity<T: Config>(account: &AccountId) -> Result<(PeerKey, ed25519::Signature), BenchmarkError> {
    let key = sp_io::crypto::ed25519_generate(KEYS, None);
    let payload = peer_payload(Pallet::<T>::genesis_hash(), account);
    let proof = sp_io::crypto::ed25519_sign(KEYS, &key, &payload).ok_or("the key was made just now")?;
    Ok((key, proof))
}

fn some_identity(number: u8) -> PeerKey {
    PeerKey::from_raw([number; 32])
}

/// Goes to the epoch in which everything happens.
fn begin<T: Config>() -> Result<(), BenchmarkError> {
    let epoch = Epoch { index: EPOCH, first: EPOCH.saturating_mul(10), blocks: 10 };
    frame_system::Pallet::<T>::set_block_number(epoch.first.into());
    T::Epochs::set_current(epoch);
    Ok(())
}

/// A provider that was measured, alone behind its prefix, with every identity that it can have had.
fn provider<T: Config>() -> Result<AccountId, BenchmarkError> {
    begin::<T>()?;
    let provider = account(1);
    seat_provider::<T>(&provider, some_identity(1), Known::behind(Prefix::V4([192, 0, 2])))?;
    Providers::<T>::mutate(&provider, |it| {
        let Some(it) = it else { return };
        for number in 0..MAX_FORMER_IDENTITIES as u8 {
            let identity = some_identity(100u8.saturating_add(number));
            let owner = crate::types::Owner { account: provider.clone(), role: Role::Provider, until: Some(1) };
            Identities::<T>::insert(identity, owner);
            it.former_identities.force_push((identity, 1));
        }
    });
    leave_empty_prefixes::<T>();
    Ok(provider)
}

fn challenger<T: Config>() -> Result<AccountId, BenchmarkError> {
    begin::<T>()?;
    let challenger = account(3);
    seat_challenger::<T>(&challenger, some_identity(3), endpoints(3).ok_or("an endpoint is short")?)?;
    Ok(challenger)
}

/// A slot that somebody left long ago.
fn free_a_slot<T: Config>(role: Role) {
    let slot = Pallet::<T>::take_slot(role, 0);
    Pallet::<T>::free_slot(role, slot, 0, 1);
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn register_provider() -> Result<(), BenchmarkError> {
        begin::<T>()?;
        free_a_slot::<T>(Role::Provider);
        let provider = account(1);
        endow::<T>(&provider)?;
        let (identity, proof) = identity::<T>(&provider)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(provider.clone()), 500 * MBIT, Family::V4, identity, proof, Some(account(2)));

        assert!(Providers::<T>::contains_key(provider));
        Ok(())
    }

    #[benchmark]
    fn register_challenger() -> Result<(), BenchmarkError> {
        begin::<T>()?;
        free_a_slot::<T>(Role::Challenger);
        let challenger = account(3);
        endow::<T>(&challenger)?;
        let (identity, proof) = identity::<T>(&challenger)?;
        let endpoints = endpoints(3).ok_or("an endpoint is short")?;

        #[extrinsic_call]
        _(RawOrigin::Signed(challenger.clone()), identity, proof, endpoints);

        assert!(matches!(Challengers::<T>::get(challenger), Some(it) if !it.is_leaving()));
        Ok(())
    }

    #[benchmark]
    fn set_declared() -> Result<(), BenchmarkError> {
        let provider = provider::<T>()?;

        // What is guaranteed falls with it, and everything that follows from it.
        #[extrinsic_call]
        _(RawOrigin::Signed(provider.clone()), 100 * MBIT);

        assert!(Providers::<T>::get(provider).is_some_and(|it| it.excess.is_some()));
        Ok(())
    }

    #[benchmark]
    fn set_mining_author() -> Result<(), BenchmarkError> {
        let provider = provider::<T>()?;

        #[extrinsic_call]
        _(RawOrigin::Signed(provider.clone()), Some(account(4)));

        let slot = Providers::<T>::get(provider).and_then(|it| it.slot).ok_or("it did not leave")?;
        assert!(ProviderSlots::<T>::get(slot).is_some_and(|it| *it.mining_author.last() == Some(account(4))));
        Ok(())
    }

    #[benchmark]
    fn set_endpoints() -> Result<(), BenchmarkError> {
        let challenger = challenger::<T>()?;
        let endpoints = endpoints(4).ok_or("an endpoint is short")?;

        #[extrinsic_call]
        _(RawOrigin::Signed(challenger.clone()), endpoints.clone());

        assert!(Challengers::<T>::get(challenger).is_some_and(|it| it.endpoints == endpoints));
        Ok(())
    }

    #[benchmark]
    fn pause() -> Result<(), BenchmarkError> {
        let challenger = challenger::<T>()?;

        #[extrinsic_call]
        _(RawOrigin::Signed(challenger.clone()));

        assert!(Challengers::<T>::get(challenger).is_some_and(|it| matches!(it.standing, Standing::Paused { .. })));
        Ok(())
    }

    #[benchmark]
    fn come_back() -> Result<(), BenchmarkError> {
        let challenger = challenger::<T>()?;
        free_a_slot::<T>(Role::Challenger);
        Pallet::<T>::pause_challenger(&challenger)?;
        // It was away while bonds rose.
        let risen = Pallet::<T>::rules().map_err(DispatchError::from)?.challenger_bond / 2;
        T::Currency::release(&HoldReason::Challenger.into(), &challenger, risen, Precision::Exact)?;
        Challengers::<T>::mutate(&challenger, |it| {
            if let Some(it) = it {
                it.standing = Standing::Paused { from: EPOCH };
                it.bond = it.bond.saturating_sub(risen);
            }
        });

        #[block]
        {
            // As where those that return are counted.
            Returning::<T>::mutate(|(_, count)| *count = count.saturating_add(1));
            Call::<T>::come_back {}.dispatch_bypass_filter(RawOrigin::Signed(challenger.clone()).into())?;
        }

        assert!(Challengers::<T>::get(challenger).is_some_and(|it| matches!(it.standing, Standing::Active { .. })));
        Ok(())
    }

    #[benchmark]
    fn set_identity() -> Result<(), BenchmarkError> {
        let provider = provider::<T>()?;
        let (identity, proof) = identity::<T>(&provider)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(provider.clone()), Role::Provider, identity, proof);

        assert!(Providers::<T>::get(provider).is_some_and(|it| it.identity == identity));
        Ok(())
    }

    #[benchmark]
    fn leave() -> Result<(), BenchmarkError> {
        let provider = provider::<T>()?;

        #[extrinsic_call]
        _(RawOrigin::Signed(provider.clone()), Role::Provider);

        assert!(Providers::<T>::get(provider).is_some_and(|it| it.slot.is_none()));
        Ok(())
    }

    #[benchmark]
    fn withdraw() -> Result<(), BenchmarkError> {
        let provider = provider::<T>()?;
        Pallet::<T>::retire_provider(&provider)?;
        let until = Providers::<T>::get(&provider).and_then(|it| it.leaves).ok_or("it left")?;
        frame_system::Pallet::<T>::set_block_number(until.into());
        let before = T::Currency::balance(&provider);

        #[extrinsic_call]
        _(RawOrigin::Signed(account(5)), provider.clone(), Role::Provider);

        assert!(T::Currency::balance(&provider) > before);
        Ok(())
    }

    #[benchmark]
    fn slash() -> Result<(), BenchmarkError> {
        let provider = provider::<T>()?;
        let origin = T::SlashOrigin::try_successful_origin().map_err(|()| "somebody can slash")?;
        let reason = BoundedVec::truncate_from(vec![0; MAX_REASON_BYTES as usize]);
        let issued = T::Currency::total_issuance();

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, provider, Role::Provider, Perbill::from_percent(90), reason);

        assert!(T::Currency::total_issuance() < issued);
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
