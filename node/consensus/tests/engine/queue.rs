//! The import queue that checks ahead.

use parking_lot::Mutex;
use sc_consensus::{BasicQueue, BlockImportError, BlockImportStatus, ImportQueue, Link};
use sc_network_types::PeerId;
use sp_consensus::BlockOrigin;
use sp_keyring::Sr25519Keyring::Alice;
use std::{task::Poll, time::Duration};
use substrate_prometheus_endpoint::Registry;
use weir_consensus::{
    sync::parallel::{Rayon, Sequential, Strategy},
    sync::verify_ahead::{Ahead, Queue},
    Metrics, Rejection,
};
use weir_consensus_testing::{Chain, Options, Sealed};
use weir_primitives::{
    consensus::{read_header, PreDigest, Seal},
    Hash,
};
use weir_runtime::opaque::Block;

pub type Result = std::result::Result<BlockImportStatus<u32>, BlockImportError>;

/// What a queue told of the blocks that it was given.
#[derive(Default)]
struct Results(Mutex<Vec<(Result, Hash)>>);

impl Link<Block> for Results {
    fn blocks_processed(&self, _: usize, _: usize, results: Vec<(Result, Hash)>) {
        self.0.lock().extend(results);
    }
}

/// Imports blocks through the queue, in these calls, and waits for all results.
pub fn through<S: Strategy>(
    chain: &Chain,
    strategy: S,
    calls: Vec<Vec<Sealed>>,
    origin: BlockOrigin,
) -> Vec<(Result, Hash)> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let spawner = sp_core::testing::TaskExecutor::new();
    let executing = BasicQueue::new(chain.verifier.clone(), Box::new(chain.import_handle()), None, &spawner, None);
    let ahead =
        Ahead { strategy, our_best: chain.our_best(), verified_headers: chain.verified_headers.clone(), metrics: None };
    let mut queue = Queue::new(executing, ahead, &spawner);
    let peer = PeerId::random();
    let expected: usize = calls.iter().map(Vec::len).sum();
    for call in calls {
        let blocks = call.iter().map(|block| block.incoming(Some(peer))).collect();
        queue.service_ref().import_blocks(origin, blocks);
    }
    let results = Results::default();
    let all = futures::future::poll_fn(|cx| {
        queue.poll_actions(cx, &results);
        if results.0.lock().len() < expected {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    });
    runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(60), all).await.expect("results of all blocks") });
    results.0.into_inner()
}

/// A number of blocks, each the child of the one before, made on a chain of their own.
fn blocks(count: usize) -> Vec<Sealed> {
    let maker = Chain::new();
    let mut parent = maker.genesis();
    (0..count)
        .map(|index| {
            let block = maker.block(parent, Alice, if index == 0 { 0 } else { 1_000 });
            maker.import(&block).unwrap();
            parent = block.hash();
            block
        })
        .collect()
}

fn claims(block: &Sealed) -> PreDigest {
    read_header(&block.header).unwrap().pre_digest
}

/// The same with a nonce that is not enough.
fn without_work(block: &Sealed, chain: &Chain) -> Sealed {
    let mut bad = block.clone();
    for nonce in 0u64.. {
        let seal = Seal { signature: weir_consensus_testing::sign(Hash::zero(), Alice), nonce };
        bad.header.digest.pop();
        bad.header.digest.push(seal.to_item());
        if matches!(
            weir_consensus::header::rules::context_free(&bad.header, (&chain.rules).into()),
            Err(Rejection::Work { .. })
        ) {
            break;
        }
    }
    bad
}

#[test]
fn blocks_are_imported_in_the_order_in_which_they_came_in_whatever_calls() {
    let made = blocks(24);
    for size in [1, 5, 24] {
        let chain = Chain::new();
        let calls = made.chunks(size).map(<[Sealed]>::to_vec).collect();
        let results = through(&chain, Rayon::new(2).unwrap(), calls, BlockOrigin::NetworkInitialSync);
        assert!(results.iter().all(|(result, _)| matches!(result, Ok(BlockImportStatus::ImportedUnknown(..)))));
        let order: Vec<_> = results.iter().map(|(_, hash)| *hash).collect();
        assert_eq!(order, made.iter().map(Sealed::hash).collect::<Vec<_>>());
        assert_eq!(chain.best(), made[23].hash());
    }
}

#[test]
fn every_header_is_verified_before_its_block_is_imported() {
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let (chain, made) = (Chain::with(Options { metrics: Some(metrics.clone()), ..Options::default() }), blocks(8));
    through(&chain, Sequential, made.chunks(2).map(<[Sealed]>::to_vec).collect(), BlockOrigin::File);
    assert!(made.iter().all(|block| chain.verified_headers.get(&block.hash(), (&chain.rules).into()) == Some(Ok(()))));
    let asked = |outcome| metrics.verified_headers.with_label_values(&[outcome]).get();
    assert_eq!((asked("hit"), asked("miss")), (8, 0));
}

