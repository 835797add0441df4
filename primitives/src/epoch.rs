//! Epochs: stretches of blocks, each with an index, a first block and a length of its own.

use crate::{BlockNumber, EpochIndex};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// An epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Epoch {
    /// How many epochs came before it.
    pub index: EpochIndex,
    /// Its first block.
    pub first: BlockNumber,
    /// How many blocks it has; at least one.
    pub blocks: BlockNumber,
}

impl Epoch {
    /// The epoch that begins with genesis.
    pub fn initial(blocks: BlockNumber) -> Self {
        Self { index: 0, first: 0, blocks: blocks.max(1) }
    }

    /// The epoch of a block on a chain all of whose epochs up to then are equally long.
    pub fn uniform(number: BlockNumber, blocks: BlockNumber) -> Self {
        let blocks = blocks.max(1);
        let index = number.checked_div(blocks).unwrap_or(0);
        Self { index, first: index.saturating_mul(blocks), blocks }
    }

    /// The first block that is not in it any more, or the greatest number where that does not fit.
    pub fn end(self) -> BlockNumber {
        self.first.saturating_add(self.blocks)
    }

    /// The next one, with a length of its own.
    pub fn next(self, blocks: BlockNumber) -> Self {
        Self { index: self.index.saturating_add(1), first: self.end(), blocks: blocks.max(1) }
    }

    /// The index of the epoch of a block that is in this one or in the next.
    pub fn index_at(self, number: BlockNumber) -> EpochIndex {
        self.index.saturating_add(u32::from(number >= self.end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn epochs_follow_each_other_without_a_gap(lengths in proptest::collection::vec(0u32..1_000, 1..50)) {
            let mut epoch = Epoch::initial(10);
            for length in lengths {
                let next = epoch.next(length);
                prop_assert_eq!(epoch.index_at(next.first - 1), epoch.index);
                prop_assert_eq!(epoch.index_at(next.first), next.index);
                prop_assert!(next.blocks >= 1 && next.first == epoch.end());
                epoch = next;
            }
        }

        #[test]
        fn equally_long_epochs_are_those_that_follow_each_other(number in 0u32..10_000, blocks in 1u32..50) {
            let mut epoch = Epoch::initial(blocks);
            while number >= epoch.end() {
                epoch = epoch.next(blocks);
            }
            prop_assert_eq!(epoch, Epoch::uniform(number, blocks));
        }
    }

    #[test]
    fn the_last_epochs_there_can_be_do_not_overflow() {
        let last = Epoch { index: u32::MAX, first: u32::MAX, blocks: u32::MAX };
        assert_eq!(last.next(u32::MAX), last);
        assert_eq!(Epoch::initial(0).blocks, 1);
    }
}
