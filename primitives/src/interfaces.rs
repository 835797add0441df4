//! What pallets tell and ask each other, so that none depends on another's crate.

use crate::{
    measurement::{
        lottery::{
            committee::Table,
            groups::{Family, Prefix},
            Seed,
        },
        PeerKey,
    },
    AccountId, Balance, BlockNumber, Epoch, EpochIndex, UnixMilliseconds,
};
use codec::{Decode, Encode};
use scale_info::TypeInfo;
use sp_runtime::DispatchResult;

/// Is told of the author of each block, before the block's transactions.
pub trait OnAuthored {
    /// `author` made the current block.
    fn on_authored(author: &AccountId);
}

impl OnAuthored for () {
    fn on_authored(_: &AccountId) {}
}

/// Knows the epochs.
pub trait Epochs {
    /// The index of the epoch of a block that is the current one or the next. Right in the first block of an epoch too, before
    /// anything was told of it.
    fn index_at(number: BlockNumber) -> EpochIndex;
    /// The epoch of the current block, once its start was told.
    fn current() -> Epoch;
    /// Says that an epoch has begun.
    #[cfg(feature = "runtime-benchmarks")]
    fn set_current(epoch: Epoch);
}

/// What the guaranteed bandwidth of a provider counts for in an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units<'a> {
    /// The author whose blocks it boosts.
    pub mining_author: Option<&'a AccountId>,
    /// The guaranteed bandwidth; zero where the provider is not drawn.
    pub bits_per_second: u64,
}

/// Is told what changes of the guaranteed bandwidth of a provider.
pub trait OnGuaranteed {
    /// From the epoch `from` on, which is the next one, what was `before` is `after`. Told again for the same epoch, `before` is what
    /// was told last.
    fn on_guaranteed(provider: &AccountId, from: EpochIndex, before: Units<'_>, after: Units<'_>);
}

impl OnGuaranteed for () {
    fn on_guaranteed(_: &AccountId, _: EpochIndex, _: Units<'_>, _: Units<'_>) {}
}

impl<A: OnGuaranteed, B: OnGuaranteed> OnGuaranteed for (A, B) {
    fn on_guaranteed(provider: &AccountId, from: EpochIndex, before: Units<'_>, after: Units<'_>) {
        A::on_guaranteed(provider, from, before, after);
        B::on_guaranteed(provider, from, before, after);
    }
}

/// Takes snapshots of the bandwidth behind authors, which count only when they are proven final.
pub trait Snapshots {
    /// The bandwidth behind an author in the snapshot that is in force, in bits per second.
    fn behind(author: &AccountId) -> u64;
    /// The block that took a snapshot which waits to be proven final.
    fn waiting() -> Option<BlockNumber>;
    /// All blocks up to a height are proven final.
    fn on_proven(height: BlockNumber);
    /// Puts so much behind an author in the snapshot that is in force, and lets another one wait.
    #[cfg(feature = "runtime-benchmarks")]
    fn set(author: &AccountId, bits_per_second: u64);
}

/// Knows how much can be measured.
pub trait HasRoom {
    /// Whether challengers and blocks can serve one more provider, or a larger one, whose challenges must be able to show `wanted` more bits
    /// per second.
    fn has_room_for(wanted: u64) -> bool;
}

/// A provider in an epoch, as draws and evaluation see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochProvider {
    /// The account.
    pub account: AccountId,
    /// The first epoch in which it could be drawn.
    pub from: EpochIndex,
    /// The identity of its agent.
    pub identity: PeerKey,
    /// The address family over which it is measured.
    pub family: Family,
    /// The prefix that it was last seen at.
    pub prefix: Option<Prefix>,
    /// What it declares, in bits per second.
    pub declared: u64,
    /// What a challenge of it must be able to show, in bits per second.
    pub wanted: u64,
    /// What it is paid for, in bits per second.
    pub guaranteed: u64,
}

/// Everybody who takes part, added up over an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Everybody {
    /// How many provider slots there are, empty ones included.
    pub provider_slots: u32,
    /// How many providers are active.
    pub providers: u32,
    /// How many challengers are active.
    pub challengers: u32,
    /// How many of them are seniors.
    pub seniors: u32,
    /// What the challenges of all providers must be able to show, in bits per second.
    pub wanted: u128,
    /// What all challengers together can send and take, in bits per second.
    pub class: u128,
    /// The guaranteed bandwidth of all providers, in bits per second.
    pub guaranteed: u128,
}

