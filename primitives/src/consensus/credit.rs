//! Boost credit: what an author may spend to make a block easier.
//!
//! Each author has a bucket. Every block adds [`GAIN`] times the author's share of the measured bandwidth, up to a cap of
//! a number of blocks' worth of that share. A block spends at most one. Shares come from snapshots, each in force from one
//! block to the start of the next one ([`Term`]); where a term starts, a bucket is cut to the new cap.
//!
//! A bucket is brought up to date when it is looked at ([`Bucket::at`]), with the result of doing so at every block. That
//! needs the last three terms and no more: a term lasts at least as many blocks as fill an empty bucket
//! ([`crate::parameters::Parameters::check`]), so whatever was there before a complete term, the bucket is full at its end.

use crate::BlockNumber;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use sp_arithmetic::Perbill;

/// What a bucket gains per block, as a multiple of the author's share: 5/4.
///
/// Above one, so that an author whose share of the bandwidth is also its share of the blocks can boost each of them in
/// spite of the variance of mining.
pub const GAIN: (u128, u128) = (5, 4);

/// How many terms a bucket must be shown, the oldest first.
pub const TERMS: usize = 3;

const ONE: u128 = 1_000_000_000_000_000_000;
const PER_PERBILL_PART: u128 = 1_000_000_000;

/// A part of all measured bandwidth, in units of 10⁻¹⁸, from nothing to one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u128);

impl Share {
    /// `bandwidth / max(total, least)`, rounded down; all three in the same unit.
    pub fn new(bandwidth: u64, total: u128, least: u64) -> Self {
        let whole = total.max(u128::from(least)).max(u128::from(bandwidth)).max(1);
        Self(u128::from(bandwidth).saturating_mul(ONE).checked_div(whole).unwrap_or(0))
    }

    fn gain(self) -> u128 {
        self.0.saturating_mul(GAIN.0).checked_div(GAIN.1).unwrap_or(0)
    }

    fn cap(self, cap_blocks: u32) -> u128 {
        self.0.saturating_mul(u128::from(cap_blocks))
    }
}

/// A share, and the first block in which it is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// The first block that gains with this share.
    pub from: BlockNumber,
    /// The author's share.
    pub share: Share,
}

/// The credit of one author after a block, in units of 10⁻¹⁸ blocks.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Bucket {
    credit: u128,
    number: BlockNumber,
}

impl Bucket {
    /// The bucket after the gain of block `number`, which lies after the block that it was last seen at.
    ///
    /// `terms` are the last [`TERMS`] terms of the author, the oldest first; before the first of them there was no credit
    /// to gain. Terms from after `number` are not looked at.
    pub fn at(self, number: BlockNumber, terms: &[Term], cap_blocks: u32) -> Self {
        let mut credit = self.credit;
        for (index, term) in terms.iter().enumerate() {
            let end = terms.get(index.saturating_add(1)).map_or(number, |next| next.from.saturating_sub(1).min(number));
            let start = term.from.max(self.number.saturating_add(1));
            if term.from > number || end < start {
                continue;
            }
            let blocks = u128::from(end.saturating_sub(start)).saturating_add(1);
            let cap = term.share.cap(cap_blocks);
            credit = credit.min(cap).saturating_add(term.share.gain().saturating_mul(blocks)).min(cap);
        }
        Self { credit, number: number.max(self.number) }
    }

    /// How much the author may spend on one block: all that there is, one at most.
    pub fn spendable(self) -> Perbill {
        let parts = self.credit.checked_div(PER_PERBILL_PART).unwrap_or(0);
        Perbill::from_parts(u32::try_from(parts).unwrap_or(u32::MAX))
    }

