//! From which share of the hash power on it pays a pool to withhold its blocks.
//!
//! The pool follows Eyal and Sirer (arXiv 1311.0243), on weights instead of lengths: it shows its branch when honest miners
//! would follow it now and would not after one more honest block, and in a tie at once; then a part γ of the honest hash
//! power has the pool's block first. It gives up when not even its next block would win. The difficulty of each branch
//! follows from its own dates, so the dates of the withheld blocks matter: early ones make the branch heavier, late ones
//! make its blocks easier.
//!
//! Withholding pays when it gives the pool a greater share of the blocks that stay than mining by the rules. Blocks take no
//! time from one miner to another.

use super::{author_share, honest_and_one, Outcome};
use crate::{
    chain::{Chain, Dating, ForkChoice, Rules},
    network::Reorganisation,
    plot::{plot, Axis, Mark, Scale, Series},
    statistics::Estimate,
    table::{decimals, Table},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use weir_primitives::{consensus::fork_choice::Head, BlockNumber};

/// Blocks that stay, in each run where nobody has bandwidth, and in each where there is some.
const BLOCKS: usize = 200_000;
const BLOCKS_WITH_CREDIT: usize = 60_000;
/// Batches of a run, for its standard error.
const BATCHES: usize = 20;

/// How a pool withholds, and among whom.
#[derive(Clone, Copy)]
pub struct Withholding {
    pub fork_choice: ForkChoice,
    pub dating: Dating,
    /// The part of the honest hash power that has the pool's block first in a tie.
    pub gamma: f64,
}

/// What stays of the blocks that were found.
#[derive(Default)]
pub struct Settled {
    /// Blocks of the pool.
    pool: usize,
    /// Blocks of all.
    pub all: usize,
    /// What the honest took back meanwhile.
    pub reorganisations: Vec<Reorganisation>,
}

/// A branch of the pool since the fork.
#[derive(Clone)]
struct Branch {
    chain: Chain,
    blocks: usize,
}

/// A pool at work: the last author of the chain.
struct Race {
    withholding: Withholding,
    /// The best chain of the honest, or in a tie of those who had its last block first.
    public: Chain,
    /// How many blocks it has since the fork.
    honest_since: usize,
    /// When the first of them was found.
    honest_from: f64,
    private: Option<Branch>,
    /// In a tie, what was shown of the private branch: a part γ of the honest mine on it.
    shown: Option<Branch>,
    settled: Settled,
    now: f64,
}

impl Withholding {
    /// The pool's share of the blocks that stay.
    pub fn share(self, start: &Chain, blocks: usize, rng: &mut ChaCha8Rng) -> Estimate {
        let batches = self.batches(start, blocks, rng);
        let shares: Vec<f64> = batches.iter().map(|settled| settled.pool as f64 / settled.all as f64).collect();
        Estimate::from_batches(&shares)
    }

    /// What stays in each batch of a run.
    pub fn batches(self, start: &Chain, blocks: usize, rng: &mut ChaCha8Rng) -> Vec<Settled> {
        let mut race = Race {
            withholding: self,
            public: start.clone(),
            honest_since: 0,
            honest_from: start.now,
            private: None,
            shown: None,
            settled: Settled::default(),
            now: start.now,
        };
        let mut batches = Vec::with_capacity(BATCHES);
        for _ in 0..BATCHES {
            while race.settled.all < blocks / BATCHES {
                race.step(rng);
            }
            batches.push(std::mem::take(&mut race.settled));
        }
        batches
    }
}

impl Race {
    /// The next block: whoever finds it first.
    fn step(&mut self, rng: &mut ChaCha8Rng) {
        let pool = self.public.authors.len() - 1;
        let (public, now) = (&self.public, self.now);
        let private = self.private.as_ref().map_or(public, |branch| &branch.chain);
        // It need not wait until others may search. That what it shows may not be due for a moment is let pass in its favour.
        let (pool_at, _) = private.search(pool..pool + 1, 1.0, now, rng);
        let behind_pool = if self.shown.is_some() { self.withholding.gamma } else { 0.0 };
        let (public_at, public_author) = public.search(0..pool, 1.0 - behind_pool, public.search_from(now), rng);
        let shown = self.shown.as_ref().map_or(public, |branch| &branch.chain);
        let (shown_at, shown_author) = shown.search(0..pool, behind_pool, shown.search_from(now), rng);
        self.now = pool_at.min(public_at).min(shown_at);
        if pool_at <= self.now {
            self.pool_finds(pool);
        } else if public_at <= self.now {
            self.public.append(public_author, self.now, Dating::True);
            if self.honest_since == 0 {
                self.honest_from = self.now;
            }
            self.honest_since += 1;
            self.pool_reacts();
        } else {
            self.honest_find_on_shown(shown_author);
        }
    }

    fn pool_finds(&mut self, pool: usize) {
        let public = &self.public;
        let branch = self.private.get_or_insert_with(|| Branch { chain: public.clone(), blocks: 0 });
        branch.chain.append(pool, self.now, self.withholding.dating);
        branch.blocks += 1;
        // Nothing has to be shown while the honest have nothing to show against it.
        if self.honest_since > 0 && self.wins(self.public.head()) && !self.wins(self.public.next_head()) {
            self.pool_branch_stays();
        }
    }

    /// A block on what the pool has shown: its branch is heavier by a block than the other, and stays up to there.
    fn honest_find_on_shown(&mut self, author: usize) {
        let Some(mut shown) = self.shown.take() else { return };
        self.honest_blocks_are_taken_back();
        shown.chain.append(author, self.now, Dating::True);
        self.settled.pool += shown.blocks;
        self.settled.all += shown.blocks;
        self.public = shown.chain;
        (self.honest_since, self.honest_from) = (1, self.now);
        if let Some(branch) = &mut self.private {
            branch.blocks -= shown.blocks;
        }
        self.private = self.private.take().filter(|branch| branch.blocks > 0);
        self.pool_reacts();
    }

    /// After a block of the honest.
    fn pool_reacts(&mut self) {
        let fork_choice = self.withholding.fork_choice;
        self.shown = None;
        // What is final is not taken back, however heavy the other branch is. Nobody withholds for longer than a snapshot waits.
        let may_wait = self.honest_since + 1 < self.public.rules.snapshot_depth as usize;
        if may_wait && self.wins(self.public.next_head()) {
            return;
        }
        if self.wins(self.public.head()) {
            self.pool_branch_stays();
            return;
        }
        match &self.private {
            Some(branch) if may_wait && fork_choice.replaces(branch.chain.next_head().weight, self.public.head()) => {
                // Nobody mines on what is clearly lighter, shown or not.
                if !fork_choice.replaces(self.public.weight, branch.chain.head()) {
                    self.shown = Some(branch.clone());
                }
            },
            _ => {
                self.private = None;
                self.settled.all += self.honest_since;
                self.honest_since = 0;
            },
        }
    }

    /// Whether the honest would leave a chain for the private branch.
    fn wins(&self, against: Head) -> bool {
        let fork_choice = self.withholding.fork_choice;
        self.private.as_ref().is_some_and(|branch| fork_choice.replaces(branch.chain.weight, against))
    }

    fn pool_branch_stays(&mut self) {
        if let Some(Branch { chain, blocks }) = self.private.take() {
            self.honest_blocks_are_taken_back();
            self.settled.pool += blocks;
            self.settled.all += blocks;
            self.public = chain;
        }
        self.shown = None;
        self.honest_since = 0;
    }

    fn honest_blocks_are_taken_back(&mut self) {
        let (blocks, oldest) = (self.honest_since as BlockNumber, self.now - self.honest_from);
        self.settled.reorganisations.push(Reorganisation { blocks, oldest });
    }
}

/// Who has the bandwidth.
#[derive(Clone, Copy)]
struct Bandwidth {
    name: &'static str,
    /// The pool's part, by its share of the hash power.
    of_pool: fn(f64) -> f64,
    /// Everybody's part together.
    of_all: f64,
}

const NOBODY: Bandwidth = Bandwidth { name: "none", of_pool: |_| 0.0, of_all: 0.0 };
const AS_HASH: Bandwidth = Bandwidth { name: "as hash power", of_pool: |hash| hash, of_all: 1.0 };
const HALF: Bandwidth = Bandwidth { name: "half", of_pool: |_| 0.5, of_all: 1.0 };

impl Bandwidth {
    fn blocks(self) -> usize {
        if self.of_all > 0.0 {
            BLOCKS_WITH_CREDIT
        } else {
            BLOCKS
        }
    }
}

/// What is asked of a share of the hash power: how much a pool of that size gains.
#[derive(Clone, Copy)]
struct Question {
    rules: Rules,
    bandwidth: Bandwidth,
    withholding: Withholding,
    /// The same for all shares, so that two of them differ by their size and not by luck.
    seed: u64,
}

/// Shares of blocks, by the rules and withholding.
struct Answer {
    honestly: Estimate,
    withholding: Estimate,
}

impl Answer {
    fn gain(&self) -> f64 {
        self.withholding.mean - self.honestly.mean
    }

    fn standard_error(&self) -> f64 {
        self.withholding.standard_error.hypot(self.honestly.standard_error)
    }
}

/// A share of the hash power from which on withholding pays.
struct Threshold {
    hash: f64,
    standard_error: f64,
}

impl Question {
    fn ask(self, hash: f64) -> Answer {
        let of_pool = (self.bandwidth.of_pool)(hash);
        let authors = honest_and_one(hash, of_pool, self.bandwidth.of_all - of_pool);
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let chain = Chain::settled(self.rules, authors, &mut rng);
        let blocks = self.bandwidth.blocks();
        let honestly = if self.bandwidth.of_all > 0.0 {
            let pool = chain.authors.len() - 1;
            author_share(&mut chain.clone(), pool, blocks, &mut rng)
        } else {
            // Without credit all hashes are alike.
            Estimate { mean: hash, standard_error: 0.0 }
        };
        Answer { honestly, withholding: self.withholding.share(&chain, blocks, &mut rng) }
    }

    /// By bisection between 4 and 44 % of the hash power.
    fn threshold(self) -> Threshold {
        const STEPS: usize = 8;
        let (mut loses, mut pays) = (0.04, 0.44);
        for _ in 0..STEPS {
            let middle = (loses + pays) / 2.0;
            if self.ask(middle).gain() > 0.0 {
                pays = middle;
            } else {
                loses = middle;
            }
        }
        let hash = (loses + pays) / 2.0;
        // The error of the gain, over how fast the gain grows; and half of the last interval.
        const ASIDE: f64 = 0.03;
        let (below, above) = (self.ask(hash - ASIDE), self.ask(hash + ASIDE));
        let slope = (above.gain() - below.gain()) / (2.0 * ASIDE);
        let standard_error = (above.standard_error() / slope).hypot((pays - loses) / 12f64.sqrt());
        Threshold { hash, standard_error }
    }
}

pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    thresholds(out, &mut rng)?;
    gains(out, &mut rng)
}

