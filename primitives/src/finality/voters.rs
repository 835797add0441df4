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
//! the bonds of those without one go on to count in everybody's share. Nothing asks how much a set weighs: who is alone in having bandwidth is
//! elected alone.

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
/// account. None if they would be fewer than allowed, or all who stand have less than `least_total` bits per second behind them together: then the
/// old set stays.
pub fn elect(candidates: Vec<Candidate>, rules: &Finality, least_total_bits_per_second: u64) -> Option<Vec<Voter>> {
    let bonds = candidates.iter().filter(|it| it.bond >= rules.voter_bond).fold(0u128, |sum, it| {
        // There is less than 2^128 planck of everything.
        sum.saturating_add(it.bond)
    });
    let weighed =
        candidates.into_iter().filter(|it| it.bond >= rules.voter_bond).map(|it| (weight(&it, bonds, rules), it));
    let mut weighed: Vec<_> = weighed.filter(|(weight, _)| *weight > 0).collect();
    weighed.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.account.cmp(&other.account)));
    // Of all who could vote: a crowd of equal ones, of whom a part has seats, is no small network.
    let total = weighed.iter().fold(0u128, |sum, (_, it)| sum.saturating_add(it.bits_per_second.into()));
    weighed.truncate(usize::try_from(MOST_VOTERS).unwrap_or(usize::MAX));
    let count = u32::try_from(weighed.len()).unwrap_or(u32::MAX);
    if count < rules.least_voters.max(1) || total < u128::from(least_total_bits_per_second) {
        return None;
    }
    Some(weighed.into_iter().map(|(weight, it)| Voter { account: it.account, key: it.key, weight }).collect())
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

    fn candidate(id: u8, bond: Balance, bits_per_second: u64) -> Candidate {
        let key = sp_core::ed25519::Public::unchecked_from([id; 32]).into();
        Candidate { account: AccountId::new([id; 32]), key, bond, bits_per_second }
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
                prop_assert!(candidates.iter().all(|it| it.bits_per_second == 0 || it.bond == 0));
                return Ok(());
            };
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
            let many = others.iter().cloned().chain(split).collect();
            let ids: Vec<u8> = (200..200 + parts).collect();
            let of = |candidates| elect(candidates, &RULES, 0).map_or(0, |voters| weight_of(&voters, &ids));
            prop_assert!(of(many) <= of(one) + u64::from(parts));
        }

        #[test]
        fn lines_lent_to_others_take_no_vote_away(candidates in some_candidates(), lent in 1u64..1_000_000_000) {
            let candidates = &candidates[..candidates.len().min(60)];
            let before = elect(candidates.to_vec(), &RULES, 0);
            let mut after = candidates.to_vec();
            after[0].bits_per_second += lent;
            let after = elect(after, &RULES, 0);
            for it in &candidates[1..] {
                let ids = [first_byte(&it.account)];
                let of = |set: &Option<Vec<Voter>>| set.as_ref().map_or(0, |voters| weight_of(voters, &ids));
                prop_assert_eq!(of(&before), of(&after));
            }
        }
    }

    #[test]
    fn a_vote_needs_both_a_bond_and_bandwidth() {
        let rich = candidate(1, 1_000_000, 0);
        let fast = candidate(2, 99, 1_000_000);
        let both = candidate(3, 100, 1);
        let voters = elect(vec![rich, fast, both], &RULES, 0).unwrap();
        // 100 of 1 000 100 of the bonds, and 4 of 1 000 000 of the reference: a bond below the least one is not counted either.
        assert_eq!(voters.iter().map(|it| (first_byte(&it.account), it.weight)).collect::<Vec<_>>(), [(3, 4_000_000)]);
    }

    #[test]
    fn who_has_all_bonds_and_a_quarter_of_the_reference_weighs_the_whole() {
        let voters = elect(vec![candidate(1, 500, 250_000)], &RULES, 0).unwrap();
        assert_eq!(total(&voters), WHOLE);
    }

    #[test]
    fn a_set_that_is_too_small_or_has_too_little_behind_it_is_none() {
        let two = || vec![candidate(1, 100, 10), candidate(2, 100, 10)];
        let rules = Finality { least_voters: 3, ..RULES };
        assert_eq!(elect(two(), &rules, 0), None);
        assert_eq!(elect(two(), &RULES, 21), None);
        assert!(elect(two(), &RULES, 20).is_some());
        assert_eq!(elect(vec![], &Finality { least_voters: 0, ..RULES }, 0), None);
    }

    #[test]
    fn the_bandwidth_of_those_without_a_seat_counts_for_there_being_a_set() {
        let crowd = |count| (0..count).map(|id| candidate(id, 100, 10)).collect();
        assert!(elect(crowd(200), &RULES, 2_000).is_some_and(|voters| voters.len() == 64));
        assert_eq!(elect(crowd(200), &RULES, 2_001), None);
    }

    #[test]
    fn of_equally_heavy_candidates_those_with_the_lower_accounts_vote() {
        let candidates = (0..100).rev().map(|id| candidate(id, 100, 10)).collect();
        let voters = elect(candidates, &RULES, 0).unwrap();
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
