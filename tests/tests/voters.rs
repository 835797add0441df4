//! Voters and authors on real processes: who joins, leaves and takes other keys, and what others can check of it.

use codec::{Decode, Encode};
use serde_json::{json, Value};
use sp_core::{ed25519, Pair};
use std::path::Path;
use subxt::{rpcs::rpc_params, utils::H256};
use weir_agent::{
    account::{act, Action, ProvenKey},
    chain::{actor::Actor, Node},
    identity::account_key,
};
use weir_e2e::{
    light::{self, FinalityProof, Voters},
    network::{account, calibrate},
    observer::{block_at, claims},
    peers::{bond_voter, does, final_height, height, link, new_key, until, until_height, voter, Lab, Peer},
    process::Process,
};
use weir_primitives::{finality::voter_payload, AccountId, PLANCK_PER_WEIR};
use weir_runtime::Runtime;

const SECRETS: [(&str, &str); 4] = [("a", "//Alice"), ("b", "//Bob"), ("c", "//Charlie"), ("d", "//Dave")];
/// As much as makes the whole of anybody's bond count.
const ENOUGH: u64 = 750_000_000;
const BOND: u128 = 1_000 * PLANCK_PER_WEIR;

/// A chain of short epochs, whose authors have bandwidth behind them. Dave is no voter of genesis.
fn lab() -> Lab {
    Lab::with_bandwidth(8, &SECRETS.map(|(_, secret)| (secret, ENOUGH)), |genesis| {
        let consensus = &mut genesis["difficulty"]["parameters"]["consensus"];
        consensus["blockTime"] = 333.into();
        consensus["leastBlockInterval"] = 16.into();
        consensus["halfLife"] = 20_000.into();
        let measurement = &mut genesis["difficulty"]["parameters"]["measurement"];
        measurement["notice"] = 1_000.into();
        measurement["reportDeadline"] = 5_000.into();
        genesis["finality"]["voters"] = json!(SECRETS[..3].iter().map(|(_, it)| voter(it)).collect::<Vec<_>>());
        calibrate(genesis, 4);
    })
}

async fn voters(node: &Node) -> Voters {
    let best = node.best().await.unwrap();
    let list: Vec<([u8; 32], u64)> = node.ask("GrandpaApi_grandpa_authorities", (), Some(best)).await.unwrap();
    list.into_iter().collect()
}

async fn until_final(node: &Node, wanted: u64) {
    until(&format!("height {wanted} is final"), || async { final_height(node).await >= wanted }).await;
}

/// Waits until these keys and no others vote, and something is final above the block at which that is so.
async fn until_vote(nodes: &[&Node], keys: &[[u8; 32]]) {
    let mut wanted = keys.to_vec();
    wanted.sort_unstable();
    until("the voters are those that should vote", || async {
        voters(nodes[0]).await.into_keys().collect::<Vec<_>>() == wanted
    })
    .await;
    let from = height(nodes[0]).await;
    for node in nodes {
        until_final(node, from + 2).await;
    }
}

/// Follows what is final from genesis on, by proofs and what they say of the next voters alone. Gives the number of the set that votes at the end.
async fn follow(node: &Node, mut voters: Voters) -> u64 {
    let (mut set, mut asked) = (0, 1);
    loop {
        let encoded: String = node.rpc().request("grandpa_proveFinality", rpc_params![asked]).await.unwrap();
        let bytes = hex::decode(encoded.trim_start_matches("0x")).unwrap();
        let mut input = &bytes[..];
        let proof = FinalityProof::decode(&mut input).unwrap();
        assert!(input.is_empty());
        let shown = light::check(&proof.justification, set, &voters).unwrap();
        assert_eq!(shown.target, proof.block);
        assert!(proof.headers.windows(2).all(|two| two[1].parent() == two[0].hash()), "the headers are no chain");
        refuse_forgeries(&proof, set, &voters);

        let Some(last) = proof.headers.last() else { return set };
        assert_eq!((last.hash(), last.height()), (shown.target, shown.height));
        let Some(next) = last.next_voters() else { return set };
        (voters, set, asked) = (next, set + 1, shown.height + 1);
        if u64::from(asked) > final_height(node).await {
            return set;
        }
    }
}

