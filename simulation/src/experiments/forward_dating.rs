//! A miner who dates its blocks as far ahead of its clock as others import.
//!
//! A date ahead is worth something only if it keeps others from searching, or their blocks from being published. By the rule it
//! does neither. The rules it is compared with are kept here: *rest* until the clock gets to the earliest date of a child,
//! T/6 after its parent, as the chain's first version had it; and *hold* each block back until the clock gets to its date.
//!
//! Clocks are right, and blocks take no time from one miner to another.

use super::{equal, honest_and_one, Outcome, HASH_RATE};
use crate::{
    chain::{Author, Chain, Rules},
    network::{Miner, Network, Policy},
    plot::{plot, Axis, Mark, Scale, Series},
    statistics::Estimate,
    table::{decimals, Table},
};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// Blocks over which a share is counted.
const BLOCKS: u32 = 60_000;

/// What everybody else does, and how far apart blocks are.
#[derive(Clone, Copy)]
struct Variant {
    name: &'static str,
    rules: fn() -> Rules,
    honest: Policy,
    /// How many they are. Those who publish at once all see the same, and count as one.
    miners: usize,
}

/// The rule of the chain.
const RULE: Variant = Variant { name: "rule", rules: Rules::testnet, honest: Policy::Rule, miners: 1 };
/// The first version's.
const REST: Variant = Variant { name: "rest", rules: first_version, honest: Policy::Rests, miners: 1 };
/// Search at once, publish what is dated ahead when the clock gets there.
const HOLD: Variant = Variant { name: "hold", rules: Rules::testnet, honest: Policy::Holds(0), miners: 16 };

fn first_version() -> Rules {
    let mut rules = Rules::testnet();
    rules.dates.spacing = rules.schedule.block_time / 6;
    rules
}

/// The share of blocks of a miner with a share of the hash power, and of the bandwidth if there is any.
fn share(variant: Variant, policy: Policy, hash: f64, bandwidth: Option<f64>, rng: &mut ChaCha8Rng) -> Estimate {
    let authors = match bandwidth {
        Some(part) => honest_and_one(hash, part, 1.0 - part),
        None => {
            let mut authors = equal(variant.miners, (1.0 - hash) * HASH_RATE, 0.0);
            authors.push(Author::new(hash * HASH_RATE, 0));
            authors
        },
    };
    let one = authors.len() - 1;
    let chain = Chain::settled((variant.rules)(), authors, rng);
    let end = chain.number + BLOCKS;
    let honest = |view| one * view / variant.miners..one * (view + 1) / variant.miners;
    let mut miners: Vec<Miner> =
        (0..variant.miners).map(|view| Miner { policy: variant.honest, ..Miner::honest(honest(view)) }).collect();
    miners.push(Miner { policy, ..Miner::honest(one..one + 1) });
    let mut network = Network::new(chain, miners, 0.0, rng);
    network.run_to(0, end, rng);
    network.share(0, one..one + 1)
}

pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let shares = [0.05, 0.1, 0.2, 0.3, 0.4];
    let mut table =
        Table::new(&["rule", "hash_share", "bandwidth_share", "dates_by_clock", "dates_ahead", "standard_error"]);
    let mut lines = vec![];
    for (variant, name) in [
        (RULE, "the rule: search as soon as others would import, publish at once"),
        (HOLD, "hold each block until the clock gets to its date"),
        (REST, "first version: rest until the clock gets to parent + T/6"),
    ] {
        let mut points = vec![];
        for hash in shares {
            let truly = share(variant, variant.honest, hash, None, &mut rng);
            let ahead = share(variant, Policy::DatesAhead, hash, None, &mut rng);
            points.push((hash, ahead.mean));
            table.row(row(variant, hash, None, truly, ahead));
        }
        lines.push(Series { name: name.into(), mark: Mark::LineAndDots, points });
    }
    let bandwidths: [fn(f64) -> f64; 2] = [|hash| hash, |_| 0.5];
    for bandwidth_of in bandwidths {
        for hash in shares {
            let bandwidth = Some(bandwidth_of(hash));
            let truly = share(RULE, Policy::Rule, hash, bandwidth, &mut rng);
            let ahead = share(RULE, Policy::DatesAhead, hash, bandwidth, &mut rng);
            table.row(row(RULE, hash, bandwidth, truly, ahead));
        }
    }
    lines.push(Series {
        name: "share of hash power".into(),
        mark: Mark::Dashed,
        points: vec![(0.0, 0.0), (0.45, 0.45)],
    });
    table.save(out, "forward-dating")?;
    plot(
        &out.join("forward-dating.png"),
        "Share of blocks of a miner who dates as far ahead as is allowed",
        &Axis { title: "share of hash power", range: 0.0..0.45, scale: Scale::Linear },
        &Axis { title: "share of blocks", range: 0.0..1.3, scale: Scale::Linear },
        &lines,
    )
}

fn row(variant: Variant, hash: f64, bandwidth: Option<f64>, truly: Estimate, ahead: Estimate) -> Vec<String> {
    vec![
        variant.name.into(),
        decimals(hash, 2),
        decimals(bandwidth.unwrap_or(0.0), 2),
        decimals(truly.mean, 3),
        decimals(ahead.mean, 3),
        decimals(ahead.standard_error, 4),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn dating_ahead_gains_no_blocks_by_the_rule_and_took_the_chain_by_the_first_one() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let hash = 0.3;
        let by_the_rule = share(RULE, Policy::DatesAhead, hash, None, &mut rng);
        assert!(by_the_rule.mean < 1.05 * hash, "{by_the_rule:?}");
        let by_the_first = share(REST, Policy::DatesAhead, hash, None, &mut rng);
        assert!(by_the_first.mean > 0.5, "the attack is not seen: {by_the_first:?}");
    }
}
