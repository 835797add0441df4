//! Linear vesting in constant space.
//!
//! Time is cut into buckets of 1/32 of the vesting period. All rewards that an account gets within one bucket vest
//! together, linearly over one period from the bucket's end on: never early, and at most 1/32 of a period late. After one
//! period and one bucket everything in it has vested, so an account never has more than [`BUCKETS`] of them.
//!
//! A bucket knows the blocks between which it vests, so that a change of the period changes no reward from before it. Where buckets of
//! several periods leave no room, those two neighbours are joined that vest at nearly the same time, as late as the later of
//! them.

use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{traits::ConstU32, BoundedVec};
use scale_info::TypeInfo;
use sp_core::U256;
use weir_primitives::{Balance, BlockNumber};

/// Into how many parts a period is cut.
pub const PARTS: BlockNumber = 32;
/// The most buckets that can hold something that has not vested: those of one period, and the one that is being filled.
pub const BUCKETS: u32 = 33;

/// The rewards of one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Bucket {
    /// The block up to which nothing has vested: the first one after the stretch.
    pub begins: BlockNumber,
    /// The block from which on everything has vested.
    pub ends: BlockNumber,
    /// What was put in.
    pub total: Balance,
    /// What has been released.
    pub released: Balance,
}

impl Bucket {
    /// An empty one, for what is given in block `number` and vests over `period` blocks.
    fn at(number: BlockNumber, period: BlockNumber) -> Self {
        let length = period.checked_div(PARTS).unwrap_or(0).max(1);
        let begins = number.checked_div(length).unwrap_or(0).saturating_add(1).saturating_mul(length);
        Self { begins, ends: begins.saturating_add(period), total: 0, released: 0 }
    }

    fn vested(&self, number: BlockNumber) -> Balance {
        if number >= self.ends {
            return self.total;
        }
        // Exact in 256 bits.
        U256::from(self.total)
            .saturating_mul(number.saturating_sub(self.begins).into())
            .checked_div(self.ends.saturating_sub(self.begins).into())
            .and_then(|vested| Balance::try_from(vested).ok())
            .unwrap_or(0)
    }

    fn held(&self) -> Balance {
        self.total.saturating_sub(self.released)
    }

    /// One bucket for what two hold in block `number`, which vests no earlier than either. What had vested by then was released:
    /// of what is left nothing has.
    fn joined(self, other: Self, number: BlockNumber) -> Self {
        Self {
            begins: self.begins.max(other.begins).max(number),
            ends: self.ends.max(other.ends),
            total: self.held().saturating_add(other.held()),
            released: 0,
        }
    }

    /// By how many blocks two buckets differ at the most in what is left of them in block `number`.
    fn apart(self, other: Self, number: BlockNumber) -> BlockNumber {
        let begins = self.begins.max(number).abs_diff(other.begins.max(number));
        begins.max(self.ends.abs_diff(other.ends))
    }
}

/// All that an account has vesting, what ends first in front. No bucket is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Ring {
    pub(crate) buckets: BoundedVec<Bucket, ConstU32<BUCKETS>>,
}

impl Ring {
    /// The amount that is held for the account.
    pub fn held(&self) -> Balance {
        self.buckets.iter().fold(0, |sum, bucket| sum.saturating_add(bucket.held()))
    }

    /// The amount that has vested and was not released yet.
    pub fn vested(&self, number: BlockNumber) -> Balance {
        self.buckets
            .iter()
            .fold(0, |sum, bucket| sum.saturating_add(bucket.vested(number).saturating_sub(bucket.released)))
    }

    /// Takes out what has vested, and says how much it is.
    pub fn release(&mut self, number: BlockNumber) -> Balance {
        let amount = self.vested(number);
        for bucket in self.buckets.iter_mut() {
            bucket.released = bucket.released.max(bucket.vested(number));
        }
        self.buckets.retain(|bucket| bucket.held() > 0);
        amount
    }

    /// Puts in a reward that is given in block `number` and vests over `period` blocks. What had vested by then was released.
    pub fn add(&mut self, amount: Balance, number: BlockNumber, period: BlockNumber) {
        if amount == 0 {
            return;
        }
        let reward = Bucket { total: amount, ..Bucket::at(number, period) };
        let same = |it: &&mut Bucket| (it.begins, it.ends) == (reward.begins, reward.ends);
        if let Some(bucket) = self.buckets.iter_mut().find(same) {
            bucket.total = bucket.total.saturating_add(amount);
            return;
        }
        let mut buckets = self.buckets.to_vec();
        buckets.push(reward);
        buckets.sort_by_key(|bucket| (bucket.ends, bucket.begins));
        if self.buckets.is_full() {
            join_nearest(&mut buckets, number);
        }
        self.buckets = BoundedVec::truncate_from(buckets);
    }
}

