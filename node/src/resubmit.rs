//! Transactions of blocks that a reorganisation took back go into the pool again.
//!
//! The pool does so by itself, but not when the new chain is more than twenty blocks ahead of where the old one was left: then it takes the node
//! to be syncing. A partition of a proof-of-work chain looks the same. And when finality leaves a branch, the database forgets the bodies of its
//! blocks in the same write: so those of blocks that are not final are kept here.

use futures::StreamExt;
use sc_client_api::{BlockBackend, BlockchainEvents};
use sc_transaction_pool_api::{TransactionPool, TransactionSource};
use sp_runtime::traits::Block as BlockT;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// How many bytes of transactions are kept at the most, the newest ones.
const MOST_BYTES: usize = 64 << 20;

/// The transactions of blocks that are not final.
struct Kept<Block: BlockT> {
    bodies: HashMap<Block::Hash, Vec<Block::Extrinsic>>,
    /// In the order in which they came; some may be gone.
    order: VecDeque<(Block::Hash, usize)>,
    bytes: usize,
    most_bytes: usize,
}

impl<Block: BlockT> Kept<Block> {
    fn new(most_bytes: usize) -> Self {
        Self { bodies: HashMap::new(), order: VecDeque::new(), bytes: 0, most_bytes }
    }

    fn keep(&mut self, hash: Block::Hash, body: Vec<Block::Extrinsic>) {
        let bytes = body.iter().map(codec::Encode::encoded_size).sum();
        if self.bodies.insert(hash, body).is_none() {
            self.order.push_back((hash, bytes));
            self.bytes = self.bytes.saturating_add(bytes);
        }
        while self.bytes > self.most_bytes {
            let Some((oldest, bytes)) = self.order.pop_front() else { break };
            self.bodies.remove(&oldest);
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    fn take(&mut self, hash: &Block::Hash) -> Option<Vec<Block::Extrinsic>> {
        let body = self.bodies.remove(hash);
        // The oldest blocks are the first to become final.
        while let Some((oldest, bytes)) = self.order.front() {
            if self.bodies.contains_key(oldest) {
                break;
            }
            self.bytes = self.bytes.saturating_sub(*bytes);
            self.order.pop_front();
        }
        body
    }
}

/// Puts them back, until the chain ends its notifications.
pub async fn resubmit<Block, C, P>(client: Arc<C>, pool: Arc<P>)
where
    Block: BlockT,
    C: BlockBackend<Block> + BlockchainEvents<Block>,
    P: TransactionPool<Block = Block>,
{
    let mut imports = client.import_notification_stream();
    let mut finalized = client.finality_notification_stream();
    let mut kept = Kept::<Block>::new(MOST_BYTES);
    let body_of = |hash| client.block_body(hash).ok().flatten();
    loop {
        let (at, taken_back) = tokio::select! {
            import = imports.next() => {
                let Some(import) = import else { return };
                if let Some(body) = body_of(import.hash) {
                    kept.keep(import.hash, body);
                }
                let route = import.tree_route.as_ref().filter(|_| import.is_new_best);
                // The highest block comes first, and the transactions of an account must come in their order.
                let retracted = route.into_iter().flat_map(|route| route.retracted().iter().rev());
                let bodies: Vec<_> = retracted
                    .filter_map(|block| body_of(block.hash).or_else(|| kept.bodies.get(&block.hash).cloned()))
                    .collect();
                (import.hash, bodies)
            },
            finality = finalized.next() => {
                let Some(finality) = finality else { return };
                for hash in finality.tree_route.iter().chain([&finality.hash]) {
                    kept.take(hash);
                }
                let mut stale: Vec<_> = finality.stale_blocks.iter().collect();
                stale.reverse();
                (finality.hash, stale.into_iter().filter_map(|block| kept.take(&block.hash)).collect())
            },
        };
        for extrinsics in taken_back {
            // What is in the new chain too, and what is no transaction, is refused one by one.
            if let Err(error) = pool.submit_at(at, TransactionSource::External, extrinsics).await {
                log::debug!(target: "weir", "transactions of a block that was taken back are not put back: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sp_core::H256;
    use sp_runtime::OpaqueExtrinsic;
    use weir_runtime::opaque::Block;

    fn body(bytes: usize) -> Vec<OpaqueExtrinsic> {
        vec![OpaqueExtrinsic::from_blob(vec![7; bytes])]
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_newest() {
        let mut kept = Kept::<Block>::new(1_000);
        for number in 0..100 {
            kept.keep(H256::from_low_u64_be(number), body(96));
            assert!(kept.bytes <= 1_000 && kept.order.len() == kept.bodies.len());
        }
        assert!(kept.take(&H256::from_low_u64_be(99)).is_some() && kept.take(&H256::from_low_u64_be(80)).is_none());
    }

    #[test]
    fn what_became_final_is_forgotten() {
        let mut kept = Kept::<Block>::new(1_000_000);
        for number in 0..1_000 {
            kept.keep(H256::from_low_u64_be(number), body(96));
            kept.take(&H256::from_low_u64_be(number.saturating_sub(10)));
        }
        assert!(kept.order.len() <= 11 && kept.bytes < 2_000);
    }
}
