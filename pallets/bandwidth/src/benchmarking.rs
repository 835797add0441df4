//! What the pallet's calls and hooks cost, with as many providers and challengers as there can be.

use crate::{
    Call, Challenger, Challengers, Config, HoldReason, OpenEpochs, Pallet, Peers, Plan, PlannedProviders, Plans,
    Provider, Providers, Reports,
};
use alloc::vec;
use frame_benchmarking::v2::*;
use frame_support::{
    traits::{
        fungible::{Mutate, MutateHold},
        Get,
    },
    BoundedVec,
};
use frame_system::RawOrigin;
use sp_core::{crypto::KeyTypeId, ed25519};
use weir_primitives::{
    interfaces::CurrentBlock,
    measurement::{
        endpoint::{self, Service},
        peer_payload, report_payload, Endpoints, Outcome, PeerKey, Report,
    },
    parameters::MAX_WINDOW,
    AccountId, Balance, Epoch, PLANCK_PER_WEIR,
};

/// What is held in benchmarks.
const BOND: Balance = PLANCK_PER_WEIR;
/// An epoch that begins.
const FIRST: Epoch = Epoch { index: 1, first: 10, blocks: 10 };
/// Where benchmarks keep their identity keys.
const KEY_TYPE: KeyTypeId = KeyTypeId(*b"benc");

fn numbered(kind: u8, index: u32) -> AccountId {
    let mut bytes = [kind; 32];
    bytes.iter_mut().zip(index.to_le_bytes()).for_each(|(to, from)| *to = from);
    AccountId::new(bytes)
}

fn peer(account: &AccountId) -> PeerKey {
    PeerKey::from_raw(*AsRef::<[u8; 32]>::as_ref(account))
}

fn endpoints(service: Service) -> Endpoints {
    let bytes = endpoint::encode(([127, 0, 0, 1], 4_000).into(), service);
    BoundedVec::truncate_from(vec![BoundedVec::truncate_from(bytes); 4])
}

fn provider(account: &AccountId) -> Provider {
    Provider {
        declared_bits_per_second: 1_000_000_000,
        bond: 0,
        peer: peer(account),
        endpoints: endpoints(Service::Probe),
        mining_author: Some(account.clone()),
        results: BoundedVec::truncate_from(vec![1_000_000; MAX_WINDOW as usize]),
        guaranteed_bits_per_second: 1_000_000,
        last: Some(Outcome {
            epoch: 0,
            reports: 0,
            proven_bits_per_second: 0,
            counted_bits_per_second: 0,
            raw_bits_per_second: 0,
        }),
        leaving: None,
    }
}

fn challenger(account: &AccountId) -> Challenger {
    Challenger { bond: 0, peer: peer(account), endpoints: endpoints(Service::Control), reports: 0, leaving: None }
}

/// An account that can pay for everything.
fn funded<T: Config>() -> AccountId
where
    T::Currency: Mutate<AccountId>,
{
    let caller: AccountId = whitelisted_caller();
    T::Currency::set_balance(&caller, 10_000 * BOND);
    caller
}

/// An identity that agrees to act for an account.
fn agreed<T: Config>(account: &AccountId) -> Result<(PeerKey, ed25519::Signature), BenchmarkError> {
    let key = sp_io::crypto::ed25519_generate(KEY_TYPE, None);
    let payload = peer_payload(Pallet::<T>::genesis_hash(), account);
    Ok((key, sp_io::crypto::ed25519_sign(KEY_TYPE, &key, &payload).ok_or("the key is there")?))
}

fn fill<T: Config>() {
    for index in 0..T::MaxProviders::get() {
        let account = numbered(1, index);
        Peers::<T>::insert(peer(&account), &account);
        Providers::<T>::insert(&account, provider(&account));
    }
    for index in 0..T::MaxChallengers::get() {
        let account = numbered(2, index);
        Peers::<T>::insert(peer(&account), &account);
        Challengers::<T>::insert(&account, challenger(&account));
    }
}

/// An epoch whose challenges all take reports: they start at zero, and so does the clock.
fn begun<T: Config>() {
    fill::<T>();
    Pallet::<T>::start_epoch(FIRST);
    Pallet::<T>::set_seed(2, 0);
    let plan = Plans::<T>::get(2).map(|plan| Plan { start: Some((Epoch { blocks: 0, ..FIRST.next(1) }, 0)), ..plan });
    Plans::<T>::set(2, plan);
    OpenEpochs::<T>::mutate(|open| open.force_push(2));
}

