//! From the reports of a committee to bits per second.
//!
//! Of *n* challengers at most *f* are Byzantine. All start at the same instant, and challenger *i* reports `bytes_i` and
//! `elapsed_i`. For a window T let A(T) be the reports with `elapsed ≤ T`. One challenge proves
//!
//! ```text
//! G = max over T in {elapsed_i} of ( Σ_{i∈A(T)} bytes_i − the f largest of them ) · 8 / (max(T, T_min) + ε)
//! ```
//!
//! *Soundness.* Whatever f challengers and the prover do together: dropping the f largest of A(T) leaves at most the sum of
//! what the honest challengers of A(T) proved. All of that crossed the link after the start by the earliest honest clock and
//! before T by the latest, so within max(T, T_min) + ε, and G is at most the capacity C of the link.
//!
//! *Monotonicity.* A further report never lowers G: in each window the sum of all but the f largest grows or stays.
//!
//! *Far members.* A report whose round trip is above [`FURTHEST_ROUND_TRIP_US`] is left out of G. Soundness stands,
//! since leaving reports out only lowers G; so a round trip that somebody made longer than it is never gains
//! anything.
//!
//! # Guaranteed bandwidth
//!
//! What a direction is paid for is the *clipped mean* of its last w results:
//!
//! ```text
//! g = ( Σ over the last w of min(result, c) ) / w        c the r-th largest of the w
//! ```
//!
//! An entry that is not there yet, and a challenge without a result, count as zero, and the divisor is always w.
//!
//! - *One lucky result buys little.* However large it is, it counts no more than the r-th largest does, and it lifts
//!   that by one place at the most. With fewer than r results above zero g is zero, so that fewer than r bad
//!   committees buy nothing.
//! - *One lost challenge costs little.* From w equal results it takes a w-th.
//! - *A line that is lent out is paid for as often as there are instants.* The r-th largest alone pays an identity in full
//!   that has the line in r of w challenges, w/r times as often. The mean of clipped results is at most that of the
//!   results, and those of one instant add up to the line while all answer at about the same time.
//! - *Monotone.* No result that rises lowers g, so nobody gains by showing less.

use alloc::vec::Vec;

const MICROSECONDS_PER_SECOND: u128 = 1_000_000;
const BITS_PER_BYTE: u128 = 8;

/// The longest round trip with which a member's report counts, in microseconds: 150 ms.
///
/// `elapsed` has no credit for round trips, so a far member's report divides what it proves by up to a round trip more,
/// and windows of one instant must be comparable: a lender's line could serve one identity in the shortest window, and
/// another in what later ones are longer. With a train of 0.5 s and T_min as long, honest windows up to here are within
/// 1.3 of the shortest. Who is farther away from many members is excluded: see *far members* of `scripts/simulate
/// committee`.
pub const FURTHEST_ROUND_TRIP_US: u64 = 150_000;

/// What one challenger reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The bytes of whole IP packets that the prover proved to have received.
    pub bytes: u64,
    /// The time from the common start until the proof was in the challenger's hands.
    pub elapsed_us: u64,
    /// The time from the challenger to the prover and back, as the challenger measured it on the control stream.
    pub round_trip_us: u64,
}

impl Sample {
    /// Whether the member is near enough for its report to count: up to [`FURTHEST_ROUND_TRIP_US`].
    pub fn is_near(&self) -> bool {
        self.round_trip_us <= FURTHEST_ROUND_TRIP_US
    }
}

/// The constants of the formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many challengers may be Byzantine: f.
    pub byzantine: u32,
    /// T_min.
    pub least_time_us: u64,
    /// ε.
    pub clock_tolerance_us: u64,
}

