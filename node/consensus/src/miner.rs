//! Makes blocks: one task that keeps a template ready, and threads that search for its nonce.
//!
//! The task builds a template on the best block, and a new one when there is another best block, when transactions arrive,
//! and before its timestamp gets old. It signs each template before the search begins. The threads take what they search
//! from a [`Board`]; a template that is replaced there ends the search for the old one.

use crate::{clock, header::verifier::CLAIMS, import::weight, Metrics};
use futures::StreamExt;
use parking_lot::Mutex;
use sc_client_api::{AuxStore, BlockchainEvents};
use sc_consensus::{BlockImport, BlockImportParams, BoxBlockImport, ImportResult, StateAction, StorageChanges};
use sc_transaction_pool_api::TransactionPool;
use sp_api::ProvideRuntimeApi;
use sp_blockchain::HeaderBackend;
use sp_consensus::{BlockOrigin, Environment, Proposal, ProposeArgs, Proposer, SyncOracle};
use sp_core::{crypto::KeyTypeId, sr25519, U256};
use sp_inherents::InherentDataProvider;
use sp_keystore::KeystorePtr;
use sp_runtime::{
    generic::Digest,
    traits::{Block as BlockT, Header},
    Perbill,
};
use std::{
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        Arc,
    },
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use weir_primitives::{
    consensus::{author_payload, seal_payload, Difficulty, PreDigest, Seal},
    parameters::Consensus,
    runtime_api::ConsensusApi,
    AccountId,
};

/// The type of author keys in the keystore.
pub const KEY_TYPE: KeyTypeId = KeyTypeId(*b"weir");

/// How many nonces a thread searches before it looks whether the template is still the right one: half a millisecond's worth
/// with eight lanes, five with one.
const NONCES_AT_ONCE: u64 = 1 << 14;
/// How long a thread waits for a template when there is none.
const IDLE: Duration = Duration::from_millis(50);
/// Transactions that arrive within this time make one new template together.
const GATHER_TRANSACTIONS: Duration = Duration::from_millis(200);

/// What a node mines with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who gets the rewards, and whose key signs.
    pub author: AccountId,
    /// How many threads search.
    pub threads: usize,
    /// For which part of the time they do, in percent: 1 to 100.
    pub intensity_percent: u8,
}

/// What the miner is doing, for RPC and metrics.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Hashes per second over the last seconds.
    pub hashes_per_second: f64,
    /// The base difficulty of the template.
    pub base: U256,
    /// What the template has to reach.
    pub required: U256,
    /// The credit that the template spends.
    pub credit: Perbill,
    /// Blocks made since the start.
    pub authored: u64,
}

/// What the threads search, and what they tell.
#[derive(Default)]
pub struct Board {
    job: Mutex<Option<Job>>,
    /// The number of the job. Threads stop when it is no longer theirs.
    current: AtomicU64,
    hashes: AtomicU64,
    stopped: AtomicBool,
    status: Mutex<Status>,
}

#[derive(Clone, Copy)]
struct Job {
    id: u64,
    search: weir_pow::Search,
}

impl Board {
    /// What the miner is doing.
    pub fn status(&self) -> Status {
        self.status.lock().clone()
    }

    fn post(&self, job: Option<Job>) {
        let mut posted = self.job.lock();
        // A number that no job has, if there is none.
        self.current.store(job.map_or(0, |job| job.id), Ordering::Release);
        *posted = job;
    }

    fn job(&self) -> Option<Job> {
        *self.job.lock()
    }
}

/// A nonce that was found.
struct Found {
    job: u64,
    nonce: u64,
}

fn search(board: &Board, found: &mpsc::UnboundedSender<Found>, first: u64, intensity_percent: u8) {
    if let Err(error) = weir_pow::priority::lower_this_thread() {
        log::warn!(target: "weir", "mining runs at normal priority, since the system does not let it be lowered: {error}");
    }
    let mut nonce = first;
    while !board.stopped.load(Ordering::Relaxed) {
        let Some(job) = board.job() else {
            std::thread::sleep(IDLE);
            continue;
        };
        while board.current.load(Ordering::Acquire) == job.id && !board.stopped.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let end = nonce.checked_add(NONCES_AT_ONCE).unwrap_or_else(|| {
                nonce = 0;
                NONCES_AT_ONCE
            });
            let hit = job.search.find(nonce..end);
            let searched = hit.map_or(end, |hit| hit.saturating_add(1)).saturating_sub(nonce);
            board.hashes.fetch_add(searched, Ordering::Relaxed);
            // Each thread has a part of the 2^64 nonces of its own, and begins at zero again behind the last one.
            nonce = nonce.checked_add(searched).unwrap_or(0);
            if let Some(hit) = hit {
                let _ = found.send(Found { job: job.id, nonce: hit });
            }
            rest(begun.elapsed(), intensity_percent);
        }
    }
}

