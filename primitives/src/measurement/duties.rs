//! What a challenger misses, and when it is jailed for it.
//!
//! A member has *missed* a challenge if it is absent from the batch of reports, or reported fewer than half of the
//! bytes that the median member did. A batch comes from the provider, who may leave members out; so a member is
//! compared with those that it sat with, each challenge weighs what its provider is paid for, and what is missed is
//! judged over many challenges ([`Record`]). A challenge with fewer than n − f reports is *void*: it says more of the
//! provider than of those who are absent. A member that is too far away to count ([`Sample::is_near`]) has neither
//! met nor missed it.
//!
//! What the rules do not see: a member that misses no more than the limit, or that does just over half of what the
//! others do. See *idle* of `scripts/simulate committee`.

use super::estimator::Sample;
use crate::EpochIndex;
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use sp_arithmetic::Perbill;
use sp_core::ConstU32;
use sp_runtime::BoundedVec;

/// How many entries a [`Record`] looks back over at the most.
pub const ENTRIES: u32 = BUCKETS * ENTRIES_PER_BUCKET;
const BUCKETS: u32 = 8;
const ENTRIES_PER_BUCKET: u32 = 16;

/// By how much the missed part must exceed that of the others for a challenger to be jailed.
///
/// Providers with a fifth of what is paid for, who leave one member out of all their batches, bring it to a fifth on
/// average. With equal weights one record in 20 000 of such a member is above the limit; with lognormal ones one in 150
/// (*silence* of `scripts/simulate committee`).
pub const JAILED_ABOVE: Perbill = Perbill::from_percent(35);
/// Of how many challengers one can be jailed in an epoch.
const CHALLENGERS_PER_JAILED: u32 = 16;
/// The epochs of a first time in jail, and of any.
const FIRST_JAIL_EPOCHS: EpochIndex = 6;
const LONGEST_JAIL_EPOCHS: EpochIndex = 168;

/// What a member did in a challenge that is not void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attendance {
    /// It reported at least half of what the median member did.
    Met,
    /// It is absent, or reported less.
    Missed,
    /// It is too far away from the provider to count.
    Far,
}

/// What each member of a committee did, in the order of the committee; nothing if the challenge is void.
///
/// `reports` has an entry for each of the n members, `byzantine` is f. The median is that of the members that are
/// near enough, the lower one of two.
pub fn attendance(reports: &[Option<Sample>], byzantine: u32) -> Option<Vec<Attendance>> {
    let least = reports.len().saturating_sub(usize::try_from(byzantine).ok()?);
    if reports.iter().flatten().count() < least {
        return None;
    }
    let mut near: Vec<u64> = reports.iter().flatten().filter(|it| it.is_near()).map(|it| it.bytes).collect();
    near.sort_unstable();
    let middle = near.len().saturating_sub(1).checked_div(2)?;
    let median = near.get(middle).copied().unwrap_or(0);
    let of = |report: &Option<Sample>| match report {
        None => Attendance::Missed,
        Some(report) if !report.is_near() => Attendance::Far,
        Some(report) if report.bytes < median.div_ceil(2) => Attendance::Missed,
        Some(_) => Attendance::Met,
    };
    Some(reports.iter().map(of).collect())
}

/// What one challenge adds to the record of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What the provider is paid for: its guaranteed bandwidth, in bits per second.
    weight: u64,
    /// Whether the member missed it.
    missed: bool,
    /// Which part of the weight the other members missed, on average.
    others_missed: u64,
}

