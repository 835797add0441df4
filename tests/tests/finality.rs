//! Finality by votes, on real processes: what becomes final, what does not, and that whatever happens no two nodes disagree about it.

use serde_json::{json, Value};
use subxt::rpcs::rpc_params;
use weir_agent::chain::Node;
use weir_e2e::{
    network::calibrate,
    observer::{block_at, view},
    peers::{
        agree, final_height, height, link, submit, transactions, until, until_height, voter, Lab, Peer, LOOK_EVERY,
    },
    transfer::signed_offline,
};

const SECRETS: [(&str, &str); 4] = [("a", "//Alice"), ("b", "//Bob"), ("c", "//Charlie"), ("d", "//Dave")];
/// How far the final block may be behind the best one while all voters are there.
const MOST_BEHIND: u64 = 12;
/// How long the partitions are, in blocks of the side that mines slower: longer than any answer of a peer.
const PARTED: u64 = 300;

/// A chain of blocks of a third of a second, whose four voters weigh the same.
fn lab() -> Lab {
    Lab::with(64, |genesis| {
        let consensus = &mut genesis["difficulty"]["parameters"]["consensus"];
        consensus["blockTime"] = 333.into();
        consensus["leastBlockInterval"] = 16.into();
        // What a side lost of the hash power is made up for soon.
        consensus["halfLife"] = 20_000.into();
        genesis["difficulty"]["parameters"]["measurement"]["notice"] = 1_000.into();
        genesis["difficulty"]["parameters"]["measurement"]["reportDeadline"] = 5_000.into();
        genesis["finality"]["voters"] = json!(SECRETS.map(|(_, secret)| voter(secret)));
        calibrate(genesis, 4);
    })
}

async fn four_voters(lab: &Lab) -> Vec<Peer> {
    let mut peers = Vec::new();
    for (name, secret) in SECRETS {
        peers.push(lab.start(name, Some(secret), &[]).await);
    }
    peers
}

async fn link_all(peers: &[&Peer]) {
    for (at, one) in peers.iter().enumerate() {
        for other in &peers[at + 1..] {
            link(one, other).await;
        }
    }
}

/// Ends all connections, and makes new ones within the sides alone.
async fn part(peers: &mut [Peer], sides: [&[usize]; 2]) {
    for peer in peers.iter_mut() {
        peer.kill();
    }
    for peer in peers.iter_mut() {
        peer.restart().await;
    }
    for side in sides {
        link_all(&side.iter().map(|at| &peers[*at]).collect::<Vec<_>>()).await;
    }
}

async fn until_final(node: &Node, wanted: u64) {
    until(&format!("height {wanted} is final"), || async { final_height(node).await >= wanted }).await;
}

