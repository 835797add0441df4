//! Makes blocks: one task that keeps a template ready, and threads that search for its nonce.
//!
//! The task builds a template on the best block (`template`), and a new one when there is another best block, when transactions
//! arrive, and before its date gets old. The threads take what they search from a [`board`]; when there is another best block
//! they leave the old one at once, and search a template without transactions until the full one is built: who rests meanwhile
//! leaves blocks to whoever does not. What is found is imported, and so published, at once. Miners [`outside`] the node search the same
//! templates.

pub mod board;
pub mod outside;
mod template;

use self::{
    board::Board,
    outside::{Answer, Submission},
    template::{bytes_of, Body, Built, Template},
};
use crate::{clock, header::our_best::OurBestReader, import::weight, Metrics};
use futures::StreamExt;
use sc_client_api::{AuxStore, BlockchainEvents};
use sc_consensus::{BlockImport, BoxBlockImport, ImportResult};
use sc_transaction_pool_api::TransactionPool;
use sp_api::ProvideRuntimeApi;
use sp_blockchain::HeaderBackend;
use sp_consensus::{Environment, SyncOracle};
use sp_core::{crypto::KeyTypeId, U256};
use sp_keystore::KeystorePtr;
use sp_runtime::traits::Block as BlockT;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use weir_pow::searchers::Found;
use weir_primitives::{consensus::Difficulty, runtime_api::ConsensusApi, AccountId, Milliseconds};

/// The type of author keys in the keystore.
pub const KEY_TYPE: KeyTypeId = KeyTypeId(*b"weir");

/// Transactions that arrive within this time make one new template together.
const GATHER_TRANSACTIONS: Duration = Duration::from_millis(200);
/// A template is built anew after half a block time, but not more and not less often than this: the difficulty follows from its
/// date.
const REFRESH: (Milliseconds, Milliseconds) = (250, 2_000);
/// How many templates on one parent are kept, so that a nonce that was found while the next ones were built, or on its way here, is not lost.
const MOST_TEMPLATES: usize = 16;
/// For how many block times a node that has just started waits to hear of a heavier chain before it takes its own to be the one.
const CATCH_UP_BLOCK_TIMES: u64 = 20;

/// What a node mines with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For whom blocks are made: an account, whichever key signs for it, or the key itself.
    pub author: AccountId,
    /// How many threads search. With none, only miners outside do.
    pub threads: usize,
    /// For which part of the time they do, in percent: 1 to 100.
    pub intensity_percent: u8,
}

/// All that mining needs of the node.
pub struct Miner<Block: BlockT, C, E, P> {
    /// The chain.
    pub client: Arc<C>,
    /// Makes the bodies of blocks.
    pub environment: E,
    /// Whose transactions go into blocks.
    pub pool: Arc<P>,
    /// Imports what was made.
    pub block_import: BoxBlockImport<Block>,
    /// Tells when the node is catching up: before it has done so once, there is nothing to mine on.
    pub oracle: Arc<dyn SyncOracle + Send + Sync>,
    /// Where the author's key is.
    pub keystore: KeystorePtr,
    /// Nothing is mined on a chain that weighs less: it is not the one that others are on.
    pub minimum_weight: U256,
    /// What to mine with.
    pub settings: Settings,
    /// Shared with the threads, and with whoever wants to know.
    pub board: Arc<Board>,
    /// For Prometheus.
    pub metrics: Option<Metrics>,
}

/// Whether a node that has just started has caught up once. From then on nothing that others show it stops its mining.
struct FirstCatchUp {
    begun: Instant,
    was_catching_up: bool,
    is_over: bool,
}

impl FirstCatchUp {
    fn new() -> Self {
        Self { begun: Instant::now(), was_catching_up: false, is_over: false }
    }

    /// Whether it is over, when the node is catching up or not now.
    fn is_over(&mut self, is_catching_up: bool, patience: Duration) -> bool {
        if is_catching_up && !self.is_over {
            self.was_catching_up = true;
        } else if self.was_catching_up || self.begun.elapsed() >= patience {
            self.is_over = true;
        }
        self.is_over || !is_catching_up
    }
}

/// The moment after a time from now; none if there is no such moment.
fn after(wait: Duration) -> Option<tokio::time::Instant> {
    tokio::time::Instant::now().checked_add(wait)
}

async fn sleep_until(instant: Option<tokio::time::Instant>) {
    if let Some(instant) = instant {
        tokio::time::sleep_until(instant).await;
    }
}

/// Stops the threads when mining ends, for whatever reason.
struct StopOnDrop(Arc<Board>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.searchers.stop();
    }
}

