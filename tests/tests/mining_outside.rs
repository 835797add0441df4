//! Miners outside the node, on real processes.

use serde_json::{json, Value};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use subxt::rpcs::rpc_params;
use weir_agent::chain::Node;
use weir_e2e::{
    network::{calibrate, write_chain_spec, NodeProcess, NodeSettings},
    observer::view,
    process::{binary, Process},
};
use weir_pow::Search;

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long anything may take on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);

struct Lab {
    folder: tempfile::TempDir,
    chain: PathBuf,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let chain = write_chain_spec(folder.path(), "dev", |genesis| calibrate(genesis, 1)).unwrap();
        Self { folder, chain }
    }

    /// A validator whose blocks only miners outside search.
    async fn node(&self, name: &str, boot_node: Option<String>, more: &[&str]) -> (NodeProcess, Node) {
        self.start(name, Some("//Alice"), boot_node, more).await
    }

    async fn start(
        &self,
        name: &str,
        author: Option<&str>,
        boot_node: Option<String>,
        more: &[&str],
    ) -> (NodeProcess, Node) {
        let mut process = NodeProcess::start(NodeSettings {
            name: name.into(),
            chain: self.chain.clone(),
            base_path: self.folder.path().join(name),
            author: author.map(Into::into),
            boot_node,
            state_pruning: None,
            clock_offset_ms: 0,
            more: ["--mining-threads", "0"].iter().chain(more).map(ToString::to_string).collect(),
        })
        .unwrap();
        let node = process.connect().await.unwrap();
        (process, node)
    }

    fn miner(&self, name: &str, nodes: &[&NodeProcess]) -> Process {
        let mut arguments = ["--threads", "1", "--report-every", "1", "--json"].map(String::from).to_vec();
        for node in nodes {
            arguments.extend(["--node".into(), node.url()]);
        }
        Process::start(&binary("weir-miner").unwrap(), arguments, self.log(name)).unwrap()
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }
}

/// The last report in the log of a miner.
fn report(log: &Path) -> Option<Value> {
    let said = std::fs::read_to_string(log).ok()?;
    said.lines().rev().find_map(|line| serde_json::from_str(line).ok())
}

async fn height(node: &Node) -> u64 {
    view(node).await.unwrap().height
}

/// Waits until something is so.
async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < WITHIN, "{what}: not within {WITHIN:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn until_height(node: &Node, wanted: u64) {
    until(&format!("height {wanted}"), async || (height(node).await >= wanted).then_some(())).await;
}

async fn call(node: &Node, method: &str, parameters: subxt::rpcs::client::RpcParams) -> Result<Value, String> {
    node.rpc().request(method, parameters).await.map_err(|error: subxt::rpcs::Error| error.to_string())
}

async fn work(node: &Node) -> Value {
    until("work", async || call(node, "weir_getWork", rpc_params![]).await.ok().filter(|work| !work.is_null())).await
}

fn bytes(value: &Value) -> [u8; 32] {
    hex::decode(value.as_str().unwrap().trim_start_matches("0x")).unwrap().try_into().unwrap()
}

/// The first nonce of a work that is right, and one that is not.
fn nonces(work: &Value) -> (u64, u64) {
    let (preimage, target) = (bytes(&work["preimage"]), bytes(&work["target"]));
    let right = Search::new(preimage, target).find(0..u64::MAX).unwrap();
    let wrong = (0..).find(|nonce| weir_pow::work(&preimage, *nonce) > target).unwrap();
    (right, wrong)
}

