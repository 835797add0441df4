//! What share of the bonds a third of the votes costs: with a third finality stands still, if its owner likes.
//!
//! An attacker stands for election beside honest voters, whose bonds and bandwidth are lognormal and independent of each
//! other. It splits what it has evenly over as many identities as serve it best. The rule of the chain is compared with the
//! plain minimum of two shares, that of all bonds and that of all bandwidth: there bandwidth that comes to one voter takes
//! votes from all others.

use super::{super::Outcome, candidate, number, parts};
use crate::{
    plot::{plot, Axis, Mark, Scale, Series},
    statistics::Estimate,
    table::{decimals, Table},
};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use weir_primitives::{
    finality::{
        voters::{elect, in_order, Candidate},
        Finality, MOST_VOTERS,
    },
    Balance,
};
use weir_runtime::genesis;

/// How many honest voters there are, and how far their bonds and their bandwidth are spread.
const VOTERS: [usize; 3] = [10, 40, 200];
const SIGMAS: [f64; 3] = [0.0, 0.5, 1.0];
/// Networks of honest voters that the mean is taken of.
const NETWORKS: usize = 20;
/// All bandwidth, as a multiple of the reference.
const TOTAL_OVER_REFERENCE: f64 = 4.0;
/// The mean honest bond, as a multiple of the least one, which is then in nobody's way.
const BOND_OVER_LEAST: u128 = 100;
/// As a multiple of all other bandwidth: more than anybody could want.
const ANY: f64 = 1e6;
/// What can be lent to an honest voter, as multiples of all other bandwidth.
const LENT: [f64; 5] = [0.0, 1.0, 4.0, 16.0, 64.0];
/// Identities among whom the attacker splits what it has.
const IDENTITIES: [usize; 12] = [1, 4, 8, 12, 16, 20, 22, 24, 28, 32, 48, 64];
/// The numbers of the honest: the attacker made accounts until it had lower ones, which win ties.
const FIRST_HONEST: u16 = 1_000;
const THIRD: f64 = 1.0 / 3.0;

/// How votes are weighed.
#[derive(Clone, Copy, PartialEq)]
enum Rule {
    Chain,
    PlainMinimum,
}

impl Rule {
    const ALL: [Self; 2] = [Self::Chain, Self::PlainMinimum];

    fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::PlainMinimum => "plain minimum",
        }
    }

    /// The rules by which these candidates are weighed so.
    fn finality(self, preset: &Finality, candidates: &[Candidate]) -> Finality {
        let reference_bits_per_second = match self {
            Self::Chain => preset.reference_bits_per_second,
            // A quarter of the reference is worth as much as all bonds. So four times the bandwidth over four times the total
            // is the share of the total.
            Self::PlainMinimum => 4 * candidates.iter().map(|it| it.bits_per_second).sum::<u64>(),
        };
        // Few voters are a set, too: what is asked is what they weigh.
        Finality { reference_bits_per_second, least_voters: 1, ..preset.clone() }
    }
}

/// What bandwidth the attacker has.
#[derive(Clone, Copy, PartialEq)]
enum Bandwidth {
    /// As much as it wants, for nothing.
    Any,
    /// This part of all.
    Part(f64),
    /// This part of all, and lines that count for the honest voter with the least bond, as many as serve the attacker.
    PartAndLends(f64),
    /// This part of all, from honest voters whose bonds are large for their bandwidth: their providers name the attacker.
    Borrows(f64),
}

impl Bandwidth {
    fn all() -> Vec<Self> {
        let parts = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5].map(Self::Part);
        let lends = [0.1, 0.3, 0.5].map(Self::PartAndLends);
        let borrows = [0.1, 0.3, 0.5].map(Self::Borrows);
        [vec![Self::Any], parts.to_vec(), lends.to_vec(), borrows.to_vec()].concat()
    }

    fn name(self) -> String {
        match self {
            Self::Any => "any".into(),
            Self::Part(part) => decimals(part, 2),
            Self::PartAndLends(part) => format!("{part:.2} and lends"),
            Self::Borrows(part) => format!("{part:.2} borrowed"),
        }
    }

    /// What of all bandwidth the attacker has, and what the honest have each and together.
    fn split(self, honest: &Honest) -> (f64, Vec<f64>) {
        match self {
            Self::Any => (ANY, honest.bandwidth.clone()),
            Self::Part(part) | Self::PartAndLends(part) => {
                (part, honest.bandwidth.iter().map(|of| of * (1.0 - part)).collect())
            },
            Self::Borrows(part) => (part, honest.without(part)),
        }
    }
}

/// Honest voters, by their parts of the honest bonds and of the honest bandwidth.
struct Honest {
    bonds: Vec<f64>,
    bandwidth: Vec<f64>,
}

