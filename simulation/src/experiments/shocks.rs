//! A change of hash power, and the difficulty that follows it.

use super::{equal, Outcome, HASH_RATE};
use crate::{
    chain::{Chain, Rules},
    plot::{plot, Axis, Mark, Scale, Series},
    table::{decimals, Table},
};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// The hash power changes a hundredfold, up and down.
pub fn shocks(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let mut chain = Chain::settled(Rules::public(), equal(4, HASH_RATE, 0.0), &mut rng);
    let begun = chain.now;
    let hours = |now: f64| (now - begun) / 3_600_000.0;
    let mut table = Table::new(&["hours", "height", "difficulty", "interval_ms"]);
    let mut points = vec![];
    let mut ideal = vec![];
    for (factor, until) in [(1.0, 1.0), (100.0, 3.0), (1.0, 12.0)] {
        for author in &mut chain.authors {
            author.hash_rate = HASH_RATE / 4.0 * factor;
        }
        let wanted = HASH_RATE * factor * chain.rules.schedule.block_time as f64;
        ideal.extend([(hours(chain.now), wanted), (until, wanted)]);
        while hours(chain.now) < until {
            let before = chain.now;
            let made = chain.step(&mut rng);
            points.push((hours(chain.now), made.base));
            table.row(vec![
                decimals(hours(chain.now), 4),
                chain.number.to_string(),
                decimals(made.base, 0),
                decimals(chain.now - before, 0),
            ]);
        }
    }
    table.write(out, "shocks")?;
    plot(
        &out.join("shocks.png"),
        "Base difficulty when hash power rises a hundredfold, and falls again",
        &Axis { title: "hours", range: 0.0..12.0, scale: Scale::Linear },
        &Axis { title: "base difficulty, hashes", range: 1e9..2e12, scale: Scale::Logarithmic },
        &[
            Series { name: "base difficulty".into(), mark: Mark::Line, points },
            Series { name: "hash power × block time".into(), mark: Mark::Dashed, points: ideal },
        ],
    )
}
