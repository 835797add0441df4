//! Import of blocks: execution, weight, fork choice, and what finality changes of it.
//!
//! A block is executed before the lock is taken ([`execute`]). Under one lock its chain is weighed ([`weight`]), compared with the
//! best one ([`fork_choice`]), and written, with its weight in the same write, through GRANDPA's import, which notes changes of the voters.
//! Justifications are imported under the same lock. A block whose execution fails twice is a bad one ([`bad_blocks`]).

pub mod bad_blocks;
pub mod execute;
pub mod fork_choice;
pub mod weight;

use crate::{
    clock,
    fail_point::{self, Point},
    finality::{below, heaviest::Heaviest, votes::Recent},
    header::{error::Rejection, rules},
    import::{
        bad_blocks::BadBlocks,
        execute::{ColdExecution, Verdict},
    },
    sync::{
        signatures::{BlockSignatures, VerifiedSignatures},
        verified_headers::VerifiedHeaders,
    },
    Metrics,
};
use parking_lot::Mutex;
use sc_client_api::{
    backend::{Backend, BlockImportOperation, ImportNotificationAction, ImportSummary},
    AuxStore,
};
use sc_consensus::{
    BlockCheckParams, BlockImport, BlockImportParams, ForkChoiceStrategy, ImportResult, JustificationImport,
    StateAction, StorageChanges,
};
use sc_consensus_grandpa::{BlockNumberOps, ClientForGrandpa, GrandpaBlockImport};
use sp_api::{ApiError, ApiExt, Core, ProvideRuntimeApi};
use sp_blockchain::{tree_route, BlockStatus, HeaderBackend, HeaderMetadata};
use sp_consensus::{BlockOrigin, Error};
use sp_consensus_grandpa::GrandpaApi;
use sp_core::{traits::CallContext, U256};
use sp_runtime::{
    traits::{Block as BlockT, Header, NumberFor, SaturatedConversion, Saturating},
    Justification,
};
use std::{sync::Arc, time::Instant};
use weir_primitives::{
    consensus::{Difficulty, PreDigest},
    finality::MOST_JUSTIFICATION_BYTES,
    parameters::Consensus,
    runtime_api::ConsensusApi,
};

/// Over about how many blocks the weight per hash is averaged.
const AVERAGED_BLOCKS: f64 = 64.0;

/// How much of the trie of states a node keeps in memory, in bytes: 128 MiB.
///
/// The SDK's map of it grows by doubling, all at once, and in the middle of the import of a block. At the SDK's own 1 GiB that took a node 0.7 s, of the
/// second that a full block may take (`scripts/bench epoch`).
pub const TRIE_CACHE_BYTES: usize = 128 << 20;

/// Under which name whoever checked a block hands on to import what it found.
pub(crate) const CHECKED: &[u8] = b"weir:checked";

/// What is known of a block that comes to import.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    /// What its header claims.
    pub claims: PreDigest,
    /// The rules in its parent's state; none if that is not there, and then neither can the block be executed.
    pub rules: Option<Consensus>,
    /// Whether its body is known to be the one that its header commits to, so that what execution finds wrong can be remembered
    /// under its hash.
    pub is_body_checked: bool,
}

/// What import knows beside the chain.
pub struct Settings<Block: BlockT> {
    /// Where blocks that the runtime refused are remembered.
    pub bad_blocks: BadBlocks<Block::Hash>,
    /// What was found out about headers ahead of import.
    pub verified_headers: VerifiedHeaders<Block::Hash>,
    /// The signatures of extrinsics that were verified ahead of execution.
    pub signatures: VerifiedSignatures<Block::Hash>,
    /// Which blocks were imported a short while ago.
    pub recent: Recent<Block::Hash>,
    /// Executes a block that failed once more.
    pub cold: Arc<dyn ColdExecution<Block>>,
    /// For Prometheus.
    pub metrics: Option<Metrics>,
}

