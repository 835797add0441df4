//! What was verified ahead, from then until the block is executed.

use super::Key;
use parking_lot::Mutex;
use schnellru::{LruMap, UnlimitedCompact};
use sp_externalities::Extension;
use std::{
    any::{Any, TypeId},
    hash::Hash,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
};

/// How many verified signatures are kept; those of the oldest blocks give way. 32 bytes each, 8 MiB altogether.
pub const MOST_SIGNATURES: usize = 1 << 18;
/// As how many signatures a block counts beside its own: what its place takes is 160 bytes at most.
const SIGNATURES_PER_BLOCK: usize = 5;

/// What the host functions found where. Shared by all that keep signatures for one node.
#[derive(Debug, Default)]
struct Lookups {
    found: AtomicU64,
    missed: AtomicU64,
}

/// The verified signatures of one block, for the call that executes it.
#[derive(Debug)]
pub struct BlockSignatures {
    /// Sorted.
    keys: Vec<Key>,
    lookups: Arc<Lookups>,
}

impl BlockSignatures {
    pub(super) fn contains(&self, key: &Key) -> bool {
        let is_found = self.keys.binary_search(key).is_ok();
        let counter = if is_found { &self.lookups.found } else { &self.lookups.missed };
        counter.fetch_add(1, Ordering::Relaxed);
        is_found
    }
}

impl Extension for BlockSignatures {
    fn as_mut_any(&mut self) -> &mut dyn Any {
        self
    }

    fn type_id(&self) -> TypeId {
        TypeId::of::<Self>()
    }
}

/// The signatures that were verified ahead, by block, until the block is executed. Bounded by [`MOST_SIGNATURES`].
#[derive(Clone)]
pub struct VerifiedSignatures<H> {
    kept: Arc<Mutex<Kept<H>>>,
    lookups: Arc<Lookups>,
    most: usize,
}

/// The keys of each block, sorted, the oldest block first; and what they count as altogether.
struct Kept<H> {
    blocks: LruMap<H, Vec<Key>, UnlimitedCompact>,
    count: usize,
}

impl<H: Hash + Eq> Default for VerifiedSignatures<H> {
    fn default() -> Self {
        Self::bounded(MOST_SIGNATURES)
    }
}

impl<H: Hash + Eq> VerifiedSignatures<H> {
    fn bounded(most: usize) -> Self {
        let kept = Kept { blocks: LruMap::new(UnlimitedCompact), count: 0 };
        Self { kept: Arc::new(Mutex::new(kept)), lookups: Arc::default(), most }
    }

    /// Keeps nothing, so that the runtime verifies everything itself.
    pub fn disabled() -> Self {
        Self::bounded(0)
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.most > 0
    }

    /// Keeps what was verified of a block, and returns how many signatures that is. What is kept of that block already stays.
    pub(super) fn insert(&self, block: H, mut keys: Vec<Key>) -> usize {
        let count = weight(&keys);
        if keys.is_empty() || count > self.most {
            return 0;
        }
        keys.sort_unstable();
        keys.shrink_to_fit();
        let signatures = keys.len();
        let mut kept = self.kept.lock();
        if let Some(present) = kept.blocks.peek(&block) {
            return present.len();
        }
        while kept.count.saturating_add(count) > self.most {
            let Some((_, oldest)) = kept.blocks.pop_oldest() else { break };
            kept.count = kept.count.saturating_sub(weight(&oldest));
        }
        kept.blocks.insert(block, keys);
        kept.count = kept.count.saturating_add(count);
        signatures
    }

    /// Takes out what was verified of a block, for the call that executes it. Nothing if nothing was.
    pub fn take(&self, block: &H) -> Option<BlockSignatures> {
        let mut kept = self.kept.lock();
        let keys = kept.blocks.remove(block)?;
        kept.count = kept.count.saturating_sub(weight(&keys));
        Some(BlockSignatures { keys, lookups: self.lookups.clone() })
    }

    /// How many signatures the runtime asked for that had been verified ahead, since the start.
    pub fn found(&self) -> u64 {
        self.lookups.found.load(Ordering::Relaxed)
    }

    /// How many it asked for that had not, while it executed a block of which others had.
    pub fn missed(&self) -> u64 {
        self.lookups.missed.load(Ordering::Relaxed)
    }
}

/// What the signatures of a block count as.
fn weight(keys: &[Key]) -> usize {
    keys.len().saturating_add(SIGNATURES_PER_BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::Encode;

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_block_gives_way() {
        let keys = |block: u32| (0..16u32).map(|index| sp_io::hashing::blake2_256(&(block, index).encode())).collect();
        let store = VerifiedSignatures::bounded(5 * (16 + SIGNATURES_PER_BLOCK));
        for block in 0..1_000u32 {
            assert_eq!(store.insert(block, keys(block)), 16);
            assert!(store.kept.lock().count <= store.most);
        }
        assert_eq!(store.kept.lock().blocks.len(), 5);
        assert!(store.take(&994).is_none());
        assert_eq!(store.take(&995).map(|block| block.keys.len()), Some(16));
        assert!(store.take(&995).is_none());
        for block in 996..1_000 {
            assert!(store.take(&block).is_some());
        }
        assert_eq!(store.kept.lock().count, 0);
    }

    #[test]
    fn a_block_with_more_signatures_than_fit_takes_no_other_blocks_place() {
        let store = VerifiedSignatures::bounded(20);
        store.insert(1u32, vec![[1; 32]]);
        assert_eq!(store.insert(2, vec![[2; 32]; 20]), 0);
        assert!(store.take(&1).is_some());
        assert_eq!(VerifiedSignatures::disabled().insert(1u32, vec![[1; 32]]), 0);
    }
}
