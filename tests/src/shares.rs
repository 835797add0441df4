//! Miners side by side with equal threads, and what part of the chain each of them makes.

use crate::{
    network::{account, calibrate, write_chain_spec, NodeProcess, NodeSettings},
    observer::{block_at, claims, hash_of, view},
    Result,
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use subxt::utils::H256;
use weir_agent::chain::Node;
use weir_primitives::Milliseconds;

/// How often the miners are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many blocks have to be on top of the last one that counts: so many are not taken back by miners who agree.
const SETTLED_BLOCKS: u64 = 6;
/// How many times longer than on schedule a race may take: miners have the lowest priority, and get little of a busy machine.
const PATIENCE: u64 = 10;
/// Twice the limit for dates on every preset, and short, so that the difficulty soon fits what the machine leaves to miners.
const HALF_LIFE: Milliseconds = 30_000;
/// How long the miners may take until they are all connected and the first blocks are made.
const START_WITHIN: Duration = Duration::from_secs(240);

/// Writes the spec of a chain for miners side by side: the development chain with a short block time and half-life, so that many
/// blocks take little time, and with another limit for dates if one is given.
///
/// # Errors
///
/// When the node cannot export it.
pub fn write_fast_chain(
    folder: &Path,
    block_time: Milliseconds,
    limit: Option<Milliseconds>,
    miners: u32,
) -> Result<PathBuf> {
    write_chain_spec(folder, "dev", |genesis| {
        let consensus = &mut genesis["difficulty"]["parameters"]["consensus"];
        consensus["blockTime"] = block_time.into();
        consensus["leastBlockInterval"] = (block_time / 20).into();
        consensus["halfLife"] = HALF_LIFE.into();
        if let Some(limit) = limit {
            consensus["furthestAhead"] = limit.into();
        }
        // Nothing is measured here; but reports must come in the epoch after their own at the latest.
        let measurement = &mut genesis["difficulty"]["parameters"]["measurement"];
        measurement["notice"] = (2 * block_time).into();
        measurement["reportDeadline"] = (8 * block_time).into();
        calibrate(genesis, miners);
    })
}

/// A miner in a race.
#[derive(Clone, Debug)]
pub struct Entrant {
    /// What its node is called.
    pub name: String,
    /// The secret of its author.
    pub secret: String,
    /// How far its clock is ahead.
    pub clock_offset_ms: i64,
    /// What else its node is started with.
    pub more: Vec<String>,
}

impl Entrant {
    /// A miner that follows the rules and whose clock is right.
    pub fn honest(name: &str, secret: &str) -> Self {
        Self { name: name.into(), secret: secret.into(), clock_offset_ms: 0, more: Vec::new() }
    }
}

/// What one author made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Share {
    /// Its blocks on the best chain.
    pub blocks: u64,
    /// Hashes per second of its node, on average over the race.
    pub hashes_per_second: f64,
}

/// How a race went, as seen by the first miner.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How many blocks of the best chain were looked at.
    pub blocks: u64,
    /// The share of each miner, in the order in which they entered.
    pub shares: Vec<Share>,
    /// How many blocks each reorganisation took back.
    pub reorganisations: Vec<u64>,
}

impl Outcome {
    /// The part of the blocks that a miner made.
    pub fn of_blocks(&self, miner: usize) -> f64 {
        self.shares[miner].blocks as f64 / self.blocks as f64
    }

    /// The part of all hashes that a miner made.
    pub fn of_hashes(&self, miner: usize) -> f64 {
        let all: f64 = self.shares.iter().map(|share| share.hashes_per_second).sum();
        self.shares[miner].hashes_per_second / all
    }
}

/// Running miners. All of them know each other.
pub struct Race {
    nodes: Vec<(Entrant, NodeProcess, Node)>,
}

impl Race {
    /// Starts the miners on a chain. The first is the one that the race is seen through.
    ///
    /// # Errors
    ///
    /// When one of them does not start.
    pub async fn start(folder: &Path, chain: &Path, entrants: &[Entrant]) -> Result<Self> {
        let mut nodes = Vec::<(Entrant, NodeProcess, Node)>::new();
        for entrant in entrants {
            let boot_node = match nodes.first_mut() {
                Some((_, process, _)) => Some(process.address().await?),
                None => None,
            };
            let mut process = NodeProcess::start(NodeSettings {
                name: entrant.name.clone(),
                chain: chain.into(),
                base_path: folder.join(&entrant.name),
                author: Some(entrant.secret.clone()),
                boot_node,
                state_pruning: None,
                clock_offset_ms: entrant.clock_offset_ms,
                more: entrant.more.clone(),
            })?;
            let node = process.connect().await?;
            nodes.push((entrant.clone(), process, node));
        }
        Ok(Self { nodes })
    }

