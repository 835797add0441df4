//! Import of generated blocks into a new database, with verification ahead and without, and where the time goes.
#![allow(missing_docs)]

use sc_consensus::{BasicQueue, BlockImportError, BlockImportStatus, ImportQueue, Link};
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
/// How often each way is measured, in turns.
const ROUNDS: usize = 3;
/// How many blocks come in one call, as from the network.
const AT_ONCE: usize = 128;
/// So slow that the difficulty stays at its floor.
const MILLISECONDS_APART: u64 = 61_000;

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

/// Seconds to import all, and of those the ones spent on verifying ahead, on executing, and on importing altogether.
struct Times {
    total: f64,
    ahead: f64,
    executing: f64,
    importing: f64,
}

fn import(blocks: &[Sealed], first_timestamp: u64, is_ahead: bool) -> Times {
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let _inside = runtime.enter();
    let folder = tempfile::tempdir().expect("there is room for a database");
    let metrics = Metrics::register(&Registry::new()).expect("nothing is registered yet");
    let chain = Chain::with(Options {
        folder: Some(folder.path()),
        first_timestamp: Some(first_timestamp),
        metrics: Some(metrics.clone()),
        ..Options::default()
    });
    let spawner = sp_core::testing::TaskExecutor::new();
    let executing = BasicQueue::new(chain.verifier.clone(), Box::new(chain.import_handle()), None, &spawner, None);
    let begun = Instant::now();
    if is_ahead {
        let ahead = Ahead {
            strategy: Rayon::new(0).expect("threads can be started"),
            our_best: chain.our_best(),
            verified_headers: chain.verified_headers.clone(),
            metrics: Some(metrics.clone()),
        };
        drive(&runtime, Queue::new(executing, ahead, &spawner), blocks);
    } else {
        drive(&runtime, executing, blocks);
    }
    let total = begun.elapsed().as_secs_f64();
    assert_eq!(chain.best(), blocks.last().expect("there are blocks").hash());
    Times {
        total,
        ahead: metrics.verification_seconds.get_sample_sum(),
        executing: metrics.execution_seconds.get_sample_sum(),
        importing: metrics.import_seconds.get_sample_sum(),
    }
}

fn drive(runtime: &tokio::runtime::Runtime, mut queue: impl ImportQueue<Block>, blocks: &[Sealed]) {
    for call in blocks.chunks(AT_ONCE) {
        let incoming = call.iter().map(|block| block.incoming(None)).collect();
        queue.service_ref().import_blocks(BlockOrigin::NetworkInitialSync, incoming);
    }
    let counter = Counter::default();
    runtime.block_on(futures::future::poll_fn(|cx| {
        queue.poll_actions(cx, &counter);
        if counter.0.load(Ordering::Relaxed) < blocks.len() {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }));
}

fn main() -> ExitCode {
    let mut figures = Figures::from_arguments();
    for (name, transfers) in [("empty", 0), ("20-transfers", TRANSFERS)] {
        eprintln!("generating {BLOCKS} blocks with {transfers} transfers each");
        let first = first_timestamp();
        let blocks = generate(transfers, first);
        let (mut ahead, mut alone) = (vec![], vec![]);
        for round in 0..ROUNDS {
            eprintln!("importing them, round {} of {ROUNDS}", round + 1);
            ahead.push(import(&blocks, first, true));
            alone.push(import(&blocks, first, false));
        }
        let rate = |times: &[Times]| median(times.iter().map(|times| BLOCKS as f64 / times.total).collect());
        let gain = median(ahead.iter().zip(&alone).map(|(ahead, alone)| alone.total / ahead.total).collect());
        figures.print(&format!("import/{name}/ahead"), rate(&ahead), "blocks/s", Goal::None);
        figures.print(&format!("import/{name}/one-by-one"), rate(&alone), "blocks/s", Goal::None);
        // Verification is a small part of an import: what can be gained is little, and nothing may be lost.
        figures.print(&format!("import/{name}/ahead-against-one-by-one"), gain, "times", Goal::AtLeast(0.97));

        let each = |part: &dyn Fn(&Times) -> f64, times: &[Times]| {
            median(times.iter().map(|times| part(times) / BLOCKS as f64 * 1e6).collect())
        };
        for (way, times) in [("ahead", &ahead), ("one-by-one", &alone)] {
            let mut part = |part: &str, of: &dyn Fn(&Times) -> f64| {
                figures.print(&format!("import/{name}/{way}/{part}"), each(of, times), "us/block", Goal::None);
            };
            part("total", &|times| times.total);
            part("verification-ahead-beside-it", &|times| times.ahead);
            part("execution", &|times| times.executing);
            part("writing-and-weighing", &|times| times.importing - times.executing);
            part("checks-and-queues", &|times| times.total - times.importing);
        }
    }
    figures.finish()
}