/// Sleeps long enough that work takes the given part of the time.
fn rest(worked: Duration, intensity_percent: u8) {
    let intensity = u32::from(intensity_percent.clamp(1, 100));
    let idle = 100u32.saturating_sub(intensity);
    if let Some(rest) = worked.saturating_mul(idle).checked_div(intensity).filter(|rest| !rest.is_zero()) {
        std::thread::sleep(rest);
    }
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
    /// Tells when the node is catching up: then there is nothing to mine on.
    pub oracle: Arc<dyn SyncOracle + Send + Sync>,
    /// Where the author's key is.
    pub keystore: KeystorePtr,
    /// The rules of the chain.
    pub rules: Consensus,
    /// Nothing is mined on a chain that weighs less: it is not the one that others are on.
    pub minimum_weight: U256,
    /// What to mine with.
    pub settings: Settings,
    /// Shared with the threads, and with whoever wants to know.
    pub board: Arc<Board>,
    /// For Prometheus.
    pub metrics: Option<Metrics>,
}

/// A block that wants a nonce.
struct Template<Block: BlockT> {
    id: u64,
    proposal: Proposal<Block>,
    claims: PreDigest,
    signature: sr25519::Signature,
}

/// What came of building one.
enum Built<Block: BlockT> {
    Template(Box<Template<Block>>),
    /// A child of the best block may only come after this time.
    TooEarly(Duration),
    Nothing,
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
        self.0.stopped.store(true, Ordering::Relaxed);
        self.0.post(None);
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
        let random: u64 =
            u64::from_le_bytes(sp_core::H256::random().to_fixed_bytes()[..8].try_into().unwrap_or_default());
        for thread in 0..self.settings.threads {
            let (board, sender) = (self.board.clone(), sender.clone());
            let intensity = self.settings.intensity_percent;
            let first = random.wrapping_add((thread as u64) << 48);
            let spawned = std::thread::Builder::new()
                .name(format!("weir-mining-{thread}"))
                .spawn(move || search(&board, &sender, first, intensity));
            if let Err(error) = spawned {
                log::error!(target: "weir", "mining thread {thread} could not be started: {error}");
            }
        }

        let mut imports = self.client.import_notification_stream();
        let mut transactions = self.pool.import_notification_stream();
        // A timestamp must not get old, since the difficulty follows from it.
        let mut refresh = tokio::time::interval(Duration::from_millis((self.rules.block_time / 2).clamp(250, 2_000)));
        refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut measured = (Instant::now(), 0u64);
        let mut template: Option<Template<Block>> = None;
        // When the parent is old enough for a child, if it was not when one was to be built.
        let mut ready_at = None;
        // When enough transactions had time to arrive, if there are new ones.
        let mut gathered_at = None;
        let mut next_id = 1u64;

