//! How deep the chain is reorganised when hash power rises a hundredfold, with honest miners alone.
//!
//! At the old difficulty a block then takes less time to find than to reach the others, until the retarget has caught up. Compared
//! with the rule is a miner who searches without waiting and holds a block back until its date is L ahead of the clock:
//! there miners build on blocks of their own that nobody else has seen.

use super::{equal, Outcome, HASH_RATE};
use crate::{
    chain::{Chain, Rules},
    network::{Miner, Network, Policy},
    plot::{plot, Axis, Mark, Scale, Series},
    table::{decimals, Table},
};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use weir_primitives::BlockNumber;

/// A policy that is compared: its name, how it follows from the rules, and its mark in the plot.
type Compared = (&'static str, fn(Rules) -> Policy, Mark);

/// By how much hash power rises.
const FACTOR: f64 = 100.0;
/// How long is watched after the shock, in milliseconds.
const WATCHED: f64 = 2.0 * 3_600_000.0;
/// Shocks that the mean is taken of.
const RUNS: usize = 20;
/// From one miner to another, in milliseconds.
const DELAYS: [f64; 4] = [50.0, 200.0, 700.0, 2_000.0];
/// Depths from which on reorganisations are counted.
const DEPTHS: [BlockNumber; 7] = [1, 2, 3, 6, 12, 32, 64];

/// What some equal miners have come to two hours after one shock.
pub fn shock(policy: fn(Rules) -> Policy, miners: usize, delay: f64, rng: &mut ChaCha8Rng) -> Network {
    let rules = Rules::testnet();
    let mut chain = Chain::settled(rules, equal(miners, HASH_RATE, 0.0), rng);
    for author in &mut chain.authors {
        author.hash_rate *= FACTOR;
    }
    let end = chain.now + WATCHED;
    let views =
        (0..miners).map(|author| Miner { policy: policy(rules), ..Miner::honest(author..author + 1) }).collect();
    let mut network = Network::new(chain, views, delay, rng);
    while network.now < end {
        network.step(rng);
    }
    network
}

pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let policies: [Compared; 2] = [
        ("rule", |_| Policy::Rule, Mark::LineAndDots),
        ("hold to L", |rules| Policy::Holds(rules.dates.limit), Mark::Dashed),
    ];
    let mut table = Table::new(&[
        "rule", "miners", "delay_ms", "from_1", "from_2", "from_3", "from_6", "from_12", "from_32", "from_64",
        "deepest",
    ]);
    let mut lines = vec![];
    for (name, policy, mark) in policies {
        for (miners, delay) in [3, 10].into_iter().flat_map(|miners| DELAYS.map(|delay| (miners, delay))) {
            let depths: Vec<BlockNumber> = (0..RUNS)
                .flat_map(|_| {
                    let network = shock(policy, miners, delay, &mut rng);
                    let all = (0..miners).flat_map(|view| network.reorganisations(view));
                    all.map(|it| it.blocks).collect::<Vec<_>>()
                })
                .collect();
            let from = |depth: BlockNumber| {
                depths.iter().filter(|taken_back| **taken_back >= depth).count() as f64 / (miners * RUNS) as f64
            };
            let deepest = depths.iter().max().copied().unwrap_or(0);
            let mut cells = vec![name.to_string(), miners.to_string(), decimals(delay, 0)];
            cells.extend(DEPTHS.map(|depth| decimals(from(depth), 1)));
            cells.push(deepest.to_string());
            table.row(cells);
            if miners == 3 && delay != 700.0 {
                lines.push(Series {
                    name: format!("{name}, {delay} ms"),
                    mark,
                    points: (1..=deepest).map(|depth| (f64::from(depth), from(depth))).collect(),
                });
            }
        }
    }
    table.save(out, "reorganisations")?;
    plot(
        &out.join("reorganisations.png"),
        "Reorganisations of each of 3 miners in the two hours after hash power rose a hundredfold",
        &Axis { title: "of this many blocks or more", range: 1.0..300.0, scale: Scale::Logarithmic },
        &Axis { title: "reorganisations", range: 0.05..3_000.0, scale: Scale::Logarithmic },
        &lines,
    )
}