/// That no two of these nodes have different final blocks.
async fn assert_one_truth(nodes: &[&Node]) {
    let mut lowest = u64::MAX;
    for node in nodes {
        lowest = lowest.min(final_height(node).await);
    }
    assert!(agree(nodes, lowest).await, "two nodes disagree about the final block {lowest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_final_block_is_never_far_behind_the_best_and_votes_stay_behind_it() {
    let lab = lab();
    let peers = four_voters(&lab).await;
    link_all(&peers.iter().collect::<Vec<_>>()).await;
    until_final(&peers[0].node, 10).await;
    let from = height(&peers[0].node).await;
    let mut lags = Vec::new();
    while height(&peers[0].node).await < from + 120 {
        for peer in &peers {
            let seen = view(&peer.node).await.unwrap();
            lags.push(seen.height.saturating_sub(seen.finalized));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    lags.sort_unstable();
    let (least, median, most) = (lags[0], lags[lags.len() / 2], *lags.last().unwrap());
    println!("finality lag in {} looks: least {least}, median {median}, most {most} blocks", lags.len());
    // Less only where it was looked at a final block before the best block that followed it.
    assert!((4..=MOST_BEHIND).contains(&median), "the final block is {median} blocks behind at the median");
    assert_one_truth(&peers.iter().map(|peer| &peer.node).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_partition_one_to_three_the_larger_side_alone_finalizes_and_the_other_comes_over() {
    let lab = lab();
    let mut peers = four_voters(&lab).await;
    link_all(&peers.iter().collect::<Vec<_>>()).await;
    until_final(&peers[3].node, 3).await;
    let (left, right) = (
        signed_offline(&peers[0].node, "//Eve").await.unwrap(),
        signed_offline(&peers[0].node, "//Ferdie").await.unwrap(),
    );
    part(&mut peers, [&[0], &[1, 2, 3]]).await;
    let nodes: Vec<&Node> = peers.iter().map(|peer| &peer.node).collect();
    let (begun, was_final) = (height(nodes[0]).await.max(height(nodes[1]).await), final_height(nodes[0]).await);
    submit(nodes[0], &left).await;
    submit(nodes[1], &right).await;
    until_height(nodes[0], begun + PARTED).await;
    until_height(nodes[1], begun + PARTED).await;
    until_final(nodes[1], begun + PARTED / 2).await;
    // What was voted on before the partition may have become final with it.
    assert!(final_height(nodes[0]).await <= was_final.max(begun), "a fourth of the votes made something final");
    let truth = block_at(nodes[1], begun + PARTED / 2).await.unwrap();

    link_all(&peers.iter().collect::<Vec<_>>()).await;
    until_final(nodes[0], begun + PARTED / 2).await;
    assert_eq!(block_at(nodes[0], begun + PARTED / 2).await.unwrap(), truth);
    for node in &nodes {
        until("the transactions of both sides are in the one chain", || async {
            transactions(node, "//Eve").await == 1 && transactions(node, "//Ferdie").await == 1
        })
        .await;
    }
    assert_one_truth(&nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_partition_in_halves_neither_side_finalizes_and_both_heal_into_one_chain() {
    let lab = lab();
    let mut peers = four_voters(&lab).await;
    link_all(&peers.iter().collect::<Vec<_>>()).await;
    until_final(&peers[3].node, 3).await;
    let (left, right) = (
        signed_offline(&peers[0].node, "//Eve").await.unwrap(),
        signed_offline(&peers[0].node, "//Ferdie").await.unwrap(),
    );
    part(&mut peers, [&[0, 1], &[2, 3]]).await;
    let nodes: Vec<&Node> = peers.iter().map(|peer| &peer.node).collect();
    let begun = height(nodes[0]).await.max(height(nodes[2]).await);
    submit(nodes[0], &left).await;
    submit(nodes[2], &right).await;
    until_height(nodes[0], begun + PARTED).await;
    until_height(nodes[2], begun + PARTED).await;
    for node in &nodes {
        assert!(final_height(node).await <= begun, "half of the votes made something final");
    }
    assert!(!agree(&nodes, begun + PARTED / 2).await, "the halves mined one chain: they were not parted");

    link_all(&peers.iter().collect::<Vec<_>>()).await;
    for node in &nodes {
        until_final(node, begun + PARTED + 10).await;
        until("the transactions of both sides are in the one chain", || async {
            transactions(node, "//Eve").await == 1 && transactions(node, "//Ferdie").await == 1
        })
        .await;
    }
    assert_one_truth(&nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_half_of_the_voters_gone_the_chain_goes_on_and_finality_follows_when_they_are_back() {
    let lab = lab();
    let mut peers = four_voters(&lab).await;
    link_all(&peers.iter().collect::<Vec<_>>()).await;
    until_final(&peers[0].node, 10).await;
    peers[2].kill();
    peers[3].kill();
    let stopped = height(&peers[0].node).await;
    until_height(&peers[0].node, stopped + 60).await;
    assert!(final_height(&peers[0].node).await <= stopped, "half of the votes made something final");
    // What is deep is worth something all the same, and no more than that.
    let deep = block_at(&peers[0].node, stopped + 1).await.unwrap();
    let confidence: Value = peers[0].node.rpc().request("weir_confidence", rpc_params![deep]).await.unwrap();
    assert_eq!((&confidence["isFinal"], &confidence["isInBestChain"]), (&json!(false), &json!(true)), "{confidence}");
    assert!(confidence["depth"].as_u64().unwrap() >= 50 && !confidence["overtaken"].as_array().unwrap().is_empty());

    peers[2].restart().await;
    peers[3].restart().await;
    link_all(&peers.iter().collect::<Vec<_>>()).await;
    for peer in &peers {
        until_final(&peer.node, stopped + 60).await;
    }
    let confidence: Value = peers[0].node.rpc().request("weir_confidence", rpc_params![deep]).await.unwrap();
    assert_eq!(confidence["isFinal"], json!(true), "{confidence}");
    assert_one_truth(&peers.iter().map(|peer| &peer.node).collect::<Vec<_>>()).await;
}
