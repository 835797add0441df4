//! What the hybrid consensus buys, and what it does not.

use crate::{
    chain::{exponential, lognormal, Author, Chain, Dating, Rules},
    plot::{plot, Axis, Mark, Scale, Series},
    table::{decimals, Table},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{error::Error, path::Path};
use weir_primitives::consensus::Difficulty;

/// Hashes per millisecond of everyone honest together.
const HASH_RATE: f64 = 1_000_000.0;
/// Mbit/s of everyone together.
const BANDWIDTH: f64 = 1_000_000.0;
/// Honest authors, where nothing else is said.
const AUTHORS: usize = 32;
/// Blocks over which a share is counted.
const BLOCKS: usize = 12_000;
/// Private forks that are tried for each chance.
const FORKS: usize = 1_000;
/// Blocks between two of them, so that each begins with other buckets and another difficulty.
const BETWEEN_FORKS: usize = 40;

type Outcome = Result<(), Box<dyn Error>>;
type Experiment = fn(&Path, ChaCha8Rng) -> Outcome;
/// The bandwidth of somebody with a share of hash power.
type BandwidthOf = fn(f64) -> f64;

/// Runs all of them.
pub fn simulate(out: &Path, seed: u64) -> Outcome {
    let experiments: [(&str, Experiment); 8] = [
        ("shares of blocks", shares),
        ("identities", identities),
        ("attackers with one resource", one_resource),
        ("weight per hash", weight_per_hash),
        ("private forks", private_forks),
        ("selfish mining", selfish_mining),
        ("shocks", shocks),
        ("an outage", outage),
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

/// The share of blocks of authors with all kinds of shares of hash power and bandwidth.
fn shares(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let authors = spread(AUTHORS, 1.0, &mut rng);
    let mut chain = Chain::settled(Rules::public(), authors.clone(), &mut rng);
    let made = block_shares(&mut chain, &mut rng);
    let mut table = Table::new(&["hash_share", "bandwidth_share", "block_share"]);
    let (mut by_hash, mut by_bandwidth) = (vec![], vec![]);
    for (author, share) in authors.iter().zip(&made) {
        let (hash, bandwidth) = (author.hash_rate / HASH_RATE, author.bandwidth as f64 / BANDWIDTH);
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
            Series { name: "equal".into(), mark: Mark::Dashed, points: vec![(0.0, 0.0), (most, most)] },
        ],
    )
}

/// One party with a fifth of both resources, split over ever more identities.
fn identities(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let part = 0.2;
    let mut table = Table::new(&["identities", "block_share"]);
    for count in [1, 2, 4, 8, 16, 32, 64] {
        let mut authors = equal(AUTHORS, (1.0 - part) * HASH_RATE, (1.0 - part) * BANDWIDTH);
        authors.extend(equal(count, part * HASH_RATE, part * BANDWIDTH));
        let mut chain = Chain::settled(Rules::public(), authors, &mut rng);
        let share: f64 = block_shares(&mut chain, &mut rng)[AUTHORS..].iter().sum();
        table.row(vec![count.to_string(), decimals(share, 3)]);
    }
    Ok(table.save(out, "identities")?)
}

/// Somebody with hash power and no bandwidth, and somebody with bandwidth and hardly any hash power.
fn one_resource(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let mut table = Table::new(&["hash_against_honest", "bandwidth_share", "block_share"]);
    let mut by_hash = vec![];
    for hash in [0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0] {
        let mut authors = equal(AUTHORS, HASH_RATE, BANDWIDTH);
        authors.push(Author::new(hash * HASH_RATE, 0));
        let mut chain = Chain::settled(Rules::public(), authors, &mut rng);
        let share = block_shares(&mut chain, &mut rng)[AUTHORS];
        by_hash.push((hash, share));
        table.row(vec![decimals(hash, 2), decimals(0.0, 2), decimals(share, 3)]);
    }
    for part in [0.1, 0.3, 0.5, 0.7, 0.9] {
        let mut authors = equal(AUTHORS, HASH_RATE, (1.0 - part) * BANDWIDTH);
        authors.push(Author::new(0.01 * HASH_RATE, (part * BANDWIDTH) as u64));
        let mut chain = Chain::settled(Rules::public(), authors, &mut rng);
        let share = block_shares(&mut chain, &mut rng)[AUTHORS];
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

/// The weight that a chain makes of each hash, which is what a fork without bandwidth must beat.
fn weight_per_hash(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let counts = [1, 2, 5, 10, 20, 32, 50, 64, 80, 100, 140, 200, 300];
    let mut table = Table::new(&["authors", "equal", "lognormal"]);
    let (mut even, mut uneven) = (vec![], vec![]);
    let mut sampler = ChaCha8Rng::from_rng(&mut rng)?;
    for count in counts {
        let mut of = |authors: Vec<Author>| {
            let mut chain = Chain::settled(Rules::public(), authors, &mut rng);
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

/// An attacker who mines a fork in secret.
#[derive(Clone, Copy)]
struct Attacker {
    /// As a multiple of the honest hash power.
    hash: f64,
    /// Of all measured bandwidth.
    bandwidth: f64,
    identities: usize,
    /// Whether it stopped mining long enough before for its buckets to be full.
    is_saving: bool,
    dating: Dating,
}

impl Attacker {
    /// Honest authors and the attacker's identities behind them, all mining honestly.
    fn settled(&self, rng: &mut ChaCha8Rng) -> Chain {
        let mut authors = equal(AUTHORS, HASH_RATE, (1.0 - self.bandwidth) * BANDWIDTH);
        authors.extend(equal(self.identities, self.hash * HASH_RATE, self.bandwidth * BANDWIDTH));
        Chain::settled(Rules::public(), authors, rng)
    }

    /// Another moment of the same chain, at which the attacker is ready.
    fn ready(&self, chain: &mut Chain, rng: &mut ChaCha8Rng) -> Chain {
        for _ in 0..BETWEEN_FORKS {
            chain.step(rng);
        }
        let mut ready = chain.clone();
        if self.is_saving {
            for _ in 0..ready.rules.depth {
                step_among(&mut ready, 0..AUTHORS, rng);
            }
        }
        ready
    }

    /// For each number of confirmations, whether a fork from here overtakes a chain that shows them.
    fn overtakes(&self, start: &Chain, confirmations: &[u32], rng: &mut ChaCha8Rng) -> Vec<bool> {
        let mut public = start.clone();
        let mut private = start.clone();
        private.is_frozen = true;
        let (mut overtaken, fork) = (vec![false; confirmations.len()], start.number);
        // Below what is depth-finalized nobody follows any more.
        while public.number <= fork + public.rules.depth {
            let public_at =
                public.now.max(public.earliest() as f64) + exponential(rng, total_rate(&public, 0..AUTHORS));
            let private_from = match self.dating {
                Dating::Truly => private.now.max(private.earliest() as f64),
                // Dates that are not the time need not wait for it.
                Dating::Early | Dating::Late => private.now,
            };
            let identities = AUTHORS..AUTHORS + self.identities;
            let private_at = private_from + exponential(rng, total_rate(&private, identities.clone()));
            // Whoever is first; the other's search has no memory.
            if public_at <= private_at {
                public.now = public_at;
                private.now = public_at;
                let author = pick(&public, 0..AUTHORS, rng);
                public.append(author, Dating::Truly);
            } else {
                public.now = private_at;
                private.now = private_at;
                let author = pick(&private, identities, rng);
                private.append(author, self.dating);
            }
            for (overtaken, confirmations) in overtaken.iter_mut().zip(confirmations) {
                *overtaken |= public.number - fork >= *confirmations && private.weight > public.weight;
            }
        }
        overtaken
    }

    /// The chance to overtake, for each number of confirmations.
    fn chances(&self, confirmations: &[u32], rng: &mut ChaCha8Rng) -> Vec<f64> {
        let mut chain = self.settled(rng);
        let mut counts = vec![0usize; confirmations.len()];
        for _ in 0..FORKS {
            let start = self.ready(&mut chain, rng);
            for (count, overtaken) in counts.iter_mut().zip(self.overtakes(&start, confirmations, rng)) {
                *count += usize::from(overtaken);
            }
        }
        counts.into_iter().map(|count| count as f64 / FORKS as f64).collect()
    }
}

fn total_rate(chain: &Chain, authors: std::ops::Range<usize>) -> f64 {
    authors.map(|author| chain.rate(author)).sum()
}

fn pick(chain: &Chain, authors: std::ops::Range<usize>, rng: &mut ChaCha8Rng) -> usize {
    let rates: Vec<f64> = authors.clone().map(|author| chain.rate(author)).collect();
    authors.start + crate::chain::draw(rng, &rates, rates.iter().sum())
}

/// The next block of some of the authors.
fn step_among(chain: &mut Chain, authors: std::ops::Range<usize>, rng: &mut ChaCha8Rng) {
    chain.now = chain.now.max(chain.earliest() as f64) + exponential(rng, total_rate(chain, authors.clone()));
    let author = pick(chain, authors, rng);
    chain.append(author, Dating::Truly);
}

/// The chance that a private fork overtakes, by resources, identities, dates and confirmations.
fn private_forks(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    const CONFIRMATIONS: [u32; 4] = [6, 12, 32, 64];
    let mut table = Table::new(&[
        "hash_against_honest",
        "bandwidth_share",
        "identities",
        "saved_up",
        "dating",
        "after_6",
        "after_12",
        "after_32",
        "after_64",
    ]);
    let mut lines: Vec<Series> = vec![];
    for (hash, bandwidth) in
        [(1.0, 0.0), (2.0, 0.0), (4.0, 0.0), (8.0, 0.0), (1.0, 0.1), (4.0, 0.1), (1.0, 0.3), (2.0, 0.3), (1.0, 0.5)]
    {
        for (identities, is_saving) in [(1, false), (1, true), (64, true)] {
            // Without bandwidth an identity is only a name, and there is nothing to save.
            if bandwidth == 0.0 && (identities > 1 || is_saving) {
                continue;
            }
            let mut best = vec![0.0f64; CONFIRMATIONS.len()];
            for dating in [Dating::Truly, Dating::Early, Dating::Late] {
                let attacker = Attacker { hash, bandwidth, identities, is_saving, dating };
                let chances = attacker.chances(&CONFIRMATIONS, &mut rng);
                for (best, chance) in best.iter_mut().zip(&chances) {
                    *best = best.max(*chance);
                }
                let name = match dating {
                    Dating::Truly => "true",
                    Dating::Early => "early",
                    Dating::Late => "late",
                };
                let saved = if is_saving { "yes" } else { "no" };
                let mut cells = vec![decimals(hash, 1), decimals(bandwidth, 1), identities.to_string(), saved.into()];
                cells.push(name.into());
                cells.extend(chances.iter().map(|chance| decimals(*chance, 3)));
                table.row(cells);
            }
            let is_shown = [(4.0, 0.0), (8.0, 0.0), (4.0, 0.1), (1.0, 0.3)].contains(&(hash, bandwidth));
            if is_shown && identities == 1 {
                let saved = if is_saving { ", saved up" } else { "" };
                lines.push(Series {
                    name: format!("hash ×{hash}, bandwidth {:.0} %{saved}", bandwidth * 100.0),
                    mark: Mark::LineAndDots,
                    points: CONFIRMATIONS.iter().zip(best).map(|(count, chance)| (f64::from(*count), chance)).collect(),
                });
            }
        }
    }
    table.save(out, "private-forks")?;
    plot(
        &out.join("private-forks.png"),
        "Chance that a private fork overtakes, with the best dates",
        &Axis { title: "confirmations", range: 0.0..112.0, scale: Scale::Linear },
        &Axis { title: "chance", range: 0.0..1.02, scale: Scale::Linear },
        &lines,
    )
}

/// A pool that withholds its blocks (Eyal and Sirer, arXiv 1311.0243), half of the honest following it in a tie.
fn selfish_mining(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
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

/// The hash power changes a hundredfold, up and down.
fn shocks(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
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

/// Nobody mines for a day.
fn outage(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn chance(hash: f64, bandwidth: f64, confirmations: u32) -> f64 {
        let attacker = Attacker { hash, bandwidth, identities: 1, is_saving: false, dating: Dating::Truly };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut chain = attacker.settled(&mut rng);
        let starts: Vec<_> = (0..100).map(|_| attacker.ready(&mut chain, &mut rng)).collect();
        let won = starts.iter().filter(|start| attacker.overtakes(start, &[confirmations], &mut rng)[0]).count();
        won as f64 / 100.0
    }

    #[test]
    fn a_fork_overtakes_when_it_makes_more_weight_and_not_when_it_makes_far_less() {
        assert!(chance(16.0, 0.0, 12) > 0.95);
        assert!(chance(0.5, 0.0, 12) < 0.05);
    }

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
