//! When challenges start, and what their draws come from.
//!
//! Instant i of an epoch belongs to the block at [`height`]; its seed comes from the hash of that block, so that it is known from the next one
//! on, and its start is the timestamp of the block and a notice. So a seed has one start, and nobody knows who will be measured before there is
//! an instant to measure at.

use crate::weights::WeightInfo;
use crate::{
    sweep::Evaluated,
    types::{Instant, Plan},
    Config, Event, Instants, Pallet, Plans,
};
use frame_support::traits::Get;
use sp_runtime::SaturatedConversion;
use weir_primitives::{
    interfaces::{CurrentBlock, Everybody, HasRoom, Participants},
    measurement::lottery::{
        groups::Group,
        instants::{height, seed, Demand},
        Seed,
    },
    parameters::{Measurement, Parameters},
    BlockNumber, Epoch, EpochIndex, Hash, UnixMilliseconds,
};

/// How many blocks there should be between the start of a challenge and its deadline.
fn blocks_of_a_deadline(parameters: &Parameters) -> u64 {
    parameters.measurement.report_deadline.checked_div(parameters.consensus.block_time.max(1)).unwrap_or(0)
}

impl<T: Config> HasRoom for Pallet<T> {
    /// Where instants are as many as are needed, twelve of them must do for the lines and for the batches; and all slots must be passed over
    /// before the next instant, half as many drawn as there are on average.
    fn has_room_for(wanted: u64) -> bool {
        let (Some(parameters), Some(plan)) = (T::Parameters::get(), Self::last_plan()) else { return false };
        let next = plan.epoch.index.saturating_add(1);
        let demand = Self::demand(next, wanted, &parameters);
        if parameters.measurement.instants == 0 && !demand.is_met() {
            return false;
        }
        let Plan { epoch, instants, one_in } =
            Self::plan_of(plan.epoch.next(parameters.measurement.epoch_blocks), &demand, &parameters);
        let blocks = epoch.blocks.checked_div(instants).unwrap_or(0);
        let slots = u64::from(T::Participants::everybody(next).provider_slots).saturating_add(1);
        let drawn = u64::from(demand.providers).saturating_mul(3).div_ceil(u64::from(one_in).saturating_mul(2).max(1));
        let members = parameters.measurement.committee;
        let looks = members.saturating_mul(TYPICAL_LOOKS_PER_MEMBER);
        let typical = Evaluated { looks, paid: 0, is_booked: true, was_evicted: false };
        let evaluated = Self::weight_of_evaluation(&parameters.measurement, typical);
        // With its first duty of an epoch a challenger is paid for those of the last one: nearly all of them at the first instant.
        let paid = drawn.saturating_mul(members.into()).min(T::Participants::everybody(next).challengers.into());
        let needed = Self::weight_of_a_slot()
            .saturating_mul(slots)
            .saturating_add(evaluated.saturating_mul(drawn))
            .saturating_add(T::WeightInfo::pay_duties().saturating_mul(paid));
        // A block does not begin with a slot that it may not be able to end.
        let usable = T::SweepWeight::get()
            .saturating_sub(T::WeightInfo::pass_slots(0))
            .saturating_sub(Self::most_of_a_slot(&parameters.measurement));
        needed.all_lte(usable.saturating_mul(blocks.into()))
    }
}

/// How many looks at the table of challengers a member takes where nearly all of them can be one.
const TYPICAL_LOOKS_PER_MEMBER: u32 = 2;

impl<T: Config> Pallet<T> {
    /// What is measured in an epoch.
    pub(crate) fn plan(epoch: Epoch, parameters: &Parameters) -> Plan {
        Self::plan_of(epoch, &Self::demand(epoch.index, 0, parameters), parameters)
    }

    fn plan_of(epoch: Epoch, demand: &Demand, parameters: &Parameters) -> Plan {
        let fixed = parameters.measurement.instants;
        if fixed > 0 {
            return Plan { epoch, instants: fixed.min(epoch.blocks), one_in: 1 };
        }
        let instants = demand.instants().min(epoch.blocks);
        Plan { epoch, instants, one_in: instants }
    }

    /// What the providers of an epoch need, if some bits per second more are wanted.
    fn demand(epoch: EpochIndex, more: u64, parameters: &Parameters) -> Demand {
        let Everybody { wanted, class, providers, .. } = T::Participants::everybody(epoch);
        let blocks = blocks_of_a_deadline(parameters);
        let batches = blocks.saturating_mul(T::BatchesPerBlock::get().into()).checked_div(2).unwrap_or(0);
        Demand {
            wanted_bits_per_second: wanted.saturating_add(more.into()),
            class_bits_per_second: class,
            providers: providers.saturating_add(u32::from(more > 0)),
            batches_per_instant: u32::try_from(batches).unwrap_or(u32::MAX),
        }
    }

