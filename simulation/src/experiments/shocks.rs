//! How long the difficulty takes to follow when hash power rises a hundredfold, and falls again.

use super::{equal, Outcome, HASH_RATE};
use crate::{
    chain::{Chain, Rules},
    plot::{plot, Axis, Mark, Scale, Series},
    table::{decimals, Table},
};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

const HOUR: f64 = 3_600_000.0;
const MINUTE: f64 = 60_000.0;
const FACTOR: f64 = 100.0;
/// When the shock comes, when it ends, and until when is watched, in hours.
const RISES: f64 = 1.0;
const FALLS: f64 = 4.0;
const END: f64 = 12.0;

/// One block.
struct Point {
    hours: f64,
    interval: f64,
    difficulty: f64,
}

fn shock(rules: Rules, rng: &mut ChaCha8Rng) -> Vec<Point> {
    let mut chain = Chain::settled(rules, equal(4, HASH_RATE, 0.0), rng);
    let begun = chain.now;
    let mut points = vec![];
    for (factor, until) in [(1.0, RISES), (FACTOR, FALLS), (1.0, END)] {
        for author in &mut chain.authors {
            author.hash_rate = HASH_RATE / 4.0 * factor;
        }
        while (chain.now - begun) / HOUR < until {
            let before = chain.now;
            chain.step(rng);
            points.push(Point {
                hours: (chain.now - begun) / HOUR,
                interval: chain.now - before,
                difficulty: chain.base.0.low_u128() as f64,
            });
        }
    }
    points
}

pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let mut table = Table::new(&[
        "half_life_blocks",
        "minutes_up_to_half",
        "surplus_blocks",
        "minutes_down_to_double",
        "slowest_block_minutes",
    ]);
    let mut lines = vec![];
    for blocks in [60, 200, 600] {
        let rules = Rules::testnet().with_half_life(blocks);
        let wanted = HASH_RATE * rules.schedule.block_time as f64;
        let points = shock(rules, &mut rng);
        let minutes_until = |from: f64, is_there: &dyn Fn(f64) -> bool| {
            let there = points.iter().find(|point| point.hours > from && is_there(point.difficulty));
            there.map_or("never".into(), |point| decimals((point.hours - from) * HOUR / MINUTE, 1))
        };
        let in_shock = points.iter().filter(|point| (RISES..FALLS).contains(&point.hours)).count() as f64;
        let slowest =
            points.iter().filter(|point| point.hours >= FALLS).map(|point| point.interval).fold(0.0, f64::max);
        table.row(vec![
            blocks.to_string(),
            minutes_until(RISES, &|difficulty| difficulty > FACTOR * wanted / 2.0),
            decimals(in_shock - (FALLS - RISES) * HOUR / rules.schedule.block_time as f64, 0),
            minutes_until(FALLS, &|difficulty| difficulty < 2.0 * wanted),
            decimals(slowest / MINUTE, 1),
        ]);
        lines.push(Series {
            name: format!("half-life {blocks} blocks"),
            mark: Mark::Line,
            points: points.iter().map(|point| (point.hours, point.difficulty / wanted)).collect(),
        });
    }
    let steps = [(0.0, 1.0), (RISES, 1.0), (RISES, FACTOR), (FALLS, FACTOR), (FALLS, 1.0), (END, 1.0)];
    lines.push(Series { name: "hash power".into(), mark: Mark::Dashed, points: steps.to_vec() });
    table.save(out, "shocks")?;
    plot(
        &out.join("shocks.png"),
        "Base difficulty when hash power rises a hundredfold, and falls again",
        &Axis { title: "hours", range: 0.0..END, scale: Scale::Linear },
        &Axis { title: "against before the shock", range: 0.3..400.0, scale: Scale::Logarithmic },
        &lines,
    )
}
