//! A few nodes that know no others but those that they are told, on a chain of their own: what tests of faults are made with.

#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "tests alone use this, and end where something does not work"
)]

use crate::{
    network::{account, calibrate, write_chain_spec, NodeProcess, NodeSettings},
    observer::{block_at, finalized, height_of, view},
};
use codec::Encode;
use pallet_difficulty::{Authors, ShareTotals};
use serde_json::{json, Value};
use sp_core::{crypto::Ss58Codec, ed25519, Pair};
use std::{
    fs,
    future::Future,
    path::PathBuf,
    time::{Duration, Instant},
};
use subxt::{rpcs::rpc_params, utils::H256};
use weir_agent::{
    account::{act, Action, ProvenKey},
    chain::{actor::Actor, Node},
    identity::account_key,
};
use weir_primitives::consensus::shares::{Author, Totals};
use weir_runtime::Runtime;

/// How often something that is waited for is looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long anything may take on a busy machine.
pub const WITHIN: Duration = Duration::from_secs(400);

/// A chain of its own, in a folder that goes with it.
pub struct Lab {
    folder: tempfile::TempDir,
    /// The chain spec.
    pub chain: PathBuf,
}

impl Lab {
    /// With blocks of a second and a finality depth.
    pub fn new(depth: u32, miners: u32) -> Self {
        Self::with(depth, |genesis| calibrate(genesis, miners))
    }

    /// With another first difficulty, or floor.
    pub fn with(depth: u32, change: impl FnOnce(&mut Value)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let chain = write_chain_spec(folder.path(), "dev", |genesis| {
            let parameters = &mut genesis["difficulty"]["parameters"];
            parameters["consensus"]["snapshotDepth"] = depth.into();
            parameters["consensus"]["creditCapBlocks"] = depth.into();
            parameters["measurement"]["epochBlocks"] = (depth + 8).into();
            parameters["registry"]["unbondingBlocks"] = (3 * (depth + 8)).into();
            change(genesis);
        })
        .unwrap();
        Self { folder, chain }
    }

    /// With bandwidth behind some authors from the first snapshot on, as if providers that name them had been measured.
    pub fn with_bandwidth(depth: u32, behind: &[(&str, u64)], change: impl FnOnce(&mut Value)) -> Self {
        let lab = Self::with(depth, change);
        let mut spec: Value = serde_json::from_slice(&fs::read(&lab.chain).unwrap()).unwrap();
        let top = &mut spec["genesis"]["raw"]["top"];
        let mut put = |key: &[u8], value: Vec<u8>| top[subxt::utils::to_hex(key)] = subxt::utils::to_hex(value).into();
        let mut totals = Totals::default();
        for (secret, bits_per_second) in behind {
            let mut author = Author::default();
            author.change(0, 0, *bits_per_second, &mut totals);
            put(&Authors::<Runtime>::hashed_key_for(account(secret).unwrap()), author.encode());
        }
        put(&ShareTotals::<Runtime>::hashed_key(), totals.encode());
        fs::write(&lab.chain, serde_json::to_vec(&spec).unwrap()).unwrap();
        lab
    }

    /// With blocks of a second, on which nothing becomes final: its only voter is nowhere.
    pub fn without_votes(depth: u32, change: impl FnOnce(&mut Value)) -> Self {
        Self::with(depth, |genesis| {
            genesis["finality"]["voters"] = json!([voter("//Ferdie")]);
            change(genesis);
        })
    }

    /// Starts a node that knows no other.
    pub async fn start(&self, name: &str, author: Option<&str>, more: &[&str]) -> Peer {
        self.start_with(self.settings(name, author, more)).await
    }

    /// Starts a node that knows no other, and whose clock is off.
    pub async fn start_with_clock(&self, name: &str, author: Option<&str>, clock_offset_ms: i64) -> Peer {
        self.start_with(NodeSettings { clock_offset_ms, ..self.settings(name, author, &[]) }).await
    }

    /// Starts a node with these settings.
    pub async fn start_with(&self, settings: NodeSettings) -> Peer {
        let mut process = NodeProcess::start(settings).unwrap();
        let address = process.address().await.unwrap();
        let node = process.connect().await.unwrap();
        Peer { process, node, address }
    }

