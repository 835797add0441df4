//! What pallets tell and ask each other, so that none depends on another's crate.

use crate::{AccountId, BlockNumber, Epoch, EpochIndex, UnixMilliseconds};

/// What a provider was measured to have when an epoch began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasuredProvider {
    /// The account of the provider.
    pub account: AccountId,
    /// The author whose blocks the provider boosts.
    pub mining_author: Option<AccountId>,
    /// The provider's guaranteed bandwidth: of the direction towards it, the only one that the chain measures.
    pub guaranteed_bits_per_second: u64,
}

/// Is told of the author of each block, before the block's transactions.
pub trait OnAuthored {
    /// `author` made the current block.
    fn on_authored(author: &AccountId);
}

impl OnAuthored for () {
    fn on_authored(_: &AccountId) {}
}

/// Is told of the start of each epoch but the first, in its first block.
pub trait OnEpoch {
    /// `epoch` begins, and `providers` are those with guaranteed bandwidth.
    fn on_epoch(epoch: Epoch, providers: &[MeasuredProvider]);
}

impl OnEpoch for () {
    fn on_epoch(_: Epoch, _: &[MeasuredProvider]) {}
}

impl<A: OnEpoch, B: OnEpoch> OnEpoch for (A, B) {
    fn on_epoch(epoch: Epoch, providers: &[MeasuredProvider]) {
        A::on_epoch(epoch, providers);
        B::on_epoch(epoch, providers);
    }
}

/// Knows the epochs.
pub trait Epochs {
    /// The index of the epoch of a block that is the current one or the next. Right in the first block of an epoch too, before
    /// anything was told of it.
    fn index_at(number: BlockNumber) -> EpochIndex;
}

/// Knows the block that is being executed, from its first moment on.
pub trait CurrentBlock {
    /// The author of the block; nobody in genesis.
    fn author() -> Option<AccountId>;
    /// The timestamp of the block; zero in genesis.
    fn timestamp() -> UnixMilliseconds;
    /// Says that somebody made the block.
    #[cfg(feature = "runtime-benchmarks")]
    fn set_author(author: &AccountId);
}
