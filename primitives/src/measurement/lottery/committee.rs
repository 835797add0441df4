//! Who measures a provider that was drawn.
//!
//! Candidates are slots of the table of challengers, in an order that seed and provider give. A candidate is accepted
//! if
//!
//! - it is active in the epoch, and no member yet;
//! - it serves the address family over which the provider is measured;
//! - its account is not the provider's;
//! - its prefix is neither the provider's nor that of another member, where the rules ask for it; over IPv6, where prefixes cost next to nothing,
//!   neither is its prefix of IPv4;
//! - once there are 64 seniors, no more than 3 of 16 members are juniors, where the rules ask for it. So nobody takes
//!   committees over by many challengers that came at once.

use super::{
    groups::{Family, Prefix},
    word, Seed,
};
use crate::{parameters::MAX_COMMITTEE, AccountId, EpochIndex};
use alloc::vec::Vec;

/// How many candidates are looked at for each member that is wanted. Where one in ten of a large set is acceptable,
/// fewer than one committee of sixteen in 10²⁵ stays incomplete; where just sixteen of 160 slots are, one in forty.
pub const CANDIDATES_PER_MEMBER: u32 = 64;
/// For how many epochs a challenger is a junior: two weeks of epochs of an hour.
pub const JUNIOR_EPOCHS: EpochIndex = 336;
/// From how many seniors on juniors are limited. With fewer, most of the set may be juniors, and committees would
/// stay incomplete.
pub const SENIORS_TO_LIMIT_JUNIORS: u32 = 64;
/// How many of a committee may be juniors, as a fraction: 3 of 16.
const JUNIORS: (u32, u32) = (3, 16);

/// A challenger, as the table of an epoch has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The account.
    pub account: AccountId,
    /// The prefixes of its endpoints, one of each address family that it serves at the most.
    pub prefixes: Vec<Prefix>,
    /// The first epoch in which it is active: 0 for those that genesis names, who are seniors from the start.
    pub from: EpochIndex,
    /// The first epoch in which it is active no more, if that is known.
    pub until: Option<EpochIndex>,
}

impl Candidate {
    /// Whether the challenger can be drawn in an epoch.
    pub fn is_active(&self, epoch: EpochIndex) -> bool {
        self.from <= epoch && self.until.is_none_or(|until| epoch < until)
    }

    /// Whether the challenger is a senior in an epoch.
    pub fn is_senior(&self, epoch: EpochIndex) -> bool {
        self.from == 0 || epoch.saturating_sub(self.from) >= JUNIOR_EPOCHS
    }
}

/// The challengers of an epoch.
pub trait Table {
    /// How many slots there are, empty ones included.
    fn slots(&self) -> u32;
    /// How many challengers are active and seniors.
    fn seniors(&self) -> u32;
    /// Who is in a slot.
    fn candidate(&self, slot: u32) -> Option<Candidate>;
}

/// A provider that was drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawnProvider {
    /// The account.
    pub account: AccountId,
    /// The address family over which it is measured.
    pub family: Family,
    /// The prefix that it was last seen at.
    pub prefix: Option<Prefix>,
}

/// What a committee must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How many members it has: n, at most [`MAX_COMMITTEE`].
    pub members: u32,
    /// Whether prefixes must differ. Not on one machine.
    pub prefixes_differ: bool,
    /// Whether juniors are limited.
    pub limits_juniors: bool,
}

impl Rules {
    /// The most juniors of a committee, where the table has a number of seniors.
    pub fn most_juniors(&self, seniors: u32) -> u32 {
        if self.limits_juniors && seniors >= SENIORS_TO_LIMIT_JUNIORS {
            self.members.saturating_mul(JUNIORS.0).checked_div(JUNIORS.1).unwrap_or(0)
        } else {
            self.members
        }
    }
}