#[test]
fn a_bad_block_is_held_against_its_sender_and_those_behind_it_in_the_call_are_left_out() {
    let (chain, mut made) = (Chain::new(), blocks(6));
    made[3] = without_work(&made[3], &chain);
    let results = through(&chain, Rayon::new(2).unwrap(), vec![made.clone()], BlockOrigin::NetworkInitialSync);
    assert!(results[..3].iter().all(|(result, _)| result.is_ok()));
    assert!(matches!(results[3].0, Err(BlockImportError::VerificationFailed(Some(_), _))));
    assert!(results[4..].iter().all(|(result, _)| matches!(result, Err(BlockImportError::Cancelled))));
    assert_eq!(chain.best(), made[2].hash());
}

#[test]
fn calls_that_do_not_fit_are_refused_and_can_be_sent_again() {
    let (chain, made) = (Chain::new(), blocks(1));
    // More than may wait, in calls of a thousand, so that some must be refused.
    let flood = vec![vec![made[0].clone(); 1_000]; 40];
    let results = through(&chain, Sequential, flood, BlockOrigin::NetworkBroadcast);
    let refused = |result: &Result| matches!(result, Err(BlockImportError::Cancelled | BlockImportError::Other(_)));
    let refused = results.iter().filter(|(result, _)| refused(result)).count();
    assert!(refused >= 20_000, "{refused}");
    assert!(results.iter().any(|(result, _)| matches!(result, Ok(BlockImportStatus::ImportedUnknown(..)))));
    let again = through(&chain, Sequential, vec![made], BlockOrigin::NetworkBroadcast);
    assert!(matches!(again[0].0, Ok(BlockImportStatus::ImportedKnown(..))));
}

/// Blocks in a row on a chain of their own, of which the first is dated this many milliseconds ahead, and the others as soon after
/// it as may be.
fn ahead(milliseconds: u64, count: usize) -> Vec<Sealed> {
    let maker = Chain::with(Options {
        first_timestamp: Some(weir_consensus::clock::now() + milliseconds),
        ..Options::default()
    });
    let mut parent = maker.genesis();
    (0..count)
        .map(|index| {
            let after = if index == 0 { 0 } else { maker.rules.least_block_interval };
            let block = maker.block(parent, Alice, after);
            // Executed without a look at the clock, which is the node's and not the runtime's.
            maker.force(&block);
            parent = block.hash();
            block
        })
        .collect()
}

#[test]
fn a_block_that_is_not_due_is_imported_exactly_when_it_is_and_those_behind_it_too() {
    let chain = Chain::new();
    let limit = chain.rules.furthest_ahead;
    let made = ahead(limit + 700, 3);
    let dates: Vec<_> = made.iter().map(|block| claims(block).timestamp).collect();
    let begun = weir_consensus::clock::now();
    let results = through(&chain, Sequential, vec![made.clone()], BlockOrigin::NetworkBroadcast);
    assert!(
        results.iter().all(|(result, _)| matches!(result, Ok(BlockImportStatus::ImportedUnknown(..)))),
        "{results:?}"
    );
    assert_eq!(chain.best(), made[2].hash());
    // Not before, and not long after.
    let over = weir_consensus::clock::now();
    assert!(over + limit >= dates[2], "imported {} ms early", dates[2] - limit - over);
    assert!(over - begun < 10_000);
}

#[test]
fn a_block_dated_more_than_twice_the_limit_ahead_is_dropped_at_once_and_costs_nobody() {
    let chain = Chain::new();
    let made = ahead(2 * chain.rules.furthest_ahead + 5_000, 1);
    let results = through(&chain, Sequential, vec![made], BlockOrigin::NetworkBroadcast);
    assert!(matches!(results[0].0, Err(BlockImportError::Cancelled)));
}

#[test]
fn a_block_without_work_does_not_wait_for_its_date_and_costs_its_sender() {
    let chain = Chain::new();
    let early = ahead(chain.rules.furthest_ahead + 9_000, 1).remove(0);
    let begun = weir_consensus::clock::now();
    let results = through(&chain, Sequential, vec![vec![without_work(&early, &chain)]], BlockOrigin::NetworkBroadcast);
    assert!(matches!(results[0].0, Err(BlockImportError::VerificationFailed(Some(_), _))));
    assert!(weir_consensus::clock::now() - begun < 5_000);
}
