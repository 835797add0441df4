//! Import of generated blocks into a new database, as a node that catches up does it: with verification ahead, without, and by the
//! SDK's own queue for proof of work, in turns on the same blocks; and where the time goes.
#![allow(missing_docs)]

mod stock;

use sc_consensus::{BasicQueue, BlockImportError, BlockImportStatus, ImportQueue, IncomingBlock, Link};
use sp_consensus::BlockOrigin;
use sp_keyring::Sr25519Keyring::{Alice, Bob};
use std::{
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    task::Poll,
    time::Instant,
};
use substrate_prometheus_endpoint::Registry;
use weir_bench::{median, Figures, Goal};
use weir_consensus::{
    sync::parallel::Rayon,
    sync::verify_ahead::{Ahead, Queue},
    Metrics,
};
use weir_consensus_testing::{Chain, Options, Sealed};
use weir_primitives::Hash;
use weir_runtime::opaque::Block;

const BLOCKS: usize = 5_000;
const TRANSFERS: u32 = 20;
/// After how many blocks it is the next way's turn: so soon that the machine is the same to all.
const IN_TURN: usize = 250;
/// How many blocks come in one call, as from the network.
const AT_ONCE: usize = 128;
/// So slow that the difficulty stays at its floor.
const MILLISECONDS_APART: u64 = 61_000;

/// How blocks are imported.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// As a node does: headers and signatures of extrinsics are verified ahead, while the blocks before are executed.
    Ahead,
    /// By our verifier and import alone.
    OneByOne,
    /// The same after all signatures of extrinsics were verified: what is left is what verification ahead cannot speed up.
    SignaturesDone,
    /// By the SDK's queue.
    Stock,
}

fn first_timestamp() -> u64 {
    weir_consensus::clock::now() - (BLOCKS as u64 + 60) * MILLISECONDS_APART
}

/// Blocks with some transfers each, on a chain that begins with this timestamp.
fn generate(transfers: u32, first_timestamp: u64) -> Vec<Sealed> {
    let folder = tempfile::tempdir().expect("there is room for a database");
    let chain = Chain::with(Options {
        folder: Some(folder.path()),
        first_timestamp: Some(first_timestamp),
        ..Options::default()
    });
    let mut parent = chain.genesis();
    let mut nonce = 0;
    (0..BLOCKS)
        .map(|index| {
            let transfers = (0..transfers)
                .map(|_| {
                    nonce += 1;
                    chain.transfer(Alice, nonce - 1, Bob)
                })
                .collect();
            let after = if index == 0 { 0 } else { MILLISECONDS_APART };
            let block = chain.block_of(parent, Bob, after, transfers);
            assert!(chain.import(&block).is_ok(), "honest blocks are imported");
            parent = block.hash();
            block
        })
        .collect()
}

/// Counts what was imported.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Link<Block> for Counter {
    fn blocks_processed(
        &self,
        imported: usize,
        count: usize,
        _: Vec<(Result<BlockImportStatus<u32>, BlockImportError>, Hash)>,
    ) {
        assert_eq!(imported, count, "honest blocks are imported");
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}

/// Something that is done with blocks.
type Step = Box<dyn FnMut(&[Sealed])>;

/// A chain that grows in one way.
struct Lane {
    chain: Chain,
    metrics: Metrics,
    /// Verifies the signatures of blocks before they are imported, where that is not to be timed.
    prepare: Step,
    import: Step,
    /// Seconds of each turn.
    turns: Vec<f64>,
    _folder: tempfile::TempDir,
}

impl Lane {
    fn new(way: Way, first_timestamp: u64) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a database");
        let metrics = Metrics::register(&Registry::new()).expect("nothing is registered yet");
        let chain = Chain::with(Options {
            folder: Some(folder.path()),
            first_timestamp: Some(first_timestamp),
            metrics: Some(metrics.clone()),
            ..Options::default()
        });
        let spawner = sp_core::testing::TaskExecutor::new();
        let strategy = Rayon::new(0).expect("threads can be started");
        let extrinsics = chain.extrinsic_verifier(strategy.clone());
        let mut prepare: Step = Box::new(|_| ());
        let import: Step = match way {
            Way::Stock => {
                let mut queue = stock::queue(&chain, &spawner);
                Box::new(move |blocks| drive(&mut queue, blocks))
            },
            Way::OneByOne | Way::SignaturesDone => {
                if way == Way::SignaturesDone {
                    prepare = Box::new(move |blocks| {
                        let incoming: Vec<_> = blocks.iter().map(|block| block.incoming(None)).collect();
                        extrinsics.verify(&incoming.iter().collect::<Vec<_>>());
                    });
                }
                let mut queue = executing(&chain, &spawner);
                Box::new(move |blocks| drive(&mut queue, blocks))
            },
            Way::Ahead => {
                let ahead = Ahead {
                    strategy,
                    our_best: chain.our_best(),
                    verified_headers: chain.verified_headers.clone(),
                    signatures: Box::new(move |blocks: &[&IncomingBlock<Block>]| extrinsics.verify(blocks)),
                    metrics: Some(metrics.clone()),
                };
                let mut queue = Queue::new(executing(&chain, &spawner), ahead, &spawner);
                Box::new(move |blocks| drive(&mut queue, blocks))
            },
        };
        Self { chain, metrics, prepare, import, turns: Vec::new(), _folder: folder }
    }

    fn take_turn(&mut self, blocks: &[Sealed]) {
        (self.prepare)(blocks);
        let begun = Instant::now();
        (self.import)(blocks);
        self.turns.push(begun.elapsed().as_secs_f64());
        assert_eq!(self.chain.best(), blocks.last().expect("there are blocks").hash());
    }

    /// Microseconds for each block.
    fn each(&self, seconds: f64) -> f64 {
        seconds / BLOCKS as f64 * 1e6
    }

    fn total(&self) -> f64 {
        self.turns.iter().sum()
    }

    fn executing(&self) -> f64 {
        self.metrics.execution_seconds.get_sample_sum()
    }
}

