//! The contextual stage: everything that is checked before a block is executed.

use crate::{
    header::rules::{self, Rejection},
    sync::verified_headers::Verdicts,
    Metrics,
};
use sc_consensus::{BlockImportParams, StateAction, Verifier as VerifierT};
use sp_api::{CallApiAt, ProvideRuntimeApi};
use sp_core::traits::CallContext;
use sp_runtime::traits::{Block as BlockT, Header};
use std::sync::Arc;
use weir_primitives::{
    consensus::{read_header, PreDigest, SealedHeader},
    parameters::Consensus,
    runtime_api::ConsensusApi,
};

/// Under which name the verifier hands the claims of a block on to import.
pub(crate) const CLAIMS: &[u8] = b"weir:claims";

/// Under which name the verifier tells import that it could not compare body and header.
pub(crate) const UNCHECKED_BODY: &[u8] = b"weir:unchecked-body";

/// Checks a block before it is executed: first what needs no context, unless that was done ahead, then its claims against
/// its parent's state.
pub struct Verifier<Block: BlockT, C> {
    client: Arc<C>,
    rules: Consensus,
    verdicts: Verdicts<Block::Hash>,
    metrics: Option<Metrics>,
}

impl<Block: BlockT, C> Clone for Verifier<Block, C> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            rules: self.rules.clone(),
            verdicts: self.verdicts.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

impl<Block: BlockT, C> Verifier<Block, C> {
    /// For the chain of `client`, whose genesis has these rules. What was checked ahead is looked up in `verdicts`.
    pub fn new(client: Arc<C>, rules: Consensus, verdicts: Verdicts<Block::Hash>, metrics: Option<Metrics>) -> Self {
        Self { client, rules, verdicts, metrics }
    }
}

impl<Block, C> Verifier<Block, C>
where
    Block: BlockT,
    C: ProvideRuntimeApi<Block> + CallApiAt<Block> + Send + Sync,
    C::Api: ConsensusApi<Block>,
{
    fn check_context(&self, parent: Block::Hash, claims: &PreDigest) -> Result<(), Rejection> {
        let api = self.client.runtime_api();
        let asked = api
            .next_block(parent)
            .and_then(|next| api.spendable_credit(parent, claims.author.clone()).map(|credit| (next, credit)));
        match asked {
            Ok((Some(next), spendable)) => rules::contextual(claims, next, spendable),
            // A chain without parameters, on which the runtime refuses every block.
            Ok((None, _)) => Ok(()),
            // The state of the parent is not there, which is not the sender's fault. Import says so too, for it executes
            // on the same state.
            Err(error) => {
                log::debug!(target: "weir", "the state of block {parent:?} cannot be asked: {error}");
                Ok(())
            },
        }
    }

    /// The body against the header, and whether that could be told. If it could, what execution finds wrong is wrong with the
    /// header, and can be remembered under its hash.
    fn check_body(&self, block: &BlockImportParams<Block>) -> Result<bool, Rejection> {
        let body = block.body.as_deref().ok_or(Rejection::Body)?;
        let context = CallContext::Onchain { import: true };
        match self.client.runtime_version_at(*block.header.parent_hash(), context) {
            Ok(version) => {
                rules::body::<Block>(&block.header, body, version.extrinsics_root_state_version()).map(|()| true)
            },
            Err(_) => Ok(false),
        }
    }

    /// The context-free stage, from what was found out ahead if it is there.
    fn check_alone(&self, header: &Block::Header) -> Result<SealedHeader<Block::Header>, Rejection> {
        let verdict = self.verdicts.get(&header.hash());
        if let Some(metrics) = &self.metrics {
            let outcome = if verdict.is_some() { "hit" } else { "miss" };
            metrics.verdicts.with_label_values(&[outcome]).inc();
        }
        match verdict {
            Some(Ok(())) => read_header(header).map_err(Rejection::Digest),
            Some(Err(rejection)) => Err(rejection),
            None => rules::context_free(header, &self.rules),
        }
    }

    fn reject(&self, stage: &str, rejection: Rejection) -> String {
        if let Some(metrics) = &self.metrics {
            metrics.rejected.with_label_values(&[stage, rejection.label()]).inc();
        }
        rejection.to_string()
    }
}

#[async_trait::async_trait]
impl<Block, C> VerifierT<Block> for Verifier<Block, C>
where
    Block: BlockT,
    C: ProvideRuntimeApi<Block> + CallApiAt<Block> + Send + Sync + 'static,
    C::Api: ConsensusApi<Block>,
{
    async fn verify(&self, mut block: BlockImportParams<Block>) -> Result<BlockImportParams<Block>, String> {
        let sealed = self.check_alone(&block.header).map_err(|rejection| self.reject("context-free", rejection))?;
        self.check_context(*block.header.parent_hash(), &sealed.pre_digest)
            .map_err(|rejection| self.reject("contextual", rejection))?;
        if !self.check_body(&block).map_err(|rejection| self.reject("contextual", rejection))? {
            block.insert_intermediate(UNCHECKED_BODY, ());
        }

        block.post_hash = Some(block.header.hash());
        block.header = sealed.unsealed;
        block.post_digests.push(sealed.seal.to_item());
        block.insert_intermediate(CLAIMS, sealed.pre_digest);
        // Nothing on this chain makes or reads justifications.
        block.justifications = None;
        // Never without execution: a block on a parent whose state is gone could else become the best one unexecuted.
        if matches!(block.state_action, StateAction::ExecuteIfPossible | StateAction::Skip) {
            block.state_action = StateAction::Execute;
        }
        Ok(block)
    }
}
