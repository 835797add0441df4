//! The weight of chains: the sum of the base difficulties of their blocks, kept beside each block in auxiliary storage. The state
//! of a block has it too, for a node that starts from a proof of that state.

use codec::{Decode, Encode};
use sc_client_api::AuxStore;
use sp_api::ProvideRuntimeApi;
use sp_blockchain::{Error, HeaderBackend, Result};
use sp_core::U256;
use sp_runtime::traits::Block as BlockT;
use weir_primitives::{runtime_api::ConsensusApi, AccountId};

/// Where the weight of the chain up to a block is kept.
pub fn key<Hash: AsRef<[u8]>>(hash: &Hash) -> Vec<u8> {
    [b"weir:weight:v1:", hash.as_ref()].concat()
}

/// The entry for the weight of a chain up to a block, to be written with the block.
pub fn entry<Hash: AsRef<[u8]>>(hash: &Hash, weight: U256) -> (Vec<u8>, Option<Vec<u8>>) {
    (key(hash), Some(weight.encode()))
}

/// The weight of the chain up to a block. Genesis weighs nothing.
///
/// # Errors
///
/// When there is no weight for a block, or it does not decode: it was not imported by this engine, or the database is
/// damaged.
pub fn of<Block: BlockT, C: AuxStore + HeaderBackend<Block>>(client: &C, hash: Block::Hash) -> Result<U256> {
    if hash == client.info().genesis_hash {
        return Ok(U256::zero());
    }
    let bytes = client
        .get_aux(&key(&hash))?
        .ok_or_else(|| Error::Backend(format!("the weight of block {hash:?} is missing")))?;
    U256::decode(&mut bytes.as_slice())
        .map_err(|_| Error::Backend(format!("the weight of block {hash:?} is damaged; sync again from a new database")))
}

/// The weight of the chain up to a block, from its state where it was not kept beside it.
///
/// # Errors
///
/// When it is in neither.
pub fn of_or_in_state<Block, C>(client: &C, hash: Block::Hash) -> Result<U256>
where
    Block: BlockT,
    C: AuxStore + HeaderBackend<Block> + ProvideRuntimeApi<Block>,
    C::Api: ConsensusApi<Block>,
{
    of(client, hash).or_else(|missing| match client.runtime_api().next_block(hash, AccountId::new([0; 32])) {
        Ok(Some(next)) => Ok(next.parent_weight),
        _ => Err(missing),
    })
}

/// The weight of a child that adds `base` to it.
///
/// # Errors
///
/// When the sum does not fit 256 bits, which no honest chain can reach.
pub fn child(parent: U256, base: U256) -> Result<U256> {
    parent.checked_add(base).ok_or_else(|| Error::Backend("the weight of the chain overflows".into()))
}
