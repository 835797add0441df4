//! Whether this node's clock agrees with its peers'.
//!
//! An honest miner dates its template with its clock, and a block is on its way for moments. So the dates of new blocks,
//! against our clock when they come, tell how far the two are apart. The median over the last blocks counts. A block with the
//! earliest date that its parent allows says nothing, for it may follow one that was dated far ahead: it counts as one that
//! agrees, so that miners with less than half of the hash power cannot move the median far. What a node whose clock is behind
//! sees counts too: children that are not due by far, blocks that had to wait, once they are imported, and orphans where
//! nothing else comes. A clock that is off is only warned of: it costs the node itself, and nobody else.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use weir_primitives::UnixMilliseconds;

/// Over how many blocks the median is taken. Of so many, miners with a third of the hash power have more than half once in 20 000
/// times; of 31, once in 40.
const BLOCKS: usize = 127;
/// How far the clock may be off before it is warned of, in milliseconds: a third of the least limit of dates.
const TOLERANCE_MILLISECONDS: i64 = 5_000;
/// How often it is warned of.
const WARN_EVERY: Duration = Duration::from_secs(600);

/// The dates of the last new blocks, against our clock.
#[derive(Debug, Default)]
pub struct PeerClocks {
    /// Our clock less the date, in milliseconds, of each block when it came.
    ages: VecDeque<i64>,
    warned: Option<Instant>,
}

impl PeerClocks {
    /// A new block of this date came when our clock showed `now`; `is_earliest` says that its parent allows no earlier one. Returns by
    /// how many milliseconds our clock is ahead of the others', if enough blocks came to tell.
    pub fn saw_block(&mut self, date: UnixMilliseconds, is_earliest: bool, now: UnixMilliseconds) -> Option<i64> {
        let signed = |time: UnixMilliseconds| i64::try_from(time).unwrap_or(i64::MAX);
        self.push(if is_earliest { 0 } else { signed(now).saturating_sub(signed(date)) })
    }

    /// We made a block. It counts as one that agrees, or in a small network each miner would see more of the others' blocks than
    /// there are.
    pub fn saw_own_block(&mut self) {
        let _ = self.push(0);
    }

    fn push(&mut self, age: i64) -> Option<i64> {
        if self.ages.len() >= BLOCKS {
            self.ages.pop_front();
        }
        self.ages.push_back(age);
        if self.ages.len() < BLOCKS {
            return None;
        }
        let mut sorted: Vec<_> = self.ages.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len().checked_div(2)?).copied()
    }

    /// Whether an offset is to be warned of now: it is large, and was not warned of lately.
    pub fn is_to_warn(&mut self, offset_milliseconds: i64, now: Instant) -> bool {
        let is_off = offset_milliseconds.saturating_abs() > TOLERANCE_MILLISECONDS;
        let is_time = self.warned.is_none_or(|warned| now.saturating_duration_since(warned) >= WARN_EVERY);
        if is_off && is_time {
            self.warned = Some(now);
        }
        is_off && is_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_the_miners_dating_far_ahead_raises_no_warning_and_a_clock_that_is_off_does() {
        let mut clocks = PeerClocks::default();
        let (mut offset, mut parent) = (None, 0);
        for block in 0..300u64 {
            let now = 1_000_000 + block * 1_000;
            // By the rule: the honest may date no block before its parent.
            let earliest = parent + 50;
            let date = if block % 3 == 0 { now + 15_000 } else { now.max(earliest) };
            offset = clocks.saw_block(date, date == earliest, now);
            parent = date;
        }
        assert_eq!(offset, Some(0));
        assert!(!clocks.is_to_warn(0, Instant::now()));

        let mut behind = PeerClocks::default();
        let offset = (0..BLOCKS as u64)
            .filter_map(|block| behind.saw_block(1_020_000 + block * 1_000, false, 1_000_000 + block * 1_000))
            .last();
        assert_eq!(offset, Some(-20_000));
        let begun = Instant::now();
        assert!(behind.is_to_warn(-20_000, begun));
        assert!(!behind.is_to_warn(-20_000, begun + Duration::from_secs(599)));
        assert!(behind.is_to_warn(-20_000, begun + Duration::from_secs(600)));
    }

    #[test]
    fn of_three_miners_one_that_dates_far_ahead_makes_none_of_the_others_doubt_its_clock() {
        let mut clocks = PeerClocks::default();
        let mut worst = 0;
        for block in 0..300u64 {
            let now = 1_000_000 + block * 1_000;
            let offset = match block % 3 {
                0 => clocks.saw_block(now + 13_500, false, now),
                1 => clocks.saw_block(now - 100, false, now),
                _ => {
                    clocks.saw_own_block();
                    None
                },
            };
            worst = offset.map_or(worst, |offset| worst.max(offset.abs()));
        }
        assert!(worst <= 100, "{worst}");
    }

    #[test]
    fn fewer_blocks_than_the_median_is_taken_over_say_nothing() {
        let mut clocks = PeerClocks::default();
        assert!((1..BLOCKS).all(|_| clocks.saw_block(0, false, 1_000_000).is_none()));
        assert!(clocks.saw_block(0, false, 1_000_000).is_some());
    }

    #[test]
    fn a_run_of_blocks_by_a_third_of_the_miners_is_not_taken_for_the_network() {
        let mut clocks = PeerClocks::default();
        // The others have come to nothing for a while, which happens.
        for block in 0..BLOCKS as u64 {
            let now = 1_000_000 + block * 1_000;
            let ahead = if block % 3 == 0 || (50..80).contains(&block) { 13_500 } else { 0 };
            if let Some(offset) = clocks.saw_block(now + ahead, false, now) {
                assert_eq!(offset, 0);
            }
        }
    }
}
