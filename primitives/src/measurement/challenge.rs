//! One challenge, from the reports of its committee to what it counts: both directions in one session, and one line only.
//!
//! Each member signs what it measured in both directions, the prefix that it saw the prover at, and which commitment of the prover it
//! checked; the prover carries the reports to the chain. What follows from them is a pure function, [`evaluate`], that pallets, agents and
//! auditors share.

use super::{
    duties::Attendance,
    estimator::{proven_bits_per_second, raw_bits_per_second, Limits, Sample},
    lottery::{
        groups::{Family, Prefix},
        Seed,
    },
    PeerKey,
};
use crate::{AccountId, EpochIndex, Hash};
use alloc::{collections::BTreeMap, vec::Vec};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// How much longer than T_min a report's window may be, in microseconds: 150 ms.
///
/// A lender who controls the queue of its line could else serve one identity in the shortest window, the next in one that is longer, and so
/// on, and be paid 1 + ln(T / T_min) times for one line at one instant: 6.4 times at a deadline of two minutes, 1.21 times with this
/// limit. An honest prover commits early enough to what it has by then, and loses bytes in proportion.
pub const LATEST_US: u64 = 150_000;

/// How long after the start of a challenge the prover begins to send, in microseconds: one second. What was sent to it is proven by
/// then.
pub const UP_AFTER_US: u64 = 1_000_000;

/// Which challenge of which provider: the epoch, the instant in it counted from 0, and the provider's slot.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Challenge {
    /// The epoch.
    pub epoch: EpochIndex,
    /// The instant, counted from 0.
    pub instant: u32,
    /// The slot of the provider.
    pub slot: u32,
}

/// What came of a challenge, for people to read. The default is that of one that had no committee.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Outcome {
    /// What the line took.
    pub down: Direction,
    /// What the line sent.
    pub up: Direction,
    /// How many members reported.
    pub reports: u32,
    /// How many of them met their duty; none where the challenge was void.
    pub met: Option<u32>,
}

/// What a member of a committee says of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct MemberReport {
    /// The prefix that the prover's packets came from.
    pub seen: Prefix,
    /// The bytes of whole IP packets that the prover proved to have received.
    pub down_bytes: u64,
    /// The time from the common start until the proof of them was there, in microseconds.
    pub down_elapsed_us: u64,
    /// The bytes of whole IP packets that came from the prover within the window.
    pub up_bytes: u64,
    /// The round trip of the control stream as the member measured it, in microseconds.
    pub round_trip_us: u64,
    /// The hash of the commitment that the prover signed for this member.
    pub commitment: [u8; 32],
}

/// What a member signs with its identity key: `"weir:report:v2" ‖ SCALE(genesis, seed, provider, report)`.
///
/// The seed names the challenge: on another fork, and at another instant, it is another one.
pub fn member_payload(genesis: Hash, seed: &Seed, provider: &AccountId, report: &MemberReport) -> Vec<u8> {
    let mut payload = b"weir:report:v2".to_vec();
    (genesis, seed, provider, report).encode_to(&mut payload);
    payload
}

/// What a prover signs with its identity key when it commits to what it received from a member:
/// `"weir:commitment:v2" ‖ SCALE(genesis, seed, identity of the member, hash of the commitment)`.
///
/// With it a member can show that a report of its own has the prover's word, if the prover leaves it out.
pub fn commitment_payload(genesis: Hash, seed: &Seed, member: &PeerKey, commitment: &[u8; 32]) -> Vec<u8> {
    let mut payload = b"weir:commitment:v2".to_vec();
    (genesis, seed, member, commitment).encode_to(&mut payload);
    payload
}

/// What a prover signs with its identity key when it hands in reports: `"weir:batch:v2" ‖ SCALE(genesis, seed, provider) ‖ SCALE(reports)`.
pub fn batch_payload(genesis: Hash, seed: &Seed, provider: &AccountId, reports: &[u8]) -> Vec<u8> {
    let mut payload = b"weir:batch:v2".to_vec();
    (genesis, seed, provider).encode_to(&mut payload);
    payload.extend_from_slice(reports);
    payload
}

/// What a challenge is evaluated by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// f, T_min and ε.
    pub limits: Limits,
    /// The least that a result is clipped to, in bits per second.
    pub growth_step: u64,
}

/// Who was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The declared capacity of each direction, in bits per second.
    pub declared: u64,
    /// The guaranteed bandwidth before the challenge, down and up, in bits per second.
    pub guaranteed: (u64, u64),
    /// The most bytes that one member can prove in a direction.
    pub budget_bytes: u64,
    /// The address family over which it is measured.
    pub family: Family,
}

