//! What the registry stores.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{traits::ConstU32, BoundedVec};
use scale_info::TypeInfo;
use weir_primitives::{
    measurement::{
        endpoint,
        lottery::{
            committee::Candidate,
            groups::{Family, Prefix},
        },
        Endpoints, PeerKey,
    },
    versions::Versions,
    AccountId, Balance, BlockNumber, EpochIndex,
};

pub use weir_primitives::registry::{Role, Standing};

/// How many identities an account can have had within the unbonding time.
pub const MAX_FORMER_IDENTITIES: u32 = 8;

/// Identities that were rotated away.
pub type FormerIdentities = BoundedVec<(PeerKey, BlockNumber), ConstU32<MAX_FORMER_IDENTITIES>>;

/// An account that is a provider.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Provider {
    /// Its slot, until it leaves.
    pub slot: Option<u32>,
    /// The bond that is held for what it declares.
    pub bond: Balance,
    /// A part of the bond that is not needed any more, and the block from which on it can be taken back.
    pub excess: Option<(Balance, BlockNumber)>,
    /// The block from which on everything can be taken back, once it left.
    pub leaves: Option<BlockNumber>,
    /// The identity of its agent.
    pub identity: PeerKey,
    /// Those that it had before, each with the block up to which it answers for them.
    pub former_identities: FormerIdentities,
}

/// An account that is a challenger.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Challenger {
    /// Where it stands.
    pub standing: Standing,
    /// The bond that is held.
    pub bond: Balance,
    /// How often it was jailed.
    pub times_jailed: u32,
    /// The identity of its agent, which signs its reports.
    pub identity: PeerKey,
    /// Those that it had before, each with the block up to which it answers for them.
    pub former_identities: FormerIdentities,
    /// Where provers reach its control streams.
    pub endpoints: Endpoints,
}

/// What a slot says of a provider, by epoch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct ProviderSlot {
    /// The account.
    pub account: AccountId,
    /// The first epoch in which it is active.
    pub from: EpochIndex,
    /// The first epoch in which it is active no more, if that is known.
    pub until: Option<EpochIndex>,
    /// The address family over which it is measured.
    pub family: Family,
    /// The identity of its agent.
    pub identity: Versions<PeerKey>,
    /// The capacity that it declares, in bits per second.
    pub declared: Versions<u64>,
    /// The prefix that it was last seen at.
    pub prefix: Versions<Option<Prefix>>,
    /// The author whose blocks it boosts.
    pub mining_author: Versions<Option<AccountId>>,
    /// Its guaranteed bandwidth, in bits per second.
    pub guaranteed: Versions<u64>,
    /// What a challenge of it must be able to show, in bits per second.
    pub wanted: Versions<u64>,
}

impl ProviderSlot {
    /// That of a provider of whom nothing was measured.
    pub fn new(
        account: AccountId,
        from: EpochIndex,
        identity: PeerKey,
        family: Family,
        declared: u64,
        wanted: u64,
        mining_author: Option<AccountId>,
    ) -> Self {
        Self {
            account,
            from,
            until: None,
            family,
            identity: Versions::new(identity),
            declared: Versions::new(declared),
            prefix: Versions::new(None),
            mining_author: Versions::new(mining_author),
            guaranteed: Versions::new(0),
            wanted: Versions::new(wanted),
        }
    }

    /// Whether the provider can be drawn in an epoch.
    pub fn is_active(&self, epoch: EpochIndex) -> bool {
        self.from <= epoch && self.until.is_none_or(|until| epoch < until)
    }
}

/// What a slot says of a challenger, by epoch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct ChallengerSlot {
    /// The account.
    pub account: AccountId,
    /// The first epoch in which it is active; 0 for those that genesis names.
    pub from: EpochIndex,
    /// The first epoch in which it is active no more, if that is known.
    pub until: Option<EpochIndex>,
    /// The identity of its agent.
    pub identity: Versions<PeerKey>,
    /// Where provers reach its control streams.
    pub endpoints: Versions<Endpoints>,
}

impl ChallengerSlot {
    /// The challenger as the draw of an epoch sees it.
    pub fn candidate(&self, epoch: EpochIndex) -> Candidate {
        let addresses = self.endpoints.at(epoch).iter().filter_map(|bytes| endpoint::decode(bytes));
        Candidate {
            account: self.account.clone(),
            prefixes: addresses.map(|(address, _)| Prefix::of(address.ip())).collect(),
            from: self.from,
            until: self.until,
        }
    }
}

/// Whose an identity is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Owner {
    /// The account that it acts for.
    pub account: AccountId,
    /// As what.
    pub role: Role,
    /// The block up to which what it signed before can be shown against the account, if it was rotated away.
    pub until: Option<BlockNumber>,
}

/// The slots of one role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Table {
    /// How many slots there are, empty ones included.
    pub slots: Versions<u32>,
    /// The number of the oldest entry of those that became free.
    pub freed_begin: u32,
    /// The number of the next such entry.
    pub freed_end: u32,
}

/// Sums over all that are active, by epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Sums {
    /// How many providers there are.
    pub providers: Versions<u32>,
    /// What the challenges of all providers must be able to show, in bits per second.
    pub wanted: Versions<u128>,
    /// The guaranteed bandwidth of all providers, in bits per second.
    pub guaranteed: Versions<u128>,
    /// How many challengers there are.
    pub challengers: Versions<u32>,
    /// How many of them are seniors.
    pub seniors: Versions<u32>,
}
