//! The chain that all experiments share: the rules of a preset, authors with hash power and bandwidth, and the state at the
//! end of a branch.
//!
//! Dates, retarget, boost credit, required difficulty and fork choice are those of `weir-primitives`, with the parameters of
//! a preset of `weir-runtime`. A branch is a value: whoever forks it clones it.

use crate::random::exponential;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use sp_core::U256;
use sp_runtime::Perbill;
use std::ops::Range;
use weir_primitives::{
    consensus::{
        credit::{Bucket, Share, Term, TERMS},
        dates::Dates,
        fork_choice::{is_heavier_branch, Head},
        retarget::{retarget, Anchor, Schedule},
        Difficulty,
    },
    parameters::Parameters,
    BlockNumber, UnixMilliseconds,
};
use weir_runtime::genesis;

/// What the experiments need of the parameters of a chain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    pub schedule: Schedule,
    pub dates: Dates,
    pub boost: u32,
    /// How many blocks after it was taken a snapshot of bandwidth comes into force.
    pub snapshot_depth: BlockNumber,
    pub credit_cap_blocks: u32,
    pub epoch_blocks: BlockNumber,
    pub least_total_bits_per_second: u64,
    /// The first difficulty as a multiple of the floor. The difficulties of the simulation are higher than those of a preset,
    /// whose floor is out of their way; an experiment on the floor keeps this ratio.
    pub initial_over_floor: u64,
}

impl Rules {
    /// Those of the `testnet` preset.
    pub fn testnet() -> Self {
        Self::from(&genesis::testnet())
    }

    /// With a half-life of another number of block times.
    pub fn with_half_life(mut self, blocks: u64) -> Self {
        self.schedule.half_life = blocks * self.schedule.block_time;
        self
    }

    /// The half-life in block times.
    pub fn half_life_blocks(&self) -> u64 {
        self.schedule.half_life / self.schedule.block_time
    }

    /// How far ahead of the importer's clock a block may be dated: L.
    pub fn limit(&self) -> f64 {
        self.dates.limit as f64
    }
}

impl From<&Parameters> for Rules {
    fn from(Parameters { consensus, measurement, .. }: &Parameters) -> Self {
        Self {
            schedule: consensus.schedule(),
            dates: consensus.dates(),
            boost: consensus.boost,
            snapshot_depth: consensus.snapshot_depth,
            credit_cap_blocks: consensus.credit_cap_blocks,
            epoch_blocks: measurement.epoch_blocks,
            least_total_bits_per_second: consensus.least_total_bits_per_second,
            initial_over_floor: (consensus.initial_difficulty.0 / consensus.floor_difficulty.0).low_u64(),
        }
    }
}

/// Who makes blocks.
#[derive(Clone, Copy)]
pub struct Author {
    /// Hashes per millisecond.
    pub hash_rate: f64,
    /// Guaranteed bandwidth.
    pub bits_per_second: u64,
    bucket: Bucket,
    terms: [Term; TERMS],
    has_block_in_epoch: bool,
}

impl Author {
    pub fn new(hash_rate: f64, bits_per_second: u64) -> Self {
        let none = Term { from: 0, share: Share::default() };
        let bucket = Bucket::default();
        Self { hash_rate, bits_per_second, bucket, terms: [none; TERMS], has_block_in_epoch: true }
    }
}

/// How a block is dated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dating {
    /// By the rule: with the clock, or as early as is allowed if that is later.
    True,
    /// As early as is allowed: the difficulty rises.
    Early,
    /// As far ahead of the clock as others import: the difficulty falls.
    Late,
}

impl Dating {
    pub const ALL: [Self; 3] = [Self::True, Self::Early, Self::Late];

    pub fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::Early => "early",
            Self::Late => "late",
        }
    }

    /// The date of a child of a block, for a miner whose clock shows `clock`.
    pub fn date(self, dates: Dates, parent: UnixMilliseconds, clock: f64) -> UnixMilliseconds {
        let earliest = dates.earliest(parent);
        match self {
            Self::True => earliest.max(clock as UnixMilliseconds),
            Self::Early => earliest,
            Self::Late => earliest.max(clock as UnixMilliseconds + dates.limit),
        }
    }
}

/// Which of two branches is followed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ForkChoice {
    /// The rule.
    Margin,
    /// The heavier one, to compare with.
    PlainWeight,
}

impl ForkChoice {
    pub const ALL: [Self; 2] = [Self::PlainWeight, Self::Margin];

    pub fn name(self) -> &'static str {
        match self {
            Self::Margin => "margin",
            Self::PlainWeight => "plain weight",
        }
    }

    /// Whether a block on another branch, whose chain has this total weight, replaces the best one.
    pub fn replaces(self, weight: U256, best: Head) -> bool {
        match self {
            Self::Margin => is_heavier_branch(weight, best),
            Self::PlainWeight => weight > best.weight,
        }
    }
}

