//! A chain of authors with hash power and bandwidth.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use sp_runtime::Perbill;
use weir_primitives::{
    consensus::{
        asert::{retarget, Anchor, Schedule},
        credit::{Bucket, Share, Term, TERMS},
        Difficulty,
    },
    BlockNumber, Milliseconds,
};

/// The rules of a public network.
#[derive(Clone, Copy)]
pub struct Rules {
    pub schedule: Schedule,
    pub boost: u32,
    /// The finality depth, and the cap of credit K in blocks.
    pub depth: u32,
    pub epoch: u32,
    /// The least total that bandwidth is divided by, in Mbit/s.
    pub least_bandwidth: u64,
}

impl Rules {
    /// Those of the `testnet` preset, with a floor that is out of the way.
    pub fn public() -> Self {
        let schedule = Schedule { block_time: 6_000, half_life: 600_000, floor: Difficulty::from(1_000) };
        Self { schedule, boost: 8, depth: 64, epoch: 600, least_bandwidth: 10_000 }
    }
}

/// Who makes blocks.
#[derive(Clone)]
pub struct Author {
    /// Hashes per millisecond.
    pub hash_rate: f64,
    /// Guaranteed, in Mbit/s.
    pub bandwidth: u64,
    bucket: Bucket,
    terms: Vec<Term>,
    has_block_in_epoch: bool,
}

impl Author {
    pub fn new(hash_rate: f64, bandwidth: u64) -> Self {
        Self { hash_rate, bandwidth, bucket: Bucket::default(), terms: Vec::new(), has_block_in_epoch: true }
    }
}

/// A block that was made.
pub struct Made {
    pub author: usize,
    pub base: f64,
}

/// How a miner dates its blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dating {
    /// With the time at which they are found.
    Truly,
    /// As early as is allowed, so that the difficulty rises.
    Early,
    /// As late as is allowed, so that the difficulty falls.
    Late,
}

/// How far ahead a timestamp may be when a block is shown.
const AHEAD: Milliseconds = 15_000;

/// A chain, and who works on it.
#[derive(Clone)]
pub struct Chain {
    pub rules: Rules,
    pub authors: Vec<Author>,
    pub number: BlockNumber,
    /// Of the last block.
    pub timestamp: Milliseconds,
    /// What the clock shows.
    pub now: f64,
    pub difficulty: Difficulty,
    /// The sum of the base difficulties.
    pub weight: f64,
    /// The sum of the hashes that were needed on average.
    pub hashes: f64,
    anchor: Anchor,
    /// On a private fork, no snapshot is taken: those of the public chain count until they are deeper than finality.
    pub is_frozen: bool,
}

/// A time that lies well behind zero.
const BEGIN: Milliseconds = 1_000_000_000_000;

impl Chain {
    /// At the difficulty that the hash power of all makes on schedule without any credit.
    pub fn new(rules: Rules, authors: Vec<Author>) -> Self {
        let hash_rate: f64 = authors.iter().map(|author| author.hash_rate).sum();
        let difficulty = Difficulty::from((hash_rate * rules.schedule.block_time as f64).max(1.0) as u64);
        let mut chain = Self {
            rules,
            authors,
            number: 0,
            timestamp: BEGIN,
            now: BEGIN as f64,
            difficulty,
            weight: 0.0,
            hashes: 0.0,
            anchor: Anchor { number: 0, timestamp: BEGIN, difficulty },
            is_frozen: false,
        };
        chain.take_snapshot();
        chain
    }

    /// A chain on which enough blocks were made that its credit and its difficulty have settled.
    pub fn settled(rules: Rules, authors: Vec<Author>, rng: &mut ChaCha8Rng) -> Self {
        let mut chain = Self::new(rules, authors);
        for _ in 0..3 * rules.epoch {
            chain.step(rng);
        }
        chain.weight = 0.0;
        chain.hashes = 0.0;
        chain
    }

    fn take_snapshot(&mut self) {
        let active = |author: &Author| if author.has_block_in_epoch { author.bandwidth } else { 0 };
        let total: u128 = self.authors.iter().map(|author| u128::from(active(author))).sum();
        let from = self.number + 1 + self.rules.depth;
        for author in &mut self.authors {
            author.terms.push(Term { from, share: Share::new(active(author), total, self.rules.least_bandwidth) });
            if author.terms.len() > TERMS {
                author.terms.remove(0);
            }
            author.has_block_in_epoch = false;
        }
    }

