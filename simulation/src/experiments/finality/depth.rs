//! How far back reorganisations reach, against the distance that votes keep: so many blocks behind the best one, and imported
//! so many block times ago.
//!
//! Watched are honest miners, honest miners whose hash power has risen a hundredfold, and honest miners beside a pool that
//! withholds its blocks. A reorganisation that takes back a block which is far enough behind by both measures takes back what
//! its miner might have voted for. It takes two thirds of the votes for such a block to be final, so that this is an upper
//! bound: nobody follows a branch that leaves a final block.

use super::super::{
    equal, honest_and_one,
    reorganisations::shock,
    selfish_mining::{Settled, Withholding},
    Outcome, HASH_RATE,
};
use crate::{
    chain::{Chain, Dating, ForkChoice, Rules},
    network::{Miner, Network, Policy, Reorganisation},
    plot::{plot, Axis, Mark, Scale, Series},
    statistics::Estimate,
    table::{decimals, Table},
};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use weir_primitives::BlockNumber;
use weir_runtime::genesis;

const MINERS: usize = 10;
/// From one miner to another, in milliseconds.
const DELAYS: [f64; 3] = [200.0, 1_000.0, 4_000.0];
/// Runs of honest miners, and the blocks of each.
const RUNS: usize = 20;
const BLOCKS: BlockNumber = 40_000;
/// Shocks that the mean is taken of.
const SHOCKS: usize = 20;
/// Blocks that stay, beside each pool.
const BLOCKS_BESIDE_POOL: usize = 400_000;
/// In a tie this part of the honest hash power has the pool's block first.
const GAMMA: f64 = 0.5;

/// What miners saw while their best chains grew.
struct Seen {
    /// By how many blocks, of all miners together.
    blocks: usize,
    /// Of all miners.
    reorganisations: Vec<Reorganisation>,
}

impl From<&Network> for Seen {
    fn from(network: &Network) -> Self {
        Self {
            blocks: (0..MINERS).map(|view| network.canonical_authors(view).len()).sum(),
            reorganisations: (0..MINERS).flat_map(|view| network.reorganisations(view)).copied().collect(),
        }
    }
}

impl From<Settled> for Seen {
    fn from(Settled { all, reorganisations, .. }: Settled) -> Self {
        Self { blocks: all, reorganisations }
    }
}

/// Runs of one case.
struct Case {
    /// Its name, the delay in milliseconds, the pool's part of the hash power, and how it dates.
    cells: [String; 4],
    runs: Vec<Seen>,
}

impl Case {
    fn honest(delay: f64, rng: &mut ChaCha8Rng) -> Self {
        let mut run = || {
            let chain = Chain::settled(Rules::testnet(), equal(MINERS, HASH_RATE, 0.0), rng);
            let end = chain.number + BLOCKS;
            let miners = (0..MINERS).map(|author| Miner::honest(author..author + 1)).collect();
            let mut network = Network::new(chain, miners, delay, rng);
            network.run_to(0, end, rng);
            Seen::from(&network)
        };
        let cells = ["honest".into(), decimals(delay, 0), decimals(0.0, 1), Dating::True.name().into()];
        Self { cells, runs: (0..RUNS).map(|_| run()).collect() }
    }

    fn shock(delay: f64, rng: &mut ChaCha8Rng) -> Self {
        let runs = (0..SHOCKS).map(|_| Seen::from(&shock(|_| Policy::Rule, MINERS, delay, rng))).collect();
        Self { cells: ["shock".into(), decimals(delay, 0), decimals(0.0, 1), Dating::True.name().into()], runs }
    }

    fn withheld(hash: f64, dating: Dating, rng: &mut ChaCha8Rng) -> Self {
        let chain = Chain::settled(Rules::testnet(), honest_and_one(hash, 0.0, 0.0), rng);
        let withholding = Withholding { fork_choice: ForkChoice::Margin, dating, gamma: GAMMA };
        let batches = withholding.batches(&chain, BLOCKS_BESIDE_POOL, rng);
        let cells = ["withheld".into(), decimals(0.0, 0), decimals(hash, 1), dating.name().into()];
        Self { cells, runs: batches.into_iter().map(Seen::from).collect() }
    }

    fn all(rng: &mut ChaCha8Rng) -> Vec<Self> {
        let mut cases: Vec<Self> = DELAYS.iter().map(|delay| Self::honest(*delay, rng)).collect();
        cases.extend(DELAYS.iter().map(|delay| Self::shock(*delay, rng)));
        for hash in [0.2, 0.3, 0.4] {
            cases.extend(Dating::ALL.iter().map(|dating| Self::withheld(hash, *dating, rng)));
        }
        cases
    }

    /// How many of its reorganisations there are to a thousand blocks.
    fn per_thousand(&self, is_counted: impl Fn(&Reorganisation) -> bool) -> Estimate {
        let rate = |seen: &Seen| {
            let counted = seen.reorganisations.iter().filter(|it| is_counted(it)).count();
            counted as f64 * 1_000.0 / seen.blocks as f64
        };
        Estimate::from_batches(&self.runs.iter().map(rate).collect::<Vec<_>>())
    }