/// The slots of the committee of a provider, in the order in which they were accepted, or nothing if there is no full
/// committee among the candidates.
///
/// Candidate j, for j below 64 · n, is the slot BLAKE2-256("weir:member:v1" ‖ seed ‖ account of the provider ‖ j as
/// four bytes, little-endian), of which the first 64 bits, little-endian, are taken modulo the number of slots.
pub fn committee(
    seed: &Seed,
    epoch: EpochIndex,
    provider: &DrawnProvider,
    rules: &Rules,
    table: &impl Table,
) -> Option<Vec<u32>> {
    let wanted = usize::try_from(rules.members.min(MAX_COMMITTEE)).ok()?;
    let slots = u64::from(table.slots());
    let most_juniors = rules.most_juniors(table.seniors());
    let mut members: Vec<u32> = Vec::with_capacity(wanted);
    let mut prefixes: Vec<Prefix> = provider.prefix.into_iter().collect();
    let mut juniors = 0u32;
    for number in 0..rules.members.min(MAX_COMMITTEE).saturating_mul(CANDIDATES_PER_MEMBER) {
        if members.len() == wanted {
            break;
        }
        let drawn = word(b"weir:member:v1", &[seed, provider.account.as_ref(), &number.to_le_bytes()]);
        let slot = u32::try_from(drawn.checked_rem(slots)?).ok()?;
        if members.contains(&slot) {
            continue;
        }
        let Some(candidate) = table.candidate(slot).filter(|it| it.is_active(epoch)) else { continue };
        if !candidate.prefixes.iter().any(|prefix| prefix.family() == provider.family) {
            continue;
        }
        let held_apart = |prefix: &&Prefix| provider.family == Family::V6 || prefix.family() == provider.family;
        let own = candidate.prefixes.iter().filter(held_apart);
        let is_apart = !rules.prefixes_differ || own.clone().all(|prefix| !prefixes.contains(prefix));
        let is_junior = !candidate.is_senior(epoch);
        if !is_apart || candidate.account == provider.account || (is_junior && juniors >= most_juniors) {
            continue;
        }
        members.push(slot);
        prefixes.extend(own);
        juniors = juniors.saturating_add(u32::from(is_junior));
    }
    (members.len() == wanted && wanted > 0).then_some(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;
    use proptest::prelude::*;

    const EPOCH: EpochIndex = 1_000;
    const RULES: Rules = Rules { members: 16, prefixes_differ: true, limits_juniors: true };

    struct Set {
        entries: Vec<Option<Candidate>>,
        looks: Cell<u32>,
    }

    impl Set {
        fn new(entries: Vec<Option<Candidate>>) -> Self {
            Self { entries, looks: Cell::new(0) }
        }
    }

    impl Table for Set {
        fn slots(&self) -> u32 {
            self.entries.len() as u32
        }

        fn seniors(&self) -> u32 {
            self.entries.iter().flatten().filter(|it| it.is_active(EPOCH) && it.is_senior(EPOCH)).count() as u32
        }

        fn candidate(&self, slot: u32) -> Option<Candidate> {
            self.looks.set(self.looks.get() + 1);
            self.entries[slot as usize].clone()
        }
    }

    fn account(number: u16) -> AccountId {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_le_bytes());
        AccountId::new(bytes)
    }

    fn prefix(number: u16) -> Prefix {
        let [low, high] = number.to_le_bytes();
        Prefix::V4([10, high, low])
    }

    fn senior(number: u16) -> Candidate {
        Candidate { account: account(number), prefixes: vec![prefix(number)], from: 0, until: None }
    }

    fn junior(number: u16) -> Candidate {
        Candidate { from: EPOCH - JUNIOR_EPOCHS + 1, ..senior(number) }
    }

    fn provider() -> DrawnProvider {
        DrawnProvider { account: account(60_000), family: Family::V4, prefix: Some(prefix(60_000)) }
    }

    fn set(entries: impl IntoIterator<Item = Candidate>) -> Set {
        Set::new(entries.into_iter().map(Some).collect())
    }

    #[test]
    fn over_ipv6_members_are_apart_by_their_prefixes_of_ipv4_as_well() {
        let provider = DrawnProvider { family: Family::V6, prefix: None, ..provider() };
        let of_both = |number: u16, ipv4: u16| {
            let [low, high] = number.to_le_bytes();
            Candidate { prefixes: vec![prefix(ipv4), Prefix::V6([0x20, 1, 0, 0, high, low])], ..senior(number) }
        };
        // Sixteen of one owner behind fifteen prefixes of IPv4, each with an IPv6 prefix of its own.
        let neighbours = set((0..16).map(|number| of_both(number, number.min(14))));
        assert_eq!(committee(&[3; 32], EPOCH, &provider, &RULES, &neighbours), None);
        let strangers = set((0..16).map(|number| of_both(number, number)));
        assert!(committee(&[3; 32], EPOCH, &provider, &RULES, &strangers).is_some());
    }

    // Made by another implementation of the same rule, with the BLAKE2 of Python's hashlib: 20 seniors, four members.
    const VECTOR: [u32; 4] = [16, 1, 19, 17];

    #[test]
    fn the_committee_of_a_seed_never_changes() {
        let rules = Rules { members: 4, ..RULES };
        let members = committee(&[7; 32], EPOCH, &provider(), &rules, &set((0..20).map(senior)));
        assert_eq!(members.unwrap(), VECTOR);
    }

    #[test]
    fn fifteen_challengers_make_no_committee_of_sixteen_and_no_slots_make_none() {
        assert_eq!(committee(&[0; 32], EPOCH, &provider(), &RULES, &set((0..15).map(senior))), None);
        assert!(committee(&[0; 32], EPOCH, &provider(), &RULES, &set((0..16).map(senior))).is_some());
        assert_eq!(committee(&[0; 32], EPOCH, &provider(), &RULES, &set([])), None);
        let none = Rules { members: 0, ..RULES };
        assert_eq!(committee(&[0; 32], EPOCH, &provider(), &none, &set((0..16).map(senior))), None);
    }

    /// A set in which one of seventeen challengers is changed, so that it is a member if the rules let it.
    fn drawn_with(changed: impl Fn(&mut Candidate)) -> bool {
        let mut entries: Vec<_> = (0..17).map(senior).collect();
        changed(&mut entries[3]);
        let members = (0..16u8).map(|seed| committee(&[seed; 32], EPOCH, &provider(), &RULES, &set(entries.clone())));
        members.into_iter().any(|members| members.is_some_and(|it| it.contains(&3)))
    }

    #[test]
    fn who_cannot_serve_is_never_a_member() {
        assert!(drawn_with(|_| ()));
        assert!(!drawn_with(|it| it.from = EPOCH + 1), "not active yet");
        assert!(!drawn_with(|it| it.until = Some(EPOCH)), "active no more");
        assert!(drawn_with(|it| it.until = Some(EPOCH + 1)), "active for the last time");
        assert!(!drawn_with(|it| it.prefixes = vec![Prefix::V6([0; 6])]), "another address family");
        assert!(!drawn_with(|it| it.account = provider().account), "the provider itself");
        assert!(!drawn_with(|it| it.prefixes = vec![prefix(60_000)]), "the provider's neighbour");
    }

    #[test]
    fn on_one_machine_all_may_have_one_prefix() {
        let here = |number| Candidate { prefixes: vec![prefix(60_000)], ..senior(number) };
        let rules = Rules { prefixes_differ: false, ..RULES };
        assert!(committee(&[0; 32], EPOCH, &provider(), &rules, &set((0..16).map(here))).is_some());
        assert_eq!(committee(&[0; 32], EPOCH, &provider(), &RULES, &set((0..16).map(here))), None);
    }

    #[test]
    fn juniors_are_limited_from_64_seniors_on() {
        let most = |seniors: u16| {
            let table = set((0..seniors).map(senior).chain((1_000..1_400).map(junior)));
            let juniors = |seed: u8| {
                let members = committee(&[seed; 32], EPOCH, &provider(), &RULES, &table).unwrap();
                members.into_iter().filter(|slot| *slot >= u32::from(seniors)).count()
            };
            (0..50).map(juniors).max().unwrap()
        };
        assert_eq!(most(64), 3);
        assert!(most(63) > 3);
    }

    #[test]
    fn a_junior_is_a_senior_after_its_epochs_and_who_genesis_names_is_one_at_once() {
        let candidate = Candidate { from: 10, ..senior(1) };
        assert!(!candidate.is_senior(10 + JUNIOR_EPOCHS - 1));
        assert!(candidate.is_senior(10 + JUNIOR_EPOCHS));
        assert!(senior(1).is_senior(0));
    }

    #[test]
    fn every_challenger_is_a_member_about_equally_often() {
        let table = set((0..40).map(senior));
        let mut counts = [0u32; 40];
        for number in 0..2_000u32 {
            let mut seed = [0; 32];
            seed[..4].copy_from_slice(&number.to_le_bytes());
            for member in committee(&seed, EPOCH, &provider(), &RULES, &table).unwrap() {
                counts[member as usize] += 1;
            }
        }
        // 800 expected, standard deviation 22.
        assert!(counts.iter().all(|count| (690..910).contains(count)), "{counts:?}");
    }

    /// Slots that are empty, active, too small, of another family, of shared prefixes, juniors and seniors.
    fn sets() -> impl Strategy<Value = Vec<Option<Candidate>>> {
        let entry = (any::<u16>(), 0u8..10, any::<bool>(), 0u16..200).prop_map(|(number, kind, is_junior, place)| {
            let candidate = if is_junior { junior(number) } else { senior(number) };
            match kind {
                0 => None,
                1 => Some(Candidate { until: Some(EPOCH), ..candidate }),
                3 => Some(Candidate { prefixes: vec![Prefix::V6([1; 6])], ..candidate }),
                4 => Some(Candidate { account: provider().account, ..candidate }),
                _ => Some(Candidate { prefixes: vec![prefix(place), Prefix::V6([2; 6])], ..candidate }),
            }
        });
        proptest::collection::vec(entry, 0..300)
    }

    proptest! {
        #[test]
        fn a_committee_is_full_apart_able_and_never_the_providers_own(
            entries in sets(), seed: [u8; 32], members in 1u32..=32, provider_prefix in proptest::option::of(0u16..200),
        ) {
            let rules = Rules { members, ..RULES };
            let provider = DrawnProvider { prefix: provider_prefix.map(prefix), ..provider() };
            let table = Set::new(entries);
            let drawn = committee(&seed, EPOCH, &provider, &rules, &table);
            prop_assert!(table.looks.get() <= 64 * members);
            prop_assert_eq!(&committee(&seed, EPOCH, &provider, &rules, &table), &drawn);
            let Some(drawn) = drawn else { return Ok(()) };
            prop_assert_eq!(drawn.len(), members as usize);
            let drawn: Vec<_> = drawn.iter().map(|slot| table.entries[*slot as usize].clone().unwrap()).collect();
            let mut seen: Vec<Prefix> = provider.prefix.into_iter().collect();
            let of_family = |it: &Candidate| it.prefixes.iter().find(|prefix| prefix.family() == Family::V4).copied();
            seen.extend(drawn.iter().filter_map(of_family));
            prop_assert_eq!(seen.len(), members as usize + usize::from(provider.prefix.is_some()));
            let count = seen.len();
            seen.sort_unstable();
            seen.dedup();
            prop_assert_eq!(seen.len(), count, "two of one prefix");
            prop_assert!(drawn.iter().all(|it| it.account != provider.account && it.is_active(EPOCH)));
            let juniors = drawn.iter().filter(|it| !it.is_senior(EPOCH)).count();
            prop_assert!(table.seniors() < 64 || juniors <= members as usize * 3 / 16);
        }
    }
}
