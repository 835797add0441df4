//! What the pallet's calls cost.

use crate::{Call, Channels, Config, Keys, Listings, Pallet, Reputations, Rules};
use alloc::vec;
use frame_benchmarking::v2::*;
use frame_support::{
    traits::{fungible::Mutate, Get},
    BoundedVec,
};
use frame_system::RawOrigin;
use weir_primitives::{
    interfaces::Guarantees,
    market::{
        receipt_payload, session_payload, Channel, ChannelId, Complaint, Listing, Reach, Receipt, ReceiptSignature,
        Serves, SessionKey, Terms,
    },
    measurement::{
        endpoint::{self, Service},
        Endpoint, PeerKey, MAX_ENDPOINTS,
    },
    AccountId, Balance, PLANCK_PER_WEIR,
};

const BITS_PER_SECOND: u64 = 1_000_000_000;
const KEY_TYPE: sp_core::crypto::KeyTypeId = sp_core::crypto::KeyTypeId(*b"mark");

/// A channel on whatever terms.
const ANY: Terms = Terms { most_per_gib: Balance::MAX, least_bits_per_second: 0 };

fn new_key() -> SessionKey {
    sp_io::crypto::ed25519_generate(KEY_TYPE, None)
}

fn provider() -> AccountId {
    AccountId::new([1; 32])
}

fn consumer() -> AccountId {
    AccountId::new([2; 32])
}

fn rules<T: Config>() -> Result<Rules, BenchmarkError> {
    T::Rules::get().ok_or(BenchmarkError::Stop("genesis sets the parameters"))
}

/// With as many endpoints as there can be, over a relay.
fn listing() -> Result<Listing, BenchmarkError> {
    let address = endpoint::encode(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1u16], 4_000).into(), Service::Control);
    let endpoint = Endpoint::try_from(address).map_err(|_| "an endpoint fits")?;
    let endpoints = BoundedVec::try_from(vec![endpoint; MAX_ENDPOINTS as usize]).map_err(|_| "as many fit")?;
    Ok(Listing {
        per_gib: PLANCK_PER_WEIR,
        region: *b"CH",
        serves: Serves { proxy: true, content: true },
        offered_bits_per_second: BITS_PER_SECOND,
        reach: Reach::Relayed { relay: PeerKey::default(), endpoints },
    })
}

/// A provider that is listed, and a consumer that can pay.
fn provide<T: Config>() -> Result<Balance, BenchmarkError> {
    let deposit = rules::<T>()?.least_deposit.saturating_mul(10);
    T::Guarantees::set(&provider(), BITS_PER_SECOND);
    for account in [provider(), consumer()] {
        T::Currency::mint_into(&account, deposit.saturating_mul(100))?;
    }
    Pallet::<T>::list(RawOrigin::Signed(provider()).into(), listing()?)?;
    Ok(deposit)
}

/// A channel with so much behind it, and the key that signs for it.
fn channel<T: Config>(key: SessionKey) -> Result<(ChannelId, Balance), BenchmarkError> {
    let deposit = provide::<T>()?;
    let proof = prove::<T>(&key)?;
    Pallet::<T>::open(RawOrigin::Signed(consumer()).into(), provider(), key, proof, deposit, ANY)?;
    Ok((0, deposit))
}

/// That a key signs for the consumer.
fn prove<T: Config>(key: &SessionKey) -> Result<ReceiptSignature, BenchmarkError> {
    let payload = session_payload(Pallet::<T>::genesis_hash(), &consumer());
    sp_io::crypto::ed25519_sign(KEY_TYPE, key, &payload).ok_or(BenchmarkError::Stop("the key is in no store"))
}

fn sign<T: Config>(key: &SessionKey, receipt: &Receipt) -> Result<ReceiptSignature, BenchmarkError> {
    let payload = receipt_payload(Pallet::<T>::genesis_hash(), &provider(), 0, receipt);
    sp_io::crypto::ed25519_sign(KEY_TYPE, key, &payload).ok_or(BenchmarkError::Stop("the key is in no store"))
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn list() -> Result<(), BenchmarkError> {
        let deposit = rules::<T>()?.listing_deposit;
        T::Guarantees::set(&provider(), BITS_PER_SECOND);
        T::Currency::mint_into(&provider(), deposit.saturating_mul(100))?;
        let listing = listing()?;
        #[extrinsic_call]
        _(RawOrigin::Signed(provider()), listing);
        assert!(Listings::<T>::contains_key(provider()));
        Ok(())
    }

    #[benchmark]
    fn unlist() -> Result<(), BenchmarkError> {
        provide::<T>()?;
        #[extrinsic_call]
        _(RawOrigin::Signed(provider()), provider());
        assert!(!Listings::<T>::contains_key(provider()));
        Ok(())
    }

    #[benchmark]
    fn open() -> Result<(), BenchmarkError> {
        let deposit = provide::<T>()?;
        let key = new_key();
        let proof = prove::<T>(&key)?;
        #[extrinsic_call]
        _(RawOrigin::Signed(consumer()), provider(), key, proof, deposit, ANY);
        assert!(Keys::<T>::contains_key(key));
        Ok(())
    }

    #[benchmark]
    fn top_up() -> Result<(), BenchmarkError> {
        let (number, deposit) = channel::<T>(new_key())?;
        #[extrinsic_call]
        _(RawOrigin::Signed(consumer()), number, deposit);
        assert!(Channels::<T>::get(number).is_some_and(|it| it.deposit == deposit.saturating_mul(2)));
        Ok(())
    }

    /// The second payment, a part of which goes back, while the channel is closing.
    #[benchmark]
    fn settle() -> Result<(), BenchmarkError> {
        let key = new_key();
        let (number, deposit) = channel::<T>(key)?;
        Pallet::<T>::close(RawOrigin::Signed(consumer()).into(), number, Some(Complaint::Slow))?;
        Channels::<T>::mutate(number, |entry| {
            if let Some(Channel { promised_bits_per_second, .. }) = entry {
                *promised_bits_per_second = BITS_PER_SECOND.saturating_mul(2);
            }
        });
        let receipt = Receipt { bytes: 1 << 40, amount: deposit };
        let signature = sign::<T>(&key, &receipt)?;
        #[extrinsic_call]
        _(RawOrigin::Signed(consumer()), number, receipt, signature);
        let known = Reputations::<T>::get(provider());
        assert!(known.refunded > 0 && known.burned > 0 && known.disputes == 1);
        Ok(())
    }

    /// By the provider, after a complaint: all that closing can have to do.
    #[benchmark]
    fn close() -> Result<(), BenchmarkError> {
        let (number, _) = channel::<T>(new_key())?;
        Pallet::<T>::close(RawOrigin::Signed(consumer()).into(), number, Some(Complaint::Wrong))?;
        #[extrinsic_call]
        _(RawOrigin::Signed(provider()), number, None);
        assert!(!Channels::<T>::contains_key(number));
        Ok(())
    }

    #[benchmark]
    fn finish() -> Result<(), BenchmarkError> {
        let (number, _) = channel::<T>(new_key())?;
        Pallet::<T>::close(RawOrigin::Signed(consumer()).into(), number, Some(Complaint::Wrong))?;
        let over = rules::<T>()?.dispute_blocks.saturating_add(Pallet::<T>::block_number()).saturating_add(1);
        frame_system::Pallet::<T>::set_block_number(over.into());
        #[extrinsic_call]
        _(RawOrigin::Signed(consumer()), number);
        assert!(!Channels::<T>::contains_key(number));
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
