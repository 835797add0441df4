//! Depth finality, and what forks off around it.

use sc_consensus::BlockImportError;
use sp_keyring::Sr25519Keyring::{Alice, Bob};
use weir_consensus_testing::{Chain, Options, FINALITY_DEPTH};

const ON_TIME: u64 = 1_000;
const FAST: u64 = 200;
const SLOW: u64 = 61_000;

/// A chain of a number of blocks, all on time.
fn grown(blocks: usize) -> (Chain, Vec<weir_primitives::Hash>) {
    let chain = Chain::new();
    let mut hashes = chain.extend(chain.genesis(), Alice, 1, 0);
    hashes.extend(chain.extend(hashes[0], Alice, blocks - 1, ON_TIME));
    (chain, hashes)
}

#[test]
fn a_block_is_finalized_when_it_has_the_depth_of_descendants() {
    let depth = FINALITY_DEPTH as usize;
    let (chain, hashes) = grown(depth);
    assert_eq!(chain.finalized(), 0);
    let more = chain.extend(hashes[depth - 1], Alice, 1, ON_TIME);
    assert_eq!(chain.finalized(), 1);
    chain.extend(more[0], Alice, 3, ON_TIME);
    assert_eq!(chain.finalized(), 4);
}

#[test]
fn descendants_that_weigh_too_little_do_not_finalize() {
    let (chain, hashes) = grown(1);
    // Four of 64, 32, 16 and 8 are 120: less than half of four times 64. The fifth makes them 128.
    let light = chain.extend(hashes[0], Alice, 4, SLOW);
    assert!(chain.weight(light[3]) - chain.weight(hashes[0]) < (u64::from(FINALITY_DEPTH) * 64 / 2).into());
    assert_eq!((chain.best_number(), chain.finalized()), (5, 0));
    chain.extend(light[3], Alice, 1, SLOW);
    assert_eq!((chain.best_number(), chain.finalized()), (6, 1));
}

#[test]
fn a_burst_of_blocks_dated_ahead_of_the_clock_makes_nothing_final_before_the_clock_gets_there() {
    // In a hurry: half of the time that the finality depth takes lies ahead.
    let depth = u64::from(FINALITY_DEPTH);
    let now = weir_consensus::clock::now();
    let chain = Chain::with(Options { first_timestamp: Some(now), ..Options::default() });
    let first = chain.extend(chain.genesis(), Alice, 1, 0)[0];
    let burst = chain.extend(first, Alice, 3 * depth as usize, chain.rules.least_block_interval);
    assert_eq!(chain.finalized(), 0);
    std::thread::sleep(std::time::Duration::from_millis(depth * chain.rules.block_time / 2 + 100));
    chain.extend(*burst.last().unwrap(), Alice, 1, chain.rules.least_block_interval);
    assert!(chain.finalized() >= 1);
}

#[test]
fn a_reorganisation_one_block_less_deep_than_finality_happens() {
    let (chain, hashes) = grown(8);
    assert_eq!(chain.finalized(), 4);
    // From block 5, the first above the finalized one: takes back three.
    let fork = chain.extend(hashes[4], Bob, 4, FAST);
    assert_eq!(chain.best(), fork[3]);
}

#[test]
fn a_reorganisation_down_to_the_finalized_block_happens() {
    let (chain, hashes) = grown(8);
    assert_eq!(chain.finalized(), 4);
    let fork = chain.extend(hashes[3], Bob, 5, FAST);
    assert_eq!(chain.best(), fork[4]);
    assert_eq!(chain.finalized(), 5);
}

#[test]
fn a_fork_from_below_the_finalized_block_is_refused_before_it_is_executed() {
    let (chain, hashes) = grown(8);
    // As if from a node that never finalized: heavier than all of ours.
    let other = Chain::new();
    let mut fork = vec![];
    let mut parent = other.genesis();
    for hash in &hashes[..3] {
        let header = sp_blockchain::HeaderBackend::header(&*chain.client, *hash).unwrap().unwrap();
        let body = sc_client_api::BlockBackend::block_body(&*chain.client, *hash).unwrap().unwrap();
        other.import(&weir_consensus_testing::Sealed { header, body }).unwrap();
        parent = *hash;
    }
    for _ in 0..7 {
        let block = other.block(parent, Bob, FAST);
        other.import(&block).unwrap();
        parent = block.hash();
        fork.push(block);
    }
    assert!(other.weight(parent) > chain.weight(chain.best()));
    // Its first block is at the finalized height: refused as a bad block, which costs its sender.
    assert!(matches!(chain.import(&fork[0]), Err(BlockImportError::BadBlock(_))));
    assert!(matches!(chain.import(&fork[1]), Err(BlockImportError::UnknownParent)));
    assert_eq!(chain.best(), hashes[7]);
    assert_eq!(chain.finalized(), 4);
}

#[test]
fn a_known_fork_that_finality_left_behind_is_refused_when_it_grows() {
    let (chain, hashes) = grown(5);
    // A side chain from block 2, known before block 3 was finalized.
    let side = chain.extend(hashes[1], Bob, 2, ON_TIME);
    let growth = chain.block(side[1], Bob, ON_TIME);
    chain.extend(hashes[4], Alice, 3, ON_TIME);
    assert_eq!(chain.finalized(), 4);
    let refused = chain.import(&growth);
    assert!(matches!(refused, Err(BlockImportError::BadBlock(_) | BlockImportError::UnknownParent)), "{refused:?}");
    assert_eq!(chain.best_number(), 8);
}

#[test]
fn the_weights_of_displaced_forks_are_forgotten() {
    let (chain, hashes) = grown(4);
    let side = chain.extend(hashes[0], Bob, 1, ON_TIME);
    assert!(weir_consensus::import::weight::of(&*chain.client, side[0]).is_ok());
    chain.extend(hashes[3], Alice, 4, ON_TIME);
    assert!(chain.finalized() >= 2);
    assert!(weir_consensus::import::weight::of(&*chain.client, side[0]).is_err());
    assert!(weir_consensus::import::weight::of(&*chain.client, hashes[1]).is_ok());
}

#[test]
fn nothing_is_finalized_on_a_chain_that_weighs_less_than_others_are_known_to() {
    let depth = u64::from(FINALITY_DEPTH);
    // One block more than what finalizes the first.
    let chain = Chain::with(Options {
        minimum_weight: (weir_consensus_testing::FIRST_DIFFICULTY * (depth + 2)).into(),
        ..Options::default()
    });
    let hashes = chain.extend(chain.genesis(), Alice, 1, 0);
    let more = chain.extend(hashes[0], Alice, depth as usize, ON_TIME);
    assert_eq!((chain.best_number(), chain.finalized()), (FINALITY_DEPTH + 1, 0));
    chain.extend(*more.last().unwrap(), Alice, 1, ON_TIME);
    assert_eq!((chain.best_number(), chain.finalized()), (FINALITY_DEPTH + 2, 2));
}
