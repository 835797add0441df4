//! Who measures whom, and when: drawn from a seed, the same for everyone who has it.

use alloc::vec::Vec;
use sp_runtime::traits::{BlakeTwo256, Hash};

/// What a draw comes from.
pub type Seed = [u8; 32];

/// The order in which the providers of an epoch are challenged: a permutation of `0..providers`.
///
/// The provider at position *p* of the result is challenged at [`instant_of`] *p*.
pub fn order(seed: Seed, providers: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..providers).collect();
    let length = order.len();
    shuffle(&mut Stream::new(seed, b"order", 0), &mut order, length);
    order
}

/// The instant, counted from 1, at which the provider at a position is challenged: positions are spread evenly.
pub fn instant_of(position: u32, providers: u32, instants: u32) -> u32 {
    let instant = u64::from(position).saturating_mul(u64::from(instants)).checked_div(u64::from(providers.max(1)));
    u32::try_from(instant.unwrap_or(0)).unwrap_or(0).min(instants.saturating_sub(1)).saturating_add(1)
}

/// The committee of the provider at a position: `size` different numbers below `eligible`, or nothing if there are not as
/// many to draw from.
pub fn committee(seed: Seed, position: u32, eligible: u32, size: u32) -> Option<Vec<u32>> {
    if eligible < size {
        return None;
    }
    let mut members: Vec<u32> = (0..eligible).collect();
    let size = usize::try_from(size).ok()?;
    shuffle(&mut Stream::new(seed, b"committee", position), &mut members, size);
    members.truncate(size);
    Some(members)
}

/// Draws the first `count` entries without replacement (Fisher and Yates, after Durstenfeld).
fn shuffle(stream: &mut Stream, entries: &mut [u32], count: usize) {
    for index in 0..count.min(entries.len()) {
        let rest = entries.len().saturating_sub(index);
        let chosen = index.saturating_add(stream.below(rest));
        entries.swap(index, chosen);
    }
}

/// Numbers from a seed: BLAKE2-256 of seed, domain, subject and a counter, 8 bytes at a time.
struct Stream {
    seed: Seed,
    domain: &'static [u8],
    subject: u32,
    counter: u64,
}

impl Stream {
    fn new(seed: Seed, domain: &'static [u8], subject: u32) -> Self {
        Self { seed, domain, subject, counter: 0 }
    }

    /// A number below `limit`. The bias of taking the remainder of 64 bits is below 2⁻³² for the lists that fit a chain.
    fn below(&mut self, limit: usize) -> usize {
        let input = [
            self.seed.as_slice(),
            b"weir:draw:v1",
            self.domain,
            &self.subject.to_le_bytes(),
            &self.counter.to_le_bytes(),
        ]
        .concat();
        self.counter = self.counter.saturating_add(1);
        let mut word = [0u8; 8];
        word.iter_mut().zip(BlakeTwo256::hash(&input).0).for_each(|(to, from)| *to = from);
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        usize::try_from(u64::from_le_bytes(word).checked_rem(limit).unwrap_or(0)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_draw_of_a_seed_never_changes() {
        assert_eq!(order([7; 32], 8), VECTOR_ORDER);
        assert_eq!(committee([7; 32], 3, 10, 4).unwrap(), VECTOR_COMMITTEE);
    }

    // Made by another implementation of the same rule, with the BLAKE2 of Python's hashlib.
    const VECTOR_ORDER: [u32; 8] = [0, 5, 6, 2, 1, 7, 3, 4];
    const VECTOR_COMMITTEE: [u32; 4] = [0, 3, 4, 6];

    #[test]
    fn too_few_challengers_make_no_committee() {
        assert_eq!(committee([0; 32], 0, 3, 4), None);
    }

    #[test]
    fn every_challenger_is_drawn_about_equally_often() {
        let mut counts = [0u32; 16];
        for position in 0..4_000 {
            for member in committee([1; 32], position, 16, 4).unwrap() {
                counts[member as usize] += 1;
            }
        }
        // 1000 expected, standard deviation 27.
        assert!(counts.iter().all(|count| (860..1140).contains(count)), "{counts:?}");
    }

    #[test]
    fn two_providers_at_two_instants_are_challenged_apart() {
        assert_eq!((instant_of(0, 2, 2), instant_of(1, 2, 2)), (1, 2));
    }

    proptest! {
        #[test]
        fn members_are_different_and_eligible(seed: [u8; 32], position: u32, eligible in 0u32..200, size in 0u32..32) {
            if let Some(mut members) = committee(seed, position, eligible, size) {
                prop_assert!(members.iter().all(|member| *member < eligible));
                members.sort_unstable();
                members.dedup();
                prop_assert_eq!(members.len(), size as usize);
            } else {
                prop_assert!(eligible < size);
            }
        }

        #[test]
        fn the_order_is_a_permutation_spread_over_all_instants(seed: [u8; 32], providers in 1u32..200, instants in 1u32..20) {
            let mut order = order(seed, providers);
            order.sort_unstable();
            prop_assert_eq!(order, (0..providers).collect::<Vec<_>>());
            let mut counts = vec![0u32; instants as usize];
            for position in 0..providers {
                let instant = instant_of(position, providers, instants);
                prop_assert!(instant >= 1 && instant <= instants);
                counts[instant as usize - 1] += 1;
            }
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
        }
    }
}