impl<Block: BlockT> Clone for Settings<Block> {
    fn clone(&self) -> Self {
        Self {
            bad_blocks: self.bad_blocks.clone(),
            verified_headers: self.verified_headers.clone(),
            signatures: self.signatures.clone(),
            recent: self.recent.clone(),
            cold: self.cold.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

/// GRANDPA's import, which notes changes of the voters and checks justifications.
pub type Grandpa<Block, C, BE> = GrandpaBlockImport<BE, Block, C, Heaviest<Block, C, BE>>;

/// Imports checked blocks.
pub struct Import<Block: BlockT, C, BE> {
    client: Arc<C>,
    backend: Arc<BE>,
    grandpa: Grandpa<Block, C, BE>,
    heaviest: Heaviest<Block, C, BE>,
    settings: Settings<Block>,
    /// Covers reading the weights, the decision, the import and what it finalizes.
    lock: Arc<futures::lock::Mutex<()>>,
    /// The block that whoever follows the chain was last told is the best one. When finality leaves its branch the client says nothing.
    told: Arc<Mutex<Option<Block::Hash>>>,
    /// Weight and hashes of the last blocks of the best chain, each older one counting less.
    averages: Arc<Mutex<(f64, f64)>>,
}

impl<Block: BlockT, C, BE> Clone for Import<Block, C, BE> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            backend: self.backend.clone(),
            grandpa: self.grandpa.clone(),
            heaviest: self.heaviest.clone(),
            settings: self.settings.clone(),
            lock: self.lock.clone(),
            told: self.told.clone(),
            averages: self.averages.clone(),
        }
    }
}

#[async_trait::async_trait]
impl<Block, C, BE> BlockImport<Block> for Import<Block, C, BE>
where
    Block: BlockT,
    NumberFor<Block>: BlockNumberOps + From<u32>,
    C: ClientForGrandpa<Block, BE> + sc_client_api::PreCommitActions<Block> + 'static,
    C::Api: Core<Block> + ApiExt<Block> + ConsensusApi<Block> + GrandpaApi<Block>,
    for<'a> &'a C: BlockImport<Block, Error = Error>,
    BE: Backend<Block> + 'static,
{
    type Error = Error;

    /// Whether a block is worth verifying, from its hash and its parent's.
    async fn check_block(&self, block: BlockCheckParams<Block>) -> Result<ImportResult, Error> {
        let (number, hash, parent) = (block.number, block.hash, block.parent_hash);
        // That a proof leads to has no parent here.
        let is_proven = block.allow_missing_parent;
        if self.settings.bad_blocks.is_bad(&hash) {
            return Ok(ImportResult::KnownBad);
        }
        if self.settings.bad_blocks.is_put_off(&hash) {
            return Ok(ImportResult::MissingState);
        }
        let result = (*self.client).check_block(block).await?;
        // Its place in the chain cannot be told; that it has no work, or nobody's signature, can.
        if matches!(result, ImportResult::UnknownParent) && self.settings.verified_headers.is_false(&hash) {
            return Ok(ImportResult::KnownBad);
        }
        let may_be_refused = matches!(result, ImportResult::Imported(_)) && !is_proven;
        if may_be_refused && self.is_below_finality(number, parent)? {
            tracing::debug!(target: "weir", ?hash, ?number, "refused a block: it leaves the chain below what is final");
            self.rejected(&self.below_finality());
            return Ok(ImportResult::KnownBad);
        }
        Ok(result)
    }

    async fn import_block(&self, mut block: BlockImportParams<Block>) -> Result<ImportResult, Error> {
        let begun = Instant::now();
        // Of a proof whose votes and work were checked (`sync::warp`). Only the header is kept.
        if block.origin == BlockOrigin::WarpSync {
            return self.import_unexecuted(block, false).await;
        }
        let Checked { claims, rules, is_body_checked } = block.remove_intermediate::<Checked>(CHECKED)?;
        let Some(rules) = rules else { return Ok(ImportResult::MissingState) };
        // Blocks that are not due wait in the queue. One that comes here all the same, since the clock was put back, may come
        // again: this answer neither punishes its sender nor restarts sync.
        if let Err(rejection) = rules::due(&claims, rules.dates(), clock::now()) {
            tracing::debug!(target: "weir", %rejection, "a block is put off");
            self.rejected(&rejection);
            return Ok(ImportResult::MissingState);
        }
        let parent = *block.header.parent_hash();
        let number = *block.header.number();
        let hash = block.post_hash();
        // What a proof leads to, with a state that was proven to be its own.
        if block.with_state() {
            if number <= self.client.info().finalized_number {
                return Ok(ImportResult::KnownBad);
            }
            return self.import_unexecuted(block, true).await;
        }
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
            let result = (*self.client).check_block(check).await?;
            if !matches!(result, ImportResult::Imported(_)) {
                return Ok(result);
            }
        }
        if self.is_below_finality(number, parent)? {
            return Ok(ImportResult::KnownBad);
        }
        match self.execute(&mut block)? {
            Executed::Changes => (),
            Executed::Discarded(result) => return Ok(result),
            Executed::PutOff => {
                self.settings.bad_blocks.put_off(hash);
                return Ok(ImportResult::MissingState);
            },
            Executed::Failed(rejection) => {
                tracing::debug!(target: "weir", ?hash, ?number, %rejection, "a block is rejected");
                self.rejected(&rejection);
                if is_body_checked {
                    self.settings.bad_blocks.insert(hash, claims.base);
                }
                return Ok(ImportResult::KnownBad);
            },
        }

        let _guard = self.lock.lock().await;
        // Something may have been finalized in the meantime.
        if self.is_below_finality(number, parent)? {
            return Ok(ImportResult::KnownBad);
        }
        let best = self.client.info().best_hash;
        let total = weight::of_or_in_state(&*self.client, parent)
            .and_then(|parent| weight::child(parent, claims.base))
            .map_err(lookup)?;
        let is_best = fork_choice::becomes_best(&*self.client, parent, total).map_err(lookup)?;
        block.auxiliary.push(weight::entry(&hash, total));
        block.fork_choice = Some(ForkChoiceStrategy::Custom(is_best));

        let height = number.saturated_into();
        fail_point::pass(Point::BeforeImport, height);
        self.settings.recent.note(hash, begun);
        let result = self.grandpa.import_block(block).await?;
        fail_point::pass(Point::AfterImport, height);
        if matches!(&result, ImportResult::Imported(imported) if imported.is_new_best) {
            *self.told.lock() = Some(hash);
            let displaced = if parent == best { 0 } else { self.displaced(best, parent) };
            self.report(displaced, &claims, rules.boost);
        }
        if let Some(metrics) = &self.settings.metrics {
            metrics.import_seconds.observe(begun.elapsed().as_secs_f64());
        }
        Ok(result)
    }
}

