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

use alloc::vec::Vec;

const MICROSECONDS_PER_SECOND: u128 = 1_000_000;
const BITS_PER_BYTE: u128 = 8;

/// What one challenger reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The bytes of whole IP packets that the prover proved to have received.
    pub bytes: u64,
    /// The time from the common start until the proof was in the challenger's hands.
    pub elapsed_us: u64,
    /// The time that an answer takes from the prover and back, by the challenger's measure.
    pub round_trip_us: u64,
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
/// No reports, or no more than f of them, prove nothing.
pub fn proven_bits_per_second(samples: &[Sample], limits: Limits) -> u128 {
    best_window(samples, limits.byzantine, |sample| {
        sample.elapsed_us.max(limits.least_time_us).saturating_add(limits.clock_tolerance_us)
    })
}

/// The best estimate of the rate, in bits per second, for people to read: nothing is dropped, and each round trip is taken
/// off. A single liar decides it, so nobody is paid by it.
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

/// The guaranteed bandwidth of a direction: the `rank`-th largest of the last `window` results, missing ones being zero.
pub fn guaranteed_bits_per_second(results: &[u64], rank: u32, window: u32) -> u64 {
    let window = usize::try_from(window).unwrap_or(usize::MAX);
    let rank = usize::try_from(rank).unwrap_or(usize::MAX);
    let mut last: Vec<u64> = results.iter().rev().take(window).copied().collect();
    last.sort_unstable_by(|a, b| b.cmp(a));
    rank.checked_sub(1).and_then(|index| last.get(index)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { byzantine: 1, least_time_us: 400_000, clock_tolerance_us: 20_000 };

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
        assert_eq!(proven_bits_per_second(&reports, LIMITS), 50_000 * 8 * 1_000_000 / 420_000);
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
    fn guaranteed_is_the_ranked_result_and_missing_ones_are_zero() {
        assert_eq!(guaranteed_bits_per_second(&[], 2, 3), 0);
        assert_eq!(guaranteed_bits_per_second(&[70], 2, 3), 0);
        assert_eq!(guaranteed_bits_per_second(&[70, 50], 2, 3), 50);
        assert_eq!(guaranteed_bits_per_second(&[90, 70, 0, 60], 2, 3), 60);
        assert_eq!(guaranteed_bits_per_second(&[70], 0, 3), 0);
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
                    let near = [like.elapsed_us, 400_000, 420_000, self.ends[end - honest] / 2][how as usize % 4];
                    changed.ends[end - honest] = near.max(20_000);
                },
                liar => {
                    let liar = liar - 2 * honest;
                    let report = &mut changed.liars[liar / 2];
                    if liar.is_multiple_of(2) {
                        report.bytes = [like.bytes, like.bytes.saturating_sub(1), u64::MAX, 0][how as usize % 4];
                    } else {
                        report.elapsed_us = [like.elapsed_us, 0, 400_000, like.elapsed_us / 2][how as usize % 4];
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
