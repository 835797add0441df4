//! A new node on a chain of 20 000 blocks: how long it takes until it is where the others are, and what it fetches for that, from a proof and in
//! full, in turns.
//!
//! The chain is made in one process, with the real runtime and engine, and its database given to a real node. Its voters take other keys eight times, so that
//! the proof has as many steps.
#![allow(missing_docs)]

use sp_core::{storage::Storage, Pair};
use sp_keyring::{
    Ed25519Keyring,
    Sr25519Keyring::{Alice, Bob},
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};
use subxt::rpcs::rpc_params;
use weir_bench::{median, Figures, Goal};
use weir_consensus_testing::{Chain, Options};
use weir_e2e::{
    network::{NodeProcess, NodeSettings},
    observer::{block_at, view},
    peers::{voter, Lab},
    Result,
};
use weir_primitives::{
    finality::{voter_payload, Wanted},
    PLANCK_PER_WEIR,
};
use weir_runtime::RuntimeCall;

const BLOCKS: u32 = 20_000;
/// Time between two blocks, on schedule.
const ON_TIME_MS: u64 = 1_000;
/// Every how many blocks the voter takes another key.
const ROTATES_EVERY: u32 = 2_000;
/// The keys of the voter, one after the other.
const KEYS: [Ed25519Keyring; 8] = [
    Ed25519Keyring::Bob,
    Ed25519Keyring::Charlie,
    Ed25519Keyring::Dave,
    Ed25519Keyring::Eve,
    Ed25519Keyring::Ferdie,
    Ed25519Keyring::One,
    Ed25519Keyring::Two,
    Ed25519Keyring::AliceStash,
];
/// How often each way is measured.
const TURNS: usize = 2;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The genesis of a raw chain spec.
fn genesis_of(spec: &Path) -> Result<Storage> {
    let spec: serde_json::Value = serde_json::from_slice(&std::fs::read(spec)?)?;
    let top = spec["genesis"]["raw"]["top"].as_object().ok_or("the chain spec is not raw")?;
    let bytes = |text: &str| sp_core::bytes::from_hex(text).map_err(|error| format!("{error:?}"));
    let mut storage = Storage::default();
    for (key, value) in top {
        storage.top.insert(bytes(key)?, bytes(value.as_str().ok_or("no text")?)?);
    }
    Ok(storage)
}

/// The call by which Alice's vote gets another key.
fn takes_key(chain: &Chain, key: Ed25519Keyring, is_first: bool) -> RuntimeCall {
    let proof = key.pair().sign(&voter_payload(chain.genesis(), &Alice.to_account_id())).into();
    let key = key.public().into();
    RuntimeCall::Finality(if is_first {
        pallet_finality::Call::join { bond: 1_000 * PLANCK_PER_WEIR, key, proof }
    } else {
        pallet_finality::Call::set_key { key, proof }
    })
}

/// Makes the chain, with its database in a folder. Gives the height of its last final block, and how often its voters changed.
fn generate(genesis: Storage, folder: &Path) -> (u32, u64) {
    let first_timestamp = weir_consensus::clock::now() - u64::from(BLOCKS) * ON_TIME_MS;
    let chain = Chain::with(Options {
        genesis: Some(genesis),
        folder: Some(folder),
        first_timestamp: Some(first_timestamp),
        ..Options::default()
    });
    // The key that votes in each set, the first one that of genesis.
    let mut keys = vec![Ed25519Keyring::Alice];
    let (mut parent, mut nonce, mut named) = (chain.genesis(), 0, 0);
    for number in 1..=BLOCKS {
        let mut transactions = Vec::new();
        if number % ROTATES_EVERY == 2 && named < KEYS.len() {
            transactions.push(chain.signed_by(Alice, nonce, takes_key(&chain, KEYS[named], named == 0)));
            nonce += 1;
            named += 1;
        }
        let set = chain.voter_set_at(parent);
        if let Some(wanted) = chain.wanted_at(parent) {
            // Of a change by the set before, for that block and no other.
            let (set, hash) = match wanted {
                Wanted::Handover { set, hash, .. } => (set, hash),
                Wanted::Snapshot { set, .. } => (set, parent),
            };
            let key = keys[usize::try_from(set).unwrap_or(0)];
            chain.finalize_by(hash, set, &[key]).expect("the votes are right");
            let justification = chain.justification(hash, set, &[key]).try_into().expect("it is small");
            transactions.push(chain.general(RuntimeCall::Finality(pallet_finality::Call::prove { justification })));
        }
        let block = chain.block_of(parent, Bob, if number == 1 { 0 } else { ON_TIME_MS }, transactions);
        assert!(chain.import(&block).is_ok(), "honest blocks are imported");
        parent = block.hash();
        if chain.voter_set_at(parent) > set {
            keys.push(KEYS[named - 1]);
        }
        if number % 1_000 == 0 {
            eprintln!("block {number} of {BLOCKS}");
        }
    }
    let set = chain.voter_set_at(parent);
    chain.finalize_by(parent, set, &[keys[keys.len() - 1]]).expect("the votes are right");
    (chain.finalized(), set)
}