    fn most(&self, of: impl Fn(&Reorganisation) -> f64) -> f64 {
        self.runs.iter().flat_map(|seen| &seen.reorganisations).map(of).fold(0.0, f64::max)
    }
}

/// A distance that votes keep.
#[derive(Clone, Copy)]
struct Distance {
    /// In blocks, and in block times.
    behind: BlockNumber,
    /// In milliseconds.
    block_time: f64,
}

impl Distance {
    /// Whether something is taken back that is this many blocks behind the best one.
    fn is_too_few_blocks(self, it: &Reorganisation) -> bool {
        it.blocks > self.behind
    }

    /// Whether something is taken back that was imported this many block times ago.
    fn is_too_little_time(self, it: &Reorganisation) -> bool {
        it.oldest >= f64::from(self.behind) * self.block_time
    }

    /// Whether something is taken back that might have been voted for: the oldest block is also the one with the most above it.
    fn is_too_little(self, it: &Reorganisation) -> bool {
        self.is_too_few_blocks(it) && self.is_too_little_time(it)
    }
}

pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let behind = genesis::testnet().finality.votes_behind;
    let block_time = Rules::testnet().schedule.block_time as f64;
    let rule = Distance { behind, block_time };
    let cases = Case::all(&mut rng);
    let mut table = Table::new(&[
        "case",
        "delay_ms",
        "hash_share",
        "dating",
        "blocks_watched",
        "reorganisations",
        "too_few_blocks",
        "too_little_time",
        "both",
        "standard_error",
        "most_blocks",
        "oldest_s",
    ]);
    for case in &cases {
        let both = case.per_thousand(|it| rule.is_too_little(it));
        let mut cells = case.cells.to_vec();
        cells.extend([
            case.runs.iter().map(|seen| seen.blocks).sum::<usize>().to_string(),
            decimals(case.per_thousand(|_| true).mean, 2),
            decimals(case.per_thousand(|it| rule.is_too_few_blocks(it)).mean, 4),
            decimals(case.per_thousand(|it| rule.is_too_little_time(it)).mean, 4),
            decimals(both.mean, 4),
            decimals(both.standard_error, 4),
            decimals(case.most(|it| f64::from(it.blocks)), 0),
            decimals(case.most(|it| it.oldest) / 1_000.0, 0),
        ]);
        table.row(cells);
    }
    table.save(out, "depth")?;
    println!(
        "Reorganisations to a thousand blocks, of one miner. Too few blocks: it takes back more than {behind} blocks. Too \
         little time: the oldest of them was imported {behind} block times ago or earlier."
    );
    draw(out, &cases, rule)
}

/// How often something is taken back that is far enough behind, by what is far enough.
fn draw(out: &Path, cases: &[Case], rule: Distance) -> Outcome {
    const DEEPEST: BlockNumber = 40;
    const LEAST: f64 = 5e-4;
    const MOST: f64 = 300.0;
    let shown = cases.iter().filter_map(|case| {
        let [name, delay, hash, dating] = &case.cells;
        let name = match (name.as_str(), delay.as_str()) {
            ("withheld", _) if dating == Dating::True.name() => format!("{hash} of the hash power withheld"),
            ("honest", "4000") | ("shock", "1000" | "4000") => format!("{name}, {delay} ms"),
            // Where blocks travel faster, lines end near zero.
            _ => return None,
        };
        let rate = |behind| case.per_thousand(|it| Distance { behind, ..rule }.is_too_little(it)).mean;
        let points: Vec<_> = (0..=DEEPEST).map(|behind| (f64::from(behind), rate(behind))).collect();
        let points = points.into_iter().filter(|(_, rate)| *rate >= LEAST).collect();
        Some(Series { name, mark: Mark::Line, points })
    });
    let mut lines: Vec<Series> = shown.collect();
    let behind = f64::from(rule.behind);
    lines.push(Series { name: "the rule".into(), mark: Mark::Dashed, points: vec![(behind, LEAST), (behind, MOST)] });
    plot(
        &out.join("depth.png"),
        "Reorganisations that take back a block far enough behind for votes",
        &Axis { title: "distance, blocks and block times", range: 0.0..f64::from(DEEPEST), scale: Scale::Linear },
        &Axis { title: "to a thousand blocks", range: LEAST..MOST, scale: Scale::Logarithmic },
        &lines,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_far_enough_behind_by_its_depth_and_by_its_age() {
        let rule = Distance { behind: 8, block_time: 6_000.0 };
        let counted = |blocks, oldest| rule.is_too_little(&Reorganisation { blocks, oldest });
        // Of nine blocks that are taken back the oldest is eight behind the best one.
        assert!(counted(9, 48_000.0) && !counted(8, 48_000.0) && !counted(9, 47_999.0));
    }

    #[test]
    fn rates_are_those_of_each_run_and_for_one_miner() {
        let seen =
            |count, blocks| Seen { blocks, reorganisations: vec![Reorganisation { blocks: 1, oldest: 0.0 }; count] };
        let case = Case { cells: Default::default(), runs: vec![seen(3, 1_000), seen(2, 2_000)] };
        assert_eq!(case.per_thousand(|_| true).mean, 2.0);
    }
}
