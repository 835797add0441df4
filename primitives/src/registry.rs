//! Who takes part in measurement: as what, what it costs, and how fast the set of challengers may change.

use crate::{Balance, BlockNumber, EpochIndex};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// The bits per second of one Mbit/s.
pub const BITS_PER_MBIT: u64 = 1_000_000;
/// The least that a provider can declare.
pub const LEAST_BITS_PER_SECOND: u64 = BITS_PER_MBIT;
/// Of how many challengers one is admitted in an epoch.
const CHALLENGERS_PER_ADMITTED: u32 = 256;
/// As of how many challengers some are admitted where there are fewer: one in four epochs.
const LEAST_CHALLENGERS: u32 = 64;

/// The two parts that somebody can take in measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Role {
    /// Is measured.
    Provider,
    /// Measures.
    Challenger,
}

/// Where a challenger stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Standing {
    /// It waits to be admitted, at this place.
    Waiting {
        /// Its place among those that wait.
        place: u32,
    },
    /// It is in a slot, and drawn.
    Active {
        /// The slot.
        slot: u32,
    },
    /// It announced a pause.
    Paused {
        /// The first epoch in which it is not drawn.
        from: EpochIndex,
    },
    /// It missed too much.
    Jailed {
        /// The first epoch in which it can come back.
        until: EpochIndex,
    },
    /// It left.
    Leaving {
        /// The block from which on the bond can be taken back.
        until: BlockNumber,
    },
}

/// The parameters of the registry.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registry {
    /// The part of a provider's bond that does not depend on what it declares.
    pub provider_bond: Balance,
    /// The bond of a provider per declared Mbit/s.
    pub bond_per_mbit: Balance,
    /// The bond of a challenger.
    pub challenger_bond: Balance,
    /// How long a bond is held after leaving.
    pub unbonding_blocks: BlockNumber,
    /// Whether challengers are admitted slowly, by lot, instead of at once. Each must then have an endpoint of either address family.
    pub slow_admission: bool,
    /// What a challenger burns to wait for admission while nobody else waits. See [`Registry::admission_fee`].
    pub admission_fee: Balance,
    /// What each challenger can send and take: its class, the same for all.
    pub class_bits_per_second: u64,
    /// How many providers can join in an epoch.
    pub most_joining: u32,
}

impl Registry {
    /// The bond of a provider that declares so much.
    pub fn bond_of_provider(&self, declared_bits_per_second: u64) -> Balance {
        let mbits = Balance::from(declared_bits_per_second.div_ceil(BITS_PER_MBIT));
        self.provider_bond.saturating_add(self.bond_per_mbit.saturating_mul(mbits))
    }

    /// What a challenger burns to wait, while a number of others wait: the fee, and as much again for each of them. So who keeps
    /// others out by waiting with many identities pays by the square of their number.
    pub fn admission_fee(&self, waiting: u32) -> Balance {
        self.admission_fee.saturating_mul(Balance::from(waiting).saturating_add(1))
    }
}

/// How many challengers the start of an epoch admits, and what is carried to the next one: a 256th of those there are, as of 64 at the
/// least, so that one who is admitted alone does not double what a coalition has before anybody looks.
///
/// `carried` is below 256 where it comes from here.
pub fn admitted(challengers: u32, carried: u32) -> (u32, u32) {
    let credit = carried.saturating_add(challengers.max(LEAST_CHALLENGERS));
    (
        credit.checked_div(CHALLENGERS_PER_ADMITTED).unwrap_or(0),
        credit.checked_rem(CHALLENGERS_PER_ADMITTED).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WEIR: Balance = crate::PLANCK_PER_WEIR;

    fn rules() -> Registry {
        Registry {
            provider_bond: 10 * WEIR,
            bond_per_mbit: WEIR,
            challenger_bond: 100 * WEIR,
            unbonding_blocks: 20,
            slow_admission: true,
            admission_fee: 10 * WEIR,
            class_bits_per_second: 200 * BITS_PER_MBIT,
            most_joining: 8,
        }
    }

    #[test]
    fn a_bond_is_a_fixed_sum_and_a_rate_for_each_mbit_that_was_begun() {
        assert_eq!(rules().bond_of_provider(100 * BITS_PER_MBIT), 110 * WEIR);
        assert_eq!(rules().bond_of_provider(BITS_PER_MBIT + 1), 12 * WEIR);
    }

    #[test]
    fn who_fills_the_queue_pays_by_the_square() {
        let all: Balance = (0..100).map(|waiting| rules().admission_fee(waiting)).sum();
        assert_eq!(all, 50_500 * WEIR);
    }

    #[test]
    fn small_sets_admit_one_in_four_epochs_and_large_ones_a_256th() {
        let over = |challengers: u32, epochs: u32| {
            let mut carried = 0;
            (0..epochs)
                .map(|_| {
                    let (now, then) = admitted(challengers, carried);
                    carried = then;
                    now
                })
                .sum::<u32>()
        };
        assert_eq!(over(0, 4), 1);
        assert_eq!(over(64, 400), 100);
        assert_eq!(over(2_000, 256), 2_000);
    }

    proptest! {
        #[test]
        fn what_is_admitted_is_never_more_than_a_256th_and_one(challengers in 0u32..1_000_000, carried in 0u32..256) {
            let (now, then) = admitted(challengers, carried);
            prop_assert!(then < 256);
            prop_assert!(now <= challengers.max(64) / 256 + 1);
        }
    }
}