/// What a challenge shows of one direction, in bits per second.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Direction {
    /// What is proven.
    pub proven: u64,
    /// What enters the window: clipped to what is declared, and to how fast a provider may grow.
    pub counted: u64,
    /// The untrimmed estimate, for people to read.
    pub raw: u64,
}

/// What comes of a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The prefix that the prover was seen at by more members than at any other.
    pub prefix: Option<Prefix>,
    /// What the line takes.
    pub down: Direction,
    /// What the line sends.
    pub up: Direction,
    /// What each member did, in the order of the committee; nothing if the challenge is void.
    pub attendance: Option<Vec<Attendance>>,
}

/// The prefix of a family with more reports than any other, and more than f; none if two have as many.
///
/// No f members together can name it.
fn plurality<'a>(reports: impl Iterator<Item = &'a MemberReport>, family: Family, byzantine: u32) -> Option<Prefix> {
    let mut counts = BTreeMap::<Prefix, u32>::new();
    for report in reports {
        let count = counts.entry(report.seen).or_default();
        *count = count.saturating_add(1);
    }
    let most = counts.values().max().copied().filter(|most| *most > byzantine)?;
    let mut with_most = counts.into_iter().filter(|(_, count)| *count == most);
    let (prefix, _) = with_most.next()?;
    (with_most.next().is_none() && prefix.family() == family).then_some(prefix)
}

/// Evaluates a challenge. `reports` has an entry for each member, in the order of the committee.
///
/// What counts is of the plurality prefix, so that several lines cannot be added up, and came within T_min and [`LATEST_US`]. With a tie
/// nothing is proven. A member that is far away is one whose report has less in it: nobody has to be believed about distances.
pub fn evaluate(reports: &[Option<MemberReport>], rules: &Rules, measured: &Measured) -> Evaluation {
    let Limits { byzantine, least_time_us, .. } = rules.limits;
    let latest_us = least_time_us.saturating_add(LATEST_US);
    let prefix = plurality(reports.iter().flatten(), measured.family, byzantine);
    let counts = |report: &&MemberReport| Some(report.seen) == prefix && report.down_elapsed_us <= latest_us;
    let counting: Vec<&MemberReport> = reports.iter().flatten().filter(counts).collect();

    let down = |report: &MemberReport| (report.down_bytes, report.down_elapsed_us);
    // What is counted of what the prover sends came within the longest window.
    let up = |report: &MemberReport| (report.up_bytes, latest_us);
    let direction = |of: &dyn Fn(&MemberReport) -> (u64, u64), guaranteed: u64| {
        let sample = |round_trip: &dyn Fn(&MemberReport) -> u64| {
            let samples = counting.iter().map(|report| {
                let (bytes, elapsed_us) = of(report);
                Sample { bytes: bytes.min(measured.budget_bytes), elapsed_us, round_trip_us: round_trip(report) }
            });
            samples.collect::<Vec<_>>()
        };
        let fit = |bits: u128| u64::try_from(bits).unwrap_or(u64::MAX);
        let proven = fit(proven_bits_per_second(&sample(&|_| 0), rules.limits));
        let growth = guaranteed.saturating_mul(2).max(rules.growth_step);
        Direction {
            proven,
            counted: proven.min(measured.declared).min(growth),
            raw: fit(raw_bits_per_second(&sample(&|report| report.round_trip_us), rules.limits)),
        }
    };
    let (guaranteed_down, guaranteed_up) = measured.guaranteed;
    Evaluation {
        prefix,
        down: direction(&down, guaranteed_down),
        up: direction(&up, guaranteed_up),
        attendance: attendance(reports, &counting, byzantine),
    }
}

