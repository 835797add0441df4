//! What the mining threads search, and the threads.

use parking_lot::{Condvar, Mutex};
use sp_core::U256;
use sp_runtime::Perbill;
use std::{
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        Arc,
    },
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// How many nonces a thread searches before it looks whether the template is still the right one: half a millisecond's worth
/// with eight lanes, five with one.
const NONCES_AT_ONCE: u64 = 1 << 14;

/// What the miner is doing, for RPC and metrics.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Hashes per second over the last seconds.
    pub hashes_per_second: f64,
    /// Hashes since the start.
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

/// What the threads search, and what they tell.
#[derive(Default)]
pub struct Board {
    job: Mutex<Option<Job>>,
    posted: Condvar,
    /// The number of the job. Threads stop when it is no longer theirs.
    current: AtomicU64,
    hashes: AtomicU64,
    stopped: AtomicBool,
    status: Mutex<Status>,
}

/// A template that wants a nonce.
#[derive(Clone, Copy)]
pub(super) struct Job {
    /// Greater than that of every job before; not zero.
    pub id: u64,
    /// What is searched.
    pub search: weir_pow::Search,
}

/// A nonce that was found.
pub(super) struct Found {
    /// For which job.
    pub job: u64,
    /// The nonce.
    pub nonce: u64,
}

impl Board {
    /// What the miner is doing.
    pub fn status(&self) -> Status {
        Status { hashes: self.hashes.load(Ordering::Relaxed), ..self.status.lock().clone() }
    }

    pub(super) fn change_status(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status.lock());
    }

    /// Gives the threads something to search, or nothing; they leave what they searched before.
    pub(super) fn post(&self, job: Option<Job>) {
        let mut posted = self.job.lock();
        // A number that no job has, if there is none.
        self.current.store(job.as_ref().map_or(0, |job| job.id), Ordering::Release);
        *posted = job;
        self.posted.notify_all();
    }

    /// Ends the threads.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.post(None);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Waits for something to search; none when the threads are to end.
    fn wait_for_job(&self) -> Option<Job> {
        let mut posted = self.job.lock();
        loop {
            if self.is_stopped() {
                return None;
            }
            if let Some(job) = *posted {
                return Some(job);
            }
            self.posted.wait(&mut posted);
        }
    }
}

/// Starts the threads that search, each from a random part of the 2^64 nonces.
pub(super) fn start(board: &Arc<Board>, threads: usize, intensity_percent: u8, found: &mpsc::UnboundedSender<Found>) {
    let random = sp_core::H256::random().to_low_u64_le();
    for (thread, part) in (0u64..).enumerate().take(threads) {
        let (board, found) = (board.clone(), found.clone());
        let first = random.wrapping_add(part << 48);
        let spawned = std::thread::Builder::new()
            .name(format!("weir-mining-{thread}"))
            .spawn(move || search(&board, &found, first, intensity_percent));
        if let Err(error) = spawned {
            tracing::error!(target: "weir", thread, %error, "a mining thread could not be started");
        }
    }
}

fn search(board: &Board, found: &mpsc::UnboundedSender<Found>, first: u64, intensity_percent: u8) {
    if let Err(error) = weir_pow::priority::lower_this_thread() {
        tracing::warn!(target: "weir", %error, "mining runs at normal priority, since the system does not let it be lowered");
    }
    let mut nonce = first;
    while let Some(job) = board.wait_for_job() {
        while board.current.load(Ordering::Acquire) == job.id {
            let begun = Instant::now();
            let end = nonce.checked_add(NONCES_AT_ONCE).unwrap_or_else(|| {
                nonce = 0;
                NONCES_AT_ONCE
            });
            let hit = job.search.find(nonce..end);
            let searched = hit.map_or(end, |hit| hit.saturating_add(1)).saturating_sub(nonce);
            board.hashes.fetch_add(searched, Ordering::Relaxed);
            // Each thread has a part of the 2^64 nonces of its own, and begins at zero again behind the last one.
            nonce = nonce.checked_add(searched).unwrap_or(0);
            if let Some(hit) = hit {
                let _ = found.send(Found { job: job.id, nonce: hit });
            }
            rest(begun.elapsed(), intensity_percent);
        }
    }
}

/// Sleeps long enough that work takes the given part of the time.
fn rest(worked: Duration, intensity_percent: u8) {
    let intensity = u32::from(intensity_percent.clamp(1, 100));
    let idle = 100u32.saturating_sub(intensity);
    if let Some(rest) = worked.saturating_mul(idle).checked_div(intensity).filter(|rest| !rest.is_zero()) {
        std::thread::sleep(rest);
    }
}