impl Honest {
    fn drawn(voters: usize, sigma: f64, rng: &mut ChaCha8Rng) -> Self {
        Self { bonds: parts(voters, sigma, rng), bandwidth: parts(voters, sigma, rng) }
    }

    /// Their bandwidth when a part of it has left those whose bonds are largest for their bandwidth.
    fn without(&self, part: f64) -> Vec<f64> {
        let mut order: Vec<usize> = (0..self.bonds.len()).collect();
        let votes_per_bit = |voter: usize| self.bonds[voter] / self.bandwidth[voter];
        order.sort_by(|a, b| votes_per_bit(*b).total_cmp(&votes_per_bit(*a)));
        let (mut bandwidth, mut rest) = (self.bandwidth.clone(), part);
        for voter in order {
            let taken = bandwidth[voter].min(rest);
            bandwidth[voter] -= taken;
            rest -= taken;
        }
        bandwidth
    }

    /// Into how many identities it may serve an attacker to split. While everybody has a seat, weights are linear and nothing
    /// is gained.
    fn identities(&self) -> impl Iterator<Item = usize> + '_ {
        let seats = MOST_VOTERS as usize;
        IDENTITIES.into_iter().filter(move |count| *count == 1 || self.bonds.len() + count > seats)
    }
}

/// An attack by one rule, with some bandwidth.
struct Question<'a> {
    preset: &'a Finality,
    least_total_bits_per_second: u64,
    rule: Rule,
    bandwidth: Bandwidth,
}

impl Question<'_> {
    /// The attacker's part of the votes, with this part of all bonds, if it splits and lends as serves it best.
    fn votes(&self, honest: &Honest, bonds: f64) -> f64 {
        let lent = match self.bandwidth {
            Bandwidth::PartAndLends(_) => &LENT[..],
            _ => &[0.0],
        };
        let ways = honest.identities().flat_map(|identities| lent.iter().map(move |lent| (identities, *lent)));
        ways.map(|(identities, lent)| self.votes_with(honest, bonds, identities, lent)).fold(0.0, f64::max)
    }

    fn votes_with(&self, honest: &Honest, bonds: f64, identities: usize, lent: f64) -> f64 {
        let bits = |part: f64| (part * TOTAL_OVER_REFERENCE * self.preset.reference_bits_per_second as f64) as u64;
        let honest_bonds = (self.preset.voter_bond * BOND_OVER_LEAST) as f64 * honest.bonds.len() as f64;
        let (own, mut left) = self.bandwidth.split(honest);
        let poorest = (0..left.len()).min_by(|a, b| honest.bonds[*a].total_cmp(&honest.bonds[*b]));
        if let Some(poorest) = poorest {
            left[poorest] += lent;
        }
        let each = 1.0 / identities as f64;
        let bond = (honest_bonds * bonds / (1.0 - bonds) * each) as Balance;
        let attackers = (0..FIRST_HONEST).take(identities).map(|number| candidate(number, bond, bits(own * each)));
        let others = (FIRST_HONEST..).zip(honest.bonds.iter().zip(&left));
        let others =
            others.map(|(number, (bond, part))| candidate(number, (honest_bonds * bond) as Balance, bits(*part)));
        let candidates: Vec<Candidate> = attackers.chain(others).collect();
        let rules = self.rule.finality(self.preset, &candidates);
        // Where all who stand have too little bandwidth or weight together the old set stays, and the attacker has no vote. The plain minimum stands
        // for what the votes would cost without that.
        let is_elected = elect(candidates.clone(), &rules, self.least_total_bits_per_second).is_some();
        if self.rule == Rule::Chain && !is_elected {
            return 0.0;
        }
        let seated: Vec<(u64, Candidate)> =
            in_order(candidates, &rules).into_iter().take(MOST_VOTERS as usize).collect();
        let weight = |of: &dyn Fn(u16) -> bool| {
            seated.iter().filter(|(_, it)| of(number(&it.account))).map(|(weight, _)| *weight).sum::<u64>() as f64
        };
        let whole = weight(&|_| true);
        if whole == 0.0 {
            return 0.0;
        }
        weight(&|number| number < FIRST_HONEST) / whole
    }

    /// The least part of all bonds with which the attacker has a third of the votes, by bisection.
    fn cost(&self, honest: &Honest) -> f64 {
        const STEPS: usize = 12;
        let (mut too_little, mut enough) = (0.0, 1.0);
        for _ in 0..STEPS {
            let middle = (too_little + enough) / 2.0;
            if self.votes(honest, middle) >= THIRD {
                enough = middle;
            } else {
                too_little = middle;
            }
        }
        (too_little + enough) / 2.0
    }
}

pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let parameters = genesis::testnet();
    let mut table = Table::new(&["voters", "sigma", "rule", "bandwidth", "share_of_bonds", "standard_error"]);
    let mut lines = vec![];
    for (voters, sigma) in VOTERS.into_iter().flat_map(|voters| SIGMAS.map(|sigma| (voters, sigma))) {
        let networks: Vec<Honest> = (0..NETWORKS).map(|_| Honest::drawn(voters, sigma, &mut rng)).collect();
        for rule in Rule::ALL {
            let mut points = vec![];
            for bandwidth in Bandwidth::all() {
                let question = Question {
                    preset: &parameters.finality,
                    least_total_bits_per_second: parameters.consensus.least_total_bits_per_second,
                    rule,
                    bandwidth,
                };
                let costs: Vec<f64> = networks.iter().map(|honest| question.cost(honest)).collect();
                let cost = Estimate::from_batches(&costs);
                table.row(vec![
                    voters.to_string(),
                    decimals(sigma, 1),
                    rule.name().into(),
                    bandwidth.name(),
                    decimals(cost.mean, 3),
                    decimals(cost.standard_error, 3),
                ]);
                if let Bandwidth::Part(part) = bandwidth {
                    points.push((part * 100.0, cost.mean));
                }
            }
            // Ten voters cost what forty do.
            if voters != 10 && (sigma == 1.0 || sigma == 0.0 && rule == Rule::Chain) {
                let name = format!("{}, {voters} voters, sigma {sigma}", rule.name());
                lines.push(Series { name, mark: Mark::LineAndDots, points });
            }
        }
    }
    lines.push(Series {
        name: "a third of the bonds".into(),
        mark: Mark::Dashed,
        points: vec![(0.9, THIRD), (55.0, THIRD)],
    });
    table.save(out, "votes")?;
    plot(
        &out.join("votes.png"),
        "What a third of the votes costs, with all bandwidth at four times the reference",
        &Axis { title: "the attacker's part of all bandwidth, percent", range: 0.9..55.0, scale: Scale::Logarithmic },
        &Axis { title: "the part of all bonds that it needs", range: 0.0..1.02, scale: Scale::Linear },
        &lines,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(voters: usize) -> Honest {
        let part = 1.0 / voters as f64;
        Honest { bonds: vec![part; voters], bandwidth: vec![part; voters] }
    }

    fn cost(rule: Rule, bandwidth: Bandwidth, honest: &Honest) -> f64 {
        let preset = genesis::testnet().finality;
        Question { preset: &preset, least_total_bits_per_second: 0, rule, bandwidth }.cost(honest)
    }

    #[test]
    fn bandwidth_for_nothing_buys_votes_by_the_plain_minimum_and_not_by_the_rule_of_the_chain() {
        let honest = equal(10);
        assert!((cost(Rule::Chain, Bandwidth::Any, &honest) - THIRD).abs() < 0.001);
        // The least bond is a thousandth of those of the ten.
        assert!(cost(Rule::PlainMinimum, Bandwidth::Any, &honest) < 0.002);
    }

    #[test]
    fn where_bandwidth_is_short_it_takes_more_bonds() {
        let honest = equal(10);
        // It weighs 0.16 at the most, which is a third beside others who have 0.32 of the bonds; but less than a half with them, which is no set. So no bond
        // buys a third.
        assert!(cost(Rule::Chain, Bandwidth::Part(0.01), &honest) > 0.999);
        // A part of 0.05 is a third beside 0.1.
        assert!((cost(Rule::PlainMinimum, Bandwidth::Part(0.05), &honest) - 0.9).abs() < 0.001);
    }

    #[test]
    fn lines_lent_to_others_lower_no_cost_by_the_rule_of_the_chain() {
        let honest = equal(40);
        let alone = cost(Rule::Chain, Bandwidth::Part(0.3), &honest);
        assert_eq!(cost(Rule::Chain, Bandwidth::PartAndLends(0.3), &honest), alone);
    }

    #[test]
    fn where_seats_are_short_a_third_of_them_is_enough() {
        // 22 of 64 seats, each for as much as one of 200 others has.
        assert!((cost(Rule::Chain, Bandwidth::Any, &equal(200)) - 22.0 / 222.0).abs() < 0.001);
    }

    #[test]
    fn what_is_borrowed_leaves_those_first_who_have_few_bits_for_their_bonds() {
        let honest = Honest { bonds: vec![0.25, 0.5, 0.25], bandwidth: vec![0.4, 0.2, 0.4] };
        let left = honest.without(0.3);
        assert!(left.iter().zip([0.3, 0.0, 0.4]).all(|(left, expected)| (left - expected).abs() < 1e-9), "{left:?}");
    }
}