        loop {
            let rebuild = tokio::select! {
                import = imports.next() => match import {
                    Some(import) => import.is_new_best,
                    None => return,
                },
                arrived = transactions.next() => match arrived {
                    Some(_) => {
                        gathered_at = gathered_at.or_else(|| after(GATHER_TRANSACTIONS));
                        false
                    },
                    None => return,
                },
                () = sleep_until(gathered_at), if gathered_at.is_some() => true,
                _ = refresh.tick() => {
                    measured = self.measure(measured);
                    true
                },
                () = sleep_until(ready_at), if ready_at.is_some() => true,
                Some(hit) = found.recv() => {
                    match template.take_if(|template| template.id == hit.job) {
                        Some(template) => {
                            self.board.post(None);
                            // What was imported is heard of as every other import is.
                            !self.submit(template, hit.nonce).await
                        },
                        // The template was replaced in the meantime.
                        None => false,
                    }
                },
            };
            if rebuild {
                gathered_at = None;
                let (built, ready) = match self.build(next_id).await {
                    Built::Template(template) => (Some(*template), None),
                    Built::TooEarly(wait) => (None, after(wait)),
                    Built::Nothing => (None, None),
                };
                next_id = next_id.saturating_add(1);
                // What was found while the next one was built must not be lost: its parent may still be the best block.
                let mut is_imported = false;
                while let Ok(hit) = found.try_recv() {
                    if let Some(found) = template.take_if(|template| template.id == hit.job) {
                        is_imported |= self.submit(found, hit.nonce).await;
                    }
                }
                // After an import of our own, which is heard of as every other is, the one just built is stale.
                (template, ready_at) = if is_imported { (None, None) } else { (built, ready) };
                self.post(template.as_ref());
            }
        }
    }

    /// Updates the hash rate, at most once a second.
    fn measure(&self, (since, hashes): (Instant, u64)) -> (Instant, u64) {
        let passed = since.elapsed();
        if passed < Duration::from_secs(1) {
            return (since, hashes);
        }
        let total = self.board.hashes.load(Ordering::Relaxed);
        let rate = total.saturating_sub(hashes) as f64 / passed.as_secs_f64();
        let mut status = self.board.status.lock();
        // Smoothed over about ten seconds.
        let weight = (passed.as_secs_f64() / 10.0).min(1.0);
        status.hashes_per_second = if status.hashes_per_second == 0.0 {
            rate
        } else {
            status.hashes_per_second * (1.0 - weight) + rate * weight
        };
        if let Some(metrics) = &self.metrics {
            metrics.hash_rate.set(status.hashes_per_second);
            metrics.authored.set(status.authored);
        }
        (Instant::now(), total)
    }

    fn post(&self, template: Option<&Template<Block>>) {
        let Some(template) = template else {
            self.board.post(None);
            return;
        };
        let required = Difficulty(template.claims.base).required(template.claims.credit, self.rules.boost);
        let payload = seal_payload(template.proposal.block.header().hash().as_ref(), &template.signature);
        {
            let mut status = self.board.status.lock();
            status.base = template.claims.base;
            status.required = required.0;
            status.credit = template.claims.credit;
        }
        self.board.post(Some(Job {
            id: template.id,
            search: weir_pow::Search::new(weir_pow::preimage(&payload), required.target().to_big_endian()),
        }));
    }

    /// Builds and signs a block on the best one; nothing while the node catches up, or when that fails.
    async fn build(&mut self, id: u64) -> Built<Block> {
        if self.oracle.is_major_syncing() || self.is_too_light() {
            return Built::Nothing;
        }
        self.try_build(id).await.unwrap_or_else(|error| {
            log::warn!(target: "weir", "no block could be built: {error}");
            Built::Nothing
        })
    }

    /// Whether our chain weighs less than the one that others are known to be on.
    fn is_too_light(&self) -> bool {
        !self.minimum_weight.is_zero()
            && weight::of(&*self.client, self.client.info().best_hash)
                .map_or(true, |weight| weight < self.minimum_weight)
    }

    async fn try_build(&mut self, id: u64) -> Result<Built<Block>, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let best = self.client.info().best_hash;
        let Some(parent) = self.client.header(best).map_err(|error| text(&error))? else { return Ok(Built::Nothing) };
        let author = self.settings.author.clone();
        let (next, credit) = {
            let api = self.client.runtime_api();
            let next = api.next_block(best).map_err(|error| text(&error))?.ok_or("the chain has no parameters")?;
            (next, api.spendable_credit(best, author.clone()).map_err(|error| text(&error))?)
        };
        let now = clock::now();
        if now < next.earliest {
            return Ok(Built::TooEarly(Duration::from_millis(next.earliest.saturating_sub(now))));
        }
        let claims = PreDigest { author, base: next.base.0, credit, timestamp: now };

        let inherent_data = sp_timestamp::InherentDataProvider::new(claims.timestamp.into())
            .create_inherent_data()
            .await
            .map_err(|error| text(&error))?;
        let proposer = self.environment.init(&parent).await.map_err(|error| format!("{error:?}"))?;
        let proposal = proposer
            .propose(ProposeArgs {
                inherent_data,
                inherent_digests: Digest { logs: vec![claims.to_item()] },
                max_duration: Duration::from_millis(self.rules.block_time / 4),
                ..Default::default()
            })
            .await
            .map_err(|error| format!("{error:?}"))?;

        let key = sr25519::Public::from_raw(*AsRef::<[u8; 32]>::as_ref(&claims.author));
        let payload = author_payload(proposal.block.header().hash().as_ref());
        let signature = self
            .keystore
            .sr25519_sign(KEY_TYPE, &key, &payload)
            .map_err(|error| text(&error))?
            .ok_or("the author's key is no longer in the keystore")?;
        Ok(Built::Template(Box::new(Template { id, proposal, claims, signature })))
    }

    /// Imports a block that was found, and says whether it is the best one now.
    async fn submit(&self, template: Template<Block>, nonce: u64) -> bool {
        let Template { proposal, claims, signature, .. } = template;
        let (header, body) = proposal.block.deconstruct();
        let number = *header.number();
        let credit = claims.credit;
        let mut block = BlockImportParams::new(BlockOrigin::Own, header);
        block.post_digests.push(Seal { signature, nonce }.to_item());
        block.body = Some(body);
        block.state_action = StateAction::ApplyChanges(StorageChanges::Changes(proposal.storage_changes));
        block.insert_intermediate(CLAIMS, claims);
        let hash = Header::hash(&block.post_header());
        block.post_hash = Some(hash);
        match self.block_import.import_block(block).await {
            Ok(ImportResult::Imported(imported)) => {
                {
                    let mut status = self.board.status.lock();
                    status.authored = status.authored.saturating_add(1);
                }
                log::info!(target: "weir", "mined block {number} ({hash:?}), spending {credit:?} of credit");
                return imported.is_new_best;
            },
            Ok(other) => log::warn!(target: "weir", "our own block {number} was not imported: {other:?}"),
            Err(error) => log::warn!(target: "weir", "our own block {number} was not imported: {error}"),
        }
        false
    }
}
