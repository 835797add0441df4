//! The dates of blocks: when a miner may search, how it dates its template, and when a block may be imported.
//!
//! A miner may search for a child as soon as the earliest date of that child is not too far ahead of its clock to be imported
//! elsewhere. It gives the child that date, or what its clock shows if that is later, and publishes at once what it finds.
//! So whoever dated the last block, and however far ahead, everybody may search for the next one from the same moment on, and
//! a date buys no head start. Resting until the clock gets to the parent's date would give the chain to whoever dates ahead:
//! see `scripts/simulate consensus`, *forward dating*, and ADR 0026.
//!
//! Dates are milliseconds since the Unix epoch, as each node's clock shows them.

use crate::{parameters::Consensus, Milliseconds, UnixMilliseconds};

/// The rules for dates of one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dates {
    /// The least time between the dates of a block and its parent: T/20 on every preset.
    pub spacing: Milliseconds,
    /// How far ahead of the importer's clock a block may be dated: L.
    pub limit: Milliseconds,
}

impl Dates {
    /// The earliest date of a child of a block.
    pub fn earliest(self, parent: UnixMilliseconds) -> UnixMilliseconds {
        parent.saturating_add(self.spacing)
    }

    /// The date of a child that is searched for now; none if the search has to wait, until [`Self::search_from`].
    ///
    /// # Consensus
    ///
    /// `max(now, parent + spacing)`, if that is at most `now + limit`.
    pub fn template(self, parent: UnixMilliseconds, now: UnixMilliseconds) -> Option<UnixMilliseconds> {
        let date = now.max(self.earliest(parent));
        self.is_due(date, now).then_some(date)
    }

    /// From which moment on a child of a block may be searched for.
    pub fn search_from(self, parent: UnixMilliseconds) -> UnixMilliseconds {
        self.due_at(self.earliest(parent))
    }

    /// Whether a block of this date may be imported now.
    pub fn is_due(self, date: UnixMilliseconds, now: UnixMilliseconds) -> bool {
        date <= now.saturating_add(self.limit)
    }

    /// From which moment on a block of this date may be imported.
    pub fn due_at(self, date: UnixMilliseconds) -> UnixMilliseconds {
        date.saturating_sub(self.limit)
    }

    /// Whether a block of this date is worth keeping until it is due: it is at most twice the limit ahead.
    pub fn is_worth_waiting_for(self, date: UnixMilliseconds, now: UnixMilliseconds) -> bool {
        date <= now.saturating_add(self.limit.saturating_mul(2))
    }
}

impl From<&Consensus> for Dates {
    fn from(consensus: &Consensus) -> Self {
        Self { spacing: consensus.least_block_interval, limit: consensus.furthest_ahead }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DATES: Dates = Dates { spacing: 300, limit: 15_000 };

    #[test]
    fn a_block_dated_as_far_ahead_as_allowed_is_searched_on_from_the_next_spacing_on_and_not_later() {
        let now = 1_000_000;
        let parent = now + DATES.limit;
        assert_eq!(DATES.template(parent, now), None);
        assert_eq!(DATES.search_from(parent), now + DATES.spacing);
        assert_eq!(DATES.template(parent, now + DATES.spacing), Some(parent + DATES.spacing));
    }

    #[test]
    fn a_block_that_is_late_is_dated_with_the_clock() {
        assert_eq!(DATES.template(1_000, 5_000), Some(5_000));
    }

    #[test]
    fn extreme_dates_neither_overflow_nor_become_due() {
        assert_eq!(DATES.template(u64::MAX, 0), None);
        assert!(!DATES.is_due(u64::MAX, u64::MAX - DATES.limit - 1));
        assert!(DATES.is_due(u64::MAX, u64::MAX));
        assert_eq!(DATES.due_at(3), 0);
    }

    proptest! {
        #[test]
        fn whatever_is_searched_for_may_be_published_at_once(parent in 0u64..1 << 44, now in 0u64..1 << 44) {
            match DATES.template(parent, now) {
                Some(date) => {
                    prop_assert!(date >= DATES.earliest(parent) && DATES.is_due(date, now));
                    prop_assert!(now >= DATES.search_from(parent));
                },
                None => prop_assert!(now < DATES.search_from(parent)),
            }
        }

        #[test]
        fn a_later_date_of_the_parent_delays_all_miners_alike_and_never_the_one_who_gave_it_less(
            parent in 1u64 << 30..1 << 44, ahead in 0u64..=15_000,
        ) {
            // The moment from which on anybody may search depends on the parent's date alone: not on who gave it.
            prop_assert!(DATES.search_from(parent + ahead) <= DATES.search_from(parent) + ahead);
            prop_assert!(DATES.search_from(parent + ahead) >= DATES.search_from(parent));
        }
    }
}
