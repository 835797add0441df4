//! One line under many names: what its identities are paid for together, in lines.
//!
//! At each instant the lender sees which of its identities are drawn, and gives the line to them as it likes. What is
//! given to one is its result; the committee is honest, and growth is no limit (the line is one starting step). Of
//! six policies the best counts. Beside it: what the rule leaves to an honest provider that is not always reachable,
//! or whose challengers are not.

use super::super::Outcome;
use crate::{
    challengers::{measurement, proven, proven_in_full, reports, seed, Deed},
    plot::{plot, Axis, Mark, Scale, Series},
    statistics::Estimate,
    table::{decimals, Table},
};
use rand::{seq::SliceRandom, Rng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use weir_primitives::measurement::{estimator::guaranteed_bits_per_second, lottery::groups::Group};

/// Epochs before anything is counted: windows are full.
const WARM_UP: usize = 48;
const BATCHES: usize = 20;
const EPOCHS_PER_BATCH: usize = 60;
/// Into how many parts the greedy policy cuts the line.
const PARTS: u64 = 8;
/// Among how many of those that are drawn a policy shares the line.
const SERVED: [usize; 13] = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32];
/// Challenges of an honest provider.
const CHALLENGES: usize = 200_000;

/// A rule that makes guaranteed bandwidth of a window.
#[derive(Clone, Copy)]
struct Rule {
    name: &'static str,
    guaranteed: fn(&[u64]) -> u64,
    /// How many results must be above zero for anything to be guaranteed.
    rank: usize,
}

/// The fourth largest of the last eight results: what the clipped mean is compared with.
fn fourth_of_eight(results: &[u64]) -> u64 {
    let mut last: Vec<u64> = results.iter().rev().take(8).copied().collect();
    last.sort_unstable_by(|a, b| b.cmp(a));
    last.get(3).copied().unwrap_or(0)
}

/// The rule of the chain, with the numbers of the `testnet` preset.
fn clipped_mean(results: &[u64]) -> u64 {
    let measurement = measurement();
    guaranteed_bits_per_second(results, measurement.rank, measurement.window)
}

const FOURTH_LARGEST: Rule = Rule { name: "4th of 8", guaranteed: fourth_of_eight, rank: 4 };

/// The fourth largest alone, and the rule of the chain.
fn rules() -> [Rule; 2] {
    let rank = measurement().rank as usize;
    [FOURTH_LARGEST, Rule { name: "clipped mean", guaranteed: clipped_mean, rank }]
}

/// To whom a lender gives its line.
#[derive(Clone, Copy)]
enum Order {
    /// To all that are drawn, in equal parts.
    Equal,
    /// Part by part to whom it gives most.
    Greedy,
    /// By lot.
    Lot,
    /// To the first in an order that never changes.
    Favourite,
    /// To whoever would fall to nothing first, then to who stands, last to who has nothing to lose.
    Hold,
    /// To whoever would fall to nothing first, then to who is nearest to standing, last to who stands safely.
    Climb,
}

/// What a lender does with its line: an order, and among how many it is shared where more are drawn.
#[derive(Clone, Copy)]
struct Policy {
    order: Order,
    served: usize,
}

impl Policy {
    /// All policies: six orders, with every number of those that are served where it matters.
    fn all() -> Vec<Self> {
        let shared = [Order::Lot, Order::Favourite, Order::Hold, Order::Climb]
            .into_iter()
            .flat_map(|order| SERVED.into_iter().map(move |served| Self { order, served }));
        [Order::Equal, Order::Greedy]
            .into_iter()
            .map(|order| Self { order, served: usize::MAX })
            .chain(shared)
            .collect()
    }

    fn name(self) -> String {
        let of = |name: &str| format!("{name} 1/{}", self.served);
        match self.order {
            Order::Equal => "equal".into(),
            Order::Greedy => "greedy".into(),
            Order::Lot => of("lot"),
            Order::Favourite => of("favourite"),
            Order::Hold => of("hold"),
            Order::Climb => of("climb"),
        }
    }

