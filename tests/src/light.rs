//! A check of proofs of finality that shares no code with the node: from the specification of GRANDPA's messages alone, with a library for the
//! encoding, one for BLAKE2 and one for ed25519. It is what an independent light client would do.

use blake2::{digest::consts::U32, Blake2b, Digest as _};
use codec::{Compact, Decode, Encode};
use ed25519_dalek::{Signature, VerifyingKey};
use std::collections::{BTreeMap, BTreeSet};

/// The hash of a block.
pub type Hash = [u8; 32];
/// Who votes, with which weight.
pub type Voters = BTreeMap<[u8; 32], u64>;

/// The engine of the digest that changes the voters.
const ENGINE: [u8; 4] = *b"FRNK";
/// What comes before a precommit in what is signed.
const PRECOMMIT: u8 = 1;

/// A header, as it is hashed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Header {
    parent: Hash,
    number: Compact<u32>,
    state_root: Hash,
    extrinsics_root: Hash,
    digest: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum Item {
    #[codec(index = 0)]
    Other(Vec<u8>),
    #[codec(index = 4)]
    Consensus([u8; 4], Vec<u8>),
    #[codec(index = 5)]
    Seal([u8; 4], Vec<u8>),
    #[codec(index = 6)]
    PreRuntime([u8; 4], Vec<u8>),
    #[codec(index = 8)]
    RuntimeUpdated,
}

/// What `grandpa_proveFinality` answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FinalityProof {
    /// The block that is proven, at or above the one that was asked for.
    pub block: Hash,
    /// Its justification.
    pub justification: Vec<u8>,
    /// The headers from the one that was asked for to it.
    pub headers: Vec<Header>,
}

/// Votes that make a block final.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Justification {
    /// In which round.
    pub round: u64,
    /// The block.
    pub target: Hash,
    /// Its height.
    pub height: u32,
    /// The votes.
    pub precommits: Vec<Precommit>,
    /// Headers from the blocks that were voted for down to it.
    pub headers: Vec<Header>,
}

/// A vote.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Precommit {
    /// For which block.
    pub block: Hash,
    /// Its height.
    pub height: u32,
    signature: [u8; 64],
    /// Whose.
    pub voter: [u8; 32],
}

impl Header {
    /// Its hash.
    pub fn hash(&self) -> Hash {
        Blake2b::<U32>::digest(self.encode()).into()
    }

    /// The hash of its parent.
    pub fn parent(&self) -> Hash {
        self.parent
    }

    /// Its height.
    pub fn height(&self) -> u32 {
        self.number.0
    }

    /// The voters that it hands over to, if it does.
    pub fn next_voters(&self) -> Option<Voters> {
        self.digest.iter().find_map(|item| match item {
            Item::Consensus(ENGINE, bytes) => {
                // A scheduled change: its index, the voters, and the delay.
                let (index, voters, _delay): (u8, Vec<([u8; 32], u64)>, u32) = Decode::decode(&mut &bytes[..]).ok()?;
                (index == 1).then(|| voters.into_iter().collect())
            },
            _ => None,
        })
    }
}

/// Checks that voters of a set made a block final.
///
/// # Errors
///
/// Why they did not.
pub fn check(bytes: &[u8], set: u64, voters: &Voters) -> Result<Justification, String> {
    let mut input = bytes;
    let justification = Justification::decode(&mut input).map_err(|error| error.to_string())?;
    if !input.is_empty() {
        return Err("there are bytes behind the justification".into());
    }
    let parents: BTreeMap<Hash, Hash> = justification.headers.iter().map(|it| (it.hash(), it.parent)).collect();
    let leads_to_target = |mut block: Hash| loop {
        if block == justification.target {
            return true;
        }
        match parents.get(&block) {
            Some(parent) => block = *parent,
            None => return false,
        }
    };
    let (mut weight, mut seen) = (0u128, BTreeSet::new());
    for vote in &justification.precommits {
        let of = voters.get(&vote.voter).ok_or("somebody voted who is no voter")?;
        let signed = (PRECOMMIT, vote.block, vote.height, justification.round, set).encode();
        let key = VerifyingKey::from_bytes(&vote.voter).map_err(|error| error.to_string())?;
        key.verify_strict(&signed, &Signature::from_bytes(&vote.signature))
            .map_err(|_| format!("a signature is not that of its voter in set {set}"))?;
        if seen.insert(vote.voter) && leads_to_target(vote.block) {
            weight += u128::from(*of);
        }
    }
    let whole: u128 = voters.values().map(|weight| u128::from(*weight)).sum();
    if 3 * weight <= 2 * whole {
        return Err(format!("{weight} of {whole} voted for it, which is not more than two thirds"));
    }
    Ok(justification)
}
