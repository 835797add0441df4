//! The execution of a block, and the verdict on one whose execution fails.
//!
//! A failure may be the block's, or this machine's: memory that ran out, a cache that is damaged. So a block that fails is
//! executed once more with nothing that was cached: an instance of the runtime that is compiled for it alone, on a state that is
//! read from the database without the cache of its trie. Only a panic of the runtime there, which comes as an error of its own
//! kind, is a verdict on the block.

use codec::Encode;
use sc_client_api::backend::{Backend, TrieCacheContext};
use sc_executor::error::Error as ExecutorError;
use sp_core::traits::{CallContext, CodeExecutor};
use sp_externalities::Extensions;
use sp_runtime::traits::{Block as BlockT, HashingFor};
use sp_state_machine::{
    backend::{AsTrieBackend, BackendRuntimeCode},
    Ext, OverlayedChanges, TrieBackendBuilder,
};
use std::sync::Arc;

/// What a second execution says of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The runtime accepts it: what failed was this machine.
    Valid,
    /// The runtime refuses it.
    Invalid {
        /// With which panic.
        why: String,
    },
    /// This machine cannot tell.
    None {
        /// Why not.
        why: String,
    },
}

/// Executes a block on the state of its parent, with nothing that was cached.
pub trait ColdExecution<Block: BlockT>: Send + Sync {
    /// What the runtime says of `block`, whose header has no seal.
    fn judge(&self, parent: Block::Hash, block: Block) -> Verdict;
}

/// With an executor of its own for each block, on the states of a backend.
pub struct Cold<BE, E> {
    backend: Arc<BE>,
    executor: Box<dyn Fn() -> E + Send + Sync>,
}

impl<BE, E> Cold<BE, E> {
    /// On the states of `backend`. `executor` makes one that has compiled nothing.
    pub fn new(backend: Arc<BE>, executor: impl Fn() -> E + Send + Sync + 'static) -> Self {
        Self { backend, executor: Box::new(executor) }
    }
}

impl<Block, BE, E> ColdExecution<Block> for Cold<BE, E>
where
    Block: BlockT,
    BE: Backend<Block>,
    E: CodeExecutor<Error = ExecutorError>,
{
    fn judge(&self, parent: Block::Hash, block: Block) -> Verdict {
        let cached = match self.backend.state_at(parent, TrieCacheContext::Untrusted) {
            Ok(state) => state,
            Err(error) => return Verdict::None { why: error.to_string() },
        };
        let cached = cached.as_trie_backend();
        let state = TrieBackendBuilder::<_, HashingFor<Block>>::new(cached.backend_storage(), *cached.root()).build();
        let context = CallContext::Onchain { import: true };
        let code = BackendRuntimeCode::new(&state, context.into());
        let code = match code.runtime_code() {
            Ok(code) => code,
            Err(why) => return Verdict::None { why: why.into() },
        };
        let (mut changes, mut extensions) = (OverlayedChanges::<HashingFor<Block>>::default(), Extensions::new());
        let mut externalities = Ext::new(&mut changes, &state, Some(&mut extensions));
        let executor = (self.executor)();
        match executor.call(&mut externalities, &code, "Core_execute_block", &block.encode(), context).0 {
            Ok(_) => Verdict::Valid,
            Err(ExecutorError::AbortedDueToPanic(panic)) => Verdict::Invalid { why: panic.message },
            Err(other) => Verdict::None { why: other.to_string() },
        }
    }
}
