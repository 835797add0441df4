//! Weighing, fork choice and depth finality, under one lock.
//!
//! The weight of a chain is the sum of the base difficulties of its blocks. It is written with each block, in the same
//! write. The chain of greatest weight is the best one; of two equal ones, the first seen.
//!
//! A block is *depth-finalized* when the best chain has at least the finality depth of descendants of it, and they weigh at
//! least half the finality depth times the block's own base difficulty. What forks off below is refused before it is
//! executed. This is a promise of this node to itself, and no proof to others: a node that is new, or comes back after
//! long, needs a checkpoint to know that it is on the chain that others are on.

use crate::{check, verifier::CLAIMS, weight, Metrics};
use sc_client_api::{backend::Backend, AuxStore, Finalizer};
use sc_consensus::{BlockCheckParams, BlockImport, BlockImportParams, ForkChoiceStrategy, ImportResult};
use sp_blockchain::{tree_route, HeaderBackend, HeaderMetadata};
use sp_consensus::{Error, SyncOracle};
use sp_core::U256;
use sp_runtime::traits::{Block as BlockT, Header, NumberFor, SaturatedConversion, Saturating};
use std::{
    marker::PhantomData,
    sync::{Arc, OnceLock},
};
use weir_primitives::{consensus::PreDigest, parameters::Consensus};

/// How many blocks one import finalizes at the most, so that a long range does not stall the node.
const MOST_FINALIZED_AT_ONCE: u32 = 256;

/// Tells import whether the node is catching up. Set once there is a network; until then it is not.
pub type Oracle = Arc<OnceLock<Arc<dyn SyncOracle + Send + Sync>>>;

/// Imports checked blocks.
pub struct Import<Block, C, BE> {
    client: Arc<C>,
    rules: Consensus,
    oracle: Oracle,
    metrics: Option<Metrics>,
    /// Covers reading the weights, the decision, the import and what it finalizes.
    lock: Arc<futures::lock::Mutex<()>>,
    _types: PhantomData<(Block, BE)>,
}

impl<Block, C, BE> Clone for Import<Block, C, BE> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            rules: self.rules.clone(),
            oracle: self.oracle.clone(),
            metrics: self.metrics.clone(),
            lock: self.lock.clone(),
            _types: PhantomData,
        }
    }
}

impl<Block, C, BE> Import<Block, C, BE>
where
    Block: BlockT,
    C: AuxStore
        + HeaderBackend<Block>
        + HeaderMetadata<Block, Error = sp_blockchain::Error>
        + Finalizer<Block, BE>
        + sc_client_api::PreCommitActions<Block>,
    BE: Backend<Block>,
{
    /// Into the chain of `client`, whose genesis has these rules. The weights of displaced forks are forgotten when
    /// something above them is finalized.
    pub fn new(client: Arc<C>, rules: Consensus, oracle: Oracle, metrics: Option<Metrics>) -> Self {
        client.register_finality_action(Box::new(|finalized: &sc_client_api::FinalityNotification<Block>| {
            finalized.stale_blocks.iter().map(|block| (weight::key(&block.hash), None)).collect()
        }));
        Self { client, rules, oracle, metrics, lock: Default::default(), _types: PhantomData }
    }

    /// Whether a child of `parent` would fork off below the depth-finalized block.
    fn is_below_finality(&self, number: NumberFor<Block>, parent: Block::Hash) -> sp_blockchain::Result<bool> {
        let info = self.client.info();
        if parent == info.best_hash || parent == info.finalized_hash {
            return Ok(false);
        }
        if number <= info.finalized_number {
            return Ok(true);
        }
        Ok(!tree_route(&*self.client, info.finalized_hash, parent)?.retracted().is_empty())
    }

    /// The last block that the best chain has finalized by depth and weight, if it is a new one.
    fn depth_finalized(&self) -> sp_blockchain::Result<Option<Block::Hash>> {
        let info = self.client.info();
        let depth = self.rules.finality_depth;
        let Some(deepest) = info.best_number.saturated_into::<u32>().checked_sub(depth) else { return Ok(None) };
        let finalized = info.finalized_number.saturated_into::<u32>();
        let last = deepest.min(finalized.saturating_add(MOST_FINALIZED_AT_ONCE));

        let best_weight = weight::of(&*self.client, info.best_hash)?;
        let mut parent_weight = weight::of(&*self.client, info.finalized_hash)?;
        let mut found = None;
        for number in finalized.saturating_add(1)..=last {
            let Some(hash) = self.client.hash(number.into())? else { break };
            let own_weight = weight::of(&*self.client, hash)?;
            let base = own_weight.saturating_sub(parent_weight);
            let above = best_weight.saturating_sub(own_weight);
            if above.saturating_mul(U256::from(2)) < base.saturating_mul(U256::from(depth)) {
                break;
            }
            found = Some(hash);
            parent_weight = own_weight;
        }
        Ok(found)
    }

    fn finalize(&self) -> sp_blockchain::Result<()> {
        if self.oracle.get().is_some_and(|oracle| oracle.is_major_syncing()) {
            return Ok(());
        }
        if let Some(hash) = self.depth_finalized()? {
            self.client.finalize_block(hash, None, true)?;
        }
        Ok(())
    }

    /// How many blocks of the best chain a new head takes back.
    fn displaced(&self, best: Block::Hash, parent: Block::Hash) -> u64 {
        tree_route(&*self.client, best, parent).map_or(0, |route| route.retracted().len() as u64)
    }

    fn report(&self, displaced: u64, base: U256) {
        let Some(metrics) = &self.metrics else { return };
        let info = self.client.info();
        metrics.base_difficulty.set(approximate(base));
        if let Ok(weight) = weight::of(&*self.client, info.best_hash) {
            metrics.weight.set(approximate(weight));
        }
        metrics.finality_lag.set(info.best_number.saturating_sub(info.finalized_number).saturated_into());
        if displaced > 0 {
            metrics.reorganisation_depth.set(displaced);
        }
    }
}

