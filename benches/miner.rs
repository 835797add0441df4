//! A miner outside its node against the threads inside: hashes per second of one thread each, in turns.
//!
//! Both run the same kernels. What is outside gives away is what it takes until new work has come over loopback, and threads that share the
//! processors with a second process.

use std::{process::ExitCode, time::Duration};
use subxt::rpcs::rpc_params;
use weir_agent::chain::Node;
use weir_bench::{median, Figures, Goal};
use weir_e2e::{
    network::{calibrate, write_chain_spec, NodeProcess, NodeSettings},
    process::{binary, Process},
    Result,
};

/// How often the two are measured, in turns.
const TURNS: usize = 4;
/// How long each time, after a while in which the miner finds its work.
const MEASURED: Duration = Duration::from_secs(20);
const SETTLES: Duration = Duration::from_secs(6);

/// A node that mines with so many threads.
async fn node(folder: &std::path::Path, name: &str, threads: u32) -> Result<(NodeProcess, Node)> {
    let mut process = NodeProcess::start(NodeSettings {
        name: name.into(),
        chain: folder.join("chain-spec-raw.json"),
        base_path: folder.join(name),
        author: Some("//Alice".into()),
        boot_node: None,
        state_pruning: None,
        clock_offset_ms: 0,
        more: ["--mining-threads", &threads.to_string(), "--mining-intensity", "100"].map(String::from).into(),
    })?;
    let node = process.connect().await?;
    Ok((process, node))
}

/// What the best block's height is.
async fn height(node: &Node) -> Result<u64> {
    Ok(weir_e2e::observer::view(node).await?.height)
}

/// Hashes per second of a thread inside, and blocks per second.
async fn inside(folder: &std::path::Path, name: &str) -> Result<(f64, f64)> {
    let (_process, node) = node(folder, name, 1).await?;
    let look = async || -> Result<(f64, u64)> {
        let mining: serde_json::Value = node.rpc().request("weir_mining", rpc_params![]).await?;
        Ok((mining["hashes"].as_f64().ok_or("the node does not mine")?, height(&node).await?))
    };
    tokio::time::sleep(SETTLES).await;
    let begun = std::time::Instant::now();
    let (before, first) = look().await?;
    tokio::time::sleep(MEASURED).await;
    let (after, last) = look().await?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(((after - before) / seconds, (last - first) as f64 / seconds))
}

/// The same of a miner outside with one thread.
async fn outside(folder: &std::path::Path, name: &str) -> Result<(f64, f64)> {
    let (process, node) = node(folder, name, 0).await?;
    let log = folder.join(format!("{name}.log"));
    let arguments = ["--node", &process.url(), "--threads", "1", "--report-every", "1", "--json"].map(String::from);
    let _miner = Process::start(&binary("weir-miner")?, arguments, log.clone())?;
    let look = async || -> Result<(f64, f64, u64)> {
        let said = std::fs::read_to_string(&log)?;
        let last = said.lines().rev().find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let last = last.ok_or("the miner says nothing")?;
        let number = |name: &str| last[name].as_f64().ok_or("the miner leaves something out");
        Ok((number("hashes")?, number("seconds")?, height(&node).await?))
    };
    tokio::time::sleep(SETTLES).await;
    let (before, from, first) = look().await?;
    tokio::time::sleep(MEASURED).await;
    let (after, to, last) = look().await?;
    Ok(((after - before) / (to - from), (last - first) as f64 / (to - from)))
}

async fn compare(figures: &mut Figures) -> Result<()> {
    let folder = tempfile::tempdir()?;
    // As many blocks as a chain has whose blocks take two seconds: more often than on any public network.
    write_chain_spec(folder.path(), "local", |genesis| calibrate(genesis, 2))?;
    let (mut rates, mut blocks) = ((Vec::new(), Vec::new()), (0.0, 0.0));
    for turn in 0..TURNS {
        let (rate, found) = inside(folder.path(), &format!("inside-{turn}")).await?;
        rates.0.push(rate);
        blocks.0 += found / TURNS as f64;
        let (rate, found) = outside(folder.path(), &format!("outside-{turn}")).await?;
        rates.1.push(rate);
        blocks.1 += found / TURNS as f64;
        eprintln!("turn {turn}: {:?} and {:?} hashes per second", rates.0.last(), rates.1.last());
    }
    let (inside, outside) = (median(rates.0), median(rates.1));
    figures.print("miner/inside", inside / 1e6, "MH/s", Goal::None);
    figures.print("miner/outside", outside / 1e6, "MH/s", Goal::None);
    figures.print("miner/outside-against-inside", outside / inside, "times", Goal::AtLeast(0.97));
    figures.print("miner/blocks-inside", blocks.0, "blocks a second", Goal::None);
    figures.print("miner/blocks-outside", blocks.1, "blocks a second", Goal::None);
    Ok(())
}

fn main() -> ExitCode {
    let mut figures = Figures::from_arguments();
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    match runtime.block_on(compare(&mut figures)) {
        Ok(()) => figures.finish(),
        Err(error) => {
            eprintln!("miner: {error}");
            ExitCode::FAILURE
        },
    }
}
