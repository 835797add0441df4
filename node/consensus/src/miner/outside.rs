//! Work for miners outside the node, and what they hand in.
//!
//! Whoever searches needs no more than a preimage and a target. What was given out is remembered for a while, so that who comes too late, or
//! second, is told so.

use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot, watch, Notify};
use weir_pow::Preimage;
use weir_primitives::BlockNumber;

/// How many works are remembered: those of a minute where transactions come all the time, of some minutes where not.
const REMEMBERED: usize = 256;
/// For how long after a question work is made for who asked.
const ASKED_FOR: Duration = Duration::from_secs(60);
/// How long a question waits for work that is only being made.
const PATIENCE: Duration = Duration::from_secs(2);

/// A block that wants a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// What the nonce is appended to. It names the work as well.
    pub preimage: Preimage,
    /// The greatest hash that will do, as a big-endian number.
    pub target: [u8; 32],
    /// The height of the block.
    pub height: BlockNumber,
    /// The hash of its parent.
    pub parent: [u8; 32],
}

/// What becomes of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The block was imported.
    Accepted {
        /// Its hash.
        block: [u8; 32],
        /// Whether it is the best block now.
        is_best: bool,
    },
    /// There is another best block than the work's parent.
    Stale,
    /// A nonce for the work was there before.
    Duplicate,
    /// The work was never given out, or is forgotten.
    Unknown,
    /// The hash is above the target.
    AboveTarget,
    /// The block could not be imported.
    Refused,
}

/// What is known of a work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Solved,
    Stale,
}

struct Given {
    job: u64,
    work: Work,
    state: State,
}

/// A nonce that was handed in and meets its target.
pub(super) struct Submission {
    /// For which job.
    pub job: u64,
    /// The nonce.
    pub nonce: u64,
    /// Who wants to know what becomes of it.
    pub answer: oneshot::Sender<Answer>,
}

/// What miners outside are given, and hand in.
pub struct Outside {
    given: Mutex<VecDeque<Given>>,
    newest: watch::Sender<Option<Work>>,
    asked: Mutex<Option<Instant>>,
    asks: Notify,
    submissions: mpsc::UnboundedSender<Submission>,
    taken: Mutex<Option<mpsc::UnboundedReceiver<Submission>>>,
}

impl Default for Outside {
    fn default() -> Self {
        let (submissions, taken) = mpsc::unbounded_channel();
        Self {
            given: Mutex::default(),
            newest: watch::Sender::new(None),
            asked: Mutex::default(),
            asks: Notify::new(),
            submissions,
            taken: Mutex::new(Some(taken)),
        }
    }
}

impl Outside {
    /// What there is to search from now on, the newest first; nothing while there is nothing.
    pub fn subscribe(&self) -> watch::Receiver<Option<Work>> {
        let receiver = self.newest.subscribe();
        self.ask();
        receiver
    }

    /// What there is to search now. Waits a moment where work is made only for who asks.
    pub async fn work(&self) -> Option<Work> {
        self.ask();
        let mut newest = self.newest.subscribe();
        let found = tokio::time::timeout(PATIENCE, newest.wait_for(Option::is_some)).await;
        found.ok().and_then(Result::ok).and_then(|work| *work)
    }

    /// Hands in a nonce.
    pub async fn submit(&self, preimage: &Preimage, nonce: u64) -> Answer {
        let (sender, answer) = oneshot::channel();
        {
            let mut given = self.given.lock();
            let Some(given) = given.iter_mut().rev().find(|given| given.work.preimage == *preimage) else {
                return Answer::Unknown;
            };
            match given.state {
                State::Stale => return Answer::Stale,
                State::Solved => return Answer::Duplicate,
                State::Open if weir_pow::work(preimage, nonce) > given.work.target => return Answer::AboveTarget,
                State::Open => given.state = State::Solved,
            }
            let submission = Submission { job: given.job, nonce, answer: sender };
            if self.submissions.send(submission).is_err() {
                return Answer::Refused;
            }
        }
        // Who drops the question has no template for it any more.
        answer.await.unwrap_or(Answer::Stale)
    }

    fn ask(&self) {
        *self.asked.lock() = Some(Instant::now());
        self.asks.notify_one();
    }

    /// Whether anybody wants work.
    pub(super) fn is_wanted(&self) -> bool {
        self.newest.receiver_count() > 0 || self.asked.lock().is_some_and(|asked| asked.elapsed() < ASKED_FOR)
    }

    /// Waits until somebody asks.
    pub(super) async fn asked(&self) {
        self.asks.notified().await;
    }

    /// What is handed in. Once.
    pub(super) fn take_submissions(&self) -> mpsc::UnboundedReceiver<Submission> {
        // A receiver of which nobody has the sender says that nothing more comes.
        self.taken.lock().take().unwrap_or_else(|| mpsc::unbounded_channel().1)
    }