/// Knows who takes part, and is told what measurements came to. Of the epochs before this one, this one and the next.
pub trait Participants {
    /// The challengers of an epoch.
    type Challengers: Table;

    /// The challengers of an epoch.
    fn challengers(epoch: EpochIndex) -> Self::Challengers;
    /// The account and the identity of the challenger in a slot.
    fn challenger(slot: u32, epoch: EpochIndex) -> Option<(AccountId, PeerKey)>;
    /// The provider in a slot, if it is active in an epoch.
    fn provider(slot: u32, epoch: EpochIndex) -> Option<EpochProvider>;
    /// What adds up over an epoch.
    fn everybody(epoch: EpochIndex) -> Everybody;
    /// What the challenges of all providers behind a prefix must be able to show together, in bits per second.
    fn wanted_behind(prefix: Prefix, epoch: EpochIndex) -> u128;
    /// Begins an epoch, before anything else happens in it.
    fn start_epoch(epoch: EpochIndex, seed: &Seed);
    /// Sets the guaranteed bandwidth of the provider in a slot, and the prefix that it was seen at, from the next epoch on.
    fn set_measured(slot: u32, guaranteed_bits_per_second: u64, prefix: Option<Prefix>);
    /// Makes the provider in a slot leave, which has proven nothing for too long.
    fn evict(slot: u32);
    /// Jails a challenger from the next epoch on. Says whether it was.
    fn jail(challenger: &AccountId) -> bool;
    /// Takes the whole bond of the challenger that answers for an identity, a tenth of it for who showed why.
    ///
    /// # Errors
    ///
    /// When nobody answers for the identity as a challenger, or the bond is gone.
    fn slash_challenger(identity: &PeerKey, shown_by: &AccountId) -> DispatchResult;
}

/// Is told of the start of each epoch, the first one included, once everybody of it is known.
pub trait OnEpochBorder {
    /// `epoch` begins. Where too few seniors are there, capacity `is_paid` nothing and nothing is boosted.
    fn on_epoch_border(epoch: Epoch, everybody: &Everybody, is_paid: bool);
}

impl OnEpochBorder for () {
    fn on_epoch_border(_: Epoch, _: &Everybody, _: bool) {}
}

impl<A: OnEpochBorder, B: OnEpochBorder> OnEpochBorder for (A, B) {
    fn on_epoch_border(epoch: Epoch, everybody: &Everybody, is_paid: bool) {
        A::on_epoch_border(epoch, everybody, is_paid);
        B::on_epoch_border(epoch, everybody, is_paid);
    }
}

/// Is told that a provider was measured.
pub trait OnMeasured {
    /// A challenge of `provider` was evaluated.
    fn on_measured(provider: &AccountId);
}

impl OnMeasured for () {
    fn on_measured(_: &AccountId) {}
}

/// Is told of the author who is the first to include a batch of reports.
pub trait OnIncluded {
    /// `author` included a batch.
    fn on_included(author: &AccountId);
}

impl OnIncluded for () {
    fn on_included(_: &AccountId) {}
}

/// Is told what challengers did.
pub trait OnDuty {
    /// A challenger met a duty in which it was to send and take so many bytes; none where the challenge was void. Says whether it was paid for
    /// former ones at that, which is most of the work.
    fn on_duty(challenger: &AccountId, assigned_bytes: u64) -> bool;
}

impl OnDuty for () {
    fn on_duty(_: &AccountId, _: u64) -> bool {
        false
    }
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

/// Knows what bandwidth is guaranteed.
pub trait Guarantees {
    /// The guaranteed bandwidth of a provider in the current epoch, in bits per second; none of who is no provider, or leaves.
    fn of(provider: &AccountId) -> Option<u64>;
    /// Makes somebody a provider whose guaranteed bandwidth is this.
    #[cfg(feature = "runtime-benchmarks")]
    fn set(provider: &AccountId, bits_per_second: u64);
}

/// Is told of traffic that was paid for.
pub trait OnTraffic {
    /// A provider that so much bandwidth is guaranteed of was paid for so many bytes, and so much of the payment was burned.
    fn on_traffic(provider: &AccountId, bytes: u64, guaranteed_bits_per_second: u64, burned: Balance);
}

impl OnTraffic for () {
    fn on_traffic(_: &AccountId, _: u64, _: u64, _: Balance) {}
}
