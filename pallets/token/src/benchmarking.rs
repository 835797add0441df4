//! What the pallet's calls and hooks cost.

use crate::{
    earnings::{BatchBudget, DutyPrices, Earned},
    vesting::{Ring, BUCKETS, PARTS},
    Batches, Call, CapacityTotal, Config, Duties, DutyBudget, HoldReason, Pallet, Payees, Promised, Rings, Sums, CAP,
};
use frame_benchmarking::v2::*;
use frame_support::traits::{
    fungible::{Balanced, Inspect, Mutate, MutateHold},
    Get, Hooks, OnUnbalanced,
};
use frame_system::RawOrigin;
use sp_runtime::DispatchResult;
use weir_primitives::{
    interfaces::{CurrentBlock, OnAuthored, OnGuaranteed, Units},
    AccountId, Balance, BlockNumber, PLANCK_PER_WEIR,
};

const REWARD: Balance = PLANCK_PER_WEIR;

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

/// Makes the next reward of an account the most work: its ring is full, some of it has vested, and it has earned more in an epoch that is over.
///
/// # Errors
///
/// When the account cannot hold so much.
pub fn earn<T: Config>(account: &AccountId) -> DispatchResult {
    let period = T::VestingBlocks::get();
    let mut ring = Ring::default();
    for part in 0..BUCKETS {
        ring.add(REWARD, part * (period / PARTS), period);
    }
    let held = ring.held();
    T::Currency::mint_into(account, held + REWARD)?;
    T::Currency::hold(&HoldReason::Vesting.into(), account, held)?;
    Rings::<T>::insert(account, ring);
    Sums::<T>::mutate(|sums| {
        sums.issued += held + REWARD;
        sums.vesting += held;
    });
    Duties::<T>::insert(account, Earned { epoch: 0, in_epoch: REWARD, owed: REWARD });
    DutyBudget::<T>::put(DutyPrices { budget: CAP, left: CAP, most: CAP, bytes_before: 1, bytes: 1 });
    Batches::<T>::put(BatchBudget { each: REWARD, left: CAP });
    CapacityTotal::<T>::mutate(|total| {
        total.share(REWARD, 1);
    });
    Promised::<T>::mutate(|promised| *promised += 2 * REWARD);
    Ok(())
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
        let account = AccountId::new([1; 32]);
        let units = |bits_per_second| Units { mining_author: None, bits_per_second };
        Pallet::<T>::on_guaranteed(&account, 1, units(0), units(1_000_000));
        // What it earned goes to another ring than what has vested comes from.
        let payee = AccountId::new([2; 32]);
        earn::<T>(&payee)?;
        earn::<T>(&account)?;
        Payees::<T>::insert(&account, payee);
        frame_system::Pallet::<T>::set_block_number((T::VestingBlocks::get() / 2).into());
        let before = Rings::<T>::get(&account).held();

        #[extrinsic_call]
        _(RawOrigin::Signed(account.clone()), account.clone());

        // Of what was held half has vested.
        assert!(Rings::<T>::get(&account).held() < before);
        assert_eq!(Pallet::<T>::owed(&account), 0);
        Ok(())
    }

    #[benchmark]
    fn set_payee() -> Result<(), BenchmarkError> {
        let (account, payee) = (AccountId::new([1; 32]), AccountId::new([2; 32]));

        #[extrinsic_call]
        _(RawOrigin::Signed(account.clone()), Some(payee.clone()));

        assert_eq!(Payees::<T>::get(account), Some(payee));
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