    /// What each of the identities that are drawn gets of the line.
    fn gives(self, line: u64, drawn: &[usize], windows: &[Vec<u64>], rule: Rule, rng: &mut ChaCha8Rng) -> Vec<u64> {
        let mut order: Vec<usize> = (0..drawn.len()).collect();
        // How many results above zero are left when this one enters the window.
        let standing = |index: &usize| kept(&windows[drawn[*index]]).iter().filter(|result| **result > 0).count();
        let edge = rule.rank - 1;
        match self.order {
            Order::Equal => return vec![line / drawn.len() as u64; drawn.len()],
            Order::Greedy => return greedy(line, drawn, windows, rule),
            Order::Lot => order.shuffle(rng),
            Order::Favourite => {},
            Order::Hold => order.sort_by_key(|index| match standing(index) {
                results if results >= edge => results - edge,
                results => 100 + edge - results,
            }),
            Order::Climb => order.sort_by_key(|index| match standing(index) {
                results if results <= edge => edge - results,
                results => 100 + results - edge,
            }),
        }
        order.truncate(self.served);
        let mut given = vec![0; drawn.len()];
        for index in &order {
            // Where fewer are drawn, each may have more: it counts as far as the window lets it.
            given[*index] = line / order.len() as u64;
        }
        given
    }
}

/// What is left of a window when a result enters it.
fn kept(window: &[u64]) -> &[u64] {
    &window[usize::from(window.len() >= measurement().window as usize)..]
}

/// Gives the line away in the order of what is gained for each part. A result that is not paid for yet counts for a
/// sixteenth of what it may be worth later, else nobody would get a first one.
fn greedy(line: u64, drawn: &[usize], windows: &[Vec<u64>], rule: Rule) -> Vec<u64> {
    let size = measurement().window as usize;
    let mut given = vec![0; drawn.len()];
    let mut left = PARTS;
    let gains: Vec<Vec<f64>> = drawn
        .iter()
        .map(|identity| {
            let with = |parts: u64| {
                let result = line * parts / PARTS;
                let paid = (rule.guaranteed)(&[kept(&windows[*identity]), &[result]].concat()) as f64;
                paid + result as f64 / size as f64 / 16.0
            };
            let without = with(0);
            (0..=PARTS).map(|parts| with(parts) - without).collect()
        })
        .collect();
    while left > 0 {
        let choices = (0..drawn.len())
            .filter(|index| given[*index] == 0)
            .flat_map(|index| (1..=left).map(move |parts| (index, parts)));
        let worth = |(index, parts): &(usize, u64)| gains[*index][*parts as usize] / *parts as f64;
        let Some((index, parts)) = choices.max_by(|a, b| worth(a).total_cmp(&worth(b))) else { break };
        given[index] = parts;
        left -= parts;
    }
    given.into_iter().map(|parts| line * parts / PARTS).collect()
}

/// Which of a number of identities are drawn at each instant.
fn draws(identities: usize, instants: u32, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let epochs = WARM_UP + BATCHES * EPOCHS_PER_BATCH;
    (0..epochs * instants as usize)
        .map(|_| {
            let seed = seed(rng);
            let mut drawn: Vec<usize> =
                (0..identities).filter(|slot| Group::Slot(*slot as u32).is_drawn(&seed, instants)).collect();
            // Only the policy with an order of its own knows one identity from another.
            drawn.sort_unstable();
            drawn
        })
        .collect()
}

/// What the identities of a line are paid for together, in lines, averaged over epochs.
fn paid(
    draws: &[Vec<usize>],
    identities: usize,
    instants: u32,
    policy: Policy,
    rule: Rule,
    rng: &mut ChaCha8Rng,
) -> Estimate {
    let measurement = measurement();
    let line = measurement.growth_step_bits_per_second;
    let mut windows: Vec<Vec<u64>> = vec![Vec::new(); identities];
    let mut epochs = Vec::new();
    for epoch in draws.chunks(instants as usize) {
        for drawn in epoch.iter().filter(|drawn| !drawn.is_empty()) {
            let results = policy.gives(line, drawn, &windows, rule, rng);
            for (identity, result) in drawn.iter().zip(results) {
                let window = &mut windows[*identity];
                window.push(result);
                if window.len() > measurement.window as usize {
                    window.remove(0);
                }
            }
        }
        let sum: u64 = windows.iter().map(|window| (rule.guaranteed)(window)).sum();
        epochs.push(sum as f64 / line as f64);
    }
    let batches: Vec<f64> = epochs[WARM_UP..]
        .chunks(EPOCHS_PER_BATCH)
        .map(|batch| batch.iter().sum::<f64>() / batch.len() as f64)
        .collect();
    Estimate::from_batches(&batches)
}

