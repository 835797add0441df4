use super::Difficulty;
use crate::{finality::MOST_VOTERS, AccountId, BlockNumber, Hash, UnixMilliseconds};
use alloc::vec::Vec;
use codec::{Decode, DecodeAll, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use sp_arithmetic::Perbill;
use sp_consensus_grandpa::{ConsensusLog, GRANDPA_ENGINE_ID};
use sp_core::{sr25519, U256};
use sp_runtime::{generic::Digest, generic::DigestItem, traits::Header, ConsensusEngineId};

/// The engine of both digests. Block explorers read the author from the start of the pre-runtime digest of this engine.
pub const ENGINE_ID: ConsensusEngineId = *b"pow_";

/// What a header claims before it is sealed: the pre-runtime digest.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct PreDigest {
    /// The sr25519 key that signs the block. It is the account that made it, unless that one named another key ([`author_key_payload`]).
    pub author: AccountId,
    /// The base [`Difficulty`], which is also the weight of the block.
    pub base: U256,
    /// The credit that the author spends on it.
    pub credit: Perbill,
    /// The timestamp of the block.
    pub timestamp: UnixMilliseconds,
}

impl PreDigest {
    /// The pre-runtime digest item.
    pub fn to_item(&self) -> DigestItem {
        DigestItem::PreRuntime(ENGINE_ID, self.encode())
    }

    /// What the work of the block must reach.
    pub fn required(&self, boost: u32) -> Difficulty {
        Difficulty(self.base).required(self.credit, boost)
    }
}

/// What makes a header a block: the last digest.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Seal {
    /// By the author, over [`author_payload`]. Made before the search, since the work covers it.
    pub signature: sr25519::Signature,
    /// The nonce whose work meets the required difficulty.
    pub nonce: u64,
}

impl Seal {
    /// The seal digest item.
    pub fn to_item(&self) -> DigestItem {
        DigestItem::Seal(ENGINE_ID, self.encode())
    }
}

/// Why the digests of a header are not those of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestError {
    /// There is no pre-runtime digest.
    NoPreDigest,
    /// There is more than one pre-runtime digest.
    TwoPreDigests,
    /// The pre-runtime digest does not decode, or has trailing bytes.
    BadPreDigest,
    /// There is no seal.
    NoSeal,
    /// The seal is not the last digest, or there are two.
    MisplacedSeal,
    /// The seal does not decode, or has trailing bytes.
    BadSeal,
    /// There is more than one announcement that the voters change.
    TwoChanges,
    /// What GRANDPA's digest says is no change of the voters, or has trailing bytes.
    BadChange,
    /// A digest belongs to another engine.
    OtherEngine(ConsensusEngineId),
    /// A digest is of a kind that this chain does not have.
    UnknownItem,
}

impl core::fmt::Display for DigestError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoPreDigest => f.write_str("the header has no pre-runtime digest"),
            Self::TwoPreDigests => f.write_str("the header has two pre-runtime digests"),
            Self::BadPreDigest => f.write_str("the pre-runtime digest does not decode"),
            Self::NoSeal => f.write_str("the header has no seal"),
            Self::MisplacedSeal => f.write_str("the seal is not the last digest"),
            Self::BadSeal => f.write_str("the seal does not decode"),
            Self::TwoChanges => f.write_str("the header announces two changes of the voters"),
            Self::BadChange => f.write_str("GRANDPA's digest announces no change of the voters"),
            Self::OtherEngine(id) => write!(f, "a digest belongs to another engine: {id:?}"),
            Self::UnknownItem => f.write_str("a digest is of an unknown kind"),
        }
    }
}

/// A header taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedHeader<H: Header> {
    /// The header without its seal.
    pub unsealed: H,
    /// The hash of that, which author and work commit to.
    pub pre_hash: H::Hash,
    /// What the header claims.
    pub pre_digest: PreDigest,
    /// The seal that the header carried.
    pub seal: Seal,
}

