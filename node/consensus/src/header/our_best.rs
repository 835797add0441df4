//! What our best block says about headers whose parent is not there to be asked.

use crate::header::rules::{claims_of, height};
use parking_lot::Mutex;
use sp_api::ProvideRuntimeApi;
use sp_blockchain::HeaderBackend;
use sp_runtime::traits::Block as BlockT;
use std::sync::Arc;
use weir_primitives::{
    consensus::retarget::Anchor, parameters::Consensus, runtime_api::ConsensusApi, AccountId, UnixMilliseconds,
};

/// Our best block, as the anchor of a schedule, and the rules in its state.
#[derive(Clone, Debug)]
pub struct OurBest {
    /// Its height and date, and the base difficulty of its child.
    pub anchor: Anchor,
    /// The rules that its children follow.
    pub rules: Consensus,
    /// Its date; none for genesis, which has none.
    pub date: Option<UnixMilliseconds>,
}

/// A best block's hash, and what was found out about it.
type Known<H> = (H, OurBest);

/// Looks it up, once for each best block.
pub struct OurBestReader<Block: BlockT, C> {
    client: Arc<C>,
    known: Arc<Mutex<Option<Known<Block::Hash>>>>,
}

impl<Block: BlockT, C> Clone for OurBestReader<Block, C> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), known: self.known.clone() }
    }
}

impl<Block, C> OurBestReader<Block, C>
where
    Block: BlockT,
    C: ProvideRuntimeApi<Block> + HeaderBackend<Block>,
    C::Api: ConsensusApi<Block>,
{
    /// Of the chain of `client`.
    pub fn new(client: Arc<C>) -> Self {
        Self { client, known: Arc::default() }
    }

    /// Our best block; none while its state cannot be asked.
    pub fn read(&self) -> Option<OurBest> {
        let hash = self.client.info().best_hash;
        let mut known = self.known.lock();
        if let Some((_, best)) = known.as_ref().filter(|(of, _)| *of == hash) {
            return Some(best.clone());
        }
        let header = self.client.header(hash).ok()??;
        // Of nobody in particular: only what is the same for all authors is looked at.
        let next = self.client.runtime_api().next_block(hash, AccountId::new([0; 32])).ok()??;
        let date = claims_of(&header).map(|claims| claims.timestamp);
        let anchor = Anchor { number: height(&header), timestamp: date.unwrap_or(0), difficulty: next.base };
        let best = OurBest { anchor, rules: next.rules, date };
        *known = Some((hash, best.clone()));
        Some(best)
    }
}
