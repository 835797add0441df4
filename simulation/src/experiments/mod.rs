//! What the rules buy, and what they do not. One experiment a file; its results have the file's name.
//!
//! The experiments on the consensus stand here, those on measurement in [`committee`] and [`registry`], those on votes in
//! [`finality`].

mod clocks;
mod combined_attacks;
mod committee;
mod finality;
mod forward_dating;
mod identities;
mod one_resource;
mod outage;
mod private_forks;
mod registry;
mod reorganisations;
mod selfish_mining;
mod shares;
mod shocks;
mod weight_per_hash;

pub use committee::COMMITTEE;
pub use finality::FINALITY;
pub use registry::REGISTRY;

use crate::{
    chain::{Author, Chain},
    random::lognormal,
    statistics::Estimate,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::{error::Error, path::Path};

/// Hashes per millisecond of everyone honest together.
const HASH_RATE: f64 = 1_000_000.0;
/// Bits per second of everyone together: a hundred times the least total of the `testnet` preset.
const BANDWIDTH: f64 = 1e12;
/// Honest authors, where nothing else is said.
const AUTHORS: usize = 32;
/// Blocks over which a share is counted, where nothing else is said.
const BLOCKS: u32 = 12_000;

pub type Outcome = Result<(), Box<dyn Error>>;

/// Something that is simulated.
pub struct Experiment {
    /// Also the name of its results.
    pub name: &'static str,
    run: fn(&Path, ChaCha8Rng) -> Outcome,
}

/// All experiments on the consensus.
pub const CONSENSUS: [Experiment; 12] = [
    Experiment { name: "shares", run: shares::run },
    Experiment { name: "identities", run: identities::run },
    Experiment { name: "one-resource", run: one_resource::run },
    Experiment { name: "weight-per-hash", run: weight_per_hash::run },
    Experiment { name: "forward-dating", run: forward_dating::run },
    Experiment { name: "clocks", run: clocks::run },
    Experiment { name: "selfish-mining", run: selfish_mining::run },
    Experiment { name: "combined-attacks", run: combined_attacks::run },
    Experiment { name: "private-forks", run: private_forks::run },
    Experiment { name: "reorganisations", run: reorganisations::run },
    Experiment { name: "shocks", run: shocks::run },
    Experiment { name: "outage", run: outage::run },
];

impl Experiment {
    /// Runs it, and writes its results into a folder.
    pub fn run(&self, out: &Path, seed: u64) -> Outcome {
        // Each has a stream of its own, so that one more sample in one of them changes nothing in the others.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(self.name.bytes().fold(0, |stream, byte| stream.wrapping_mul(131) + u64::from(byte)));
        (self.run)(out, rng)
    }
}

/// Authors with equal parts of a total.
fn equal(count: usize, hash_rate: f64, bandwidth: f64) -> Vec<Author> {
    vec![Author::new(hash_rate / count as f64, (bandwidth / count as f64) as u64); count]
}

/// Honest authors, and behind them one with a part of all hash power and of all bandwidth.
///
/// Where the honest have no bandwidth they are one author: without credit only the sum of their hash power matters.
fn honest_and_one(hash: f64, bandwidth: f64, honest_bandwidth: f64) -> Vec<Author> {
    let count = if honest_bandwidth > 0.0 { AUTHORS } else { 1 };
    let mut authors = equal(count, (1.0 - hash) * HASH_RATE, honest_bandwidth * BANDWIDTH);
    authors.push(Author::new(hash * HASH_RATE, (bandwidth * BANDWIDTH) as u64));
    authors
}

/// Authors whose hash power and bandwidth are lognormal and independent of each other.
fn spread(count: usize, sigma: f64, rng: &mut ChaCha8Rng) -> Vec<Author> {
    let (hash, bandwidth): (Vec<f64>, Vec<f64>) =
        (0..count).map(|_| (lognormal(rng, sigma), lognormal(rng, sigma))).unzip();
    let (all_hash, all_bandwidth): (f64, f64) = (hash.iter().sum(), bandwidth.iter().sum());
    hash.iter()
        .zip(&bandwidth)
        .map(|(h, b)| Author::new(h / all_hash * HASH_RATE, (b / all_bandwidth * BANDWIDTH) as u64))
        .collect()
}

/// Which part of the blocks one author of a settled chain makes, if all mine by the rules.
fn author_share(chain: &mut Chain, author: usize, blocks: usize, rng: &mut ChaCha8Rng) -> Estimate {
    const BATCHES: usize = 20;
    let length = blocks / BATCHES;
    let batches: Vec<f64> = (0..BATCHES)
        .map(|_| (0..length).filter(|_| chain.step(rng) == author).count() as f64 / length as f64)
        .collect();
    Estimate::from_batches(&batches)
}

/// Which part of the blocks each author of a settled chain makes, if all mine by the rules.
fn block_shares(chain: &mut Chain, blocks: u32, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut made = vec![0usize; chain.authors.len()];
    for _ in 0..blocks {
        made[chain.step(rng)] += 1;
    }
    made.iter().map(|count| *count as f64 / f64::from(blocks)).collect()
}
