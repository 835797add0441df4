//! Who decides what is final, and how others can check it.
//!
//! Blocks are made final by GRANDPA (Stewart and Kokoris-Kogia, *GRANDPA: a Byzantine Finality Gadget*, arXiv:2007.01560), over voters that
//! the chain chooses from those who bonded and have bandwidth behind them ([`voters`]). A justification, the proof that a block is final, is
//! checked by the chain as well ([`justification`]): what decides credit and votes counts only when it is proven final.

pub mod justification;
pub mod voters;

use crate::{AccountId, Balance, BlockNumber, Hash};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};
pub use sp_consensus_grandpa::{AuthorityId as VoterKey, AuthoritySignature as VoterSignature, SetId};

/// The most voters of a set.
pub const MOST_VOTERS: u32 = 64;
/// The most accounts that can stand for election at a time. Larger bonds displace smaller ones.
pub const MOST_CANDIDATES: u32 = 256;
/// The most bytes of a justification that the chain takes.
pub const MOST_JUSTIFICATION_BYTES: u32 = 128 * 1024;

/// The parameters of finality.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Finality {
    /// The least bond of a voter.
    pub voter_bond: Balance,
    /// How few voters are no set: below this many the old one stays.
    pub least_voters: u32,
    /// The bandwidth a quarter of which is worth as much as the whole of the bonds: R.
    pub reference_bits_per_second: u64,
    /// After how many epochs the set can change again.
    pub epochs_per_set: u32,
    /// How many blocks behind the best one a block must be to be voted for. It must have been imported that many block times ago, too.
    pub votes_behind: BlockNumber,
}

/// The proof that the chain waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub enum Wanted {
    /// That the set has been handed over: a justification by the set before the current one, for the block that changed it and no other.
    Handover {
        /// The set that signs.
        set: SetId,
        /// The height of the block.
        number: BlockNumber,
        /// Its hash.
        hash: Hash,
    },
    /// That a snapshot is final: a justification by the current set, for the block that took it or a later one.
    Snapshot {
        /// The set that signs.
        set: SetId,
        /// The height of the block.
        number: BlockNumber,
    },
}

/// What a voter's key signs to show that it agrees to vote for an account: `"weir:voter:v1" ‖ genesis ‖ account`.
pub fn voter_payload(genesis: Hash, account: &AccountId) -> Vec<u8> {
    let mut payload = b"weir:voter:v1".to_vec();
    (genesis, account).encode_to(&mut payload);
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signed_bytes_are_those_of_the_specification() {
        let payload = voter_payload(Hash::repeat_byte(9), &AccountId::new([6; 32]));
        assert_eq!(payload, [b"weir:voter:v1".as_slice(), &[9; 32], &[6; 32]].concat());
    }
}
