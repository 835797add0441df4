//! The heaviest chain wins, whatever its length.

use sp_core::U256;
use sp_keyring::Sr25519Keyring::{Alice, Bob};
use weir_consensus_testing::{next_base, Chain};
use weir_primitives::consensus::Difficulty;

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
    let rejection = weir_consensus::header::rules::context_free(&header, &chain.rules).unwrap_err();
    assert!(matches!(rejection, weir_consensus::Rejection::Work { required } if required == Difficulty::MAX.0));
}
