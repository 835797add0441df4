//! What the pallet stores.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{traits::ConstU32, BoundedVec};
use scale_info::TypeInfo;
use sp_core::ed25519;
use weir_primitives::{
    measurement::{
        challenge::{Challenge, MemberReport, Outcome},
        estimator::guaranteed_bits_per_second,
        lottery::Seed,
    },
    parameters::{MAX_COMMITTEE, MAX_WINDOW},
    AccountId, BlockNumber, Epoch, EpochIndex, UnixMilliseconds,
};

/// An epoch and what is measured in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Plan {
    /// The epoch.
    pub epoch: Epoch,
    /// At how many instants of it challenges start.
    pub instants: u32,
    /// At each of them a provider is drawn with a chance of one in this many: K.
    pub one_in: u32,
}

/// An instant whose challenges are not all evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Instant {
    /// The epoch.
    pub epoch: EpochIndex,
    /// Which one of it, counted from 0.
    pub instant: u32,
    /// With what chance a provider is drawn: one in this many.
    pub one_in: u32,
    /// The block that it belongs to.
    pub block: BlockNumber,
    /// When all challenges start: T0.
    pub start: UnixMilliseconds,
    /// What its draws come from; known from the block after its own.
    pub seed: Option<Seed>,
    /// How many provider slots there are to pass over.
    pub slots: u32,
    /// The first slot that was not passed over yet.
    pub next_slot: u32,
    /// How many blocks have taken reports.
    pub blocks: u32,
    /// Whether nothing follows from reports that are missing, since it was not for its provers that they could not be there.
    pub is_void: bool,
}

/// A member's report, with its place in the committee and its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct SignedReport {
    /// The place of the member in the committee, counted from 0.
    pub place: u8,
    /// What it says.
    pub report: MemberReport,
    /// Its signature over [`weir_primitives::measurement::challenge::member_payload`].
    pub signature: ed25519::Signature,
}

/// The reports of a challenge, as a prover carries them.
pub type Batch = BoundedVec<SignedReport, ConstU32<MAX_COMMITTEE>>;
/// The reports of a challenge that the chain has taken, by place.
pub type Taken = BoundedVec<(u8, MemberReport), ConstU32<MAX_COMMITTEE>>;

/// The last results of one direction.
pub type Results = BoundedVec<u64, ConstU32<MAX_WINDOW>>;

/// What was measured of the provider in a slot.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Window {
    /// The account that it is of: a slot is given again.
    pub account: AccountId,
    /// The first epoch of that account in the slot.
    pub from: EpochIndex,
    /// What the line took, the oldest result first, in bits per second.
    pub down: Results,
    /// What the line sent.
    pub up: Results,
    /// The guaranteed bandwidth, down and up, in bits per second.
    pub guaranteed: (u64, u64),
    /// How many of its last challenges proved nothing, with a committee.
    pub failed: u32,
    /// The last epoch in which there was a committee for it, or the one in which it could be drawn first.
    pub last_measured: EpochIndex,
    /// The last challenge that it had a committee for, and what came of it.
    pub last: Option<(Challenge, Outcome)>,
}

impl Window {
    /// That of a provider that was never measured.
    pub fn new(account: AccountId, from: EpochIndex, epoch: EpochIndex) -> Self {
        Self {
            account,
            from,
            down: Results::new(),
            up: Results::new(),
            guaranteed: (0, 0),
            failed: 0,
            last_measured: epoch,
            last: None,
        }
    }

    /// Adds a result of each direction, forgets those that fall out of the window, and says what is guaranteed now: the lower of both.
    pub fn add(&mut self, down: u64, up: u64, rank: u32, window: u32) -> u64 {
        let length = usize::try_from(window.min(MAX_WINDOW)).unwrap_or(usize::MAX);
        for (results, result) in [(&mut self.down, down), (&mut self.up, up)] {
            while !results.is_empty() && results.len() >= length {
                results.remove(0);
            }
            results.force_push(result);
        }
        self.guaranteed =
            (guaranteed_bits_per_second(&self.down, rank, window), guaranteed_bits_per_second(&self.up, rank, window));
        self.counted()
    }

    /// What pay, boost and listings use: the lower direction.
    pub fn counted(&self) -> u64 {
        self.guaranteed.0.min(self.guaranteed.1)
    }
}
