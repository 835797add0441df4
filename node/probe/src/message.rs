//! What a prover and a challenger say to each other: SCALE, each message behind its length as four bytes, little-endian.
//!
//! A prover opens one stream to each challenger and speaks first. Each message is bounded before it is read, and one that is
//! too long, does not decode, has trailing bytes, or comes out of turn ends the stream.

use crate::{
    packet::{Digest, IpBytes, Key, Tag},
    reception::{MAX_BITMAP_BYTES, MAX_STEPS},
    time::UnixMicros,
};
use codec::{Decode, DecodeAll, Encode};
use std::net::{IpAddr, SocketAddr};

/// The most bytes of a message of a prover: a proof with the bitmap of the longest train.
pub const MAX_TO_CHALLENGER_BYTES: usize = MAX_BITMAP_BYTES + 256;
/// The most bytes of a message of a challenger: a count with all its steps.
pub const MAX_TO_PROVER_BYTES: usize = 2 * MAX_STEPS + 768;
/// The most bytes of a report to a chain.
pub const MAX_REPORT_BYTES: usize = 256;

/// Which way packets go, seen from the prover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Direction {
    /// From the challengers to the prover.
    Down,
    /// From the prover to the challengers.
    Up,
}

/// What a measurement is, the same for all of a committee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Terms {
    /// Which way packets go.
    pub direction: Direction,
    /// When all start, each by its own clock: T0.
    pub start: UnixMicros,
    /// How long a train is, in microseconds.
    pub train_us: u64,
    /// How fast each challenger sends, or is sent to, counted in whole IP packets.
    pub bits_per_second: u64,
}

impl Terms {
    /// The most bytes that each challenger sends, or is sent.
    pub fn budget_bytes(&self) -> u64 {
        let bits = u128::from(self.bits_per_second) * u128::from(self.train_us) / 1_000_000;
        u64::try_from(bits / 8).unwrap_or(u64::MAX)
    }
}

/// Where packets are taken: an IPv6 address, or an IPv4 address mapped into one (RFC 4291, section 2.5.5.2), and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Endpoint {
    ip: [u8; 16],
    port: u16,
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Self { ip: ip.octets(), port: address.port() }
    }
}

impl From<Endpoint> for SocketAddr {
    fn from(endpoint: Endpoint) -> Self {
        Self::new(IpAddr::from(endpoint.ip).to_canonical(), endpoint.port)
    }
}

/// Which measurement is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Subject {
    /// A challenge that the chain drew, in both directions, down first. Its terms are on chain.
    Chain {
        /// Of which chain.
        genesis: [u8; 32],
        /// What the challenge was drawn from.
        seed: [u8; 32],
        /// The account of the prover.
        provider: [u8; 32],
    },
    /// One by hand, on the prover's terms.
    ByHand {
        /// What the prover calls it.
        id: [u8; 32],
        /// The rate, the times and the direction of the measurement.
        terms: Terms,
        /// Where packets are to go. If it is not said, to where the prover's probes come from.
        endpoint: Option<Endpoint>,
    },
}

impl Subject {
    /// Whether it is settled where the prover takes packets, before the challenger sees any of its own.
    pub fn has_endpoint(&self) -> bool {
        matches!(self, Self::ByHand { endpoint: Some(_), .. })
    }

    /// What a prover signs: for a chain `"weir:commitment:v2" ‖ SCALE(genesis, seed, challenger's peer key, commitment)`, by hand
    /// `"weir:proof:v3" ‖ SCALE(subject, challenger's peer key, commitment)`, where the commitment is that of [`commitment_hash`].
    pub fn proof_payload(&self, challenger: &[u8; 32], root: &[u8; 32], bitmap: &[u8]) -> Vec<u8> {
        let commitment = commitment_hash(root, bitmap);
        match self {
            Self::Chain { genesis, seed, .. } => {
                let mut payload = b"weir:commitment:v2".to_vec();
                (genesis, seed, challenger, commitment).encode_to(&mut payload);
                payload
            },
            Self::ByHand { .. } => {
                let mut payload = b"weir:proof:v3".to_vec();
                (self, challenger, commitment).encode_to(&mut payload);
                payload
            },
        }
    }
}