#[benchmarks(where T::Currency: Mutate<AccountId>)]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn on_initialize() {
        #[block]
        {
            let _ = (T::Parameters::get(), T::CurrentBlock::timestamp(), OpenEpochs::<T>::get());
        }
    }

    #[benchmark]
    fn set_seed() {
        fill::<T>();
        Pallet::<T>::start_epoch(FIRST);

        #[block]
        {
            Pallet::<T>::set_seed(2, 0);
        }

        assert!(Plans::<T>::get(2).is_some_and(|plan| plan.seed.is_some()));
    }

    #[benchmark]
    fn start_epoch() {
        fill::<T>();

        #[block]
        {
            Pallet::<T>::start_epoch(FIRST);
        }

        assert_eq!(PlannedProviders::<T>::get(2).len() as u32, T::MaxProviders::get());
    }

    #[benchmark]
    fn evaluate(c: Linear<0, { T::MaxEvaluations::get() }>) -> Result<(), BenchmarkError> {
        begun::<T>();
        let parameters = T::Parameters::get().ok_or("genesis sets the parameters")?;
        let plan = Plans::<T>::get(2).ok_or("the epoch is planned")?;
        let challengers = crate::PlannedChallengers::<T>::get(2);

        #[block]
        {
            for position in 0..c {
                let plan = Plan { evaluated: position, ..plan };
                Pallet::<T>::evaluate(2, &plan, &numbered(1, position), &challengers, &parameters);
            }
        }
        Ok(())
    }

    #[benchmark]
    fn set_provider_endpoints() {
        let caller: AccountId = whitelisted_caller();
        Providers::<T>::insert(&caller, provider(&caller));

        #[extrinsic_call]
        _(RawOrigin::Signed(caller.clone()), endpoints(Service::Probe));

        assert!(Providers::<T>::contains_key(caller));
    }

    #[benchmark]
    fn set_challenger_endpoints() {
        let caller: AccountId = whitelisted_caller();
        Challengers::<T>::insert(&caller, challenger(&caller));

        #[extrinsic_call]
        _(RawOrigin::Signed(caller.clone()), endpoints(Service::Control));

        assert!(Challengers::<T>::contains_key(caller));
    }

    #[benchmark]
    fn set_mining_author() {
        let caller: AccountId = whitelisted_caller();
        Providers::<T>::insert(&caller, provider(&caller));

        #[extrinsic_call]
        _(RawOrigin::Signed(caller.clone()), None);

        assert!(Providers::<T>::get(caller).is_some_and(|provider| provider.mining_author.is_none()));
    }

    #[benchmark]
    fn leave_as_provider() {
        let caller: AccountId = whitelisted_caller();
        Providers::<T>::insert(&caller, provider(&caller));

        #[extrinsic_call]
        _(RawOrigin::Signed(caller.clone()));

        assert!(Providers::<T>::get(caller).is_some_and(|provider| provider.leaving.is_some()));
    }

    #[benchmark]
    fn leave_as_challenger() {
        let caller: AccountId = whitelisted_caller();
        Challengers::<T>::insert(&caller, challenger(&caller));

        #[extrinsic_call]
        _(RawOrigin::Signed(caller.clone()));

        assert!(Challengers::<T>::get(caller).is_some_and(|challenger| challenger.leaving.is_some()));
    }

    #[benchmark]
    fn register_provider() -> Result<(), BenchmarkError> {
        let caller = funded::<T>();
        let (peer, proof) = agreed::<T>(&caller)?;

        #[extrinsic_call]
        _(
            RawOrigin::Signed(caller.clone()),
            1_000_000_000,
            peer,
            proof,
            endpoints(Service::Probe),
            Some(caller.clone()),
        );

        assert!(Providers::<T>::contains_key(caller));
        Ok(())
    }

    #[benchmark]
    fn register_challenger() -> Result<(), BenchmarkError> {
        let caller = funded::<T>();
        let (peer, proof) = agreed::<T>(&caller)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(caller.clone()), peer, proof, endpoints(Service::Control));

        assert!(Challengers::<T>::contains_key(caller));
        Ok(())
    }

    #[benchmark]
    fn withdraw_provider_bond() -> Result<(), BenchmarkError> {
        let caller = funded::<T>();
        T::Currency::hold(&HoldReason::ProviderBond.into(), &caller, BOND)?;
        Providers::<T>::insert(&caller, Provider { bond: BOND, leaving: Some(0), ..provider(&caller) });

        #[extrinsic_call]
        _(RawOrigin::Signed(caller.clone()));

        assert!(!Providers::<T>::contains_key(caller));
        Ok(())
    }

    #[benchmark]
    fn withdraw_challenger_bond() -> Result<(), BenchmarkError> {
        let caller = funded::<T>();
        T::Currency::hold(&HoldReason::ChallengerBond.into(), &caller, BOND)?;
        Challengers::<T>::insert(&caller, Challenger { bond: BOND, leaving: Some(0), ..challenger(&caller) });

        #[extrinsic_call]
        _(RawOrigin::Signed(caller.clone()));

        assert!(!Challengers::<T>::contains_key(caller));
        Ok(())
    }

    #[benchmark]
    fn report() -> Result<(), BenchmarkError> {
        begun::<T>();
        let parameters = T::Parameters::get().ok_or("genesis sets the parameters")?;
        let plan = Plans::<T>::get(2).ok_or("the epoch is planned")?;
        let position = 0;
        let provider = PlannedProviders::<T>::get(2).first().cloned().ok_or("there are providers")?;
        let committee = Pallet::<T>::committee(
            &plan,
            position,
            &provider,
            &crate::PlannedChallengers::<T>::get(2),
            parameters.measurement.committee,
        );
        let member = committee.and_then(|members| members.first().cloned()).ok_or("there is a committee")?;
        let key = sp_io::crypto::ed25519_generate(KEY_TYPE, None);
        Challengers::<T>::insert(&member, Challenger { peer: key, ..challenger(&member) });
        let said = Report { bytes: 1, elapsed_us: 1, round_trip_us: 1 };
        let payload = report_payload(Pallet::<T>::genesis_hash(), 2, position, &provider, &member, &said);
        let signature = sp_io::crypto::ed25519_sign(KEY_TYPE, &key, &payload).ok_or("the key is there")?;

        #[extrinsic_call]
        _(RawOrigin::Signed(provider.clone()), 2, position, member, said, signature);

        assert_eq!(Reports::<T>::get(2, position).len(), 1);
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