async fn submit(node: &Node, work: &Value, nonce: u64) -> Value {
    call(node, "weir_submitWork", rpc_params![&work["preimage"], format!("{nonce:#x}")]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_is_answered_by_what_becomes_of_it() {
    let lab = Lab::new();
    let (_process, node) = lab.node("alice", None, &[]).await;
    // The newest one may be replaced while its nonce is searched: so until one was in time.
    let (first, accepted) = until("a block in time", async || {
        let work = work(&node).await;
        let of = work.clone();
        let (right, wrong) = tokio::task::spawn_blocking(move || nonces(&of)).await.unwrap();
        let answer = submit(&node, &work, wrong).await;
        assert!([json!("aboveTarget"), json!("stale")].contains(&answer["status"]), "{answer}");
        let answer = submit(&node, &work, right).await;
        match answer["status"].as_str().unwrap() {
            "accepted" => Some(((work, right), answer)),
            "stale" => None,
            other => panic!("{other}"),
        }
    })
    .await;
    let ((work_of_first, nonce), block) = (first, accepted["block"].clone());
    assert_eq!(accepted["isBest"], json!(true));
    assert_eq!(height(&node).await, work_of_first["height"].as_u64().unwrap());
    assert_eq!(call(&node, "chain_getBlockHash", rpc_params![work_of_first["height"].clone()]).await.unwrap(), block);
    let next = until("work on it", async || Some(work(&node).await).filter(|work| work["parent"] == block)).await;
    assert_eq!(next["height"].as_u64(), work_of_first["height"].as_u64().map(|height| height + 1));

    assert_eq!(submit(&node, &work_of_first, nonce).await["status"], "duplicate");
    let mut unknown = work_of_first.clone();
    unknown["preimage"] = json!(format!("0x{}", "77".repeat(32)));
    assert_eq!(submit(&node, &unknown, nonce).await["status"], "unknown");
    for (bad, said) in
        [("12", "a nonce is"), ("0x", "a nonce is"), ("0x+1", "a nonce is"), ("0x11111111111111111", "a nonce is")]
    {
        let refused = call(&node, "weir_submitWork", rpc_params![&next["preimage"], bad]).await.unwrap_err();
        assert!(refused.contains(said), "{refused}");
    }
    let refused = call(&node, "weir_getWork", rpc_params![2]).await.unwrap_err();
    assert!(refused.contains("version 2"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_gives_work_to_nobody_who_may_not_have_it_and_none_where_it_makes_no_blocks() {
    let lab = Lab::new();
    let (_process, node) = lab.node("alice", None, &["--rpc-methods", "safe"]).await;
    for (method, parameters) in [
        ("weir_getWork", rpc_params![]),
        ("weir_submitWork", rpc_params![format!("0x{}", "00".repeat(32)), "0x0"]),
        ("weir_subscribeWork", rpc_params![]),
    ] {
        let refused = call(&node, method, parameters).await.unwrap_err();
        assert!(refused.contains("unsafe"), "{method}: {refused}");
    }
    let (_process, node) = lab.start("bob", None, None, &[]).await;
    let refused = call(&node, "weir_getWork", rpc_params![]).await.unwrap_err();
    assert!(refused.contains("--validator"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miner_goes_on_when_its_node_or_itself_was_killed() {
    let lab = Lab::new();
    let (mut process, node) = lab.node("alice", None, &[]).await;
    let mut miner = lab.miner("miner", &[&process]);
    until_height(&node, 5).await;

    process.kill_and_restart().unwrap();
    let node = process.connect().await.unwrap();
    let before = height(&node).await;
    assert!(before >= 4, "what was imported is there, but for what was in flight: {before}");
    until_height(&node, before + 4).await;
    let seen =
        until("a report", async || report(&lab.log("miner")).filter(|it| it["lostConnections"].as_u64() >= Some(1)))
            .await;
    assert!(seen["hashes"].as_u64().unwrap() > 0);

    miner.kill().unwrap();
    let before = height(&node).await;
    let _again = lab.miner("again", &[&process]);
    until_height(&node, before + 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miner_of_two_nodes_goes_on_with_the_one_that_is_left() {
    let lab = Lab::new();
    let (mut first, node) = lab.node("first", None, &[]).await;
    let boot_node = first.address().await.unwrap();
    let (second, other) = lab.node("second", Some(boot_node), &[]).await;
    let _miner = lab.miner("miner", &[&first, &second]);
    until_height(&node, 4).await;
    until_height(&other, 4).await;
    first.kill().unwrap();
    let before = height(&other).await;
    until_height(&other, before + 4).await;
    let seen = until("a report", async || report(&lab.log("miner")).filter(|it| it["nodes"] == 1)).await;
    assert!(seen["accepted"].as_u64().unwrap() >= 4);
}
