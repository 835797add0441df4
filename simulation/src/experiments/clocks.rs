//! Miners whose clocks are wrong, alone and beside a miner who dates ahead.
//!
//! Nobody has bandwidth, and blocks take no time from one miner to another.

use super::{Outcome, HASH_RATE};
use crate::{
    chain::{Author, Chain, Rules},
    network::{Miner, Network, Policy},
    plot::{plot, Axis, Mark, Scale, Series},
    statistics::Estimate,
    table::{decimals, Table},
};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use weir_primitives::Milliseconds;

/// Blocks over which a share is counted.
const BLOCKS: u32 = 60_000;
/// The author whose clock is wrong; the first one's is right.
const WRONG: usize = 1;
/// The author who dates ahead.
const AHEAD: usize = 2;

/// The share of a miner whose clock is off, among honest miners and one who dates as far ahead as others import.
fn share(rules: Rules, hash: f64, error: f64, ahead: f64, rng: &mut ChaCha8Rng) -> Estimate {
    let authors = [1.0 - hash - ahead, hash, ahead].map(|part| Author::new(part * HASH_RATE, 0)).to_vec();
    let chain = Chain::settled(rules, authors, rng);
    let end = chain.number + BLOCKS;
    let miners = vec![
        Miner::honest(0..1),
        Miner { clock_error: error, ..Miner::honest(WRONG..WRONG + 1) },
        Miner { policy: Policy::DatesAhead, ..Miner::honest(AHEAD..AHEAD + 1) },
    ];
    let mut network = Network::new(chain, miners, 0.0, rng);
    network.run_to(0, end, rng);
    network.share(0, WRONG..WRONG + 1)
}

pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let preset = Rules::testnet();
    let mut short = preset;
    short.dates.limit = 5_000;
    let mut table = Table::new(&[
        "limit_s",
        "clock_error_s",
        "hash_share",
        "dating_ahead",
        "block_share",
        "against_hash_share",
        "standard_error",
    ]);
    let mut lines = vec![];
    for (rules, ahead) in [(preset, 0.0), (preset, 0.3), (short, 0.0)] {
        let mut points = vec![];
        for error in [-2.0, -1.2, -1.0, -0.6, 0.0, 0.6, 0.9, 1.0, 1.2, 2.0].map(|part| part * preset.limit()) {
            for hash in [1.0 / 3.0, 0.1] {
                let share = share(rules, hash, error, ahead, &mut rng);
                let against = share.mean / hash;
                table.row(vec![
                    seconds(rules.dates.limit),
                    decimals(error / 1_000.0, 1),
                    decimals(hash, 3),
                    decimals(ahead, 1),
                    decimals(share.mean, 3),
                    decimals(against, 3),
                    decimals(share.standard_error / hash, 3),
                ]);
                if hash == 0.1 {
                    points.push((error / 1_000.0, against));
                }
            }
        }
        let limit = seconds(rules.dates.limit);
        let name = if ahead > 0.0 {
            format!("limit {limit} s, beside 30 % of the hash power that dates ahead")
        } else {
            format!("limit {limit} s, all others by the rule")
        };
        lines.push(Series { name, mark: Mark::LineAndDots, points });
    }
    table.save(out, "clocks")?;
    plot(
        &out.join("clocks.png"),
        "Blocks of a miner with a tenth of the hash power whose clock is wrong",
        &Axis { title: "its clock is ahead by, seconds", range: -32.0..32.0, scale: Scale::Linear },
        &Axis { title: "blocks, against its part of the hash power", range: 0.0..1.6, scale: Scale::Linear },
        &lines,
    )
}

fn seconds(time: Milliseconds) -> String {
    decimals(time as f64 / 1_000.0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_clock_within_the_limit_costs_nobody_blocks() {
        let rules = Rules::testnet();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for error in [0.9, 1.0, -0.6] {
            let share = share(rules, 1.0 / 3.0, error * rules.limit(), 0.0, &mut rng);
            assert!((0.95..1.05).contains(&(share.mean * 3.0)), "{error}: {share:?}");
        }
    }
}
