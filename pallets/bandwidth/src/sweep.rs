//! Evaluation: after each deadline all slots are passed over, some in each block, and what was drawn is booked.

use crate::{
    types::{Instant, Window},
    weights::WeightInfo,
    Batches, Config, Event, Evictions, Instants, JailCandidates, Pallet, Records, Reports, Windows,
};
use alloc::vec::Vec;
use frame_support::weights::{Weight, WeightMeter};
use sp_arithmetic::Perbill;
use weir_primitives::{
    interfaces::{CurrentBlock, EpochProvider, OnDuty, OnMeasured, Participants},
    measurement::{
        challenge::{evaluate, Challenge, Evaluation, Measured, MemberReport, Outcome, Rules},
        duties::{most_jailed, Attendance, Entry, Record},
        estimator::Limits,
        lottery::committee::CANDIDATES_PER_MEMBER,
    },
    parameters::{Measurement, Parameters},
    AccountId, EpochIndex,
};

/// For how many epochs a provider proves nothing before it is made to leave.
const EVICTED_AFTER: EpochIndex = 24;
/// Of how many providers one is made to leave in an epoch: when nobody can prove anything, it is hardly the providers.
const PROVIDERS_PER_EVICTED: u32 = 16;
/// How many reports, and batches, of an instant that is not evaluated are forgotten at a time.
pub(crate) const FORGOTTEN_AT_A_TIME: u32 = 64;
/// After how many epochs without a committee challenges count as such that proved nothing.
const UNMEASURED_FOR: EpochIndex = 12;

/// What evaluating a challenge took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evaluated {
    /// How many looks at the table of challengers.
    pub looks: u32,
    /// How many members were paid for former duties.
    pub paid: u32,
    /// Whether anything was booked: there was a committee, and the instant was not void.
    pub is_booked: bool,
    /// Whether the provider was made to leave.
    pub was_evicted: bool,
}

impl<T: Config> Pallet<T> {
    /// Passes over slots of the oldest instant whose deadline is past, as many as there is weight for.
    pub(crate) fn sweep(parameters: &Parameters, limit: Weight) -> Weight {
        let measurement = &parameters.measurement;
        let mut meter = WeightMeter::with_limit(limit);
        let most = Self::most_of_a_slot(measurement);
        let now = T::CurrentBlock::timestamp();
        let is_due = |it: &Instant| now > it.start.saturating_add(measurement.report_deadline);
        let epoch = Self::last_plan().map_or(0, |plan| plan.epoch.index);
        Instants::<T>::mutate(|open| {
            while let Some(instant) = open.iter_mut().next().filter(|it| is_due(it)) {
                // Whoever is in the slots later says nothing of an epoch that is long past.
                if instant.epoch.saturating_add(1) < epoch {
                    if meter.try_consume(T::WeightInfo::forget()).is_err() || !Self::forget(instant) {
                        return;
                    }
                    open.remove(0);
                    continue;
                }
                // What the first slot of a block costs more than the others.
                if meter.try_consume(T::WeightInfo::pass_slots(0)).is_err() {
                    return;
                }
                instant.is_void |= Self::had_few_blocks(instant, parameters);
                while instant.next_slot < instant.slots {
                    if !meter.can_consume(most) {
                        return;
                    }
                    let slot = instant.next_slot;
                    instant.next_slot = slot.saturating_add(1);
                    meter.consume(Self::weight_of_a_slot());
                    if let Some(evaluated) = Self::evaluate_slot(slot, instant, measurement) {
                        meter.consume(Self::weight_of_evaluation(measurement, evaluated));
                    }
                }
                open.remove(0);
            }
        });
        meter.consumed()
    }

    /// What passing over one slot costs at the most.
    pub(crate) fn most_of_a_slot(measurement: &Measurement) -> Weight {
        let members = measurement.committee;
        let most = Evaluated {
            looks: members.saturating_mul(CANDIDATES_PER_MEMBER),
            paid: members,
            is_booked: true,
            was_evicted: true,
        };
        Self::weight_of_a_slot().saturating_add(Self::weight_of_evaluation(measurement, most))
    }

