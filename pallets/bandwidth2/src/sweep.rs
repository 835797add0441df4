//! Evaluation: after each deadline all slots are passed over, some in each block, and what was drawn is booked.

use crate::{
    types::{Challenge, Instant, Outcome, Window},
    Batches, Config, Event, Instants, JailCandidates, Pallet, Records, Reports, Windows,
};
use alloc::vec::Vec;
use frame_support::{
    traits::Get,
    weights::{Weight, WeightMeter},
};
use sp_arithmetic::Perbill;
use weir_primitives::{
    interfaces::{CurrentBlock, EpochProvider, OnDuty, Participants},
    measurement::{
        challenge::{evaluate, Evaluation, Measured, MemberReport, Rules},
        duties::{jailed, Attendance, Entry},
        estimator::Limits,
        lottery::Seed,
    },
    parameters::Measurement,
    AccountId, EpochIndex,
};

/// After how many epochs in which nothing was proven a provider is made to leave.
const EVICTED_AFTER: EpochIndex = 24;
/// After how many epochs without a committee challenges count as such that proved nothing.
const UNMEASURED_FOR: EpochIndex = 12;

impl<T: Config> Pallet<T> {
    /// Passes over slots of the oldest instant whose deadline is past, as many as there is weight for.
    pub(crate) fn sweep(measurement: &Measurement, limit: Weight) -> Weight {
        let mut meter = WeightMeter::with_limit(limit);
        let now = T::CurrentBlock::timestamp();
        let is_due = |it: &Instant| now > it.start.saturating_add(measurement.report_deadline);
        Instants::<T>::mutate(|open| {
            while let Some(instant) = open.iter_mut().next().filter(|it| is_due(it)) {
                while instant.next_slot < instant.slots {
                    if meter.try_consume(T::SlotWeight::get()).is_err() {
                        return;
                    }
                    let slot = instant.next_slot;
                    instant.next_slot = slot.saturating_add(1);
                    Self::evaluate_slot(slot, instant, measurement);
                }
                open.remove(0);
            }
        });
        meter.consumed()
    }

    /// Forgets what was reported at an instant that will not be evaluated.
    pub(crate) fn forget(instant: &Instant) {
        let key = (instant.epoch, instant.instant);
        // Bounded by what one instant's deadline takes.
        let _ = Reports::<T>::clear_prefix(key, u32::MAX, None);
        let _ = Batches::<T>::clear_prefix(key, u32::MAX, None);
    }

