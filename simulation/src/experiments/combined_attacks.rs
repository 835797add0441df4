//! Dating ahead together with withholding, and with credit that was saved for a burst: what two attacks gain beyond the
//! better one of them alone.

use super::{honest_and_one, selfish_mining::Withholding, Outcome};
use crate::{
    chain::{Chain, Dating, ForkChoice, Rules},
    network::{Miner, Network, Policy},
    statistics::Estimate,
    table::{decimals, Table},
};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// Blocks over which a share is counted.
const BLOCKS: u32 = 100_000;

/// The share of blocks of a miner who withholds nothing.
fn share_published(chain: &Chain, policy: Policy, saves: bool, rng: &mut ChaCha8Rng) -> Estimate {
    let one = chain.authors.len() - 1;
    let miners = vec![Miner::honest(0..one), Miner { policy, saves, ..Miner::honest(one..one + 1) }];
    let mut network = Network::new(chain.clone(), miners, 0.0, rng);
    network.run_to(0, chain.number + BLOCKS, rng);
    network.share(0, one..one + 1)
}

/// The share of blocks of a pool that withholds, with some dates.
fn share_withheld(chain: &Chain, dating: Dating, gamma: f64, rng: &mut ChaCha8Rng) -> Estimate {
    let withholding = Withholding { fork_choice: ForkChoice::Margin, dating, gamma };
    withholding.share(chain, BLOCKS as usize, rng)
}

pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    with_withholding(out, &mut rng)?;
    with_credit(out, &mut rng)
}

fn with_withholding(out: &Path, rng: &mut ChaCha8Rng) -> Outcome {
    let mut table = Table::new(&[
        "hash_share",
        "bandwidth_share",
        "gamma",
        "by_the_rules",
        "dating_ahead",
        "withholding",
        "both",
        "gain_over_better",
        "standard_error",
    ]);
    for (hash, bandwidth, honest_bandwidth) in
        [(0.2, 0.0, 0.0), (0.3, 0.0, 0.0), (0.4, 0.0, 0.0), (0.2, 0.2, 0.8), (0.3, 0.3, 0.7), (0.2, 0.5, 0.5)]
    {
        let chain = Chain::settled(Rules::testnet(), honest_and_one(hash, bandwidth, honest_bandwidth), rng);
        let honest = share_published(&chain, Policy::Rule, false, rng);
        let ahead = share_published(&chain, Policy::DatesAhead, false, rng);
        for gamma in [0.0, 0.5] {
            let withheld = share_withheld(&chain, Dating::True, gamma, rng);
            let both = share_withheld(&chain, Dating::Late, gamma, rng);
            table.row(row(hash, bandwidth, Some(gamma), [honest, ahead, withheld, both]));
        }
    }
    Ok(table.save(out, "dating-and-withholding")?)
}

fn with_credit(out: &Path, rng: &mut ChaCha8Rng) -> Outcome {
    let mut table = Table::new(&[
        "hash_share",
        "bandwidth_share",
        "by_the_rules",
        "dating_ahead",
        "bursts",
        "both",
        "gain_over_better",
        "standard_error",
    ]);
    for (hash, bandwidth) in [(0.1, 0.1), (0.2, 0.2), (0.3, 0.3), (0.1, 0.3), (0.1, 0.5), (0.3, 0.5)] {
        let chain = Chain::settled(Rules::testnet(), honest_and_one(hash, bandwidth, 1.0 - bandwidth), rng);
        let cases =
            [(Policy::Rule, false), (Policy::DatesAhead, false), (Policy::Rule, true), (Policy::DatesAhead, true)];
        let shares = cases.map(|(policy, saves)| share_published(&chain, policy, saves, rng));
        table.row(row(hash, bandwidth, None, shares));
    }
    Ok(table.save(out, "dating-and-credit")?)
}

/// Shares by the rules, of two attacks, and of both together.
fn row(hash: f64, bandwidth: f64, gamma: Option<f64>, shares: [Estimate; 4]) -> Vec<String> {
    let [honest, first, second, both] = shares;
    let better = if first.mean > second.mean { first } else { second };
    let better = if honest.mean > better.mean { honest } else { better };
    let mut cells = vec![decimals(hash, 1), decimals(bandwidth, 1)];
    cells.extend(gamma.map(|gamma| decimals(gamma, 1)));
    cells.extend(shares.map(|share| decimals(share.mean, 3)));
    cells.push(decimals(both.mean - better.mean, 3));
    cells.push(decimals(both.standard_error.hypot(better.standard_error), 3));
    cells
}