impl<Block, C, BE> Import<Block, C, BE>
where
    Block: BlockT,
    NumberFor<Block>: BlockNumberOps,
    C: ClientForGrandpa<Block, BE> + 'static,
    C::Api: GrandpaApi<Block>,
    for<'a> &'a C: BlockImport<Block, Error = Error>,
    BE: Backend<Block> + 'static,
{
    /// Imports a block that something else vouches for than its execution.
    async fn import_unexecuted(
        &self,
        mut block: BlockImportParams<Block>,
        is_best: bool,
    ) -> Result<ImportResult, Error> {
        let hash = block.post_hash();
        let _guard = self.lock.lock().await;
        block.fork_choice = Some(ForkChoiceStrategy::Custom(is_best));
        // What is below is not fetched: by what could it be checked?
        block.create_gap = false;
        let result = self.grandpa.import_block(block).await?;
        if is_best && matches!(result, ImportResult::Imported(_)) {
            *self.told.lock() = Some(hash);
        }
        Ok(result)
    }
}

#[async_trait::async_trait]
impl<Block, C, BE> JustificationImport<Block> for Import<Block, C, BE>
where
    Block: BlockT,
    NumberFor<Block>: BlockNumberOps,
    C: ClientForGrandpa<Block, BE> + 'static,
    BE: Backend<Block> + 'static,
{
    type Error = Error;

    async fn on_start(&mut self) -> Vec<(Block::Hash, NumberFor<Block>)> {
        self.grandpa.on_start().await
    }

    async fn import_justification(
        &mut self,
        hash: Block::Hash,
        number: NumberFor<Block>,
        justification: Justification,
    ) -> Result<(), Error> {
        if justification.1.len() > MOST_JUSTIFICATION_BYTES as usize {
            return Err(Error::ClientImport("the justification is larger than the chain takes".into()));
        }
        let lock = self.lock.clone();
        let _guard = lock.lock().await;
        JustificationImport::import_justification(&mut self.grandpa, hash, number, justification).await
    }
}

