//! Blocks that are dated too far ahead of our clock, until they are due.
//!
//! A block that is not due is no fault of anybody's: its author's clock may be ahead, or ours behind. It waits here, in front of
//! the queue that executes, so that it need not be fetched again, and leaves exactly when it is due: by date, and blocks of the
//! same date by arrival. The room is bounded; where it is full, the farthest date leaves first, so that who dates far ahead keeps
//! nobody else's block out.

use std::collections::BTreeMap;
use weir_primitives::UnixMilliseconds;

/// How many blocks wait at the most.
pub const MOST_WAITING: usize = 64;

/// When a block is due, and which of those that are due then came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    due: UnixMilliseconds,
    date: UnixMilliseconds,
    arrival: u64,
}

/// Blocks that wait.
#[derive(Debug)]
pub struct Waiting<T> {
    blocks: BTreeMap<Turn, T>,
    arrivals: u64,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { blocks: BTreeMap::new(), arrivals: 0 }
    }
}

impl<T> Waiting<T> {
    /// Lets a block wait until it is due. If that is one too many, the one with the farthest date is given back.
    pub fn insert(&mut self, due: UnixMilliseconds, date: UnixMilliseconds, block: T) -> Option<T> {
        self.arrivals = self.arrivals.saturating_add(1);
        self.blocks.insert(Turn { due, date, arrival: self.arrivals }, block);
        if self.blocks.len() <= MOST_WAITING {
            return None;
        }
        let farthest = self.blocks.keys().copied().max_by_key(|turn| (turn.date, turn.arrival))?;
        self.blocks.remove(&farthest)
    }

    /// Takes out what is due, in its order.
    pub fn take_due(&mut self, now: UnixMilliseconds) -> Vec<T> {
        let mut taken = Vec::new();
        while let Some(entry) = self.blocks.first_entry() {
            if entry.key().due > now {
                break;
            }
            taken.push(entry.remove());
        }
        taken
    }

    /// When the next block is due; none if no block waits.
    pub fn next_due(&self) -> Option<UnixMilliseconds> {
        self.blocks.first_key_value().map(|(turn, _)| turn.due)
    }

    /// How many blocks wait.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether no block waits.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: u64 = 15_000;

    fn insert(waiting: &mut Waiting<u64>, date: u64, block: u64) -> Option<u64> {
        waiting.insert(date - LIMIT, date, block)
    }

    #[test]
    fn a_block_leaves_exactly_when_it_is_due() {
        let mut waiting = Waiting::default();
        assert_eq!(insert(&mut waiting, 100_000, 1), None);
        assert_eq!(waiting.next_due(), Some(85_000));
        assert_eq!(waiting.take_due(84_999), Vec::<u64>::new());
        assert_eq!(waiting.take_due(85_000), vec![1]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn earlier_dates_come_first_and_equal_ones_in_the_order_of_arrival() {
        let mut waiting = Waiting::default();
        for (date, block) in [(100_002, 1), (100_001, 2), (100_002, 3), (100_001, 4)] {
            assert_eq!(insert(&mut waiting, date, block), None);
        }
        assert_eq!(waiting.take_due(90_000), vec![2, 4, 1, 3]);
    }

    #[test]
    fn who_fills_the_room_with_far_dates_keeps_nobody_out() {
        let mut waiting = Waiting::default();
        for block in 0..MOST_WAITING as u64 {
            assert_eq!(insert(&mut waiting, 120_000, block), None);
        }
        assert_eq!(insert(&mut waiting, 100_001, 1_000), Some(MOST_WAITING as u64 - 1));
        // A farther one than all is the one that leaves.
        assert_eq!(insert(&mut waiting, 120_001, 2_000), Some(2_000));
        assert_eq!(waiting.take_due(100_001), vec![1_000]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_nothing_is_early_and_the_room_stays_bounded(
            dates in proptest::collection::vec(LIMIT..LIMIT + 1_000, 1..200),
        ) {
            let mut waiting = Waiting::default();
            let mut gone = 0;
            for (block, date) in dates.iter().enumerate() {
                gone += usize::from(insert(&mut waiting, *date, block as u64).is_some());
                prop_assert!(waiting.len() <= MOST_WAITING);
            }
            let mut taken = Vec::new();
            for now in 0..=1_000 {
                for block in waiting.take_due(now) {
                    prop_assert_eq!(dates[block as usize] - LIMIT, now);
                    taken.push(block);
                }
            }
            prop_assert_eq!(taken.len() + gone, dates.len());
        }
    }
}
