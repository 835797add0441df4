//! Which orphans are fetched.
//!
//! A header whose parent we do not know cannot be checked in full: its credit depends on the state of its parent. Having it
//! fetched therefore costs its announcer no more than a 128th of a block's work, once; so each announcer has a budget, one orphan is
//! fetched from so many strangers and no more, and a block that turned out to leave the chain below what is final is not fetched
//! again, nor what is built on it. Peers that have delivered blocks are no strangers: nobody can use up their places.

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
/// From how many strangers one orphan is fetched within [`REMEMBERED`].
const STRANGERS: usize = 16;
/// How long tries and refused blocks are remembered.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How many peers, orphans, and refused blocks are remembered.
const MOST: u32 = 1 << 12;

#[derive(Clone, Copy)]
struct Budget {
    left: u32,
    since: Instant,
}

/// From whom an orphan was fetched.
struct Tries {
    since: Instant,
    peers: Vec<PeerId>,
}

/// Which orphans were fetched, from whom, and what came of it.
pub struct Orphans<H> {
    budgets: LruMap<PeerId, Budget>,
    /// Peers that have delivered a block that was imported.
    proven: LruMap<PeerId, ()>,
    tried: LruMap<H, Tries>,
    refused: LruMap<H, Instant>,
}

impl<H: Hash + Eq + Copy> Default for Orphans<H> {
    fn default() -> Self {
        Self {
            budgets: LruMap::new(ByLength::new(MOST)),
            proven: LruMap::new(ByLength::new(MOST)),
            tried: LruMap::new(ByLength::new(MOST)),
            refused: LruMap::new(ByLength::new(MOST)),
        }
    }
}

impl<H: Hash + Eq + Copy> Orphans<H> {
    /// Whether an orphan that a peer shows may be fetched from it now. If so, it counts as tried.
    pub fn try_fetch(&mut self, peer: PeerId, hash: H, parent: H, now: Instant) -> bool {
        if self.is_refused(&hash, now) {
            return false;
        }
        if self.is_refused(&parent, now) {
            self.refuse(hash, now);
            return false;
        }
        self.may_try(peer, hash, now) && self.take_from_budget(peer, now)
    }

    /// Whether this peer was not tried for it yet, and is known to deliver or one of a few strangers.
    fn may_try(&mut self, peer: PeerId, hash: H, now: Instant) -> bool {
        let is_proven = self.proven.peek(&peer).is_some();
        let is_old = |tries: &Tries| now.saturating_duration_since(tries.since) >= REMEMBERED;
        if self.tried.peek(&hash).is_none_or(is_old) {
            self.tried.insert(hash, Tries { since: now, peers: Vec::new() });
        }
        let Some(tries) = self.tried.get(&hash) else { return false };
        if is_proven {
            return true;
        }
        let may_try = tries.peers.len() < STRANGERS && !tries.peers.contains(&peer);
        if may_try {
            tries.peers.push(peer);
        }
        may_try
    }

    fn take_from_budget(&mut self, peer: PeerId, now: Instant) -> bool {
        let mut budget = self.budgets.peek(&peer).copied().unwrap_or(Budget { left: BURST, since: now });
        let waited = now.saturating_duration_since(budget.since).as_secs();
        if let Some(earned) = waited.checked_div(REFILL.as_secs()).filter(|earned| *earned > 0) {
            let left = budget.left.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)).min(BURST);
            budget = Budget { left, since: now };
        }
        let left = budget.left.checked_sub(1);
        self.budgets.insert(peer, Budget { left: left.unwrap_or(0), ..budget });
        left.is_some()
    }

    /// A peer delivered a block that was imported: it has its whole budget again, and is no stranger any more.
    pub fn delivered(&mut self, peer: PeerId) {
        self.budgets.remove(&peer);
        self.proven.insert(peer, ());
    }

    /// A block turned out to leave the chain below what is final: neither it nor what is built on it is fetched for a while.
    pub fn refuse(&mut self, hash: H, now: Instant) {
        self.refused.insert(hash, now);
    }

    /// Whether a block was refused lately.
    pub fn is_refused(&self, hash: &H, now: Instant) -> bool {
        self.refused.peek(hash).is_some_and(|since| now.saturating_duration_since(*since) < REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_orphan_that_ever_new_identities_replay_is_fetched_sixteen_times_and_no_more() {
        let (mut orphans, now) = (Orphans::<u32>::default(), Instant::now());
        let fetched = (0..1_000).filter(|_| orphans.try_fetch(PeerId::random(), 7, 6, now)).count();
        assert_eq!(fetched, STRANGERS);
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
            orphans.delivered(peer);
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
        orphans.refuse(1, now);
        assert!(!orphans.try_fetch(PeerId::random(), 2, 1, now));
        assert!(!orphans.try_fetch(PeerId::random(), 3, 2, now));
        assert!(orphans.is_refused(&3, now));
        assert!(!orphans.is_refused(&3, now + REMEMBERED));
    }

    #[test]
    fn strangers_who_announce_the_honest_head_first_keep_no_peer_out_that_has_delivered_blocks() {
        let (mut orphans, now, honest) = (Orphans::<u32>::default(), Instant::now(), PeerId::random());
        orphans.delivered(honest);
        while orphans.try_fetch(PeerId::random(), 7, 6, now) {}
        assert!(orphans.try_fetch(honest, 7, 6, now));
    }

    #[test]
    fn one_peer_takes_one_of_the_places_however_often_it_announces() {
        let (mut orphans, now, loud) = (Orphans::<u32>::default(), Instant::now(), PeerId::random());
        let loud_fetches = (0..100).filter(|_| orphans.try_fetch(loud, 7, 6, now)).count();
        let others = (0..100).filter(|_| orphans.try_fetch(PeerId::random(), 7, 6, now)).count();
        assert_eq!((loud_fetches, others), (1, STRANGERS - 1));
    }

    #[test]
    fn an_orphan_may_be_tried_again_after_five_minutes() {
        let (mut orphans, begun) = (Orphans::<u32>::default(), Instant::now());
        while orphans.try_fetch(PeerId::random(), 7, 6, begun) {}
        assert!(orphans.try_fetch(PeerId::random(), 7, 6, begun + REMEMBERED));
    }
}
