//! Rules that change while the chain runs: each block follows those of its parent's state.

use crate::queue::through;
use sc_consensus::BlockImportStatus;
use sp_api::ProvideRuntimeApi;
use sp_consensus::BlockOrigin;
use sp_keyring::Sr25519Keyring::Alice;
use weir_consensus::{
    header::{
        announced::{Announced, HeaderCheck, Place},
        rules,
    },
    sync::parallel::Sequential,
    Rejection,
};
use weir_consensus_testing::{next_base, Chain, Sealed};
use weir_primitives::{consensus::Difficulty, runtime_api::ConsensusApi};

/// So slow that the difficulty halves with each block.
const SLOW: u64 = 61_000;

/// Blocks of a chain whose floor of the difficulty was lowered from 8 to 2 in its second block.
fn with_a_lower_floor() -> Vec<Sealed> {
    let maker = Chain::new();
    let mut made = vec![maker.block(maker.genesis(), Alice, 0)];
    maker.import(&made[0]).unwrap();
    let mut parameters = maker.client.runtime_api().parameters(maker.genesis()).unwrap().unwrap();
    parameters.consensus.floor_difficulty = Difficulty::from(2);
    let change = maker.change_parameters(0, &parameters);
    made.push(maker.block_of(made[0].hash(), Alice, SLOW, vec![change]));
    maker.import(&made[1]).unwrap();
    while next_base(&maker, made.last().unwrap().hash()) > Difficulty::from(2) {
        let next = maker.block(made.last().unwrap().hash(), Alice, SLOW);
        maker.import(&next).unwrap();
        made.push(next);
    }
    let last = maker.block(made.last().unwrap().hash(), Alice, SLOW);
    maker.import(&last).unwrap();
    made.push(last);
    made
}

#[test]
fn a_node_follows_rules_that_change_in_the_middle_of_a_batch_that_was_checked_by_the_old_ones() {
    let made = with_a_lower_floor();
    let chain = Chain::new();
    // By the rules of genesis the last ones are false.
    let last = made.last().unwrap();
    let by_old = rules::context_free(&last.header, (&chain.rules).into());
    assert!(matches!(by_old, Err(Rejection::BelowFloor { .. })));
    let results = through(&chain, Sequential, vec![made.clone()], BlockOrigin::NetworkInitialSync);
    assert!(results.iter().all(|(result, _)| matches!(result, Ok(BlockImportStatus::ImportedUnknown(..)))));
    assert_eq!(chain.best(), last.hash());
}

#[test]
fn an_announced_header_is_checked_by_the_rules_of_its_parents_state_and_not_of_the_nodes_start() {
    let made = with_a_lower_floor();
    let chain = Chain::new();
    let check = Announced::new(chain.client.clone(), chain.bad_blocks.clone());
    let (last, before) = made.split_last().unwrap();
    for block in before {
        chain.import(block).unwrap();
    }
    assert!(matches!(check.check(&last.header), Ok(Place::Child { .. })));
}

#[test]
fn a_node_that_is_behind_an_upgrade_blames_nobody_for_headers_of_the_new_rules() {
    let made = with_a_lower_floor();
    let chain = Chain::new();
    chain.import(&made[0]).unwrap();
    let check = Announced::new(chain.client.clone(), chain.bad_blocks.clone());
    let rejection = check.check(&made.last().unwrap().header).unwrap_err();
    assert!(!rejection.is_fault_of_sender(), "{rejection}");
}
