//! The contextual stage: everything that is checked before a block is executed.

use crate::{
    header::{
        error::Rejection,
        rules::{self, HeaderRules},
    },
    import::{Checked, CHECKED},
    sync::verified_headers::VerifiedHeaders,
    Metrics,
};
use sc_consensus::{BlockImportParams, StateAction, Verifier as VerifierT};
use sp_api::ProvideRuntimeApi;
use sp_blockchain::HeaderBackend;
use sp_consensus_grandpa::GRANDPA_ENGINE_ID;
use sp_runtime::{
    traits::{Block as BlockT, Header},
    StateVersion,
};
use std::sync::Arc;
use weir_primitives::{
    consensus::{read_header, SealedHeader},
    finality::MOST_JUSTIFICATION_BYTES,
    runtime_api::{ConsensusApi, NextBlock},
};

/// Checks a block before it is executed: first what needs no context, unless that was done ahead, then its claims against
/// its parent's state. One call of the runtime for each block.
pub struct Verifier<Block: BlockT, C> {
    client: Arc<C>,
    verified_headers: VerifiedHeaders<Block::Hash>,
    metrics: Option<Metrics>,
}

impl<Block: BlockT, C> Clone for Verifier<Block, C> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            verified_headers: self.verified_headers.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

impl<Block: BlockT, C> Verifier<Block, C> {
    /// For the chain of `client`. What was checked ahead is looked up in `verified_headers`.
    pub fn new(client: Arc<C>, verified_headers: VerifiedHeaders<Block::Hash>, metrics: Option<Metrics>) -> Self {
        Self { client, verified_headers, metrics }
    }
}

impl<Block, C> Verifier<Block, C>
where
    Block: BlockT,
    C: ProvideRuntimeApi<Block> + HeaderBackend<Block> + Send + Sync,
    C::Api: ConsensusApi<Block>,
{
    /// What the state of the parent says of a child by this author. None if it is not there, which is not the sender's fault:
    /// import says so too, for it executes on the same state.
    fn next_block(&self, parent: Block::Hash, sealed: &SealedHeader<Block::Header>) -> Option<NextBlock> {
        match self.client.runtime_api().next_block(parent, sealed.pre_digest.author.clone()) {
            Ok(next) => next,
            Err(error) => {
                tracing::debug!(target: "weir", block = ?parent, %error, "the state of a block cannot be asked");
                None
            },
        }
    }

    /// The context-free stage, from what was found out ahead if that is by the same rules.
    fn check_alone(&self, header: &Block::Header, rules: HeaderRules) -> Result<(), Rejection> {
        let known = self.verified_headers.get(&header.hash(), rules);
        if let Some(metrics) = &self.metrics {
            let outcome = if known.is_some() { "hit" } else { "miss" };
            metrics.verified_headers.with_label_values(&[outcome]).inc();
        }
        known.unwrap_or_else(|| rules::context_free(header, rules).map(|_| ()))
    }

    /// The context-free stage of the block that a proof leads to, whose state comes with it, by the rules of our best block: leniently, for an upgrade may
    /// have changed them.
    fn check_proven(
        &self,
        block: &BlockImportParams<Block>,
        sealed: SealedHeader<Block::Header>,
    ) -> Result<(SealedHeader<Block::Header>, Checked), Rejection> {
        let claims = sealed.pre_digest.clone();
        let Some(next) = self.next_block(self.client.info().best_hash, &sealed) else {
            return Ok((sealed, Checked { claims, rules: None, is_body_checked: false }));
        };
        self.check_alone(&block.header, HeaderRules::from(&next.rules).lenient())?;
        if let Some(body) = &block.body {
            rules::body::<Block>(&block.header, body, StateVersion::V1)
                .or_else(|_| rules::body::<Block>(&block.header, body, StateVersion::V0))?;
        }
        Ok((sealed, Checked { claims, rules: Some(next.rules), is_body_checked: false }))
    }

    fn check(&self, block: &BlockImportParams<Block>) -> Result<(SealedHeader<Block::Header>, Checked), Rejection> {
        let sealed = read_header(&block.header).map_err(Rejection::Digest)?;
        if block.with_state() {
            return self.check_proven(block, sealed);
        }
        let body = block.body.as_deref().ok_or(Rejection::Body)?;
        let claims = sealed.pre_digest.clone();
        let Some(next) = self.next_block(*block.header.parent_hash(), &sealed) else {
            return Ok((sealed, Checked { claims, rules: None, is_body_checked: false }));
        };
        self.check_alone(&block.header, HeaderRules::from(&next.rules))?;
        next.allowed().check(&claims).map_err(Rejection::Claim)?;
        let version = StateVersion::try_from(next.extrinsics_root_version).unwrap_or(StateVersion::V1);
        rules::body::<Block>(&block.header, body, version)?;
        Ok((sealed, Checked { claims, rules: Some(next.rules), is_body_checked: true }))
    }
}

#[async_trait::async_trait]
impl<Block, C> VerifierT<Block> for Verifier<Block, C>
where
    Block: BlockT,
    C: ProvideRuntimeApi<Block> + HeaderBackend<Block> + Send + Sync + 'static,
    C::Api: ConsensusApi<Block>,
{
    async fn verify(&self, mut block: BlockImportParams<Block>) -> Result<BlockImportParams<Block>, String> {
        let (sealed, checked) = self.check(&block).map_err(|rejection| {
            if let Some(metrics) = &self.metrics {
                metrics.rejected.with_label_values(&["verification", rejection.label()]).inc();
            }
            rejection.to_string()
        })?;
        block.post_hash = Some(block.header.hash());
        block.header = sealed.unsealed;
        block.post_digests.push(sealed.seal.to_item());
        block.insert_intermediate(CHECKED, checked);
        // Nobody verifies one that comes with a state; and one that is too large for the chain is of no use to it.
        let of_voters = block.justifications.take().and_then(|all| all.into_justification(GRANDPA_ENGINE_ID));
        let is_small = |bytes: &Vec<u8>| bytes.len() <= MOST_JUSTIFICATION_BYTES as usize;
        let of_voters = of_voters.filter(|bytes| is_small(bytes) && !block.with_state());
        block.justifications = of_voters.map(|justification| (GRANDPA_ENGINE_ID, justification).into());
        // Never without execution: a block on a parent whose state is gone could else become the best one unexecuted.
        let may_be_executed = matches!(block.state_action, StateAction::ExecuteIfPossible | StateAction::Skip);
        if may_be_executed && !block.with_state() {
            block.state_action = StateAction::Execute;
        }
        Ok(block)
    }
}