/// What a node has received, in bytes.
fn received(process: &NodeProcess) -> Result<f64> {
    let mut stream = TcpStream::connect(process.metrics_address())?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let line = text.lines().find(|line| line.contains("network_bytes_total") && line.contains("direction=\"in\""));
    Ok(line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).ok_or("the node counts no bytes")?)
}

/// Starts a new node. Gives the seconds until it has the last block with its state, and the bytes it received for that.
async fn sync(lab: &Lab, name: &str, mode: &str, from: &str) -> Result<(f64, f64)> {
    let settings = NodeSettings { state_pruning: Some(256), ..lab.settings(name, None, &["--sync", mode]) };
    let begun = Instant::now();
    let mut process = NodeProcess::start(settings)?;
    let node = process.connect().await?;
    let started = begun.elapsed();
    let _: serde_json::Value = node.rpc().request("system_addReservedPeer", rpc_params![from]).await?;
    while view(&node).await?.height < u64::from(BLOCKS) {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Some(how) = process.ended() {
            return Err(how.into());
        }
    }
    let seconds = (begun.elapsed() - started).as_secs_f64();
    let last = block_at(&node, BLOCKS.into()).await?;
    let _: serde_json::Value = node.rpc().request("state_getRuntimeVersion", rpc_params![last]).await?;
    Ok((seconds, received(&process)?))
}

async fn run(figures: &mut Figures) -> Result<()> {
    let lab = Lab::with_bandwidth(64, &[("//Alice", 750_000_000)], |genesis| {
        let parameters = &mut genesis["difficulty"]["parameters"];
        parameters["registry"]["unbondingBlocks"] = BLOCKS.into();
        parameters["consensus"]["initialDifficulty"] = "0x1".into();
        parameters["consensus"]["floorDifficulty"] = "0x1".into();
        genesis["finality"]["voters"] = serde_json::json!([voter("//Alice")]);
    });
    let settings = lab.settings("old", None, &[]);
    let database = settings.base_path.join("chains/weir_dev/db/full");
    std::fs::create_dir_all(&database)?;
    let begun = Instant::now();
    let (finalized, sets) = generate(genesis_of(&lab.chain)?, &database);
    eprintln!("made {BLOCKS} blocks in {:.0} s, {finalized} of them final", begun.elapsed().as_secs_f64());
    figures.print("warp/blocks", f64::from(BLOCKS), "blocks", Goal::AtLeast(20_000.0));
    figures.print("warp/changes", sets as f64, "changes of the voters", Goal::AtLeast(5.0));
    let mut old = NodeProcess::start(settings)?;
    let from = old.address().await?;

    let (mut warp, mut full) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        for (mode, all) in [("warp", &mut warp), ("full", &mut full)] {
            let (seconds, bytes) = sync(&lab, &format!("{mode}-{turn}"), mode, &from).await?;
            eprintln!("{mode}: {seconds:.1} s, {:.2} MiB", bytes / f64::from(1 << 20));
            all.push((seconds, bytes));
        }
    }
    let of = |all: &[(f64, f64)], part: fn(&(f64, f64)) -> f64| median(all.iter().map(part).collect());
    let (warp_seconds, full_seconds) = (of(&warp, |it| it.0), of(&full, |it| it.0));
    let (warp_bytes, full_bytes) = (of(&warp, |it| it.1), of(&full, |it| it.1));
    figures.print("warp/seconds", warp_seconds, "s", Goal::None);
    figures.print("warp/full-seconds", full_seconds, "s", Goal::None);
    figures.print("warp/faster", full_seconds / warp_seconds, "times", Goal::AtLeast(10.0));
    figures.print("warp/bytes", warp_bytes / f64::from(1 << 20), "MiB", Goal::None);
    figures.print("warp/full-bytes", full_bytes / f64::from(1 << 20), "MiB", Goal::None);
    figures.print("warp/fewer-bytes", full_bytes / warp_bytes, "times", Goal::None);
    Ok(())
}

fn main() -> ExitCode {
    let mut figures = Figures::from_arguments();
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    match runtime.block_on(run(&mut figures)) {
        Ok(()) => figures.finish(),
        Err(error) => {
            eprintln!("warp: {error}");
            ExitCode::FAILURE
        },
    }
}