    /// Where a miner's log is.
    pub fn log(&self, miner: usize) -> PathBuf {
        self.nodes[miner].1.settings.base_path.join("node.log")
    }

    /// Lets the miners make a number of blocks, after some that do not count since the difficulty has yet to settle.
    ///
    /// Fewer blocks are looked at when they take far longer than on schedule.
    ///
    /// # Errors
    ///
    /// When a node does not answer, or the first blocks do not come.
    pub async fn run(&mut self, skipped: u64, blocks: u64) -> Result<Outcome> {
        let first = self.nodes[0].2.clone();
        let begun = Instant::now();
        while view(&first).await?.height < skipped {
            self.is_alive()?;
            if begun.elapsed() > START_WITHIN {
                return Err(format!("the first {skipped} blocks take too long").into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }

        let parameters: serde_json::Value = first.rpc().request("weir_parameters", subxt::rpcs::rpc_params![]).await?;
        let block_time = parameters["consensus"]["blockTime"].as_u64().ok_or("the chain has no block time")?;
        let most = Duration::from_millis(PATIENCE * blocks * block_time);
        let reorganisations = Reorganisations::default();
        let following = tokio::spawn(reorganisations.clone().follow(first.clone()));
        let mut rates = vec![Vec::new(); self.nodes.len()];
        let begun = Instant::now();
        let last = skipped + blocks;
        let mut height = skipped;
        while height < last + SETTLED_BLOCKS && begun.elapsed() < most {
            tokio::time::sleep(LOOK_EVERY).await;
            self.is_alive()?;
            for (rates, (_, _, node)) in rates.iter_mut().zip(&self.nodes) {
                rates.push(view(node).await?.hashes_per_second);
            }
            height = view(&first).await?.height;
        }
        following.abort();

        let last = last.min(height.saturating_sub(SETTLED_BLOCKS)).max(skipped);
        let mut shares: Vec<_> = rates
            .iter()
            .map(|rates| Share { blocks: 0, hashes_per_second: rates.iter().sum::<f64>() / rates.len().max(1) as f64 })
            .collect();
        let authors: Vec<_> =
            self.nodes.iter().map(|(entrant, ..)| account(&entrant.secret)).collect::<Result<Vec<_>>>()?;
        for at in skipped + 1..=last {
            let author = claims(&first, block_at(&first, at).await?).await?.author;
            if let Some(index) = authors.iter().position(|account| *account == author) {
                shares[index].blocks += 1;
            }
        }
        Ok(Outcome { blocks: last - skipped, shares, reorganisations: reorganisations.depths() })
    }

    fn is_alive(&mut self) -> Result<()> {
        match self.nodes.iter_mut().find_map(|(_, process, _)| process.ended()) {
            Some(ended) => Err(ended.into()),
            None => Ok(()),
        }
    }
}

/// How many blocks each new best block of a node takes back.
#[derive(Clone, Default)]
struct Reorganisations(Arc<Mutex<Vec<u64>>>);

impl Reorganisations {
    /// Follows a node until it goes away.
    async fn follow(self, node: Node) {
        let Ok(mut heads) = node.legacy().chain_subscribe_new_heads().await else { return };
        // By hash, of every block that was the best one: its parent.
        let mut parents = HashMap::<H256, H256>::new();
        let mut best: Option<(H256, u64)> = None;
        while let Some(Ok(header)) = heads.next().await {
            let hash = hash_of(&header);
            parents.insert(hash, header.parent_hash);
            let before = best.replace((hash, header.number));
            if let Some((old, height)) = before.filter(|(old, _)| *old != header.parent_hash) {
                if let Ok(common) = common_height(&node, &parents, (old, height), (hash, header.number)).await {
                    if common < height {
                        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(height - common);
                    }
                }
            }
        }
    }

    fn depths(&self) -> Vec<u64> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

/// The height at which two chains part.
async fn common_height(
    node: &Node,
    parents: &HashMap<H256, H256>,
    mut one: (H256, u64),
    mut other: (H256, u64),
) -> Result<u64> {
    while one.0 != other.0 {
        let higher = if one.1 >= other.1 { &mut one } else { &mut other };
        let parent = match parents.get(&higher.0) {
            Some(parent) => *parent,
            None => {
                let header = node.legacy().chain_get_header(Some(higher.0)).await?;
                header.ok_or("the node does not know a block of its chain")?.parent_hash
            },
        };
        *higher = (parent, higher.1.saturating_sub(1));
    }
    Ok(one.1)
}
