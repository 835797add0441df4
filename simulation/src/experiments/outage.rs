//! A day without blocks.

use super::{equal, Outcome, HASH_RATE};
use crate::{
    chain::{Chain, Rules},
    plot::{plot, Axis, Mark, Scale, Series},
    table::{decimals, Table},
};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use weir_primitives::consensus::Difficulty;

/// Nobody mines for a day.
pub fn outage(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    const DAY: f64 = 86_400_000.0;
    let mut rules = Rules::public();
    rules.schedule.floor = Difficulty::from((HASH_RATE * rules.schedule.block_time as f64 / 100.0) as u64);
    let mut chain = Chain::settled(rules, equal(4, HASH_RATE, 0.0), &mut rng);
    let normal = chain.difficulty.0.low_u128() as f64;
    chain.now += DAY;
    let resumed = chain.now;
    let mut table = Table::new(&["minutes_after", "blocks", "difficulty_against_before"]);
    let mut points = vec![];
    let mut recovered = None;
    while chain.now - resumed < 3_600_000.0 {
        let made = chain.step(&mut rng);
        let minutes = (chain.now - resumed) / 60_000.0;
        points.push((minutes, made.base / normal));
        if recovered.is_none() && points.len() > 1 && made.base > normal / 2.0 {
            recovered = Some((minutes, points.len()));
        }
        table.row(vec![decimals(minutes, 3), points.len().to_string(), decimals(made.base / normal, 4)]);
    }
    table.write(out, "outage")?;
    if let Some((minutes, blocks)) = recovered {
        println!("\noutage: half of the difficulty from before is reached again after {minutes:.1} minutes and {blocks} blocks");
    }
    plot(
        &out.join("outage.png"),
        "Base difficulty after a day without blocks, floor at a hundredth",
        &Axis { title: "minutes after mining begins again", range: 0.0..60.0, scale: Scale::Linear },
        &Axis { title: "against the difficulty before", range: 0.005..3.0, scale: Scale::Logarithmic },
        &[Series { name: "base difficulty".into(), mark: Mark::Line, points }],
    )
}
