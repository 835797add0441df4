//! How many instants an epoch has, and where their seeds come from.
//!
//! At each instant a provider is drawn with probability 1/K, so once in an epoch on average. One line that is lent
//! out gains up to K, the number of instants; so there are as few as challengers and blocks can serve.

use super::Seed;
use crate::{BlockNumber, EpochIndex, Hash};
use sp_runtime::traits::{BlakeTwo256, Hash as _};

/// The fewest instants of an epoch: so that no provider knows all of its measurements from one block.
pub const FEWEST: u32 = 2;

/// The most instants of an epoch. Where more would be needed, newcomers wait.
pub const MOST: u32 = 12;

/// By how much more than what a provider declares its committee sends, as a fraction: 1.5.
const OFFERED: (u128, u128) = (3, 2);

/// Which part of all classes the providers of an average instant may take, as a fraction: 0.7. What is drawn varies
/// from instant to instant; the rest is room for that.
const TAKEN: (u128, u128) = (7, 10);

/// What the providers of an epoch need, and what there is to serve them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The sum of [`wanted_bits_per_second`] over all providers.
    pub wanted_bits_per_second: u128,
    /// The sum of the classes of all challengers, in bits per second.
    pub class_bits_per_second: u128,
    /// How many providers there are.
    pub providers: u32,
    /// How many batches of reports half of the blocks take between an instant and its deadline.
    pub batches_per_instant: u32,
}

/// What a challenge of a provider must be able to show, in bits per second: what was declared, as far as one
/// challenge can count.
pub fn wanted_bits_per_second(declared: u64, guaranteed: u64, growth_step: u64) -> u64 {
    declared.min(guaranteed.saturating_mul(2).max(growth_step))
}

impl Demand {
    /// How many instants would do, whatever the most is: `⌈1.5 · wanted / (0.7 · class)⌉`, or as many as blocks need
    /// for the batches, if that is more.
    ///
    /// `u32::MAX` where nothing can serve what is wanted.
    pub fn needed(&self) -> u32 {
        let offered = self.wanted_bits_per_second.saturating_mul(OFFERED.0).saturating_mul(TAKEN.1);
        let served = self.class_bits_per_second.saturating_mul(OFFERED.1).saturating_mul(TAKEN.0);
        let for_lines = ratio_up(offered, served);
        let for_blocks = ratio_up(self.providers.into(), self.batches_per_instant.into());
        u32::try_from(for_lines.max(for_blocks)).unwrap_or(u32::MAX)
    }

    /// The number of instants: K.
    pub fn instants(&self) -> u32 {
        self.needed().clamp(FEWEST, MOST)
    }

    /// Whether K instants are enough. If not, no provider is admitted.
    pub fn is_met(&self) -> bool {
        self.needed() <= MOST
    }
}

fn ratio_up(numerator: u128, denominator: u128) -> u128 {
    if numerator == 0 {
        return 0;
    }
    let whole = numerator.checked_div(denominator).unwrap_or(u128::MAX);
    let is_exact = numerator.checked_rem(denominator) == Some(0);
    whole.saturating_add(u128::from(!is_exact))
}

/// The height of the block that an instant, counted from 0, belongs to: `first + ⌊instant · length / instants⌋`.
///
/// The start of the instant, T0, is the timestamp of that block and the notice. So one seed has one start.
pub fn height(first: BlockNumber, length: BlockNumber, instants: u32, instant: u32) -> BlockNumber {
    let offset = u64::from(instant).saturating_mul(length.into()).checked_div(instants.into()).unwrap_or(0);
    first.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX))
}

/// The seed of an instant: BLAKE2-256("weir:instant:v1" ‖ hash of its block ‖ epoch ‖ instant), both numbers as four
/// bytes, little-endian.
pub fn seed(block: Hash, epoch: EpochIndex, instant: u32) -> Seed {
    let input = [&b"weir:instant:v1"[..], &block.0, &epoch.to_le_bytes(), &instant.to_le_bytes()].concat();
    BlakeTwo256::hash(&input).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GBIT: u128 = 1_000_000_000;

    fn demand(wanted: u128, class: u128) -> Demand {
        Demand { wanted_bits_per_second: wanted, class_bits_per_second: class, providers: 0, batches_per_instant: 1 }
    }

    #[test]
    fn the_seed_of_an_instant_never_changes() {
        assert_eq!(hex(&seed(Hash::repeat_byte(7), 3, 1)), VECTOR_SEED);
    }

    // Made by another implementation of the same rule, with the BLAKE2 of Python's hashlib.
    const VECTOR_SEED: &str = "35af03e96feaa3d070a04d57191441dde2d92f9c5e9f37dd91e3b29054be797a";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn instants_follow_what_is_wanted_between_two_and_twelve() {
        assert_eq!(demand(0, GBIT).instants(), 2);
        assert_eq!(demand(GBIT, GBIT).needed(), 3, "1.5 / 0.7 is 2.14");
        assert_eq!(demand(14 * GBIT, 10 * GBIT).needed(), 3, "21 / 7");
        assert_eq!(demand(14 * GBIT + 1, 10 * GBIT).needed(), 4);
        assert_eq!(demand(56 * GBIT, 10 * GBIT).needed(), 12);
        assert!(demand(56 * GBIT, 10 * GBIT).is_met());
        assert_eq!(demand(57 * GBIT, 10 * GBIT).instants(), 12);
        assert!(!demand(57 * GBIT, 10 * GBIT).is_met());
        assert!(!demand(1, 0).is_met());
        assert!(demand(0, 0).is_met());
    }

    #[test]
    fn blocks_that_take_few_batches_ask_for_more_instants() {
        let few = Demand { providers: 1_000, batches_per_instant: 100, ..demand(0, GBIT) };
        assert_eq!(few.needed(), 10);
        assert!(!Demand { batches_per_instant: 0, ..few }.is_met());
    }

    #[test]
    fn a_challenge_must_show_what_was_declared_as_far_as_it_counts() {
        assert_eq!(wanted_bits_per_second(1_000, 0, 25), 25);
        assert_eq!(wanted_bits_per_second(1_000, 100, 25), 200);
        assert_eq!(wanted_bits_per_second(1_000, u64::MAX, 25), 1_000);
    }

    proptest! {
        #[test]
        fn instants_lie_within_the_epoch_in_their_order_the_first_at_its_first_block(
            first in 0u32..1_000_000_000, length in 12u32..100_000, instants in 1u32..=12,
        ) {
            let heights: Vec<_> = (0..instants).map(|instant| height(first, length, instants, instant)).collect();
            prop_assert_eq!(heights[0], first);
            prop_assert!(heights.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(heights[instants as usize - 1] < first + length);
        }

        #[test]
        fn twelve_instants_are_enough_or_newcomers_wait(
            wanted in 0u128..1_000_000 * GBIT, class in 0u128..10_000 * GBIT, providers: u32, batches: u32,
        ) {
            let demand = Demand { providers, batches_per_instant: batches, ..demand(wanted, class) };
            let instants = demand.instants();
            prop_assert!((FEWEST..=MOST).contains(&instants));
            let enough = 15 * wanted <= 7 * class * u128::from(instants)
                && u64::from(providers) <= u64::from(batches) * u64::from(instants);
            prop_assert_eq!(enough, demand.is_met());
        }
    }
}