impl Entry {
    /// The entry of the member at an index of a committee; nothing if it was too far away, had nobody to be compared
    /// with, or if the provider is paid for nothing: challenges that cost nothing could otherwise push those that
    /// count out of a record.
    pub fn of(attendance: &[Attendance], index: usize, weight: u64) -> Option<Self> {
        let own = attendance.get(index).filter(|own| **own != Attendance::Far && weight > 0)?;
        let of_others = |wanted: &dyn Fn(Attendance) -> bool| {
            let others = attendance.iter().enumerate().filter(|(other, did)| *other != index && wanted(**did));
            u64::try_from(others.count()).unwrap_or(u64::MAX)
        };
        let missed = of_others(&|did| did == Attendance::Missed);
        let compared = of_others(&|did| did != Attendance::Far);
        let others_missed = u128::from(weight).saturating_mul(missed.into()).checked_div(compared.into())?;
        Some(Self {
            weight,
            missed: *own == Attendance::Missed,
            others_missed: u64::try_from(others_missed).unwrap_or(u64::MAX),
        })
    }
}

/// Some entries, added up.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
struct Bucket {
    entries: u32,
    weight: u128,
    missed: u128,
    others_missed: u128,
}

impl Bucket {
    fn add(&mut self, other: &Self) {
        self.entries = self.entries.saturating_add(other.entries);
        self.weight = self.weight.saturating_add(other.weight);
        self.missed = self.missed.saturating_add(other.missed);
        self.others_missed = self.others_missed.saturating_add(other.others_missed);
    }
}

impl From<Entry> for Bucket {
    fn from(entry: Entry) -> Self {
        let weight = u128::from(entry.weight);
        Self {
            entries: 1,
            weight,
            missed: if entry.missed { weight } else { 0 },
            others_missed: entry.others_missed.into(),
        }
    }
}

/// The last entries of a challenger: 113 to 128 of them once there were as many, in 8 sums of 16. An entry leaves
/// with the sum that it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Record {
    /// The oldest first. All are full but the last.
    buckets: BoundedVec<Bucket, ConstU32<BUCKETS>>,
}

impl Record {
    /// Adds an entry, and forgets the oldest ones if there is no room.
    pub fn add(&mut self, entry: Entry) {
        let entry = Bucket::from(entry);
        match self.buckets.last_mut().filter(|bucket| bucket.entries < ENTRIES_PER_BUCKET) {
            Some(bucket) => bucket.add(&entry),
            None => {
                if self.buckets.is_full() {
                    self.buckets.remove(0);
                }
                self.buckets.force_push(entry);
            },
        }
    }

    fn sum(&self) -> Bucket {
        let mut sum = Bucket::default();
        self.buckets.iter().for_each(|bucket| sum.add(bucket));
        sum
    }

    /// How many entries count.
    pub fn entries(&self) -> u32 {
        self.sum().entries
    }

    /// By how much the missed part of the weight exceeds that of the others; nothing while there are too few entries
    /// to judge by: no more than seven sums of sixteen.
    pub fn excess(&self) -> Option<Perbill> {
        let sum = self.sum();
        (sum.entries > ENTRIES.saturating_sub(ENTRIES_PER_BUCKET))
            .then(|| Perbill::from_rational(sum.missed.saturating_sub(sum.others_missed), sum.weight.max(1)))
    }

    /// Whether the challenger has missed enough to be jailed.
    pub fn is_to_be_jailed(&self) -> bool {
        self.excess().is_some_and(|excess| excess > JAILED_ABOVE)
    }
}

/// How many of a number of challengers can be jailed in an epoch: a sixteenth, but at least one.
///
/// So that an attack that has many jailed wrongly, or an outage, does not leave the chain without challengers before
/// anybody looks.
pub fn most_jailed(challengers: u32) -> u32 {
    challengers.checked_div(CHALLENGERS_PER_JAILED).unwrap_or(0).max(1)
}

/// Whom of those that are to be jailed an epoch jails: the worst, ties by slot.
///
/// `worst` are slots with their [excess](Record::excess); `challengers` is how many there are in all.
pub fn jailed(mut worst: Vec<(u32, Perbill)>, challengers: u32) -> Vec<u32> {
    worst.sort_unstable_by(|(slot, excess), (other, others)| others.cmp(excess).then(slot.cmp(other)));
    worst.truncate(usize::try_from(most_jailed(challengers)).unwrap_or(usize::MAX));
    worst.into_iter().map(|(slot, _)| slot).collect()
}

