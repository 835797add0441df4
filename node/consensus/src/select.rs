//! The best chain, for the parts of the node that ask for it: the one that import chose by weight.

use sc_client_api::Backend;
use sp_blockchain::{Backend as _, HeaderBackend};
use sp_consensus::{Error, SelectChain};
use sp_runtime::traits::Block as BlockT;
use std::{marker::PhantomData, sync::Arc};

/// Answers with the head that block import set.
pub struct Heaviest<Block, BE>(Arc<BE>, PhantomData<Block>);

impl<Block, BE> Heaviest<Block, BE> {
    /// Of the chains of this database.
    pub fn new(backend: Arc<BE>) -> Self {
        Self(backend, PhantomData)
    }
}

impl<Block, BE> Clone for Heaviest<Block, BE> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

#[async_trait::async_trait]
impl<Block: BlockT, BE: Backend<Block> + 'static> SelectChain<Block> for Heaviest<Block, BE> {
    async fn leaves(&self) -> Result<Vec<Block::Hash>, Error> {
        self.0.blockchain().leaves().map_err(|error| Error::ChainLookup(error.to_string()))
    }

    async fn best_chain(&self) -> Result<Block::Header, Error> {
        let chain = self.0.blockchain();
        chain.expect_header(chain.info().best_hash).map_err(|error| Error::ChainLookup(error.to_string()))
    }
}
