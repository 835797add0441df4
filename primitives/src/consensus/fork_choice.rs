//! Which of two chains is followed.
//!
//! The heavier one, with a margin. Early dates make the blocks of a branch a little heavier, and by plain weight a withheld
//! branch would win every tie from length 2 on: selfish mining would pay from about a quarter of the hash power on. With the
//! margin the thresholds are the classical ones of Eyal and Sirer (arXiv 1311.0243): see `scripts/simulate consensus`,
//! *selfish mining*, and ADR 0027. Every switch raises the weight, so that there are no cycles.

use super::Difficulty;
use sp_core::U256;

/// Another branch must be heavier by more than the base difficulty of the best block divided by this.
pub const MARGIN_DIVISOR: u64 = 10;

/// The end of a chain, as far as fork choice looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The total weight of the chain: the sum of the base difficulties of its blocks.
    pub weight: U256,
    /// The base difficulty of its last block.
    pub base: Difficulty,
}

/// Whether a block on another branch, whose chain has this total weight, becomes the best one.
///
/// # Consensus
///
/// If its total weight exceeds the best chain's by more than a tenth of the best block's base difficulty. A descendant of the
/// best block is not asked: it always becomes the best one, however little it weighs, since after an outage a block may
/// weigh a hundredth of its parent.
pub fn is_heavier_branch(weight: U256, best: Head) -> bool {
    let margin = best.base.0.checked_div(MARGIN_DIVISOR.into()).unwrap_or_default();
    weight > best.weight.saturating_add(margin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(weight: u64, base: u64) -> Head {
        Head { weight: weight.into(), base: base.into() }
    }

    #[test]
    fn a_tenth_of_the_best_block_more_is_not_enough_and_one_more_than_that_is() {
        assert!(!is_heavier_branch(1_100.into(), head(1_000, 1_000)));
        assert!(is_heavier_branch(1_101.into(), head(1_000, 1_000)));
        assert!(!is_heavier_branch(1_000.into(), head(1_000, 1_000)));
    }

    #[test]
    fn the_greatest_weights_do_not_overflow() {
        assert!(!is_heavier_branch(U256::MAX, Head { weight: U256::MAX, base: Difficulty::MAX }));
    }

    proptest! {
        #[test]
        fn no_sequence_of_branches_leads_back_to_a_lighter_one(
            branches in proptest::collection::vec((1u64..1_000_000, 1u64..1_000_000), 1..50),
        ) {
            let mut best = head(0, 1);
            for (weight, base) in branches {
                if is_heavier_branch(weight.into(), best) {
                    prop_assert!(U256::from(weight) > best.weight);
                    best = head(weight, base);
                }
            }
        }
    }
}