/// That the check is one: what differs from the proof in a signature, a set, a voter or the weight is refused.
fn refuse_forgeries(proof: &FinalityProof, set: u64, voters: &Voters) {
    let refused = |bytes: &[u8], set, voters: &Voters| light::check(bytes, set, voters).is_err();
    assert!(refused(&proof.justification, set + 1, voters), "a proof holds for another set");
    let mut longer = proof.justification.clone();
    longer.push(0);
    assert!(refused(&longer, set, voters));
    let right = light::Justification::decode(&mut &proof.justification[..]).unwrap();
    let mut other_block = right.clone();
    other_block.target[0] ^= 1;
    assert!(refused(&other_block.encode(), set, voters), "votes hold for another block");
    let mut other_round = right.clone();
    other_round.round += 1;
    assert!(refused(&other_round.encode(), set, voters), "votes hold for another round");
    let mut few = right.clone();
    few.precommits.truncate(1);
    let mut same = few.clone();
    same.precommits = vec![few.precommits[0].clone(); voters.len()];
    if voters.len() > 1 {
        assert!(refused(&few.encode(), set, voters) && refused(&same.encode(), set, voters), "one vote is enough");
    }
    let mut strangers = voters.clone();
    strangers.remove(&right.precommits[0].voter);
    assert!(refused(&proof.justification, set, &strangers), "strangers vote");
}

#[tokio::test(flavor = "multi_thread")]
async fn voters_join_leave_and_take_other_keys_while_blocks_become_final_and_anybody_can_check_it() {
    let lab = lab();
    let mut peers = Vec::new();
    for (name, secret) in SECRETS {
        peers.push(lab.start(name, Some(secret), &[]).await);
    }
    for (at, one) in peers.iter().enumerate() {
        for other in &peers[at + 1..] {
            link(one, other).await;
        }
    }
    let nodes: Vec<&Node> = peers.iter().map(|peer: &Peer| &peer.node).collect();
    until_final(nodes[0], 1).await;
    let of_genesis = voters(nodes[0]).await;
    assert_eq!(of_genesis.len(), 3);

    // All four bond, each with a key that its own node made: the voters of genesis are replaced.
    let mut keys = Vec::new();
    for ((_, secret), node) in SECRETS.iter().zip(&nodes) {
        let key = new_key(node, "weir_newVoterKey", secret).await;
        keys.push(key.key);
        does(node, secret, Action::JoinVoters(BOND, key)).await;
    }
    until_vote(&nodes, &keys).await;
    let four = voters(nodes[0]).await;
    assert!(four.values().all(|weight| *weight == 250_000_000_000), "{four:?}");

    // One takes another key, and one leaves.
    let rotated = new_key(nodes[2], "weir_newVoterKey", "//Charlie").await;
    keys[2] = rotated.key;
    does(nodes[2], "//Charlie", Action::VoterKey(rotated)).await;
    until_vote(&nodes, &keys).await;
    does(nodes[3], "//Dave", Action::LeaveVoters).await;
    keys.truncate(3);
    until_vote(&nodes, &keys).await;

    // Its bond comes back when nothing that it signed can be held against it any more.
    let dave = account("//Dave").unwrap();
    let actor = Actor::own(account_key(Some("//Eve"), None).unwrap());
    assert!(act(nodes[0], &actor, Action::WithdrawVoterBond(dave.clone())).await.is_err(), "a bond comes back at once");
    let unbonded = height(nodes[0]).await + 60;
    until_height(nodes[0], unbonded).await;
    act(nodes[0], &actor, Action::WithdrawVoterBond(dave)).await.unwrap();

    let end: u64 = nodes[0].ask("GrandpaApi_current_set_id", (), None).await.unwrap();
    assert!(end >= 3, "the voters changed {end} times");
    assert!(follow(nodes[1], of_genesis).await >= 3);
}

