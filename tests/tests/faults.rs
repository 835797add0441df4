//! Faults and lies, on real processes: whatever happens to a node, it comes back to the chain that others are on.

use serde_json::{json, Value};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use subxt::{rpcs::rpc_params, utils::H256};
use weir_agent::chain::Node;
use weir_e2e::{
    network::{account, calibrate, NodeProcess},
    observer::{block_at, finalized, height_of, view},
    peers::{agree, height, link, submit, transactions, until, until_height, weight, Lab, Peer, LOOK_EVERY, WITHIN},
    process::{binary, run},
    transfer::signed_offline,
};

/// Where a node can be made to end.
const FAIL_POINTS: [&str; 4] = ["before-import", "after-import", "before-finality", "after-finality"];

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_of_forty_blocks_heals_into_one_chain_and_no_transaction_is_lost() {
    let lab = Lab::new(64, 4);
    let mut peers = Vec::new();
    for (name, author) in [("a", "//Alice"), ("b", "//Bob"), ("c", "//Charlie"), ("d", "//Dave")] {
        peers.push(lab.start(name, Some(author), &[]).await);
    }
    let (within, across) = ([(0, 1), (2, 3)], [(0, 2), (0, 3), (1, 2), (1, 3)]);
    for (one, other) in within.into_iter().chain(across) {
        link(&peers[one], &peers[other]).await;
    }
    until_height(&peers[3].node, 3).await;
    // Signed on a block that both sides will have.
    let left = signed_offline(&peers[0].node, "//Eve").await.unwrap();
    let right = signed_offline(&peers[0].node, "//Ferdie").await.unwrap();

    // All lose their connections at once. They know no others but those that they are told.
    for peer in &mut peers {
        peer.kill();
    }
    for peer in &mut peers {
        peer.restart().await;
    }
    for (one, other) in within {
        link(&peers[one], &peers[other]).await;
    }
    let nodes: Vec<&Node> = peers.iter().map(|peer| &peer.node).collect();
    let begun = height(nodes[0]).await.max(height(nodes[2]).await);
    submit(nodes[0], &left).await;
    submit(nodes[2], &right).await;
    until_height(nodes[0], begun + 40).await;
    until_height(nodes[2], begun + 40).await;
    assert!(!agree(&nodes, begun + 20).await, "the halves mined one chain: they were not parted");
    assert_eq!((transactions(nodes[0], "//Eve").await, transactions(nodes[2], "//Ferdie").await), (1, 1));

    for (one, other) in across {
        link(&peers[one], &peers[other]).await;
    }
    until("all agree on what was mined apart", || agree(&nodes, begun + 20)).await;
    for node in &nodes {
        until("the transactions of both halves are in the one chain", || async {
            transactions(node, "//Eve").await == 1 && transactions(node, "//Ferdie").await == 1
        })
        .await;
    }
}

