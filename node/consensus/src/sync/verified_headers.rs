//! What the context-free stage found out ahead of import.

use crate::Rejection;
use parking_lot::Mutex;
use schnellru::{ByLength, LruMap};
use std::{hash::Hash, sync::Arc};

/// How many verdicts are kept. The oldest give way.
pub const MOST_VERDICTS: u32 = 1 << 14;

/// Verdicts on headers, under the hashes of the whole headers. Whoever asks computes that hash itself: a verdict under the
/// hash that a peer names would be one that the peer chose.
#[derive(Clone)]
pub struct Verdicts<H>(Arc<Mutex<LruMap<H, Result<(), Rejection>>>>);

impl<H: Hash + Eq> Default for Verdicts<H> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LruMap::new(ByLength::new(MOST_VERDICTS)))))
    }
}

impl<H: Hash + Eq> Verdicts<H> {
    /// Keeps verdicts.
    pub fn insert(&self, verdicts: impl IntoIterator<Item = (H, Result<(), Rejection>)>) {
        let mut kept = self.0.lock();
        for (hash, verdict) in verdicts {
            kept.insert(hash, verdict);
        }
    }

    /// The verdict on a header, if there is one.
    pub fn get(&self, hash: &H) -> Option<Result<(), Rejection>> {
        self.0.lock().peek(hash).cloned()
    }
}
