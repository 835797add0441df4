//! What the pallet's calls and hooks cost.

use crate::{vesting::PARTS, Call, Config, Pallet, Rings};
use frame_benchmarking::v2::*;
use frame_support::traits::{
    fungible::{Balanced, Inspect},
    Get, Hooks, OnUnbalanced,
};
use frame_system::RawOrigin;
use weir_primitives::{
    interfaces::{CurrentBlock, OnAuthored},
    AccountId, BlockNumber,
};

/// An account with something in every bucket of its ring, and the block in which the next reward comes.
fn full_ring<T: Config>() -> Result<(AccountId, BlockNumber), BenchmarkError> {
    let account = AccountId::new([1; 32]);
    let bucket = T::Parameters::get().ok_or("genesis sets the parameters")?.token.vesting_blocks / PARTS;
    for part in 0..=PARTS {
        frame_system::Pallet::<T>::set_block_number((part * bucket).into());
        Pallet::<T>::on_authored(&account);
    }
    Ok((account, (PARTS + 1) * bucket))
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn on_initialize() -> Result<(), BenchmarkError> {
        let (author, number) = full_ring::<T>()?;
        frame_system::Pallet::<T>::set_block_number(number.into());

        #[block]
        {
            Pallet::<T>::on_authored(&author);
        }

        assert!(Rings::<T>::contains_key(author));
        Ok(())
    }

    #[benchmark]
    fn on_finalize() -> Result<(), BenchmarkError> {
        let author = AccountId::new([1; 32]);
        T::CurrentBlock::set_author(&author);
        let paid = T::Currency::minimum_balance().saturating_mul(1_000);
        Pallet::<T>::on_unbalanceds([T::Currency::issue(paid), T::Currency::issue(paid)].into_iter());

        #[block]
        {
            Pallet::<T>::on_finalize(1u32.into());
        }

        assert!(T::Currency::total_balance(&author) > paid);
        assert!(T::Currency::total_balance(&Pallet::<T>::treasury()) > 0);
        Ok(())
    }

    #[benchmark]
    fn claim() -> Result<(), BenchmarkError> {
        let (account, number) = full_ring::<T>()?;
        frame_system::Pallet::<T>::set_block_number(number.into());
        let before = Rings::<T>::get(&account).held();

        #[extrinsic_call]
        _(RawOrigin::Signed(account.clone()), account.clone());

        assert!(Rings::<T>::get(&account).held() < before);
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
