//! The retarget rule: ASERT with integer arithmetic, after `aserti3-2d`.
//!
//! The base difficulty is an exponential function of how far the chain is ahead of, or behind, its schedule of one block
//! per block time since an anchor. It depends on the absolute timestamps of anchor and parent alone, so that a false
//! timestamp in between changes nothing that lasts. The polynomial and its fixed-point form are those of the Bitcoin Cash
//! specification of `aserti3-2d` (2020), which bounds its error at 0.013 %; here it raises a difficulty where there it
//! lowers a target.
//!
//! The difficulty has a floor and a ceiling. A chain that has reached one of them would have to work off all the time it
//! spent there before the difficulty moved again (integral windup), so the anchor moves along while it is there.

use super::Difficulty;
use crate::{BlockNumber, Milliseconds, UnixMilliseconds};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use sp_core::U256;

/// Bits behind the binary point of the exponent.
const FRACTION_BITS: u32 = 16;

/// The block that the schedule counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Anchor {
    /// The height of the block.
    pub number: BlockNumber,
    /// The timestamp of the block.
    pub timestamp: UnixMilliseconds,
    /// The base difficulty of the block's child.
    pub difficulty: Difficulty,
}

/// The schedule that a chain keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The wanted time between two blocks.
    pub block_time: Milliseconds,
    /// How far behind or ahead of schedule the chain has to be for the difficulty to halve or double.
    pub half_life: Milliseconds,
    /// The least base difficulty.
    pub floor: Difficulty,
}

/// The base difficulty of the child of block `number`, whose timestamp is `timestamp`, and the anchor from there on.
///
/// # Consensus
///
/// `anchor.difficulty · 2^((block_time · Δnumber − Δtime) / half_life)`, between the floor and [`Difficulty::MAX`]; where
/// one of the two was reached, the block becomes the new anchor. A half-life of zero counts as one millisecond.
pub fn retarget(
    schedule: Schedule,
    anchor: Anchor,
    number: BlockNumber,
    timestamp: UnixMilliseconds,
) -> (Difficulty, Anchor) {
    let planned = i128::from(schedule.block_time).saturating_mul(i128::from(number.saturating_sub(anchor.number)));
    let passed = i128::from(timestamp).saturating_sub(i128::from(anchor.timestamp));
    let half_life = i128::from(schedule.half_life.max(1));
    let exponent =
        planned.saturating_sub(passed).saturating_mul(1 << FRACTION_BITS).checked_div_euclid(half_life).unwrap_or(0);

    let unlimited = scale(anchor.difficulty.0, exponent);
    let difficulty = Difficulty(unlimited).clamp_to(schedule.floor);
    let anchor = if difficulty.0 == unlimited { anchor } else { Anchor { number, timestamp, difficulty } };
    (difficulty, anchor)
}

/// `value · 2^(exponent / 2^16)`, rounded down; [`U256::MAX`] where it would not fit.
#[expect(clippy::arithmetic_side_effects, reason = "a U256 shifted by less than its bits neither panics nor wraps")]
fn scale(value: U256, exponent: i128) -> U256 {
    let whole = exponent >> FRACTION_BITS;
    let fraction = u64::try_from(exponent & 0xffff).unwrap_or(0);
    let scaled = value.saturating_mul(U256::from(power_of_two(fraction)));
    let shift = whole.saturating_sub(i128::from(FRACTION_BITS));
    match u32::try_from(shift.unsigned_abs()) {
        Ok(bits) if shift < 0 => {
            if bits < 256 {
                scaled >> bits
            } else {
                U256::zero()
            }
        },
        Ok(bits) if bits <= scaled.leading_zeros() => scaled << bits,
        _ if shift < 0 || scaled.is_zero() => U256::zero(),
        _ => U256::MAX,
    }
}

