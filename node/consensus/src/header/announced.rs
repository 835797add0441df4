//! The first stage: a header alone, when a peer announces it.

use crate::{
    clock,
    header::rules::{self, Rejection},
};
use sp_api::ProvideRuntimeApi;
use sp_blockchain::HeaderBackend;
use sp_runtime::traits::{Block as BlockT, Header};
use std::{marker::PhantomData, sync::Arc};
use weir_primitives::{
    consensus::{asert::Anchor, pre_digest_of, PreDigest},
    parameters::Consensus,
    runtime_api::ConsensusApi,
};

/// Checks announced headers: decoding, work and signature, and the claimed base and credit against the parent where it is
/// known, else the base against what our own chain could have come to.
pub struct Validator<Block, C> {
    client: Arc<C>,
    rules: Consensus,
    _block: PhantomData<Block>,
}

impl<Block, C> Validator<Block, C>
where
    Block: BlockT,
    C: ProvideRuntimeApi<Block> + HeaderBackend<Block>,
    C::Api: ConsensusApi<Block>,
{
    /// For the chain of `client`, whose genesis has these rules.
    pub fn new(client: Arc<C>, rules: Consensus) -> Self {
        Self { client, rules, _block: PhantomData }
    }

    /// Checks a header.
    ///
    /// # Errors
    ///
    /// Why it is rejected.
    pub fn check(&self, header: &Block::Header) -> Result<(), Rejection> {
        // What is in the chain was checked, and to check it again would be work that anybody can ask for.
        if matches!(self.client.status(header.hash()), Ok(sp_blockchain::BlockStatus::InChain)) {
            return Ok(());
        }
        let sealed = rules::context_free(header, &self.rules)?;
        let parent = *header.parent_hash();
        let claims = sealed.pre_digest;
        if !matches!(self.client.status(parent), Ok(sp_blockchain::BlockStatus::InChain)) {
            return self.best().map_or(Ok(()), |best| {
                rules::plausible(&claims, rules::height(header), self.rules.schedule(), best, clock::now())
            });
        }
        let api = self.client.runtime_api();
        match (api.next_block(parent), api.spendable_credit(parent, claims.author.clone())) {
            (Ok(Some(next)), Ok(spendable)) => rules::contextual(&claims, next, spendable),
            // No state to ask: import will see.
            _ => Ok(()),
        }
    }

    /// Our best block, as the anchor of a schedule.
    fn best(&self) -> Option<Anchor> {
        let hash = self.client.info().best_hash;
        let header = self.client.header(hash).ok()??;
        let claims: PreDigest = pre_digest_of(&unsealed::<Block>(&header)).ok()?;
        let next = self.client.runtime_api().next_block(hash).ok()??;
        Some(Anchor { number: rules::height(&header), timestamp: claims.timestamp, difficulty: next.base })
    }
}

fn unsealed<Block: BlockT>(header: &Block::Header) -> sp_runtime::generic::Digest {
    let mut digest = header.digest().clone();
    digest.pop();
    digest
}
