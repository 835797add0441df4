use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{traits::ConstU32, BoundedVec};
use scale_info::TypeInfo;
use weir_primitives::{
    measurement::{draw::Seed, estimator::guaranteed_bits_per_second, Endpoints, Outcome, PeerKey},
    parameters::{Measurement, MAX_WINDOW},
    runtime_api::{ChallengerStatus, ProviderStatus},
    AccountId, Balance, BlockNumber, Epoch, UnixMilliseconds,
};

/// A provider, and what was measured of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Provider {
    /// The declared capacity, for which the bond is held.
    pub declared_bits_per_second: u64,
    /// The bond that is held.
    pub bond: Balance,
    /// The identity of the provider's agent.
    pub peer: PeerKey,
    /// Where the provider is measured.
    pub endpoints: Endpoints,
    /// The author whose blocks the provider boosts.
    pub mining_author: Option<AccountId>,
    /// The last results in bits per second, the oldest first; as many as the window holds.
    pub results: BoundedVec<u64, ConstU32<MAX_WINDOW>>,
    /// The guaranteed bandwidth that follows from the results.
    pub guaranteed_bits_per_second: u64,
    /// The last challenge.
    pub last: Option<Outcome>,
    /// The block from which on the bond can be taken back, if the provider is leaving.
    pub leaving: Option<BlockNumber>,
}

impl Provider {
    /// Adds the result of a challenge, and forgets the one that falls out of the window.
    pub fn add(&mut self, outcome: Outcome, measurement: &Measurement) {
        let window = usize::try_from(measurement.window.min(MAX_WINDOW)).unwrap_or(usize::MAX);
        while !self.results.is_empty() && self.results.len() >= window {
            self.results.remove(0);
        }
        self.results.force_push(outcome.counted_bits_per_second);
        self.set_guaranteed(measurement);
        self.last = Some(outcome);
    }

    /// Sets the guaranteed bandwidth to what follows from the results.
    pub fn set_guaranteed(&mut self, measurement: &Measurement) {
        self.guaranteed_bits_per_second =
            guaranteed_bits_per_second(&self.results, measurement.rank, measurement.window);
    }
}

impl From<Provider> for ProviderStatus {
    fn from(provider: Provider) -> Self {
        Self {
            declared_bits_per_second: provider.declared_bits_per_second,
            guaranteed_bits_per_second: provider.guaranteed_bits_per_second,
            results: provider.results.into_inner(),
            last: provider.last,
            mining_author: provider.mining_author,
            bond: provider.bond,
            peer: provider.peer,
            endpoints: provider.endpoints,
            leaving: provider.leaving,
        }
    }
}

/// A challenger.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Challenger {
    /// The bond that is held.
    pub bond: Balance,
    /// The identity of the challenger's agent, which signs its reports.
    pub peer: PeerKey,
    /// Where provers reach the challenger.
    pub endpoints: Endpoints,
    /// How many reports of the challenger were taken.
    pub reports: u64,
    /// The block from which on the bond can be taken back, if the challenger is leaving.
    pub leaving: Option<BlockNumber>,
}

impl From<Challenger> for ChallengerStatus {
    fn from(challenger: Challenger) -> Self {
        Self {
            bond: challenger.bond,
            peer: challenger.peer,
            endpoints: challenger.endpoints,
            reports: challenger.reports,
            leaving: challenger.leaving,
        }
    }
}

/// What is planned for an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Plan {
    /// What order and committees are drawn from; set three blocks after the sets were frozen.
    pub seed: Option<Seed>,
    /// The epoch, and the timestamp of its first block; set when it begins.
    pub start: Option<(Epoch, UnixMilliseconds)>,
    /// How many providers are challenged.
    pub providers: u32,
    /// How many challengers there are to draw from.
    pub challengers: u32,
    /// How many of the challenges have been evaluated: the position of the next one.
    pub evaluated: u32,
}
