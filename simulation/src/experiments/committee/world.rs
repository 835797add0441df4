//! Providers who are measured epoch after epoch by challengers of whom some do not do their duty.

use crate::{
    challengers::{drawn_provider, measurement, proven, proven_in_full, reports, seed, Challengers, Deed, CLASS, MBIT},
    random::lognormal,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use weir_primitives::{
    measurement::{
        duties::{attendance, jail_epochs, jailed, Attendance, Entry, Record},
        estimator::guaranteed_bits_per_second,
        lottery::{
            committee::DrawnProvider,
            groups::Group,
            instants::{wanted_bits_per_second, Demand},
        },
    },
    EpochIndex,
};

/// The median line of a provider. The lines are lognormal, sigma = 1.
const MEDIAN_LINE: u64 = 100 * MBIT;
/// The longest line: ten times what a challenger's class is.
const LONGEST_LINE: u64 = 10 * CLASS;
/// What part of its duties an honest challenger misses for reasons of its own.
pub const HONEST_MISSES: f64 = 0.01;

struct Provider {
    drawn: DrawnProvider,
    line: u64,
    full: u64,
    results: Vec<u64>,
}

impl Provider {
    fn guaranteed(&self) -> u64 {
        let measurement = measurement();
        guaranteed_bits_per_second(&self.results, measurement.rank, measurement.window)
    }
}

/// What a challenger has behind it.
#[derive(Clone, Default)]
struct Service {
    record: Record,
    times_jailed: u32,
    /// The epoch from which on it may come back.
    jailed_until: Option<EpochIndex>,
}

/// What a challenger did, and what it was asked to do.
#[derive(Clone, Copy, Default)]
pub struct Effort {
    /// What it was assigned in challenges that were not void, in bit/s of the lines that it measured.
    pub assigned: f64,
    /// What of that it sent.
    pub sent: f64,
    /// What of that was assigned in duties that it met.
    pub met: f64,
}

/// A chain of providers and challengers.
pub struct World {
    challengers: Challengers,
    providers: Vec<Provider>,
    services: Vec<Service>,
    /// Whether challengers are jailed.
    pub jails: bool,
    /// Whether those that were jailed come back as soon as they may.
    pub return_at_once: bool,
    epoch: EpochIndex,
    pub efforts: Vec<Effort>,
}

impl World {
    pub fn new(challengers: u32, providers: u32, rng: &mut ChaCha8Rng) -> Self {
        let provider = |number| {
            let line = ((MEDIAN_LINE as f64 * lognormal(rng, 1.0)) as u64).min(LONGEST_LINE);
            Provider { drawn: drawn_provider(number), line, full: proven_in_full(line), results: Vec::new() }
        };
        Self {
            challengers: Challengers::new(challengers, 0),
            providers: (0..providers).map(provider).collect(),
            services: vec![Service::default(); challengers as usize],
            jails: true,
            return_at_once: false,
            epoch: 0,
            efforts: vec![Effort::default(); challengers as usize],
        }
    }

    /// The lines of all providers, the longest first.
    pub fn lines(&self) -> Vec<u64> {
        let mut lines: Vec<u64> = self.providers.iter().map(|provider| provider.line).collect();
        lines.sort_unstable_by(|a, b| b.cmp(a));
        lines
    }

    pub fn is_active(&self, slot: u32) -> bool {
        self.challengers.is_active(slot)
    }

    pub fn was_jailed(&self, slot: u32) -> bool {
        self.services[slot as usize].times_jailed > 0
    }

    /// What is guaranteed of what would be if all challengers did all of their duty.
    pub fn guaranteed_part(&self) -> f64 {
        let guaranteed: u64 = self.providers.iter().map(Provider::guaranteed).sum();
        let full: u64 = self.providers.iter().map(|provider| provider.full).sum();
        guaranteed as f64 / full as f64
    }

    /// An epoch in which the member in a slot does what is said of it, asked for each challenge with the line of the
    /// provider.
    pub fn epoch(&mut self, rng: &mut ChaCha8Rng, mut deed: impl FnMut(u32, u64, &mut ChaCha8Rng) -> Deed) {
        let step = measurement().growth_step_bits_per_second;
        let active = (0..self.services.len() as u32).filter(|slot| self.is_active(*slot)).count() as u32;
        let wanted = |provider: &Provider| wanted_bits_per_second(provider.line, provider.guaranteed(), step);
        let demand = Demand {
            wanted_bits_per_second: self.providers.iter().map(|provider| u128::from(wanted(provider))).sum(),
            class_bits_per_second: u128::from(active) * u128::from(CLASS),
            providers: self.providers.len() as u32,
            batches_per_instant: u32::MAX,
        };
        let instants = demand.instants();
        for _ in 0..instants {
            let seed = seed(rng);
            for number in 0..self.providers.len() {
                if !Group::Slot(number as u32).is_drawn(&seed, instants) {
                    continue;
                }
                let Some(members) = self.challengers.committee(&seed, &self.providers[number].drawn) else {
                    continue;
                };
                let line = self.providers[number].line;
                let deeds: Vec<Deed> = members.iter().map(|slot| deed(*slot, line, rng)).collect();
                self.book(number, &members, &deeds);
            }
        }
        if self.jails {
            self.jail(active);
        }
        self.epoch += 1;
    }

    fn book(&mut self, number: usize, members: &[u32], deeds: &[Deed]) {
        let measurement = measurement();
        let provider = &mut self.providers[number];
        let weight = provider.guaranteed();
        let reports = reports(provider.line, deeds);
        provider.results.push(proven(&reports));
        if provider.results.len() > measurement.window as usize {
            provider.results.remove(0);
        }
        let Some(did) = attendance(&reports, measurement.byzantine) else { return };
        for (index, (slot, deed)) in members.iter().zip(deeds).enumerate() {
            let effort = &mut self.efforts[*slot as usize];
            let line = provider.line as f64;
            effort.assigned += line;
            effort.sent += line * deed.part();
            effort.met += if did[index] == Attendance::Met { line } else { 0.0 };
            if let Some(entry) = Entry::of(&did, index, weight) {
                self.services[*slot as usize].record.add(entry);
            }
        }
    }

    fn jail(&mut self, active: u32) {
        let worst = (0..self.services.len() as u32)
            .filter(|slot| self.challengers.is_active(*slot))
            .filter_map(|slot| {
                let record = &self.services[slot as usize].record;
                record.excess().filter(|_| record.is_to_be_jailed()).map(|excess| (slot, excess))
            })
            .collect();
        for slot in jailed(worst, active) {
            let service = &mut self.services[slot as usize];
            service.jailed_until = Some(self.epoch + jail_epochs(service.times_jailed));
            service.times_jailed += 1;
            service.record = Record::default();
            self.challengers.jail(slot);
        }
        for slot in 0..self.services.len() as u32 {
            let service = &mut self.services[slot as usize];
            if self.return_at_once && service.jailed_until.is_some_and(|until| until <= self.epoch) {
                service.jailed_until = None;
                self.challengers.come_back(slot);
            }
        }
    }
}

/// A challenger that does its duty, but for what it misses for reasons of its own.
pub fn honest(rng: &mut ChaCha8Rng) -> Deed {
    if rng.gen_bool(HONEST_MISSES) {
        Deed::Nothing
    } else {
        Deed::Sends(1.0)
    }
}
