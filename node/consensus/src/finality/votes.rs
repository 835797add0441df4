//! How far behind the best block votes stay: so many blocks, and each of them imported so many block times ago.
//!
//! The count keeps votes out of the reorganisations of everyday. The age matters when the hash power rises suddenly: blocks then come in
//! bursts, and many of them are no sign that others have seen them. `scripts/simulate finality` shows how far behind honest forks reach.

use parking_lot::Mutex;
use sc_consensus_grandpa::{VotingRule, VotingRuleResult};
use sp_api::ProvideRuntimeApi;
use sp_blockchain::HeaderBackend;
use sp_runtime::traits::{Block as BlockT, Header, NumberFor, Saturating};
use std::{
    collections::{HashSet, VecDeque},
    future::ready,
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};
use weir_primitives::runtime_api::ConsensusApi;

/// The blocks that were imported in the last while, by this machine's steady clock. What is not among them is older, or from before the node
/// started.
#[derive(Clone)]
pub struct Recent<H>(Arc<Mutex<Imported<H>>>);

struct Imported<H> {
    /// In the order in which they were.
    order: VecDeque<(Instant, H)>,
    known: HashSet<H>,
    /// For how long they count as recent.
    least_age: Duration,
}

impl<H: Copy + Eq + Hash> Recent<H> {
    /// Nothing yet, where what is younger than `least_age` is recent.
    pub fn new(least_age: Duration) -> Self {
        Self(Arc::new(Mutex::new(Imported { order: VecDeque::new(), known: HashSet::new(), least_age })))
    }

    /// Notes that a block was imported.
    pub fn note(&self, hash: H, now: Instant) {
        let mut imported = self.0.lock();
        imported.forget(now);
        if imported.known.insert(hash) {
            imported.order.push_back((now, hash));
        }
    }

    /// Whether a block was imported less than the least age ago.
    pub fn is_recent(&self, hash: &H, now: Instant) -> bool {
        let mut imported = self.0.lock();
        imported.forget(now);
        imported.known.contains(hash)
    }
}

impl<H: Copy + Eq + Hash> Imported<H> {
    /// Forgets what is recent no longer.
    fn forget(&mut self, now: Instant) {
        while let Some((at, hash)) = self.order.front().copied() {
            if now.saturating_duration_since(at) < self.least_age {
                return;
            }
            self.order.pop_front();
            self.known.remove(&hash);
        }
    }
}

/// Restricts votes.
#[derive(Clone)]
pub struct Behind<H> {
    recent: Recent<H>,
}

impl<H> Behind<H> {
    /// By what was imported when.
    pub fn new(recent: Recent<H>) -> Self {
        Self { recent }
    }
}

impl<Block, C> VotingRule<Block, C> for Behind<Block::Hash>
where
    Block: BlockT,
    NumberFor<Block>: From<u32>,
    C: HeaderBackend<Block> + ProvideRuntimeApi<Block>,
    C::Api: ConsensusApi<Block>,
{
    fn restrict_vote(
        &self,
        client: Arc<C>,
        base: &Block::Header,
        best: &Block::Header,
        target: &Block::Header,
    ) -> VotingRuleResult<Block> {
        let nothing_new = Some((base.hash(), *base.number()));
        // Rather no vote than one that may have to be regretted.
        let restricted = match client.runtime_api().parameters(best.hash()) {
            Ok(Some(parameters)) => self.restricted(&*client, base, best, target, parameters.finality.votes_behind),
            _ => None,
        };
        Box::pin(ready(restricted.or(nothing_new)))
    }
}

impl<H> Behind<H> {
    /// The highest ancestor of the target that is far enough behind the best block, in blocks and in time; none if that is the base or below it.
    fn restricted<Block, C>(
        &self,
        client: &C,
        base: &Block::Header,
        best: &Block::Header,
        target: &Block::Header,
        behind: u32,
    ) -> Option<(Block::Hash, NumberFor<Block>)>
    where
        Block: BlockT<Hash = H>,
        NumberFor<Block>: From<u32>,
        C: HeaderBackend<Block>,
        H: Copy + Eq + Hash,
    {
        let now = Instant::now();
        let highest = best.number().saturating_sub(behind.into());
        let (mut hash, mut at) = (target.hash(), target.clone());
        while at.number() > base.number() {
            if *at.number() <= highest && !self.recent.is_recent(&hash, now) {
                return Some((hash, *at.number()));
            }
            hash = *at.parent_hash();
            at = client.header(hash).ok()??;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_imported_is_recent_for_so_long_and_what_never_was_is_not() {
        let (recent, begun) = (Recent::new(Duration::from_secs(8)), Instant::now());
        recent.note(1, begun);
        recent.note(2, begun + Duration::from_secs(4));
        // Again, as a block is that comes from two peers: the first time counts.
        recent.note(1, begun + Duration::from_secs(5));
        let are_recent = |after| [1, 2, 3].map(|hash| recent.is_recent(&hash, begun + Duration::from_secs(after)));
        assert_eq!(are_recent(7), [true, true, false]);
        assert_eq!(are_recent(8), [false, true, false]);
        assert_eq!(are_recent(12), [false, false, false]);
        assert!(recent.0.lock().order.is_empty() && recent.0.lock().known.is_empty());
    }
}
