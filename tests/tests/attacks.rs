//! Attacks on mining nodes, by real processes on loopback.

use sp_core::H256;
use std::{
    path::Path,
    time::{Duration, Instant},
};
use weir_e2e::{
    crowd::{self, Script},
    liar::{Claim, Target},
    network::{NodeProcess, NodeSettings},
    observer::view,
    shares::{write_fast_chain, Entrant, Race},
};

/// The time between two blocks, so that a test sees many.
const BLOCK_TIME_MS: u64 = 300;
/// How often something that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long anything may take on a busy machine.
const WITHIN: Duration = Duration::from_secs(400);

fn settings(folder: &Path, chain: &Path, name: &str, author: &str, boot_node: Option<String>) -> NodeSettings {
    NodeSettings {
        name: name.into(),
        chain: chain.into(),
        base_path: folder.join(name),
        author: Some(author.into()),
        boot_node,
        state_pruning: None,
        clock_offset_ms: 0,
        more: vec![],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_inbound_slots_claim_great_heights_goes_on_mining() {
    /// More than a node has inbound slots.
    const LIARS: usize = 12;
    /// As many liars as it has slots, and the honest miner.
    const PEERS: usize = 9;
    const BLOCKS: u64 = 40;
    /// Of the 20 of them that the node makes on average; this is nearly four standard errors less. A node that stops makes none.
    const LEAST_OWN_BLOCKS: u64 = 8;
    /// The finality depth is 8.
    const LEAST_FINALIZED: u64 = 20;

    let folder = tempfile::tempdir().unwrap();
    let chain = write_fast_chain(folder.path(), BLOCK_TIME_MS, None, 2).unwrap();
    let mut honest = NodeProcess::start(settings(folder.path(), &chain, "honest", "//Alice", None)).unwrap();
    let boot_node = Some(honest.address().await.unwrap());
    let mut attacked = NodeProcess::start(settings(folder.path(), &chain, "attacked", "//Bob", boot_node)).unwrap();
    let node = attacked.connect().await.unwrap();
    let begun = Instant::now();
    while view(&node).await.unwrap().finalized == 0 {
        assert!(begun.elapsed() < WITHIN, "the first blocks take too long");
        tokio::time::sleep(LOOK_EVERY).await;
    }

    let target = Target::of(&mut attacked).await.unwrap();
    let script = |_| {
        Some(Script {
            claim: Claim { number: 1_000_000, hash: H256::random() },
            announcements: vec![],
            answer: Box::new(|_| None),
            stays: WITHIN,
            comes_again: false,
        })
    };
    let attack = tokio::spawn(async move { crowd::attack(&target, LIARS, begun + WITHIN, script).await });
    while view(&node).await.unwrap().peers < PEERS {
        assert!(begun.elapsed() < WITHIN, "the liars are not let in");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let before = view(&node).await.unwrap();
    let mut after = before.clone();
    let (mut looks, mut syncing) = (0, 0);
    while after.height < before.height + BLOCKS {
        assert!(begun.elapsed() < WITHIN, "{before:?} and then {after:?}");
        tokio::time::sleep(LOOK_EVERY).await;
        syncing += usize::from(node.legacy().system_health().await.unwrap().is_syncing);
        looks += 1;
        after = view(&node).await.unwrap();
    }
    attack.abort();
    assert_eq!(syncing, 0, "at {syncing} of {looks} looks the node was in major sync");
    assert!(after.authored >= before.authored + LEAST_OWN_BLOCKS, "{before:?} and then {after:?}");
    assert!(after.finalized >= before.finalized + LEAST_FINALIZED, "{before:?} and then {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miner_that_dates_its_blocks_far_ahead_leaves_the_others_their_share() {
    // With 100 blocks, a share of 1/3 has a standard error of 0.047: these bounds are four of them away. By a rule that lets
    // miners rest until the clock gets to their parent's date, the one that dates ahead makes 0.97.
    const BLOCKS: u64 = 100;
    const LEAST_SHARE: f64 = 0.15;
    const MOST_SHARE: f64 = 0.52;

    let folder = tempfile::tempdir().unwrap();
    let chain = write_fast_chain(folder.path(), BLOCK_TIME_MS, None, 3).unwrap();
    let mut entrants = [("one", "//Alice"), ("two", "//Bob"), ("ahead", "//Charlie")]
        .map(|(name, secret)| Entrant::honest(name, secret));
    entrants[2].more = ["--fail-point", "date-ahead"].map(String::from).into();
    let mut race = Race::start(folder.path(), &chain, &entrants).await.unwrap();
    let outcome = race.run(20, BLOCKS).await.unwrap();
    assert_eq!(outcome.blocks, BLOCKS, "{outcome:?}");
    for honest in 0..2 {
        assert!(outcome.of_blocks(honest) >= LEAST_SHARE, "{outcome:?}");
    }
    assert!((LEAST_SHARE..=MOST_SHARE).contains(&outcome.of_blocks(2)), "{outcome:?}");
}