/// What each member did: a duty is met by a report that counts, with at least half of what the median of those has in each direction. Void if
/// fewer than n − f count, since then it may be the prover's doing.
fn attendance(reports: &[Option<MemberReport>], counting: &[&MemberReport], byzantine: u32) -> Option<Vec<Attendance>> {
    let least = reports.len().checked_sub(usize::try_from(byzantine).ok()?)?;
    if counting.len() < least {
        return None;
    }
    let half_of_median = |of: &dyn Fn(&MemberReport) -> u64| {
        let mut bytes: Vec<u64> = counting.iter().map(|report| of(report)).collect();
        bytes.sort_unstable();
        // The lower one of two.
        let middle = bytes.len().checked_sub(1)?.checked_div(2)?;
        bytes.get(middle).map(|median| median.div_ceil(2))
    };
    let (down, up) = (half_of_median(&|it| it.down_bytes)?, half_of_median(&|it| it.up_bytes)?);
    let met = |report: &MemberReport| {
        counting.iter().any(|it| core::ptr::eq(*it, report)) && report.down_bytes >= down && report.up_bytes >= up
    };
    let of = |report: &Option<MemberReport>| {
        if report.as_ref().is_some_and(met) {
            Attendance::Met
        } else {
            Attendance::Missed
        }
    };
    Some(reports.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOME: Prefix = Prefix::V4([192, 0, 2]);
    const ELSEWHERE: Prefix = Prefix::V4([198, 51, 100]);
    const RULES: Rules = Rules {
        limits: Limits { byzantine: 7, least_time_us: 500_000, clock_tolerance_us: 20_000 },
        growth_step: 25_000_000,
    };
    const MEASURED: Measured = Measured {
        declared: 100_000_000,
        guaranteed: (100_000_000, 100_000_000),
        budget_bytes: 600_000,
        family: Family::V4,
    };

    /// A sixteenth of 80 Mbit/s down and 40 up in half a second.
    fn report() -> MemberReport {
        MemberReport {
            seen: HOME,
            down_bytes: 312_500,
            down_elapsed_us: 520_000,
            up_bytes: 156_250,
            round_trip_us: 20_000,
            commitment: [7; 32],
        }
    }

    fn all() -> Vec<Option<MemberReport>> {
        vec![Some(report()); 16]
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_encodings_never_change() {
        let (genesis, seed, provider) = (Hash::repeat_byte(1), [2; 32], AccountId::new([3; 32]));
        let ones = |byte: &str| byte.repeat(32);
        let report_bytes =
            concat!("00c00002", "b4c4040000000000", "40ef070000000000", "5a62020000000000", "204e000000000000",);
        let expected =
            format!("{}{}{}{}{report_bytes}{}", hex(b"weir:report:v2"), ones("01"), ones("02"), ones("03"), ones("07"));
        assert_eq!(hex(&member_payload(genesis, &seed, &provider, &report())), expected);
        let member = PeerKey::from_raw([4; 32]);
        let expected =
            format!("{}{}{}{}{}", hex(b"weir:commitment:v2"), ones("01"), ones("02"), ones("04"), ones("05"));
        assert_eq!(hex(&commitment_payload(genesis, &seed, &member, &[5; 32])), expected);
    }

    #[test]
    fn each_direction_counts_for_itself() {
        let evaluation = evaluate(&all(), &RULES, &MEASURED);
        assert_eq!(evaluation.prefix, Some(HOME));
        // Nine of sixteen parts, over 540 ms down, and over 670 ms up.
        assert_eq!(evaluation.down.proven, 312_500 * 9 * 8 * 100 / 54);
        assert_eq!(evaluation.up.proven, 156_250 * 9 * 8 * 100 / 67);
        assert_eq!(evaluation.attendance, Some(vec![Attendance::Met; 16]));
    }

    #[test]
    fn what_counts_is_clipped_to_what_was_declared_and_to_growth() {
        let measured = Measured { declared: 30_000_000, guaranteed: (0, 5_000_000), ..MEASURED };
        let evaluation = evaluate(&all(), &RULES, &measured);
        assert_eq!((evaluation.down.counted, evaluation.up.counted), (25_000_000, evaluation.up.proven));
        let evaluation = evaluate(&all(), &RULES, &Measured { declared: 10_000_000, ..MEASURED });
        assert_eq!((evaluation.down.counted, evaluation.up.counted), (10_000_000, 10_000_000));
    }

    #[test]
    fn a_report_above_its_budget_counts_as_the_budget() {
        let mut reports = all();
        reports.iter_mut().flatten().for_each(|report| report.down_bytes = u64::MAX);
        let evaluation = evaluate(&reports, &RULES, &MEASURED);
        assert_eq!(evaluation.down.proven, 600_000 * 9 * 8 * 100 / 54);
    }

    #[test]
    fn two_lines_are_never_added_up() {
        let mut reports = all();
        reports.iter_mut().take(7).flatten().for_each(|report| report.seen = ELSEWHERE);
        let two = evaluate(&reports, &RULES, &MEASURED);
        let one = evaluate(&reports[7..], &RULES, &MEASURED);
        assert_eq!((two.prefix, two.down, two.up), (Some(HOME), one.down, one.up));
    }

    #[test]
    fn as_many_reports_of_one_prefix_as_of_another_prove_nothing() {
        let mut reports = all();
        reports.iter_mut().take(8).flatten().for_each(|report| report.seen = ELSEWHERE);
        let evaluation = evaluate(&reports, &RULES, &MEASURED);
        assert_eq!(
            (evaluation.prefix, evaluation.down, evaluation.up),
            (None, Direction::default(), Direction::default())
        );
        assert_eq!(evaluation.attendance, None, "that the prover has two lines is no member's fault");
    }

    #[test]
    fn f_members_name_no_prefix_and_none_of_another_family() {
        let only = |count: usize, seen| {
            let mut reports = vec![None; 16];
            reports[..count].fill(Some(MemberReport { seen, ..report() }));
            evaluate(&reports, &RULES, &MEASURED).prefix
        };
        assert_eq!((only(7, HOME), only(8, HOME)), (None, Some(HOME)));
        assert_eq!(only(16, Prefix::V6([1; 6])), None);
    }

    #[test]
    fn a_report_that_says_what_does_not_count_is_as_good_as_none() {
        let mut reports = all();
        reports[0].as_mut().unwrap().seen = ELSEWHERE;
        reports[1].as_mut().unwrap().down_elapsed_us = 650_001;
        reports[2].as_mut().unwrap().down_elapsed_us = 650_000;
        reports[3].as_mut().unwrap().round_trip_us = u64::MAX;
        let evaluation = evaluate(&reports, &RULES, &MEASURED);
        let missed = |at: usize| evaluation.attendance.as_ref().unwrap()[at] == Attendance::Missed;
        assert_eq!([missed(0), missed(1), missed(2), missed(3)], [true, true, false, false]);
        reports[..2].fill(None);
        assert_eq!(evaluate(&reports, &RULES, &MEASURED).down.proven, evaluation.down.proven);
    }

    #[test]
    fn a_line_that_is_lent_within_one_instant_is_paid_a_quarter_more_at_the_most() {
        // It serves identity after identity, each from the start of the instant until all of its bytes are there.
        let paid = |latest_ms: u64| {
            let each = (500..=latest_ms).step_by(10).map(|elapsed_ms| {
                let share = if elapsed_ms == 500 { 500.0 } else { 10.0 };
                share / (elapsed_ms as f64 + 20.0)
            });
            each.sum::<f64>() / (500.0 / 520.0)
        };
        let most = paid((500_000 + LATEST_US) / 1_000);
        assert!(most < 1.27, "{most}");
        assert!(paid(120_000) > 6.0);
    }

    #[test]
    fn who_counts_half_in_either_direction_missed() {
        let mut reports = all();
        reports[0].as_mut().unwrap().down_bytes /= 3;
        reports[1].as_mut().unwrap().up_bytes /= 3;
        reports[2] = None;
        let attendance = evaluate(&reports, &RULES, &MEASURED).attendance.unwrap();
        assert_eq!(attendance[..3], [Attendance::Missed; 3]);
        assert_eq!(attendance[3..], [Attendance::Met; 13]);
    }

    #[test]
    fn a_challenge_with_fewer_than_n_minus_f_reports_is_void() {
        let mut reports = all();
        reports[..8].fill(None);
        assert_eq!(evaluate(&reports, &RULES, &MEASURED).attendance, None);
        assert_eq!(evaluate(&[], &RULES, &MEASURED).down, Direction::default());
    }

    proptest! {
        #[test]
        fn f_members_that_say_anything_of_one_line_prove_no_more_than_it_carries(
            honest in proptest::collection::vec((0u64..400_000, 0u64..400_000), 9),
            lies in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), any::<bool>()), 7),
        ) {
            let honest = honest.into_iter().map(|(down_bytes, up_bytes)| MemberReport { down_bytes, up_bytes, ..report() });
            let lies = lies.into_iter().map(|(down_bytes, up_bytes, down_elapsed_us, home)| {
                let seen = if home { HOME } else { ELSEWHERE };
                MemberReport { down_bytes, up_bytes, down_elapsed_us, seen, ..report() }
            });
            let reports: Vec<_> = honest.clone().chain(lies).map(Some).collect();
            let evaluation = evaluate(&reports, &RULES, &MEASURED);
            let carried = |bytes: u64, window: u64| bytes * 8 * 1_000_000 / window;
            prop_assert!(evaluation.down.proven <= carried(honest.clone().map(|it| it.down_bytes).sum(), 520_000));
            prop_assert!(evaluation.up.proven <= carried(honest.map(|it| it.up_bytes).sum(), 670_000));
        }
    }
}
