use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};
use sp_arithmetic::Perbill;
use sp_core::U256;

/// How many hashes a block takes on average; also what a block weighs.
///
/// # Consensus
///
/// The base difficulty of a chain stays between its floor, at least [`Difficulty::MIN`], and [`Difficulty::MAX`]. A
/// difficulty of zero has no meaning: [`Difficulty::is_met_by`] treats it as one.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct Difficulty(pub U256);

impl Difficulty {
    /// One hash, of whatever value.
    pub const MIN: Self = Self(U256::one());
    /// 2^192: far above what can be mined, and low enough that neither a required difficulty nor the weight of 2^32
    /// blocks can overflow 256 bits.
    pub const MAX: Self = Self(U256([0, 0, 0, 1]));

    /// What an author must reach who spends `credit` on a block.
    ///
    /// `max(1, base − base · credit · (boost − 1) / boost)`: the reduction is rounded down, so that the result is rounded
    /// up. Linear in the credit, so that nothing is gained by spending it in other portions.
    ///
    /// # Consensus
    ///
    /// With no credit it is the base, with a full one the base divided by `boost`. A boost of zero counts as one, and a
    /// base above [`Difficulty::MAX`] as that.
    pub fn required(self, credit: Perbill, boost: u32) -> Self {
        let base = self.0.min(Self::MAX.0);
        let boost = boost.max(1);
        let numerator =
            base.saturating_mul(U256::from(credit.deconstruct())).saturating_mul(U256::from(boost.saturating_sub(1)));
        let denominator = U256::from(1_000_000_000u64).saturating_mul(U256::from(boost));
        let reduction = numerator.checked_div(denominator).unwrap_or_default();
        Self(base.saturating_sub(reduction)).max(Self::MIN)
    }

    /// The greatest [`Work`] that meets this difficulty.
    pub fn target(self) -> U256 {
        U256::MAX.checked_div(self.0.max(U256::one())).unwrap_or(U256::MAX)
    }

    /// Whether a hash is good enough.
    pub fn is_met_by(self, work: Work) -> bool {
        work.0 <= self.target()
    }

    /// Limits the value to what a chain with this floor allows.
    pub fn clamp_to(self, floor: Self) -> Self {
        Self(self.0.clamp(floor.0.clamp(Self::MIN.0, Self::MAX.0), Self::MAX.0))
    }
}

impl From<u64> for Difficulty {
    fn from(hashes: u64) -> Self {
        Self(U256::from(hashes))
    }
}

/// The result of hashing one nonce, read as a big-endian number. Smaller is harder to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work(pub U256);

impl Work {
    /// Reads the output of the hash function.
    pub fn from_hash(hash: [u8; 32]) -> Self {
        Self(U256::from_big_endian(&hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_full_credit_divides_the_base_by_the_boost() {
        assert_eq!(Difficulty::from(8_000).required(Perbill::one(), 8), Difficulty::from(1_000));
    }

    #[test]
    fn required_difficulty_is_rounded_up_and_never_zero() {
        assert_eq!(Difficulty::from(9).required(Perbill::one(), 8), Difficulty::from(2));
        assert_eq!(Difficulty::from(1).required(Perbill::one(), 8), Difficulty::MIN);
        assert_eq!(Difficulty::from(0).required(Perbill::zero(), 8), Difficulty::MIN);
    }

    #[test]
    fn the_ceiling_does_not_overflow() {
        let eighth = Difficulty(Difficulty::MAX.0 / 8);
        assert_eq!(Difficulty::MAX.required(Perbill::one(), 8), eighth);
        assert_eq!(Difficulty(U256::MAX).required(Perbill::zero(), 8), Difficulty::MAX);
        assert!(Difficulty::MAX.0.checked_mul(U256::from(u32::MAX)).is_some());
    }

    #[test]
    fn difficulty_one_is_met_by_every_hash_and_the_target_is_inclusive() {
        assert!(Difficulty::MIN.is_met_by(Work(U256::MAX)));
        let difficulty = Difficulty::from(1_000);
        assert!(difficulty.is_met_by(Work(difficulty.target())));
        assert!(!difficulty.is_met_by(Work(difficulty.target() + 1)));
    }

    proptest! {
        #[test]
        fn splitting_credit_over_two_blocks_gains_at_most_the_rounding(
            base in 1u64.., first in 0u32..=500_000_000, second in 0u32..=500_000_000, boost in 1u32..64,
        ) {
            let base = Difficulty::from(base);
            let saved = |parts: u32| base.0 - base.required(Perbill::from_parts(parts), boost).0;
            let split = saved(first) + saved(second);
            let whole = saved(first + second);
            prop_assert!(split <= whole && whole <= split + 1);
        }

        #[test]
        fn more_credit_never_needs_more_work(base in 0u64.., a in 0u32..=1_000_000_000, b in 0u32..=1_000_000_000) {
            let base = Difficulty::from(base);
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(base.required(Perbill::from_parts(high), 8) <= base.required(Perbill::from_parts(low), 8));
        }
    }
}
