//! An import queue that checks whole batches ahead, on all processors, and lets blocks that are not due wait.
//!
//! Blocks pass through in the order in which they came. Before they are handed on to the queue that executes them, one
//! after the other, the context-free stage runs over all that has come so far; its results wait in [`VerifiedHeaders`] for the
//! verifier. While one batch is executed, the next is checked. Blocks that are dated too far ahead of our clock step aside, into
//! [`Waiting`], until they are due. Nothing here executes a block.

use crate::{
    clock,
    header::{
        our_best::OurBest,
        rules::{self, HeaderRules},
    },
    sync::{
        parallel::Strategy,
        verified_headers::{VerifiedHeaders, MOST_HEADERS},
        waiting::Waiting,
    },
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
    traits::{Block as BlockT, Header, NumberFor},
    Justifications,
};
use std::{
    collections::VecDeque,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::sync::Notify;
use weir_primitives::consensus::dates::Dates;

/// How many blocks are checked at once, if as many have come. More would only delay the first of them.
const GATHER_BLOCKS: usize = 1 << 10;
/// How many checked blocks may wait for execution before no more are checked. Their results must fit the cache.
const AHEAD_BLOCKS: usize = 1 << 12;
/// How many bytes of them, at the most, before the next batch is handed on.
const AHEAD_BYTES: usize = 64 << 20;
/// How many blocks may wait altogether. Those that come then are refused, and may be sent again.
const MOST_BLOCKS: usize = MOST_HEADERS as usize;
/// How many bytes of blocks from the network may wait altogether.
const MOST_BYTES: usize = 256 << 20;
/// How often the clock is looked at while a block waits: it may be set.
const LOOK_AT_CLOCK_EVERY: Duration = Duration::from_secs(1);

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
    /// Results of blocks that were not handed on, for whoever asks for results next.
    answers: Mutex<Vec<(ImportResult<B>, B::Hash)>>,
    answering: AtomicWaker,
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

/// Says what our best block is; none while its state cannot be asked.
pub type AskOurBest = Arc<dyn Fn() -> Option<OurBest> + Send + Sync>;

/// What the verification needs.
pub struct Ahead<S, H> {
    /// On which processors.
    pub strategy: S,
    /// Whose rules stand in for those of parents that are not there yet.
    pub our_best: AskOurBest,
    /// Where the verifier looks.
    pub verified_headers: VerifiedHeaders<H>,
    /// For Prometheus.
    pub metrics: Option<Metrics>,
}

impl<B: BlockT, Q: ImportQueue<B>> Queue<B, Q> {
    /// Around a queue whose verifier uses the same verified headers.
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
            answers: Mutex::default(),
            answering: AtomicWaker::new(),
        });
        let service = Service { sender, inner: Arc::new(Mutex::new(inner.service())), shared: shared.clone() };
        let worker = Worker { inner: inner.service(), ahead, shared: shared.clone(), waiting: Waiting::default() };
        spawner.spawn_essential_blocking("weir-verify-ahead", Some("block-import"), Box::pin(worker.run(receiver)));
        Self { inner, service, shared }
    }
}

/// Checks what comes, and hands it on.
struct Worker<B: BlockT, S> {
    inner: Box<dyn ImportQueueService<B>>,
    ahead: Ahead<S, B::Hash>,
    shared: Arc<Shared<B>>,
    waiting: Waiting<Call<B>>,
}

impl<B: BlockT, S: Strategy> Worker<B, S> {
    async fn run(mut self, mut calls: mpsc::UnboundedReceiver<Call<B>>) {
        loop {
            let due_in = self.due_in();
            let first = tokio::select! {
                call = calls.next() => match call {
                    Some(call) => Some(call),
                    None => return,
                },
                () = sleep(due_in), if due_in.is_some() => None,
            };
            for call in self.waiting.take_due(clock::now()) {
                self.hand_on(call).await;
            }
            let Some(first) = first else { continue };
            let mut gathered = first.blocks.len();
            let mut batch = vec![first];
            while gathered < GATHER_BLOCKS {
                let Ok(call) = calls.try_recv() else { break };
                gathered = gathered.saturating_add(call.blocks.len());
                batch.push(call);
            }
            self.check(&batch);
            for call in batch {
                if let Some(call) = self.set_aside(call) {
                    self.hand_on(call).await;
                }
            }
        }
    }

    /// How long it is until the next block that waits is due, or until the clock is looked at again.
    fn due_in(&self) -> Option<Duration> {
        let due = self.waiting.next_due()?;
        Some(Duration::from_millis(due.saturating_sub(clock::now())).min(LOOK_AT_CLOCK_EVERY))
    }

    /// Runs the context-free stage over a batch.
    fn check(&self, batch: &[Call<B>]) {
        let Some(best) = (self.ahead.our_best)() else { return };
        let begun = Instant::now();
        let headers: Vec<B::Header> =
            batch.iter().flat_map(|call| &call.blocks).filter_map(|block| block.header.clone()).collect();
        let by = (&best.rules).into();
        let results = rules::context_free_all(&self.ahead.strategy, &headers, by);
        let hashes = headers.iter().map(Header::hash);
        self.ahead.verified_headers.insert(by, hashes.zip(results.into_iter().map(|result| result.map(|_| ()))));
        if let Some(metrics) = &self.ahead.metrics {
            metrics.batch_blocks.observe(headers.len() as f64);
            let each = begun.elapsed().as_secs_f64() / headers.len().max(1) as f64;
            headers.iter().for_each(|_| metrics.verification_seconds.observe(each));
        }
    }

