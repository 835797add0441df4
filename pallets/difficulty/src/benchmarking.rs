//! What the pallet's call and hooks cost.

use crate::{Authors, Call, Config, NextBase, Pallet, ShareTotals, Term, Terms};
use frame_benchmarking::v2::*;
use frame_support::traits::Hooks;
use frame_system::RawOrigin;
use sp_core::crypto::KeyTypeId;
use sp_runtime::{generic::Digest, SaturatedConversion, StateVersion};
use weir_primitives::{
    consensus::{author_key_payload, PreDigest},
    AccountId,
};

const KEY_TYPE: KeyTypeId = KeyTypeId(*b"benc");

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn on_initialize() -> Result<(), BenchmarkError> {
        let author = AccountId::new([1; 32]);
        // An author with a share in all of the snapshots, who spends what it has.
        for epoch in 1..=3u32 {
            ShareTotals::<T>::mutate(|totals| {
                Authors::<T>::mutate(&author, |author| {
                    author.change(epoch, 0, 1_000_000_000, totals);
                    author.note_block(epoch.saturating_sub(1), totals);
                })
            });
            Terms::<T>::mutate(|terms| {
                terms.force_push(Term { snapshot: epoch, from: epoch, total_bits_per_second: 1_000_000_000 })
            });
        }
        let number = frame_system::Pallet::<T>::block_number() + 1u32.into();
        let base = NextBase::<T>::get().ok_or("genesis sets the base")?;
        let next = Pallet::<T>::next_block(&author, number.saturated_into(), StateVersion::V1)
            .ok_or("genesis sets the parameters")?;
        let (earliest, credit) = (next.earliest, next.spendable);
        let claims = PreDigest { author, base: base.0, credit, timestamp: earliest };
        frame_system::Pallet::<T>::initialize(
            &number,
            &Default::default(),
            &Digest { logs: alloc::vec![claims.to_item()] },
        );

        #[block]
        {
            Pallet::<T>::on_initialize(number);
            Pallet::<T>::on_finalize(number);
        }

        assert!(NextBase::<T>::exists());
        Ok(())
    }

    #[benchmark]
    fn set_author_key() -> Result<(), BenchmarkError> {
        let caller = AccountId::new([1; 32]);
        let proven = |seed: u8| {
            let key = sp_io::crypto::sr25519_generate(KEY_TYPE, Some(alloc::vec![b'/', b'/', b'a' + seed]));
            let payload = author_key_payload(Pallet::<T>::genesis_hash(), &caller);
            let proof = sp_io::crypto::sr25519_sign(KEY_TYPE, &key, &payload).ok_or("the key is in the keystore")?;
            Ok::<_, BenchmarkError>((key, proof))
        };
        Pallet::<T>::change_key(&caller, Some(proven(0)?))?;
        let (key, proof) = proven(1)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(caller.clone()), Some((key, proof)));

        assert_eq!(Pallet::<T>::key_of(&caller), AccountId::from(key));
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