/// How many hashes a block needs.
#[derive(Clone, Copy)]
struct Needed {
    without_credit: f64,
    with_a_whole_credit: f64,
}

/// The state at the end of a branch.
#[derive(Clone)]
pub struct Chain {
    pub rules: Rules,
    pub authors: Vec<Author>,
    pub number: BlockNumber,
    /// Of the last block.
    pub date: UnixMilliseconds,
    /// When the last block was found, by a clock that is right.
    pub now: f64,
    /// The base difficulty of the last block.
    pub base: Difficulty,
    /// The base difficulty of the next block.
    pub difficulty: Difficulty,
    /// What the next block needs without any credit and with a whole one, in hashes.
    needed: Needed,
    /// The sum of the base difficulties.
    pub weight: U256,
    /// The sum of the hashes that were needed on average.
    pub hashes: f64,
    anchor: Anchor,
    /// Whether no snapshot of bandwidth is taken. On a private fork those of the public chain count on: it has no votes, and
    /// without them no snapshot of its own comes into force.
    pub is_frozen: bool,
}

/// A time that lies well behind zero.
const BEGIN: UnixMilliseconds = 1_000_000_000_000;

impl Chain {
    /// At the difficulty that the hash power of all makes on schedule without any credit.
    pub fn new(rules: Rules, authors: Vec<Author>) -> Self {
        let hash_rate: f64 = authors.iter().map(|author| author.hash_rate).sum();
        let difficulty = Difficulty::from((hash_rate * rules.schedule.block_time as f64).max(1.0) as u64);
        let mut chain = Self {
            rules,
            authors,
            number: 0,
            date: BEGIN,
            now: BEGIN as f64,
            base: difficulty,
            difficulty,
            needed: Needed { without_credit: 0.0, with_a_whole_credit: 0.0 },
            weight: U256::zero(),
            hashes: 0.0,
            anchor: Anchor { number: 0, timestamp: BEGIN, difficulty },
            is_frozen: false,
        };
        chain.look_at_difficulty();
        chain.take_snapshot();
        chain
    }

    fn look_at_difficulty(&mut self) {
        self.needed = Needed {
            without_credit: self.hashes_with(Perbill::zero()),
            with_a_whole_credit: self.hashes_with(Perbill::one()),
        };
    }

    /// A chain on which enough blocks were made that its credit and its difficulty have settled.
    pub fn settled(rules: Rules, authors: Vec<Author>, rng: &mut ChaCha8Rng) -> Self {
        let mut chain = Self::new(rules, authors);
        for _ in 0..3 * rules.epoch_blocks {
            chain.step(rng);
        }
        chain.weight = U256::zero();
        chain.hashes = 0.0;
        chain
    }

    fn take_snapshot(&mut self) {
        let active = |author: &Author| if author.has_block_in_epoch { author.bits_per_second } else { 0 };
        let total: u128 = self.authors.iter().map(|author| u128::from(active(author))).sum();
        let from = self.number + 1 + self.rules.snapshot_depth;
        for author in &mut self.authors {
            let share = Share::new(active(author), total, self.rules.least_total_bits_per_second);
            author.terms.rotate_left(1);
            author.terms[TERMS - 1] = Term { from, share };
            author.has_block_in_epoch = false;
        }
    }

    /// The end of the chain, as fork choice looks at it.
    pub fn head(&self) -> Head {
        Head { weight: self.weight, base: self.base }
    }

    /// The head after one more block.
    pub fn next_head(&self) -> Head {
        Head { weight: self.weight + self.difficulty.0, base: self.difficulty }
    }

    /// The credit that an author could spend on the next block.
    pub fn spendable(&self, author: usize) -> Perbill {
        let author = &self.authors[author];
        author.bucket.at(self.number + 1, &author.terms, self.rules.credit_cap_blocks).spendable()
    }

    fn hashes_with(&self, credit: Perbill) -> f64 {
        self.difficulty.required(credit, self.rules.boost).0.low_u128() as f64
    }

    /// When, and by whom, the next block is found by some of the authors, who search from a moment on with a part of their
    /// hash power. Never, if that is none.
    ///
    /// Searches have no memory, so that a loser may be asked again from the moment on at which it lost. Drawn by thinning:
    /// blocks come as fast as they would if all who may have credit had all they need, and each of them stands with the
    /// chance by which its author is slower than that.
    pub fn search(&self, authors: Range<usize>, part: f64, from: f64, rng: &mut ChaCha8Rng) -> (f64, usize) {
        let searching = &self.authors[authors.clone()];
        let Needed { without_credit, with_a_whole_credit } = self.needed;
        let fastest = |author: &Author| {
            author.hash_rate / if author.bits_per_second > 0 { with_a_whole_credit } else { without_credit }
        };
        let total: f64 = searching.iter().map(fastest).sum();
        if total * part <= 0.0 {
            return (f64::INFINITY, authors.start);
        }
        let mut at = from;
        loop {
            at += exponential(rng, total * part);
            let mut rest = rng.gen::<f64>() * total;
            let drawn = searching.iter().position(|author| {
                rest -= fastest(author);
                rest < 0.0
            });
            let author = authors.start + drawn.unwrap_or(searching.len() - 1);
            let stands = self.authors[author].bits_per_second == 0
                || rng.gen::<f64>() < with_a_whole_credit / self.hashes_with(self.spendable(author));
            if stands {
                return (at, author);
            }
        }
    }