    /// Gives out a work, or says that there is none.
    pub(super) fn give(&self, given: Option<(u64, Work)>) {
        if let Some((job, work)) = given {
            let mut all = self.given.lock();
            if all.len() >= REMEMBERED {
                all.pop_front();
            }
            all.push_back(Given { job, work, state: State::Open });
        }
        let work = given.map(|(_, work)| work);
        self.newest.send_if_modified(|newest| std::mem::replace(newest, work) != work);
    }

    /// Says that a job has its nonce.
    pub(super) fn solved(&self, job: u64) {
        if let Some(given) = self.given.lock().iter_mut().rev().find(|given| given.job == job) {
            given.state = State::Solved;
        }
    }

    /// Says that there is another best block: nobody needs what was given out.
    pub(super) fn outdate(&self) {
        for given in self.given.lock().iter_mut().filter(|given| given.state == State::Open) {
            given.state = State::Stale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(number: u8) -> Work {
        let mut target = [0xff; 32];
        target[0] = 0x0f;
        Work { preimage: [number; 32], target, height: 7, parent: [0; 32] }
    }

    fn nonce(number: u8, meets: bool) -> u64 {
        (0..).find(|nonce| (weir_pow::work(&[number; 32], *nonce) <= work(number).target) == meets).unwrap()
    }

    /// Answers one submission.
    async fn accept(submissions: &mut mpsc::UnboundedReceiver<Submission>) -> (u64, u64) {
        let Submission { job, nonce, answer } = submissions.recv().await.unwrap();
        answer.send(Answer::Accepted { block: [9; 32], is_best: true }).unwrap();
        (job, nonce)
    }

    #[tokio::test]
    async fn only_the_first_nonce_that_meets_the_target_of_work_that_is_needed_goes_on() {
        let outside = Outside::default();
        let mut submissions = outside.take_submissions();
        outside.give(Some((1, work(1))));
        assert_eq!(outside.submit(&[2; 32], 0).await, Answer::Unknown);
        assert_eq!(outside.submit(&[1; 32], nonce(1, false)).await, Answer::AboveTarget);
        let (answer, handed) = tokio::join!(outside.submit(&[1; 32], nonce(1, true)), accept(&mut submissions));
        assert_eq!(answer, Answer::Accepted { block: [9; 32], is_best: true });
        assert_eq!(handed, (1, nonce(1, true)));
        assert_eq!(outside.submit(&[1; 32], nonce(1, true)).await, Answer::Duplicate);
        outside.give(Some((2, work(2))));
        outside.solved(2);
        assert_eq!(outside.submit(&[2; 32], nonce(2, true)).await, Answer::Duplicate, "the threads inside were first");
        outside.give(Some((3, work(3))));
        outside.outdate();
        assert_eq!(outside.submit(&[3; 32], nonce(3, true)).await, Answer::Stale);
        assert_eq!(outside.submit(&[1; 32], nonce(1, true)).await, Answer::Duplicate);
        assert!(submissions.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_nonce_whose_template_is_gone_is_stale_and_one_that_nobody_takes_is_refused() {
        let outside = Outside::default();
        let mut submissions = outside.take_submissions();
        outside.give(Some((1, work(1))));
        let gone = async { drop(submissions.recv().await) };
        assert_eq!(tokio::join!(outside.submit(&[1; 32], nonce(1, true)), gone).0, Answer::Stale);
        outside.give(Some((2, work(2))));
        drop(submissions);
        assert_eq!(outside.submit(&[2; 32], nonce(2, true)).await, Answer::Refused);
    }

    #[tokio::test]
    async fn old_work_is_forgotten() {
        let outside = Outside::default();
        for number in 0..=REMEMBERED as u64 {
            let mut given = work(1);
            given.preimage[..8].copy_from_slice(&number.to_le_bytes());
            outside.give(Some((number + 1, given)));
        }
        let first = work(1);
        let mut preimage = first.preimage;
        preimage[..8].copy_from_slice(&0u64.to_le_bytes());
        assert_eq!(outside.submit(&preimage, 0).await, Answer::Unknown);
        assert_eq!(outside.given.lock().len(), REMEMBERED);
    }

    #[tokio::test]
    async fn who_listens_is_told_of_new_work_once_and_is_wanted_for() {
        let outside = Outside::default();
        assert!(!outside.is_wanted());
        let mut told = outside.subscribe();
        assert!(outside.is_wanted());
        outside.asked().await;
        outside.give(Some((1, work(1))));
        told.changed().await.unwrap();
        assert_eq!(*told.borrow_and_update(), Some(work(1)));
        assert_eq!(outside.work().await, Some(work(1)));
        outside.give(None);
        outside.give(None);
        told.changed().await.unwrap();
        assert_eq!(*told.borrow_and_update(), None);
        assert!(!told.has_changed().unwrap());
    }
}