impl<Block, C, BE> Import<Block, C, BE>
where
    Block: BlockT,
    NumberFor<Block>: BlockNumberOps,
    C: ClientForGrandpa<Block, BE> + 'static,
    BE: Backend<Block> + 'static,
{
    /// Moves the best block, if finality has left its branch, to the end of the heaviest chain above the final one: at once, and by plain weight.
    ///
    /// The client has made the final block its best one then; whoever was told of the old best block is told of the new one.
    ///
    /// # Errors
    ///
    /// When the database cannot be read or written.
    pub async fn follow_finality(&self) -> sp_blockchain::Result<()> {
        fail_point::pass(Point::AfterFinality, self.client.info().finalized_number.saturated_into());
        let _guard = self.lock.lock().await;
        let info = self.client.info();
        let was = self.told.lock().unwrap_or(info.best_hash);
        let is_left = !self.heaviest.contains(was, info.finalized_hash)?;
        // At the start of a node nothing was told yet, and it may have been ended between the two.
        if !is_left && was != info.finalized_hash {
            return Ok(());
        }
        let heaviest = self.heaviest.above(info.finalized_hash)?;
        if heaviest == was {
            return Ok(());
        }
        let header = self.client.expect_header(heaviest)?;
        tracing::info!(target: "weir", height = %header.number(), hash = ?heaviest, "the best block moves: finality left its branch");
        let route = tree_route(&*self.client, was, heaviest)?;
        if let Some(metrics) = &self.settings.metrics {
            metrics.reorganisation_depth.set(route.retracted().len() as u64);
            metrics.reorganisations.observe(route.retracted().len() as f64);
        }
        *self.told.lock() = Some(heaviest);
        self.client.lock_import_and_run(|operation| {
            operation.op.mark_head(heaviest)?;
            operation.notify_imported = Some(ImportSummary {
                hash: heaviest,
                origin: BlockOrigin::ConsensusBroadcast,
                header,
                is_new_best: true,
                storage_changes: None,
                tree_route: Some(route),
                import_notification_action: ImportNotificationAction::RecentBlock,
            });
            Ok(())
        })
    }
}

impl<Block, C, BE> Import<Block, C, BE>
where
    Block: BlockT,
    C: AuxStore
        + HeaderBackend<Block>
        + HeaderMetadata<Block, Error = sp_blockchain::Error>
        + sc_client_api::PreCommitActions<Block>,
    BE: Backend<Block>,
{
    /// Into the chain of `client`, which is kept in `backend`, through GRANDPA's import. The weights of displaced forks are forgotten when
    /// something above them is final.
    pub fn new(client: Arc<C>, backend: Arc<BE>, grandpa: Grandpa<Block, C, BE>, settings: Settings<Block>) -> Self {
        let heaviest = Heaviest::new(client.clone(), backend.clone());
        client.register_finality_action(Box::new(|finalized: &sc_client_api::FinalityNotification<Block>| {
            fail_point::pass(Point::BeforeFinality, (*finalized.header.number()).saturated_into());
            finalized.stale_blocks.iter().map(|block| (weight::key(&block.hash), None)).collect()
        }));
        let (lock, told, averages) = Default::default();
        Self { client, backend, grandpa, heaviest, settings, lock, told, averages }
    }

    fn is_below_finality(&self, number: NumberFor<Block>, parent: Block::Hash) -> Result<bool, Error> {
        below::is_below_finality(&*self.client, number, parent).map_err(lookup)
    }

    fn below_finality(&self) -> Rejection {
        Rejection::BelowFinality { finalized: self.client.info().finalized_number.saturated_into() }
    }

    /// How many blocks of the best chain a new head takes back.
    fn displaced(&self, best: Block::Hash, parent: Block::Hash) -> u64 {
        tree_route(&*self.client, best, parent).map_or(0, |route| route.retracted().len() as u64)
    }

    fn report(&self, displaced: u64, claims: &PreDigest, boost: u32) {
        let Some(metrics) = &self.settings.metrics else { return };
        let base = approximate(claims.base);
        let required = approximate(Difficulty(claims.base).required(claims.credit, boost).0);
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
            metrics.reorganisations.observe(displaced as f64);
        }
    }

    fn rejected(&self, rejection: &Rejection) {
        if let Some(metrics) = &self.settings.metrics {
            metrics.rejected.with_label_values(&["import", rejection.label()]).inc();
        }
    }
}

