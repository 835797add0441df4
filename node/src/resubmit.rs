//! Transactions of blocks that a reorganisation took back go into the pool again.
//!
//! The pool does so by itself, but not when the new chain is more than twenty blocks ahead of where the old one was left:
//! then it takes the node to be syncing. A partition of a proof-of-work chain looks the same.

use futures::StreamExt;
use sc_client_api::{BlockBackend, BlockchainEvents};
use sc_transaction_pool_api::{TransactionPool, TransactionSource};
use sp_runtime::traits::Block as BlockT;
use std::sync::Arc;

/// Puts them back, until the chain ends its notifications.
pub async fn resubmit<Block, C, P>(client: Arc<C>, pool: Arc<P>)
where
    Block: BlockT,
    C: BlockBackend<Block> + BlockchainEvents<Block>,
    P: TransactionPool<Block = Block>,
{
    let mut imports = client.import_notification_stream();
    while let Some(import) = imports.next().await {
        let Some(route) = import.tree_route.filter(|_| import.is_new_best) else { continue };
        // The highest block comes first, and the transactions of an account must come in their order.
        for taken_back in route.retracted().iter().rev() {
            let Ok(Some(extrinsics)) = client.block_body(taken_back.hash) else { continue };
            // What is in the new chain too, and what is no transaction, is refused one by one.
            if let Err(error) = pool.submit_at(import.hash, TransactionSource::External, extrinsics).await {
                log::debug!(target: "weir", "transactions of block {:?} are not put back: {error}", taken_back.hash);
            }
        }
    }
}
