//! Starting from a proof of what is final, on real processes.

use serde_json::{json, Value};
use subxt::rpcs::rpc_params;
use weir_e2e::{
    network::{calibrate, NodeSettings},
    observer::{block_at, claims},
    peers::{agree, final_height, height, link, until, until_height, voter, weight, Lab},
};
use weir_primitives::PLANCK_PER_WEIR;

/// How many blocks there are before the new node starts.
const HISTORY: u64 = 120;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_node_starts_from_a_proof_across_changes_of_the_voters_and_then_mines_as_the_others_do() {
    const ENOUGH: u64 = 750_000_000;
    let lab = Lab::with_bandwidth(8, &[("//Alice", ENOUGH), ("//Bob", ENOUGH)], |genesis| {
        let consensus = &mut genesis["difficulty"]["parameters"]["consensus"];
        consensus["blockTime"] = 333.into();
        consensus["leastBlockInterval"] = 16.into();
        genesis["difficulty"]["parameters"]["measurement"]["notice"] = 1_000.into();
        genesis["difficulty"]["parameters"]["measurement"]["reportDeadline"] = 5_000.into();
        genesis["finality"]["voters"] = json!([voter("//Alice")]);
        calibrate(genesis, 1);
    });
    let old = lab.start("old", Some("//Alice"), &[]).await;
    until_height(&old.node, 2).await;
    weir_e2e::peers::bond_voter(&old.node, "//Alice", 1_000 * PLANCK_PER_WEIR).await;
    until_height(&old.node, HISTORY).await;
    let sets: u64 = old.node.ask("GrandpaApi_current_set_id", (), None).await.unwrap();
    assert!(sets >= 1, "the voters never changed");

    let pruned = |name: &str, author: Option<&str>, more: &[&str]| NodeSettings {
        state_pruning: Some(256),
        ..lab.settings(name, author, more)
    };
    let mut new = lab.start_with(pruned("new", None, &["--sync", "warp"])).await;
    link(&new, &old).await;
    until("the new node has come to where the old one is", || async { height(&new.node).await >= HISTORY }).await;
    let at = final_height(&new.node).await;
    assert!(agree(&[&old.node, &new.node], at).await);
    // What it is built on was not executed: there is no state of it, and the weight is that of the other all the same.
    let early = block_at(&old.node, 5).await.unwrap();
    let without: Result<Value, _> = new.node.rpc().request("state_getRuntimeVersion", rpc_params![early]).await;
    assert!(without.is_err(), "the new node has the state of block 5: it has executed what is below");
    let top = block_at(&new.node, at).await.unwrap();
    assert_eq!(weight(&new.node, top).await, weight(&old.node, top).await);
    // What is below is not there, and is not fetched.
    assert!(block_at(&new.node, 5).await.is_err(), "the new node has blocks that nothing vouches for");

    // The same database mines, as a validator.
    new.kill();
    drop(new);
    let miner = lab.start_with(pruned("new", Some("//Bob"), &[])).await;
    link(&miner, &old).await;
    let bob = weir_e2e::network::account("//Bob").unwrap();
    until("a block of the new node is final", || async {
        let end = final_height(&old.node).await;
        for height in end.saturating_sub(20)..=end {
            let block = block_at(&old.node, height).await.unwrap();
            if claims(&old.node, block).await.is_ok_and(|it| it.author == bob) {
                return true;
            }
        }
        false
    })
    .await;
    assert!(final_height(&miner.node).await > at);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_ends_long_ago_is_refused() {
    let lab = Lab::with(8, |genesis| {
        genesis["finality"]["voters"] = json!([voter("//Alice")]);
        calibrate(genesis, 1);
    });
    let mut old = lab.start("old", Some("//Alice"), &[]).await;
    until("something is final", || async { final_height(&old.node).await >= 5 }).await;
    old.kill();
    // It mines no more, and its last final block gets older than a proof's may be. A node without a miner knows no other chain.
    tokio::time::sleep(std::time::Duration::from_secs(70)).await;
    let stale = lab.start_with(NodeSettings { author: None, ..lab.settings("old", None, &[]) }).await;
    let settings =
        NodeSettings { state_pruning: Some(256), ..lab.settings("new", None, &["--sync", "warp", "-l", "weir=debug"]) };
    let new = lab.start_with(settings).await;
    link(&new, &stale).await;
    let log = lab.settings("new", None, &[]).base_path.join("node.log");
    until("the proof is refused", || async {
        std::fs::read_to_string(&log).unwrap_or_default().contains("a proof of what is final is refused")
    })
    .await;
    assert_eq!(height(&new.node).await, 0);
}