impl<Block, C, E, P> Miner<Block, C, E, P>
where
    Block: BlockT,
    C: ProvideRuntimeApi<Block> + HeaderBackend<Block> + AuxStore + BlockchainEvents<Block> + Send + Sync + 'static,
    C::Api: ConsensusApi<Block>,
    E: Environment<Block> + Send + 'static,
    E::Error: std::fmt::Debug,
    P: TransactionPool<Block = Block> + 'static,
{
    /// Mines until the chain ends its notifications, which is when the node stops.
    pub async fn run(mut self) {
        let (sender, mut found) = mpsc::unbounded_channel();
        let _stop = StopOnDrop(self.board.clone());
        let (threads, intensity) = (self.settings.threads, self.settings.intensity_percent);
        let first = sp_core::H256::random().to_low_u64_le();
        let tell = sender.clone();
        let tell = move |found| {
            let _ = tell.send(found);
        };
        if let Err(error) = self.board.searchers.start(threads, intensity, first, tell) {
            tracing::error!(target: "weir", %error, "a mining thread could not be started");
        }
        let mut submissions = self.board.outside().take_submissions();

        let block_time = OurBestReader::new(self.client.clone()).read().map_or(0, |best| best.rules.block_time);
        let mut imports = self.client.import_notification_stream();
        let mut transactions = self.pool.import_notification_stream();
        let mut refresh = tokio::time::interval(Duration::from_millis((block_time / 2).clamp(REFRESH.0, REFRESH.1)));
        refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let patience = Duration::from_millis(block_time.saturating_mul(CATCH_UP_BLOCK_TIMES));
        let mut first_catch_up = FirstCatchUp::new();
        let mut measured = (Instant::now(), 0u64);
        // Templates on the best block, the newest last: a nonce for an older one is as good.
        let mut templates: Vec<Template<Block>> = Vec::new();
        // When the search for a child of the best block may begin, if it may not yet.
        let mut ready_at = None;
        // When a full template is due: at once after one without transactions, later when there are new ones.
        let mut full_at = None;
        let mut next_id = 1u64;

        loop {
            let wanted = tokio::select! {
                import = imports.next() => match import {
                    // A block of our own may have been built on before it is heard of.
                    Some(import) if templates.last().is_some_and(|newest| newest.parent == import.hash) => None,
                    Some(import) if import.is_new_best => {
                        // Work on the old one is lost: not even while the next template is built.
                        self.board.post(None);
                        self.board.outside().outdate();
                        templates.clear();
                        Some(Body::Least)
                    },
                    Some(_) => None,
                    None => return,
                },
                arrived = transactions.next() => match arrived {
                    Some(_) => {
                        full_at = full_at.or_else(|| after(GATHER_TRANSACTIONS));
                        None
                    },
                    None => return,
                },
                () = sleep_until(full_at), if full_at.is_some() => Some(Body::Full),
                _ = refresh.tick() => {
                    measured = self.measure(measured);
                    Some(Body::Full)
                },
                () = sleep_until(ready_at), if ready_at.is_some() => Some(Body::Least),
                // Somebody outside wants work, and nobody inside does.
                () = self.board.outside().asked() => {
                    let is_idle = threads == 0 && templates.is_empty() && ready_at.is_none();
                    is_idle.then_some(Body::Least)
                },
                Some(Found { job, nonce }) = found.recv() => match take(&mut templates, job) {
                    Some(template) => {
                        self.board.outside().solved(job);
                        self.submit(template, nonce, &mut templates).await.1
                    },
                    None => None,
                },
                Some(Submission { job, nonce, answer }) = submissions.recv() => match take(&mut templates, job) {
                    Some(template) => {
                        let (said, wanted) = self.submit(template, nonce, &mut templates).await;
                        // Who asked may be gone.
                        let _ = answer.send(said);
                        wanted
                    },
                    None => None,
                },
            };
            if templates.is_empty() && wanted.is_none() {
                // What was due was due on a block that is no longer the best one, and is built again when the new one is heard of.
                full_at = None;
            }
            let Some(body) = wanted else { continue };
            let may_mine = first_catch_up.is_over(self.oracle.is_major_syncing(), patience);
            let (built, ready) = match self.build(may_mine, next_id, body).await {
                Ok(Built::Template(template)) => (Some(*template), None),
                Ok(Built::Rest(wait)) => (None, after(wait)),
                Ok(Built::Nothing) => (None, None),
                Err(error) => {
                    tracing::warn!(target: "weir", error, "no block could be built");
                    full_at = None;
                    // The last one is as good as before, if it is on the best block still.
                    let best = self.client.info().best_hash;
                    if templates.last().is_some_and(|newest| newest.parent == best) {
                        continue;
                    }
                    (None, None)
                },
            };
            next_id = next_id.saturating_add(1);
            ready_at = ready;
            full_at = (body == Body::Least && built.is_some()).then(tokio::time::Instant::now);
            self.post(built.as_ref());
            templates.retain(|template| built.as_ref().is_some_and(|built| built.parent == template.parent));
            templates.extend(built);
            if templates.len() > MOST_TEMPLATES {
                templates.remove(0);
            }
        }
    }

    /// Updates the hash rate, at most once a second.
    fn measure(&self, (since, hashes): (Instant, u64)) -> (Instant, u64) {
        let passed = since.elapsed();
        if passed < Duration::from_secs(1) {
            return (since, hashes);
        }
        let status = self.board.status();
        let rate = status.hashes.saturating_sub(hashes) as f64 / passed.as_secs_f64();
        // Smoothed over about ten seconds.
        let weight = (passed.as_secs_f64() / 10.0).min(1.0);
        let before = status.hashes_per_second;
        let smoothed = if before == 0.0 { rate } else { before * (1.0 - weight) + rate * weight };
        self.board.change_status(|status| status.hashes_per_second = smoothed);
        if let Some(metrics) = &self.metrics {
            metrics.hash_rate.set(smoothed);
            metrics.authored.set(status.authored);
        }
        (Instant::now(), status.hashes)
    }

    fn post(&self, template: Option<&Template<Block>>) {
        if let Some(template) = template {
            let claims = &template.claims;
            let required = Difficulty(claims.base).required(claims.credit, template.rules.boost);
            self.board.change_status(|status| {
                status.base = claims.base;
                status.required = required.0;
                status.credit = claims.credit;
            });
        }
        self.board.post(template.map(|template| (template.id, template.work())));
    }

    /// Builds and signs a block on the best one; nothing while it may not.
    async fn build(&mut self, may_mine: bool, id: u64, body: Body) -> Result<Built<Block>, String> {
        let is_wanted = self.settings.threads > 0 || self.board.outside().is_wanted();
        if !may_mine || !is_wanted || self.is_too_light() {
            return Ok(Built::Nothing);
        }
        let author = &self.settings.author;
        template::build(&*self.client, &mut self.environment, &self.keystore, author, (id, body)).await
    }

    /// Whether our chain weighs less than the one that others are known to be on.
    fn is_too_light(&self) -> bool {
        !self.minimum_weight.is_zero()
            && weight::of_or_in_state(&*self.client, self.client.info().best_hash)
                .map_or(true, |weight| weight < self.minimum_weight)
    }

    /// Imports a block that was found. Says what came of it, and what to build if it is not the best one now: what was imported is heard of as every
    /// other import is, and until then nobody searches beside it.
    async fn submit(
        &self,
        template: Template<Block>,
        nonce: u64,
        templates: &mut Vec<Template<Block>>,
    ) -> (Answer, Option<Body>) {
        self.board.post(None);
        let answer = self.import(template, nonce).await;
        if matches!(answer, Answer::Accepted { is_best: true, .. }) {
            self.board.outside().outdate();
            templates.clear();
            return (answer, None);
        }
        (answer, Some(Body::Least))
    }

    async fn import(&self, template: Template<Block>, nonce: u64) -> Answer {
        let (credit, date) = (template.claims.credit, template.claims.timestamp);
        let block = template.into_block(nonce);
        let (number, hash) = (*sp_runtime::traits::Header::number(&block.header), block.post_hash());
        match self.block_import.import_block(block).await {
            Ok(ImportResult::Imported(imported)) => {
                self.board.change_status(|status| status.authored = status.authored.saturating_add(1));
                tracing::info!(
                    target: "weir",
                    %number,
                    ?hash,
                    ?credit,
                    ahead_milliseconds = date.saturating_sub(clock::now()),
                    "mined a block",
                );
                return Answer::Accepted { block: bytes_of(&hash), is_best: imported.is_new_best };
            },
            Ok(other) => tracing::warn!(target: "weir", %number, result = ?other, "our own block was not imported"),
            Err(error) => tracing::warn!(target: "weir", %number, %error, "our own block was not imported"),
        }
        Answer::Refused
    }
}

/// Takes the template of a job, if it is still there.
fn take<Block: BlockT>(templates: &mut Vec<Template<Block>>, job: u64) -> Option<Template<Block>> {
    let position = templates.iter().position(|template| template.id == job)?;
    Some(templates.remove(position))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_it_has_caught_up_nothing_stops_a_miner() {
        let patience = Duration::from_secs(3_600);
        let mut first = FirstCatchUp::new();
        assert!(first.is_over(false, patience), "alone, it mines at once");
        assert!(!first.is_over(true, patience), "a heavier chain is fetched first");
        assert!(first.is_over(false, patience));
        assert!(first.is_over(true, patience), "claims no longer stop it");
    }

    #[test]
    fn who_was_alone_for_twenty_block_times_has_nothing_to_catch_up_with() {
        let mut first = FirstCatchUp::new();
        assert!(first.is_over(false, Duration::ZERO));
        assert!(first.is_over(true, Duration::ZERO));
    }
}