/// What came of executing a block.
enum Executed {
    /// The changes of its state are known.
    Changes,
    /// It could not be executed, which is not its fault.
    Discarded(ImportResult),
    /// This machine cannot tell whether it is right.
    PutOff,
    /// It is wrong.
    Failed(Rejection),
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
        let unsealed = Block::new(block.header.clone(), body);
        let signatures = self.settings.signatures.take(&block.post_hash());
        let first = match self.run(parent, unsealed.clone(), *block.header.state_root(), signatures) {
            // Pruned since it was asked for.
            Err(Failure::Pruned) => return Ok(Executed::Discarded(ImportResult::MissingState)),
            other => other,
        };
        let changes = match first {
            Ok(changes) => changes,
            Err(failure) => match self.settings.cold.judge(parent, unsealed.clone()) {
                Verdict::Invalid { why } => return Ok(Executed::Failed(Rejection::Execution(why))),
                Verdict::None { why } => {
                    self.failed_here(&format!("{failure}; the second time: {why}"));
                    return Ok(Executed::PutOff);
                },
                Verdict::Valid => {
                    self.failed_here(&failure.to_string());
                    match self.run(parent, unsealed, *block.header.state_root(), None) {
                        Ok(changes) => changes,
                        Err(_) => return Ok(Executed::PutOff),
                    }
                },
            },
        };
        block.state_action = StateAction::ApplyChanges(StorageChanges::Changes(changes));
        if let Some(metrics) = &self.settings.metrics {
            metrics.execution_seconds.observe(begun.elapsed().as_secs_f64());
        }
        Ok(Executed::Changes)
    }

    fn run(
        &self,
        parent: Block::Hash,
        block: Block,
        state_root: Block::Hash,
        signatures: Option<BlockSignatures>,
    ) -> Result<sp_state_machine::StorageChanges<sp_runtime::traits::HashingFor<Block>>, Failure> {
        let context = CallContext::Onchain { import: true };
        let mut api = self.client.runtime_api();
        api.set_call_context(context);
        if let Some(signatures) = signatures {
            api.register_extension(signatures);
        }
        api.execute_block(parent, block.into()).map_err(|error| match error {
            ApiError::UnknownBlock(_) => Failure::Pruned,
            other => Failure::Call(other.to_string()),
        })?;
        let state = self.backend.state_at(parent, context.into()).map_err(|_| Failure::Pruned)?;
        let changes = api.into_storage_changes(&state, parent).map_err(Failure::Call)?;
        if changes.transaction_storage_root != state_root {
            return Err(Failure::Call("it came to another state than the header's".into()));
        }
        Ok(changes)
    }

    /// Says that an execution failed for a reason of this machine's.
    fn failed_here(&self, why: &str) {
        if let Some(metrics) = &self.settings.metrics {
            metrics.local_failures.inc();
        }
        tracing::debug!(target: "weir", why, "the execution of a block failed, and not for the block's fault");
    }
}

/// Why a first execution gave no changes.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The state of the parent is gone.
    #[error("the state of the parent is gone")]
    Pruned,
    /// The call failed, for whatever reason: only a second one tells.
    #[error("{0}")]
    Call(String),
}

/// The nearest number that a gauge can show.
fn approximate(value: U256) -> f64 {
    value.0.iter().rev().fold(0.0, |sum, limb| sum * 18_446_744_073_709_551_616.0 + *limb as f64)
}

fn lookup(error: sp_blockchain::Error) -> Error {
    Error::ChainLookup(error.to_string())
}
