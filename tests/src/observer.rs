//! What a network is doing.

use crate::{
    network::{account, Network, ProviderSettings, PROVIDERS, VALIDATORS},
    Result,
};
use codec::{Decode, Encode};
use sp_runtime::traits::{BlakeTwo256, Hash};
use std::{collections::BTreeMap, fmt::Write};
use subxt::{
    config::substrate::{DigestItem, SubstrateHeader},
    rpcs::rpc_params,
    utils::H256,
};
use weir_agent::{chain::Node, rate};
use weir_primitives::{
    consensus::{PreDigest, ENGINE_ID},
    runtime_api::{ProviderStatus, Supply},
    AccountId, PLANCK_PER_WEIR,
};

/// What is seen of a node.
#[derive(Clone, Debug, Default)]
pub struct NodeView {
    /// The height of the best block.
    pub height: u64,
    /// The height of the finalized block.
    pub finalized: u64,
    /// How many nodes the node is connected to.
    pub peers: usize,
    /// The hashes per second of the node's miner.
    pub hashes_per_second: f64,
    /// The base difficulty of the next block.
    pub base: f64,
    /// How many blocks the node made since its start.
    pub authored: u64,
}

/// What an author did on the finalized chain.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AuthorView {
    /// How many blocks the author made.
    pub blocks: u64,
    /// The credit that the author spent on them, in whole credits.
    pub credit: f64,
}

/// Follows the finalized chain through one node.
#[derive(Default)]
pub struct Ledger {
    seen: u64,
    /// By author.
    pub authors: BTreeMap<AccountId, AuthorView>,
}

impl Ledger {
    /// Reads the blocks that were finalized since the last time.
    ///
    /// # Errors
    ///
    /// When the node does not answer.
    pub async fn update(&mut self, node: &Node) -> Result<()> {
        let finalized = height_of(node, finalized(node).await?).await?;
        while self.seen < finalized {
            let claims = claims(node, block_at(node, self.seen + 1).await?).await?;
            let author = self.authors.entry(claims.author).or_default();
            author.blocks += 1;
            author.credit += f64::from(claims.credit.deconstruct()) / 1e9;
            self.seen += 1;
        }
        Ok(())
    }
}

/// The hash of the block at a height of a node's best chain.
///
/// # Errors
///
/// When the node does not answer, or is not that high.
pub async fn block_at(node: &Node, height: u64) -> Result<H256> {
    let hash = node.legacy().chain_get_block_hash(Some(height.into())).await?;
    hash.ok_or_else(|| format!("there is no block at height {height}").into())
}

/// The hash of a header that a node sent.
pub fn hash_of(header: &SubstrateHeader<H256>) -> H256 {
    H256(BlakeTwo256::hash(&header.encode()).0)
}

/// The finalized block of a node.
///
/// # Errors
///
/// When the node does not answer.
pub async fn finalized(node: &Node) -> Result<H256> {
    Ok(node.legacy().chain_get_finalized_head().await?)
}

/// The height of a block.
///
/// # Errors
///
/// When the node does not answer, or does not know it.
pub async fn height_of(node: &Node, hash: H256) -> Result<u64> {
    Ok(node.legacy().chain_get_header(Some(hash)).await?.ok_or("the node does not know the block")?.number)
}

/// What the header of a block claims.
///
/// # Errors
///
/// When the node does not answer, or the header is malformed.
pub async fn claims(node: &Node, hash: H256) -> Result<PreDigest> {
    let header = node.legacy().chain_get_header(Some(hash)).await?.ok_or("the node does not know the block")?;
    let digest = header.digest.logs.iter().find_map(|item| match item {
        DigestItem::PreRuntime(ENGINE_ID, bytes) => Some(bytes.clone()),
        _ => None,
    });
    Ok(PreDigest::decode(&mut digest.ok_or("the header has no pre-runtime digest")?.as_slice())?)
}

