//! Blocks whose execution failed, so that nobody has to execute them again.

use parking_lot::Mutex;
use schnellru::{ByLength, LruMap};
use std::{hash::Hash, sync::Arc};

/// How many are remembered. The oldest give way.
const MOST: u32 = 1 << 10;

/// Hashes of blocks that were sealed and signed as they should be, and whose execution failed. The hash of a block commits
/// to its body, so that it can never be another block.
#[derive(Clone)]
pub struct Condemned<H>(Arc<Mutex<LruMap<H, ()>>>);

impl<H: Hash + Eq> Default for Condemned<H> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LruMap::new(ByLength::new(MOST)))))
    }
}

impl<H: Hash + Eq> Condemned<H> {
    /// Remembers one.
    pub fn insert(&self, hash: H) {
        self.0.lock().insert(hash, ());
    }

    /// Whether a block is one of them.
    pub fn contains(&self, hash: &H) -> bool {
        self.0.lock().peek(hash).is_some()
    }
}
