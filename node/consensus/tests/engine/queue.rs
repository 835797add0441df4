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
use weir_primitives::{consensus::Seal, Hash};
use weir_runtime::opaque::Block;

type Result = std::result::Result<BlockImportStatus<u32>, BlockImportError>;

/// What a queue told of the blocks that it was given.
#[derive(Default)]
struct Results(Mutex<Vec<(Result, Hash)>>);

impl Link<Block> for Results {
    fn blocks_processed(&self, _: usize, _: usize, results: Vec<(Result, Hash)>) {
        self.0.lock().extend(results);
    }
}

/// Imports blocks through the queue, in these calls, and waits for all results.
fn through<S: Strategy>(
    chain: &Chain,
    strategy: S,
    calls: Vec<Vec<Sealed>>,
    origin: BlockOrigin,
) -> Vec<(Result, Hash)> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let spawner = sp_core::testing::TaskExecutor::new();
    let executing = BasicQueue::new(chain.verifier.clone(), Box::new(chain.import_handle()), None, &spawner, None);
    let ahead = Ahead { strategy, rules: chain.rules.clone(), verdicts: chain.verdicts.clone(), metrics: None };
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

/// The same with a nonce that is not enough.
fn without_work(block: &Sealed, chain: &Chain) -> Sealed {
    let mut bad = block.clone();
    for nonce in 0u64.. {
        let seal = Seal { signature: weir_consensus_testing::sign(Hash::zero(), Alice), nonce };
        bad.header.digest.pop();
        bad.header.digest.push(seal.to_item());
        if matches!(weir_consensus::header::rules::context_free(&bad.header, &chain.rules), Err(Rejection::Work { .. }))
        {
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
    assert!(made.iter().all(|block| chain.verdicts.get(&block.hash()) == Some(Ok(()))));
    let asked = |outcome| metrics.verdicts.with_label_values(&[outcome]).get();
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