/// Looks at a node.
///
/// # Errors
///
/// When it does not answer.
pub async fn view(node: &Node) -> Result<NodeView> {
    let height = height_of(node, node.best().await?).await?;
    let finalized = height_of(node, finalized(node).await?).await?;
    let peers = node.legacy().system_health().await?.peers;
    let mining: serde_json::Value = node.rpc().request("weir_mining", rpc_params![]).await?;
    let base =
        mining["baseDifficulty"].as_str().and_then(|hex| u128::from_str_radix(hex.trim_start_matches("0x"), 16).ok());
    Ok(NodeView {
        height,
        finalized,
        peers,
        hashes_per_second: mining["hashesPerSecond"].as_f64().unwrap_or(0.0),
        base: base.unwrap_or(0) as f64,
        authored: mining["authoredBlocks"].as_u64().unwrap_or(0),
    })
}

/// What the chain knows of a provider.
///
/// # Errors
///
/// When the node does not answer.
pub async fn provider(node: &Node, secret: &str) -> Result<Option<ProviderStatus>> {
    Ok(node.ask("MeasurementApi_provider", account(secret)?, None).await?)
}

/// The sums of all tokens at a block, or at the best one.
///
/// # Errors
///
/// When the node does not answer.
pub async fn supply(node: &Node, at: Option<H256>) -> Result<Supply> {
    Ok(node.ask("SupplyApi_supply", (), at).await?)
}

fn scaled(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{:.2} G", v / 1e9),
        v if v >= 1e6 => format!("{:.2} M", v / 1e6),
        v if v >= 1e3 => format!("{:.1} k", v / 1e3),
        v => format!("{v:.0} "),
    }
}

fn weir(planck: u128) -> String {
    format!("{:.4} WEIR", planck as f64 / PLANCK_PER_WEIR as f64)
}

/// A table of all that goes on in a network.
///
/// # Errors
///
/// When no node answers.
pub async fn table(network: &mut Network, ledger: &mut Ledger) -> Result<String> {
    let mut out = String::new();
    writeln!(
        out,
        "{:<12} {:>7} {:>10} {:>6} {:>10} {:>14} {:>8} {:>13}",
        "node", "height", "finalized", "peers", "hash rate", "base difficulty", "blocks", "credit spent"
    )?;
    let mut reachable = None;
    for (index, node) in network.nodes.iter_mut().enumerate() {
        let name = node.settings.name.clone();
        let Ok(connected) = Node::connect(&node.url()).await else {
            writeln!(out, "{name:<12} does not answer")?;
            continue;
        };
        let Ok(seen) = view(&connected).await else {
            writeln!(out, "{name:<12} does not answer")?;
            continue;
        };
        if reachable.is_none() {
            ledger.update(&connected).await?;
        }
        let author = ledger.authors.get(&account(VALIDATORS[index].1)?).copied().unwrap_or_default();
        writeln!(
            out,
            "{name:<12} {:>7} {:>10} {:>6} {:>8}/s {:>15} {:>8} {:>13.2}",
            seen.height,
            seen.finalized,
            seen.peers,
            scaled(seen.hashes_per_second),
            scaled(seen.base),
            author.blocks,
            author.credit
        )?;
        reachable = Some(connected);
    }
    let node = reachable.ok_or("no node answers")?;

    writeln!(
        out,
        "\n{:<14} {:>14} {:>14} {:>14} {:>14} {:>9}  boosts",
        "provider", "limits", "raw down", "raw up", "guaranteed", "reports"
    )?;
    for ProviderSettings { name, secret, limits_mbit: (down, up), validator, .. } in PROVIDERS {
        let status = provider(&node, secret).await?;
        let last = status.as_ref().and_then(|status| status.last).map(|(_, outcome)| outcome);
        let shown = |bits: Option<u64>| bits.map_or_else(|| "-".to_string(), rate::show);
        writeln!(
            out,
            "{name:<14} {:>14} {:>14} {:>14} {:>14} {:>9}  {}",
            format!("{down}/{up} Mbit/s"),
            shown(last.map(|last| last.down.raw)),
            shown(last.map(|last| last.up.raw)),
            shown(status.as_ref().map(|status| status.guaranteed_bits_per_second)),
            last.map_or_else(|| "-".into(), |last| last.reports.to_string()),
            VALIDATORS[validator].0
        )?;
    }
    let supply = supply(&node, None).await?;
    writeln!(
        out,
        "\nissued {}   vesting {}   burned {}",
        weir(supply.issued),
        weir(supply.vesting),
        weir(supply.burned)
    )?;
    Ok(out)
}
