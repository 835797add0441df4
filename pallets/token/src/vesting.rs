//! Linear vesting in constant space.
//!
//! Time is cut into buckets of 1/32 of the vesting period. All rewards that an account gets within one bucket vest
//! together, linearly over one period from the bucket's end on: never early, and at most 1/32 of a period late. After one
//! period and one bucket everything in it has vested, so an account never has more than [`BUCKETS`] of them.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{traits::ConstU32, BoundedVec};
use scale_info::TypeInfo;
use sp_core::U256;
use weir_primitives::{parameters::Token, Balance, BlockNumber};

/// Into how many parts a period is cut.
pub const PARTS: BlockNumber = 32;
/// The most buckets that can hold something that has not vested: those of one period, and the one that is being filled.
pub const BUCKETS: u32 = 33;

/// The rewards of one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Bucket {
    /// Which stretch: it ends before block (index + 1) · period / 32.
    pub index: BlockNumber,
    /// What was put in.
    pub total: Balance,
    /// What has been released.
    pub released: Balance,
}

impl Bucket {
    fn vested(&self, number: BlockNumber, token: &Token) -> Balance {
        let length = bucket_blocks(token);
        let start = self.index.saturating_add(1).saturating_mul(length);
        let passed = number.saturating_sub(start).min(token.vesting_blocks);
        // Exact in 256 bits.
        U256::from(self.total)
            .saturating_mul(passed.into())
            .checked_div(token.vesting_blocks.into())
            .and_then(|vested| Balance::try_from(vested).ok())
            .unwrap_or(0)
    }

    fn held(&self) -> Balance {
        self.total.saturating_sub(self.released)
    }
}

/// All that an account has vesting, the oldest bucket first. No bucket is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Ring {
    buckets: BoundedVec<Bucket, ConstU32<BUCKETS>>,
}

/// There is no room for another bucket. Cannot happen to a ring from which all vested was released first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Ring {
    /// The amount that is held for the account.
    pub fn held(&self) -> Balance {
        self.buckets.iter().fold(0, |sum, bucket| sum.saturating_add(bucket.held()))
    }

    /// The amount that has vested and was not released yet.
    pub fn vested(&self, number: BlockNumber, token: &Token) -> Balance {
        self.buckets
            .iter()
            .fold(0, |sum, bucket| sum.saturating_add(bucket.vested(number, token).saturating_sub(bucket.released)))
    }

    /// Takes out what has vested, and says how much it is.
    pub fn release(&mut self, number: BlockNumber, token: &Token) -> Balance {
        let amount = self.vested(number, token);
        for bucket in self.buckets.iter_mut() {
            bucket.released = bucket.released.max(bucket.vested(number, token));
        }
        self.buckets.retain(|bucket| bucket.held() > 0);
        amount
    }

    /// Puts in a reward that is given in block `number`.
    pub fn add(&mut self, amount: Balance, number: BlockNumber, token: &Token) -> Result<(), Full> {
        let index = number.checked_div(bucket_blocks(token)).unwrap_or(0);
        match self.buckets.last_mut() {
            Some(last) if last.index == index => {
                last.total = last.total.saturating_add(amount);
                Ok(())
            },
            _ if amount == 0 => Ok(()),
            _ => self.buckets.try_push(Bucket { index, total: amount, released: 0 }).map_err(|_| Full),
        }
    }
}

fn bucket_blocks(token: &Token) -> BlockNumber {
    token.vesting_blocks.checked_div(PARTS).unwrap_or(0).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: Token = Token { emission_divisor: 1, vesting_blocks: 96 };

    #[test]
    fn nothing_vests_before_the_bucket_ends_and_all_has_one_period_after_it() {
        let mut ring = Ring::default();
        ring.add(960, 7, &TOKEN).unwrap();
        // Block 7 is in the bucket of blocks 6 to 8.
        assert_eq!(ring.vested(9, &TOKEN), 0);
        assert_eq!(ring.vested(10, &TOKEN), 10);
        assert_eq!(ring.vested(9 + 96, &TOKEN), 960);
    }

    #[test]
    fn a_ring_that_is_rewarded_in_every_block_for_ever_has_room() {
        let mut ring = Ring::default();
        for number in 0..1_000 {
            ring.release(number, &TOKEN);
            ring.add(1_000, number, &TOKEN).unwrap();
        }
        assert_eq!(ring.buckets.len(), BUCKETS as usize);
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
                    released += ring.release(number, &TOKEN);
                }
                if ring.add(amount, number, &TOKEN).is_ok() {
                    given.push((number, amount));
                }
                // Linear vesting of each reward from its own block, and from 1/32 of the period later.
                let linear = |delay: u32| -> u128 {
                    given.iter().map(|(at, amount)| amount * u128::from((number).saturating_sub(at + delay).min(96)) / 96).sum()
                };
                let vested = released + ring.vested(number, &TOKEN);
                prop_assert!(vested <= linear(0) + given.len() as u128);
                prop_assert!(vested >= linear(3));
                prop_assert_eq!(released + ring.held(), given.iter().map(|(_, amount)| amount).sum::<u128>());
            }
            released += ring.release(number + 99, &TOKEN);
            prop_assert_eq!(released, given.iter().map(|(_, amount)| amount).sum::<u128>());
            prop_assert_eq!(ring.held(), 0);
        }
    }
}