/// What names a commitment: BLAKE3(root ‖ bitmap).
pub fn commitment_hash(root: &[u8; 32], bitmap: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(root).update(bitmap).finalize().as_bytes()
}

/// A step of the comparison of clocks, as in the symmetric mode of NTP (RFC 5905): either side can take offset and round
/// trip from any two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Clock {
    /// When the last one came from the other side; at the first, when this one goes.
    pub heard: UnixMicros,
    /// When this one goes.
    pub sent: UnixMicros,
}

/// What a prover says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ToChallenger {
    /// Answered by a clock.
    Clock(Clock),
    /// Answered by an acceptance or a refusal.
    Invite(Subject),
    /// Down only: the largest probe that arrived, and its digest. Answered by ready.
    Path {
        /// The size of the probe.
        size: IpBytes,
        /// The digest of the probe.
        digest: Digest,
    },
    /// Down only: what arrived. Answered by a count or a refusal.
    Proof {
        /// The Merkle root over the digests of the packets.
        root: [u8; 32],
        /// Which packets those are.
        bitmap: Vec<u8>,
        /// The prover's signature over [`Subject::proof_payload`].
        signature: [u8; 64],
    },
}

/// What a challenger says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ToProver {
    /// The answer to a clock.
    Clock(Clock),
    /// The challenger takes part.
    Accepted {
        /// The mark of all packets.
        tag: Tag,
        /// The challenger's UDP port for packets, at the address that was dialled.
        port: u16,
    },
    /// All is agreed on.
    Ready {
        /// How large each packet is.
        size: IpBytes,
        /// How many there are at most.
        packets: u32,
        /// The digest of the probe of that size. On the way up it shows that the port is the challenger's.
        digest: Digest,
    },
    /// Up only, at the start: from what the packets are made.
    Nonce {
        /// The key of the keystream.
        key: Key,
        /// How fast to send: less than was agreed, if the challenger is sent to by others at the same time.
        bits_per_second: u64,
    },
    /// What is reported, by hand.
    Counted(Counted),
    /// The challenger does not take part, or does not count.
    Refused(Refusal),
    /// What is reported to a chain.
    Reported(Reported),
}

/// A report to a chain, and what it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Reported {
    /// The report, as the chain encodes it.
    pub report: Vec<u8>,
    /// The challenger's signature of it, as the chain wants it.
    pub signature: [u8; 64],
    /// What was counted of what the challenger sent.
    pub down: Counted,
    /// What was counted of what the prover sent.
    pub up: Counted,
}

/// What a challenger counted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Counted {
    /// The bytes of whole IP packets that were proven.
    pub bytes: u64,
    /// The time from the start until the proof was in the challenger's hands.
    pub elapsed_us: u64,
    /// The round trip by the challenger's measure.
    pub round_trip_us: u64,
    /// From what the packets were made: down, the prover can check the count.
    pub key: Key,
    /// How many packets were sent (down), or arrived (up).
    pub packets: u32,
    /// Up only: how many arrived after one with a higher sequence number.
    pub reordered: u32,
    /// Up only: how many arrived in each step of 10 ms.
    pub arrivals: Vec<u16>,
}

/// Why a challenger does not take part, or does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum Refusal {
    /// The prover is on another chain.
    #[error("it is on another chain")]
    OtherChain,
    /// The challenger knows no such challenge, or it is too early to speak of it.
    #[error("it knows no such challenge, or not yet")]
    UnknownChallenge,
    /// The peer is not the prover.
    #[error("the challenge is another prover's")]
    NotTheProver,
    /// The endpoint is not at the address that the prover dials from, and might be somebody else's.
    #[error("the packets' address is not the one that the prover dials from")]
    OtherAddress,
    /// The challenge has begun, or is over.
    #[error("the challenge has begun, or is too near")]
    TooLate,
    /// The challenger's clock is off, so it takes no part in any; by hand, its clock and the prover's differ too much.
    #[error("its clock is off, or ours")]
    ClockIsOff,
    /// The challenger takes part in as many measurements as it can, or in one of this prover.
    #[error("it is busy")]
    Busy,
    /// The challenger does not take part on such terms.
    #[error("it does not take part on such terms")]
    Terms,
    /// The challenger measures only those that it was told to.
    #[error("it does not measure this peer")]
    NotAllowed,
    /// No probe came from the prover, or the probe that it names is none of ours.
    #[error("no packets come through: is the UDP port open at both ends, and forwarded by the router?")]
    NoPath,
    /// The proof is false.
    #[error("the proof is false")]
    FalseProof,
    /// Something failed on the challenger's side.
    #[error("something failed on its side")]
    Internal,
}

