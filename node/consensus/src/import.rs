//! Weighing, fork choice and depth finality, under one lock.
//!
//! The weight of a chain is the sum of the base difficulties of its blocks. It is written with each block, in the same
//! write. The chain of greatest weight is the best one; of two equal ones, the first seen.
//!
//! A block is *depth-finalized* when the best chain has at least the finality depth of descendants of it, and they weigh at
//! least half the finality depth times the block's own base difficulty. What forks off below is refused before it is
//! executed. This is a promise of this node to itself, and no proof to others: a node that is new, or comes back after
//! long, needs a checkpoint to know that it is on the chain that others are on.

pub mod bad_blocks;
pub mod weight;

use crate::{
    clock,
    fail_point::{self, Point},
    header::rules::{self, Rejection},
    header::verifier::{CLAIMS, UNCHECKED_BODY},
    import::bad_blocks::Condemned,
    import::weight,
    Metrics,
};
use parking_lot::Mutex;
use sc_client_api::{backend::Backend, AuxStore, Finalizer};
use sc_consensus::{
    BlockCheckParams, BlockImport, BlockImportParams, ForkChoiceStrategy, ImportResult, StateAction, StorageChanges,
};
use sp_api::{ApiError, ApiExt, Core, ProvideRuntimeApi};
use sp_blockchain::{tree_route, BlockStatus, HeaderBackend, HeaderMetadata};
use sp_consensus::{BlockOrigin, Error, SyncOracle};
use sp_core::{traits::CallContext, U256};
use sp_runtime::traits::{Block as BlockT, Header, NumberFor, SaturatedConversion, Saturating};
use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};
use weir_primitives::{
    consensus::{Difficulty, PreDigest},
    parameters::Consensus,
};

/// How many blocks one import finalizes at the most, so that a long range does not stall the node.
const MOST_FINALIZED_AT_ONCE: u32 = 256;

/// Tells import whether the node is catching up. Set once there is a network; until then it is not.
pub type Oracle = Arc<OnceLock<Arc<dyn SyncOracle + Send + Sync>>>;

/// Over about how many blocks the weight per hash is averaged.
const AVERAGED_BLOCKS: f64 = 64.0;

/// What import knows beside the chain.
#[derive(Clone)]
pub struct Settings<H> {
    /// The rules of the chain.
    pub rules: Consensus,
    /// The least weight of a chain that this node finalizes anything of, from its chain spec.
    pub minimum_weight: U256,
    /// Tells whether the node is catching up.
    pub oracle: Oracle,
    /// Where blocks whose execution failed are remembered.
    pub condemned: Condemned<H>,
    /// For Prometheus.
    pub metrics: Option<Metrics>,
}

/// Imports checked blocks.
pub struct Import<Block: BlockT, C, BE> {
    client: Arc<C>,
    backend: Arc<BE>,
    settings: Settings<Block::Hash>,
    /// Covers reading the weights, the decision, the import and what it finalizes.
    lock: Arc<futures::lock::Mutex<()>>,
    /// Weight and hashes of the last blocks of the best chain, each older one counting less.
    averages: Arc<Mutex<(f64, f64)>>,
}

