//! Miners who each see the chain from where they are: with a clock that may be wrong, and after a delay.
//!
//! A block is imported by a miner when it has arrived and is due by the miner's clock. Which of two branches a miner follows
//! is decided by the fork choice of `weir-primitives`; a descendant of its best block always replaces that block.

use crate::{
    chain::{Chain, Dating, ForkChoice},
    statistics::Estimate,
};
use rand_chacha::ChaCha8Rng;
use sp_runtime::Perbill;
use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    ops::Range,
    rc::Rc,
};
use weir_primitives::{
    consensus::{dates::Dates, fork_choice::Head},
    BlockNumber, Milliseconds, UnixMilliseconds,
};

/// When a miner searches, how it dates, and when it publishes what it has found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Policy {
    /// Searches as soon as others would import a child, dates by its clock, publishes at once: what the chain's miners do.
    Rule,
    /// Dates as far ahead of its clock as others import. On a block of its own it searches at once, before others may.
    DatesAhead,
    /// Searches only once its clock has got to the earliest date of a child: the first version's rule.
    Rests,
    /// Searches at once, on blocks of its own too, and holds a block back until its date is no more than this ahead.
    Holds(Milliseconds),
}

impl Policy {
    /// What the clock of the miner shows when its search begins.
    fn search_from(self, dates: Dates, parent: UnixMilliseconds) -> f64 {
        match self {
            Self::Rule => dates.search_from(parent) as f64,
            Self::Rests => dates.earliest(parent) as f64,
            Self::DatesAhead | Self::Holds(_) => 0.0,
        }
    }

    fn dating(self) -> Dating {
        match self {
            Self::DatesAhead => Dating::Late,
            Self::Rule | Self::Rests | Self::Holds(_) => Dating::True,
        }
    }

    /// What the clock of the miner shows when it publishes a block. Who publishes too early is imported when the block is due.
    fn publish_from(self, date: UnixMilliseconds) -> f64 {
        match self {
            Self::Rule | Self::Rests | Self::DatesAhead => 0.0,
            Self::Holds(ahead) => date.saturating_sub(ahead) as f64,
        }
    }
}

/// Authors who share one view of the chain.
#[derive(Clone)]
pub struct Miner {
    pub authors: Range<usize>,
    /// By how much its clock is ahead of the time, in milliseconds.
    pub clock_error: f64,
    pub policy: Policy,
    /// Whether it rests until its bucket is full, then mines while it has a whole credit for each block, and so on.
    pub saves: bool,
}

impl Miner {
    /// Mines by the rules, with a clock that is right.
    pub fn honest(authors: Range<usize>) -> Self {
        Self { authors, clock_error: 0.0, policy: Policy::Rule, saves: false }
    }
}

/// A block that was found.
struct Block {
    parent: usize,
    author: usize,
    number: BlockNumber,
    head: Head,
    /// The state after it, as long as somebody could still build on it.
    chain: Option<Rc<Chain>>,
}

/// How many blocks are found after a block until nobody builds on it any more.
const FORGOTTEN_AFTER: usize = 600;

/// A change of a miner to another branch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reorganisation {
    /// How many blocks of its chain the miner took back.
    pub blocks: BlockNumber,
    /// How long before the miner had found or imported the oldest of them, in milliseconds.
    pub oldest: f64,
}

/// What a miner sees.
struct View {
    miner: Miner,
    best: usize,
    chain: Rc<Chain>,
    /// When it will find the next block, and which of its authors, if its best block stays.
    find: (f64, usize),
    /// Up to which block it rests, if it saves.
    rests_until: BlockNumber,
    reorganisations: Vec<Reorganisation>,
    /// When it found or imported each block, in milliseconds; not a number for those that it does not have.
    had_at: Vec<f64>,
}

impl View {
    fn note(&mut self, block: usize, now: f64) {
        if self.had_at.len() <= block {
            self.had_at.resize(block + 1, f64::NAN);
        }
        self.had_at[block] = now;
    }
}

/// A block on its way to a miner.
#[derive(Clone, Copy, PartialEq)]
struct Arrival {
    at: f64,
    block: usize,
    view: usize,
}

impl Eq for Arrival {}

impl PartialOrd for Arrival {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Arrival {
    /// By time; then parents before children, which have the greater index.
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.total_cmp(&other.at).then(self.block.cmp(&other.block)).then(self.view.cmp(&other.view))
    }
}

