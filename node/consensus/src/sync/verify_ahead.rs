//! An import queue that checks whole batches ahead, on all processors.
//!
//! Blocks pass through in the order in which they came. Before they are handed on to the queue that executes them, one
//! after the other, the context-free stage runs over all that has come so far; its verdicts wait in [`Verdicts`] for the
//! verifier. While one batch is executed, the next is checked. Nothing here calls the runtime.

use crate::{
    header::rules,
    sync::parallel::Strategy,
    sync::verified_headers::{Verdicts, MOST_VERDICTS},
    Metrics,
};
use codec::Encode;
use futures::{channel::mpsc, task::AtomicWaker, StreamExt};
use parking_lot::Mutex;
use sc_consensus::{
    import_queue::{ImportQueueService, JustificationImportResult, RuntimeOrigin},
    BlockImportError, BlockImportStatus, ImportQueue, IncomingBlock, Link,
};
use sp_consensus::BlockOrigin;
use sp_runtime::{
    traits::{Block as BlockT, NumberFor},
    Justifications,
};
use std::{
    collections::VecDeque,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
    task::{Context, Poll},
    time::Instant,
};
use tokio::sync::Notify;
use weir_primitives::parameters::Consensus;

/// How many blocks are checked at once, if as many have come. More would only delay the first of them.
const GATHER_BLOCKS: usize = 1 << 10;
/// How many checked blocks may wait for execution before no more are checked. Their verdicts must fit the cache.
const AHEAD_BLOCKS: usize = 1 << 12;
/// How many bytes of them, at the most, before the next batch is handed on.
const AHEAD_BYTES: usize = 64 << 20;
/// How many blocks may wait altogether. Those that come then are refused, and may be sent again.
const MOST_BLOCKS: usize = MOST_VERDICTS as usize;
/// How many bytes of blocks from the network may wait altogether.
const MOST_BYTES: usize = 256 << 20;

type ImportResult<B> = Result<BlockImportStatus<NumberFor<B>>, BlockImportError>;

/// Blocks that came in one call. They stay together: when one of them fails, those behind it are left out.
struct Call<B: BlockT> {
    origin: BlockOrigin,
    blocks: Vec<IncomingBlock<B>>,
    bytes: usize,
}

/// What the parts of the queue know of each other.
struct Shared<B: BlockT> {
    /// Blocks, and bytes of them, that came and are not executed.
    waiting_blocks: AtomicUsize,
    waiting_bytes: AtomicUsize,
    /// The calls that were handed on and are not executed, and what they sum up to. The inner queue answers each of them with
    /// one result, in their order.
    ahead: Mutex<HandedOn>,
    executed: Notify,
    /// Blocks that were refused because too many wait, for whoever asks for results next.
    refused: Mutex<Vec<B::Hash>>,
    refusing: AtomicWaker,
}

/// Blocks and bytes of calls.
#[derive(Default)]
struct HandedOn {
    calls: VecDeque<(usize, usize)>,
    blocks: usize,
    bytes: usize,
}

