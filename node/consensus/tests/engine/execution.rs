//! Blocks whose seal is right and whose execution is not, and blocks that come more than once.

use sc_consensus::{BlockImportError, BlockImportStatus};
use sp_consensus::BlockOrigin;
use sp_keyring::Sr25519Keyring::{Alice, Bob};
use sp_runtime::{traits::Header as _, OpaqueExtrinsic};
use weir_consensus_testing::{seal, Chain, Sealed};
use weir_primitives::{consensus::read_header, Hash};

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
    assert!(chain.condemned.contains(&bad.hash()));
    assert!(matches!(chain.import(&bad), Err(BlockImportError::BadBlock(_))));
    assert_eq!(chain.best(), chain.genesis());
}

#[test]
fn a_block_whose_execution_traps_is_bad_and_is_remembered() {
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
    assert!(chain.condemned.contains(&bad.hash()));
}

#[test]
fn another_body_under_an_honest_header_does_not_keep_the_honest_block_out() {
    let chain = Chain::new();
    let honest = chain.block(chain.genesis(), Alice, 0);
    let mut forged = honest.clone();
    forged.body.push(OpaqueExtrinsic::try_from_encoded_extrinsic(&[4u8, 0][..]).unwrap());
    assert!(matches!(chain.import(&forged), Err(BlockImportError::VerificationFailed(..))));
    assert!(!chain.condemned.contains(&honest.hash()));
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