/// Miners, and all blocks that they have found.
pub struct Network {
    views: Vec<View>,
    blocks: Vec<Block>,
    arrivals: BinaryHeap<Reverse<Arrival>>,
    /// How long a block takes from one miner to another, in milliseconds.
    delay: f64,
    /// The true time.
    pub now: f64,
}

impl Network {
    /// Miners who all have the same chain.
    pub fn new(chain: Chain, miners: Vec<Miner>, delay: f64, rng: &mut ChaCha8Rng) -> Self {
        let now = chain.now;
        let root = Rc::new(chain);
        let first = Block { parent: 0, author: 0, number: root.number, head: root.head(), chain: Some(root.clone()) };
        let views = miners
            .into_iter()
            .map(|miner| View {
                miner,
                best: 0,
                chain: root.clone(),
                find: (f64::INFINITY, 0),
                rests_until: 0,
                reorganisations: Vec::new(),
                had_at: vec![now],
            })
            .collect();
        let mut network = Self { views, blocks: vec![first], arrivals: BinaryHeap::new(), delay, now };
        for view in 0..network.views.len() {
            network.plan(view, rng);
        }
        network
    }

    /// The best chain of a miner.
    pub fn chain(&self, view: usize) -> &Chain {
        &self.views[view].chain
    }

    /// The reorganisations of a miner.
    pub fn reorganisations(&self, view: usize) -> &[Reorganisation] {
        &self.views[view].reorganisations
    }

    /// The authors of the blocks of a miner's best chain, the first block first.
    pub fn canonical_authors(&self, view: usize) -> Vec<usize> {
        let mut authors = Vec::new();
        let mut block = self.views[view].best;
        while block != 0 {
            authors.push(self.blocks[block].author);
            block = self.blocks[block].parent;
        }
        authors.reverse();
        authors
    }

    /// Which part of the blocks of a miner's best chain some authors made.
    pub fn share(&self, view: usize, authors: Range<usize>) -> Estimate {
        const BATCHES: usize = 20;
        let made = self.canonical_authors(view);
        let length = (made.len() / BATCHES).max(1);
        let batches: Vec<f64> = made
            .chunks_exact(length)
            .map(|batch| batch.iter().filter(|author| authors.contains(author)).count() as f64 / length as f64)
            .collect();
        Estimate::from_batches(&batches)
    }

    /// Lets a miner's best chain grow to a number of blocks.
    pub fn run_to(&mut self, view: usize, number: BlockNumber, rng: &mut ChaCha8Rng) {
        while self.views[view].chain.number < number {
            self.step(rng);
        }
    }

    /// The next thing that happens: somebody imports a block, or finds one.
    pub fn step(&mut self, rng: &mut ChaCha8Rng) {
        let finder = (0..self.views.len()).min_by(|a, b| self.views[*a].find.0.total_cmp(&self.views[*b].find.0));
        let found_at = finder.map_or(f64::INFINITY, |finder| self.views[finder].find.0);
        match self.arrivals.peek() {
            Some(Reverse(arrival)) if arrival.at <= found_at => {
                let arrival = *arrival;
                self.arrivals.pop();
                self.now = arrival.at;
                self.import(arrival.view, arrival.block, rng);
            },
            _ => {
                if let Some(finder) = finder {
                    self.now = found_at;
                    self.find(finder, rng);
                }
            },
        }
    }

    fn find(&mut self, finder: usize, rng: &mut ChaCha8Rng) {
        let View { miner, best, chain, find: (at, author), .. } = &self.views[finder];
        let (dates, at, author) = (chain.rules.dates, *at, *author);
        let date = miner.policy.dating().date(dates, chain.date, at + miner.clock_error);
        let published = at.max(miner.policy.publish_from(date) - miner.clock_error);
        let mut grown = Chain::clone(chain);
        grown.now = at;
        grown.append_dated(author, date);
        let (block, parent) = (self.blocks.len(), *best);
        self.blocks.push(Block {
            parent,
            author,
            number: grown.number,
            head: grown.head(),
            chain: Some(Rc::new(grown)),
        });
        if let Some(old) = block.checked_sub(FORGOTTEN_AFTER) {
            self.blocks[old].chain = None;
        }
        for (view, other) in self.views.iter().enumerate().filter(|(view, _)| *view != finder) {
            let due = dates.due_at(date) as f64 - other.miner.clock_error;
            self.arrivals.push(Reverse(Arrival { at: (published + self.delay).max(due), block, view }));
        }
        self.views[finder].note(block, at);
        self.follow(finder, block, rng);
    }