/// How many times as long one lane takes as another: the median over the turns.
fn ratio(of: &Lane, to: &Lane) -> f64 {
    median(of.turns.iter().zip(&to.turns).map(|(of, to)| of / to).collect())
}

/// The queue that executes, with our verifier and import.
fn executing(chain: &Chain, spawner: &impl sp_core::traits::SpawnEssentialNamed) -> BasicQueue<Block> {
    BasicQueue::new(chain.verifier.clone(), Box::new(chain.import_handle()), None, spawner, None)
}

fn drive(queue: &mut impl ImportQueue<Block>, blocks: &[Sealed]) {
    for call in blocks.chunks(AT_ONCE) {
        let incoming = call.iter().map(|block| block.incoming(None)).collect();
        queue.service_ref().import_blocks(BlockOrigin::NetworkInitialSync, incoming);
    }
    let counter = Counter::default();
    tokio::runtime::Handle::current().block_on(futures::future::poll_fn(|cx| {
        queue.poll_actions(cx, &counter);
        if counter.0.load(Ordering::Relaxed) < blocks.len() {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }));
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let _inside = runtime.enter();
    // As a node has one: without, each call of a host function pays for a span that nobody wanted.
    sc_cli::LoggerBuilder::new("warn").init().expect("there is no other logger");
    let mut figures = Figures::from_arguments();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    figures.print("import/threads", threads as f64, "threads", Goal::None);
    for (name, transfers) in [("empty", 0), ("20-transfers", TRANSFERS)] {
        eprintln!("generating {BLOCKS} blocks with {transfers} transfers each");
        let first = first_timestamp();
        let blocks = generate(transfers, first);
        let mut lanes = [Way::Ahead, Way::Stock, Way::OneByOne, Way::SignaturesDone].map(|way| Lane::new(way, first));
        for (turn, blocks) in blocks.chunks(IN_TURN).enumerate() {
            eprintln!("importing them in turns of {IN_TURN}: {} of {}", turn + 1, BLOCKS / IN_TURN);
            for place in 0..lanes.len() {
                // Nobody always comes after the same one.
                let index = (place + turn) % lanes.len();
                lanes[index].take_turn(blocks);
            }
        }
        let [ahead, stock, alone, done] = &lanes;
        for (way, lane) in [("ahead", ahead), ("one-by-one", alone), ("stock", stock)] {
            figures.print(&format!("import/{name}/{way}"), BLOCKS as f64 / lane.total(), "blocks/s", Goal::None);
        }
        let goal = if transfers > 0 { Goal::AtLeast(1.2) } else { Goal::None };
        figures.print(&format!("import/{name}/ahead-against-stock"), ratio(stock, ahead), "times", goal);
        // Without transactions, verification is a small part of an import: what can be gained is little, and nothing may be lost.
        let goal = Goal::AtLeast(if transfers > 0 { 1.05 } else { 0.97 });
        figures.print(&format!("import/{name}/ahead-against-one-by-one"), ratio(alone, ahead), "times", goal);
        if transfers > 0 {
            let signatures = blocks.iter().map(|block| block.body.len() - 1).sum::<usize>();
            let found = ahead.chain.signatures.found() as f64 / signatures as f64;
            figures.print(&format!("import/{name}/signatures-found"), found, "of all", Goal::AtLeast(0.99));
            // The limit of what verification ahead can gain, on however many processors.
            let share = 1.0 - done.executing() / alone.executing();
            figures.print(&format!("import/{name}/signatures"), share, "of execution", Goal::None);
            figures.print(&format!("import/{name}/limit-against-one-by-one"), ratio(alone, done), "times", Goal::None);
            figures.print(&format!("import/{name}/limit-against-stock"), ratio(stock, done), "times", Goal::None);
        }

        for (way, lane) in [("ahead", ahead), ("one-by-one", alone)] {
            let mut part = |part: &str, seconds: f64| {
                figures.print(&format!("import/{name}/{way}/{part}"), lane.each(seconds), "us/block", Goal::None);
            };
            let importing = lane.metrics.import_seconds.get_sample_sum();
            part("total", lane.total());
            part("headers-ahead-beside-it", lane.metrics.verification_seconds.get_sample_sum());
            part("execution", lane.executing());
            part("writing-and-weighing", importing - lane.executing());
            part("checks-and-queues", lane.total() - importing);
        }
    }
    figures.finish()
}
