use super::estimator::Sample;
use crate::{AccountId, EpochIndex, Hash, UnixMilliseconds};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use sp_core::{ed25519, ConstU32};
use sp_runtime::BoundedVec;

/// The most bytes of one endpoint in binary multiaddress form.
pub const MAX_ENDPOINT_BYTES: u32 = 128;
/// The most endpoints of one account.
pub const MAX_ENDPOINTS: u32 = 4;

/// The public half of an agent's identity key, which is also its libp2p peer.
pub type PeerKey = ed25519::Public;
/// A multiaddress in binary form; an address, never a name.
pub type Endpoint = BoundedVec<u8, ConstU32<MAX_ENDPOINT_BYTES>>;
/// Where an agent can be reached, the best one first.
pub type Endpoints = BoundedVec<Endpoint, ConstU32<MAX_ENDPOINTS>>;

/// What a challenger says about a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Report {
    /// The bytes of whole IP packets that the prover proved to have received.
    pub bytes: u64,
    /// The time from the common start until the proof was there, in microseconds.
    pub elapsed_us: u64,
    /// The round trip of the control stream as the challenger measured it, in microseconds. The raw estimate takes it
    /// off; a report from too far away proves nothing ([`super::estimator::FURTHEST_ROUND_TRIP_US`]).
    pub round_trip_us: u64,
}

impl From<Report> for Sample {
    fn from(report: Report) -> Self {
        Self { bytes: report.bytes, elapsed_us: report.elapsed_us, round_trip_us: report.round_trip_us }
    }
}

/// What a challenger signs with its identity key:
/// `"weir:report:v1" ‖ SCALE(genesis, epoch, position, provider, challenger, report)`.
pub fn report_payload(
    genesis: Hash,
    epoch: EpochIndex,
    position: u32,
    provider: &AccountId,
    challenger: &AccountId,
    report: &Report,
) -> Vec<u8> {
    let mut payload = b"weir:report:v1".to_vec();
    (genesis, epoch, position, provider, challenger, report).encode_to(&mut payload);
    payload
}

/// What an identity key signs to show that it agrees to act for an account: `"weir:peer:v1" ‖ genesis ‖ account`.
pub fn peer_payload(genesis: Hash, account: &AccountId) -> Vec<u8> {
    let mut payload = b"weir:peer:v1".to_vec();
    (genesis, account).encode_to(&mut payload);
    payload
}

/// The part of an account in a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub enum Role {
    /// The account is measured.
    Provider,
    /// The account measures.
    Challenger,
}

/// A challenge that concerns an account, with all that its agent needs to take part.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Duty {
    /// The account's part.
    pub role: Role,
    /// The epoch of the challenge.
    pub epoch: EpochIndex,
    /// The position of the provider in the order of the epoch.
    pub position: u32,
    /// When all start: T0.
    pub start: UnixMilliseconds,
    /// The last timestamp of a block that takes reports.
    pub deadline: UnixMilliseconds,
    /// How fast each challenger sends.
    pub bits_per_second: u64,
    /// The most bytes that each challenger sends.
    pub budget_bytes: u64,
    /// The provider.
    pub provider: (AccountId, PeerKey, Endpoints),
    /// The committee.
    pub committee: Vec<(AccountId, PeerKey, Endpoints)>,
}

/// What came of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Outcome {
    /// The epoch of the challenge.
    pub epoch: EpochIndex,
    /// How many of the committee reported.
    pub reports: u32,
    /// What the challenge proved, before clipping.
    pub proven_bits_per_second: u64,
    /// What entered the window: clipped to what was declared, and to how fast a provider may grow.
    pub counted_bits_per_second: u64,
    /// The untrimmed estimate, for people to read.
    pub raw_bits_per_second: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signed_bytes_are_those_of_the_specification() {
        let report = Report { bytes: 1, elapsed_us: 2, round_trip_us: 3 };
        let payload =
            report_payload(Hash::repeat_byte(9), 4, 5, &AccountId::new([6; 32]), &AccountId::new([7; 32]), &report);
        let mut expected = b"weir:report:v1".to_vec();
        expected.extend([9; 32]);
        expected.extend([4, 0, 0, 0, 5, 0, 0, 0]);
        expected.extend([6; 32]);
        expected.extend([7; 32]);
        expected.extend([1u64, 2, 3].map(u64::to_le_bytes).concat());
        assert_eq!(payload, expected);
    }
}
