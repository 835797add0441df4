//! What the node and the agents ask the runtime.

use crate::{
    consensus::{claims::Allowed, Difficulty},
    measurement::{Duty, Endpoints, Outcome, PeerKey},
    parameters::{Consensus, Parameters},
    AccountId, Balance, BlockNumber, EpochIndex, UnixMilliseconds,
};
use alloc::vec::Vec;
use codec::{Decode, Encode};
use scale_info::TypeInfo;
use sp_arithmetic::Perbill;
use sp_core::U256;

/// All that a child of a block is checked against, or made from, in one call.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct NextBlock {
    /// The base difficulty that it must claim.
    pub base: Difficulty,
    /// The earliest date that it may have.
    pub earliest: UnixMilliseconds,
    /// The most credit that its author may spend on it.
    pub spendable: Perbill,
    /// The total weight of the chain up to its parent.
    pub parent_weight: U256,
    /// The rules that it follows: those in its parent's state.
    pub rules: Consensus,
    /// The version of the trie that its extrinsics root is of: 0 or 1.
    pub extrinsics_root_version: u8,
}

impl NextBlock {
    /// What its author may claim in its header.
    pub fn allowed(&self) -> Allowed {
        Allowed { base: self.base, earliest: self.earliest, spendable: self.spendable }
    }
}

/// What the chain knows about a provider.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct ProviderStatus {
    /// The capacity that it declared and put up a bond for.
    pub declared_bits_per_second: u64,
    /// The guaranteed bandwidth, which the provider is paid for and boosts with.
    pub guaranteed_bits_per_second: u64,
    /// The last results, the oldest first.
    pub results: Vec<u64>,
    /// The last challenge.
    pub last: Option<Outcome>,
    /// The author whose blocks the provider boosts.
    pub mining_author: Option<AccountId>,
    /// The bond that is held.
    pub bond: Balance,
    /// The identity of the provider's agent.
    pub peer: PeerKey,
    /// Where the provider is measured.
    pub endpoints: Endpoints,
    /// The block from which on the bond can be taken back, if the provider is leaving.
    pub leaving: Option<BlockNumber>,
}

/// What the chain knows about a challenger.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct ChallengerStatus {
    /// The bond that is held.
    pub bond: Balance,
    /// The identity of the challenger's agent.
    pub peer: PeerKey,
    /// Where provers reach it.
    pub endpoints: Endpoints,
    /// How many reports of the challenger were taken.
    pub reports: u64,
    /// The block from which on the bond can be taken back, if it is leaving.
    pub leaving: Option<BlockNumber>,
}

/// The sums of all tokens, in planck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Supply {
    /// The hard cap on everything ever issued.
    pub cap: Balance,
    /// The most that can have been issued when the current epoch ends, genesis included.
    pub scheduled: Balance,
    /// Everything ever issued, burned or not.
    pub issued: Balance,
    /// Everything burned.
    pub burned: Balance,
    /// Rewards that are held until they vest.
    pub vesting: Balance,
    /// What exists now: issued less burned.
    pub existing: Balance,
}

sp_api::decl_runtime_apis! {
    /// Block production.
    #[api_version(2)]
    pub trait ConsensusApi {
        /// The parameters of the chain, with what was tuned of them; none if its genesis set none, and then it has no blocks.
        fn parameters() -> Option<Parameters>;
        /// What a child of this block by an author is checked against; none on a chain without parameters.
        fn next_block(author: AccountId) -> Option<NextBlock>;
    }

    /// Measurement of bandwidth.
    pub trait MeasurementApi {
        /// The epoch of this block.
        fn epoch() -> EpochIndex;
        /// The challenges of the current epoch that concern an account and still take reports.
        fn duties(account: AccountId) -> Vec<Duty>;
        /// What is known about a provider.
        fn provider(account: AccountId) -> Option<ProviderStatus>;
        /// What is known about a challenger.
        fn challenger(account: AccountId) -> Option<ChallengerStatus>;
        /// All providers.
        fn providers() -> Vec<AccountId>;
    }

    /// Money.
    pub trait SupplyApi {
        /// The sums of all tokens.
        fn supply() -> Supply;
    }
}
