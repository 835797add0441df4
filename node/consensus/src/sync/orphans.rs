//! Which orphans are fetched.
//!
//! A header whose parent we do not know cannot be checked in full: its credit depends on the state of its parent. Having it
//! fetched therefore costs its announcer no more than a 128th of a block's work, once; so each announcer has a budget, each orphan
//! is tried a few times and no more, and branches that turned out to leave the chain below what is final are not tried again.

use sc_network_types::PeerId;
use schnellru::{ByLength, LruMap};
use std::{
    hash::Hash,
    time::{Duration, Instant},
};

/// How many orphans a peer may have fetched at once.
const BURST: u32 = 4;
/// How long it takes to earn one more.
const REFILL: Duration = Duration::from_secs(15);
/// How many times one orphan is fetched within [`TRIED_FOR`], from whomever.
const TRIES: u32 = 4;
/// How long tries are remembered.
const TRIED_FOR: Duration = Duration::from_secs(300);
/// How many peers' budgets, orphans, and refused blocks are remembered.
const MOST: u32 = 1 << 12;

#[derive(Clone, Copy)]
struct Budget {
    left: u32,
    since: Instant,
}

/// Which orphans were fetched, for whom, and what came of it.
pub struct Orphans<H> {
    budgets: LruMap<PeerId, Budget>,
    tried: LruMap<H, Budget>,
    refused: LruMap<H, ()>,
}

impl<H: Hash + Eq + Copy> Default for Orphans<H> {
    fn default() -> Self {
        let length = || ByLength::new(MOST);
        Self { budgets: LruMap::new(length()), tried: LruMap::new(length()), refused: LruMap::new(length()) }
    }
}

impl<H: Hash + Eq + Copy> Orphans<H> {
    /// Whether an orphan that a peer shows may be fetched from it now. If so, it counts as tried.
    pub fn try_fetch(&mut self, peer: PeerId, hash: H, parent: H, now: Instant) -> bool {
        if self.is_refused(&hash) {
            return false;
        }
        if self.is_refused(&parent) {
            self.refused.insert(hash, ());
            return false;
        }
        let mut tries = self.tried.peek(&hash).copied().unwrap_or(Budget { left: TRIES, since: now });
        if now.saturating_duration_since(tries.since) >= TRIED_FOR {
            tries = Budget { left: TRIES, since: now };
        }
        let mut budget = self.budgets.peek(&peer).copied().unwrap_or(Budget { left: BURST, since: now });
        let waited = now.saturating_duration_since(budget.since).as_secs();
        if let Some(earned) = waited.checked_div(REFILL.as_secs()).filter(|earned| *earned > 0) {
            let left = budget.left.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)).min(BURST);
            budget = Budget { left, since: now };
        }
        let (Some(tries_left), Some(left)) = (tries.left.checked_sub(1), budget.left.checked_sub(1)) else {
            self.budgets.insert(peer, budget);
            self.tried.insert(hash, tries);
            return false;
        };
        self.tried.insert(hash, Budget { left: tries_left, ..tries });
        self.budgets.insert(peer, Budget { left, ..budget });
        true
    }

    /// A peer delivered a block that was imported: it has its whole budget again.
    pub fn delivered(&mut self, peer: &PeerId) {
        self.budgets.remove(peer);
    }

    /// A block turned out to leave the chain below what is final: neither it nor what is built on it is fetched any more.
    pub fn refuse(&mut self, hash: H) {
        self.refused.insert(hash, ());
    }

    /// Whether a block was refused.
    pub fn is_refused(&self, hash: &H) -> bool {
        self.refused.peek(hash).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_orphan_that_ever_new_identities_replay_is_fetched_four_times_and_no_more() {
        let (mut orphans, now) = (Orphans::<u32>::default(), Instant::now());
        let fetched = (0..1_000).filter(|_| orphans.try_fetch(PeerId::random(), 7, 6, now)).count();
        assert_eq!(fetched, 4);
    }

    #[test]
    fn a_peer_with_ever_new_orphans_has_four_fetched_and_then_one_in_fifteen_seconds() {
        let (mut orphans, begun, peer) = (Orphans::<u32>::default(), Instant::now(), PeerId::random());
        let mut fetched = 0;
        for step in 0..600u32 {
            let now = begun + Duration::from_millis(u64::from(step) * 100);
            fetched += usize::from(orphans.try_fetch(peer, 2 * step, 2 * step + 1, now));
        }
        assert!((7..=8).contains(&fetched), "{fetched}");
    }

    #[test]
    fn a_peer_that_delivers_is_not_held_up_while_a_node_catches_up_with_it() {
        let (mut orphans, now, peer) = (Orphans::<u32>::default(), Instant::now(), PeerId::random());
        for hash in 0..100 {
            assert!(orphans.try_fetch(peer, 2 * hash, 2 * hash + 1, now));
            orphans.delivered(&peer);
        }
    }

    #[test]
    fn the_announcers_of_other_orphans_are_not_held_up_by_one_who_has_used_up_his_budget() {
        let (mut orphans, now, flooder) = (Orphans::<u32>::default(), Instant::now(), PeerId::random());
        for hash in 0..100 {
            orphans.try_fetch(flooder, hash, 1_000, now);
        }
        assert!(orphans.try_fetch(PeerId::random(), 2_000, 1_999, now));
    }

    #[test]
    fn what_is_built_on_a_refused_block_is_refused_too() {
        let (mut orphans, now) = (Orphans::<u32>::default(), Instant::now());
        orphans.refuse(1);
        assert!(!orphans.try_fetch(PeerId::random(), 2, 1, now));
        assert!(!orphans.try_fetch(PeerId::random(), 3, 2, now));
        assert!(orphans.is_refused(&3));
    }

    #[test]
    fn an_orphan_may_be_tried_again_after_five_minutes() {
        let (mut orphans, begun) = (Orphans::<u32>::default(), Instant::now());
        while orphans.try_fetch(PeerId::random(), 7, 6, begun) {}
        assert!(orphans.try_fetch(PeerId::random(), 7, 6, begun + TRIED_FOR));
    }
}
