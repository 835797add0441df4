//! Blocks whose seal is right and whose execution is not, and blocks that come more than once.

use sc_consensus::{BlockImportError, BlockImportStatus};
use sp_consensus::BlockOrigin;
use sp_keyring::Sr25519Keyring::{Alice, Bob};
use sp_runtime::{traits::Header as _, OpaqueExtrinsic};
use std::sync::{
    atomic::{AtomicUsize, Ordering},
    Arc,
};
use weir_consensus::import::execute::{ColdExecution, Verdict};
use weir_consensus_testing::{seal, Chain, Options, Sealed};
use weir_primitives::{consensus::read_header, Hash};
use weir_runtime::opaque::Block;

/// A sealed block after a change of its header.
fn with_header(chain: &Chain, change: impl FnOnce(&mut weir_runtime::opaque::Header)) -> Sealed {
    let honest = chain.block(chain.genesis(), Alice, 0);
    let read = read_header(&honest.header).unwrap();
    let mut header = read.unsealed;
    change(&mut header);
    seal(&mut header, &read.pre_digest, Alice, chain.rules.boost);
    Sealed { header, body: honest.body }
}

#[test]
fn a_block_that_comes_to_another_state_is_bad_and_is_remembered() {
    let chain = Chain::new();
    let bad = with_header(&chain, |header| header.set_state_root(Hash::repeat_byte(1)));
    assert!(matches!(chain.import(&bad), Err(BlockImportError::BadBlock(_))));
    assert!(chain.bad_blocks.is_bad(&bad.hash()));
    assert!(matches!(chain.import(&bad), Err(BlockImportError::BadBlock(_))));
    assert_eq!(chain.best(), chain.genesis());
}

#[test]
fn a_block_that_the_runtime_refuses_is_bad_and_is_remembered() {
    let chain = Chain::new();
    let honest = chain.block(chain.genesis(), Alice, 0);
    let read = read_header(&honest.header).unwrap();
    // Without its inherents, which the runtime wants.
    let mut header = read.unsealed;
    let root = <sp_runtime::traits::BlakeTwo256 as sp_runtime::traits::Hash>::ordered_trie_root(
        vec![],
        weir_runtime::VERSION.extrinsics_root_state_version(),
    );
    header.set_extrinsics_root(root);
    seal(&mut header, &read.pre_digest, Alice, chain.rules.boost);
    let bad = Sealed { header, body: vec![] };
    assert!(matches!(chain.import(&bad), Err(BlockImportError::BadBlock(_))));
    assert!(chain.bad_blocks.is_bad(&bad.hash()));
}

#[test]
fn another_body_under_an_honest_header_does_not_keep_the_honest_block_out() {
    let chain = Chain::new();
    let honest = chain.block(chain.genesis(), Alice, 0);
    let mut forged = honest.clone();
    forged.body.push(OpaqueExtrinsic::try_from_encoded_extrinsic(&[4u8, 0][..]).unwrap());
    assert!(matches!(chain.import(&forged), Err(BlockImportError::VerificationFailed(..))));
    assert!(!chain.bad_blocks.is_bad(&honest.hash()));
    assert!(matches!(chain.import(&honest), Ok(BlockImportStatus::ImportedUnknown(1, _, _))));
}

#[test]
fn the_same_block_twice_at_once_is_imported_once() {
    let chain = Chain::new();
    let block = chain.block(chain.genesis(), Alice, 0);
    let results = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| chain.import(&block).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let new = results.iter().filter(|result| matches!(result, BlockImportStatus::ImportedUnknown(..))).count();
    assert_eq!(new, 1);
    assert_eq!(chain.best(), block.hash());
    assert_eq!(chain.weight(block.hash()), weir_consensus_testing::FIRST_DIFFICULTY.into());
}

#[test]
fn of_a_block_of_ours_and_one_from_the_network_at_once_one_is_best_and_both_are_weighed() {
    for _ in 0..8 {
        let chain = Chain::new();
        let ours = chain.block(chain.genesis(), Alice, 0);
        let theirs = chain.block(chain.genesis(), Bob, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| chain.import_from(&ours, BlockOrigin::Own).unwrap());
            scope.spawn(|| chain.import_from(&theirs, BlockOrigin::NetworkBroadcast).unwrap());
        });
        assert!([ours.hash(), theirs.hash()].contains(&chain.best()));
        assert_eq!(chain.weight(ours.hash()), chain.weight(theirs.hash()));
        // The chain goes on from either.
        let next = chain.extend(theirs.hash(), Bob, 1, 1_000);
        assert_eq!(chain.best(), next[0]);
    }
}

#[test]
fn a_block_with_transactions_is_imported() {
    let chain = Chain::new();
    let transfers = (0..5).map(|nonce| chain.transfer(Alice, nonce, Bob)).collect();
    let block = chain.block_of(chain.genesis(), Alice, 0, transfers);
    assert!(matches!(chain.import(&block), Ok(BlockImportStatus::ImportedUnknown(1, _, _))));
}

/// A second execution that says what it is told to, and counts.
struct Says {
    verdict: Verdict,
    asked: AtomicUsize,
}

impl Says {
    fn new(verdict: Verdict) -> Arc<Self> {
        Arc::new(Self { verdict, asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl ColdExecution<Block> for Says {
    fn judge(&self, _: Hash, _: Block) -> Verdict {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.verdict.clone()
    }
}

/// A chain with such a second execution, and a block of it that fails the first.
fn failing(says: &Arc<Says>) -> (Chain, Sealed) {
    let chain = Chain::with(Options { cold: Some(says.clone()), ..Options::default() });
    let bad = with_header(&chain, |header| header.set_state_root(Hash::repeat_byte(1)));
    (chain, bad)
}

#[test]
fn a_block_that_fails_on_a_machine_that_cannot_tell_why_is_neither_bad_nor_executed_again_soon_and_costs_nobody() {
    let says = Says::new(Verdict::None { why: "no memory".into() });
    let (chain, block) = failing(&says);
    for _ in 0..5 {
        // The one answer for which nobody is punished and sync does not begin anew.
        assert!(matches!(chain.import(&block), Err(BlockImportError::MissingState)));
    }
    assert_eq!(says.asked(), 1);
    assert!(!chain.bad_blocks.is_bad(&block.hash()));
}

#[test]
fn only_the_verdict_of_a_second_execution_without_caches_makes_a_block_bad() {
    let says = Says::new(Verdict::Invalid { why: "refused".into() });
    let (chain, block) = failing(&says);
    assert!(matches!(chain.import(&block), Err(BlockImportError::BadBlock(_))));
    assert!(matches!(chain.import(&block), Err(BlockImportError::BadBlock(_))));
    assert_eq!(says.asked(), 1);
    assert!(chain.bad_blocks.is_bad(&block.hash()));
}

#[test]
fn a_block_that_a_second_execution_accepts_is_not_bad() {
    let says = Says::new(Verdict::Valid);
    let (chain, block) = failing(&says);
    assert!(matches!(chain.import(&block), Err(BlockImportError::MissingState)));
    assert!(!chain.bad_blocks.is_bad(&block.hash()));
}

#[test]
fn an_honest_block_is_executed_once() {
    let says = Says::new(Verdict::Invalid { why: "refused".into() });
    let chain = Chain::with(Options { cold: Some(says.clone()), ..Options::default() });
    assert!(chain.import(&chain.block(chain.genesis(), Alice, 0)).is_ok());
    assert_eq!(says.asked(), 0);
}
