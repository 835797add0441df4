//! Checks the proof that a block is final.
//!
//! A justification is a commit of GRANDPA: signed precommits for a block or descendants of it, with the headers from there to them. It is
//! valid if voters with more than two thirds of the weight precommitted in its round so. A voter that signed two different precommits of the
//! round counts for every block, as it does for the nodes that made the commit.

use super::voters::Voter;
use alloc::{collections::BTreeMap, vec::Vec};
use codec::DecodeAll;
use sp_consensus_grandpa::{localized_payload, AuthorityId, AuthoritySignature, GrandpaJustification, SetId};
use sp_runtime::traits::{Block as BlockT, Header, NumberFor};

/// The most headers that a justification can have beside its block.
pub const MOST_ANCESTRY: usize = 256;
/// The most precommits for each voter: the second one of a voter that equivocates.
const MOST_PRECOMMITS_PER_VOTER: usize = 2;

/// Why something is no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// It does not decode, or something follows.
    Undecodable,
    /// It has more precommits, or headers, than one needs.
    TooLarge,
    /// Somebody signed who does not vote in the set.
    NoVoter,
    /// A signature is not its voter's, for this round of this set.
    BadSignature,
    /// Not more than two thirds of the weight precommitted.
    TooFew,
}

/// The block that a justification is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<N, H> {
    /// Its height.
    pub number: N,
    /// Its hash.
    pub hash: H,
}

/// The block that a justification claims to be for, and the justification.
pub type Read<B> = (Target<NumberFor<B>, <B as BlockT>::Hash>, GrandpaJustification<<B as BlockT>::Header>);

/// Reads which block a justification claims to be for, and checks how large it is; no more.
///
/// # Errors
///
/// [`Invalid::Undecodable`] and [`Invalid::TooLarge`].
pub fn read<B: BlockT>(bytes: &[u8], voters: usize) -> Result<Read<B>, Invalid> {
    let justification =
        GrandpaJustification::<B::Header>::decode_all(&mut &*bytes).map_err(|_| Invalid::Undecodable)?;
    let commit = &justification.commit;
    let most_precommits = voters.saturating_mul(MOST_PRECOMMITS_PER_VOTER);
    if commit.precommits.len() > most_precommits || justification.votes_ancestries.len() > MOST_ANCESTRY {
        return Err(Invalid::TooLarge);
    }
    Ok((Target { number: commit.target_number, hash: commit.target_hash }, justification))
}

/// Checks a justification against the voters of a set. `verify` checks a signature over some bytes.
///
/// # Errors
///
/// When it is no proof.
pub fn check<B: BlockT>(
    justification: &GrandpaJustification<B::Header>,
    set: SetId,
    voters: &[Voter],
    verify: impl Fn(&AuthorityId, &AuthoritySignature, &[u8]) -> bool,
) -> Result<(), Invalid> {
    let commit = &justification.commit;
    let parents: BTreeMap<B::Hash, B::Hash> =
        justification.votes_ancestries.iter().map(|header| (header.hash(), *header.parent_hash())).collect();
    let descends = |mut from: B::Hash| {
        for _ in 0..=parents.len() {
            if from == commit.target_hash {
                return true;
            }
            let Some(parent) = parents.get(&from) else { return false };
            from = *parent;
        }
        false
    };

    // What is known of each voter: a precommit of it, and whether it counts.
    let mut seen: Vec<Option<(B::Hash, bool)>> = voters.iter().map(|_| None).collect();
    let by_key: BTreeMap<&AuthorityId, usize> = voters.iter().enumerate().map(|(at, voter)| (&voter.key, at)).collect();
    for signed in &commit.precommits {
        let at = by_key.get(&signed.id).ok_or(Invalid::NoVoter)?;
        let slot = seen.get_mut(*at).ok_or(Invalid::NoVoter)?;
        let target = signed.precommit.target_hash;
        let counts = match slot {
            Some((other, _)) if *other == target => continue,
            Some(_) => true,
            None => descends(target),
        };
        let message = finality_grandpa::Message::Precommit(signed.precommit.clone());
        let payload = localized_payload(justification.round, set, &message);
        if !verify(&signed.id, &signed.signature, &payload) {
            return Err(Invalid::BadSignature);
        }
        *slot = Some((target, counts));
    }

    let total = voters.iter().fold(0u64, |sum, voter| sum.saturating_add(voter.weight));
    let counted = voters.iter().zip(&seen).filter(|(_, seen)| matches!(seen, Some((_, true))));
    let weight = counted.fold(0u64, |sum, (voter, _)| sum.saturating_add(voter.weight));
    if total > 0 && weight >= threshold(total) {
        Ok(())
    } else {
        Err(Invalid::TooFew)
    }
}

