//! Shares of blocks among authors of all sizes.

use super::{block_shares, spread, Outcome, AUTHORS, BANDWIDTH, BLOCKS, HASH_RATE};
use crate::{
    chain::{Chain, Rules},
    plot::{plot, Axis, Mark, Scale, Series},
    table::{decimals, Table},
};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// The share of blocks of authors with all kinds of shares of hash power and bandwidth.
pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let authors = spread(AUTHORS, 1.0, &mut rng);
    let mut chain = Chain::settled(Rules::testnet(), authors.clone(), &mut rng);
    let made = block_shares(&mut chain, BLOCKS, &mut rng);
    let mut table = Table::new(&["hash_share", "bandwidth_share", "block_share"]);
    let (mut by_hash, mut by_bandwidth) = (vec![], vec![]);
    for (author, share) in authors.iter().zip(&made) {
        let (hash, bandwidth) = (author.hash_rate / HASH_RATE, author.bits_per_second as f64 / BANDWIDTH);
        table.row(vec![decimals(hash, 4), decimals(bandwidth, 4), decimals(*share, 4)]);
        by_hash.push((hash, *share));
        by_bandwidth.push((bandwidth, *share));
    }
    table.save(out, "shares")?;
    let most = by_hash.iter().chain(&by_bandwidth).fold(0.0f64, |most, (x, y)| most.max(*x).max(*y)) * 1.08;
    plot(
        &out.join("shares.png"),
        "Share of blocks, 32 authors with lognormal hash power and bandwidth",
        &Axis { title: "share of hash power, or of bandwidth", range: 0.0..most, scale: Scale::Linear },
        &Axis { title: "share of blocks", range: 0.0..most, scale: Scale::Linear },
        &[
            Series { name: "against hash power".into(), mark: Mark::Dots, points: by_hash },
            Series { name: "against bandwidth".into(), mark: Mark::Dots, points: by_bandwidth },
            Series { name: "equal".into(), mark: Mark::Dashed, points: vec![(0.0, 0.0), (0.8 * most, 0.8 * most)] },
        ],
    )
}