/// What an account has bonded as a voter.
async fn bonded(node: &Node, secret: &str) -> Option<u128> {
    let key = subxt::utils::to_hex(pallet_finality::Bonds::<Runtime>::hashed_key_for(account(secret).unwrap()));
    let value: Option<String> = node.rpc().request("state_getStorage", rpc_params![key]).await.unwrap();
    let bytes = sp_core::bytes::from_hex(&value?).unwrap();
    Some(pallet_finality::Bonded::decode(&mut &bytes[..]).unwrap().bond)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_votes_with_one_key_on_two_machines_loses_its_bond_and_the_others_go_on() {
    let lab = lab();
    let mut peers = Vec::new();
    for (name, secret) in SECRETS {
        peers.push(lab.start(name, Some(secret), &[]).await);
    }
    // The same key, without its records.
    peers.push(lab.start("twin", Some("//Dave"), &[]).await);
    for (at, one) in peers.iter().enumerate() {
        for other in &peers[at + 1..] {
            link(one, other).await;
        }
    }
    let nodes: Vec<&Node> = peers.iter().map(|peer: &Peer| &peer.node).collect();
    until_final(nodes[0], 1).await;
    for ((_, secret), node) in SECRETS[..3].iter().zip(&nodes) {
        bond_voter(node, secret, BOND).await;
    }
    let pair = ed25519::Pair::from_string("//Dave", None).unwrap();
    let genesis: H256 = nodes[0].rpc().request("chain_getBlockHash", rpc_params![0]).await.unwrap();
    let proof = pair.sign(&voter_payload(genesis.0.into(), &account("//Dave").unwrap()));
    let key = ProvenKey { key: pair.public().0, proof: proof.0 };
    does(nodes[3], "//Dave", Action::JoinVoters(BOND, key)).await;
    assert_eq!(bonded(nodes[0], "//Dave").await, Some(BOND));

    until("the bond of who voted twice is gone", || async {
        bonded(nodes[0], "//Dave").await.is_none_or(|it| it == 0)
    })
    .await;
    for (_, secret) in &SECRETS[..3] {
        assert_eq!(bonded(nodes[0], secret).await, Some(BOND), "{secret} lost its bond too");
    }
    let from = height(nodes[0]).await;
    for node in &nodes[..3] {
        until_final(node, from + 2).await;
    }
}

/// What a client prints of a final block.
#[derive(serde::Deserialize)]
struct Seen {
    number: u64,
    hash: H256,
    set: u64,
    voters: usize,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js and npm: scripts/clients runs it"]
async fn polkadot_js_follows_what_is_final_across_changes_of_the_voters() {
    let lab = lab();
    let mut peers = Vec::new();
    for (name, secret) in &SECRETS[..3] {
        peers.push(lab.start(name, Some(secret), &[]).await);
    }
    for (at, one) in peers.iter().enumerate() {
        for other in &peers[at + 1..] {
            link(one, other).await;
        }
    }
    until_final(&peers[0].node, 1).await;
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    let log = clients.join("node_modules/.follow.log");
    // What another run has left.
    let _ = std::fs::remove_file(&log);
    let arguments = [clients.join("follow.mjs").display().to_string(), peers[0].process.url()];
    let _client = Process::start(Path::new("node"), arguments, log.clone()).unwrap();

    for (peer, (_, secret)) in peers.iter().zip(&SECRETS[..2]) {
        bond_voter(&peer.node, secret, BOND).await;
    }
    let set_of = || async { peers[0].node.ask::<_, u64>("GrandpaApi_current_set_id", (), None).await.unwrap() };
    until("the voters changed", || async { set_of().await >= 1 }).await;
    bond_voter(&peers[2].node, "//Charlie", BOND).await;
    until("the voters changed again", || async { set_of().await >= 2 }).await;
    let end = height(&peers[0].node).await + 5;
    until_final(&peers[0].node, end).await;
    let read = || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<Seen>>()
    };
    until("the client has seen it", || async { read().last().is_some_and(|seen| seen.number >= end) }).await;

    let seen = read();
    assert!(seen.windows(2).all(|two| two[1].number == two[0].number + 1 && two[1].set >= two[0].set));
    for block in &seen {
        assert_eq!(block_at(&peers[0].node, block.number).await.unwrap(), block.hash);
    }
    let (first, last) = (&seen[0], &seen[seen.len() - 1]);
    assert!(last.set >= first.set + 2 && last.voters == 3, "set {} to {}, {} voters", first.set, last.set, last.voters);
    println!("{} final blocks, sets {} to {}", seen.len(), first.set, last.set);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_signs_blocks_is_rotated_while_the_node_mines_and_lost_without_losing_anything_of_the_account() {
    let alice = account("//Alice").unwrap();
    let lab = Lab::with_bandwidth(8, &[("//Alice", ENOUGH)], |genesis| {
        genesis["finality"]["voters"] = json!([voter("//Alice")]);
        calibrate(genesis, 1);
    });
    let author = alice.to_string();
    let mut peer = lab.start("a", Some("//Alice"), &["--author", &author]).await;
    until_height(&peer.node, 3).await;
    let mut before = alice.clone();
    for _ in 0..2 {
        let key = new_key(&peer.node, "weir_newAuthorKey", "//Alice").await;
        let signs = AccountId::new(key.key);
        does(&peer.node, "//Alice", Action::AuthorKey(Some(key))).await;
        let from = height(&peer.node).await;
        until_height(&peer.node, from + 3).await;
        let block = block_at(&peer.node, from + 3).await.unwrap();
        assert_eq!(claims(&peer.node, block).await.unwrap().author, signs);
        assert_ne!(signs, before);
        let mining: Value = peer.node.rpc().request("weir_mining", rpc_params![]).await.unwrap();
        assert_eq!((&mining["key"], &mining["account"]), (&json!(signs), &json!(alice)), "{mining}");
        before = signs;
    }
    // What is behind the account counts although it signs nothing itself any more: the next snapshots have it, and its credit is spent.
    let from = height(&peer.node).await;
    until("credit is spent by the key", || async {
        let best = peer.node.best().await.unwrap();
        let claimed = claims(&peer.node, best).await.unwrap();
        claimed.author == before && claimed.credit.deconstruct() > 0
    })
    .await;
    until_height(&peer.node, from + 40).await;
    let best = peer.node.best().await.unwrap();
    assert!(claims(&peer.node, best).await.unwrap().credit.deconstruct() > 0);

    // The machine is lost, with the key. A new one makes another key; the account still has all it had.
    peer.kill();
    let keystore = lab.settings("a", None, &[]).base_path.join("chains/weir_dev/keystore");
    for entry in std::fs::read_dir(&keystore).unwrap() {
        let path = entry.unwrap().path();
        // All but the key of the account itself, without which the node has none to start with, and that of its vote.
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("77656972") && !name.ends_with(&hex::encode::<[u8; 32]>(alice.clone().into())) {
            std::fs::remove_file(path).unwrap();
        }
    }
    peer.restart().await;
    let stands = height(&peer.node).await;
    let mining: Value = peer.node.rpc().request("weir_mining", rpc_params![]).await.unwrap();
    assert_eq!(mining["key"], Value::Null, "{mining}");
    // Nobody else makes blocks here, so the account goes back to its own key on a node that has one.
    let other = lab.start("b", Some("//Bob"), &[]).await;
    link(&peer, &other).await;
    until_height(&peer.node, stands + 1).await;
    let actor = Actor::own(account_key(Some("//Alice"), None).unwrap());
    until("the account names its own key again", || async {
        // The pool of a node that was just started may be behind the chain, and refuse what is signed on its final block.
        let said = act(&peer.node, &actor, Action::AuthorKey(None)).await;
        said.inspect_err(|error| println!("{error}")).is_ok()
    })
    .await;
    until("the account's own key signs", || async {
        let best = peer.node.best().await.unwrap();
        claims(&peer.node, best).await.unwrap().author == alice
    })
    .await;
}
