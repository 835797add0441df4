//! Finality by depth: what a node promises itself.
//!
//! A block is final for a node when the node's best chain has at least the finality depth of descendants of it, they weigh at
//! least half the finality depth times the block's own base difficulty, and the node's clock has passed the block's date by half
//! the time that so many blocks take. The last one matters when the hash power rises suddenly: blocks then come in bursts, dated
//! ahead of the clock, and many of them are no sign that others have seen them. What leaves the chain below is refused before it is
//! executed. This is no proof to others: a node that is new, or comes back after long, needs a checkpoint to know that it is on
//! the chain that others are on.

use crate::{header::rules::claims_of, import::weight};
use sc_client_api::AuxStore;
use sp_blockchain::{tree_route, HeaderBackend, HeaderMetadata};
use sp_core::U256;
use sp_runtime::traits::{Block as BlockT, NumberFor, One, SaturatedConversion, Saturating};
use weir_primitives::{parameters::Consensus, UnixMilliseconds};

/// How many blocks one import makes final at the most, so that a long range does not stall the node.
const MOST_AT_ONCE: u32 = 256;

/// Whether block `number`, a child of `parent`, would leave the chain at or below the last final block.
///
/// # Errors
///
/// When the database cannot be read.
pub fn is_below_finality<Block, C>(
    client: &C,
    number: NumberFor<Block>,
    parent: Block::Hash,
) -> sp_blockchain::Result<bool>
where
    Block: BlockT,
    C: HeaderBackend<Block> + HeaderMetadata<Block, Error = sp_blockchain::Error>,
{
    let info = client.info();
    if parent == info.best_hash || parent == info.finalized_hash {
        return Ok(false);
    }
    if number <= info.finalized_number {
        return Ok(true);
    }
    // Of the best chain, at the final block or above it: the way there need not be walked.
    if let Some(parent_number) = client.number(parent)? {
        if parent_number >= info.finalized_number && client.hash(parent_number)? == Some(parent) {
            return Ok(false);
        }
        // A height that does not fit its parent's would make the way as long as its sender likes.
        if number != parent_number.saturating_add(One::one()) {
            return Ok(true);
        }
    }
    Ok(!tree_route(client, info.finalized_hash, parent)?.retracted().is_empty())
}

/// The last block that the best chain has made final, at the time `now`, if it is a new one. Nothing is final on a chain that weighs
/// less than `minimum_weight`.
///
/// # Errors
///
/// When the database cannot be read.
pub fn newly_final<Block, C>(
    client: &C,
    rules: &Consensus,
    minimum_weight: U256,
    now: UnixMilliseconds,
) -> sp_blockchain::Result<Option<Block::Hash>>
where
    Block: BlockT,
    NumberFor<Block>: From<u32>,
    C: AuxStore + HeaderBackend<Block>,
{
    let info = client.info();
    let depth = rules.finality_depth;
    let least_age = rules.block_time.saturating_mul(depth.into()).checked_div(2).unwrap_or(0);
    let Some(deepest) = info.best_number.saturated_into::<u32>().checked_sub(depth) else { return Ok(None) };
    let finalized = info.finalized_number.saturated_into::<u32>();
    let last = deepest.min(finalized.saturating_add(MOST_AT_ONCE));

    let best_weight = weight::of(client, info.best_hash)?;
    if best_weight < minimum_weight {
        return Ok(None);
    }
    let mut parent_weight = weight::of(client, info.finalized_hash)?;
    let mut found = None;
    for number in finalized.saturating_add(1)..=last {
        let Some(hash) = client.hash(number.into())? else { break };
        let own_weight = weight::of(client, hash)?;
        let base = own_weight.saturating_sub(parent_weight);
        let above = best_weight.saturating_sub(own_weight);
        if above.saturating_mul(U256::from(2)) < base.saturating_mul(U256::from(depth)) {
            break;
        }
        let date = client.header(hash)?.and_then(|header| claims_of(&header)).map_or(0, |claims| claims.timestamp);
        if date.saturating_add(least_age) > now {
            break;
        }
        found = Some(hash);
        parent_weight = own_weight;
    }
    Ok(found)
}
