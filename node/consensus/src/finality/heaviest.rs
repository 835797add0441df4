//! The chain that voters vote for: the best one, as import chose it; or, on a branch that the best one is not on, the heaviest.

use crate::import::weight;
use sc_client_api::{AuxStore, Backend};
use sp_blockchain::{Backend as _, HeaderBackend, HeaderMetadata};
use sp_consensus::{Error, SelectChain};
use sp_core::U256;
use sp_runtime::traits::{Block as BlockT, Header, NumberFor};
use std::{marker::PhantomData, sync::Arc};

/// Chooses chains by weight.
pub struct Heaviest<Block, C, BE> {
    client: Arc<C>,
    backend: Arc<BE>,
    _block: PhantomData<Block>,
}

impl<Block, C, BE> Clone for Heaviest<Block, C, BE> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), backend: self.backend.clone(), _block: PhantomData }
    }
}

impl<Block, C, BE> Heaviest<Block, C, BE>
where
    Block: BlockT,
    C: AuxStore + HeaderBackend<Block> + HeaderMetadata<Block, Error = sp_blockchain::Error>,
    BE: Backend<Block>,
{
    /// Among the chains of `client`, which are kept in `backend`.
    pub fn new(client: Arc<C>, backend: Arc<BE>) -> Self {
        Self { client, backend, _block: PhantomData }
    }

    /// Whether the chain up to `head` contains a block.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn contains(&self, head: Block::Hash, block: Block::Hash) -> sp_blockchain::Result<bool> {
        let Some(number) = self.client.number(block)? else { return Ok(false) };
        let info = self.client.info();
        if head == info.best_hash {
            return Ok(self.client.hash(number)? == Some(block));
        }
        Ok(sp_blockchain::tree_route(&*self.client, block, head)?.retracted().is_empty())
    }

    /// The heaviest of all chains that contain a block: its last block. The block itself, if nothing is built on it.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn above(&self, block: Block::Hash) -> sp_blockchain::Result<Block::Hash> {
        let mut heaviest = (U256::zero(), block);
        for leaf in self.backend.blockchain().leaves()? {
            // One without a weight was not imported by this engine.
            let Ok(weight) = weight::of(&*self.client, leaf) else { continue };
            if weight > heaviest.0 && self.contains(leaf, block)? {
                heaviest = (weight, leaf);
            }
        }
        Ok(heaviest.1)
    }

    /// The block of a height on the chain up to `head`.
    fn at(&self, head: Block::Hash, number: NumberFor<Block>) -> sp_blockchain::Result<Block::Hash> {
        let mut at = self.client.expect_header(head)?;
        let mut hash = head;
        while *at.number() > number {
            // Where it meets the best chain, the rest need not be walked.
            if self.client.hash(*at.number())? == Some(hash) {
                return self.client.hash(number)?.ok_or_else(|| {
                    sp_blockchain::Error::UnknownBlock(format!("block {number} of the best chain is missing"))
                });
            }
            hash = *at.parent_hash();
            at = self.client.expect_header(hash)?;
        }
        Ok(hash)
    }

    fn target(&self, base: Block::Hash, most: Option<NumberFor<Block>>) -> sp_blockchain::Result<Block::Hash> {
        let best = self.client.info().best_hash;
        let head = if self.contains(best, base)? { best } else { self.above(base)? };
        match most {
            Some(most) => self.at(head, most),
            None => Ok(head),
        }
    }
}

#[async_trait::async_trait]
impl<Block, C, BE> SelectChain<Block> for Heaviest<Block, C, BE>
where
    Block: BlockT,
    C: AuxStore + HeaderBackend<Block> + HeaderMetadata<Block, Error = sp_blockchain::Error> + Send + Sync + 'static,
    BE: Backend<Block> + 'static,
{
    async fn leaves(&self) -> Result<Vec<Block::Hash>, Error> {
        self.backend.blockchain().leaves().map_err(lookup)
    }

    async fn best_chain(&self) -> Result<Block::Header, Error> {
        self.client.expect_header(self.client.info().best_hash).map_err(lookup)
    }

    async fn finality_target(&self, base: Block::Hash, most: Option<NumberFor<Block>>) -> Result<Block::Hash, Error> {
        let number =
            self.client.expect_block_number_from_id(&sp_runtime::generic::BlockId::Hash(base)).map_err(lookup)?;
        if most.is_some_and(|most| most < number) {
            return Err(Error::ChainLookup(format!(
                "no block below height {number} contains the block of that height"
            )));
        }
        self.target(base, most).map_err(lookup)
    }
}

fn lookup(error: sp_blockchain::Error) -> Error {
    Error::ChainLookup(error.to_string())
}