    /// From which moment on a miner whose clock is right may search for the next block.
    pub fn search_from(&self, clock: f64) -> f64 {
        clock.max(self.rules.dates.search_from(self.date) as f64)
    }

    /// The next block, if all mine by the rules. Gives its author.
    pub fn step(&mut self, rng: &mut ChaCha8Rng) -> usize {
        self.step_among(0..self.authors.len(), rng)
    }

    /// The next block, if some of the authors mine by the rules and the others not at all. Gives its author.
    pub fn step_among(&mut self, authors: Range<usize>, rng: &mut ChaCha8Rng) -> usize {
        let (at, author) = self.search(authors, 1.0, self.search_from(self.now), rng);
        self.append(author, at, Dating::True);
        author
    }

    /// Appends a block that an author found, by a clock that is right.
    pub fn append(&mut self, author: usize, at: f64, dating: Dating) {
        let date = dating.date(self.rules.dates, self.date, at);
        self.now = at;
        self.append_dated(author, date);
    }

    /// Appends a block with a date. Its author spends all the credit that it may.
    pub fn append_dated(&mut self, author: usize, date: UnixMilliseconds) {
        let spent = self.spendable(author);
        self.hashes += self.hashes_with(spent);
        self.number += 1;
        self.date = date;
        self.base = self.difficulty;
        self.weight += self.base.0;
        let made = &mut self.authors[author];
        let bucket = made.bucket.at(self.number, &made.terms, self.rules.credit_cap_blocks);
        made.bucket = bucket.spend(spent).unwrap_or(bucket);
        made.has_block_in_epoch = true;
        (self.difficulty, self.anchor) = retarget(self.rules.schedule, self.anchor, self.number, date);
        self.look_at_difficulty();
        if self.number.is_multiple_of(self.rules.epoch_blocks) && !self.is_frozen {
            self.take_snapshot();
        }
    }

    /// Weight for each hash since the weight was set to zero.
    pub fn weight_per_hash(&self) -> f64 {
        self.weight.low_u128() as f64 / self.hashes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_chain_without_bandwidth_keeps_its_schedule_and_weighs_what_it_cost() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let rules = Rules::testnet();
        let mut chain = Chain::settled(rules, vec![Author::new(1_000.0, 0); 4], &mut rng);
        let begun = chain.now;
        for _ in 0..4_000 {
            chain.step(&mut rng);
        }
        let interval = (chain.now - begun) / 4_000.0 / rules.schedule.block_time as f64;
        assert!((0.95..1.05).contains(&interval), "{interval}");
        assert!((chain.weight_per_hash() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn ten_equal_authors_make_nearly_eight_times_the_weight_of_their_hashes() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut chain = Chain::settled(Rules::testnet(), vec![Author::new(1_000.0, 1_000_000_000); 10], &mut rng);
        for _ in 0..3_000 {
            chain.step(&mut rng);
        }
        assert!((7.5..8.0).contains(&chain.weight_per_hash()), "{}", chain.weight_per_hash());
    }

    #[test]
    fn authors_find_blocks_in_proportion_to_their_hash_power_over_what_they_need() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let authors =
            vec![Author::new(1_000.0, 1_000_000_000), Author::new(3_000.0, 0), Author::new(1_000.0, 50_000_000_000)];
        let chain = Chain::settled(Rules::testnet(), authors, &mut rng);
        let rates: Vec<f64> =
            (0..3).map(|author| chain.authors[author].hash_rate / chain.hashes_with(chain.spendable(author))).collect();
        let total: f64 = rates.iter().sum();
        let (mut found, mut waited) = ([0.0; 3], 0.0);
        for _ in 0..20_000 {
            let (at, author) = chain.search(0..3, 0.5, 0.0, &mut rng);
            found[author] += 1.0 / 20_000.0;
            waited += at / 20_000.0;
        }
        assert!((waited * total * 0.5 - 1.0).abs() < 0.03, "{waited}");
        for (found, rate) in found.iter().zip(&rates) {
            assert!((found - rate / total).abs() < 0.015, "{found} of {}", rate / total);
        }
    }
}