/// Reads the digests of a header that is still without a seal, or of a block in execution.
///
/// # Errors
///
/// Strict: one pre-runtime digest of [`ENGINE_ID`] without trailing bytes, and beside it only the mark of a runtime upgrade and one announcement
/// of GRANDPA's that the voters change, of as many as there can be, without trailing bytes too.
pub fn pre_digest_of(digest: &Digest) -> Result<PreDigest, DigestError> {
    let mut found = None;
    let mut changes = false;
    for item in digest.logs() {
        match item {
            DigestItem::PreRuntime(ENGINE_ID, bytes) => {
                if found.is_some() {
                    return Err(DigestError::TwoPreDigests);
                }
                found = Some(PreDigest::decode_all(&mut bytes.as_slice()).map_err(|_| DigestError::BadPreDigest)?);
            },
            DigestItem::Seal(ENGINE_ID, _) => return Err(DigestError::MisplacedSeal),
            DigestItem::Consensus(GRANDPA_ENGINE_ID, bytes) => {
                if changes {
                    return Err(DigestError::TwoChanges);
                }
                changes = true;
                match ConsensusLog::<BlockNumber>::decode_all(&mut bytes.as_slice()) {
                    Ok(ConsensusLog::ScheduledChange(change) | ConsensusLog::ForcedChange(_, change))
                        if change.next_authorities.len() <= MOST_VOTERS as usize => {},
                    _ => return Err(DigestError::BadChange),
                }
            },
            DigestItem::PreRuntime(id, _) | DigestItem::Consensus(id, _) | DigestItem::Seal(id, _) => {
                return Err(DigestError::OtherEngine(*id))
            },
            DigestItem::RuntimeEnvironmentUpdated => (),
            DigestItem::Other(_) => return Err(DigestError::UnknownItem),
        }
    }
    found.ok_or(DigestError::NoPreDigest)
}

/// Takes a sealed header apart.
///
/// # Errors
///
/// As [`pre_digest_of`], and if the last digest is not a seal of [`ENGINE_ID`] without trailing bytes.
pub fn read_header<H: Header>(header: &H) -> Result<SealedHeader<H>, DigestError> {
    let mut unsealed = header.clone();
    let last = unsealed.digest_mut().pop();
    let pre_digest = pre_digest_of(unsealed.digest());
    let seal = match last {
        Some(DigestItem::Seal(ENGINE_ID, bytes)) => {
            Seal::decode_all(&mut bytes.as_slice()).map_err(|_| DigestError::BadSeal)?
        },
        Some(DigestItem::Seal(id, _)) => return Err(DigestError::OtherEngine(id)),
        // Somewhere else in the header, or nowhere.
        _ => return Err(pre_digest.err().filter(|e| *e == DigestError::MisplacedSeal).unwrap_or(DigestError::NoSeal)),
    };
    Ok(SealedHeader { pre_hash: unsealed.hash(), pre_digest: pre_digest?, seal, unsealed })
}

/// What an author signs: `"weir:author:v1" ‖ pre_hash`.
pub fn author_payload(pre_hash: &[u8]) -> Vec<u8> {
    [b"weir:author:v1", pre_hash].concat()
}

/// What a key signs to show that it agrees to sign blocks for an account: `"weir:author-key:v1" ‖ genesis ‖ account`.
pub fn author_key_payload(genesis: Hash, account: &AccountId) -> Vec<u8> {
    let mut payload = b"weir:author-key:v1".to_vec();
    (genesis, account).encode_to(&mut payload);
    payload
}