/// What a challenge proves, in bits per second, rounded down: G.
///
/// Only members that are near enough count ([`Sample::is_near`]). No reports of such, or no more than f of them,
/// prove nothing.
pub fn proven_bits_per_second(samples: &[Sample], limits: Limits) -> u128 {
    let near: Vec<Sample> = samples.iter().filter(|sample| sample.is_near()).copied().collect();
    best_window(&near, limits.byzantine, |sample| {
        sample.elapsed_us.max(limits.least_time_us).saturating_add(limits.clock_tolerance_us)
    })
}

/// The best estimate of the rate, in bits per second, for people to read: nothing is dropped, far members count too,
/// and each round trip is taken off. A single liar decides it, so nobody is paid by it.
pub fn raw_bits_per_second(samples: &[Sample], limits: Limits) -> u128 {
    best_window(samples, 0, |sample| sample.elapsed_us.saturating_sub(sample.round_trip_us).max(limits.least_time_us))
}

/// The largest, over all windows, of the bits of the samples in it but for those with the most bytes, per second.
fn best_window(samples: &[Sample], dropped: u32, window_us: impl Fn(&Sample) -> u64) -> u128 {
    let mut by_time: Vec<(u64, u64)> = samples.iter().map(|sample| (window_us(sample), sample.bytes)).collect();
    by_time.sort_unstable();

    let kept_of = |count: usize| {
        let mut bytes: Vec<u64> = by_time.iter().take(count).map(|(_, bytes)| *bytes).collect();
        bytes.sort_unstable();
        let kept = bytes.len().saturating_sub(usize::try_from(dropped).unwrap_or(usize::MAX));
        bytes.iter().take(kept).fold(0u128, |sum, bytes| sum.saturating_add(u128::from(*bytes)))
    };

    (1..=by_time.len())
        .zip(by_time.iter())
        .map(|(count, (window, _))| {
            kept_of(count)
                .saturating_mul(BITS_PER_BYTE)
                .saturating_mul(MICROSECONDS_PER_SECOND)
                .checked_div(u128::from(*window))
                .unwrap_or(0)
        })
        .max()
        .unwrap_or(0)
}

