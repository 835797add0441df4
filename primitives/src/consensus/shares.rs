//! The shares of authors in the snapshots of guaranteed bandwidth, without a snapshot being taken.
//!
//! The share of an author in a snapshot is the guaranteed bandwidth of the providers that name it, if it made a block since the snapshot before,
//! and nothing else; the whole is the sum of that over all authors. Nobody is visited for it when a snapshot is taken: both change only when the
//! bandwidth behind an author does, which tells so for the next snapshot, and when an author makes its first block after a snapshot.
//!
//! A snapshot is taken at the start of each epoch, unless the one before still waits to be proven final. So what is called an epoch below is the
//! time from one snapshot to the next: an epoch of the chain, or several of them while finality stands still.

use crate::{versions::Versions, EpochIndex};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use sp_core::ConstU32;
use sp_runtime::BoundedVec;

/// How many snapshots are known beside that of the next epoch: those of [`super::credit::TERMS`].
const KNOWN: u32 = 3;

/// The bandwidth behind an author, and in which epochs it made a block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Author {
    /// What is guaranteed of the providers that name it, by epoch, in bits per second.
    guaranteed: Versions<u64, KNOWN>,
    /// The last epoch in which it made a block.
    last: Option<EpochIndex>,
    /// In which of the epochs before that it did: bit i stands for the one i + 1 before it.
    before: u8,
}

/// The sums over all authors, by epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Totals(BoundedVec<(EpochIndex, u128), ConstU32<{ KNOWN + 1 }>>);

impl Author {
    /// One of a chain that took snapshots: the epochs in which it made its last block and the last one before that, and its shares in the last
    /// snapshots, the oldest first. Nothing is behind it from the epoch `next` on.
    pub fn of_snapshots(
        last: EpochIndex,
        before: Option<EpochIndex>,
        shares: &[(EpochIndex, u64)],
        next: EpochIndex,
    ) -> Self {
        let mut author = Self { guaranteed: Versions::new(0), last: Some(last), before: 0 };
        for (epoch, bits_per_second) in shares {
            author.guaranteed.set(*epoch, *bits_per_second);
        }
        author.guaranteed.set(next, 0);
        let counted = shares.iter().filter(|(_, bits)| *bits > 0).filter_map(|(epoch, _)| epoch.checked_sub(1));
        for made in counted.chain(before) {
            let bit = last.checked_sub(made).and_then(|ago| ago.checked_sub(1)).and_then(|bit| 1u8.checked_shl(bit));
            author.before |= bit.unwrap_or(0);
        }
        author
    }

    /// Whether it made a block in an epoch: the current one or one of the three before it.
    pub fn made_a_block(&self, epoch: EpochIndex) -> bool {
        let Some(last) = self.last else { return false };
        match last.checked_sub(epoch) {
            Some(0) => true,
            Some(ago @ 1..=8) => {
                ago.checked_sub(1).and_then(|bit| self.before.checked_shr(bit)).is_some_and(|it| it & 1 == 1)
            },
            _ => false,
        }
    }

    /// The bandwidth behind it in the snapshot of an epoch: the next one, the current one, or one of the two before it.
    pub fn share(&self, epoch: EpochIndex) -> u64 {
        let counts = epoch.checked_sub(1).is_some_and(|before| self.made_a_block(before));
        if counts {
            *self.guaranteed.at(epoch)
        } else {
            0
        }
    }

    /// Notes that it makes a block of an epoch, the current one.
    pub fn note_block(&mut self, epoch: EpochIndex, totals: &mut Totals) {
        if self.last == Some(epoch) {
            return;
        }
        let next = epoch.saturating_add(1);
        let was = self.share(next);
        self.before = match self.last.and_then(|last| epoch.checked_sub(last)) {
            Some(passed @ 1..=8) => {
                let shifted = u16::from(self.before).checked_shl(passed).unwrap_or(0);
                let own = 1u16.checked_shl(passed.saturating_sub(1)).unwrap_or(0);
                u8::try_from((shifted | own) & 0xff).unwrap_or(0)
            },
            _ => 0,
        };
        self.last = Some(epoch);
        totals.add(next, was, self.share(next));
    }

    /// Changes the bandwidth behind it in the snapshots of an epoch, the next one, and later.
    pub fn change(&mut self, from: EpochIndex, before: u64, after: u64, totals: &mut Totals) {
        let was = self.share(from);
        let sum = self.guaranteed.last().saturating_sub(before).saturating_add(after);
        self.guaranteed.set(from, sum);
        totals.add(from, was, self.share(from));
    }

