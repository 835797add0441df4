//! What the pallet's calls and hooks cost, with as many providers and challengers as there can be.

use crate::{
    Call, Challenger, Challengers, Config, OpenEpochs, Pallet, Peers, Plan, PlannedProviders, Plans, Provider,
    Providers,
};
use alloc::vec;
use frame_benchmarking::v2::*;
use frame_support::{traits::Get, BoundedVec};
use frame_system::RawOrigin;
use sp_core::ed25519;
use weir_primitives::{
    interfaces::CurrentBlock,
    measurement::{
        endpoint::{self, Service},
        Endpoints, Outcome, PeerKey,
    },
    parameters::MAX_WINDOW,
    AccountId,
};

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

/// An epoch whose challenges are all past their deadline.
fn overdue<T: Config>() {
    fill::<T>();
    Pallet::<T>::start_epoch(1);
    Pallet::<T>::set_seed(2, 0);
    let plan = Plans::<T>::get(2).map(|plan| Plan { start: Some(0), ..plan });
    Plans::<T>::set(2, plan);
    OpenEpochs::<T>::mutate(|open| open.force_push(2));
}

#[benchmarks]
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
        Pallet::<T>::start_epoch(1);

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
            Pallet::<T>::start_epoch(1);
        }

        assert_eq!(PlannedProviders::<T>::get(2).len() as u32, T::MaxProviders::get());
    }

    #[benchmark]
    fn evaluate(c: Linear<0, { T::MaxEvaluations::get() }>) -> Result<(), BenchmarkError> {
        overdue::<T>();
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
    fn verify_signature() {
        // The signature check of registrations and reports. A key that no seed is known of costs the same to refuse.
        let key = peer(&numbered(1, 0));

        #[block]
        {
            let _ = sp_io::crypto::ed25519_verify(&ed25519::Signature::from_raw([1; 64]), &[0; 200], &key);
        }
    }
}
