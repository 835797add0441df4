//! One party under many names.

use super::{block_shares, equal, Outcome, AUTHORS, BANDWIDTH, BLOCKS, HASH_RATE};
use crate::{
    chain::{Chain, Rules},
    table::{decimals, Table},
};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// One party with a fifth of both resources, split over ever more identities.
pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let part = 0.2;
    let mut table = Table::new(&["identities", "block_share"]);
    for count in [1, 2, 4, 8, 16, 32, 64] {
        let mut authors = equal(AUTHORS, (1.0 - part) * HASH_RATE, (1.0 - part) * BANDWIDTH);
        authors.extend(equal(count, part * HASH_RATE, part * BANDWIDTH));
        let mut chain = Chain::settled(Rules::testnet(), authors, &mut rng);
        let share: f64 = block_shares(&mut chain, BLOCKS, &mut rng)[AUTHORS..].iter().sum();
        table.row(vec![count.to_string(), decimals(share, 3)]);
    }
    Ok(table.save(out, "identities")?)
}
