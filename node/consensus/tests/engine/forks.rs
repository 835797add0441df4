//! The heavier chain wins, whatever its length, by more than a tenth of the best block; and a child of the best block always.

use sp_api::ProvideRuntimeApi;
use sp_core::U256;
use sp_keyring::Sr25519Keyring::{Alice, Bob};
use weir_consensus_testing::{next_base, Chain};
use weir_primitives::{consensus::Difficulty, runtime_api::ConsensusApi};

/// On schedule: the difficulty stays.
const ON_TIME: u64 = 1_000;
/// Much too fast: the difficulty rises.
const FAST: u64 = 200;
/// Much too slow: the difficulty falls to a half with each block.
const SLOW: u64 = 61_000;

#[test]
fn the_weight_of_a_chain_is_the_sum_of_its_base_difficulties() {
    let chain = Chain::new();
    let first = chain.extend(chain.genesis(), Alice, 1, 0)[0];
    assert_eq!(chain.weight(chain.genesis()), U256::zero());
    assert_eq!(chain.weight(first), U256::from(weir_consensus_testing::FIRST_DIFFICULTY));
    let base = next_base(&chain, first).0;
    let second = chain.extend(first, Alice, 1, SLOW)[0];
    assert_eq!(chain.weight(second), chain.weight(first) + base);
}

#[test]
fn a_shorter_but_heavier_chain_wins() {
    let chain = Chain::new();
    let root = *chain.extend(chain.genesis(), Alice, 1, 0).last().unwrap();
    // Three blocks whose difficulty falls: 64, 32, 16.
    let long = chain.extend(root, Alice, 3, SLOW);
    assert_eq!(chain.best(), long[2]);
    // Two at the full difficulty.
    let short = chain.extend(root, Bob, 2, ON_TIME);
    assert!(chain.weight(short[1]) > chain.weight(long[2]));
    assert_eq!(chain.best(), short[1]);
    assert_eq!(chain.best_number(), 3);
}

#[test]
fn a_longer_but_lighter_chain_does_not_win() {
    let chain = Chain::new();
    let root = *chain.extend(chain.genesis(), Alice, 1, 0).last().unwrap();
    let short = chain.extend(root, Bob, 2, ON_TIME);
    let long = chain.extend(root, Alice, 3, SLOW);
    assert!(chain.weight(long[2]) < chain.weight(short[1]));
    assert_eq!(chain.best(), short[1]);
}

#[test]
fn of_two_equal_chains_the_first_seen_stays() {
    let chain = Chain::new();
    let root = *chain.extend(chain.genesis(), Alice, 1, 0).last().unwrap();
    let first = chain.extend(root, Alice, 2, ON_TIME);
    let second = chain.extend(root, Bob, 2, ON_TIME);
    assert_eq!(chain.weight(first[1]), chain.weight(second[1]));
    assert_eq!(chain.best(), first[1]);
    // Until it is heavier.
    let more = chain.extend(second[1], Bob, 1, ON_TIME);
    assert_eq!(chain.best(), more[0]);
}

#[test]
fn a_heavier_chain_of_equal_height_wins() {
    let chain = Chain::new();
    let root = *chain.extend(chain.genesis(), Alice, 1, 0).last().unwrap();
    let light = chain.extend(root, Alice, 2, SLOW);
    let heavy = chain.extend(root, Bob, 2, FAST);
    assert!(chain.weight(heavy[1]) > chain.weight(light[1]));
    assert_eq!(chain.best(), heavy[1]);
}

#[test]
fn the_base_stays_at_its_floor() {
    let chain = Chain::new();
    let root = *chain.extend(chain.genesis(), Alice, 1, 0).last().unwrap();
    // 64, 32, 16, 8 and no less.
    let low = chain.extend(root, Alice, 8, SLOW);
    assert_eq!(next_base(&chain, low[7]), Difficulty::from(8));
}

#[test]
fn a_header_that_claims_the_ceiling_is_rejected_for_its_work() {
    let chain = Chain::new();
    let block = chain.block(chain.genesis(), Alice, 0);
    let mut claims = weir_primitives::consensus::read_header(&block.header).unwrap().pre_digest;
    claims.base = Difficulty::MAX.0;
    // Sealed as if it were easy, since nobody can do that much work.
    let mut header = block.header.clone();
    header.digest.logs = vec![claims.to_item()];
    let signature = weir_consensus_testing::sign(header.hash(), Alice);
    header.digest.push(weir_primitives::consensus::Seal { signature, nonce: 0 }.to_item());
    let rejection = weir_consensus::header::rules::context_free(&header, (&chain.rules).into()).unwrap_err();
    assert!(matches!(rejection, weir_consensus::Rejection::Work { required } if required == Difficulty::MAX.0));
}

#[test]
fn a_branch_that_is_heavier_by_less_than_a_tenth_of_the_best_block_does_not_win() {
    let chain = Chain::new();
    let root = *chain.extend(chain.genesis(), Alice, 1, 0).last().unwrap();
    let first = chain.extend(root, Alice, 3, ON_TIME);
    // Early dates make it a little heavier: 64, 64 and 65 against three times 64.
    let early = chain.extend(root, Bob, 3, 500);
    let more = chain.weight(early[2]) - chain.weight(first[2]);
    assert!(!more.is_zero() && more * 10 <= next_base(&chain, first[1]).0, "{more}");
    assert_eq!(chain.best(), first[2]);
    // Whoever finds the next block decides.
    let next = chain.extend(early[2], Bob, 1, ON_TIME);
    assert_eq!(chain.best(), next[0]);
}

#[test]
fn after_an_outage_the_next_block_becomes_best_though_it_weighs_a_tenth_of_its_parent() {
    let chain = Chain::new();
    let before = chain.extend(chain.genesis(), Alice, 3, 0);
    let outage = chain.extend(before[2], Alice, 1, 10 * SLOW);
    // The block after the outage is still at the difficulty from before; its child is at the floor.
    assert_eq!(next_base(&chain, outage[0]), Difficulty::from(8));
    let after = chain.extend(outage[0], Alice, 2, ON_TIME);
    assert_eq!(chain.best(), after[1]);
    assert!(chain.weight(after[0]) - chain.weight(outage[0]) <= chain.weight(before[0]) / 8);
}

#[test]
fn the_state_of_every_block_has_the_weight_that_is_kept_beside_it() {
    let chain = Chain::new();
    let mut parent = chain.genesis();
    for after in [0, ON_TIME, FAST, SLOW, ON_TIME] {
        parent = chain.extend(parent, Alice, 1, after)[0];
        let next = chain.client.runtime_api().next_block(parent, Alice.to_account_id()).unwrap().unwrap();
        assert_eq!(next.parent_weight, chain.weight(parent));
    }
}