impl<Block: BlockT, C, BE> Clone for Import<Block, C, BE> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            backend: self.backend.clone(),
            settings: self.settings.clone(),
            lock: self.lock.clone(),
            averages: self.averages.clone(),
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
    /// Into the chain of `client`, which is kept in `backend`. The weights of displaced forks are forgotten when something
    /// above them is finalized.
    pub fn new(client: Arc<C>, backend: Arc<BE>, settings: Settings<Block::Hash>) -> Self {
        client.register_finality_action(Box::new(|finalized: &sc_client_api::FinalityNotification<Block>| {
            finalized.stale_blocks.iter().map(|block| (weight::key(&block.hash), None)).collect()
        }));
        Self { client, backend, settings, lock: Default::default(), averages: Default::default() }
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
        let depth = self.settings.rules.finality_depth;
        let Some(deepest) = info.best_number.saturated_into::<u32>().checked_sub(depth) else { return Ok(None) };
        let finalized = info.finalized_number.saturated_into::<u32>();
        let last = deepest.min(finalized.saturating_add(MOST_FINALIZED_AT_ONCE));

        let best_weight = weight::of(&*self.client, info.best_hash)?;
        if best_weight < self.settings.minimum_weight {
            return Ok(None);
        }
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
        if self.settings.oracle.get().is_some_and(|oracle| oracle.is_major_syncing()) {
            return Ok(());
        }
        if let Some(hash) = self.depth_finalized()? {
            let height = self.client.info().best_number.saturated_into();
            fail_point::pass(Point::BeforeFinality, height);
            self.client.finalize_block(hash, None, true)?;
            fail_point::pass(Point::AfterFinality, height);
        }
        Ok(())
    }

    /// How many blocks of the best chain a new head takes back.
    fn displaced(&self, best: Block::Hash, parent: Block::Hash) -> u64 {
        tree_route(&*self.client, best, parent).map_or(0, |route| route.retracted().len() as u64)
    }

    fn report(&self, displaced: u64, claims: &PreDigest) {
        let Some(metrics) = &self.settings.metrics else { return };
        let base = approximate(claims.base);
        let required = approximate(Difficulty(claims.base).required(claims.credit, self.settings.rules.boost).0);
        metrics.base_difficulty.set(base);
        metrics.required_difficulty.set(required);
        metrics.credit.set(f64::from(claims.credit.deconstruct()) / 1e9);
        {
            let kept = 1.0 - 1.0 / AVERAGED_BLOCKS;
            let mut averages = self.averages.lock();
            *averages = (averages.0 * kept + base, averages.1 * kept + required);
            metrics.weight_per_hash.set(averages.0 / averages.1);
        }
        let info = self.client.info();
        if let Ok(weight) = weight::of(&*self.client, info.best_hash) {
            metrics.weight.set(approximate(weight));
        }
        metrics.finality_lag.set(info.best_number.saturating_sub(info.finalized_number).saturated_into());
        if displaced > 0 {
            metrics.reorganisation_depth.set(displaced);
        }
    }

    fn rejected(&self, rejection: &Rejection) {
        if let Some(metrics) = &self.settings.metrics {
            metrics.rejected.with_label_values(&["import", rejection.label()]).inc();
        }
    }
}

impl<Block, C, BE> Import<Block, C, BE>
where
    Block: BlockT,
    C: HeaderBackend<Block> + ProvideRuntimeApi<Block>,
    C::Api: Core<Block> + ApiExt<Block>,
    BE: Backend<Block>,
{
    /// Executes a block, unless that was done already, and puts the changes of its state in its place.
    ///
    /// Done here and not by the client, so that a block that fails is told from a node that does.
    fn execute(&self, block: &mut BlockImportParams<Block>) -> Result<Executed, Error> {
        if !matches!(block.state_action, StateAction::Execute) {
            return Ok(Executed::Changes);
        }
        let parent = *block.header.parent_hash();
        if self.client.status(parent).map_err(lookup)? == BlockStatus::Unknown {
            return Ok(Executed::Discarded(ImportResult::UnknownParent));
        }
        let parent_number = block.header.number().saturating_sub(1u32.into());
        if !self.backend.have_state_at(parent, parent_number) {
            return Ok(Executed::Discarded(ImportResult::MissingState));
        }

        let begun = Instant::now();
        let body = block.body.clone().unwrap_or_default();
        let context = CallContext::Onchain { import: true };
        let mut api = self.client.runtime_api();
        api.set_call_context(context);
        match api.execute_block(parent, Block::new(block.header.clone(), body).into()) {
            Ok(()) => (),
            // Pruned since it was asked for.
            Err(ApiError::UnknownBlock(_)) => return Ok(Executed::Discarded(ImportResult::MissingState)),
            Err(error) => {
                let text = error.to_string();
                if is_fault_of_block(&text) {
                    return Ok(Executed::Failed(Rejection::Execution(first_line(&text))));
                }
                return Err(Error::ClientImport(text));
            },
        }
        let state = self.backend.state_at(parent, context.into()).map_err(lookup)?;
        let changes = api.into_storage_changes(&state, parent).map_err(Error::ClientImport)?;
        if changes.transaction_storage_root != *block.header.state_root() {
            return Ok(Executed::Failed(Rejection::Execution("it came to another state than the header's".into())));
        }
        block.state_action = StateAction::ApplyChanges(StorageChanges::Changes(changes));
        if let Some(metrics) = &self.settings.metrics {
            metrics.execution_seconds.observe(begun.elapsed().as_secs_f64());
        }
        Ok(Executed::Changes)
    }
}

/// What came of executing a block.
enum Executed {
    /// The changes of its state are known.
    Changes,
    /// It could not be executed, which is not its fault.
    Discarded(ImportResult),
    /// It is wrong.
    Failed(Rejection),
}

/// Whether a failed call of the runtime is the runtime's own verdict on the block. A host that panics, since its disk or its
/// memory fails, also ends the call with a trap; the types of the executor do not tell the two apart.
fn is_fault_of_block(error: &str) -> bool {
    error.contains("Execution aborted due to") && !error.contains("host code panicked")
}

