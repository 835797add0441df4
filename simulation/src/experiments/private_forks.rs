//! The chance that a fork, mined in secret, overtakes a chain that shows a number of confirmations.
//!
//! The fork replaces the public chain when honest miners would follow it and could import it. It is given up when the public
//! chain has grown for as long as a snapshot waits: nobody follows what leaves the chain below a final block, and if voters
//! are there, blocks are final long before.

use super::{equal, Outcome, AUTHORS, BANDWIDTH, HASH_RATE};
use crate::{
    chain::{Chain, Dating, ForkChoice, Rules},
    plot::{plot, Axis, Mark, Scale, Series},
    table::{decimals, Table},
};
use rand_chacha::ChaCha8Rng;
use std::{ops::Range, path::Path};

/// Private forks that are tried for each chance.
const FORKS: usize = 1_000;
/// Blocks between two of them, so that each begins with other buckets and another difficulty.
const BETWEEN_FORKS: usize = 40;
const CONFIRMATIONS: [u32; 4] = [6, 12, 32, 64];

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
    fn authors(&self) -> Range<usize> {
        AUTHORS..AUTHORS + self.identities
    }

    /// Honest authors and the attacker's identities behind them, all mining honestly.
    fn settled(&self, rng: &mut ChaCha8Rng) -> Chain {
        let mut authors = equal(AUTHORS, HASH_RATE, (1.0 - self.bandwidth) * BANDWIDTH);
        authors.extend(equal(self.identities, self.hash * HASH_RATE, self.bandwidth * BANDWIDTH));
        Chain::settled(Rules::testnet(), authors, rng)
    }

    /// Another moment of the same chain, at which the attacker is ready.
    fn ready(&self, chain: &mut Chain, rng: &mut ChaCha8Rng) -> Chain {
        for _ in 0..BETWEEN_FORKS {
            chain.step(rng);
        }
        let mut ready = chain.clone();
        if self.is_saving {
            for _ in 0..ready.rules.credit_cap_blocks {
                ready.step_among(0..AUTHORS, rng);
            }
        }
        ready
    }

    /// For each number of confirmations, whether a fork from here overtakes a chain that shows them.
    fn overtakes(&self, start: &Chain, confirmations: &[u32], rng: &mut ChaCha8Rng) -> Vec<bool> {
        let (mut public, mut private) = (start.clone(), start.clone());
        private.is_frozen = true;
        let dates = start.rules.dates;
        let mut overtaken = vec![false; confirmations.len()];
        let mut now = start.now;
        while public.number <= start.number + start.rules.snapshot_depth {
            let (public_at, public_author) = public.search(0..AUTHORS, 1.0, public.search_from(now), rng);
            // What is not shown need not wait until others may search on it.
            let (private_at, private_author) = private.search(self.authors(), 1.0, now, rng);
            // Whoever is first; the other's search has no memory.
            now = public_at.min(private_at);
            if public_at <= private_at {
                public.append(public_author, now, Dating::True);
            } else {
                private.append(private_author, now, self.dating);
            }
            let is_followed =
                ForkChoice::Margin.replaces(private.weight, public.head()) && dates.due_at(private.date) as f64 <= now;
            for (overtaken, confirmations) in overtaken.iter_mut().zip(confirmations) {
                *overtaken |= is_followed && public.number - start.number >= *confirmations;
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

    /// The chances with each way to date, each a row of the table. Gives the best of each.
    fn best_chances(self, table: &mut Table, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let mut best = vec![0.0f64; CONFIRMATIONS.len()];
        for dating in Dating::ALL {
            let chances = Self { dating, ..self }.chances(&CONFIRMATIONS, rng);
            for (best, chance) in best.iter_mut().zip(&chances) {
                *best = best.max(*chance);
            }
            let mut cells = vec![
                decimals(self.hash, 1),
                decimals(self.bandwidth, 1),
                self.identities.to_string(),
                if self.is_saving { "yes" } else { "no" }.into(),
                dating.name().into(),
            ];
            cells.extend(chances.iter().map(|chance| decimals(*chance, 3)));
            table.row(cells);
        }
        best
    }
}

/// The chance that a private fork overtakes, by resources, identities, dates and confirmations.
pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
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
            let attacker = Attacker { hash, bandwidth, identities, is_saving, dating: Dating::True };
            let best = attacker.best_chances(&mut table, &mut rng);
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

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn chance(hash: f64, bandwidth: f64, confirmations: u32) -> f64 {
        let attacker = Attacker { hash, bandwidth, identities: 1, is_saving: false, dating: Dating::True };
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
}
