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
/// How many bytes of them: as four full blocks have.
pub const MOST_BYTES: usize = 8 << 20;

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
    blocks: BTreeMap<Turn, (usize, T)>,
    bytes: usize,
    arrivals: u64,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { blocks: BTreeMap::new(), bytes: 0, arrivals: 0 }
    }
}

impl<T> Waiting<T> {
    /// Lets a block of so many bytes wait until it is due. Gives back those with the farthest dates, if that is too much.
    pub fn insert(&mut self, due: UnixMilliseconds, date: UnixMilliseconds, bytes: usize, block: T) -> Vec<T> {
        self.arrivals = self.arrivals.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.blocks.insert(Turn { due, date, arrival: self.arrivals }, (bytes, block));
        let mut left = Vec::new();
        while self.blocks.len() > MOST_WAITING || self.bytes > MOST_BYTES {
            let Some(farthest) = self.blocks.keys().copied().max_by_key(|turn| (turn.date, turn.arrival)) else {
                break;
            };
            left.extend(self.remove(farthest));
        }
        left
    }

    fn remove(&mut self, turn: Turn) -> Option<T> {
        let (bytes, block) = self.blocks.remove(&turn)?;
        self.bytes = self.bytes.saturating_sub(bytes);
        Some(block)
    }

    /// Takes out what is due, in its order.
    pub fn take_due(&mut self, now: UnixMilliseconds) -> Vec<T> {
        let mut taken = Vec::new();
        while let Some(turn) = self.blocks.keys().next().copied().filter(|turn| turn.due <= now) {
            taken.extend(self.remove(turn));
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
        let left = waiting.insert(date - LIMIT, date, 1_000, block);
        assert!(left.len() <= 1);
        left.first().copied()
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

    #[test]
    fn large_blocks_leave_before_the_room_takes_more_than_its_bytes() {
        let mut waiting = Waiting::default();
        for block in 0..4 {
            assert!(waiting.insert(85_000 + block, 100_000 + block, MOST_BYTES / 4, block).is_empty());
        }
        assert_eq!(waiting.insert(85_000, 100_000, 1, 4), vec![3]);
        assert_eq!(waiting.take_due(100_000), vec![0, 4, 1, 2]);
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