    /// Books what a provider has shown at an instant, if it was drawn.
    fn evaluate_slot(slot: u32, instant: &Instant, measurement: &Measurement) {
        let Some(seed) = instant.seed else { return };
        // Whoever is in the slot later says nothing of an epoch that is long past.
        let epoch = Self::last_plan().map_or(0, |plan| plan.epoch.index);
        if instant.epoch.saturating_add(1) < epoch {
            return;
        }
        let Some(provider) = T::Participants::provider(slot, instant.epoch) else { return };
        if !Self::is_drawn(slot, &provider, instant, &seed, measurement) {
            return;
        }
        let key = (instant.epoch, instant.instant);
        let taken = Reports::<T>::take(key, slot);
        Batches::<T>::remove(key, slot);
        if instant.is_void {
            return;
        }
        let mut window = Windows::<T>::get(slot)
            .filter(|window| window.account == provider.account)
            .unwrap_or_else(|| Window::new(provider.account.clone(), instant.epoch));
        let committee = Self::committee_of(&provider, instant, &seed, measurement);
        match committee {
            Some(committee) => {
                window.last_measured = instant.epoch;
                let reports = (0u8..)
                    .zip(&committee)
                    .map(|(place, _)| taken.iter().find(|(taken, _)| *taken == place).map(|(_, report)| *report));
                let reports: Vec<Option<MemberReport>> = reports.collect();
                Self::book(slot, instant, &seed, &provider, &committee, &reports, &mut window, measurement);
            },
            // The window stays as it is, but not for ever.
            None if instant.epoch.saturating_sub(window.last_measured) > UNMEASURED_FOR => {
                window.add(0, 0, measurement.rank, measurement.window);
                T::Participants::set_measured(slot, window.counted(), None);
            },
            None => return,
        }
        if instant.epoch.saturating_sub(window.last_proven) >= EVICTED_AFTER {
            T::Participants::evict(slot);
            Windows::<T>::remove(slot);
        } else {
            Windows::<T>::insert(slot, window);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn book(
        slot: u32,
        instant: &Instant,
        _seed: &Seed,
        provider: &EpochProvider,
        committee: &[u32],
        reports: &[Option<MemberReport>],
        window: &mut Window,
        measurement: &Measurement,
    ) {
        let rules = Rules {
            limits: Limits {
                byzantine: measurement.byzantine,
                least_time_us: measurement.least_time_us,
                clock_tolerance_us: measurement.clock_tolerance_us,
            },
            growth_step: measurement.growth_step_bits_per_second,
        };
        let budget_bytes = measurement.challenger_budget_bytes(provider.wanted);
        let measured = Measured {
            declared: provider.declared,
            guaranteed: window.guaranteed,
            budget_bytes,
            family: provider.family,
        };
        let Evaluation { prefix, down, up, attendance } = evaluate(reports, &rules, &measured);
        let was = window.counted();
        let guaranteed = window.add(down.counted, up.counted, measurement.rank, measurement.window);
        if down.counted > 0 && up.counted > 0 {
            window.last_proven = instant.epoch;
        }
        T::Participants::set_measured(slot, guaranteed, prefix);
        let met = Self::book_duties(instant, committee, attendance.as_deref(), was, budget_bytes);
        let count = u32::try_from(reports.iter().flatten().count()).unwrap_or(u32::MAX);
        Self::deposit_event(Event::Measured {
            challenge: Challenge { epoch: instant.epoch, instant: instant.instant, slot },
            provider: provider.account.clone(),
            outcome: Outcome { down, up, reports: count, met },
            was_bits_per_second: was,
            guaranteed_bits_per_second: guaranteed,
        });
    }

    /// Books what each member did, and says how many met their duty.
    fn book_duties(
        instant: &Instant,
        committee: &[u32],
        attendance: Option<&[Attendance]>,
        weight: u64,
        assigned_bytes: u64,
    ) -> Option<u32> {
        let members: Vec<Option<AccountId>> = committee
            .iter()
            .map(|slot| T::Participants::challenger(*slot, instant.epoch).map(|(account, _)| account))
            .collect();
        let Some(attendance) = attendance else {
            members.iter().flatten().for_each(|account| T::OnDuty::on_duty(account, 0));
            return None;
        };
        let mut met = 0u32;
        for (index, account) in members.iter().enumerate() {
            let Some(account) = account else { continue };
            if attendance.get(index) == Some(&Attendance::Met) {
                met = met.saturating_add(1);
                // Down and up.
                T::OnDuty::on_duty(account, assigned_bytes.saturating_mul(2));
            }
            let Some(entry) = Entry::of(attendance, index, weight) else { continue };
            let excess = Records::<T>::mutate(account, |record| {
                record.add(entry);
                record.is_to_be_jailed().then(|| record.excess()).flatten()
            });
            Self::note_excess(account, excess);
        }
        Some(met)
    }

    /// Keeps the worst of those who are to be jailed when the next epoch begins.
    fn note_excess(account: &AccountId, excess: Option<Perbill>) {
        JailCandidates::<T>::mutate(|candidates| {
            candidates.retain(|(other, _)| other != account);
            let Some(excess) = excess else { return };
            if candidates.is_full() {
                let least = candidates.iter().enumerate().min_by_key(|(_, (_, excess))| *excess);
                let Some((index, (_, least))) = least else { return };
                if *least >= excess {
                    return;
                }
                candidates.swap_remove(index);
            }
            candidates.force_push((account.clone(), excess));
        });
    }

    /// Jails the worst of those who missed too much: a sixteenth of all challengers at the most.
    pub(crate) fn jail_worst(challengers: u32) {
        let candidates = JailCandidates::<T>::take();
        let numbered = (0u32..).zip(candidates.iter().map(|(_, excess)| *excess)).collect();
        for index in jailed(numbered, challengers) {
            let account = usize::try_from(index).ok().and_then(|index| candidates.get(index));
            if let Some((account, _)) = account.filter(|(account, _)| T::Participants::jail(account)) {
                // It begins anew when it comes back.
                Records::<T>::remove(account);
            }
        }
    }
}