/// The first line of an error: what comes behind it is the trace of a trap.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_string()
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
        + ProvideRuntimeApi<Block>
        + sc_client_api::PreCommitActions<Block>
        + Send
        + Sync
        + 'static,
    C::Api: Core<Block> + ApiExt<Block>,
    for<'a> &'a C: BlockImport<Block, Error = Error>,
    BE: Backend<Block> + 'static,
{
    type Error = Error;

    async fn check_block(&self, block: BlockCheckParams<Block>) -> Result<ImportResult, Error> {
        let (number, hash, parent) = (block.number, block.hash, block.parent_hash);
        if self.settings.condemned.contains(&hash) {
            return Ok(ImportResult::KnownBad);
        }
        let result = (&*self.client).check_block(block).await?;
        if matches!(result, ImportResult::Imported(_)) && self.is_below_finality(number, parent).map_err(lookup)? {
            log::info!(target: "weir", "refused block {hash:?} at height {number}: it forks off below what is depth-finalized");
            return Ok(ImportResult::KnownBad);
        }
        Ok(result)
    }

    async fn import_block(&self, mut block: BlockImportParams<Block>) -> Result<ImportResult, Error> {
        let begun = Instant::now();
        let claims = block.remove_intermediate::<PreDigest>(CLAIMS)?;
        let is_body_checked = block.remove_intermediate::<()>(UNCHECKED_BODY).is_err();
        // The block may come again when its time has come. This answer neither punishes its sender nor restarts sync.
        if let Err(rejection) = rules::not_ahead(&claims, clock::now()) {
            log::debug!(target: "weir", "a block is put off: {rejection}");
            self.rejected(&rejection);
            return Ok(ImportResult::MissingState);
        }
        let parent = *block.header.parent_hash();
        let number = *block.header.number();
        let hash = block.post_hash();
        // A block of our own has not been asked about: checkpoints bind it too.
        if block.origin == BlockOrigin::Own {
            let check = BlockCheckParams {
                hash,
                number,
                parent_hash: parent,
                allow_missing_state: false,
                allow_missing_parent: false,
                import_existing: false,
            };
            let result = (&*self.client).check_block(check).await?;
            if !matches!(result, ImportResult::Imported(_)) {
                return Ok(result);
            }
        }
        if self.is_below_finality(number, parent).map_err(lookup)? {
            return Ok(ImportResult::KnownBad);
        }
        match self.execute(&mut block)? {
            Executed::Changes => (),
            Executed::Discarded(result) => return Ok(result),
            Executed::Failed(rejection) => {
                log::debug!(target: "weir", "block {hash:?} at height {number} is rejected: {rejection}");
                self.rejected(&rejection);
                if is_body_checked {
                    self.settings.condemned.insert(hash);
                }
                return Ok(ImportResult::KnownBad);
            },
        }

        let _guard = self.lock.lock().await;
        // Something may have been finalized in the meantime.
        if self.is_below_finality(number, parent).map_err(lookup)? {
            return Ok(ImportResult::KnownBad);
        }
        let best = self.client.info().best_hash;
        let total =
            weight::of(&*self.client, parent).and_then(|parent| weight::child(parent, claims.base)).map_err(lookup)?;
        let is_best = total > weight::of(&*self.client, best).map_err(lookup)?;
        block.auxiliary.push(weight::entry(&hash, total));
        block.fork_choice = Some(ForkChoiceStrategy::Custom(is_best));

        let height = number.saturated_into();
        fail_point::pass(Point::BeforeImport, height);
        let result = (&*self.client).import_block(block).await?;
        fail_point::pass(Point::AfterImport, height);
        if matches!(&result, ImportResult::Imported(imported) if imported.is_new_best) {
            let displaced = if parent == best { 0 } else { self.displaced(best, parent) };
            if let Err(error) = self.finalize() {
                log::warn!(target: "weir", "could not finalize by depth at block {hash:?}: {error}");
            }
            self.report(displaced, &claims);
        }
        if let Some(metrics) = &self.settings.metrics {
            metrics.import_seconds.observe(begun.elapsed().as_secs_f64());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_fails_is_no_fault_of_the_block() {
        let of_runtime =
            "Execution failed: Execution aborted due to trap: wasm trap: wasm `unreachable` instruction executed";
        let of_host = "Execution aborted due to trap: host code panicked while being called by the runtime: no space";
        assert!(is_fault_of_block(of_runtime));
        assert!(!is_fault_of_block(of_host));
        assert!(!is_fault_of_block("the runtime cannot be instantiated: out of memory"));
    }
}