    /// What passing over one slot more costs, if it was not drawn.
    pub(crate) fn weight_of_a_slot() -> Weight {
        T::WeightInfo::pass_slots(1).saturating_sub(T::WeightInfo::pass_slots(0))
    }

    /// What evaluating a challenge costs that took so much.
    pub(crate) fn weight_of_evaluation(measurement: &Measurement, evaluated: Evaluated) -> Weight {
        let Evaluated { looks, paid, is_booked, was_evicted } = evaluated;
        let members = if is_booked { measurement.committee } else { 1 };
        T::WeightInfo::evaluate(members)
            // One look for each member is in it.
            .saturating_add(Self::weight_of_looks(looks.saturating_sub(members)))
            .saturating_add(T::WeightInfo::pay_duties().saturating_mul(paid.into()))
            .saturating_add(if was_evicted { T::WeightInfo::evict() } else { Weight::zero() })
    }

    /// What so many looks at the table of challengers cost.
    pub(crate) fn weight_of_looks(looks: u32) -> Weight {
        let walk = T::WeightInfo::walk(1).saturating_sub(T::WeightInfo::walk(0));
        walk.saturating_mul(looks.into()).saturating_div(u64::from(CANDIDATES_PER_MEMBER))
    }

    /// Forgets some of what was reported at an instant that will not be evaluated, and says whether that is all.
    pub(crate) fn forget(instant: &Instant) -> bool {
        let key = (instant.epoch, instant.instant);
        let reports = Reports::<T>::clear_prefix(key, FORGOTTEN_AT_A_TIME, None);
        let batches = Batches::<T>::clear_prefix(key, FORGOTTEN_AT_A_TIME, None);
        reports.maybe_cursor.is_none() && batches.maybe_cursor.is_none()
    }

    /// Books what a provider has shown at an instant, if it was drawn.
    pub(crate) fn evaluate_slot(slot: u32, instant: &Instant, measurement: &Measurement) -> Option<Evaluated> {
        let seed = instant.seed?;
        let provider = T::Participants::provider(slot, instant.epoch)?;
        if !Self::is_drawn(slot, &provider, instant, &seed, measurement) {
            return None;
        }
        let key = (instant.epoch, instant.instant);
        let taken = Reports::<T>::take(key, slot);
        Batches::<T>::remove(key, slot);
        if instant.is_void {
            return Some(Evaluated::default());
        }
        let mut window = Windows::<T>::get(slot)
            .filter(|window| window.account == provider.account && window.from == provider.from)
            .unwrap_or_else(|| Window::new(provider.account.clone(), provider.from, instant.epoch));
        let (committee, looks) = Self::committee_of(&provider, instant, &seed, measurement);
        let is_booked = committee.is_some();
        let mut paid = 0;
        match committee {
            Some(committee) => {
                window.last_measured = instant.epoch;
                let reports = (0u8..)
                    .zip(&committee)
                    .map(|(place, _)| taken.iter().find(|(taken, _)| *taken == place).map(|(_, report)| *report));
                let reports: Vec<Option<MemberReport>> = reports.collect();
                paid = Self::book(slot, instant, &provider, &committee, &reports, &mut window, measurement);
            },
            // The window stays as it is, but not for ever.
            None if instant.epoch.saturating_sub(window.last_measured) > UNMEASURED_FOR => {
                let was_bits_per_second = window.counted();
                let guaranteed_bits_per_second = window.add(0, 0, measurement.rank, measurement.window);
                T::Participants::set_measured(slot, guaranteed_bits_per_second, None);
                Self::deposit_event(Event::Measured {
                    challenge: Challenge { epoch: instant.epoch, instant: instant.instant, slot },
                    provider: provider.account.clone(),
                    outcome: Outcome::default(),
                    was_bits_per_second,
                    guaranteed_bits_per_second,
                });
            },
            None => (),
        }
        let draws_an_epoch = Self::last_plan().map_or(1, |plan| plan.instants.checked_div(plan.one_in).unwrap_or(1));
        let was_evicted = window.failed >= EVICTED_AFTER.saturating_mul(draws_an_epoch.max(1)) && Self::may_evict();
        if was_evicted {
            T::Participants::evict(slot);
            window.failed = 0;
        }
        Windows::<T>::insert(slot, window);
        Some(Evaluated { looks, paid, is_booked, was_evicted })
    }