/// What the preimage of the search is the SHA3-256 of: `"weir:seal:v1" ‖ pre_hash ‖ signature`.
///
/// The signature is part of it, so that one piece of work cannot become many blocks by signing again.
pub fn seal_payload(pre_hash: &[u8], signature: &sr25519::Signature) -> Vec<u8> {
    [b"weir:seal:v1".as_slice(), pre_hash, signature.as_ref()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sp_core::H256;
    use sp_runtime::{generic, traits::BlakeTwo256};

    type TestHeader = generic::Header<u32, BlakeTwo256>;

    fn pre_digest() -> PreDigest {
        PreDigest { author: AccountId::new([1; 32]), base: U256::from(2), credit: Perbill::from_parts(3), timestamp: 4 }
    }

    fn seal() -> Seal {
        Seal { signature: sr25519::Signature::from_raw([5; 64]), nonce: 6 }
    }

    fn header(logs: Vec<DigestItem>) -> TestHeader {
        TestHeader::new(1, H256::zero(), H256::zero(), H256::zero(), Digest { logs })
    }

    fn error(logs: Vec<DigestItem>) -> DigestError {
        read_header(&header(logs)).unwrap_err()
    }

    #[test]
    fn the_encodings_are_those_of_the_specification() {
        let mut expected = vec![1u8; 32];
        expected.extend([2u8].iter().chain([0; 31].iter()));
        expected.extend([3, 0, 0, 0]);
        expected.extend([4, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(pre_digest().encode(), expected);

        let mut expected = vec![5u8; 64];
        expected.extend([6, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(seal().encode(), expected);

        assert_eq!(author_payload(&[7; 2]), b"weir:author:v1\x07\x07");
        assert_eq!(&seal_payload(&[7; 2], &seal().signature)[..15], b"weir:seal:v1\x07\x07\x05");

        let payload = author_key_payload(Hash::repeat_byte(9), &AccountId::new([6; 32]));
        assert_eq!(payload, [b"weir:author-key:v1".as_slice(), &[9; 32], &[6; 32]].concat());
    }

    #[test]
    fn a_sealed_header_comes_apart_into_what_it_was_made_of() {
        let unsealed = header(vec![pre_digest().to_item()]);
        let mut sealed = unsealed.clone();
        sealed.digest_mut().push(seal().to_item());
        let read = read_header(&sealed).unwrap();
        assert_eq!((read.pre_digest, read.seal), (pre_digest(), seal()));
        assert_eq!(read.pre_hash, unsealed.hash());
    }

    #[test]
    fn the_mark_of_a_runtime_upgrade_is_no_error() {
        let logs = vec![pre_digest().to_item(), DigestItem::RuntimeEnvironmentUpdated, seal().to_item()];
        assert!(read_header(&header(logs)).is_ok());
    }

    fn grandpa(log: &ConsensusLog<BlockNumber>) -> DigestItem {
        DigestItem::Consensus(GRANDPA_ENGINE_ID, log.encode())
    }

    #[test]
    fn one_change_of_the_voters_is_no_error_and_anything_else_of_grandpas_is() {
        let (pre, seal) = (pre_digest().to_item(), seal().to_item());
        let change = sp_consensus_grandpa::ScheduledChange { next_authorities: vec![], delay: 0 };
        let (standard, forced) = (ConsensusLog::ScheduledChange(change.clone()), ConsensusLog::ForcedChange(3, change));
        for log in [&standard, &forced] {
            assert!(read_header(&header(vec![pre.clone(), grandpa(log), seal.clone()])).is_ok());
        }
        let two = vec![pre.clone(), grandpa(&standard), grandpa(&forced), seal.clone()];
        assert_eq!(error(two), DigestError::TwoChanges);
        for log in [ConsensusLog::OnDisabled(1), ConsensusLog::Pause(1), ConsensusLog::Resume(1)] {
            assert_eq!(error(vec![pre.clone(), grandpa(&log), seal.clone()]), DigestError::BadChange);
        }
        let key = sp_core::ed25519::Public::from_raw([1; 32]);
        let crowd = vec![(key.into(), 1); MOST_VOTERS as usize + 1];
        let crowd =
            ConsensusLog::ScheduledChange(sp_consensus_grandpa::ScheduledChange { next_authorities: crowd, delay: 0 });
        assert_eq!(error(vec![pre.clone(), grandpa(&crowd), seal.clone()]), DigestError::BadChange);
        let long = DigestItem::Consensus(GRANDPA_ENGINE_ID, [standard.encode(), vec![0]].concat());
        assert_eq!(error(vec![pre, long, seal]), DigestError::BadChange);
    }

    #[test]
    fn trailing_bytes_are_rejected() {
        let long = |bytes: Vec<u8>| [bytes, vec![0]].concat();
        let pre = DigestItem::PreRuntime(ENGINE_ID, long(pre_digest().encode()));
        assert_eq!(error(vec![pre, seal().to_item()]), DigestError::BadPreDigest);
        let sealed = DigestItem::Seal(ENGINE_ID, long(seal().encode()));
        assert_eq!(error(vec![pre_digest().to_item(), sealed]), DigestError::BadSeal);
    }

    #[test]
    fn two_pre_digests_or_none_are_rejected() {
        let pre = pre_digest().to_item();
        assert_eq!(error(vec![pre.clone(), pre, seal().to_item()]), DigestError::TwoPreDigests);
        assert_eq!(error(vec![seal().to_item()]), DigestError::NoPreDigest);
    }

    #[test]
    fn a_missing_or_misplaced_or_second_seal_is_rejected() {
        let (pre, seal) = (pre_digest().to_item(), seal().to_item());
        assert_eq!(error(vec![]), DigestError::NoSeal);
        assert_eq!(error(vec![pre.clone()]), DigestError::NoSeal);
        assert_eq!(error(vec![seal.clone(), pre.clone()]), DigestError::MisplacedSeal);
        assert_eq!(error(vec![pre, seal.clone(), seal]), DigestError::MisplacedSeal);
    }

    #[test]
    fn digests_of_another_engine_or_kind_are_rejected() {
        let (pre, seal) = (pre_digest().to_item(), seal().to_item());
        let other = *b"aura";
        assert_eq!(
            error(vec![DigestItem::PreRuntime(other, vec![]), pre.clone(), seal.clone()]),
            DigestError::OtherEngine(other)
        );
        assert_eq!(error(vec![pre.clone(), DigestItem::Seal(other, vec![])]), DigestError::OtherEngine(other));
        assert_eq!(error(vec![pre, DigestItem::Other(vec![1]), seal]), DigestError::UnknownItem);
    }
}
