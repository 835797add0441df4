//! The weight that a chain makes of each hash.

use super::{equal, spread, Outcome, BANDWIDTH, BLOCKS, HASH_RATE};
use crate::{
    chain::{Author, Chain, Rules},
    plot::{plot, Axis, Mark, Scale, Series},
    table::{decimals, Table},
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// The weight that a chain makes of each hash, which is what a fork without bandwidth must beat.
pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let counts = [1, 2, 5, 10, 20, 32, 50, 64, 80, 100, 140, 200, 300];
    let mut table = Table::new(&["authors", "equal", "lognormal"]);
    let (mut even, mut uneven) = (vec![], vec![]);
    let mut sampler = ChaCha8Rng::from_rng(&mut rng)?;
    for count in counts {
        let mut of = |authors: Vec<Author>| {
            let mut chain = Chain::settled(Rules::testnet(), authors, &mut rng);
            for _ in 0..BLOCKS / 4 {
                chain.step(&mut rng);
            }
            chain.weight_per_hash()
        };
        let of_equal = of(equal(count, HASH_RATE, BANDWIDTH));
        // The mean of several spreads, since one is luck.
        let mut sum = 0.0;
        for authors in (0..5).map(|_| spread(count, 1.0, &mut sampler)) {
            sum += of(authors);
        }
        let of_spread = sum / 5.0;
        even.push((count as f64, of_equal));
        uneven.push((count as f64, of_spread));
        table.row(vec![count.to_string(), decimals(of_equal, 2), decimals(of_spread, 2)]);
    }
    table.save(out, "weight-per-hash")?;
    plot(
        &out.join("weight-per-hash.png"),
        "Weight per hash against the number of authors",
        &Axis { title: "authors", range: 1.0..300.0, scale: Scale::Logarithmic },
        &Axis { title: "weight per hash", range: 0.0..8.5, scale: Scale::Linear },
        &[
            Series { name: "equal hash power and bandwidth".into(), mark: Mark::LineAndDots, points: even },
            Series { name: "lognormal, sigma = 1".into(), mark: Mark::LineAndDots, points: uneven },
        ],
    )
}
