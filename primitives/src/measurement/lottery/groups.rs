//! Which providers a seed draws.
//!
//! Providers behind one address prefix are one group, drawn together: neighbours who may share a line are measured at
//! the same instants. A provider whose prefix nobody has seen yet is a group of its own.
//!
//! A group that is drawn wants challengers for all of its lines at once. Above a twentieth of all classes it is cut
//! into as few pieces as bring it below that, by slot. The pieces are drawn apart, so a lender whose identities fill
//! a prefix gains the number of pieces at most, and not the number of identities.

use super::{word, Seed};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::net::{IpAddr, Ipv6Addr};
use scale_info::TypeInfo;

/// Which part of all classes a group that is drawn as one may want: one in this many.
const PART_OF_CLASSES: u128 = 20;
/// How many different words of 64 bits there are.
const WORDS: u128 = 1 << 64;

/// The two kinds of internet addresses.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The part of an address that neighbours share: the first 24 bits of IPv4, the first 48 of IPv6.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Prefix {
    /// A /24.
    V4([u8; 3]),
    /// A /48.
    V6([u8; 6]),
}

impl Prefix {
    /// The prefix of an address. An IPv4 address in the form of an IPv6 one is what it is.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            },
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    /// The family of the addresses that have the prefix.
    pub fn family(&self) -> Family {
        match self {
            Self::V4(_) => Family::V4,
            Self::V6(_) => Family::V6,
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        let [a, b, c, d, e, f, ..] = ip.octets();
        Self::V6([a, b, c, d, e, f])
    }
}

/// Providers that are drawn together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, TypeInfo)]
pub enum Group {
    /// The provider of a slot alone.
    Slot(u32),
    /// The providers behind a prefix, or a piece of them.
    Prefix(Prefix, u32),
}

impl Group {
    /// The group of the provider in a slot, last seen at a prefix whose providers together want `wanted` bits per
    /// second (see [`super::instants::wanted_bits_per_second`]), while all challengers together have a class of
    /// `classes` bits per second.
    pub fn of(slot: u32, prefix: Prefix, wanted: u128, classes: u128) -> Self {
        // Rounded up; without challengers each slot is a piece.
        let parts = wanted.saturating_mul(PART_OF_CLASSES);
        let pieces = parts.saturating_sub(1).checked_div(classes.max(1)).unwrap_or(0).saturating_add(1);
        let pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
        Self::Prefix(prefix, slot.checked_rem(pieces).unwrap_or(0))
    }

    /// Whether a seed draws the group, in an epoch with a number of instants: BLAKE2-256("weir:drawn:v1" ‖ seed ‖
    /// SCALE(group)), of which the first 64 bits, little-endian, are below 2⁶⁴ / instants.
    pub fn is_drawn(&self, seed: &Seed, instants: u32) -> bool {
        let below = WORDS.checked_div(instants.into()).unwrap_or(0);
        u128::from(word(b"weir:drawn:v1", &[seed, &self.encode()])) < below
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOME: Prefix = Prefix::V4([192, 0, 2]);

    fn numbered(number: u32) -> Seed {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&number.to_le_bytes());
        seed
    }

    // Made by another implementation of the same rule, with the BLAKE2 of Python's hashlib: bit i says that the seed
    // of 32 bytes i draws the group, with four instants.
    const VECTOR_SLOT: u32 = 0x00041a18;
    const VECTOR_PREFIX: u32 = 0x84050940;

    #[test]
    fn what_a_seed_draws_never_changes() {
        let drawn =
            |group: Group| (0u8..32).filter(|byte| group.is_drawn(&[*byte; 32], 4)).fold(0, |all, bit| all | 1 << bit);
        assert_eq!(drawn(Group::Slot(5)), VECTOR_SLOT);
        assert_eq!(drawn(Group::Prefix(HOME, 2)), VECTOR_PREFIX);
    }

    #[test]
    fn neighbours_are_one_group_and_an_address_has_one_prefix() {
        let prefix = |text: &str| Prefix::of(text.parse().unwrap());
        assert_eq!(prefix("192.0.2.7"), HOME);
        assert_eq!(prefix("::ffff:192.0.2.9"), HOME);
        assert_ne!(prefix("192.0.3.7"), HOME);
        assert_eq!(prefix("2001:db8:1:2::3"), Prefix::V6([0x20, 0x01, 0x0d, 0xb8, 0, 1]));
        assert_eq!(prefix("2001:db8:1:ffff::4"), prefix("2001:db8:1:2::3"));
        assert_eq!(Group::of(1, HOME, 49, 1_000), Group::of(2, HOME, 49, 1_000));
    }

    #[test]
    fn one_instant_draws_everybody() {
        assert!((0..100).all(|slot| Group::Slot(slot).is_drawn(&[9; 32], 1)));
    }

    #[test]
    fn a_group_is_drawn_at_one_of_k_instants_and_independently_of_others() {
        const SEEDS: u32 = 24_000;
        for instants in [2, 5, 12] {
            let drawn = |slot| move |number: &u32| Group::Slot(slot).is_drawn(&numbered(*number), instants);
            let alone = f64::from((0..SEEDS).filter(drawn(1)).count() as u32);
            let both = f64::from((0..SEEDS).filter(drawn(1)).filter(drawn(2)).count() as u32);
            let part = 1.0 / f64::from(instants);
            for (count, part) in [(alone, part), (both, part * part)] {
                let expected = part * f64::from(SEEDS);
                let deviation = (expected * (1.0 - part)).sqrt();
                assert!((count - expected).abs() < 4.5 * deviation, "{count} of {expected} at {instants} instants");
            }
        }
    }

    proptest! {
        #[test]
        fn a_piece_of_a_group_wants_a_twentieth_of_all_classes_at_the_most(
            providers in 1u32..2_000, wanted_each in 1u32..1_000, classes in 20_000u128..10_000_000,
        ) {
            let wanted = u128::from(providers) * u128::from(wanted_each);
            let mut pieces = std::collections::BTreeMap::<Group, u128>::new();
            for slot in 0..providers {
                *pieces.entry(Group::of(slot, HOME, wanted, classes)).or_default() += u128::from(wanted_each);
            }
            // Slots in a row divide evenly, but for one of them.
            let most = pieces.values().max().unwrap() - u128::from(wanted_each);
            prop_assert!(most * 20 <= classes, "{most} of {classes}");
            prop_assert!(pieces.len() as u128 <= (wanted * 20).div_ceil(classes));
        }

        #[test]
        fn more_instants_never_draw_a_group_that_fewer_did_not(
            seed: Seed, slot: u32, fewer in 1u32..12, more in 1u32..12,
        ) {
            let (fewer, more) = (fewer.min(more), fewer.max(more));
            prop_assert!(!Group::Slot(slot).is_drawn(&seed, more) || Group::Slot(slot).is_drawn(&seed, fewer));
        }
    }
}