#[async_trait::async_trait]
impl<Block, C, BE> BlockImport<Block> for Import<Block, C, BE>
where
    Block: BlockT,
    NumberFor<Block>: From<u32>,
    C: AuxStore
        + HeaderBackend<Block>
        + HeaderMetadata<Block, Error = sp_blockchain::Error>
        + Finalizer<Block, BE>
        + sc_client_api::PreCommitActions<Block>
        + Send
        + Sync
        + 'static,
    for<'a> &'a C: BlockImport<Block, Error = Error>,
    BE: Backend<Block>,
{
    type Error = Error;

    async fn check_block(&self, block: BlockCheckParams<Block>) -> Result<ImportResult, Error> {
        let (number, hash, parent) = (block.number, block.hash, block.parent_hash);
        let result = (&*self.client).check_block(block).await?;
        if matches!(result, ImportResult::Imported(_)) && self.is_below_finality(number, parent).map_err(lookup)? {
            log::info!(target: "weir", "refused block {hash:?} at height {number}: it forks off below what is depth-finalized");
            return Ok(ImportResult::KnownBad);
        }
        Ok(result)
    }

    async fn import_block(&self, mut block: BlockImportParams<Block>) -> Result<ImportResult, Error> {
        let claims = block.remove_intermediate::<PreDigest>(CLAIMS)?;
        // The block may come again when its time has come. This answer neither punishes its sender nor restarts sync.
        if let Err(rejection) = check::not_ahead(&claims, check::now()) {
            log::debug!(target: "weir", "a block is put off: {rejection}");
            if let Some(metrics) = &self.metrics {
                metrics.rejected.with_label_values(&["import", rejection.label()]).inc();
            }
            return Ok(ImportResult::MissingState);
        }
        let parent = *block.header.parent_hash();
        let number = *block.header.number();
        let hash = block.post_hash();

        let _guard = self.lock.lock().await;
        if self.is_below_finality(number, parent).map_err(lookup)? {
            return Ok(ImportResult::KnownBad);
        }
        let best = self.client.info().best_hash;
        let total =
            weight::of(&*self.client, parent).and_then(|parent| weight::child(parent, claims.base)).map_err(lookup)?;
        let is_best = total > weight::of(&*self.client, best).map_err(lookup)?;
        block.auxiliary.push(weight::entry(&hash, total));
        block.fork_choice = Some(ForkChoiceStrategy::Custom(is_best));

        let result = (&*self.client).import_block(block).await?;
        if matches!(&result, ImportResult::Imported(imported) if imported.is_new_best) {
            let displaced = if parent == best { 0 } else { self.displaced(best, parent) };
            if let Err(error) = self.finalize() {
                log::warn!(target: "weir", "could not finalize by depth at block {hash:?}: {error}");
            }
            self.report(displaced, claims.base);
        }
        Ok(result)
    }
}

/// The nearest number that a gauge can show.
fn approximate(value: U256) -> f64 {
    value.0.iter().rev().fold(0.0, |sum, limb| sum * 18_446_744_073_709_551_616.0 + *limb as f64)
}

fn lookup(error: sp_blockchain::Error) -> Error {
    Error::ChainLookup(error.to_string())
}
