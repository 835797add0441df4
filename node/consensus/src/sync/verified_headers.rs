//! What the context-free stage found out ahead of import.

use crate::header::{error::Rejection, rules::HeaderRules};
use parking_lot::Mutex;
use schnellru::{ByLength, LruMap};
use std::{hash::Hash, sync::Arc};

/// How many results are kept. The oldest give way.
pub const MOST_HEADERS: u32 = 1 << 14;

/// By which rules a header was checked, and what came of it.
type Found = (HeaderRules, Result<(), Rejection>);

/// Results for headers, under the hashes of the whole headers, each with the rules that it was checked by. Whoever asks computes
/// that hash itself: a result under the hash that a peer names would be one that the peer chose.
#[derive(Clone)]
pub struct VerifiedHeaders<H>(Arc<Mutex<LruMap<H, Found>>>);

impl<H: Hash + Eq> Default for VerifiedHeaders<H> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LruMap::new(ByLength::new(MOST_HEADERS)))))
    }
}

impl<H: Hash + Eq> VerifiedHeaders<H> {
    /// Keeps results of headers that were checked by these rules.
    pub fn insert(&self, rules: HeaderRules, results: impl IntoIterator<Item = (H, Result<(), Rejection>)>) {
        let mut kept = self.0.lock();
        for (hash, result) in results {
            kept.insert(hash, (rules, result));
        }
    }

    /// The result for a header, if there is one by these rules.
    pub fn get(&self, hash: &H, rules: HeaderRules) -> Option<Result<(), Rejection>> {
        self.0.lock().peek(hash).filter(|(by, _)| *by == rules).map(|(_, result)| result.clone())
    }

    /// Whether a header is known to be false, by whatever rules.
    pub fn is_false(&self, hash: &H) -> bool {
        self.0.lock().peek(hash).is_some_and(|(_, result)| result.is_err())
    }
}
