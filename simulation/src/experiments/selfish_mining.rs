//! Pools that withhold their blocks.

use super::{block_shares, equal, pick, total_rate, Outcome, AUTHORS, BANDWIDTH, BLOCKS, HASH_RATE};
use crate::{
    chain::{exponential, Author, Chain, Dating, Rules},
    plot::{plot, Axis, Mark, Scale, Series},
    table::{decimals, Table},
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// The bandwidth of somebody with a share of hash power.
type BandwidthOf = fn(f64) -> f64;

/// A pool that withholds its blocks (Eyal and Sirer, arXiv 1311.0243), half of the honest following it in a tie.
pub fn selfish_mining(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let mut table = Table::new(&["hash_share", "bandwidth_share", "blocks_honestly", "blocks_selfishly"]);
    let kinds: [(&str, BandwidthOf); 3] =
        [("no bandwidth", |_| 0.0), ("as much bandwidth as hash", |hash| hash), ("half of the bandwidth", |_| 0.5)];
    let mut lines = vec![];
    for (name, bandwidth_of) in kinds {
        let mut gains = vec![];
        for hash in [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45] {
            let bandwidth = bandwidth_of(hash);
            let mut authors = equal(AUTHORS, (1.0 - hash) * HASH_RATE, (1.0 - bandwidth) * BANDWIDTH);
            authors.push(Author::new(hash * HASH_RATE, (bandwidth * BANDWIDTH) as u64));
            let mut chain = Chain::settled(Rules::public(), authors, &mut rng);
            let honestly = block_shares(&mut chain.clone(), &mut rng)[AUTHORS];
            let selfishly = selfish_share(&mut chain, &mut rng);
            gains.push((hash, selfishly / honestly));
            table.row(vec![decimals(hash, 2), decimals(bandwidth, 2), decimals(honestly, 3), decimals(selfishly, 3)]);
        }
        lines.push(Series { name: name.into(), mark: Mark::LineAndDots, points: gains });
    }
    lines.push(Series { name: "mining honestly".into(), mark: Mark::Dashed, points: vec![(0.0, 1.0), (0.5, 1.0)] });
    table.save(out, "selfish-mining")?;
    plot(
        &out.join("selfish-mining.png"),
        "What withholding blocks gains, half of the honest following in a tie",
        &Axis { title: "share of hash power", range: 0.0..0.5, scale: Scale::Linear },
        &Axis { title: "blocks, against mining honestly", range: 0.0..2.0, scale: Scale::Linear },
        &lines,
    )
}

/// The share of a selfish pool, the last author, in the blocks that stay.
fn selfish_share(public: &mut Chain, rng: &mut ChaCha8Rng) -> f64 {
    const POOL: usize = AUTHORS;
    let (mut of_pool, mut of_all) = (0usize, 0usize);
    // What the pool has built in secret since the fork, and how many blocks the honest have built there.
    let mut private: Option<(Chain, u32)> = None;
    let mut honest_since = 0u32;
    // In a tie both branches are public.
    let mut is_tie = false;
    let mut clock = public.now;
    while of_all < BLOCKS {
        let secret = private.as_ref().map_or(&*public, |(chain, _)| chain);
        // Each waits until its own parent is old enough; then their searches have no memory.
        let pools = clock.max(secret.earliest() as f64) + exponential(rng, secret.rate(POOL));
        let honests = clock.max(public.earliest() as f64) + exponential(rng, total_rate(public, 0..POOL));
        let now = pools.min(honests);
        clock = now;
        if pools < honests {
            let (mut chain, length) = private.take().unwrap_or_else(|| (public.clone(), 0));
            chain.now = now;
            chain.append(POOL, Dating::Truly);
            if is_tie {
                // Ours is longer, and is shown.
                of_pool += length as usize + 1;
                of_all += length as usize + 1;
                *public = chain;
                (is_tie, honest_since) = (false, 0);
            } else {
                private = Some((chain, length + 1));
            }
            continue;
        }
        let author = pick(public, 0..POOL, rng);
        if is_tie && rng.gen::<bool>() {
            // Found on the pool's branch, which wins with it.
            if let Some((mut chain, length)) = private.take() {
                chain.now = now;
                chain.append(author, Dating::Truly);
                of_pool += length as usize;
                of_all += length as usize + 1;
                *public = chain;
                (is_tie, honest_since) = (false, 0);
                continue;
            }
        }
        public.now = now;
        public.append(author, Dating::Truly);
        honest_since += 1;
        match private.take() {
            None => {
                of_all += 1;
                honest_since = 0;
            },
            Some((_, length)) if is_tie || length < honest_since => {
                // The honest branch is longer: the pool gives up.
                of_all += honest_since as usize;
                (is_tie, honest_since) = (false, 0);
            },
            Some((chain, length)) if length == honest_since => {
                is_tie = true;
                private = Some((chain, length));
            },
            Some((chain, length)) if length == honest_since + 1 => {
                // One ahead is too little to go on: all is shown, and wins.
                of_pool += length as usize;
                of_all += length as usize;
                *public = chain;
                honest_since = 0;
            },
            Some(ahead) => private = Some(ahead),
        }
    }
    of_pool as f64 / of_all as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use weir_primitives::consensus::Difficulty;

    #[test]
    fn withholding_without_bandwidth_is_as_eyal_and_sirer_say() {
        // Their equation 8 at a third of the hash power and gamma a half, where nobody has bandwidth.
        let (a, gamma) = (1.0f64 / 3.0, 0.5);
        let numerator = a * (1.0 - a).powi(2) * (4.0 * a + gamma * (1.0 - 2.0 * a)) - a.powi(3);
        let expected = numerator / (1.0 - a * (1.0 + (2.0 - a) * a));
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut authors = equal(AUTHORS, (1.0 - a) * HASH_RATE, 0.0);
        authors.push(Author::new(a * HASH_RATE, 0));
        // Blocks so rare that the least time between two of them does not matter, which their model does not have.
        let mut rules = Rules::public();
        rules.schedule.floor = Difficulty::from((100.0 * HASH_RATE * rules.schedule.block_time as f64) as u64);
        let mut chain = Chain::settled(rules, authors, &mut rng);
        let share = selfish_share(&mut chain, &mut rng);
        assert!((share - expected).abs() < 0.02, "{share} is not {expected}");
    }
}