/// The thresholds by half-life, bandwidth, γ, fork choice and dates.
fn thresholds(out: &Path, rng: &mut ChaCha8Rng) -> Outcome {
    let mut table =
        Table::new(&["half_life_blocks", "bandwidth", "gamma", "fork_choice", "dating", "threshold", "standard_error"]);
    let preset = Rules::testnet();
    let cases = [60, 200, 600]
        .map(|blocks| (preset.with_half_life(blocks), NOBODY))
        .into_iter()
        .chain([(preset, AS_HASH), (preset, HALF)]);
    for (rules, bandwidth) in cases {
        for gamma in [0.0, 0.5] {
            for fork_choice in ForkChoice::ALL {
                for dating in Dating::ALL {
                    let withholding = Withholding { fork_choice, dating, gamma };
                    let question = Question { rules, bandwidth, withholding, seed: rng.gen() };
                    let threshold = question.threshold();
                    table.row(vec![
                        rules.half_life_blocks().to_string(),
                        bandwidth.name.into(),
                        decimals(gamma, 1),
                        fork_choice.name().into(),
                        dating.name().into(),
                        decimals(threshold.hash, 3),
                        decimals(threshold.standard_error, 3),
                    ]);
                }
            }
        }
    }
    Ok(table.save(out, "selfish-mining-thresholds")?)
}

