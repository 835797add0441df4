//! The choice of voters, and the weight of their votes.
//!
//! A candidate weighs the lower of its share of all candidates' bonds and four times its bandwidth over a fixed reference. So bandwidth
//! filters and bonds secure: lines that are lent, or bandwidth that costs nothing, add no vote without a bond, and they take nobody else's
//! away, since nobody's weight depends on another's bandwidth. The weight is linear: who splits a bond and its bandwidth over several
//! identities weighs what one would, and there is no cap that identities would evade. `scripts/simulate finality` shows what a third of the
//! votes costs.
//!
//! # Beware
//!
//! Splitting gains nothing as long as all who stand have a seat. Beside more of them, whoever outweighs each in many identities takes their seats, and
//! the bonds of those without one go on to count in everybody's share.
//!
//! A candidate without a block in an epoch has no bandwidth behind it. Whoever keeps others out of the blocks of one epoch would be elected alone with the
//! least bonds; that all who stand must weigh half of the whole together costs him half of all bonds, less those of whoever he leaves standing. It costs the
//! chain the change of voters for as long as that is not so, for want of bandwidth or by bonds that have none: then the old set stays.

use super::{Finality, VoterKey, MOST_VOTERS};
use crate::{AccountId, Balance};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use sp_core::U256;

/// The weight of somebody with all bonds, and bandwidth enough.
pub const WHOLE: u64 = 1_000_000_000_000;
/// How much of its share of bonds somebody with the reference's bandwidth could have counted.
const BANDWIDTH_FACTOR: u128 = 4;
/// The least that all candidates must weigh together for there to be a new set.
const LEAST_TOGETHER: u64 = WHOLE / 2;

/// Somebody who stands for election, with its bond held and a block made in the epoch before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The account that bonded, and makes blocks.
    pub account: AccountId,
    /// The key that would vote.
    pub key: VoterKey,
    /// Its bond.
    pub bond: Balance,
    /// The guaranteed bandwidth of the providers that name it, as of the last snapshot that is proven final.
    pub bits_per_second: u64,
}

/// A voter of a set.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Voter {
    /// The account that answers for what the key signs.
    pub account: AccountId,
    /// The key that votes.
    pub key: VoterKey,
    /// The weight of its vote.
    pub weight: u64,
}

/// Chooses the voters of the next set, in the order of their weights, the heaviest first; of equally heavy ones that with the lower
/// account. None if they would be fewer than allowed, or all who stand have less than `least_total` bits per second behind them together or weigh less
/// than half of the whole: then the old set stays.
pub fn elect(candidates: Vec<Candidate>, rules: &Finality, least_total_bits_per_second: u64) -> Option<Vec<Voter>> {
    let mut standing = in_order(candidates, rules);
    // Of all who could vote: a crowd of equal ones, of whom a part has seats, is no small network.
    let bits_per_second = standing.iter().fold(0u128, |sum, (_, it)| sum.saturating_add(it.bits_per_second.into()));
    let together = standing.iter().fold(0u64, |sum, (weight, _)| sum.saturating_add(*weight));
    standing.truncate(usize::try_from(MOST_VOTERS).unwrap_or(usize::MAX));
    let count = u32::try_from(standing.len()).unwrap_or(u32::MAX);
    if count < rules.least_voters.max(1)
        || bits_per_second < u128::from(least_total_bits_per_second)
        || together < LEAST_TOGETHER
    {
        return None;
    }
    Some(standing.into_iter().map(|(weight, it)| Voter { account: it.account, key: it.key, weight }).collect())
}

/// The candidates that weigh something, with their weights, in the order in which they have seats: the heaviest first.
pub fn in_order(candidates: Vec<Candidate>, rules: &Finality) -> Vec<(u64, Candidate)> {
    let bonded = candidates.into_iter().filter(|it| it.bond >= rules.voter_bond).collect::<Vec<_>>();
    // There is less than 2^128 planck of everything.
    let bonds = bonded.iter().fold(0u128, |sum, it| sum.saturating_add(it.bond));
    let weighed = bonded.into_iter().map(|it| (weight(&it, bonds, rules), it));
    let mut standing = weighed.filter(|(weight, _)| *weight > 0).collect::<Vec<_>>();
    standing.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.account.cmp(&other.account)));
    standing
}