    /// Whether one more provider can be made to leave in this epoch.
    pub(crate) fn may_evict() -> bool {
        let epoch = Self::last_plan().map_or(0, |plan| plan.epoch.index);
        let providers = T::Participants::everybody(epoch).providers;
        Evictions::<T>::mutate(|(of, count)| {
            if *of != epoch {
                (*of, *count) = (epoch, 0);
            }
            let may = *count < providers.checked_div(PROVIDERS_PER_EVICTED).unwrap_or(0).max(1);
            *count = count.saturating_add(u32::from(may));
            may
        })
    }

    /// Books what a challenge came to, and says how many members were paid for former duties.
    #[allow(clippy::too_many_arguments)]
    fn book(
        slot: u32,
        instant: &Instant,
        provider: &EpochProvider,
        committee: &[u32],
        reports: &[Option<MemberReport>],
        window: &mut Window,
        measurement: &Measurement,
    ) -> u32 {
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
        let has_failed = down.counted == 0 || up.counted == 0;
        window.failed = if has_failed { window.failed.saturating_add(1) } else { 0 };
        T::Participants::set_measured(slot, guaranteed, prefix);
        // Weighed by what the provider is paid for in the epoch, whatever it declares or shows now.
        let (met, paid) =
            Self::book_duties(instant, committee, attendance.as_deref(), provider.guaranteed, budget_bytes);
        let count = u32::try_from(reports.iter().flatten().count()).unwrap_or(u32::MAX);
        let challenge = Challenge { epoch: instant.epoch, instant: instant.instant, slot };
        let outcome = Outcome { down, up, reports: count, met };
        window.last = Some((challenge, outcome));
        T::OnMeasured::on_measured(&provider.account);
        Self::deposit_event(Event::Measured {
            challenge,
            provider: provider.account.clone(),
            outcome,
            was_bits_per_second: was,
            guaranteed_bits_per_second: guaranteed,
        });
        paid
    }

    /// Books what each member did, and says how many met their duty, unless it is void, and how many were paid for former ones.
    fn book_duties(
        instant: &Instant,
        committee: &[u32],
        attendance: Option<&[Attendance]>,
        weight: u64,
        assigned_bytes: u64,
    ) -> (Option<u32>, u32) {
        let members: Vec<Option<AccountId>> = committee
            .iter()
            .map(|slot| T::Participants::challenger(*slot, instant.epoch).map(|(account, _)| account))
            .collect();
        let mut paid = 0u32;
        let mut on_duty = |account: &AccountId, bytes| {
            paid = paid.saturating_add(u32::from(T::OnDuty::on_duty(account, bytes)));
        };
        let Some(attendance) = attendance else {
            members.iter().flatten().for_each(|account| on_duty(account, 0));
            return (None, paid);
        };
        let mut met = 0u32;
        for (index, account) in members.iter().enumerate() {
            let Some(account) = account else { continue };
            if attendance.get(index) == Some(&Attendance::Met) {
                met = met.saturating_add(1);
                // Down and up.
                on_duty(account, assigned_bytes.saturating_mul(2));
            }
            let Some(entry) = Entry::of(attendance, index, weight) else { continue };
            let excess = Records::<T>::mutate(account, |(from, record)| {
                // What is left of the time before it was jailed is not booked again.
                if instant.epoch < *from {
                    return None;
                }
                record.add(entry);
                record.is_to_be_jailed().then(|| record.excess()).flatten()
            });
            Self::note_excess(account, excess);
        }
        (Some(met), paid)
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
    pub(crate) fn jail_worst(epoch: EpochIndex, challengers: u32) {
        let mut candidates = JailCandidates::<T>::take().into_inner();
        candidates.sort_unstable_by(|(one, excess), (other, others)| others.cmp(excess).then(one.cmp(other)));
        let mut left = most_jailed(challengers);
        for (account, _) in candidates {
            if left == 0 {
                break;
            }
            // Who is gone, or in jail, uses nothing up.
            if T::Participants::jail(&account) {
                left = left.saturating_sub(1);
                // It is drawn in this epoch still, and begins anew when it comes back.
                Records::<T>::insert(account, (epoch.saturating_add(1), Record::default()));
            }
        }
    }
}
