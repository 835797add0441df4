//! What a node's mining threads and the miners outside search, and what they tell.

use super::outside::{Outside, Work};
use parking_lot::Mutex;
use sp_core::U256;
use sp_runtime::Perbill;
use std::sync::Arc;
use weir_pow::{
    searchers::{Job, Searchers},
    Search,
};

/// What the miner is doing, for RPC and metrics.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Hashes per second of the threads inside over the last seconds.
    pub hashes_per_second: f64,
    /// Their hashes since the start.
    pub hashes: u64,
    /// The base difficulty of the template.
    pub base: U256,
    /// What the template has to reach.
    pub required: U256,
    /// The credit that the template spends.
    pub credit: Perbill,
    /// Blocks made since the start.
    pub authored: u64,
}

/// What is searched, inside and outside, and what is told of it.
#[derive(Default)]
pub struct Board {
    pub(super) searchers: Arc<Searchers>,
    outside: Outside,
    status: Mutex<Status>,
}

impl Board {
    /// What the miner is doing.
    pub fn status(&self) -> Status {
        Status { hashes: self.searchers.hashes(), ..self.status.lock().clone() }
    }

    /// What miners outside are given, and hand in.
    pub fn outside(&self) -> &Outside {
        &self.outside
    }

    pub(super) fn change_status(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status.lock());
    }

    /// Gives everybody something to search, or nothing; the threads leave what they searched before.
    pub(super) fn post(&self, job: Option<(u64, Work)>) {
        self.searchers.post(job.map(|(id, work)| Job { id, search: Search::new(work.preimage, work.target) }));
        self.outside.give(job);
    }
}
