//! Numbers for those who are drawn. A number is given again when the last epoch of who had it has been evaluated.

use crate::{types::Role, Config, FreedSlots, Pallet, Tables};
use weir_primitives::EpochIndex;

/// For how many epochs a slot stays empty after the last one in which it was active: in the first of them the challenges of that
/// last one are evaluated.
const EMPTY_EPOCHS: EpochIndex = 1;

impl<T: Config> Pallet<T> {
    /// A slot for somebody who is active from an epoch on: the next one, or that of genesis.
    pub(crate) fn take_slot(role: Role, from: EpochIndex) -> u32 {
        let epoch = Self::epoch();
        Tables::<T>::mutate(role, |table| {
            let freed = FreedSlots::<T>::get(role, table.freed_begin).filter(|(_, from)| *from <= epoch);
            if let Some((slot, _)) = freed {
                FreedSlots::<T>::remove(role, table.freed_begin);
                table.freed_begin = table.freed_begin.wrapping_add(1);
                return slot;
            }
            let slot = *table.slots.last();
            table.slots.set(from, slot.saturating_add(1));
            slot
        })
    }

    /// Takes back the slot of somebody who was active from an epoch on, and is not any more from another one on.
    ///
    /// Who never was leaves nothing to evaluate. If each of them took a new number, coming and going would make so many that no
    /// committee is found among them.
    pub(crate) fn free_slot(role: Role, slot: u32, from: EpochIndex, until: EpochIndex) {
        let reusable_from = if from >= until { Self::epoch() } else { until.saturating_add(EMPTY_EPOCHS) };
        Tables::<T>::mutate(role, |table| {
            if from >= until {
                // In front of those that must wait.
                table.freed_begin = table.freed_begin.wrapping_sub(1);
                FreedSlots::<T>::insert(role, table.freed_begin, (slot, reusable_from));
                return;
            }
            FreedSlots::<T>::insert(role, table.freed_end, (slot, reusable_from));
            table.freed_end = table.freed_end.wrapping_add(1);
        });
    }

    /// How many slots of a role there are in an epoch, empty ones included.
    pub fn slots(role: Role, epoch: EpochIndex) -> u32 {
        *Tables::<T>::get(role).slots.at(epoch)
    }
}