/// The best policy for a rule, and what it gives.
fn best(
    draws: &[Vec<usize>],
    identities: usize,
    instants: u32,
    rule: Rule,
    rng: &mut ChaCha8Rng,
) -> (Policy, Estimate) {
    Policy::all()
        .into_iter()
        .map(|policy| (policy, paid(draws, identities, instants, policy, rule, rng)))
        .max_by(|(_, a), (_, b)| a.mean.total_cmp(&b.mean))
        .expect("there are policies")
}

pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    lender(out, &mut rng)?;
    honest(out, &mut rng)?;
    late_answers(out)
}

fn lender(out: &Path, rng: &mut ChaCha8Rng) -> Outcome {
    let mut table =
        Table::new(&["identities", "instants", "rule", "lines_paid", "standard_error", "best_policy", "most_possible"]);
    let cases = [(8, 12), (24, 12), (96, 12), (96, 2), (96, 4)];
    for (identities, instants) in cases {
        eprintln!("lending: {identities} identities at {instants} instants");
        let draws = draws(identities, instants, rng);
        for rule in rules() {
            let (policy, lines) = best(&draws, identities, instants, rule, rng);
            // Each of K instants carries one line; the fourth largest pays in full for four results of eight.
            let most = if rule.name == FOURTH_LARGEST.name { 2 * instants } else { instants };
            table.row(vec![
                identities.to_string(),
                instants.to_string(),
                rule.name.into(),
                decimals(lines.mean, 2),
                decimals(lines.standard_error, 2),
                policy.name(),
                most.min(identities as u32).to_string(),
            ]);
        }
    }
    table.save(out, "lending")?;
    println!("One line is paid for this many times. One owner of one honest line is paid for 1.");

    let mut series = Vec::new();
    for rule in rules() {
        let mut points = Vec::new();
        for identities in [1, 2, 4, 8, 16, 24, 48, 96] {
            let draws = draws(identities, 12, rng);
            points.push((identities as f64, best(&draws, identities, 12, rule, rng).1.mean));
        }
        series.push(Series { name: rule.name.into(), mark: Mark::LineAndDots, points });
    }
    let honest = vec![(1.0, 1.0), (100.0, 1.0)];
    series.push(Series { name: "one honest provider".into(), mark: Mark::Dashed, points: honest });
    plot(
        &out.join("lending.png"),
        "One line under many names, 12 instants an epoch, best of six policies",
        &Axis { title: "identities", range: 1.0..100.0, scale: Scale::Logarithmic },
        &Axis { title: "paid for, in lines", range: 0.0..28.0, scale: Scale::Linear },
        &series,
    )
}

/// The mean of what a rule makes of results that are drawn one after the other, as a part of a full one.
fn mean_of(rule: Rule, full: u64, mut result: impl FnMut() -> u64) -> f64 {
    let size = measurement().window as usize;
    let results: Vec<u64> = (0..CHALLENGES).map(|_| result()).collect();
    let windows = results.windows(size);
    let count = windows.len() as f64;
    windows.map(|window| (rule.guaranteed)(window) as f64 / full as f64).sum::<f64>() / count
}

