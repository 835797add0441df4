//! What the node and the agents ask the runtime.

use crate::{
    consensus::{claims::Allowed, Difficulty},
    finality::Wanted,
    interfaces::Everybody,
    market::{Channel, ChannelId, Listing, Region, Reputation, SessionKey},
    measurement::{
        challenge::{Challenge, Outcome},
        lottery::{
            groups::{Family, Prefix},
            Seed,
        },
        Endpoints, PeerKey,
    },
    parameters::{Consensus, Parameters},
    registry::Standing,
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

/// A challenge that takes part in an instant which is not evaluated yet, with all that its agents need.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct OpenChallenge {
    /// Which one.
    pub challenge: Challenge,
    /// What it was drawn from. It names the challenge: on another fork it is another one.
    pub seed: Seed,
    /// When all start: T0.
    pub start: UnixMilliseconds,
    /// The last timestamp of a block that takes reports.
    pub deadline: UnixMilliseconds,
    /// How fast each member sends, and is sent to, at the most.
    pub bits_per_second: u64,
    /// For how long each member sends, in microseconds.
    pub train_us: u64,
    /// The most bytes that one member can prove in a direction.
    pub budget_bytes: u64,
    /// How fast the provider sends to all of them together: what a challenge can count.
    pub wanted_bits_per_second: u64,
    /// The provider.
    pub provider: AccountId,
    /// The identity of the provider's agent.
    pub identity: PeerKey,
    /// The committee, in its order: account, identity, and where its control streams are reached.
    pub committee: Vec<(AccountId, PeerKey, Endpoints)>,
    /// The places in the committee of those whose reports are on chain.
    pub taken: Vec<u8>,
}

/// What the chain knows about a provider.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct ProviderStatus {
    /// Its slot, until it leaves.
    pub slot: Option<u32>,
    /// The first epoch in which it is drawn.
    pub from: EpochIndex,
    /// The capacity that it declared and put up a bond for.
    pub declared_bits_per_second: u64,
    /// The guaranteed bandwidth that the provider is paid for and boosts with in the next epoch: of the lower direction.
    pub guaranteed_bits_per_second: u64,
    /// The guaranteed bandwidth of each direction, down and up.
    pub directions_bits_per_second: (u64, u64),
    /// The last results of each direction, the oldest first.
    pub results: (Vec<u64>, Vec<u64>),
    /// The last challenge, and what came of it.
    pub last: Option<(Challenge, Outcome)>,
    /// The author whose blocks the provider boosts.
    pub mining_author: Option<AccountId>,
    /// The bond that is held.
    pub bond: Balance,
    /// The identity of the provider's agent.
    pub identity: PeerKey,
    /// The address family over which it is measured.
    pub family: Family,
    /// The prefix that it was last seen at.
    pub prefix: Option<Prefix>,
    /// The block from which on the bond can be taken back, if the provider is leaving.
    pub leaving: Option<BlockNumber>,
}

/// What the chain knows about a challenger.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct ChallengerStatus {
    /// Where it stands.
    pub standing: Standing,
    /// The bond that is held.
    pub bond: Balance,
    /// The identity of the challenger's agent.
    pub identity: PeerKey,
    /// Where provers reach it.
    pub endpoints: Endpoints,
    /// How often it was jailed.
    pub times_jailed: u32,
    /// How many of its last duties count.
    pub duties: u32,
    /// By how much what it missed of them exceeds what others did, if there are enough to judge by.
    pub excess: Option<Perbill>,
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

/// What a provider sells, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Offer {
    /// The provider.
    pub provider: AccountId,
    /// The identity of its agent.
    pub identity: PeerKey,
    /// What it sells.
    pub listing: Listing,
    /// What is guaranteed of its line, in bits per second.
    pub guaranteed_bits_per_second: u64,
    /// What is known of it.
    pub reputation: Reputation,
}

/// What a consumer looks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Search {
    /// The most that a GiB may cost, in planck.
    pub most_per_gib: Option<Balance>,
    /// The country.
    pub region: Option<Region>,
    /// The least that must be offered, and guaranteed, in bits per second.
    pub least_bits_per_second: u64,
    /// Whether it must connect to the internet.
    pub proxy: bool,
    /// Whether it must serve files.
    pub content: bool,
}

sp_api::decl_runtime_apis! {
    /// Block production.
    #[api_version(3)]
    pub trait ConsensusApi {
        /// The parameters of the chain, with what was tuned of them; none if its genesis set none, and then it has no blocks.
        fn parameters() -> Option<Parameters>;
        /// What a child of this block that a key signs is checked against; none on a chain without parameters.
        fn next_block(author: AccountId) -> Option<NextBlock>;
        /// The key that signs the next block of an account: the account itself, unless it named another.
        fn author_key(account: AccountId) -> AccountId;
        /// The account for which a key signs the next block: the key itself, unless an account named it.
        fn author_account(key: AccountId) -> AccountId;
    }

    /// Finality, beside what GRANDPA asks.
    pub trait FinalityApi {
        /// The proof that the chain waits for, if any.
        fn wanted() -> Option<Wanted>;
    }

    /// Measurement of bandwidth.
    #[api_version(2)]
    pub trait MeasurementApi {
        /// The epoch of this block.
        fn epoch() -> EpochIndex;
        /// The challenges of a provider that are drawn and not evaluated yet.
        fn challenges(provider: AccountId) -> Vec<OpenChallenge>;
        /// What is known about a provider.
        fn provider(account: AccountId) -> Option<ProviderStatus>;
        /// What is known about a challenger.
        fn challenger(account: AccountId) -> Option<ChallengerStatus>;
        /// The providers in so many slots from one on.
        fn providers(from_slot: u32, slots: u32) -> Vec<AccountId>;
        /// What adds up over all who take part in the current epoch.
        fn everybody() -> Everybody;
    }

    /// The market.
    pub trait MarketApi {
        /// Offers after that of a provider that fit, at most so many, and the provider to go on from if there may be more.
        fn offers(after: Option<AccountId>, at_most: u32, search: Search) -> (Vec<Offer>, Option<AccountId>);
        /// The offer of a provider.
        fn offer(provider: AccountId) -> Option<Offer>;
        /// The channel of a number, and the block up to which receipts settle.
        fn channel(channel: ChannelId) -> Option<(Channel, BlockNumber)>;
        /// The number of the channel that a key signs for.
        fn channel_of(key: SessionKey) -> Option<ChannelId>;
    }

    /// Money.
    pub trait SupplyApi {
        /// The sums of all tokens.
        fn supply() -> Supply;
    }
}