impl HandedOn {
    fn push(&mut self, blocks: usize, bytes: usize) {
        self.calls.push_back((blocks, bytes));
        self.blocks = self.blocks.saturating_add(blocks);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Takes the first call out, and returns its bytes.
    fn pop(&mut self) -> usize {
        let (blocks, bytes) = self.calls.pop_front().unwrap_or_default();
        self.blocks = self.blocks.saturating_sub(blocks);
        self.bytes = self.bytes.saturating_sub(bytes);
        bytes
    }

    fn is_full(&self) -> bool {
        self.blocks > AHEAD_BLOCKS || self.bytes > AHEAD_BYTES
    }
}

/// The queue, around the one that executes.
pub struct Queue<B: BlockT, Q: ImportQueue<B>> {
    inner: Q,
    service: Service<B>,
    shared: Arc<Shared<B>>,
}

/// What the verification needs.
pub struct Ahead<S, H> {
    /// On which processors.
    pub strategy: S,
    /// The rules of the chain.
    pub rules: Consensus,
    /// Where the verifier looks.
    pub verdicts: Verdicts<H>,
    /// For Prometheus.
    pub metrics: Option<Metrics>,
}

impl<B: BlockT, Q: ImportQueue<B>> Queue<B, Q> {
    /// Around a queue whose verifier uses the same verdicts.
    pub fn new<S: Strategy>(
        inner: Q,
        ahead: Ahead<S, B::Hash>,
        spawner: &impl sp_core::traits::SpawnEssentialNamed,
    ) -> Self {
        let (sender, receiver) = mpsc::unbounded();
        let shared = Arc::new(Shared {
            waiting_blocks: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
            ahead: Mutex::default(),
            executed: Notify::new(),
            refused: Mutex::default(),
            refusing: AtomicWaker::new(),
        });
        let service = Service { sender, inner: Arc::new(Mutex::new(inner.service())), shared: shared.clone() };
        let work = verify(receiver, inner.service(), ahead, shared.clone());
        spawner.spawn_essential_blocking("weir-verify-ahead", Some("block-import"), Box::pin(work));
        Self { inner, service, shared }
    }
}

/// Checks what comes, and hands it on.
async fn verify<B: BlockT, S: Strategy>(
    mut calls: mpsc::UnboundedReceiver<Call<B>>,
    mut inner: Box<dyn ImportQueueService<B>>,
    ahead: Ahead<S, B::Hash>,
    shared: Arc<Shared<B>>,
) {
    while let Some(first) = calls.next().await {
        let mut gathered = first.blocks.len();
        let mut batch = vec![first];
        while gathered < GATHER_BLOCKS {
            let Ok(call) = calls.try_recv() else { break };
            gathered = gathered.saturating_add(call.blocks.len());
            batch.push(call);
        }

        let begun = Instant::now();
        let headers: Vec<B::Header> =
            batch.iter().flat_map(|call| &call.blocks).filter_map(|block| block.header.clone()).collect();
        let verdicts = rules::context_free_all(&ahead.strategy, &headers, &ahead.rules);
        let hashes = headers.iter().map(sp_runtime::traits::Header::hash);
        ahead.verdicts.insert(hashes.zip(verdicts.into_iter().map(|verdict| verdict.map(|_| ()))));
        if let Some(metrics) = &ahead.metrics {
            metrics.batch_blocks.observe(headers.len() as f64);
            let each = begun.elapsed().as_secs_f64() / headers.len().max(1) as f64;
            headers.iter().for_each(|_| metrics.verification_seconds.observe(each));
        }

        for call in batch {
            // A call alone may be larger than all that may be ahead.
            while shared.ahead.lock().is_full() {
                shared.executed.notified().await;
            }
            shared.ahead.lock().push(call.blocks.len(), call.bytes);
            inner.import_blocks(call.origin, call.blocks);
        }
    }
}

/// Takes blocks in.
struct Service<B: BlockT> {
    sender: mpsc::UnboundedSender<Call<B>>,
    inner: Arc<Mutex<Box<dyn ImportQueueService<B>>>>,
    shared: Arc<Shared<B>>,
}

impl<B: BlockT> Clone for Service<B> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), inner: self.inner.clone(), shared: self.shared.clone() }
    }
}

impl<B: BlockT> ImportQueueService<B> for Service<B> {
    fn import_blocks(&mut self, origin: BlockOrigin, blocks: Vec<IncomingBlock<B>>) {
        if blocks.is_empty() {
            return;
        }
        let count = blocks.len();
        // What is read from a file is bounded by who reads it.
        let bytes = if origin == BlockOrigin::File { 0 } else { blocks.iter().map(size).sum() };
        let waiting = self.shared.waiting_blocks.fetch_add(count, Ordering::AcqRel);
        let waiting_bytes = self.shared.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        // A call that is alone too large still passes when nothing else waits.
        let is_full = waiting > 0 && waiting.saturating_add(count) > MOST_BLOCKS
            || waiting_bytes > 0 && waiting_bytes.saturating_add(bytes) > MOST_BYTES;
        if is_full {
            log::debug!(target: "weir", "{count} blocks are refused: {waiting} wait for import already");
            self.shared.waiting_blocks.fetch_sub(count, Ordering::AcqRel);
            self.shared.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
            self.shared.refused.lock().extend(blocks.into_iter().map(|block| block.hash));
            self.shared.refusing.wake();
            return;
        }
        if self.sender.unbounded_send(Call { origin, blocks, bytes }).is_err() {
            log::debug!(target: "weir", "{count} blocks are not imported: the node stops");
        }
    }

