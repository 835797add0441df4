//! Threads that search for nonces.

use crate::{priority, Search};
use parking_lot::{Condvar, Mutex};
use std::{
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        Arc,
    },
    time::{Duration, Instant},
};

/// How many nonces a thread searches before it looks whether the job is still the right one: half a millisecond's worth with eight
/// lanes, five with one.
const NONCES_AT_ONCE: u64 = 1 << 14;

/// A search that wants a nonce.
#[derive(Clone, Copy)]
pub struct Job {
    /// Greater than that of every job before; not zero.
    pub id: u64,
    /// What is searched.
    pub search: Search,
}

/// A nonce that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// For which job.
    pub job: u64,
    /// The nonce.
    pub nonce: u64,
}

/// What threads search, and how much they have searched. They end when this is told to stop.
#[derive(Default)]
pub struct Searchers {
    job: Mutex<Option<Job>>,
    posted: Condvar,
    /// The number of the job. Threads stop when it is no longer theirs.
    current: AtomicU64,
    hashes: AtomicU64,
    stopped: AtomicBool,
}

impl Searchers {
    /// Starts threads that search, each from another part of the 2^64 nonces on, the first one at `first`, for `intensity_percent` of the time. What
    /// they find is told from their threads.
    ///
    /// # Errors
    ///
    /// When the system does not give all of them. Those that it gives search.
    pub fn start(
        self: &Arc<Self>,
        threads: usize,
        intensity_percent: u8,
        first: u64,
        found: impl Fn(Found) + Clone + Send + 'static,
    ) -> std::io::Result<()> {
        let mut failed = Ok(());
        for (thread, part) in (0u64..).enumerate().take(threads) {
            let (searchers, found) = (self.clone(), found.clone());
            let first = first.wrapping_add(part << 48);
            let spawned = std::thread::Builder::new()
                .name(format!("weir-mining-{thread}"))
                .spawn(move || searchers.search(&found, first, intensity_percent));
            failed = failed.and(spawned.map(|_| ()));
        }
        failed
    }

    /// Gives the threads something to search, or nothing; they leave what they searched before.
    pub fn post(&self, job: Option<Job>) {
        let mut posted = self.job.lock();
        // A number that no job has, if there is none.
        self.current.store(job.as_ref().map_or(0, |job| job.id), Ordering::Release);
        *posted = job;
        self.posted.notify_all();
    }

    /// How many nonces were searched.
    pub fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }

    /// Ends the threads.
    pub fn stop(&self) {
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

    fn search(&self, found: &impl Fn(Found), first: u64, intensity_percent: u8) {
        if let Err(error) = priority::lower_this_thread() {
            log::warn!("searching for nonces at normal priority, since the system does not let it be lowered: {error}");
        }
        let mut nonce = first;
        while let Some(job) = self.wait_for_job() {
            while self.current.load(Ordering::Acquire) == job.id {
                let begun = Instant::now();
                let end = nonce.checked_add(NONCES_AT_ONCE).unwrap_or_else(|| {
                    nonce = 0;
                    NONCES_AT_ONCE
                });
                let hit = job.search.find(nonce..end);
                let searched = hit.map_or(end, |hit| hit.saturating_add(1)).saturating_sub(nonce);
                self.hashes.fetch_add(searched, Ordering::Relaxed);
                // Each thread has a part of the 2^64 nonces of its own, and begins at zero again behind the last one.
                nonce = nonce.checked_add(searched).unwrap_or(0);
                if let Some(hit) = hit {
                    found(Found { job: job.id, nonce: hit });
                }
                rest(begun.elapsed(), intensity_percent);
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn started(threads: usize) -> (Arc<Searchers>, mpsc::Receiver<Found>) {
        let (sender, receiver) = mpsc::channel();
        let searchers = Arc::<Searchers>::default();
        searchers
            .start(threads, 100, u64::MAX - 1_000, move |found| {
                let _ = sender.send(found);
            })
            .unwrap();
        (searchers, receiver)
    }

    fn job(id: u64, target: [u8; 32]) -> Job {
        Job { id, search: Search::new([id as u8; 32], target) }
    }

    #[test]
    fn what_is_found_meets_the_target_of_its_job() {
        let (searchers, found) = started(2);
        let mut target = [0xff; 32];
        target[0] = 0;
        for id in 1..20 {
            searchers.post(Some(job(id, target)));
            let hit = found.iter().find(|hit| hit.job == id).unwrap();
            assert!(crate::work(&[id as u8; 32], hit.nonce) <= target);
        }
        searchers.stop();
        // The threads hang up.
        assert_eq!(found.iter().filter(|hit| hit.job > 19).count(), 0);
    }

    #[test]
    fn nothing_is_searched_when_nothing_is_posted() {
        let (searchers, found) = started(1);
        searchers.post(Some(job(1, [0xff; 32])));
        found.recv().unwrap();
        searchers.post(None);
        // What is under way ends.
        let mut searched = searchers.hashes();
        loop {
            std::thread::sleep(Duration::from_millis(50));
            let now = searchers.hashes();
            if now == searched {
                break;
            }
            searched = now;
        }
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(searchers.hashes(), searched);
        searchers.post(Some(job(2, [0xff; 32])));
        assert!(found.iter().any(|hit| hit.job == 2));
        searchers.stop();
    }
}