/// `2^(fraction / 2^16)` for a fraction below 2^16, as a fixed-point number with 16 bits behind the point.
fn power_of_two(fraction: u64) -> u64 {
    let x = u128::from(fraction.min(0xffff));
    let polynomial = 195_766_423_245_049u128
        .saturating_mul(x)
        .saturating_add(971_821_376u128.saturating_mul(x).saturating_mul(x))
        .saturating_add(5_127u128.saturating_mul(x).saturating_mul(x).saturating_mul(x))
        .saturating_add(1 << 47);
    u64::try_from(polynomial >> 48).unwrap_or(0).saturating_add(1 << FRACTION_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCHEDULE: Schedule =
        Schedule { block_time: 2_000, half_life: 120_000, floor: Difficulty(U256([100, 0, 0, 0])) };

    fn anchor(difficulty: u64) -> Anchor {
        Anchor { number: 1, timestamp: 1_000_000, difficulty: Difficulty::from(difficulty) }
    }

    fn after(blocks: u32, milliseconds: u64, difficulty: u64) -> Difficulty {
        retarget(SCHEDULE, anchor(difficulty), 1 + blocks, 1_000_000 + milliseconds).0
    }

    #[test]
    fn on_schedule_the_difficulty_stays() {
        assert_eq!(after(60, 120_000, 1_000_000), Difficulty::from(1_000_000));
    }

    #[test]
    fn a_half_life_behind_halves_and_one_ahead_doubles() {
        assert_eq!(after(60, 240_000, 1_000_000), Difficulty::from(500_000));
        assert_eq!(after(120, 120_000, 1_000_000), Difficulty::from(2_000_000));
    }

    #[test]
    fn vectors_between_two_powers_match_the_specified_polynomial() {
        // 2^(1/4), 2^(1/2) and 2^(3/4) with 16 bits behind the point, by the polynomial in integers of any size.
        assert_eq!(power_of_two(0), 65_536);
        assert_eq!(power_of_two(0x4000), 77_938);
        assert_eq!(power_of_two(0x8000), 92_674);
        assert_eq!(power_of_two(0xc000), 110_225);
    }

    #[test]
    fn the_polynomial_is_within_its_specified_error_of_the_power() {
        for fraction in 0..=0xffffu32 {
            let exact = 65_536.0 * (f64::from(fraction) / 65_536.0).exp2();
            let error = (power_of_two(u64::from(fraction)) as f64 / exact - 1.0).abs();
            assert!(error < 0.000_13, "{fraction}: {error}");
        }
    }

    #[test]
    fn floor_and_ceiling_hold_and_move_the_anchor() {
        let (difficulty, moved) = retarget(SCHEDULE, anchor(1_000_000), 2, 1_000_000 + 86_400_000);
        assert_eq!(difficulty, SCHEDULE.floor);
        assert_eq!(moved, Anchor { number: 2, timestamp: 87_400_000, difficulty: SCHEDULE.floor });

        let high = Anchor { difficulty: Difficulty::MAX, ..anchor(0) };
        let (difficulty, moved) = retarget(SCHEDULE, high, 1_000, 1_000_000);
        assert_eq!(difficulty, Difficulty::MAX);
        assert_eq!(moved.number, 1_000);
    }

    #[test]
    fn after_a_day_at_the_floor_the_difficulty_rises_with_the_first_fast_blocks() {
        let (mut difficulty, mut anchor) = retarget(SCHEDULE, anchor(1_000_000), 2, 87_400_000);
        for block in 1..=72u32 {
            (difficulty, anchor) = retarget(SCHEDULE, anchor, 2 + block, 87_400_000 + u64::from(block) * 333);
        }
        assert!(difficulty >= Difficulty::from(190), "{difficulty:?}");
        assert_eq!(anchor.number, 2);
    }

    proptest! {
        #[test]
        fn no_input_panics_or_leaves_the_limits(
            block_time in 0u64.., half_life in 0u64.., number in 0u32.., timestamp in 0u64..,
            anchored in (0u32.., 0u64.., 0u64..),
        ) {
            let schedule = Schedule { block_time, half_life, ..SCHEDULE };
            let anchor =
                Anchor { number: anchored.0, timestamp: anchored.1, difficulty: Difficulty::from(anchored.2) };
            let (difficulty, _) = retarget(schedule, anchor, number, timestamp);
            prop_assert!(difficulty >= SCHEDULE.floor && difficulty <= Difficulty::MAX);
        }

        #[test]
        fn a_later_timestamp_never_raises_the_difficulty(number in 2u32..10_000, a in 0u64..1 << 40, b in 0u64..1 << 40) {
            let at = |time| retarget(SCHEDULE, anchor(1 << 40), number, time).0;
            prop_assert!(at(a.max(b)) <= at(a.min(b)));
        }
    }
}