/// Joins those two neighbours that are the least apart in block `number`.
fn join_nearest(buckets: &mut Vec<Bucket>, number: BlockNumber) {
    let apart = |(first, second): (&Bucket, &Bucket)| first.apart(*second, number);
    let nearest = buckets.iter().zip(buckets.iter().skip(1)).map(apart).enumerate().min_by_key(|(_, apart)| *apart);
    let Some((index, _)) = nearest else { return };
    let second = buckets.remove(index.saturating_add(1));
    if let Some(first) = buckets.get_mut(index) {
        *first = first.joined(second, number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PERIOD: BlockNumber = 96;

    #[test]
    fn nothing_vests_before_the_bucket_ends_and_all_has_one_period_after_it() {
        let mut ring = Ring::default();
        ring.add(960, 7, PERIOD);
        // Block 7 is in the bucket of blocks 6 to 8.
        assert_eq!(ring.vested(9), 0);
        assert_eq!(ring.vested(10), 10);
        assert_eq!(ring.vested(9 + 96), 960);
    }

    #[test]
    fn a_ring_that_is_rewarded_in_every_block_for_ever_has_a_bucket_for_each_part() {
        let mut ring = Ring::default();
        for number in 0..1_000 {
            ring.release(number);
            ring.add(1_000, number, PERIOD);
        }
        assert_eq!(ring.buckets.len(), BUCKETS as usize);
    }

    /// By how many blocks all that was given is late at the most, while the period changes.
    fn lateness(blocks: BlockNumber, period: impl Fn(BlockNumber) -> BlockNumber) -> BlockNumber {
        let (mut ring, mut given, mut released, mut worst) = (Ring::default(), Vec::new(), 0, 0);
        for number in 0..blocks {
            released += ring.release(number);
            ring.add(1 << 40, number, period(number));
            given.push((number, period(number), 1 << 40));
            let is_late = |delay| released + (1 << 20) < linear(&given, number, |_| delay);
            while is_late(worst) {
                worst += 1;
            }
        }
        worst
    }

    #[test]
    fn a_period_that_changes_once_or_again_and_again_makes_nothing_later_than_a_32nd_of_the_longest() {
        for (blocks, period) in [
            (2_000, (|number| if number < 1_000 { 640 } else { 32 }) as fn(BlockNumber) -> BlockNumber),
            (2_000, |number| if number < 1_000 { 320 } else { 640 }),
            (1_500, |number| if number % 2 == 0 { 640 } else { 32 }),
            (1_500, |number| if number / 10 % 2 == 0 { 640 } else { 32 }),
        ] {
            let late = lateness(blocks, period);
            assert!(late <= 640 / PARTS, "{late} blocks");
        }
    }

    #[test]
    fn another_period_changes_no_reward_from_before() {
        let mut ring = Ring::default();
        ring.add(960, 7, PERIOD);
        let before: Vec<_> = (0..200).map(|number| ring.vested(number)).collect();
        ring.add(32, 8, 32);
        ring.add(320, 8, 320);
        let since: Vec<_> = (0..200).map(|number| ring.vested(number)).collect();
        let (mut shorter, mut longer) = (Ring::default(), Ring::default());
        shorter.add(32, 8, 32);
        longer.add(320, 8, 320);
        for (number, (before, since)) in (0..).zip(before.into_iter().zip(since)) {
            assert_eq!(since, before + shorter.vested(number) + longer.vested(number));
        }
    }

    /// A reward, and over how many blocks it vests.
    type Given = (BlockNumber, BlockNumber, Balance);

    /// What linear vesting of each reward from `delay` blocks after it comes to.
    fn linear(given: &[Given], number: BlockNumber, delay: impl Fn(BlockNumber) -> BlockNumber) -> Balance {
        given
            .iter()
            .map(|(at, period, amount)| {
                let passed = number.saturating_sub(at + delay(*period)).min(*period);
                amount * u128::from(passed) / u128::from(*period)
            })
            .sum()
    }

    proptest! {
        #[test]
        fn nothing_is_early_or_more_than_a_32nd_late_and_nothing_is_lost(
            rewards in proptest::collection::vec((0u32..40, 0u128..1 << 80), 1..60),
            claims in proptest::collection::vec(any::<bool>(), 60),
        ) {
            let mut ring = Ring::default();
            let (mut number, mut released) = (0, 0);
            let mut given = Vec::new();
            for ((step, amount), claim) in rewards.into_iter().zip(claims) {
                number += step;
                if claim || ring.buckets.is_full() {
                    released += ring.release(number);
                }
                ring.add(amount, number, PERIOD);
                given.push((number, PERIOD, amount));
                let vested = released + ring.vested(number);
                prop_assert!(vested <= linear(&given, number, |_| 0) + given.len() as u128);
                prop_assert!(vested >= linear(&given, number, |period| period / PARTS));
                prop_assert_eq!(released + ring.held(), given.iter().map(|(.., amount)| amount).sum::<u128>());
            }
            released += ring.release(number + 99);
            prop_assert_eq!(released, given.iter().map(|(.., amount)| amount).sum::<u128>());
            prop_assert_eq!(ring.held(), 0);
        }

        #[test]
        fn periods_that_change_make_nothing_early_or_late_by_more_than_a_32nd_of_the_longest(
            rewards in proptest::collection::vec((0u32..12, 0u128..1 << 80, 0usize..3), 1..400),
        ) {
            let periods = [32, 96, 640];
            let mut ring = Ring::default();
            let (mut number, mut released) = (0, 0);
            let mut given: Vec<Given> = Vec::new();
            for (step, amount, period) in rewards {
                number += step;
                let period = periods[period];
                released += ring.release(number);
                ring.add(amount, number, period);
                given.push((number, period, amount));
                // One planck for each rounding: of each reward, and of what was held where buckets were joined.
                prop_assert!(released <= linear(&given, number, |_| 0) + given.len() as u128);
                prop_assert!(released + 2 * given.len() as u128 >= linear(&given, number, |_| 640 / PARTS));
                prop_assert_eq!(released + ring.held(), given.iter().map(|(.., amount)| amount).sum::<u128>());
            }
            released += ring.release(number + 640 + 2 * 640 / PARTS);
            prop_assert_eq!(released, given.iter().map(|(.., amount)| amount).sum::<u128>());
        }
    }
}
