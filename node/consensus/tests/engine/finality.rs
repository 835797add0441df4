//! Finality by votes, and what forks off around it.

use futures::{FutureExt, StreamExt};
use sc_client_api::BlockchainEvents;
use sc_consensus::BlockImportError;
use sp_consensus::SelectChain;
use sp_keyring::{
    Ed25519Keyring,
    Sr25519Keyring::{Alice, Bob},
};
use weir_consensus::{finality::heaviest::Heaviest, import::weight};
use weir_consensus_testing::{Chain, Sealed};
use weir_primitives::Hash;

const ON_TIME: u64 = 1_000;
const FAST: u64 = 200;

/// A chain of a number of blocks, all on time.
fn grown(blocks: usize) -> (Chain, Vec<Hash>) {
    let chain = Chain::new();
    let mut hashes = chain.extend(chain.genesis(), Alice, 1, 0);
    hashes.extend(chain.extend(hashes[0], Alice, blocks - 1, ON_TIME));
    (chain, hashes)
}

/// A chain with the first blocks of another one.
fn with_blocks_of(chain: &Chain, hashes: &[Hash]) -> Chain {
    let other = Chain::new();
    for hash in hashes {
        let header = chain.client.header(*hash).unwrap().unwrap();
        let body = sc_client_api::BlockBackend::block_body(&*chain.client, *hash).unwrap().unwrap();
        other.import(&Sealed { header, body }).unwrap();
    }
    other
}

#[test]
fn however_deep_a_block_is_only_votes_make_it_final() {
    let (chain, hashes) = grown(40);
    assert_eq!(chain.finalized(), 0);
    chain.finalize(hashes[29]);
    assert_eq!((chain.finalized(), chain.best()), (30, hashes[39]));
}

#[test]
fn what_others_than_the_voters_sign_makes_nothing_final() {
    let (chain, hashes) = grown(4);
    assert!(chain.finalize_by(hashes[1], 0, &[Ed25519Keyring::Bob]).is_err());
    assert!(chain.finalize_by(hashes[1], 1, &[Ed25519Keyring::Alice]).is_err());
    assert_eq!(chain.finalized(), 0);
}

#[test]
fn a_reorganisation_down_to_the_final_block_happens_and_none_below_it() {
    let (chain, hashes) = grown(8);
    chain.finalize(hashes[3]);
    let fork = chain.extend(hashes[3], Bob, 5, FAST);
    assert_eq!(chain.best(), fork[4]);
    let below = chain.block(hashes[2], Bob, FAST);
    assert!(matches!(chain.import(&below), Err(BlockImportError::BadBlock(_))));
}

#[test]
fn a_fork_from_below_the_final_block_is_refused_before_it_is_executed() {
    let (chain, hashes) = grown(8);
    // As if from a node that saw no votes: heavier than all of ours.
    let other = with_blocks_of(&chain, &hashes[..3]);
    chain.finalize(hashes[3]);
    let mut fork = vec![];
    let mut parent = hashes[2];
    for _ in 0..7 {
        let block = other.block(parent, Bob, FAST);
        other.import(&block).unwrap();
        parent = block.hash();
        fork.push(block);
    }
    assert!(other.weight(parent) > chain.weight(chain.best()));
    // Its first block is at the final height: refused as a bad block, which costs its sender.
    assert!(matches!(chain.import(&fork[0]), Err(BlockImportError::BadBlock(_))));
    assert!(matches!(chain.import(&fork[1]), Err(BlockImportError::UnknownParent)));
    assert_eq!((chain.best(), chain.finalized()), (hashes[7], 4));
}

#[test]
fn a_known_fork_that_finality_left_behind_is_refused_when_it_grows() {
    let (chain, hashes) = grown(5);
    let side = chain.extend(hashes[1], Bob, 2, ON_TIME);
    let growth = chain.block(side[1], Bob, ON_TIME);
    chain.finalize(hashes[3]);
    let refused = chain.import(&growth);
    assert!(matches!(refused, Err(BlockImportError::BadBlock(_) | BlockImportError::UnknownParent)), "{refused:?}");
    assert_eq!(chain.best_number(), 5);
}