/// For how many epochs a challenger is jailed that was jailed a number of times before: 6, then twice as long each
/// time, up to 168.
pub fn jail_epochs(times_before: u32) -> EpochIndex {
    FIRST_JAIL_EPOCHS.saturating_mul(2u32.saturating_pow(times_before)).min(LONGEST_JAIL_EPOCHS)
}

#[cfg(test)]
mod tests {
    use super::{
        super::estimator::FURTHEST_ROUND_TRIP_US,
        Attendance::{Far, Met, Missed},
        *,
    };
    use proptest::prelude::*;

    fn report(bytes: u64) -> Option<Sample> {
        Some(Sample { bytes, elapsed_us: 500_000, round_trip_us: 1_000 })
    }

    fn far(bytes: u64) -> Option<Sample> {
        report(bytes).map(|near| Sample { round_trip_us: FURTHEST_ROUND_TRIP_US + 1, ..near })
    }

    fn entry(weight: u64, missed: bool) -> Entry {
        Entry { weight, missed, others_missed: 0 }
    }

    fn record(entries: impl IntoIterator<Item = Entry>) -> Record {
        let mut record = Record::default();
        entries.into_iter().for_each(|entry| record.add(entry));
        record
    }

    #[test]
    fn who_is_absent_or_below_half_of_the_median_missed_it() {
        let reports = [report(100), report(100), report(100), None, report(50), report(49), far(1)];
        assert_eq!(attendance(&reports, 2).unwrap(), [Met, Met, Met, Missed, Met, Missed, Far]);
        assert_eq!(attendance(&[report(101), report(50), report(101)], 1).unwrap(), [Met, Missed, Met]);
    }

    #[test]
    fn fewer_reports_than_n_less_f_make_it_void() {
        assert_eq!(attendance(&[report(1), report(1), None, None], 1), None);
        assert!(attendance(&[report(1), far(1), report(1), None], 1).is_some(), "far members did report");
        assert_eq!(attendance(&[], 0), Some(vec![]));
    }

    #[test]
    fn a_few_who_claim_much_make_nobody_miss() {
        let mut reports = vec![report(100); 9];
        reports.extend([report(u64::MAX); 7]);
        assert_eq!(attendance(&reports, 7).unwrap(), [Met; 16]);
    }

    #[test]
    fn an_entry_compares_with_those_who_could_be_there() {
        let attendance = [Met, Missed, Missed, Far, Met];
        let entry = |index| Entry::of(&attendance, index, 300);
        assert_eq!(entry(0), Some(Entry { weight: 300, missed: false, others_missed: 200 }));
        assert_eq!(entry(1), Some(Entry { weight: 300, missed: true, others_missed: 100 }));
        assert_eq!(entry(3), None, "too far away");
        assert_eq!(entry(5), None, "no member");
        assert_eq!(Entry::of(&attendance, 0, 0), None, "a provider that is paid for nothing");
        assert_eq!(Entry::of(&[Met, Far], 0, 300), None, "nobody to compare with");
    }

    #[test]
    fn nobody_is_judged_by_a_few_entries() {
        assert_eq!(record((0..112).map(|_| entry(1, true))).excess(), None);
        assert_eq!(record((0..113).map(|_| entry(1, true))).excess(), Some(Perbill::one()));
    }

    #[test]
    fn what_was_missed_is_forgotten_after_128_entries() {
        let mut record = record((0..128).map(|_| entry(1, true)));
        assert!(record.is_to_be_jailed());
        (0..128).for_each(|_| record.add(entry(1, false)));
        assert_eq!(record.excess(), Some(Perbill::zero()));
    }