    /// Opens the instant that belongs to this block, and gives that of the block before its seed.
    pub(crate) fn open_instants(number: BlockNumber, plan: &Plan, measurement: &Measurement) {
        let parent: Hash = frame_system::Pallet::<T>::parent_hash();
        Instants::<T>::mutate(|open| {
            let now = T::CurrentBlock::timestamp();
            for it in open.iter_mut().filter(|it| it.block.checked_add(1) == Some(number)) {
                it.seed = Some(seed(parent, it.epoch, it.instant));
                // Who hears of it late can neither prepare nor be blamed.
                let half = measurement.notice.checked_div(2).unwrap_or(0);
                it.is_void = now > it.start.saturating_sub(half);
            }
            for it in open.iter_mut().filter(|it| Self::takes_reports(it, now, measurement)) {
                it.blocks = it.blocks.saturating_add(1);
            }
            let opens = |instant: &u32| height(plan.epoch.first, plan.epoch.blocks, plan.instants, *instant) == number;
            let Some(instant) = (0..plan.instants).find(opens) else { return };
            let start = T::CurrentBlock::timestamp().saturating_add(measurement.notice);
            let slots = T::Participants::everybody(plan.epoch.index).provider_slots;
            let (epoch, one_in) = (plan.epoch.index, plan.one_in);
            let opened = Instant {
                epoch,
                instant,
                one_in,
                block: number,
                start,
                seed: None,
                slots,
                next_slot: 0,
                blocks: 0,
                is_void: false,
            };
            // There is always room, unless the chain runs far too fast: then nobody is measured.
            if open.try_push(opened).is_ok() {
                Self::deposit_event(Event::InstantOpened { epoch, instant, start });
            }
        });
    }

    /// Whether blocks with this timestamp take reports of an instant: from when its seed is known, though nobody has measured anything before
    /// its start. A report that comes early by the date of the last block would else be thrown away by who hears of it.
    pub(crate) fn takes_reports(instant: &Instant, now: UnixMilliseconds, measurement: &Measurement) -> bool {
        instant.seed.is_some() && now <= instant.start.saturating_add(measurement.report_deadline)
    }

    /// Whether too few blocks came for the reports of an instant: less than a third of those that there should have been, or too few to hold as many
    /// batches as providers are drawn on average.
    pub(crate) fn had_few_blocks(instant: &Instant, parameters: &Parameters) -> bool {
        let blocks = u64::from(instant.blocks);
        let places = blocks.saturating_mul(T::BatchesPerBlock::get().into());
        let providers = u64::from(T::Participants::everybody(instant.epoch).providers);
        blocks.saturating_mul(3) < blocks_of_a_deadline(parameters)
            || places.saturating_mul(instant.one_in.into()) < providers
    }

    /// Whether an instant will be: it has no seed yet, or comes after all that were opened.
    pub(crate) fn is_to_come(epoch: EpochIndex, number: u32) -> bool {
        if let Some(instant) = Self::instant(epoch, number) {
            return instant.seed.is_none();
        }
        let Some(plan) = Self::last_plan() else { return false };
        let opens = height(plan.epoch.first, plan.epoch.blocks, plan.instants, number);
        epoch > plan.epoch.index || (epoch == plan.epoch.index && number < plan.instants && opens > Self::number())
    }

    /// An instant that is not evaluated yet.
    pub fn instant(epoch: EpochIndex, instant: u32) -> Option<Instant> {
        Instants::<T>::get().into_iter().find(|it| it.epoch == epoch && it.instant == instant)
    }

    /// Whether an instant draws the provider in a slot.
    pub fn is_drawn(
        slot: u32,
        provider: &weir_primitives::interfaces::EpochProvider,
        instant: &Instant,
        seed: &Seed,
        measurement: &Measurement,
    ) -> bool {
        let group = match provider.prefix.filter(|_| measurement.groups_prefixes) {
            Some(prefix) => Group::of(
                slot,
                prefix,
                T::Participants::wanted_behind(prefix, instant.epoch),
                T::Participants::everybody(instant.epoch).class,
            ),
            None => Group::Slot(slot),
        };
        group.is_drawn(seed, instant.one_in)
    }

    /// The epoch of the block before this one, and what is measured in it.
    pub(crate) fn last_plan() -> Option<Plan> {
        Plans::<T>::get()
    }

    pub(crate) fn number() -> BlockNumber {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }
}