/// Why a message is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The length is more than such a message can have.
    #[error("a message of {0} bytes is too long")]
    TooLong(u32),
    /// The bytes are no message, or more than one.
    #[error("a message does not decode")]
    Undecodable,
}

/// The length that four bytes before a message say.
///
/// # Errors
///
/// When it is more than the most that is expected.
pub fn length(prefix: [u8; 4], most: usize) -> Result<usize, Malformed> {
    let length = u32::from_le_bytes(prefix);
    usize::try_from(length).ok().filter(|length| *length <= most).ok_or(Malformed::TooLong(length))
}

/// Reads a message.
///
/// # Errors
///
/// When the bytes are anything but one message.
pub fn decode<M: Decode>(bytes: &[u8]) -> Result<M, Malformed> {
    M::decode_all(&mut &*bytes).map_err(|_| Malformed::Undecodable)
}

/// Writes a message behind its length.
pub fn encode(message: &impl Encode) -> Vec<u8> {
    let body = message.encode();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [length.to_le_bytes().as_slice(), &body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TERMS: Terms =
        Terms { direction: Direction::Up, start: UnixMicros(2), train_us: 500_000, bits_per_second: 8_000_000 };

    #[test]
    fn the_encodings_never_change() {
        let le = |number: u64| number.to_le_bytes().to_vec();
        let chain = Subject::Chain { genesis: [1; 32], seed: [2; 32], provider: [3; 32] };
        assert_eq!(chain.encode(), [vec![0], vec![1; 32], vec![2; 32], vec![3; 32]].concat());
        let by_hand = Subject::ByHand { id: [4; 32], terms: TERMS, endpoint: None };
        let mut expected = [vec![1], vec![4; 32], vec![1], le(2), le(500_000), le(8_000_000), vec![0]].concat();
        assert_eq!(by_hand.encode(), expected);
        let address = SocketAddr::from(([192, 0, 2, 1], 258));
        let by_hand = Subject::ByHand { id: [4; 32], terms: TERMS, endpoint: Some(address.into()) };
        expected.pop();
        expected.extend([vec![1], vec![0; 10], vec![0xff, 0xff, 192, 0, 2, 1, 2, 1]].concat());
        assert_eq!(by_hand.encode(), expected);

        let clock = Clock { heard: UnixMicros(1), sent: UnixMicros(2) };
        assert_eq!(ToChallenger::Clock(clock).encode(), [vec![0], le(1), le(2)].concat());
        assert_eq!(ToChallenger::Invite(chain).encode(), [vec![1], chain.encode()].concat());
        let path = ToChallenger::Path { size: IpBytes(1_500), digest: [5; 16] };
        assert_eq!(path.encode(), [vec![2, 0xdc, 5], vec![5; 16]].concat());
        let proof = ToChallenger::Proof { root: [6; 32], bitmap: vec![7, 8], signature: [9; 64] };
        assert_eq!(proof.encode(), [vec![3], vec![6; 32], vec![8, 7, 8], vec![9; 64]].concat());

        assert_eq!(ToProver::Clock(clock).encode(), [vec![0], le(1), le(2)].concat());
        assert_eq!(
            ToProver::Accepted { tag: [1; 16], port: 258 }.encode(),
            [vec![1], vec![1; 16], vec![2, 1]].concat()
        );
        let ready = ToProver::Ready { size: IpBytes(1_280), packets: 3, digest: [4; 16] };
        assert_eq!(ready.encode(), [vec![2, 0, 5, 3, 0, 0, 0], vec![4; 16]].concat());
        let nonce = ToProver::Nonce { key: [4; 32], bits_per_second: 5 };
        assert_eq!(nonce.encode(), [vec![3], vec![4; 32], le(5)].concat());
        let counted = Counted {
            bytes: 1,
            elapsed_us: 2,
            round_trip_us: 3,
            key: [4; 32],
            packets: 5,
            reordered: 6,
            arrivals: vec![7],
        };
        assert_eq!(
            ToProver::Counted(counted).encode(),
            [vec![4], le(1), le(2), le(3), vec![4; 32], vec![5, 0, 0, 0, 6, 0, 0, 0, 4, 7, 0]].concat()
        );
        assert_eq!(ToProver::Refused(Refusal::Internal).encode(), [5, 11]);
        assert_eq!(encode(&ToProver::Refused(Refusal::OtherChain)), [2, 0, 0, 0, 5, 0]);
    }

    #[test]
    fn an_endpoint_is_the_address_it_was_made_from() {
        for address in ["192.0.2.1:1", "[2001:db8::1]:65535"] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(SocketAddr::from(Endpoint::from(address)), address);
        }
    }

    #[test]
    fn the_signed_bytes_are_those_of_the_specification() {
        let commitment = *blake3::hash(&[[5; 32].as_slice(), &[6]].concat()).as_bytes();
        let subject = Subject::Chain { genesis: [1; 32], seed: [2; 32], provider: [3; 32] };
        let expected = [b"weir:commitment:v2".as_slice(), &[1; 32], &[2; 32], &[4; 32], &commitment];
        assert_eq!(subject.proof_payload(&[4; 32], &[5; 32], &[6]), expected.concat());
        let subject = Subject::ByHand { id: [1; 32], terms: TERMS, endpoint: None };
        let expected = [b"weir:proof:v3".as_slice(), &subject.encode(), &[4; 32], &commitment];
        assert_eq!(subject.proof_payload(&[4; 32], &[5; 32], &[6]), expected.concat());
    }

    #[test]
    fn messages_that_are_too_long_or_have_trailing_bytes_are_refused() {
        assert_eq!(length([5, 0, 0, 0], 5), Ok(5));
        assert_eq!(length([6, 0, 0, 0], 5), Err(Malformed::TooLong(6)));
        assert_eq!(length([0xff; 4], MAX_TO_CHALLENGER_BYTES), Err(Malformed::TooLong(u32::MAX)));
        assert_eq!(decode::<ToProver>(&[5, 0]), Ok(ToProver::Refused(Refusal::OtherChain)));
        assert_eq!(decode::<ToProver>(&[5, 0, 0]), Err(Malformed::Undecodable));
        assert_eq!(decode::<ToProver>(&[5]), Err(Malformed::Undecodable));
    }

    #[test]
    fn the_longest_honest_messages_fit() {
        let proof = ToChallenger::Proof { root: [0; 32], bitmap: vec![0; MAX_BITMAP_BYTES], signature: [0; 64] };
        assert!(proof.encoded_size() <= MAX_TO_CHALLENGER_BYTES);
        let counted = Counted {
            bytes: 0,
            elapsed_us: 0,
            round_trip_us: 0,
            key: [0; 32],
            packets: 0,
            reordered: 0,
            arrivals: vec![0; MAX_STEPS],
        };
        assert!(ToProver::Counted(counted.clone()).encoded_size() <= MAX_TO_PROVER_BYTES);
        let down = Counted { arrivals: Vec::new(), ..counted.clone() };
        let reported = Reported { report: vec![0; MAX_REPORT_BYTES], signature: [0; 64], down, up: counted };
        assert!(ToProver::Reported(reported).encoded_size() <= MAX_TO_PROVER_BYTES);
    }

    #[test]
    fn a_budget_is_rate_times_train() {
        assert_eq!(TERMS.budget_bytes(), 500_000);
        assert_eq!(Terms { train_us: u64::MAX, bits_per_second: u64::MAX, ..TERMS }.budget_bytes(), u64::MAX);
    }

    proptest! {
        #[test]
        fn no_bytes_from_the_network_panic_and_what_is_read_writes_back_the_same(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            if let Ok(message) = decode::<ToChallenger>(&bytes) {
                prop_assert_eq!(message.encode(), bytes.clone());
            }
            if let Ok(message) = decode::<ToProver>(&bytes) {
                prop_assert_eq!(message.encode(), bytes);
            }
        }
    }
}
