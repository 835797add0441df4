//! How likely it is that more than two thirds of the votes are there, if each voter is online by itself with some chance.
//!
//! All voters have bandwidth enough, so that bonds decide what they weigh. The chance is exact for each draw of bonds, but for
//! the grid that weights are rounded to.

use super::{super::Outcome, candidate, parts};
use crate::{
    plot::{plot, Axis, Mark, Scale, Series},
    statistics::Estimate,
    table::{decimals, Table},
};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use weir_primitives::{
    finality::{voters::elect, Finality},
    Balance,
};
use weir_runtime::genesis;

const VOTERS: [usize; 4] = [10, 16, 40, 64];
const SIGMAS: [f64; 3] = [0.0, 0.5, 1.0];
/// With which chance a voter is online.
const ONLINE: [f64; 4] = [0.99, 0.95, 0.9, 0.8];
/// Draws of bonds that the mean is taken of.
const DRAWS: usize = 1_000;
/// Into how many equal cells the whole weight is cut.
const CELLS: f64 = 6_000.0;
/// The mean bond, as a multiple of the least one, which is then in nobody's way.
const BOND_OVER_LEAST: u128 = 100;
/// What the plot shows: with which chance voters are online, and how far their bonds are spread.
const SHOWN: [(f64, f64); 6] = [(0.8, 1.0), (0.9, 1.0), (0.99, 1.0), (0.8, 0.0), (0.9, 0.0), (0.99, 0.0)];
/// The least chance that the plot shows.
const LEAST_SHOWN: f64 = 1e-9;

/// The weights of voters with lognormal bonds, by the rule of the chain.
fn weights(voters: usize, sigma: f64, rng: &mut ChaCha8Rng) -> Vec<u64> {
    let preset = genesis::testnet().finality;
    let bonds = (preset.voter_bond * BOND_OVER_LEAST) as f64 * voters as f64;
    let candidates = (0..).zip(parts(voters, sigma, rng));
    let candidates = candidates
        .map(|(number, part)| candidate(number, (bonds * part) as Balance, preset.reference_bits_per_second))
        .collect();
    // Few voters are a set, too: what is asked is whether enough of them are there.
    let rules = Finality { least_voters: 1, ..preset };
    elect(candidates, &rules, 0).unwrap_or_default().into_iter().map(|voter| voter.weight).collect()
}

/// The chance that no more than two thirds of the weight are online, if each voter is with some chance.
fn too_few(weights: &[u64], online: f64) -> f64 {
    let whole = weights.iter().sum::<u64>() as f64;
    let cells: Vec<usize> = weights.iter().map(|weight| (*weight as f64 / whole * CELLS).round() as usize).collect();
    let total: usize = cells.iter().sum();
    // The chance of each weight that is offline.
    let mut offline = vec![0.0; total + 1];
    offline[0] = 1.0;
    let mut looked_at = 0;
    for weight in cells {
        looked_at += weight;
        for at in (0..=looked_at).rev() {
            let falls_out = if at >= weight { offline[at - weight] } else { 0.0 };
            offline[at] = online * offline[at] + (1.0 - online) * falls_out;
        }
    }
    offline.iter().enumerate().filter(|(at, _)| 3 * at >= total).map(|(_, chance)| chance).sum()
}

pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let mut table =
        Table::new(&["voters", "sigma_of_bonds", "online", "two_thirds_online", "too_few_online", "standard_error"]);
    let mut lines: Vec<Series> = SHOWN
        .map(|(online, sigma)| Series {
            name: format!("online {online}, sigma {sigma}"),
            mark: if sigma == 0.0 { Mark::Dashed } else { Mark::LineAndDots },
            points: vec![],
        })
        .into();
    for (voters, sigma) in VOTERS.into_iter().flat_map(|voters| SIGMAS.map(|sigma| (voters, sigma))) {
        let draws: Vec<Vec<u64>> = (0..DRAWS).map(|_| weights(voters, sigma, &mut rng)).collect();
        for online in ONLINE {
            let chances: Vec<f64> = draws.iter().map(|weights| too_few(weights, online)).collect();
            let chance = Estimate::from_batches(&chances);
            table.row(vec![
                voters.to_string(),
                decimals(sigma, 1),
                decimals(online, 2),
                decimals(1.0 - chance.mean, 4),
                format!("{:.1e}", chance.mean),
                // Without spread all draws are the same.
                if sigma == 0.0 { "0".into() } else { format!("{:.1e}", chance.standard_error) },
            ]);
            let line = SHOWN.iter().position(|shown| *shown == (online, sigma)).map(|index| &mut lines[index]);
            if let Some(line) = line.filter(|_| chance.mean >= LEAST_SHOWN) {
                line.points.push((voters as f64, chance.mean));
            }
        }
    }
    table.save(out, "offline")?;
    plot(
        &out.join("offline.png"),
        "Chance that finality stands still for want of voters",
        &Axis { title: "voters", range: 5.0..85.0, scale: Scale::Linear },
        &Axis {
            title: "chance that two thirds or less are online",
            range: LEAST_SHOWN..1.0,
            scale: Scale::Logarithmic,
        },
        &lines,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn of_four_equal_voters_three_are_needed_and_of_three_all() {
        assert!((too_few(&[7; 4], 0.5) - 11.0 / 16.0).abs() < 1e-12);
        assert!((too_few(&[1; 3], 0.9) - (1.0 - 0.9f64.powi(3))).abs() < 1e-12);
    }

    #[test]
    fn who_weighs_a_third_can_stop_finality_alone() {
        // 0.3 to 0.4 against 0.7 to 0.6.
        assert!(
            (too_few(&[40, 20, 20, 20], 0.9) - (0.1 + 0.9 * (1.0 - 0.9f64.powi(3) - 3.0 * 0.1 * 0.81))).abs() < 1e-9
        );
        assert!((too_few(&[30, 70], 0.9) - 0.1).abs() < 1e-9);
    }

    #[test]
    fn voters_with_equal_bonds_weigh_the_same() {
        let weights = weights(16, 0.0, &mut ChaCha8Rng::seed_from_u64(1));
        assert!(weights.len() == 16 && weights.iter().all(|weight| *weight == weights[0]));
    }
}
