//! What the hybrid consensus buys, and what it does not. One experiment a file.

mod identities;
mod one_resource;
mod outage;
mod private_forks;
mod selfish_mining;
mod shares;
mod shocks;
mod weight_per_hash;

use crate::chain::{lognormal, Author, Chain};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::{error::Error, path::Path};

/// Hashes per millisecond of everyone honest together.
const HASH_RATE: f64 = 1_000_000.0;
/// Mbit/s of everyone together.
const BANDWIDTH: f64 = 1_000_000.0;
/// Honest authors, where nothing else is said.
const AUTHORS: usize = 32;
/// Blocks over which a share is counted.
const BLOCKS: usize = 12_000;

pub type Outcome = Result<(), Box<dyn Error>>;
type Experiment = fn(&Path, ChaCha8Rng) -> Outcome;

/// Runs all of them.
pub fn simulate(out: &Path, seed: u64) -> Outcome {
    let experiments: [(&str, Experiment); 8] = [
        ("shares of blocks", shares::shares),
        ("identities", identities::identities),
        ("attackers with one resource", one_resource::one_resource),
        ("weight per hash", weight_per_hash::weight_per_hash),
        ("private forks", private_forks::private_forks),
        ("selfish mining", selfish_mining::selfish_mining),
        ("shocks", shocks::shocks),
        ("an outage", outage::outage),
    ];
    for (index, (name, experiment)) in experiments.into_iter().enumerate() {
        eprintln!("simulating {name} ({} of {})", index + 1, experiments.len());
        // Each has its own stream, so that one more sample in the first changes nothing in the second.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(index as u64);
        experiment(out, rng)?;
    }
    Ok(())
}

/// Authors with equal parts of a total.
fn equal(count: usize, hash_rate: f64, bandwidth: f64) -> Vec<Author> {
    vec![Author::new(hash_rate / count as f64, (bandwidth / count as f64) as u64); count]
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

/// Which part of the blocks each author of a settled chain makes.
fn block_shares(chain: &mut Chain, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut made = vec![0usize; chain.authors.len()];
    for _ in 0..BLOCKS {
        made[chain.step(rng).author] += 1;
    }
    made.iter().map(|count| *count as f64 / BLOCKS as f64).collect()
}

fn total_rate(chain: &Chain, authors: std::ops::Range<usize>) -> f64 {
    authors.map(|author| chain.rate(author)).sum()
}

fn pick(chain: &Chain, authors: std::ops::Range<usize>, rng: &mut ChaCha8Rng) -> usize {
    let rates: Vec<f64> = authors.clone().map(|author| chain.rate(author)).collect();
    authors.start + crate::chain::draw(rng, &rates, rates.iter().sum())
}
