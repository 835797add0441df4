//! Authors who have only one of the two resources.

use super::{block_shares, equal, Outcome, AUTHORS, BANDWIDTH, BLOCKS, HASH_RATE};
use crate::{
    chain::{Author, Chain, Rules},
    plot::{plot, Axis, Mark, Scale, Series},
    table::{decimals, Table},
};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// Somebody with hash power and no bandwidth, and somebody with bandwidth and hardly any hash power.
pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let mut table = Table::new(&["hash_against_honest", "bandwidth_share", "block_share"]);
    let mut by_hash = vec![];
    for hash in [0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0] {
        let mut authors = equal(AUTHORS, HASH_RATE, BANDWIDTH);
        authors.push(Author::new(hash * HASH_RATE, 0));
        let mut chain = Chain::settled(Rules::testnet(), authors, &mut rng);
        let share = block_shares(&mut chain, BLOCKS, &mut rng)[AUTHORS];
        by_hash.push((hash, share));
        table.row(vec![decimals(hash, 2), decimals(0.0, 2), decimals(share, 3)]);
    }
    for part in [0.1, 0.3, 0.5, 0.7, 0.9] {
        let mut authors = equal(AUTHORS, HASH_RATE, (1.0 - part) * BANDWIDTH);
        authors.push(Author::new(0.01 * HASH_RATE, (part * BANDWIDTH) as u64));
        let mut chain = Chain::settled(Rules::testnet(), authors, &mut rng);
        let share = block_shares(&mut chain, BLOCKS, &mut rng)[AUTHORS];
        table.row(vec![decimals(0.01, 2), decimals(part, 2), decimals(share, 3)]);
    }
    table.save(out, "one-resource")?;
    let plain = by_hash.iter().map(|(hash, _)| (*hash, hash / (1.0 + hash))).collect();
    plot(
        &out.join("one-resource.png"),
        "A miner without bandwidth among 32 authors who have it",
        &Axis { title: "its hash power, as a multiple of theirs", range: 0.1..16.0, scale: Scale::Logarithmic },
        &Axis { title: "its share of blocks", range: 0.0..1.25, scale: Scale::Linear },
        &[
            Series { name: "Weir".into(), mark: Mark::LineAndDots, points: by_hash },
            Series { name: "plain proof of work".into(), mark: Mark::Dashed, points: plain },
        ],
    )
}