    /// Lets the blocks of a call that are not due wait, drops those that are not worth waiting for, and returns the others. A
    /// block descends from those before it in its call, and its date is later.
    ///
    /// Only what has work behind it may wait, or the room could be filled for nothing. Everything else is handed on, and
    /// rejected.
    fn set_aside(&mut self, mut call: Call<B>) -> Option<Call<B>> {
        let Some(best) = (self.ahead.our_best)() else { return Some(call) };
        let (dates, now) = (best.rules.dates(), clock::now());
        let by = HeaderRules::from(&best.rules);
        let may_wait = |block: &IncomingBlock<B>| {
            let Some(header) = &block.header else { return false };
            let Some(claims) = rules::claims_of(header).filter(|claims| !dates.is_due(claims.timestamp, now)) else {
                return false;
            };
            rules::plausible(&claims, rules::height(header), best.anchor, &best.rules).is_ok()
                && self.ahead.verified_headers.get(&header.hash(), by) == Some(Ok(()))
        };
        let Some(first) = call.blocks.iter().position(may_wait) else { return Some(call) };
        for block in call.blocks.split_off(first) {
            let bytes = size(&block);
            call.bytes = call.bytes.saturating_sub(bytes);
            self.let_wait(Call { origin: call.origin, blocks: vec![block], bytes }, dates);
        }
        if let Some(metrics) = &self.ahead.metrics {
            metrics.waiting_blocks.set(self.waiting.len() as u64);
        }
        (!call.blocks.is_empty()).then_some(call)
    }

    /// Lets a block wait, if it is worth that.
    fn let_wait(&mut self, call: Call<B>, dates: Dates) {
        let date = call.blocks.first().and_then(date_of).unwrap_or(u64::MAX);
        let left_out = if dates.is_worth_waiting_for(date, clock::now()) {
            self.waiting.insert(dates.due_at(date), date, call)
        } else {
            Some(call)
        };
        if let Some(call) = left_out {
            // No error that syncing would punish or begin anew for: the block may come again.
            self.shared.answer(call, |_| BlockImportError::Cancelled);
        }
    }

    async fn hand_on(&mut self, call: Call<B>) {
        // A call alone may be larger than all that may be ahead.
        while self.shared.ahead.lock().is_full() {
            self.shared.executed.notified().await;
        }
        self.shared.ahead.lock().push(call.blocks.len(), call.bytes);
        self.inner.import_blocks(call.origin, call.blocks);
    }
}

async fn sleep(time: Option<Duration>) {
    if let Some(time) = time {
        tokio::time::sleep(time).await;
    }
}

/// The date of a block, as its header claims it.
fn date_of<B: BlockT>(block: &IncomingBlock<B>) -> Option<u64> {
    block.header.as_ref().and_then(rules::claims_of).map(|claims| claims.timestamp)
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
        let call = Call { origin, blocks, bytes };
        if is_full {
            tracing::debug!(target: "weir", count, waiting, "blocks are refused: too many wait for import already");
            // The first is an error, at which syncing forgets that it counted on all of them, and asks again.
            let full = || BlockImportError::Other(sp_consensus::Error::ClientImport("too many blocks wait".into()));
            self.shared.answer(call, |index| if index == 0 { full() } else { BlockImportError::Cancelled });
            return;
        }
        if self.sender.unbounded_send(call).is_err() {
            tracing::debug!(target: "weir", count, "blocks are not imported: the node stops");
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
    /// Answers a call that is not handed on.
    fn answer(&self, call: Call<B>, error: impl Fn(usize) -> BlockImportError) {
        self.waiting_blocks.fetch_sub(call.blocks.len(), Ordering::AcqRel);
        self.waiting_bytes.fetch_sub(call.bytes, Ordering::AcqRel);
        let hashes = call.blocks.into_iter().map(|block| block.hash).enumerate();
        self.answers.lock().extend(hashes.map(|(index, hash)| (Err(error(index)), hash)));
        self.answering.wake();
    }

    /// Tells of the blocks that were not handed on, and goes on doing so.
    fn poll_answers(&self, cx: &mut Context<'_>, link: &dyn Link<B>) -> Poll<()> {
        self.answering.register(cx.waker());
        // Each alone: syncing looks at the results of one call only up to the first error.
        for answer in std::mem::take(&mut *self.answers.lock()) {
            link.blocks_processed(0, 1, vec![answer]);
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
        let _ = self.shared.poll_answers(cx, link);
        self.inner.poll_actions(cx, &Counting { shared: &self.shared, link });
    }

    async fn run(self, link: &dyn Link<B>) {
        let Self { inner, service: _service, shared } = self;
        let counting = Counting { shared: &shared, link };
        let answers = futures::future::poll_fn(|cx| shared.poll_answers(cx, link));
        futures::future::select(inner.run(&counting), answers).await;
    }
}
