//! How work on many items is spread over processors. What is written over a [`Strategy`] runs either way, with the same
//! results.

use rayon::{
    iter::ParallelIterator,
    slice::ParallelSlice,
    {ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder},
};
use std::sync::Arc;

/// How many items make a piece of work at the most.
const MOST_AT_ONCE: usize = 256;
/// How many make one at the least, where there are as many: signatures that are checked together are cheaper.
const FEWEST_AT_ONCE: usize = 32;

/// A way to work on many items.
pub trait Strategy: Clone + Send + Sync + 'static {
    /// Works on pieces of `items`, and puts the results together in the order of the items. `work` returns one result for
    /// each item of its piece.
    fn map<T, R>(&self, items: &[T], work: impl Fn(&[T]) -> Vec<R> + Send + Sync) -> Vec<R>
    where
        T: Sync,
        R: Send;
}

/// On the calling thread, piece by piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequential;

impl Strategy for Sequential {
    fn map<T, R>(&self, items: &[T], work: impl Fn(&[T]) -> Vec<R> + Send + Sync) -> Vec<R>
    where
        T: Sync,
        R: Send,
    {
        items.chunks(MOST_AT_ONCE).flat_map(work).collect()
    }
}

/// On a pool of threads of its own.
#[derive(Clone, Debug)]
pub struct Rayon(Arc<ThreadPool>);

impl Rayon {
    /// With a number of threads, or as many as there are processors if it is 0.
    ///
    /// # Errors
    ///
    /// When the system gives no threads.
    pub fn new(threads: usize) -> Result<Self, ThreadPoolBuildError> {
        let name = |index| format!("weir-verify-{index}");
        ThreadPoolBuilder::new().num_threads(threads).thread_name(name).build().map(|pool| Self(Arc::new(pool)))
    }
}

impl Strategy for Rayon {
    fn map<T, R>(&self, items: &[T], work: impl Fn(&[T]) -> Vec<R> + Send + Sync) -> Vec<R>
    where
        T: Sync,
        R: Send,
    {
        // Two pieces for each thread, so that none waits long for the last.
        let pieces = self.0.current_num_threads().saturating_mul(2);
        let size = items.len().div_ceil(pieces.max(1)).clamp(FEWEST_AT_ONCE, MOST_AT_ONCE);
        let results: Vec<Vec<R>> = self.0.install(|| items.par_chunks(size).map(work).collect());
        results.into_iter().flatten().collect()
    }
}