/// How much of a total weight makes a block final: so much that less than a third of it can be faulty.
fn threshold(total: u64) -> u64 {
    let faulty = total.saturating_sub(1).checked_div(3).unwrap_or(0);
    total.saturating_sub(faulty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AccountId;
    use codec::Encode;
    use proptest::prelude::*;
    use sp_consensus_grandpa::{AuthorityPair, Commit, Precommit};
    use sp_core::{Pair, H256};
    use sp_runtime::{generic, traits::BlakeTwo256, OpaqueExtrinsic};

    type TestHeader = generic::Header<u32, BlakeTwo256>;
    type TestBlock = generic::Block<TestHeader, OpaqueExtrinsic>;
    const SET: SetId = 7;
    const ROUND: u64 = 3;

    fn pair(id: u8) -> AuthorityPair {
        AuthorityPair::from_seed(&[id; 32])
    }

    fn voters(weights: &[u64]) -> Vec<Voter> {
        let voter = |(weight, id): (&u64, u8)| Voter {
            account: AccountId::new([id; 32]),
            key: pair(id).public(),
            weight: *weight,
        };
        weights.iter().zip(0u8..).map(voter).collect()
    }

    /// Headers on a block of height 10, `length` of them, on a branch of their own.
    fn branch(parent: &TestHeader, name: u8, length: u32) -> Vec<TestHeader> {
        let mut headers = vec![parent.clone()];
        for _ in 0..length {
            let last = headers.last().unwrap();
            let next = TestHeader::new(
                last.number + 1,
                H256::repeat_byte(name),
                H256::zero(),
                last.hash(),
                Default::default(),
            );
            headers.push(next);
        }
        headers.split_off(1)
    }

    fn target() -> TestHeader {
        TestHeader::new(10, H256::zero(), H256::zero(), H256::repeat_byte(9), Default::default())
    }

    fn precommit(
        id: u8,
        block: &TestHeader,
    ) -> finality_grandpa::SignedPrecommit<H256, u32, AuthoritySignature, AuthorityId> {
        let precommit = Precommit::<TestHeader> { target_hash: block.hash(), target_number: block.number };
        let message = finality_grandpa::Message::Precommit(precommit.clone());
        let signature = pair(id).sign(&localized_payload(ROUND, SET, &message));
        finality_grandpa::SignedPrecommit { precommit, signature, id: pair(id).public() }
    }

    fn justification(votes: &[(u8, &TestHeader)], ancestry: Vec<TestHeader>) -> GrandpaJustification<TestHeader> {
        let precommits = votes.iter().map(|(id, block)| precommit(*id, block)).collect();
        let commit = Commit::<TestHeader> { target_hash: target().hash(), target_number: 10, precommits };
        GrandpaJustification { round: ROUND, commit, votes_ancestries: ancestry }
    }

    fn verify(key: &AuthorityId, signature: &AuthoritySignature, bytes: &[u8]) -> bool {
        AuthorityPair::verify(signature, bytes, key)
    }

    fn checked(it: &GrandpaJustification<TestHeader>, voters: &[Voter]) -> Result<(), Invalid> {
        check::<TestBlock>(it, SET, voters, verify)
    }

    #[test]
    fn votes_for_the_block_or_for_descendants_of_it_count() {
        let (block, above) = (target(), branch(&target(), 1, 3));
        let voters = voters(&[1, 1, 1, 1]);
        let votes = [(0, &block), (1, &above[2]), (2, &above[0])];
        assert_eq!(checked(&justification(&votes, above.clone()), &voters), Ok(()));
        assert_eq!(checked(&justification(&votes[..2], above.clone()), &voters), Err(Invalid::TooFew));
        // Nothing says that it is a descendant.
        assert_eq!(checked(&justification(&votes, above[1..].to_vec()), &voters), Err(Invalid::TooFew));
    }

    #[test]
    fn a_third_of_the_weight_can_be_missing_and_no_more() {
        let block = target();
        let with = |weights: &[u64], ids: &[u8]| {
            let votes: Vec<_> = ids.iter().map(|id| (*id, &block)).collect();
            checked(&justification(&votes, vec![]), &voters(weights)).is_ok()
        };
        assert!(with(&[67, 33], &[0]) && !with(&[66, 34], &[0]) && !with(&[2, 1], &[0]) && with(&[1], &[0]));
        assert!(!with(&[0], &[0]), "a set without weight finalizes nothing");
    }

    #[test]
    fn votes_of_others_and_votes_twice_are_worth_nothing() {
        let block = target();
        let three = voters(&[1, 1, 1]);
        let twice = justification(&[(0, &block), (0, &block), (0, &block)], vec![]);
        assert_eq!(checked(&twice, &three), Err(Invalid::TooFew));
        let foreign = justification(&[(0, &block), (1, &block), (8, &block)], vec![]);
        assert_eq!(checked(&foreign, &three), Err(Invalid::NoVoter));
    }

    #[test]
    fn who_equivocates_counts_for_every_block() {
        let (block, other) = (target(), branch(&target(), 2, 1));
        let side =
            branch(&TestHeader::new(9, H256::repeat_byte(5), H256::zero(), H256::zero(), Default::default()), 3, 1);
        let votes = [(0, &block), (1, &other[0]), (2, &side[0]), (2, &side[0])];
        let four = voters(&[1, 1, 1, 1]);
        assert_eq!(checked(&justification(&votes, other.clone()), &four), Err(Invalid::TooFew));
        let far = branch(&side[0], 4, 1);
        let votes = [(0, &block), (1, &other[0]), (2, &side[0]), (2, &far[0])];
        assert_eq!(checked(&justification(&votes, other.clone()), &four), Ok(()));
    }

    #[test]
    fn a_signature_for_another_round_set_or_block_is_none() {
        let block = target();
        let one = voters(&[1]);
        let good = justification(&[(0, &block)], vec![]);
        assert_eq!(checked(&good, &one), Ok(()));
        assert_eq!(check::<TestBlock>(&good, SET + 1, &one, verify), Err(Invalid::BadSignature));
        let mut other_round = good.clone();
        other_round.round += 1;
        assert_eq!(checked(&other_round, &one), Err(Invalid::BadSignature));
        let mut other_block = good;
        other_block.commit.target_hash = H256::repeat_byte(1);
        other_block.commit.precommits[0].precommit.target_hash = H256::repeat_byte(1);
        assert_eq!(checked(&other_block, &one), Err(Invalid::BadSignature));
    }

    #[test]
    fn a_walk_that_leads_elsewhere_ends() {
        let away =
            branch(&TestHeader::new(3, H256::zero(), H256::zero(), H256::repeat_byte(8), Default::default()), 6, 200);
        let it = justification(&[(0, &away[199])], away.clone());
        assert_eq!(checked(&it, &voters(&[1])), Err(Invalid::TooFew));
    }

    #[test]
    fn what_is_too_large_or_has_something_after_it_is_refused_before_it_is_checked() {
        let block = target();
        let good = justification(&[(0, &block)], vec![]);
        let read = |it: &GrandpaJustification<TestHeader>, voters| {
            read::<TestBlock>(&it.encode(), voters).map(|(target, _)| target)
        };
        assert_eq!(read(&good, 1), Ok(Target { number: 10, hash: block.hash() }));
        assert_eq!(read(&justification(&[(0, &block), (1, &block), (2, &block)], vec![]), 1), Err(Invalid::TooLarge));
        assert_eq!(read(&justification(&[(0, &block)], vec![block.clone(); 257]), 1), Err(Invalid::TooLarge));
        let mut long = good.encode();
        long.push(0);
        assert_eq!(super::read::<TestBlock>(&long, 1).map(|(target, _)| target), Err(Invalid::Undecodable));
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok((_, it)) = super::read::<TestBlock>(&bytes, 4) {
                let _ = checked(&it, &voters(&[1, 1, 1, 1]));
            }
        }
    }
}