    /// The bucket without `spent`, or nothing if it does not hold as much.
    pub fn spend(self, spent: Perbill) -> Option<Self> {
        let amount = u128::from(spent.deconstruct()).saturating_mul(PER_PERBILL_PART);
        Some(Self { credit: self.credit.checked_sub(amount)?, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CAP_BLOCKS: u32 = 8;
    const EPOCH: u32 = 10;

    fn quarter() -> Share {
        Share::new(250, 250, 1_000)
    }

    /// The rule read literally: block by block, with all terms there ever were.
    fn block_by_block(mut bucket: Bucket, number: u32, terms: &[Term]) -> Bucket {
        for block in bucket.number + 1..=number {
            if let Some(term) = terms.iter().rev().find(|term| term.from <= block) {
                let cap = term.share.cap(CAP_BLOCKS);
                bucket.credit = (bucket.credit.min(cap) + term.share.gain()).min(cap);
            }
            bucket.number = block;
        }
        bucket
    }

    #[test]
    fn a_new_author_starts_with_nothing() {
        assert_eq!(Bucket::default().at(100, &[], CAP_BLOCKS).spendable(), Perbill::zero());
    }

    #[test]
    fn a_share_gains_five_quarters_of_itself_per_block_up_to_its_cap() {
        let terms = [Term { from: 10, share: quarter() }];
        let at = |number| Bucket::default().at(number, &terms, CAP_BLOCKS).spendable();
        assert_eq!(at(9), Perbill::zero());
        assert_eq!(at(10), Perbill::from_rational(5u32, 16));
        assert_eq!(at(12), Perbill::from_rational(15u32, 16));
        assert_eq!(at(13), Perbill::one());
        assert_eq!(Bucket::default().at(1_000, &terms, CAP_BLOCKS).credit, 2 * ONE);
    }

    #[test]
    fn a_smaller_share_cuts_the_bucket_where_it_comes_into_force() {
        let terms = [Term { from: 10, share: quarter() }, Term { from: 30, share: Share::default() }];
        assert_eq!(Bucket::default().at(29, &terms, CAP_BLOCKS).credit, 2 * ONE);
        assert_eq!(Bucket::default().at(30, &terms, CAP_BLOCKS).credit, 0);
    }

    #[test]
    fn nobody_spends_more_than_there_is() {
        let bucket = Bucket::default().at(10, &[Term { from: 10, share: quarter() }], CAP_BLOCKS);
        assert!(bucket.spend(Perbill::from_rational(5u32, 16)).is_some_and(|rest| rest.credit == 0));
        assert_eq!(bucket.spend(Perbill::from_parts(312_500_001)), None);
    }

    #[test]
    fn the_first_measured_bandwidth_does_not_own_the_chain() {
        assert_eq!(Share::new(10, 10, 1_000), Share(ONE / 100));
    }

    proptest! {
        #[test]
        fn looking_rarely_gives_what_looking_at_every_block_gives(
            shares in proptest::collection::vec(0u64..=1_000, 1..12),
            looks in proptest::collection::vec((1u32..30, 0u32..=1_000_000_000), 1..20),
        ) {
            let terms: Vec<_> = shares
                .iter()
                .zip(1u32..)
                .map(|(share, epoch)| Term { from: epoch * EPOCH, share: Share::new(*share, 1_000, 1) })
                .collect();
            let (mut lazy, mut eager) = (Bucket::default(), Bucket::default());
            let mut number = 0;
            for (step, spend) in looks {
                number += step;
                // What a chain still has: the last three terms that have been announced by then, one of them not in force yet.
                let known = terms.iter().filter(|term| term.from <= number + EPOCH).count();
                lazy = lazy.at(number, &terms[known.saturating_sub(TERMS)..known], CAP_BLOCKS);
                eager = block_by_block(eager, number, &terms);
                prop_assert_eq!(lazy, eager);
                let spent = Perbill::from_parts(spend).min(lazy.spendable());
                (lazy, eager) = (lazy.spend(spent).unwrap(), eager.spend(spent).unwrap());
            }
        }

        #[test]
        fn several_identities_gain_no_more_than_one(whole in 2u64..1_000_000, part in 1u64..1_000_000, rest in 0u64..1_000_000) {
            let part = part.min(whole - 1);
            let total = u128::from(whole) + u128::from(rest);
            let credit = |bandwidth| Bucket::default().at(40, &[Term { from: 1, share: Share::new(bandwidth, total, 1) }], 64).credit;
            prop_assert!(credit(part) + credit(whole - part) <= credit(whole) + 40);
        }
    }
}