/// What a candidate weighs where all candidates have bonded this much together.
fn weight(candidate: &Candidate, bonds: Balance, rules: &Finality) -> u64 {
    let part = |of: u128, whole: u128| {
        let scaled = U256::from(of).saturating_mul(WHOLE.into()).checked_div(whole.into()).unwrap_or_default();
        u64::try_from(scaled).unwrap_or(WHOLE).min(WHOLE)
    };
    let bandwidth = u128::from(candidate.bits_per_second).saturating_mul(BANDWIDTH_FACTOR);
    part(candidate.bond, bonds).min(part(bandwidth, rules.reference_bits_per_second.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sp_core::crypto::UncheckedFrom;

    const RULES: Finality = Finality {
        voter_bond: 100,
        least_voters: 1,
        reference_bits_per_second: 1_000_000,
        epochs_per_set: 1,
        votes_behind: 4,
    };

    /// Of a network in which 10 bits per second are enough for the whole of one's bond.
    const SMALL: Finality = Finality { reference_bits_per_second: 40, ..RULES };

    fn candidate(id: u8, bond: Balance, bits_per_second: u64) -> Candidate {
        let key = sp_core::ed25519::Public::unchecked_from([id; 32]).into();
        Candidate { account: AccountId::new([id; 32]), key, bond, bits_per_second }
    }

    /// What each candidate weighs, whether or not they are enough for a set.
    fn weighed(candidates: &[Candidate]) -> Vec<Voter> {
        let standing = in_order(candidates.to_vec(), &RULES).into_iter();
        standing.map(|(weight, it)| Voter { account: it.account, key: it.key, weight }).collect()
    }

    fn first_byte(account: &AccountId) -> u8 {
        AsRef::<[u8; 32]>::as_ref(account)[0]
    }

    fn total(voters: &[Voter]) -> u64 {
        voters.iter().map(|voter| voter.weight).sum()
    }

    fn weight_of(voters: &[Voter], ids: &[u8]) -> u64 {
        total(&voters.iter().filter(|it| ids.contains(&first_byte(&it.account))).cloned().collect::<Vec<_>>())
    }

    prop_compose! {
        fn some_candidates()(
            given in proptest::collection::vec((100u128..10_000_000, 0u64..2_000_000), 1..100),
        ) -> Vec<Candidate> {
            given.iter().zip(0u8..).map(|((bond, bits), id)| candidate(id, *bond, *bits)).collect()
        }
    }

    proptest! {
        #[test]
        fn voters_are_the_heaviest_in_order_each_once_and_none_weighs_nothing(candidates in some_candidates()) {
            let Some(voters) = elect(candidates.clone(), &RULES, 0) else {
                prop_assert!(total(&weighed(&candidates)) < WHOLE / 2);
                return Ok(());
            };
            prop_assert!(total(&weighed(&candidates)) >= WHOLE / 2);
            prop_assert!(voters.len() <= 64 && voters.iter().all(|voter| voter.weight > 0));
            prop_assert!(voters.windows(2).all(|two| (two[1].weight, &two[0].account) <= (two[0].weight, &two[1].account)
                || two[0].weight > two[1].weight));
            prop_assert!(total(&voters) <= WHOLE);
            let bonds = candidates.iter().map(|it| it.bond).sum();
            let least = voters.last().unwrap().weight;
            for it in candidates.iter().filter(|it| voters.iter().all(|voter| voter.account != it.account)) {
                prop_assert!(weight(it, bonds, &RULES) <= least);
            }
        }

        #[test]
        fn splitting_over_identities_gains_nothing(
            others in some_candidates(), bond in 1_000u128..1_000_000, bits in 0u64..1_000_000, parts in 2u8..8, cut in any::<u64>(),
        ) {
            // Fewer than the seats, so that nobody is left out.
            let others = &others[..others.len().min(50)];
            let one = [others, &[candidate(200, bond, bits)]].concat();
            let count = u128::from(parts);
            // The bonds in equal parts, the bandwidth anyhow.
            let mut left = bits;
            let split = (0..parts).map(|part| {
                let bits = if part + 1 == parts { left } else { (cut >> part) % (left + 1) };
                left -= bits;
                candidate(200 + part, bond / count, bits)
            });
            let many = others.iter().cloned().chain(split).collect::<Vec<_>>();
            let ids: Vec<u8> = (200..200 + parts).collect();
            let of = |candidates: &[Candidate]| weight_of(&weighed(candidates), &ids);
            prop_assert!(of(&many) <= of(&one) + u64::from(parts));
        }

        #[test]
        fn lines_lent_to_others_take_no_vote_away(candidates in some_candidates(), lent in 1u64..1_000_000_000) {
            let candidates = &candidates[..candidates.len().min(60)];
            let before = weighed(candidates);
            let mut after = candidates.to_vec();
            after[0].bits_per_second += lent;
            let after = weighed(&after);
            for it in &candidates[1..] {
                let ids = [first_byte(&it.account)];
                prop_assert_eq!(weight_of(&before, &ids), weight_of(&after, &ids));
            }
        }
    }

    #[test]
    fn a_vote_needs_both_a_bond_and_bandwidth() {
        let rich = candidate(1, 1_000_000, 0);
        let fast = candidate(2, 99, 1_000_000);
        let both = candidate(3, 100, 1);
        let voters = weighed(&[rich, fast, both]);
        // 100 of 1 000 100 of the bonds, and 4 of 1 000 000 of the reference: a bond below the least one is not counted either.
        assert_eq!(voters.iter().map(|it| (first_byte(&it.account), it.weight)).collect::<Vec<_>>(), [(3, 4_000_000)]);
    }

    #[test]
    fn who_has_all_bonds_and_a_quarter_of_the_reference_weighs_the_whole() {
        let voters = elect(vec![candidate(1, 500, 250_000)], &RULES, 0).unwrap();
        assert_eq!(total(&voters), WHOLE);
    }

    #[test]
    fn who_keeps_all_others_out_of_the_blocks_is_not_elected_alone_with_less_than_half_of_the_bonds() {
        let kept_out = || (10..50).map(|id| candidate(id, 100, 0));
        let with = |bond| elect(kept_out().chain([candidate(1, bond, 1_000_000)]).collect(), &RULES, 0);
        assert_eq!(with(3_999), None);
        assert!(with(4_000).is_some_and(|voters| voters.len() == 1));
        // Nor in many identities.
        let many =
            |each| elect(kept_out().chain((60..100).map(|id| candidate(id, each, 1_000_000))).collect(), &RULES, 0);
        assert_eq!(many(99), None);
        assert!(many(100).is_some());
    }

    #[test]
    fn bonds_without_bandwidth_keep_the_old_set_only_with_half_of_all() {
        let voting = || (10..50).map(|id| candidate(id, 100, 1_000_000));
        let beside = |bond| elect(voting().chain([candidate(1, bond, 0)]).collect(), &RULES, 0);
        assert!(beside(3_900).is_some());
        assert_eq!(beside(4_100), None);
    }

    #[test]
    fn a_set_that_is_too_small_or_has_too_little_behind_it_is_none() {
        let two = || vec![candidate(1, 100, 10), candidate(2, 100, 10)];
        let rules = Finality { least_voters: 3, ..SMALL };
        assert_eq!(elect(two(), &rules, 0), None);
        assert_eq!(elect(two(), &SMALL, 21), None);
        assert!(elect(two(), &SMALL, 20).is_some());
        assert_eq!(elect(vec![], &Finality { least_voters: 0, ..SMALL }, 0), None);
    }

    #[test]
    fn the_bandwidth_of_those_without_a_seat_counts_for_there_being_a_set() {
        let crowd = |count| (0..count).map(|id| candidate(id, 100, 10)).collect();
        assert!(elect(crowd(200), &SMALL, 2_000).is_some_and(|voters| voters.len() == 64));
        assert_eq!(elect(crowd(200), &SMALL, 2_001), None);
    }

    #[test]
    fn of_equally_heavy_candidates_those_with_the_lower_accounts_vote() {
        let candidates = (0..100).rev().map(|id| candidate(id, 100, 10)).collect();
        let voters = elect(candidates, &SMALL, 0).unwrap();
        assert_eq!(voters.iter().map(|it| first_byte(&it.account)).collect::<Vec<_>>(), (0..64).collect::<Vec<_>>());
    }

    #[test]
    fn the_largest_numbers_there_are_do_not_overflow() {
        let rules = Finality { reference_bits_per_second: 1, ..RULES };
        let voters =
            elect(vec![candidate(1, u128::MAX, u64::MAX), candidate(2, u128::MAX, u64::MAX)], &rules, u64::MAX);
        assert!(voters.is_some_and(|voters| total(&voters) > 0));
    }
}
