//! Bad blocks: sealed and signed as they should be, and refused by the runtime, twice. Nobody executes them again, and what is
//! built on them is not fetched.
//!
//! A network that goes on building on a block that this node takes for bad disagrees with this node, and either may be wrong: so
//! the node says so, and bans nobody over that chain. It does not stop, since then one block's work would be enough to stop it,
//! and it does not follow, since it cannot execute what it would follow.

use parking_lot::Mutex;
use schnellru::{ByLength, LruMap};
use sp_core::U256;
use std::{
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};

/// How many bad blocks and children of them are remembered. The oldest give way.
const MOST_BLOCKS: u32 = 1 << 12;
/// How many blocks' work on a bad block make it a dispute.
const DISPUTED_BLOCKS: u64 = 10;
/// How long a block that could not be judged is left alone.
const COOLDOWN: Duration = Duration::from_secs(600);
/// How many of those are remembered.
const MOST_UNJUDGED: u32 = 1 << 8;
/// How often the log tells of a dispute.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What is known of a bad block, or of one that descends from it.
#[derive(Clone, Copy, Debug)]
struct Entry<H> {
    /// The bad block.
    root: H,
    /// The base difficulty of the bad block.
    root_base: U256,
    /// The base difficulties of all blocks from the bad one to this one, without the bad one.
    grown: U256,
}

/// What is known of all of them.
struct Known<H> {
    blocks: LruMap<H, Entry<H>>,
    /// Bad blocks on which the network builds all the same.
    disputed: LruMap<H, ()>,
    /// Blocks whose execution came to no verdict, and when that was.
    unjudged: LruMap<H, Instant>,
    told: Option<Instant>,
}

/// Bad blocks, by the hashes of their headers, which commit to their bodies.
#[derive(Clone)]
pub struct BadBlocks<H>(Arc<Mutex<Known<H>>>);

impl<H: Hash + Eq> Default for BadBlocks<H> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Known {
            blocks: LruMap::new(ByLength::new(MOST_BLOCKS)),
            disputed: LruMap::new(ByLength::new(MOST_BLOCKS)),
            unjudged: LruMap::new(ByLength::new(MOST_UNJUDGED)),
            told: None,
        })))
    }
}

impl<H: Hash + Eq + Copy + std::fmt::Debug> BadBlocks<H> {
    /// Remembers a bad block of this base difficulty.
    pub fn insert(&self, hash: H, base: U256) {
        let mut known = self.0.lock();
        known.unjudged.remove(&hash);
        known.blocks.insert(hash, Entry { root: hash, root_base: base, grown: U256::zero() });
    }

    /// Whether a block is bad, or descends from one that is.
    pub fn is_bad(&self, hash: &H) -> bool {
        self.0.lock().blocks.peek(hash).is_some()
    }

    /// Whether the network builds on the bad block that this one is or descends from.
    pub fn is_disputed(&self, hash: &H) -> bool {
        let known = self.0.lock();
        known.blocks.peek(hash).is_some_and(|entry| known.disputed.peek(&entry.root).is_some())
    }

    /// How many disputes there are.
    pub fn disputes(&self) -> usize {
        self.0.lock().disputed.len()
    }

    /// Notes that a header with work behind it was built on a bad block, or on what descends from one.
    pub fn note_child(&self, hash: H, parent: H, base: U256) {
        let mut known = self.0.lock();
        if known.blocks.peek(&hash).is_some() {
            return;
        }
        let Some(parent) = known.blocks.peek(&parent).copied() else { return };
        // What a header claims is bounded by what its work has to reach, and no claim counts more than the bad block did.
        let grown = parent.grown.saturating_add(base.min(parent.root_base));
        known.blocks.insert(hash, Entry { grown, ..parent });
        if grown >= parent.root_base.saturating_mul(DISPUTED_BLOCKS.into()) {
            known.disputed.insert(parent.root, ());
            if known.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                known.told = Some(Instant::now());
                tracing::error!(
                    target: "weir",
                    bad_block = ?parent.root,
                    "this node and the network disagree: blocks are built on one that this node's runtime refuses. If others run \
                     this version and follow it, check this machine's memory and disk, and sync again from a new database; see \
                     docs/operating.md",
                );
            }
        }
    }

    /// Notes that the execution of a block came to no verdict: it is not executed again for ten minutes.
    pub fn put_off(&self, hash: H) {
        self.0.lock().unjudged.insert(hash, Instant::now());
    }

    /// Whether a block was put off so shortly ago that it is not executed again.
    pub fn is_put_off(&self, hash: &H) -> bool {
        self.0.lock().unjudged.peek(hash).is_some_and(|since| since.elapsed() < COOLDOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_blocks_of_work_on_a_bad_block_make_a_dispute_and_nine_do_not() {
        let bad = BadBlocks::<u32>::default();
        bad.insert(0, 1_000.into());
        for child in 1..10 {
            bad.note_child(child, child - 1, 1_000.into());
        }
        assert!(bad.is_bad(&9) && !bad.is_disputed(&9));
        bad.note_child(10, 9, 1_000.into());
        assert!(bad.is_disputed(&10) && bad.is_disputed(&0));
    }

    #[test]
    fn one_header_that_claims_much_or_the_same_one_again_counts_as_one_block() {
        let bad = BadBlocks::<u32>::default();
        bad.insert(0, 1_000.into());
        for _ in 0..20 {
            bad.note_child(1, 0, U256::MAX);
        }
        assert!(!bad.is_disputed(&0));
    }

    #[test]
    fn children_of_the_same_parent_do_not_add_up() {
        let bad = BadBlocks::<u32>::default();
        bad.insert(0, 1_000.into());
        for child in 1..100 {
            bad.note_child(child, 0, 1_000.into());
        }
        assert!(!bad.is_disputed(&0));
    }

    #[test]
    fn a_header_that_is_not_built_on_a_bad_block_is_not_noted() {
        let bad = BadBlocks::<u32>::default();
        bad.note_child(2, 1, 1_000.into());
        assert!(!bad.is_bad(&2));
    }

    #[test]
    fn what_could_not_be_judged_is_put_off_and_not_bad() {
        let bad = BadBlocks::<u32>::default();
        bad.put_off(1);
        assert!(bad.is_put_off(&1) && !bad.is_bad(&1));
        bad.insert(1, 1.into());
        assert!(!bad.is_put_off(&1) && bad.is_bad(&1));
    }
}