/// What withholding with the best dates gains, by the rule.
fn gains(out: &Path, rng: &mut ChaCha8Rng) -> Outcome {
    let mut table =
        Table::new(&["bandwidth", "gamma", "hash_share", "blocks_by_the_rules", "blocks_withholding", "best_dating"]);
    let mut lines = vec![];
    for (bandwidth, gamma, name) in [
        (NOBODY, 0.0, "no bandwidth, γ = 0"),
        (NOBODY, 0.5, "no bandwidth, γ = ½"),
        (AS_HASH, 0.5, "as much bandwidth as hash power, γ = ½"),
        (HALF, 0.5, "half of the bandwidth, γ = ½"),
    ] {
        let mut points = vec![];
        for hash in [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45] {
            let seed = rng.gen();
            let answers = Dating::ALL.map(|dating| {
                let withholding = Withholding { fork_choice: ForkChoice::Margin, dating, gamma };
                (dating, Question { rules: Rules::testnet(), bandwidth, withholding, seed }.ask(hash))
            });
            let best = answers.iter().max_by(|a, b| a.1.gain().total_cmp(&b.1.gain()));
            let Some((dating, answer)) = best else { continue };
            points.push((hash, answer.withholding.mean / answer.honestly.mean));
            table.row(vec![
                bandwidth.name.into(),
                decimals(gamma, 1),
                decimals(hash, 2),
                decimals(answer.honestly.mean, 3),
                decimals(answer.withholding.mean, 3),
                dating.name().into(),
            ]);
        }
        lines.push(Series { name: name.into(), mark: Mark::LineAndDots, points });
    }
    lines.push(Series { name: "mining by the rules".into(), mark: Mark::Dashed, points: vec![(0.0, 1.0), (0.5, 1.0)] });
    table.save(out, "selfish-mining")?;
    plot(
        &out.join("selfish-mining.png"),
        "What withholding blocks with the best dates gains",
        &Axis { title: "share of hash power", range: 0.0..0.5, scale: Scale::Linear },
        &Axis { title: "blocks, against mining by the rules", range: 0.0..2.6, scale: Scale::Linear },
        &lines,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(hash: f64, withholding: Withholding) -> Estimate {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let chain = Chain::settled(Rules::testnet(), honest_and_one(hash, 0.0, 0.0), &mut rng);
        withholding.share(&chain, 400_000, &mut rng)
    }

    #[test]
    fn withholding_with_true_dates_and_no_bandwidth_is_as_eyal_and_sirer_say() {
        for (a, gamma) in [(1.0f64 / 3.0, 0.5), (0.4, 0.0)] {
            // Their equation 8.
            let numerator = a * (1.0 - a).powi(2) * (4.0 * a + gamma * (1.0 - 2.0 * a)) - a.powi(3);
            let expected = numerator / (1.0 - a * (1.0 + (2.0 - a) * a));
            let withholding = Withholding { fork_choice: ForkChoice::Margin, dating: Dating::True, gamma };
            let share = share(a, withholding);
            let far = 4.0 * share.standard_error;
            assert!(far < 0.01 && (share.mean - expected).abs() < far, "{share:?} is not {expected}");
        }
    }

    #[test]
    fn early_dates_pay_at_28_percent_by_plain_weight_and_not_with_the_margin() {
        let hash = 0.28;
        let pool = |fork_choice| Withholding { fork_choice, dating: Dating::Early, gamma: 0.0 };
        let plain = share(hash, pool(ForkChoice::PlainWeight));
        assert!(plain.mean > hash + 4.0 * plain.standard_error, "the attack is not seen: {plain:?}");
        let margin = share(hash, pool(ForkChoice::Margin));
        assert!(margin.mean < hash - 4.0 * margin.standard_error, "{margin:?}");
    }
}
