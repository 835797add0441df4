//! Whose question is put to a node when: of each prefix one at a time, so that a crowd behind one waits for itself.

use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use weir_primitives::measurement::lottery::groups::Prefix;

/// How many behind one prefix wait at the most.
const MOST_WAITING: usize = 32;

/// Hands out turns.
pub(crate) struct Turns {
    /// Those behind each prefix that have a turn or wait for one.
    queues: Mutex<BTreeMap<Prefix, Arc<Semaphore>>>,
    all: Arc<Semaphore>,
}

/// A turn, which ends when it is dropped.
pub(crate) struct Turn {
    _of_all: Option<OwnedSemaphorePermit>,
    _of_prefix: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// So many at a time.
    pub fn new(at_a_time: usize) -> Self {
        Self { queues: Mutex::default(), all: Arc::new(Semaphore::new(at_a_time)) }
    }

    /// Waits for a turn, after those behind the same prefix that came before; none where too many of them wait.
    pub async fn take(&self, prefix: Prefix) -> Option<Turn> {
        let queue = {
            let mut queues = self.queues.lock();
            // Nobody has a queue in hand that is only here: no permit, and nobody who waits.
            queues.retain(|_, queue| Arc::strong_count(queue) > 1);
            let queue = queues.entry(prefix).or_insert_with(|| Arc::new(Semaphore::new(1))).clone();
            // The one in the map, ours, who has the turn, and who wait.
            if Arc::strong_count(&queue) >= MOST_WAITING + 3 {
                return None;
            }
            queue
        };
        // They are never closed.
        let of_prefix = queue.acquire_owned().await.ok();
        let of_all = self.all.clone().acquire_owned().await.ok();
        Some(Turn { _of_all: of_all, _of_prefix: of_prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn prefix(number: u8) -> Prefix {
        Prefix::V4([10, 0, number])
    }

    #[tokio::test]
    async fn a_crowd_behind_one_prefix_keeps_nobody_behind_another_waiting() {
        let turns = Turns::new(2);
        let first = turns.take(prefix(1)).await;
        let mut crowd: Vec<_> = (0..1_000).map(|_| Box::pin(turns.take(prefix(1)))).collect();
        let answers: Vec<_> = crowd.iter_mut().map(|it| it.as_mut().now_or_never()).collect();
        assert!(answers.iter().flatten().all(Option::is_none), "nobody else has a turn");
        assert_eq!(answers.iter().filter(|it| it.is_none()).count(), MOST_WAITING, "the others are sent away");
        drop(answers);
        let other = turns.take(prefix(2)).now_or_never().flatten().expect("the crowd has one turn");
        drop(first);
        assert!(crowd[0].as_mut().now_or_never().flatten().is_some(), "who came first is next");
        drop((other, crowd));
        turns.take(prefix(3)).await;
        assert_eq!(turns.queues.lock().len(), 1, "what nobody waits in is forgotten");
    }
}
