//! Many identities that attack one node, a few at a time: each that leaves or is dropped is followed by a fresh one.

use crate::liar::{BlockRequest, Claim, Identity, Liar, Target};
use std::{
    ops::AddAssign,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
    time::{Duration, Instant},
};

/// How long an identity waits to be let in.
const LET_IN_WITHIN: Duration = Duration::from_secs(5);
/// How long it waits before it tries again.
const TRIES_EVERY: Duration = Duration::from_millis(100);

/// What an identity sends when it is asked for blocks; nothing if it leaves the request open.
pub type Answer = Box<dyn FnMut(BlockRequest) -> Option<Vec<u8>> + Send>;

/// What one identity does.
pub struct Script {
    /// What it claims when it connects.
    pub claim: Claim,
    /// What it announces, encoded, as soon as it is let in.
    pub announcements: Vec<Vec<u8>>,
    /// How it answers requests.
    pub answer: Answer,
    /// For how long it stays.
    pub stays: Duration,
    /// Whether it comes again at once when it is dropped.
    pub comes_again: bool,
}

/// What became of the identities.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Identities that the node let in.
    pub let_in: usize,
    /// Announcements that they sent.
    pub announced: usize,
    /// Requests that the node sent them.
    pub asked: usize,
    /// Identities that the node dropped before they left.
    pub dropped: usize,
    /// Of those that came again, how many were refused.
    pub refused_again: usize,
    /// Of those that came again, how many were let in.
    pub let_in_again: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.let_in += other.let_in;
        self.announced += other.announced;
        self.asked += other.asked;
        self.dropped += other.dropped;
        self.refused_again += other.refused_again;
        self.let_in_again += other.let_in_again;
    }
}

/// Has identities attack a node until a moment, a number of them at once. Each follows the script of its index; the attack is
/// over when there is none.
pub async fn attack(
    target: &Target,
    at_once: usize,
    until: Instant,
    script: impl Fn(usize) -> Option<Script> + Send + Sync + 'static,
) -> Tally {
    let (script, next) = (Arc::new(script), Arc::new(AtomicUsize::new(0)));
    let attackers: Vec<_> = (0..at_once)
        .map(|_| {
            let (target, script, next) = (target.clone(), script.clone(), next.clone());
            tokio::spawn(async move {
                let mut tally = Tally::default();
                while Instant::now() < until {
                    let Some(script) = script(next.fetch_add(1, Ordering::Relaxed)) else { break };
                    tally += follow(&target, script, until).await;
                }
                tally
            })
        })
        .collect();
    let mut tally = Tally::default();
    for attacker in attackers {
        tally += attacker.await.unwrap_or_default();
    }
    tally
}

/// One fresh identity follows its script.
async fn follow(target: &Target, script: Script, until: Instant) -> Tally {
    let Script { claim, announcements, answer, stays, comes_again } = script;
    let mut tally = Tally::default();
    let identity = Identity::generate();
    // A slot is free again when another identity has left it.
    let mut liar = loop {
        if let Some(liar) = Liar::let_in(target, identity.clone(), claim, LET_IN_WITHIN).await {
            break liar;
        }
        if Instant::now() >= until {
            return tally;
        }
        tokio::time::sleep(TRIES_EVERY).await;
    };
    tally.let_in = 1;
    for announcement in announcements {
        if !liar.announce(announcement).await {
            break;
        }
        tally.announced += 1;
    }
    let is_kept = liar.stay(until.min(Instant::now() + stays), answer).await;
    tally.asked = liar.asked;
    drop(liar);
    if is_kept {
        return tally;
    }
    tally.dropped = 1;
    if comes_again {
        match Liar::let_in(target, identity, claim, LET_IN_WITHIN).await {
            Some(_) => tally.let_in_again = 1,
            None => tally.refused_again = 1,
        }
    }
    tally
}