    /// Whether nothing would be lost without it, in an epoch.
    pub fn is_empty(&self, epoch: EpochIndex) -> bool {
        let none = |of: EpochIndex| *self.guaranteed.at(of) == 0;
        let long_ago = self.last.is_none_or(|last| last.saturating_add(KNOWN) < epoch);
        long_ago
            && none(epoch.saturating_sub(2))
            && none(epoch.saturating_sub(1))
            && none(epoch)
            && *self.guaranteed.last() == 0
    }
}

impl Totals {
    /// Those of a chain that took snapshots, the oldest first.
    pub fn of_snapshots(totals: impl Iterator<Item = (EpochIndex, u128)>) -> Self {
        Self(BoundedVec::truncate_from(totals.collect()))
    }

    /// The sum in the snapshot of an epoch: the next one, the current one, or one of the two before it.
    pub fn of(&self, epoch: EpochIndex) -> u128 {
        self.0.iter().find(|(of, _)| *of == epoch).map_or(0, |(_, sum)| *sum)
    }

    fn add(&mut self, epoch: EpochIndex, before: u64, after: u64) {
        let moved = |sum: u128| sum.saturating_sub(before.into()).saturating_add(after.into());
        if let Some((_, sum)) = self.0.iter_mut().find(|(of, _)| *of == epoch) {
            *sum = moved(*sum);
        } else if before != after {
            if self.0.is_full() {
                self.0.remove(0);
            }
            self.0.force_push((epoch, moved(0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    const AUTHORS: usize = 5;

    #[derive(Clone, Debug)]
    enum Step {
        Block(usize),
        Change(usize, u64),
        NextEpoch,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..AUTHORS).prop_map(Step::Block),
            3 => (0..AUTHORS, prop_oneof![Just(0), any::<u64>().prop_map(|bits| bits >> 3)])
                .prop_map(|(author, bits)| Step::Change(author, bits)),
            2 => Just(Step::NextEpoch),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn shares_and_their_sums_are_those_of_snapshots_that_visit_everybody(
            steps in proptest::collection::vec(step(), 150..250),
        ) {
            let mut epoch = 0;
            let mut authors: [Author; AUTHORS] = Default::default();
            let mut totals = Totals::default();
            let mut made = BTreeSet::<(usize, EpochIndex)>::new();
            let mut behind = [0u64; AUTHORS];
            // What each had when an epoch began.
            let mut snapshots = BTreeMap::<EpochIndex, [u64; AUTHORS]>::from([(0, behind)]);
            for step in steps {
                match step {
                    Step::Block(at) => {
                        authors[at].note_block(epoch, &mut totals);
                        made.insert((at, epoch));
                    },
                    Step::Change(at, bits) => {
                        authors[at].change(epoch + 1, behind[at], bits, &mut totals);
                        behind[at] = bits;
                    },
                    Step::NextEpoch => {
                        epoch += 1;
                        snapshots.insert(epoch, behind);
                    },
                }
                for of in epoch.saturating_sub(2)..=epoch {
                    let mut sum = 0u128;
                    for at in 0..AUTHORS {
                        let counts = of > 0 && made.contains(&(at, of - 1));
                        let expected = if counts { snapshots[&of][at] } else { 0 };
                        prop_assert_eq!(authors[at].share(of), expected, "of {} in {}", at, of);
                        sum += u128::from(expected);
                    }
                    prop_assert_eq!(totals.of(of), sum);
                }
            }
        }
    }

    #[test]
    fn who_made_no_block_in_the_epoch_before_has_no_share_whatever_is_behind_it() {
        let (mut author, mut totals) = (Author::default(), Totals::default());
        author.change(3, 0, 1_000, &mut totals);
        assert_eq!((author.share(3), totals.of(3)), (0, 0));
        author.note_block(2, &mut totals);
        assert_eq!((author.share(3), totals.of(3)), (1_000, 1_000));
        assert_eq!((author.share(4), totals.of(4)), (0, 0));
    }

    #[test]
    fn an_author_that_is_long_gone_can_be_forgotten() {
        let (mut author, mut totals) = (Author::default(), Totals::default());
        author.note_block(2, &mut totals);
        author.change(3, 0, 1_000, &mut totals);
        author.change(4, 1_000, 0, &mut totals);
        assert!(!author.is_empty(5));
        assert!(author.is_empty(6));
    }
}
