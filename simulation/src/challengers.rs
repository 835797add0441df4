//! What experiments on measurement share: the rules of the `testnet` preset, a set of challengers, and what a
//! challenge comes to.
//!
//! Draws, committees, attendance, estimator and guaranteed bandwidth are the code of `primitives`. What is simulated
//! around them is who does what: lines are full whenever enough is offered, and every packet that is offered has the
//! same chance to pass.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use weir_primitives::{
    measurement::{
        estimator::{proven_bits_per_second, Limits, Sample, FURTHEST_ROUND_TRIP_US},
        lottery::{
            committee::{committee, Candidate, DrawnProvider, Rules, Table},
            groups::{Family, Prefix},
            Seed,
        },
    },
    parameters::Measurement,
    AccountId, EpochIndex,
};
use weir_runtime::genesis;

/// Bits per second of a Mbit/s.
pub const MBIT: u64 = 1_000_000;
/// The class of a challenger, where nothing else is said.
pub const CLASS: u64 = 1_000 * MBIT;
/// An epoch in which those whom genesis names are not the only seniors.
pub const EPOCH: EpochIndex = 1_000;
/// The round trips of members that are near, and of those that are too far away to count.
const NEAR_US: u64 = 30_000;
const FAR_US: u64 = FURTHEST_ROUND_TRIP_US + 50_000;
/// What a proof takes beside the train and the round trip.
const PROOF_US: u64 = 1_000;
/// By how much more than what is declared a committee sends.
const OFFERED: f64 = 1.5;

/// The parameters of measurement of the `testnet` preset.
pub fn measurement() -> Measurement {
    genesis::testnet().measurement
}

/// The rules for committees of a public network.
pub fn rules() -> Rules {
    Rules { members: measurement().committee, prefixes_differ: true, limits_juniors: true }
}

pub fn seed(rng: &mut ChaCha8Rng) -> Seed {
    let mut seed = Seed::default();
    rng.fill(&mut seed);
    seed
}

/// The account of one of many.
pub fn account(kind: u8, number: u32) -> AccountId {
    let mut bytes = [kind; 32];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    AccountId::new(bytes)
}

/// A provider at a prefix of its own that no challenger has.
pub fn drawn_provider(number: u32) -> DrawnProvider {
    let [low, mid, ..] = number.to_le_bytes();
    DrawnProvider { account: account(b'p', number), family: Family::V4, prefix: Some(Prefix::V4([100, mid, low])) }
}

/// The table of challengers, each at a prefix of its own.
pub struct Challengers {
    slots: Vec<Candidate>,
    seniors: u32,
}

impl Challengers {
    /// Seniors in the first slots, juniors in those behind them.
    pub fn new(seniors: u32, juniors: u32) -> Self {
        let candidate = |number: u32| {
            let [low, mid, ..] = number.to_le_bytes();
            Candidate {
                account: account(b'c', number),
                prefixes: vec![Prefix::V4([10, mid, low])],
                from: if number < seniors { 0 } else { EPOCH },
                until: None,
            }
        };
        Self { slots: (0..seniors + juniors).map(candidate).collect(), seniors }
    }

    /// Takes a challenger out of the draws.
    pub fn jail(&mut self, slot: u32) {
        let candidate = &mut self.slots[slot as usize];
        self.seniors -= u32::from(candidate.is_active(EPOCH) && candidate.is_senior(EPOCH));
        candidate.until = Some(EPOCH);
    }

    /// Lets a challenger come back, as a junior and in a slot of its own.
    pub fn come_back(&mut self, slot: u32) {
        let candidate = &mut self.slots[slot as usize];
        candidate.from = EPOCH;
        candidate.until = None;
    }

    pub fn is_active(&self, slot: u32) -> bool {
        self.slots[slot as usize].is_active(EPOCH)
    }

    /// The slots of a committee.
    pub fn committee(&self, seed: &Seed, provider: &DrawnProvider) -> Option<Vec<u32>> {
        committee(seed, EPOCH, provider, &rules(), self)
    }
}

impl Table for Challengers {
    fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    fn seniors(&self) -> u32 {
        self.seniors
    }

    fn candidate(&self, slot: u32) -> Option<Candidate> {
        self.slots.get(slot as usize).cloned()
    }
}

/// What a member does in a challenge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deed {
    /// It sends a part of what it is assigned, and reports what arrived.
    Sends(f64),
    /// It is not there.
    Nothing,
    /// It sends a part of what it is assigned, and shows a round trip that is too long to count.
    Far(f64),
}

impl Deed {
    /// The part of what it is assigned that the member sends.
    pub fn part(&self) -> f64 {
        match self {
            Self::Sends(part) | Self::Far(part) => *part,
            Self::Nothing => 0.0,
        }
    }
}

/// The reports on a line of a rate, all of which was declared.
pub fn reports(line: u64, deeds: &[Deed]) -> Vec<Option<Sample>> {
    let each = OFFERED / deeds.len() as f64;
    let offered: f64 = deeds.iter().map(|deed| each * deed.part()).sum();
    let passes = if offered > 1.0 { 1.0 / offered } else { 1.0 };
    let train = measurement().train_us;
    let report = |deed: &Deed| {
        let round_trip_us = if matches!(deed, Deed::Far(_)) { FAR_US } else { NEAR_US };
        let bytes = (line as f64 / 8.0 * train as f64 / 1e6 * each * deed.part() * passes) as u64;
        (*deed != Deed::Nothing).then_some(Sample {
            bytes,
            elapsed_us: train + round_trip_us + PROOF_US,
            round_trip_us,
        })
    };
    deeds.iter().map(report).collect()
}

/// What reports prove, in bits per second.
pub fn proven(reports: &[Option<Sample>]) -> u64 {
    let measurement = measurement();
    let limits = Limits {
        byzantine: measurement.byzantine,
        least_time_us: measurement.least_time_us,
        clock_tolerance_us: measurement.clock_tolerance_us,
    };
    let samples: Vec<Sample> = reports.iter().flatten().copied().collect();
    proven_bits_per_second(&samples, limits) as u64
}

/// What a committee that does all of its duty proves of a line, in bits per second.
pub fn proven_in_full(line: u64) -> u64 {
    proven(&reports(line, &vec![Deed::Sends(1.0); measurement().committee as usize]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_committee_proves_nine_sixteenths_of_a_line_less_the_round_trip() {
        let part = proven_in_full(100 * MBIT) as f64 / (100 * MBIT) as f64;
        assert!((part - 9.0 / 16.0 * 0.5 / 0.551).abs() < 1e-3, "{part}");
    }

    #[test]
    fn members_that_are_not_there_leave_their_part_of_the_line_to_the_others() {
        let mut deeds = [Deed::Sends(1.0); 16];
        deeds[..4].fill(Deed::Nothing);
        let part = proven(&reports(100 * MBIT, &deeds)) as f64 / (100 * MBIT) as f64;
        assert!((part - 5.0 / 12.0 * 0.5 / 0.551).abs() < 1e-3, "{part}");
    }

    #[test]
    fn who_is_jailed_is_drawn_no_more_until_it_comes_back() {
        let mut challengers = Challengers::new(17, 0);
        let drawn = |challengers: &Challengers| {
            (0..20u8).any(|byte| challengers.committee(&[byte; 32], &drawn_provider(0)).unwrap().contains(&3))
        };
        assert!(drawn(&challengers));
        challengers.jail(3);
        assert!(!drawn(&challengers) && challengers.seniors() == 16);
        challengers.come_back(3);
        assert!(drawn(&challengers) && challengers.seniors() == 16);
    }
}
