//! Values that change at the borders of epochs, and are asked for of the epoch before, this one and the next.
//!
//! Whatever decides a draw acts from the next epoch on. The last challenges of an epoch are evaluated after it ended, and what a
//! value was then must still be known. So three versions are kept, nothing is copied at a border, and anybody can draw again what was
//! drawn.

use crate::EpochIndex;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use sp_core::ConstU32;
use sp_runtime::BoundedVec;

/// A value by epoch, of which so many later versions are kept beside the oldest: two for the epoch before this one, this one and the next.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Versions<T, const LATER: u32 = 2> {
    /// The oldest version that is known.
    oldest: T,
    /// Later ones, each with the epoch from which on it holds; in the order of the epochs.
    later: BoundedVec<(EpochIndex, T), ConstU32<LATER>>,
}

impl<T: Default, const LATER: u32> Default for Versions<T, LATER> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T, const LATER: u32> Versions<T, LATER> {
    /// A value that was never another one.
    pub fn new(value: T) -> Self {
        Self { oldest: value, later: BoundedVec::new() }
    }

    /// The value in an epoch; the oldest one that is known, if it was another one then.
    pub fn at(&self, epoch: EpochIndex) -> &T {
        self.later.iter().rev().find(|(from, _)| *from <= epoch).map_or(&self.oldest, |(_, value)| value)
    }

    /// The value that was set last, which may be of the next epoch.
    pub fn last(&self) -> &T {
        self.later.last().map_or(&self.oldest, |(_, value)| value)
    }

    /// Sets the value from an epoch on: the next one, wherever it is used. What was set for that epoch or a later one before, is
    /// forgotten.
    pub fn set(&mut self, from: EpochIndex, value: T) {
        self.later.retain(|(epoch, _)| *epoch < from);
        if self.later.is_full() {
            let (_, oldest) = self.later.remove(0);
            self.oldest = oldest;
        }
        self.later.force_push((from, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn the_epoch_before_this_one_and_the_next_are_always_known(
            steps in proptest::collection::vec((0u32..3, any::<u8>()), 1..60),
        ) {
            let mut epoch = 1;
            let mut versions = Versions::<u8>::new(0);
            let mut one_more = Versions::<u8, 3>::new(0);
            let mut all = BTreeMap::from([(0, 0u8)]);
            for (passed, value) in steps {
                epoch += passed;
                versions.set(epoch + 1, value);
                one_more.set(epoch + 1, value);
                all.insert(epoch + 1, value);
                for asked in epoch - 1..epoch + 5 {
                    prop_assert_eq!(versions.at(asked), all.range(..=asked).next_back().unwrap().1);
                }
                let two_before = epoch.saturating_sub(2);
                prop_assert_eq!(one_more.at(two_before), all.range(..=two_before).next_back().unwrap().1);
                prop_assert_eq!(*versions.last(), value);
            }
        }
    }

    #[test]
    fn what_was_set_for_the_next_epoch_is_replaced_until_it_comes() {
        let mut versions = Versions::<char>::new('a');
        versions.set(5, 'b');
        versions.set(5, 'c');
        assert_eq!((versions.at(4), versions.at(5), versions.last()), (&'a', &'c', &'c'));
    }
}