    /// What a node of this chain is started with, that knows no other.
    pub fn settings(&self, name: &str, author: Option<&str>, more: &[&str]) -> NodeSettings {
        NodeSettings {
            name: name.into(),
            chain: self.chain.clone(),
            base_path: self.folder.path().join(name),
            author: author.map(Into::into),
            boot_node: None,
            state_pruning: None,
            clock_offset_ms: 0,
            more: ["--reserved-only"].iter().chain(more).map(ToString::to_string).collect(),
        }
    }
}

/// The voter of a secret, as genesis names it: its account, and its ed25519 key.
pub fn voter(secret: &str) -> (String, String) {
    let key = ed25519::Pair::from_string(secret, None).unwrap().public();
    (account(secret).unwrap().to_string(), key.to_ss58check())
}

/// A node, a connection to it, and where others find it.
pub struct Peer {
    /// Its process.
    pub process: NodeProcess,
    /// A connection to it.
    pub node: Node,
    /// Where others find it.
    pub address: String,
}

impl Peer {
    /// Starts it again, after it has ended.
    pub async fn restart(&mut self) {
        self.process.restart().unwrap();
        self.node = self.process.connect().await.unwrap();
    }

    /// Ends it as a power failure would.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
    }
}

/// Waits until something is so.
pub async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < WITHIN, "it takes too long until {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The height of the best block of a node; zero if it does not answer.
pub async fn height(node: &Node) -> u64 {
    view(node).await.map_or(0, |view| view.height)
}

/// Waits until a node has come to a height.
pub async fn until_height(node: &Node, wanted: u64) {
    until(&format!("height {wanted}"), || async { height(node).await >= wanted }).await;
}

/// Lets two nodes connect to each other.
pub async fn link(one: &Peer, other: &Peer) {
    for (from, to) in [(one, other), (other, one)] {
        let _: Value = from.node.rpc().request("system_addReservedPeer", rpc_params![&to.address]).await.unwrap();
    }
}

/// Whether all these nodes have the same block at a height.
pub async fn agree(nodes: &[&Node], at: u64) -> bool {
    let mut hashes = Vec::new();
    for node in nodes {
        let Ok(hash) = block_at(node, at).await else { return false };
        hashes.push(hash);
    }
    hashes.windows(2).all(|pair| pair[0] == pair[1])
}

/// The weight that a node has of the chain up to a block.
pub async fn weight(node: &Node, hash: H256) -> String {
    node.rpc().request("weir_chainWeight", rpc_params![hash]).await.unwrap()
}

/// How many transactions of an account are in the chain of a node.
pub async fn transactions(node: &Node, secret: &str) -> u32 {
    let best = node.best().await.unwrap();
    node.ask("AccountNonceApi_account_nonce", account(secret).unwrap(), Some(best)).await.unwrap()
}

/// Submits a transaction to a node.
pub async fn submit(node: &Node, transaction: &[u8]) {
    let hexed = subxt::utils::to_hex(transaction);
    let _: Value = node.rpc().request("author_submitExtrinsic", rpc_params![hexed]).await.unwrap();
}

/// The height of the final block of a node.
pub async fn final_height(node: &Node) -> u64 {
    height_of(node, finalized(node).await.unwrap()).await.unwrap()
}

/// Has a node make a key that votes for an account, and bonds for it.
pub async fn bond_voter(node: &Node, secret: &str, bond: u128) -> [u8; 32] {
    let key = new_key(node, "weir_newVoterKey", secret).await;
    let public = key.key;
    does(node, secret, Action::JoinVoters(bond, key)).await;
    public
}

/// A key that a node makes for an account, by one of its unsafe methods.
pub async fn new_key(node: &Node, method: &str, secret: &str) -> ProvenKey {
    let made: Value = node.rpc().request(method, rpc_params![account(secret).unwrap().to_string()]).await.unwrap();
    let bytes = |of: &str| sp_core::bytes::from_hex(made[of].as_str().unwrap()).unwrap();
    ProvenKey { key: bytes("key").try_into().unwrap(), proof: bytes("proof").try_into().unwrap() }
}

/// Does something for an account, as `weir-agent` does.
pub async fn does(node: &Node, secret: &str, action: Action) {
    let actor = Actor::own(account_key(Some(secret), None).unwrap());
    act(node, &actor, action).await.unwrap();
}