/// That the weight which a node has stored for every block is the one that a fresh sync from it comes to.
async fn assert_weights_are_those_of_a_fresh_sync(lab: &Lab, peer: &Peer) {
    let fresh = lab.start("fresh", None, &[]).await;
    let (node, synced) = (&peer.node, &fresh.node);
    link(peer, &fresh).await;
    let top = height_of(node, finalized(node).await.unwrap()).await.unwrap();
    until_height(synced, top).await;
    for at in 1..=top {
        let hash = block_at(node, at).await.unwrap();
        assert_eq!(block_at(synced, at).await.unwrap(), hash);
        assert_eq!(weight(synced, hash).await, weight(node, hash).await, "at height {at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_thirty_times_at_random_moments_starts_every_time_with_its_weights_right() {
    let lab = Lab::new(8, 1);
    let mut peer = lab.start("killed", Some("//Alice"), &[]).await;
    let mut kept = 0;
    for round in 0u64..30 {
        let found = height_of(&peer.node, finalized(&peer.node).await.unwrap()).await.unwrap();
        assert!(found >= kept, "finalized {found} after {kept}, round {round}");
        kept = found;
        // Not on the beat of anything.
        tokio::time::sleep(Duration::from_millis(100 + round * 7919 % 1_100)).await;
        peer.kill();
        peer.restart().await;
    }
    until_height(&peer.node, kept + 10).await;
    assert_weights_are_those_of_a_fresh_sync(&lab, &peer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_ends_at_any_point_of_import_or_finality_goes_on_with_its_weights_right() {
    let lab = Lab::new(8, 1);
    let mut peer = lab.start("ended", Some("//Alice"), &[]).await;
    let usual = peer.process.settings.more.clone();
    let mut height = 12;
    for point in FAIL_POINTS {
        peer.kill();
        let fail_point = format!("{point}@{height}");
        peer.process.settings.more.extend(["--fail-point".into(), fail_point.clone()]);
        peer.process.restart().unwrap();
        let begun = Instant::now();
        let ended = loop {
            if let Some(ended) = peer.process.ended() {
                break ended;
            }
            assert!(begun.elapsed() < WITHIN, "it does not come to {fail_point}");
            tokio::time::sleep(LOOK_EVERY).await;
        };
        assert!(ended.contains("SIGABRT"), "{ended}");
        peer.process.settings.more = usual.clone();
        peer.restart().await;
        until_height(&peer.node, height + 2).await;
        height += 4;
    }
    assert_weights_are_those_of_a_fresh_sync(&lab, &peer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_ten_seconds_off_holds_nobody_up() {
    let lab = Lab::new(8, 3);
    let honest = lab.start("honest", Some("//Alice"), &[]).await;
    let ahead = lab.start_with_clock("ahead", Some("//Bob"), 10_000).await;
    let behind = lab.start_with_clock("behind", Some("//Charlie"), -10_000).await;
    let nodes = [&honest.node, &ahead.node, &behind.node];
    link(&honest, &ahead).await;
    link(&honest, &behind).await;
    until_height(nodes[0], 25).await;
    until("all have finalized the same", || async {
        let lowest = height_of(nodes[0], finalized(nodes[0]).await.unwrap()).await.unwrap();
        lowest >= 10 && agree(&nodes, lowest).await
    })
    .await;
    // The one that is ahead has dated the chain into the future; those of others still come.
    let mut authors = std::collections::BTreeSet::new();
    for at in 1..=height(nodes[0]).await {
        let claims = weir_e2e::observer::claims(nodes[0], block_at(nodes[0], at).await.unwrap()).await.unwrap();
        authors.insert(claims.author);
    }
    assert!(authors.contains(&account("//Bob").unwrap()));
}

/// The offset of a clock that shows the same time of the day before.
const YESTERDAY_MS: i64 = -86_400_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_slept_for_a_day_and_a_node_that_was_away_meanwhile_go_on() {
    let lab = Lab::new(8, 1);
    let mut awake = lab.start_with_clock("awake", Some("//Alice"), YESTERDAY_MS).await;
    let mut away = lab.start_with_clock("away", None, YESTERDAY_MS).await;
    link(&awake, &away).await;
    until_height(&away.node, 3).await;
    away.kill();
    until_height(&awake.node, 14).await;
    let before = block_at(&awake.node, 14).await.unwrap();
    awake.kill();

    // A day later.
    for peer in [&mut awake, &mut away] {
        peer.process.settings.clock_offset_ms = 0;
        peer.restart().await;
    }
    link(&awake, &away).await;
    until_height(&awake.node, 30).await;
    until_height(&away.node, 30).await;
    assert_eq!(block_at(&away.node, 14).await.unwrap(), before);
}

/// Goes back to a height with the subcommand, and says what it printed.
fn rewind(process: &NodeProcess, to: u64) -> String {
    let (chain, base) =
        (process.settings.chain.display().to_string(), process.settings.base_path.display().to_string());
    let to = to.to_string();
    let arguments = ["rewind", "--to", &to, "--chain", &chain, "--base-path", &base, "--state-pruning", "archive"];
    let output = run(&binary("weir-node").unwrap(), arguments, WITHIN).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heavier_fork_of_equal_height_wins_when_two_nodes_meet() {
    let lab = Lab::without_votes(32, |genesis| calibrate(genesis, 2));
    let mut light = lab.start("light", Some("//Alice"), &[]).await;
    let mut heavy = lab.start("heavy", Some("//Bob"), &[]).await;
    // The light chain rests for half a half-life, and its difficulty falls.
    until_height(&light.node, 2).await;
    light.kill();
    until_height(&heavy.node, 13).await;
    heavy.kill();
    tokio::time::sleep(Duration::from_secs(20)).await;
    light.restart().await;
    until_height(&light.node, 13).await;
    light.kill();

    for peer in [&mut light, &mut heavy] {
        rewind(&peer.process, 11);
        peer.process.settings.author = None;
        peer.restart().await;
    }
    let (of_light, of_heavy) = (light.node.best().await.unwrap(), heavy.node.best().await.unwrap());
    let number = |hex: String| u128::from_str_radix(hex.trim_start_matches("0x"), 16).unwrap();
    let (lighter, heavier) = (number(weight(&light.node, of_light).await), number(weight(&heavy.node, of_heavy).await));
    assert!(lighter < heavier, "{lighter} is not less than {heavier}");
    link(&heavy, &light).await;
    until("both follow the heavier fork", || async { light.node.best().await.is_ok_and(|best| best == of_heavy) })
        .await;
    assert_eq!(heavy.node.best().await.unwrap(), of_heavy);
}

#[tokio::test(flavor = "multi_thread")]
async fn miners_that_race_for_every_block_agree_and_who_hears_each_twice_at_once_follows() {
    // So easy at first that blocks come eight times as fast as they should, and many at once.
    let lab = Lab::with(24, |genesis| {
        calibrate(genesis, 2);
        let first = &mut genesis["difficulty"]["parameters"]["consensus"]["initialDifficulty"];
        let usual = u64::from_str_radix(first.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
        *first = format!("{:#x}", usual / 8).into();
    });
    let one = lab.start("one", Some("//Alice"), &[]).await;
    let other = lab.start("other", Some("//Bob"), &[]).await;
    let hearer = lab.start("hearer", None, &[]).await;
    for (from, to) in [(&one, &other), (&one, &hearer), (&other, &hearer)] {
        link(from, to).await;
    }
    let nodes = [&one.node, &other.node, &hearer.node];
    until("all have finalized the same 40 blocks, and both miners have made some of the finalized ones", || async {
        let mut lowest = u64::MAX;
        for node in nodes {
            lowest = lowest.min(height_of(node, finalized(node).await.unwrap()).await.unwrap());
        }
        if lowest < 40 || !agree(&nodes, lowest).await {
            return false;
        }
        let mut authors = std::collections::BTreeSet::new();
        for at in 1..=lowest {
            let claims = weir_e2e::observer::claims(nodes[2], block_at(nodes[2], at).await.unwrap()).await.unwrap();
            authors.insert(claims.author);
        }
        authors.len() == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_chains_of_equal_weight_at_the_floor_each_node_keeps_its_own_until_one_grows() {
    // The floor is so high that blocks are late, and the difficulty cannot fall for it.
    let mut floor = 0;
    let lab = Lab::without_votes(32, |genesis| {
        calibrate(genesis, 1);
        let consensus = &mut genesis["difficulty"]["parameters"]["consensus"];
        let normal = u64::from_str_radix(consensus["initialDifficulty"].as_str().unwrap().trim_start_matches("0x"), 16);
        floor = 3 * normal.unwrap();
        consensus["initialDifficulty"] = format!("{floor:#x}").into();
        consensus["floorDifficulty"] = format!("{floor:#x}").into();
    });
    let mut one = lab.start("one", Some("//Alice"), &[]).await;
    let mut other = lab.start("other", Some("//Bob"), &[]).await;
    for peer in [&mut one, &mut other] {
        until_height(&peer.node, 5).await;
        let mut lowest = u64::MAX;
        for at in 1..=5 {
            let claims = weir_e2e::observer::claims(&peer.node, block_at(&peer.node, at).await.unwrap()).await.unwrap();
            lowest = lowest.min(claims.base.low_u64());
        }
        assert_eq!(lowest, floor);
        peer.kill();
        // The first block of every chain has the same base.
        rewind(&peer.process, 1);
        peer.process.settings.author = None;
        peer.restart().await;
    }
    let (of_one, of_other) = (one.node.best().await.unwrap(), other.node.best().await.unwrap());
    assert_ne!(of_one, of_other);
    assert_eq!(weight(&one.node, of_one).await, weight(&other.node, of_other).await);
    link(&one, &other).await;
    // Each has the other's chain, and its own is the best.
    for (peer, own, foreign) in [(&one, of_one, of_other), (&other, of_other, of_one)] {
        until("it knows the weight of the other chain", || async {
            let known: Result<String, _> = peer.node.rpc().request("weir_chainWeight", rpc_params![foreign]).await;
            known.is_ok()
        })
        .await;
        assert_eq!(peer.node.best().await.unwrap(), own);
    }

    other.kill();
    other.process.settings.author = Some("//Bob".into());
    other.restart().await;
    link(&one, &other).await;
    until_height(&one.node, 2).await;
    assert_eq!(block_at(&one.node, 1).await.unwrap(), of_other);
}

/// The chain spec, with a checkpoint.
fn with_checkpoint(chain: &Path, at: u64, hash: H256) -> PathBuf {
    let mut spec: Value = serde_json::from_slice(&fs::read(chain).unwrap()).unwrap();
    spec["forkBlocks"] = json!([[at, hash]]);
    let file = chain.with_file_name("chain-spec-with-checkpoint.json");
    fs::write(&file, serde_json::to_vec(&spec).unwrap()).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_its_only_peer_lied_to_comes_back_by_rewinding_below_finality_to_a_checkpoint() {
    let lab = Lab::new(8, 2);
    let honest = lab.start("honest", Some("//Alice"), &[]).await;
    // With the key of the only voter: nobody else could make a lie final.
    let mut liar = lab.start("liar", Some("//Alice"), &[]).await;
    let mut victim = lab.start("victim", None, &[]).await;
    link(&liar, &victim).await;
    until("the victim has finalized the lie", || async {
        height_of(&victim.node, finalized(&victim.node).await.unwrap()).await.unwrap() >= 2
    })
    .await;
    until_height(&honest.node, 14).await;
    liar.kill();

    // It does not follow the honest chain, however heavy: that would take back what it has finalized.
    let lie = block_at(&victim.node, 2).await.unwrap();
    link(&honest, &victim).await;
    until("the two have met", || async { view(&victim.node).await.is_ok_and(|view| view.peers > 0) }).await;
    until_height(&honest.node, height(&victim.node).await + 10).await;
    assert_eq!(block_at(&victim.node, 2).await.unwrap(), lie);
    victim.kill();

    let truth = block_at(&honest.node, 1).await.unwrap();
    victim.process.settings.chain = with_checkpoint(&lab.chain, 1, truth);
    let said = rewind(&victim.process, 0);
    assert!(said.contains("ends at block 0") && said.contains("before-rewind"), "{said}");
    victim.restart().await;
    link(&honest, &victim).await;
    until_height(&victim.node, 10).await;
    assert_eq!(block_at(&victim.node, 1).await.unwrap(), truth);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewound_chain_has_the_weights_that_it_had_and_can_go_on() {
    let lab = Lab::new(8, 1);
    let mut peer = lab.start("rewound", Some("//Alice"), &[]).await;
    until_height(&peer.node, 20).await;
    let mut known = Vec::new();
    for at in 1..=6 {
        let hash = block_at(&peer.node, at).await.unwrap();
        known.push((at, hash, weight(&peer.node, hash).await));
    }
    peer.kill();
    rewind(&peer.process, 6);
    peer.process.settings.author = None;
    peer.restart().await;
    assert_eq!(height(&peer.node).await, 6);
    for (at, hash, weighed) in known {
        assert_eq!((block_at(&peer.node, at).await.unwrap(), weight(&peer.node, hash).await), (hash, weighed));
    }
    peer.kill();
    peer.process.settings.author = Some("//Alice".into());
    peer.restart().await;
    until_height(&peer.node, 10).await;
}
