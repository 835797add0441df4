//! Transactions of blocks that a reorganisation took back go into the pool again.
//!
//! The pool does so by itself, but not when the new chain is more than twenty blocks ahead of where the old one was left: then it takes the node
//! to be syncing. A partition of a proof-of-work chain looks the same. And when finality leaves a branch, the database forgets the bodies of its
//! blocks in the same write: so those of blocks that are not final are kept here.
//!
//! When they are taken back, the pool knows no block of the new chain yet, and asks the blocks of the old one about them, in which they are. So
//! what is valid on the best block, and not taken by the pool, is handed in again with each best block until it is one or the other.

use futures::StreamExt;
use sc_client_api::{BlockBackend, BlockchainEvents};
use sc_transaction_pool_api::{TransactionPool, TransactionSource};
use sp_api::ProvideRuntimeApi;
use sp_blockchain::HeaderBackend;
use sp_runtime::traits::Block as BlockT;
use sp_transaction_pool::runtime_api::TaggedTransactionQueue;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// How many bytes of transactions are kept at the most, the newest ones.
const MOST_BYTES: usize = 64 << 20;

/// How many transactions are handed in again with each best block: what validating them takes is a part of a second.
const MOST_AT_ONCE: usize = 512;

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

/// Transactions that were taken back, in the order in which they were included, and are in no pool.
struct Waiting<Block: BlockT> {
    transactions: VecDeque<Block::Extrinsic>,
    bytes: usize,
    most_bytes: usize,
}

impl<Block: BlockT> Waiting<Block> {
    fn new(most_bytes: usize) -> Self {
        Self { transactions: VecDeque::new(), bytes: 0, most_bytes }
    }

    fn add(&mut self, transactions: impl IntoIterator<Item = Block::Extrinsic>) {
        for transaction in transactions {
            self.bytes = self.bytes.saturating_add(codec::Encode::encoded_size(&transaction));
            self.transactions.push_back(transaction);
        }
        while self.bytes > self.most_bytes {
            let Some(oldest) = self.transactions.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(codec::Encode::encoded_size(&oldest));
        }
    }

    /// The first ones.
    fn take(&mut self) -> Vec<Block::Extrinsic> {
        let taken: Vec<_> = self.transactions.drain(..self.transactions.len().min(MOST_AT_ONCE)).collect();
        let bytes: usize = taken.iter().map(codec::Encode::encoded_size).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        taken
    }
}

/// Puts them back, until the chain ends its notifications.
pub async fn resubmit<Block, C, P>(client: Arc<C>, pool: Arc<P>)
where
    Block: BlockT,
    C: BlockBackend<Block> + BlockchainEvents<Block> + HeaderBackend<Block> + ProvideRuntimeApi<Block>,
    C::Api: TaggedTransactionQueue<Block>,
    P: TransactionPool<Block = Block>,
{
    let mut imports = client.import_notification_stream();
    let mut finalized = client.finality_notification_stream();
    let mut kept = Kept::<Block>::new(MOST_BYTES);
    let mut waiting = Waiting::<Block>::new(MOST_BYTES);
    let body_of = |hash| client.block_body(hash).ok().flatten();
    loop {
        tokio::select! {
            import = imports.next() => {
                let Some(import) = import else { return };
                if let Some(body) = body_of(import.hash) {
                    kept.keep(import.hash, body);
                }
                if !import.is_new_best {
                    continue;
                }
                // The highest block comes first, and the transactions of an account must come in their order.
                for block in import.tree_route.iter().flat_map(|route| route.retracted().iter().rev()) {
                    let body = body_of(block.hash).or_else(|| kept.bodies.get(&block.hash).cloned());
                    waiting.add(body.into_iter().flatten());
                }
            },
            finality = finalized.next() => {
                let Some(finality) = finality else { return };
                for hash in finality.tree_route.iter().chain([&finality.hash]) {
                    kept.take(hash);
                }
                for block in finality.stale_blocks.iter().rev() {
                    waiting.add(kept.take(&block.hash).into_iter().flatten());
                }
            },
        }
        let best = client.info().best_hash;
        let is_valid = |transaction: &Block::Extrinsic| {
            // What is in this chain too, and what is no transaction, is not.
            let source = TransactionSource::External;
            let validity = client.runtime_api().validate_transaction(best, source, transaction.clone(), best);
            matches!(validity, Ok(Ok(_)))
        };
        let valid: Vec<_> = waiting.take().into_iter().filter(is_valid).collect();
        if valid.is_empty() {
            continue;
        }
        match pool.submit_at(best, TransactionSource::External, valid.clone()).await {
            Ok(results) => {
                let refused = valid.into_iter().zip(results).filter(|(_, result)| result.is_err());
                waiting.add(refused.map(|(transaction, _)| transaction));
            },
            Err(error) => {
                log::debug!(target: "weir", "transactions that were taken back are not put back: {error}");
                waiting.add(valid);
            },
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
    fn what_waits_is_bounded_and_keeps_its_order() {
        let mut waiting = Waiting::<Block>::new(1_000);
        for number in 0..100u8 {
            waiting.add([OpaqueExtrinsic::from_blob(vec![number; 96])]);
            assert!(waiting.bytes <= 1_000);
        }
        let left: Vec<u8> = waiting.take().iter().map(|it| codec::Encode::encode(it)[2]).collect();
        assert!(left.windows(2).all(|two| two[1] == two[0] + 1) && left.last() == Some(&99), "{left:?}");
        assert_eq!((waiting.bytes, waiting.transactions.len()), (0, 0));
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
