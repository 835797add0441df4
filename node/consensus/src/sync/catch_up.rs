//! Whether the node is catching up with a heavier chain, from verified work alone.
//!
//! The SDK takes a node to be in major sync while the median of the heights that its peers claim is above its own; then it mines
//! nothing, finalizes nothing and relays nothing. Claims cost nothing. Here a node is in it while a header far above its own chain
//! is known, whose work was checked, while its best block is older than twenty block times, and as long as its chain comes
//! forward: after twenty block times without a new best block it goes on without, until there is one.

use std::time::{Duration, Instant};

/// How many blocks above our own a header must be.
const FAR_ABOVE: u64 = 5;

/// How far a node has come with catching up.
#[derive(Debug)]
pub struct CatchUp {
    /// The height of our best block.
    best: u64,
    /// The greatest height of a header whose work was checked.
    target: u64,
    /// When our best block last changed, or the first header far above it was seen after that.
    since: Option<Instant>,
}

impl CatchUp {
    /// With a best block of this height.
    pub fn new(best: u64) -> Self {
        Self { best, target: 0, since: None }
    }

    /// A header of this height was seen, and its work checked.
    pub fn saw_header(&mut self, height: u64, now: Instant) {
        self.target = self.target.max(height);
        // Only the first one after a new best block starts the clock: whoever shows another one gains no time.
        if self.is_far_above() && self.since.is_none() {
            self.since = Some(now);
        }
    }

    /// Our best block has this height now.
    pub fn best_changed(&mut self, best: u64, now: Instant) {
        self.best = best;
        self.since = self.is_far_above().then_some(now);
    }

    /// A peer left whose headers nobody else has shown: what it told is forgotten when nothing came of it.
    pub fn forget_target(&mut self) {
        self.target = self.best;
    }

    /// Whether the node is catching up. `is_behind` says whether its best block is old, `patience` is twenty block times.
    pub fn is_catching_up(&self, is_behind: bool, patience: Duration, now: Instant) -> bool {
        is_behind
            && self.is_far_above()
            && self.since.is_some_and(|since| now.saturating_duration_since(since) < patience)
    }

    fn is_far_above(&self) -> bool {
        self.target > self.best.saturating_add(FAR_ABOVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn seconds(begun: Instant, after: u64) -> Instant {
        begun + Duration::from_secs(after)
    }

    #[test]
    fn a_header_far_above_an_old_chain_starts_it_and_a_recent_best_block_does_not_let_it_start() {
        let begun = Instant::now();
        let mut state = CatchUp::new(10);
        assert!(!state.is_catching_up(true, PATIENCE, begun));
        state.saw_header(15, begun);
        assert!(!state.is_catching_up(true, PATIENCE, begun));
        state.saw_header(1_000, begun);
        assert!(state.is_catching_up(true, PATIENCE, begun));
        assert!(!state.is_catching_up(false, PATIENCE, begun));
    }

    #[test]
    fn it_lasts_while_blocks_come_and_ends_when_the_target_is_near() {
        let begun = Instant::now();
        let mut state = CatchUp::new(10);
        state.saw_header(1_000, begun);
        for step in 1..=50 {
            state.best_changed(10 + step * 19, seconds(begun, step * 15));
            assert!(state.is_catching_up(true, PATIENCE, seconds(begun, step * 15 + 14)));
        }
        state.best_changed(996, seconds(begun, 800));
        assert!(!state.is_catching_up(true, PATIENCE, seconds(begun, 800)));
    }

    #[test]
    fn who_shows_ever_more_headers_and_no_blocks_holds_a_node_up_for_twenty_block_times_and_never_again() {
        let begun = Instant::now();
        let mut state = CatchUp::new(10);
        for second in 0..1_000 {
            state.saw_header(1_000 + second, seconds(begun, second));
            assert_eq!(state.is_catching_up(true, PATIENCE, seconds(begun, second)), second < 20);
        }
        // Our own chain goes on, and he begins anew with each block: but a chain that goes on is not old.
        state.best_changed(11, seconds(begun, 1_000));
        assert!(!state.is_catching_up(false, PATIENCE, seconds(begun, 1_000)));
    }
}