    #[test]
    fn jail_begins_above_35_parts_of_a_hundred_more_than_the_others() {
        let missing = |missed: u64| record((0..120).map(|number| entry(1, number < missed)));
        assert!(!missing(42).is_to_be_jailed(), "42 of 120 are 0.35");
        assert!(missing(43).is_to_be_jailed());
        let like_others = Entry { weight: 10, missed: true, others_missed: 7 };
        assert!(!record([like_others; 128]).is_to_be_jailed());
    }

    #[test]
    fn a_challenge_weighs_what_its_provider_is_paid_for() {
        let small = (0..64).map(|_| entry(1, true));
        assert!(!record((0..64).map(|_| entry(9, false)).chain(small)).is_to_be_jailed());
        let large = (0..64).map(|_| entry(9, true));
        assert!(record((0..64).map(|_| entry(1, false)).chain(large)).is_to_be_jailed());
    }

    #[test]
    fn an_epoch_jails_the_worst_and_a_sixteenth_at_the_most() {
        let excess = |slot| (slot, Perbill::from_percent(40 + slot));
        assert_eq!(jailed((0..5).map(excess).collect(), 50), [4, 3, 2]);
        assert_eq!(jailed(vec![excess(1)], 4), [1]);
        assert_eq!(jailed(vec![(2, Perbill::one()), (1, Perbill::one())], 4), [1]);
        assert_eq!(jailed(vec![], 50), [0u32; 0]);
    }

    #[test]
    fn jail_doubles_up_to_a_week_of_epochs_of_an_hour() {
        assert_eq!([0, 1, 2, 3, 4, 5, 100].map(jail_epochs), [6, 12, 24, 48, 96, 168, 168]);
    }

    #[test]
    fn the_encoding_of_a_record_is_bounded() {
        let record = record((0..1_000).map(|_| Entry { weight: u64::MAX, missed: true, others_missed: u64::MAX }));
        assert!(record.encoded_size() <= Record::max_encoded_len());
        assert_eq!(Record::decode(&mut record.encode().as_slice()), Ok(record));
    }

    proptest! {
        #[test]
        fn a_record_is_that_of_its_last_entries(
            all in proptest::collection::vec((1u64.., any::<bool>(), any::<u64>()), 0..400),
        ) {
            let entries: Vec<_> = all
                .iter()
                .map(|&(weight, missed, others)| Entry { weight, missed, others_missed: others % weight })
                .collect();
            let kept = record(entries.clone());
            prop_assert!(kept.entries() <= ENTRIES);
            prop_assert!(entries.len() < 128 || kept.entries() > ENTRIES - 16);
            let last = &entries[entries.len() - kept.entries() as usize..];
            let sum = |of: fn(&Entry) -> u64| last.iter().map(|it| u128::from(of(it))).sum::<u128>();
            let missed = sum(|it| if it.missed { it.weight } else { 0 });
            let excess = missed.saturating_sub(sum(|it| it.others_missed));
            let expected = Perbill::from_rational(excess, sum(|it| it.weight).max(1));
            prop_assert_eq!(kept.excess(), (kept.entries() > 112).then_some(expected));
        }

        #[test]
        fn who_misses_what_all_others_miss_is_never_jailed(
            challenges in proptest::collection::vec((any::<bool>(), 1u64..), 128..300),
        ) {
            let entry = |(missed, weight)| Entry::of(&[if missed { Missed } else { Met }; 16], 0, weight).unwrap();
            prop_assert_eq!(record(challenges.into_iter().map(entry)).excess(), Some(Perbill::zero()));
        }

        #[test]
        fn who_is_silent_is_jailed_if_a_third_of_the_others_is_as_well_and_who_meets_all_is_not(
            weights in proptest::collection::vec(1u64.., 128..300), silent in 0usize..6,
        ) {
            let mut did = [Met; 16];
            did[..=silent].fill(Missed);
            let of = |index| record(weights.iter().map(|weight| Entry::of(&did, index, *weight).unwrap()));
            prop_assert!(of(0).is_to_be_jailed());
            prop_assert_eq!(of(15).excess(), Some(Perbill::zero()));
        }
    }
}