/// The guaranteed bandwidth of a direction, in bits per second, rounded down: the mean over the last `window` results
/// of min(result, the `rank`-th largest of them), missing ones being zero.
///
/// Zero where `rank` is not between 1 and `window`, which [`crate::parameters::Parameters::check`] refuses.
pub fn guaranteed_bits_per_second(results: &[u64], rank: u32, window: u32) -> u64 {
    let length = usize::try_from(window).unwrap_or(usize::MAX);
    let rank = usize::try_from(rank).unwrap_or(usize::MAX);
    let mut last: Vec<u64> = results.iter().rev().take(length).copied().collect();
    last.sort_unstable_by(|a, b| b.cmp(a));
    let most = rank.checked_sub(1).and_then(|index| last.get(index)).copied().unwrap_or(0);
    let sum = last.iter().fold(0u128, |sum, result| sum.saturating_add(u128::from(*result.min(&most))));
    let mean = sum.checked_div(u128::from(window)).unwrap_or(0);
    // A mean of numbers of 64 bits is one.
    u64::try_from(mean).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { byzantine: 1, least_time_us: 500_000, clock_tolerance_us: 20_000 };

    fn sample(bytes: u64, elapsed_us: u64) -> Sample {
        Sample { bytes, elapsed_us, round_trip_us: 0 }
    }

    #[test]
    fn no_more_reports_than_may_lie_prove_nothing() {
        assert_eq!(proven_bits_per_second(&[], LIMITS), 0);
        assert_eq!(proven_bits_per_second(&[sample(u64::MAX, 1)], LIMITS), 0);
    }

    #[test]
    fn four_honest_reports_prove_three_quarters() {
        // 100 Mbit/s for 0.5 s is 6.25 MB; the proof is there after 0.505 s.
        let reports = [sample(1_562_500, 505_000); 4];
        assert_eq!(proven_bits_per_second(&reports, LIMITS), 3 * 1_562_500 * 8 * 1_000_000 / 525_000);
    }

    #[test]
    fn a_short_window_is_divided_by_the_least_time() {
        let reports = [sample(50_000, 1); 2];
        assert_eq!(proven_bits_per_second(&reports, LIMITS), 50_000 * 8 * 1_000_000 / 520_000);
    }

    #[test]
    fn a_late_report_does_not_lower_what_the_others_prove() {
        let on_time = [sample(1_000_000, 500_000); 3];
        let late = [on_time.as_slice(), &[sample(1, 60_000_000)]].concat();
        assert_eq!(proven_bits_per_second(&late, LIMITS), proven_bits_per_second(&on_time, LIMITS));
    }

    #[test]
    fn extreme_reports_neither_overflow_nor_divide_by_zero() {
        let none = Limits { byzantine: 0, least_time_us: 0, clock_tolerance_us: 0 };
        assert_eq!(proven_bits_per_second(&[sample(1, 0)], none), 0);
        assert!(proven_bits_per_second(&[sample(u64::MAX, 1); 32], none) > u128::from(u64::MAX));
    }

    #[test]
    fn raw_takes_off_the_round_trip_and_drops_nobody() {
        let reports = [Sample { bytes: 1_562_500, elapsed_us: 600_000, round_trip_us: 100_000 }; 4];
        assert_eq!(raw_bits_per_second(&reports, LIMITS), 100_000_000);
    }

    #[test]
    fn members_beyond_the_furthest_round_trip_are_left_out_of_what_is_proven() {
        let near = Sample { round_trip_us: FURTHEST_ROUND_TRIP_US, ..sample(1_000_000, 500_000) };
        let far = Sample { round_trip_us: FURTHEST_ROUND_TRIP_US + 1, ..near };
        assert_eq!(
            proven_bits_per_second(&[near, near, near, far], LIMITS),
            proven_bits_per_second(&[near; 3], LIMITS)
        );
        assert_eq!(proven_bits_per_second(&[near, far, far, far], LIMITS), 0);
        assert!(raw_bits_per_second(&[near, far], LIMITS) > raw_bits_per_second(&[near], LIMITS));
    }

    #[test]
    fn guaranteed_is_the_mean_of_results_up_to_the_ranked_one_and_missing_ones_are_zero() {
        assert_eq!(guaranteed_bits_per_second(&[], 2, 3), 0);
        assert_eq!(guaranteed_bits_per_second(&[70], 2, 3), 0);
        assert_eq!(guaranteed_bits_per_second(&[70, 50], 2, 3), 33);
        assert_eq!(guaranteed_bits_per_second(&[90, 70, 0, 60], 2, 3), 40);
        assert_eq!(guaranteed_bits_per_second(&[60, 60, 60, 1_000], 2, 3), 60);
        assert_eq!(guaranteed_bits_per_second(&[10, 20, 30, 40, 50, 60, 70, 80], 5, 8), (10 + 20 + 30 + 5 * 40) / 8);
    }

    #[test]
    fn a_rank_that_no_window_has_guarantees_nothing() {
        for (rank, window) in [(0, 3), (4, 3), (1, 0), (0, 0), (u32::MAX, u32::MAX)] {
            assert_eq!(guaranteed_bits_per_second(&[70; 3], rank, window), 0, "{rank} of {window}");
        }
    }

    #[test]
    fn the_largest_results_do_not_overflow() {
        assert_eq!(guaranteed_bits_per_second(&[u64::MAX; 32], 5, 32), u64::MAX);
    }

    #[test]
    fn fewer_than_rank_bad_committees_buy_nothing() {
        let bought = [0, u64::MAX, 0, u64::MAX, u64::MAX, 0, u64::MAX, 0];
        assert_eq!(guaranteed_bits_per_second(&bought, 5, 8), 0);
    }

    /// A full window, and its rank and length.
    fn window() -> impl Strategy<Value = (Vec<u64>, u32, u32)> {
        (1u32..=32).prop_flat_map(|window| {
            let results = proptest::collection::vec(prop_oneof![0u64..200, any::<u64>()], window as usize);
            (results, 1..=window, Just(window))
        })
    }

    /// The `rank`-th largest of a full window, or what is above all where the rank is zero.
    fn ranked(results: &[u64], rank: u32) -> u64 {
        let mut sorted = results.to_vec();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        (rank as usize).checked_sub(1).map_or(u64::MAX, |index| sorted[index])
    }

    proptest! {
        #[test]
        fn guaranteed_is_never_above_the_ranked_result((results, rank, window) in window()) {
            prop_assert!(guaranteed_bits_per_second(&results, rank, window) <= ranked(&results, rank));
        }

        #[test]
        fn guaranteed_is_never_above_the_mean_of_the_results((results, rank, window) in window()) {
            let sum: u128 = results.iter().map(|result| u128::from(*result)).sum();
            prop_assert!(u128::from(guaranteed_bits_per_second(&results, rank, window)) <= sum / u128::from(window));
        }

        #[test]
        fn a_result_that_rises_never_lowers_what_is_guaranteed(
            (results, rank, window) in window(), which in any::<prop::sample::Index>(), by in any::<u64>(),
        ) {
            let before = guaranteed_bits_per_second(&results, rank, window);
            let mut better = results;
            let index = which.index(better.len());
            better[index] = better[index].saturating_add(by);
            prop_assert!(guaranteed_bits_per_second(&better, rank, window) >= before);
        }

        #[test]
        fn the_order_of_a_window_does_not_matter(
            (results, rank, window) in window(), turn in any::<prop::sample::Index>(),
        ) {
            let mut other = results.clone();
            other.rotate_left(turn.index(results.len()));
            let end = other.len() / 2;
            other[..end].reverse();
            prop_assert_eq!(
                guaranteed_bits_per_second(&other, rank, window),
                guaranteed_bits_per_second(&results, rank, window)
            );
        }

        #[test]
        fn equal_results_are_guaranteed_in_full(result: u64, window in 1u32..=32, rank in 1u32..=32) {
            prop_assume!(rank <= window);
            let results = vec![result; window as usize];
            prop_assert_eq!(guaranteed_bits_per_second(&results, rank, window), result);
        }

        #[test]
        fn one_lucky_result_counts_as_the_next_best_and_lifts_the_limit_by_one_place(
            (results, rank, window) in window(), which in any::<prop::sample::Index>(),
        ) {
            let index = which.index(results.len());
            let with = |result| {
                let mut changed = results.clone();
                changed[index] = result;
                guaranteed_bits_per_second(&changed, rank, window)
            };
            let mut others = results.clone();
            others.remove(index);
            let above = ranked(&others, rank - 1);
            prop_assert_eq!(with(u64::MAX), with(above));
            // From nothing to any luck: r of the w results are lifted from the r-th of the others to the one above it.
            let below = if others.len() >= rank as usize { ranked(&others, rank) } else { 0 };
            let lifted = u128::from(rank) * u128::from(above - below) + u128::from(below);
            prop_assert!(u128::from(with(u64::MAX) - with(0)) <= lifted / u128::from(window) + 1);
        }

        #[test]
        fn one_lost_challenge_of_eight_takes_an_eighth_at_most(
            result: u64, lost in 0usize..8, rank in 1u32..8,
        ) {
            let mut results = [result; 8];
            results[lost] = 0;
            prop_assert!(guaranteed_bits_per_second(&results, rank, 8) >= result - result.div_ceil(8));
        }

        #[test]
        fn a_far_member_never_raises_what_is_proven(
            (_, honest, liars, byzantine) in honest_and_liars(), far in 0usize..32,
        ) {
            let limits = Limits { byzantine, ..LIMITS };
            let all = [honest, liars].concat();
            let mut some_far = all.clone();
            some_far.iter_mut().take(far).for_each(|sample| sample.round_trip_us = FURTHEST_ROUND_TRIP_US + 1);
            prop_assert!(proven_bits_per_second(&some_far, limits) <= proven_bits_per_second(&all, limits));
        }
    }

    /// A link of a capacity, honest challengers who report what crossed it by their clocks, and f who say what they like.
    fn honest_and_liars() -> impl Strategy<Value = (u64, Vec<Sample>, Vec<Sample>, u32)> {
        (1usize..8, 1_000u64..1_000_000_000)
            .prop_flat_map(|(byzantine, capacity)| {
                let honest = (byzantine + 1)..=(2 * byzantine + 4);
                (
                    Just(capacity),
                    proptest::collection::vec((0u64..=1_000, 0u64..3_000_000, 0i64..=20_000), honest),
                    proptest::collection::vec((any::<u64>(), any::<u64>()), byzantine),
                    Just(u32::try_from(byzantine).unwrap()),
                )
            })
            .prop_map(|(capacity, honest, liars, byzantine)| {
                // The honest trains share the link one after the other, in order of their end: by then it has carried no
                // more than capacity × time, of which each challenger got a part.
                let mut ends: Vec<_> = honest;
                ends.sort_unstable_by_key(|(_, end, _)| *end);
                let mut carried = 0u128;
                let samples = ends
                    .iter()
                    .map(|(part, end, clock)| {
                        let room = u128::from(capacity) * u128::from(*end) / 8_000_000 - carried;
                        let bytes = room * u128::from(*part) / 1_000;
                        carried += bytes;
                        // A clock that started up to ε after the earliest one shows that much less.
                        let elapsed = end.saturating_sub(u64::try_from(*clock).unwrap());
                        sample(u64::try_from(bytes).unwrap(), elapsed)
                    })
                    .collect();
                let liars = liars.iter().map(|(bytes, elapsed)| sample(*bytes, *elapsed)).collect();
                (capacity, samples, liars, byzantine)
            })
    }

    /// All that a prover and f liars can choose: what part of the link each honest train gets, by when each proof is given, and
    /// what the liars report.
    #[derive(Clone, Debug)]
    struct Attack {
        parts: Vec<u64>,
        ends: Vec<u64>,
        liars: Vec<Sample>,
    }

    /// The clocks of the honest, the capacity, and the attack to start from.
    fn attack() -> impl Strategy<Value = (Vec<u64>, u64, Attack)> {
        (1usize..8, 1_000_000u64..1_000_000_000).prop_flat_map(|(byzantine, capacity)| {
            let honest = byzantine + 1..=byzantine + 2;
            honest.prop_flat_map(move |honest| {
                let clocks = proptest::collection::vec(0u64..=20_000, honest);
                let parts = proptest::collection::vec(0u64..=1_000, honest);
                let ends = proptest::collection::vec(20_000u64..1_500_000, honest);
                let liars = proptest::collection::vec((any::<u32>(), 0u64..1_500_000), byzantine);
                (clocks, parts, ends, liars).prop_map(move |(clocks, parts, ends, liars)| {
                    let liars = liars.iter().map(|(bytes, elapsed)| sample(u64::from(*bytes), *elapsed)).collect();
                    (clocks, capacity, Attack { parts, ends, liars })
                })
            })
        })
    }

    impl Attack {
        /// All reports: those of the honest are what crossed the link, which carries no more than its capacity from the
        /// first honest start on.
        fn reports(&self, clocks: &[u64], capacity: u64) -> Vec<Sample> {
            let mut order: Vec<usize> = (0..self.ends.len()).collect();
            order.sort_unstable_by_key(|index| self.ends[*index]);
            let mut carried = 0u128;
            let honest = order.into_iter().map(|index| {
                let room = u128::from(capacity) * u128::from(self.ends[index]) / 8_000_000 - carried;
                let bytes = room * u128::from(self.parts[index]) / 1_000;
                carried += bytes;
                sample(u64::try_from(bytes).unwrap(), self.ends[index].saturating_sub(clocks[index]))
            });
            honest.chain(self.liars.iter().copied()).collect()
        }

        /// One choice made otherwise.
        fn changed(&self, clocks: &[u64], capacity: u64, which: usize, how: u64) -> Self {
            let mut changed = self.clone();
            let honest = self.parts.len();
            let known = self.reports(clocks, capacity);
            let like = known[(how / 8) as usize % known.len()];
            match which % (2 * honest + 2 * self.liars.len()) {
                part if part < honest => {
                    changed.parts[part] = [0, 100, 250, 500, 750, 900, 1_000, 1_000][how as usize % 8]
                },
                end if end < 2 * honest => {
                    let near = [like.elapsed_us, 500_000, 520_000, self.ends[end - honest] / 2][how as usize % 4];
                    changed.ends[end - honest] = near.max(20_000);
                },
                liar => {
                    let liar = liar - 2 * honest;
                    let report = &mut changed.liars[liar / 2];
                    if liar.is_multiple_of(2) {
                        report.bytes = [like.bytes, like.bytes.saturating_sub(1), u64::MAX, 0][how as usize % 4];
                    } else {
                        report.elapsed_us = [like.elapsed_us, 0, 500_000, like.elapsed_us / 2][how as usize % 4];
                    }
                },
            }
            changed
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn a_search_for_the_worst_reports_never_proves_more_than_the_capacity(
            (clocks, capacity, mut attack) in attack(),
            steps in proptest::collection::vec((any::<usize>(), any::<u64>()), 60),
        ) {
            let byzantine = u32::try_from(attack.liars.len()).unwrap();
            let limits = Limits { byzantine, ..LIMITS };
            let proven = |attack: &Attack| proven_bits_per_second(&attack.reports(&clocks, capacity), limits);
            let mut best = proven(&attack);
            for (which, how) in steps {
                let other = attack.changed(&clocks, capacity, which, how);
                let gained = proven(&other);
                prop_assert!(gained <= u128::from(capacity), "{other:?}");
                if gained >= best {
                    (attack, best) = (other, gained);
                }
            }
        }

        #[test]
        fn whatever_f_liars_report_no_more_than_the_capacity_is_proven(
            (capacity, honest, liars, byzantine) in honest_and_liars(),
        ) {
            let limits = Limits { byzantine, ..LIMITS };
            let mut all = honest.clone();
            all.extend(&liars);
            prop_assert!(proven_bits_per_second(&all, limits) <= u128::from(capacity));

            // The worst that liars can do: claim all, in each of the windows of the honest.
            for window in &honest {
                let mut worst = honest.clone();
                worst.extend(liars.iter().map(|_| sample(u64::MAX, window.elapsed_us)));
                prop_assert!(proven_bits_per_second(&worst, limits) <= u128::from(capacity));
            }
            // Or just as much as the best honest one, so that honest reports are the ones dropped.
            let most = honest.iter().map(|sample| sample.bytes).max().unwrap_or(0);
            let mut equal = honest.clone();
            equal.extend(liars.iter().map(|_| sample(most, 0)));
            prop_assert!(proven_bits_per_second(&equal, limits) <= u128::from(capacity));
        }

        #[test]
        fn a_further_report_never_lowers_the_result(
            (_, honest, liars, byzantine) in honest_and_liars(), bytes in any::<u64>(), elapsed in any::<u64>(),
        ) {
            let limits = Limits { byzantine, ..LIMITS };
            let before = [honest, liars].concat();
            let after = [before.as_slice(), &[sample(bytes, elapsed)]].concat();
            prop_assert!(proven_bits_per_second(&after, limits) >= proven_bits_per_second(&before, limits));
        }
    }
}
