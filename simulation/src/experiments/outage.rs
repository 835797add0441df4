//! Nobody mines for a day. The difficulty falls to its floor with the first block after it.

use super::{equal, Outcome, HASH_RATE};
use crate::{
    chain::{Chain, ForkChoice, Rules},
    network::{Miner, Network},
    plot::{plot, Axis, Mark, Scale, Series},
    table::{decimals, Table},
};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use weir_primitives::consensus::Difficulty;

const DAY: f64 = 86_400_000.0;
const HOUR: f64 = 3_600_000.0;
const MINUTE: f64 = 60_000.0;

/// A chain whose difficulty is above its floor by as much as the preset's first one, after a day without blocks.
fn after_a_day(rng: &mut ChaCha8Rng) -> Chain {
    let mut rules = Rules::testnet();
    let usual = HASH_RATE * rules.schedule.block_time as f64;
    rules.schedule.floor = Difficulty::from((usual / rules.initial_over_floor as f64) as u64);
    let mut chain = Chain::settled(rules, equal(4, HASH_RATE, 0.0), rng);
    chain.now += DAY;
    chain
}

pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let mut chain = after_a_day(&mut rng);
    let before = chain.difficulty.0.low_u128() as f64;
    let resumed = chain.now;
    // Two miners, since a block of one's own is no question of fork choice.
    let miners = vec![Miner::honest(0..2), Miner::honest(2..4)];
    let mut network = Network::new(chain.clone(), miners, 0.0, &mut rng);
    let mut table = Table::new(&["blocks", "minutes_after", "difficulty_against_before", "heavier_as_a_branch"]);
    let mut points = vec![];
    let mut recovered = None;
    while network.now - resumed < HOUR {
        network.run_to(0, chain.number + 1, &mut rng);
        let grown = network.chain(0).clone();
        let (minutes, difficulty) = ((grown.now - resumed) / MINUTE, grown.base.0.low_u128() as f64 / before);
        points.push((minutes, difficulty));
        let is_heavier = ForkChoice::Margin.replaces(grown.weight, chain.head());
        let is_recovered = recovered.is_none() && points.len() > 1 && difficulty > 0.5;
        if points.len() <= 5 || is_recovered {
            let heavier = if is_heavier { "yes" } else { "no" };
            table.row(vec![points.len().to_string(), decimals(minutes, 2), decimals(difficulty, 4), heavier.into()]);
        }
        if is_recovered {
            recovered = Some(minutes);
        }
        chain = grown;
    }
    table.save(out, "outage")?;
    plot(
        &out.join("outage.png"),
        "Base difficulty after a day without blocks, floor at a hundredth",
        &Axis { title: "minutes after mining begins again", range: 0.0..60.0, scale: Scale::Linear },
        &Axis { title: "against the difficulty before", range: 0.005..3.0, scale: Scale::Logarithmic },
        &[Series { name: "base difficulty".into(), mark: Mark::Line, points }],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_block_of_a_hundredth_of_its_parent_becomes_best_although_no_branch_of_its_weight_would() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let chain = after_a_day(&mut rng);
        let miners = vec![Miner::honest(0..2), Miner::honest(2..4)];
        let mut network = Network::new(chain.clone(), miners, 0.0, &mut rng);
        network.run_to(0, chain.number + 1, &mut rng);
        let first = network.chain(0).clone();
        network.run_to(0, chain.number + 2, &mut rng);
        let light = network.chain(0).clone();
        assert_eq!(light.base, first.rules.schedule.floor);
        assert!(!ForkChoice::Margin.replaces(light.weight, first.head()));
        for view in 0..2 {
            network.run_to(view, chain.number + 10, &mut rng);
            assert!(network.reorganisations(view).is_empty());
        }
    }
}