    /// The credit that an author could spend on the next block.
    pub fn spendable(&self, author: usize) -> Perbill {
        let author = &self.authors[author];
        author.bucket.at(self.number + 1, &author.terms, self.rules.depth).spendable()
    }

    /// What the next block of an author requires, in hashes.
    pub fn required(&self, author: usize) -> f64 {
        self.difficulty.required(self.spendable(author), self.rules.boost).0.low_u128() as f64
    }

    /// How many blocks an author finds in a millisecond.
    pub fn rate(&self, author: usize) -> f64 {
        self.authors[author].hash_rate / self.required(author)
    }

    /// The earliest timestamp of the next block.
    pub fn earliest(&self) -> Milliseconds {
        self.timestamp + self.rules.schedule.block_time / 6
    }

    /// The next block: whoever finds it first.
    pub fn step(&mut self, rng: &mut ChaCha8Rng) -> Made {
        let rates: Vec<f64> = (0..self.authors.len()).map(|author| self.rate(author)).collect();
        let total: f64 = rates.iter().sum();
        // A miner waits until its parent is old enough.
        self.now = self.now.max(self.earliest() as f64) + exponential(rng, total);
        let author = draw(rng, &rates, total);
        self.append(author, Dating::Truly)
    }

    /// Appends a block of an author, now.
    pub fn append(&mut self, author: usize, dating: Dating) -> Made {
        let (base, required) = (self.difficulty.0.low_u128() as f64, self.required(author));
        let spent = self.spendable(author);
        let timestamp = match dating {
            Dating::Truly => (self.now as Milliseconds).max(self.earliest()),
            Dating::Early => self.earliest(),
            Dating::Late => (self.now as Milliseconds + AHEAD).max(self.earliest()),
        };
        self.number += 1;
        self.timestamp = timestamp;
        self.weight += base;
        self.hashes += required;
        let made = &mut self.authors[author];
        let bucket = made.bucket.at(self.number, &made.terms, self.rules.depth);
        made.bucket = bucket.spend(spent).unwrap_or(bucket);
        made.has_block_in_epoch = true;
        (self.difficulty, self.anchor) = retarget(self.rules.schedule, self.anchor, self.number, timestamp);
        if self.number.is_multiple_of(self.rules.epoch) && !self.is_frozen {
            self.take_snapshot();
        }
        Made { author, base }
    }

    /// Weight for each hash since the weight was set to zero.
    pub fn weight_per_hash(&self) -> f64 {
        self.weight / self.hashes
    }
}

/// A waiting time with a mean of 1 ÷ rate.
pub fn exponential(rng: &mut ChaCha8Rng, rate: f64) -> f64 {
    -(1.0 - rng.gen::<f64>()).ln() / rate
}

/// An index, each as likely as its part of the total.
pub fn draw(rng: &mut ChaCha8Rng, parts: &[f64], total: f64) -> usize {
    let mut rest = rng.gen::<f64>() * total;
    for (index, part) in parts.iter().enumerate() {
        rest -= part;
        if rest < 0.0 {
            return index;
        }
    }
    parts.len() - 1
}

/// A value whose logarithm is normal with mean 0 and standard deviation `sigma`.
pub fn lognormal(rng: &mut ChaCha8Rng, sigma: f64) -> f64 {
    // Box and Muller.
    let (u, v) = (1.0 - rng.gen::<f64>(), rng.gen::<f64>());
    (sigma * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_chain_without_bandwidth_keeps_its_schedule_and_weighs_what_it_cost() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut chain = Chain::settled(Rules::public(), vec![Author::new(1_000.0, 0); 4], &mut rng);
        let begun = chain.now;
        for _ in 0..4_000 {
            chain.step(&mut rng);
        }
        let interval = (chain.now - begun) / 4_000.0;
        assert!((5_700.0..6_300.0).contains(&interval), "{interval}");
        assert!((chain.weight_per_hash() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn ten_equal_authors_make_nearly_eight_times_the_weight_of_their_hashes() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut chain = Chain::settled(Rules::public(), vec![Author::new(1_000.0, 1_000); 10], &mut rng);
        for _ in 0..3_000 {
            chain.step(&mut rng);
        }
        assert!((7.5..8.0).contains(&chain.weight_per_hash()), "{}", chain.weight_per_hash());
    }
}