fn honest(out: &Path, rng: &mut ChaCha8Rng) -> Outcome {
    let mut table = Table::new(&["case", "fourth_of_8", "clipped_mean"]);
    let line = measurement().growth_step_bits_per_second;
    let full = proven_in_full(line);
    for reachable in [0.95, 0.8, 0.5] {
        let parts = rules().map(|rule| mean_of(rule, full, || if rng.gen_bool(reachable) { full } else { 0 }));
        let case = format!("reachable for {:.0} % of challenges", reachable * 100.0);
        table.row([vec![case], parts.map(|part| decimals(part, 3)).to_vec()].concat());
    }
    for dead in [0.05, 0.1, 0.2] {
        let parts = rules().map(|rule| {
            mean_of(rule, full, || {
                let deed = |_| if rng.gen_bool(dead) { Deed::Nothing } else { Deed::Sends(1.0) };
                proven(&reports(line, &(0..measurement().committee).map(deed).collect::<Vec<_>>()))
            })
        });
        let case = format!("{:.0} % of challengers dead", dead * 100.0);
        table.row([vec![case], parts.map(|part| decimals(part, 3)).to_vec()].concat());
    }
    table.save(out, "lending-honest")?;
    println!(
        "What an honest provider is guaranteed, as a part of what it is if it and all challengers are always there."
    );
    Ok(())
}

/// How much one line is paid for at one instant, if its identities answer one after the other, as late as a report
/// counts.
///
/// Identity j has the line from when identity j − 1 has answered, and divides by the time since T0: with m identities
/// that end at t_1 < … < t_m, Σ (t_j − t_(j−1)) / (max(t_j, T_min) + ε). With ever more of them that is the integral.
fn late_answers(out: &Path) -> Outcome {
    let measurement = measurement();
    let least = measurement.least_time_us as f64 / 1e6;
    let tolerance = measurement.clock_tolerance_us as f64 / 1e6;
    let mut table = Table::new(&["latest_answer_s", "two_identities", "four_identities", "any_number"]);
    for latest in [0.5, 0.65, 0.75, 1.0, 2.0, 5.5] {
        let sum = |ends: &[f64]| {
            let starts = [&[0.0][..], &ends[..ends.len() - 1]].concat();
            starts.iter().zip(ends).map(|(start, end)| (end - start) / (end.max(least) + tolerance)).sum::<f64>()
        };
        // Ends in equal ratios are the best ones.
        let of = |identities: i32| {
            let ends: Vec<f64> = (0..identities)
                .map(|index| least * (latest / least).powf(f64::from(index) / f64::from(identities - 1)))
                .collect();
            decimals(sum(&ends), 2)
        };
        let integral = least / (least + tolerance) + ((latest + tolerance) / (least + tolerance)).ln();
        table.row(vec![decimals(latest, 2), of(2), of(4), decimals(integral, 2)]);
    }
    table.save(out, "lending-late-answers")?;
    println!(
        "One line at one instant, in lines, if its identities answer one after the other. A proof is waited for until \
         5 s after the train."
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_single_identity_is_paid_for_its_line_by_either_rule() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let draws = draws(1, 2, &mut rng);
        for rule in rules() {
            assert_eq!(best(&draws, 1, 2, rule, &mut rng).1.mean, 1.0);
        }
    }

    #[test]
    fn no_policy_gives_away_more_than_the_line() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let windows: Vec<Vec<u64>> = (0..9).map(|_| (0..8).map(|_| rng.gen_range(0..100)).collect()).collect();
        let mut drawn: Vec<usize> = (0..9).collect();
        drawn.shuffle(&mut rng);
        for policy in Policy::all() {
            for rule in rules() {
                let given: u64 = policy.gives(100, &drawn, &windows, rule, &mut rng).iter().sum();
                assert!(given <= 100, "{} gives {given}", policy.name());
            }
        }
    }

    #[test]
    fn the_clipped_mean_pays_a_line_once_for_each_instant_at_the_most() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let draws = draws(96, 2, &mut rng);
        let (_, lines) = best(&draws, 96, 2, rules()[1], &mut rng);
        assert!(lines.mean <= 2.0 + 4.0 * lines.standard_error, "{lines:?}");
        let (_, before) = best(&draws, 96, 2, rules()[0], &mut rng);
        assert!(
            before.mean > 2.0 + 4.0 * before.standard_error,
            "the attack on the fourth largest is not seen: {before:?}"
        );
    }
}