    fn import(&mut self, view: usize, block: usize, rng: &mut ChaCha8Rng) {
        self.views[view].note(block, self.now);
        let best = self.views[view].best;
        if self.blocks[block].parent == best {
            self.follow(view, block, rng);
        } else if ForkChoice::Margin.replaces(self.blocks[block].head.weight, self.blocks[best].head) {
            let reorganisation = self.reorganisation(view, block);
            self.views[view].reorganisations.push(reorganisation);
            self.follow(view, block, rng);
        }
    }

    /// What a miner takes back when it leaves its best chain for a block on another branch.
    fn reorganisation(&self, view: usize, block: usize) -> Reorganisation {
        let View { best, had_at, .. } = &self.views[view];
        let (mut left, mut followed, mut oldest_at) = (*best, block, self.now);
        // A child has a greater index than its parent.
        while left != followed {
            if left > followed {
                oldest_at = had_at[left];
                left = self.blocks[left].parent;
            } else {
                followed = self.blocks[followed].parent;
            }
        }
        let blocks = self.blocks[*best].number - self.blocks[left].number;
        Reorganisation { blocks, oldest: self.now - oldest_at }
    }

    fn follow(&mut self, view: usize, block: usize, rng: &mut ChaCha8Rng) {
        if let Some(chain) = &self.blocks[block].chain {
            self.views[view].chain = chain.clone();
            self.views[view].best = block;
            self.plan(view, rng);
        }
    }

    /// Draws when a miner finds the next block.
    fn plan(&mut self, view: usize, rng: &mut ChaCha8Rng) {
        let now = self.now;
        let View { miner, chain, find, rests_until, .. } = &mut self.views[view];
        let authors = miner.authors.clone();
        if miner.saves {
            let has_credit = chain.spendable(authors.start) == Perbill::one();
            if chain.number >= *rests_until && !has_credit {
                *rests_until = chain.number + chain.rules.credit_cap_blocks;
            }
            if chain.number < *rests_until {
                *find = (f64::INFINITY, authors.start);
                return;
            }
        }
        let from = miner.policy.search_from(chain.rules.dates, chain.date) - miner.clock_error;
        *find = chain.search(authors, 1.0, from.max(now), rng);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{Author, Rules};
    use rand::SeedableRng;

    fn network(delay: f64, errors: &[f64]) -> (Network, ChaCha8Rng) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let chain = Chain::settled(Rules::testnet(), vec![Author::new(1_000.0, 0); errors.len()], &mut rng);
        let miners = errors
            .iter()
            .enumerate()
            .map(|(author, error)| Miner { clock_error: *error, ..Miner::honest(author..author + 1) })
            .collect();
        let network = Network::new(chain, miners, delay, &mut rng);
        (network, rng)
    }

    #[test]
    fn without_delay_there_is_one_branch_and_with_a_delay_there_are_forks() {
        let (mut network, mut rng) = network(0.0, &[0.0; 4]);
        network.run_to(0, network.chain(0).number + 2_000, &mut rng);
        assert_eq!(network.reorganisations(0).len(), 0);
        let (mut network, mut rng) = self::network(1_000.0, &[0.0; 4]);
        network.run_to(0, network.chain(0).number + 2_000, &mut rng);
        assert!(!network.reorganisations(0).is_empty());
    }

    #[test]
    fn more_blocks_that_are_taken_back_were_there_for_longer() {
        let (mut network, mut rng) = network(5_000.0, &[0.0; 4]);
        network.run_to(0, network.chain(0).number + 5_000, &mut rng);
        let spacing = Rules::testnet().dates.spacing as f64;
        let seen = network.reorganisations(0);
        assert!(seen.iter().any(|it| it.blocks >= 3));
        for it in seen {
            assert!(it.blocks >= 1 && it.oldest >= 0.0, "{it:?}");
        }
        let mean = |blocks: BlockNumber| {
            let oldest: Vec<f64> = seen.iter().filter(|it| it.blocks == blocks).map(|it| it.oldest).collect();
            oldest.iter().sum::<f64>() / oldest.len() as f64
        };
        assert!(mean(2) > mean(1) + spacing, "{} and {}", mean(1), mean(2));
    }

    #[test]
    fn a_clock_beyond_the_limit_harms_its_own_miner_alone() {
        let limit = Rules::testnet().limit();
        let (mut network, mut rng) = network(0.0, &[0.0, 0.0, 3.0 * limit]);
        network.run_to(0, network.chain(0).number + 5_000, &mut rng);
        assert!(network.share(0, 2..3).mean < 0.1);
        let honest = network.share(0, 0..1).mean;
        assert!((0.45..0.55).contains(&honest), "{honest}");
    }
}
