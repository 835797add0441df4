//! Fork choice on the chain of a client: see [`weir_primitives::consensus::fork_choice`] for the rule.

use crate::{header::rules::claims_of, import::weight};
use sc_client_api::AuxStore;
use sp_api::ProvideRuntimeApi;
use sp_blockchain::{HeaderBackend, Result};
use sp_core::U256;
use sp_runtime::traits::Block as BlockT;
use weir_primitives::{
    consensus::{
        fork_choice::{is_heavier_branch, Head},
        Difficulty,
    },
    runtime_api::ConsensusApi,
};

/// Whether a child of `parent` whose chain has the total weight `weight` becomes the best block.
///
/// # Errors
///
/// When the database cannot be read.
pub fn becomes_best<Block, C>(client: &C, parent: Block::Hash, weight: U256) -> Result<bool>
where
    Block: BlockT,
    C: AuxStore + HeaderBackend<Block> + ProvideRuntimeApi<Block>,
    C::Api: ConsensusApi<Block>,
{
    let best = client.info().best_hash;
    if parent == best {
        return Ok(true);
    }
    let base =
        client.header(best)?.and_then(|header| claims_of(&header)).map_or(Difficulty::MIN.0, |claims| claims.base);
    let head = Head { weight: weight::of_or_in_state(client, best)?, base: Difficulty(base) };
    Ok(is_heavier_branch(weight, head))
}