#[test]
fn finality_that_leaves_the_best_branch_moves_the_best_block_at_once_to_the_heaviest_above_it() {
    let (chain, hashes) = grown(10);
    // Two branches from block 3, both lighter than the best one; the second is the heavier one of them.
    let lighter = chain.extend(hashes[2], Bob, 3, ON_TIME);
    let heavier = chain.extend(lighter[0], Bob, 4, ON_TIME);
    assert_eq!(chain.best(), hashes[9]);
    let mut told = chain.client.import_notification_stream();
    chain.finalize(lighter[0]);
    assert_eq!((chain.best(), chain.finalized()), (heavier[3], 4));
    // Whoever follows the best block, as the pool and the miner do, is told.
    let notification = told.next().now_or_never().expect("it is told").expect("of a block");
    assert!(notification.is_new_best && notification.hash == heavier[3]);
    // From the old best block on, so that what was in its branch comes back.
    let route = notification.tree_route.as_ref().expect("it left a branch");
    assert_eq!((route.retracted().len(), route.enacted().len()), (7, 5));
    // The old branch is over, however heavy it is.
    let more = chain.extend(heavier[3], Bob, 1, ON_TIME);
    assert_eq!(chain.best(), more[0]);
}

#[test]
fn finality_of_a_leaf_on_another_branch_makes_it_the_best_block_and_says_so() {
    let (chain, hashes) = grown(5);
    let leaf = chain.extend(hashes[2], Bob, 1, ON_TIME)[0];
    let mut told = chain.client.import_notification_stream();
    chain.finalize(leaf);
    assert_eq!((chain.best(), chain.finalized()), (leaf, 4));
    assert_eq!(told.next().now_or_never().expect("it is told").map(|it| it.hash), Some(leaf));
}

#[test]
fn finality_on_the_best_branch_moves_nothing_even_when_another_is_as_heavy() {
    let (chain, hashes) = grown(6);
    // The first seen stays, also when something below both becomes final.
    let side = chain.extend(hashes[3], Bob, 2, ON_TIME - 100);
    assert_eq!(chain.weight(hashes[5]), chain.weight(side[1]));
    chain.finalize(hashes[3]);
    assert_eq!(chain.best(), hashes[5]);
}

#[test]
fn voters_vote_for_the_best_chain_and_on_another_branch_for_the_heaviest() {
    let (chain, hashes) = grown(8);
    let side = chain.extend(hashes[2], Bob, 3, ON_TIME);
    let shorter = chain.extend(side[0], Alice, 1, ON_TIME);
    let heaviest = Heaviest::new(chain.client.clone(), chain.backend.clone());
    let target = |base, most| futures::executor::block_on(heaviest.finality_target(base, most));
    assert_eq!(target(hashes[1], None).unwrap(), hashes[7]);
    assert_eq!(target(hashes[1], Some(5)).unwrap(), hashes[4]);
    assert_eq!(target(side[0], None).unwrap(), side[2]);
    assert_eq!(target(side[0], Some(5)).unwrap(), side[1]);
    assert_eq!(target(side[0], Some(4)).unwrap(), side[0]);
    assert_eq!(target(shorter[0], None).unwrap(), shorter[0]);
    assert!(target(side[0], Some(3)).is_err());
}

#[test]
fn a_long_range_becomes_final_at_once() {
    let (chain, hashes) = grown(600);
    chain.finalize(hashes[598]);
    assert_eq!(chain.finalized(), 599);
}

#[test]
fn the_weights_of_displaced_forks_are_forgotten() {
    let (chain, hashes) = grown(4);
    let side = chain.extend(hashes[0], Bob, 1, ON_TIME);
    assert!(weight::of(&*chain.client, side[0]).is_ok());
    chain.finalize(hashes[2]);
    assert!(weight::of(&*chain.client, side[0]).is_err());
    assert!(weight::of(&*chain.client, hashes[1]).is_ok());
}

#[test]
fn the_chain_learns_what_is_final_from_a_transaction_of_nobodys() {
    let (chain, hashes) = grown(10);
    let wanted = |at| {
        use sp_api::ProvideRuntimeApi;
        use weir_primitives::runtime_api::FinalityApi;
        chain.client.runtime_api().wanted(at).unwrap()
    };
    // The snapshot of the first epoch was taken in the first block.
    assert!(wanted(hashes[9]).is_some());
    let block = chain.block_of(hashes[9], Alice, ON_TIME, vec![chain.proof_of(hashes[5])]);
    chain.import(&block).unwrap();
    assert_eq!(wanted(block.hash()), None);
}
