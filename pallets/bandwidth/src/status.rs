//! What agents and people are told.

use crate::{types::Instant, Config, Instants, Pallet, Records, Reports, Windows};
use alloc::vec::Vec;
use frame_support::traits::Get;
use weir_primitives::{
    interfaces::Participants,
    measurement::{
        challenge::{Challenge, Outcome},
        duties::Record,
        Endpoints,
    },
    parameters::{Measurement, Parameters},
    runtime_api::OpenChallenge,
    AccountId, EpochIndex,
};

/// What is known of a provider by measurement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// The guaranteed bandwidth of each direction, down and up, in bits per second.
    pub guaranteed: (u64, u64),
    /// The last results of each direction, the oldest first, in bits per second.
    pub results: (Vec<u64>, Vec<u64>),
    /// The last challenge, and what came of it.
    pub last: Option<(Challenge, Outcome)>,
}

impl<T: Config> Pallet<T> {
    /// The challenges of the provider in a slot that are drawn and not evaluated yet, with what `endpoints` says of the challenger in a slot.
    ///
    /// Costs the committees of these challenges, whoever else is measured.
    pub fn open_challenges(slot: u32, endpoints: impl Fn(u32, EpochIndex) -> Option<Endpoints>) -> Vec<OpenChallenge> {
        let Some(Parameters { measurement, .. }) = T::Parameters::get() else { return Vec::new() };
        let open = Instants::<T>::get().into_iter();
        open.filter_map(|instant| Self::open_challenge(slot, &instant, &measurement, &endpoints)).collect()
    }

    fn open_challenge(
        slot: u32,
        instant: &Instant,
        measurement: &Measurement,
        endpoints: &impl Fn(u32, EpochIndex) -> Option<Endpoints>,
    ) -> Option<OpenChallenge> {
        let seed = instant.seed.filter(|_| !instant.is_void)?;
        let provider = T::Participants::provider(slot, instant.epoch)?;
        if !Self::is_drawn(slot, &provider, instant, &seed, measurement) {
            return None;
        }
        let (committee, _) = Self::committee_of(&provider, instant, &seed, measurement);
        let member = |slot: u32| {
            let (account, identity) = T::Participants::challenger(slot, instant.epoch)?;
            Some((account, identity, endpoints(slot, instant.epoch)?))
        };
        Some(OpenChallenge {
            challenge: Challenge { epoch: instant.epoch, instant: instant.instant, slot },
            seed,
            start: instant.start,
            deadline: instant.start.saturating_add(measurement.report_deadline),
            bits_per_second: measurement.challenger_bits_per_second(provider.wanted),
            train_us: measurement.train_us,
            budget_bytes: measurement.challenger_budget_bytes(provider.wanted),
            wanted_bits_per_second: provider.wanted,
            provider: provider.account,
            identity: provider.identity,
            committee: committee?.into_iter().map(member).collect::<Option<_>>()?,
            taken: Reports::<T>::get((instant.epoch, instant.instant), slot).iter().map(|(place, _)| *place).collect(),
        })
    }

    /// What was measured of an account in a slot; nothing of whoever had it before.
    pub fn measured(slot: u32, account: &AccountId) -> Measured {
        let window = Windows::<T>::get(slot).filter(|window| window.account == *account);
        window.map_or_else(Measured::default, |window| Measured {
            guaranteed: window.guaranteed,
            results: (window.down.into_inner(), window.up.into_inner()),
            last: window.last,
        })
    }

    /// What a challenger did and missed lately.
    pub fn record(challenger: &AccountId) -> Record {
        Records::<T>::get(challenger).1
    }
}