    fn import_justifications(
        &mut self,
        who: RuntimeOrigin,
        hash: B::Hash,
        number: NumberFor<B>,
        justifications: Justifications,
    ) {
        self.inner.lock().import_justifications(who, hash, number, justifications);
    }
}

/// About how many bytes a block takes.
fn size<B: BlockT>(block: &IncomingBlock<B>) -> usize {
    let header = block.header.as_ref().map_or(0, Encode::encoded_size);
    let body = block.body.iter().flatten().map(Encode::encoded_size).sum::<usize>();
    header.saturating_add(body)
}

/// Counts what was executed, and passes it on.
struct Counting<'a, B: BlockT> {
    shared: &'a Shared<B>,
    link: &'a dyn Link<B>,
}

impl<B: BlockT> Link<B> for Counting<'_, B> {
    fn blocks_processed(&self, imported: usize, count: usize, results: Vec<(ImportResult<B>, B::Hash)>) {
        self.shared.waiting_blocks.fetch_sub(count, Ordering::AcqRel);
        let bytes = self.shared.ahead.lock().pop();
        self.shared.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.shared.executed.notify_one();
        self.link.blocks_processed(imported, count, results);
    }

    fn justification_imported(
        &self,
        who: RuntimeOrigin,
        hash: &B::Hash,
        number: NumberFor<B>,
        result: JustificationImportResult,
    ) {
        self.link.justification_imported(who, hash, number, result);
    }

    fn request_justification(&self, hash: &B::Hash, number: NumberFor<B>) {
        self.link.request_justification(hash, number);
    }
}

impl<B: BlockT> Shared<B> {
    /// Tells of the blocks that were refused, and goes on doing so.
    fn poll_refused(&self, cx: &mut Context<'_>, link: &dyn Link<B>) -> Poll<()> {
        self.refusing.register(cx.waker());
        let refused = std::mem::take(&mut *self.refused.lock());
        if !refused.is_empty() {
            // The first is an error, at which syncing forgets that it counted on all of them, and asks again.
            let full = || BlockImportError::Other(sp_consensus::Error::ClientImport("too many blocks wait".into()));
            let results: Vec<_> = refused
                .into_iter()
                .enumerate()
                .map(|(index, hash)| (Err(if index == 0 { full() } else { BlockImportError::Cancelled }), hash))
                .collect();
            link.blocks_processed(0, results.len(), results);
        }
        Poll::Pending
    }
}

#[async_trait::async_trait]
impl<B: BlockT, Q: ImportQueue<B>> ImportQueue<B> for Queue<B, Q> {
    fn service(&self) -> Box<dyn ImportQueueService<B>> {
        Box::new(self.service.clone())
    }

    fn service_ref(&mut self) -> &mut dyn ImportQueueService<B> {
        &mut self.service
    }

    fn poll_actions(&mut self, cx: &mut Context<'_>, link: &dyn Link<B>) {
        let _ = self.shared.poll_refused(cx, link);
        self.inner.poll_actions(cx, &Counting { shared: &self.shared, link });
    }

    async fn run(self, link: &dyn Link<B>) {
        let Self { inner, service: _service, shared } = self;
        let counting = Counting { shared: &shared, link };
        let refused = futures::future::poll_fn(|cx| shared.poll_refused(cx, link));
        futures::future::select(inner.run(&counting), refused).await;
    }
}
