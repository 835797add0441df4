//! How one line is shared.
//!
//! A challenger that takes part in several measurements at once shares what it has among them by max-min fairness (Bertsekas and Gallager, Data Networks, section 6.5.2): everybody gets what it wants, or as much as
//! anybody else; what one does not need is for the others. A prover that sends to a whole committee gives
//! all of them the same: [`Pace`].

use crate::time::UnixMicros;
use parking_lot::Mutex;
use std::sync::Arc;

/// The max-min fair shares of a capacity, in the order of what is wanted.
pub fn max_min_fair(wanted: &[u64], capacity: u64) -> Vec<u64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_unstable_by_key(|index| wanted[*index]);
    let mut shares = vec![0; wanted.len()];
    let mut left = capacity;
    for (served, index) in order.iter().enumerate() {
        let equal = left / (wanted.len() - served) as u64;
        shares[*index] = wanted[*index].min(equal);
        left -= shares[*index];
    }
    shares
}

struct Entry {
    id: u64,
    start: UnixMicros,
    end: UnixMicros,
    bits_per_second: u64,
}

/// The measurements that a challenger takes part in, and what each gets.
pub struct Shares {
    capacity_bits_per_second: u64,
    most: usize,
    entries: Mutex<(u64, Vec<Entry>)>,
}

/// A part in [`Shares`], for as long as it lives.
pub struct Share {
    shares: Arc<Shares>,
    id: u64,
}

impl Shares {
    /// For a capacity, and no more than so many measurements at once.
    pub fn new(capacity_bits_per_second: u64, most: usize) -> Self {
        Self { capacity_bits_per_second, most, entries: Mutex::default() }
    }

    /// Takes part in a measurement from `start` to `end` that wants a rate; nothing if there are too many.
    pub fn join(self: &Arc<Self>, start: UnixMicros, end: UnixMicros, bits_per_second: u64) -> Option<Share> {
        let mut entries = self.entries.lock();
        if entries.1.len() >= self.most {
            return None;
        }
        let id = entries.0;
        entries.0 = id.wrapping_add(1);
        entries.1.push(Entry { id, start, end, bits_per_second });
        Some(Share { shares: self.clone(), id })
    }
}

impl Share {
    /// The rate that this measurement gets now: its fair share among those that overlap with it.
    pub fn bits_per_second(&self) -> u64 {
        let entries = self.shares.entries.lock();
        let Some(own) = entries.1.iter().find(|entry| entry.id == self.id) else { return 0 };
        let overlapping: Vec<&Entry> =
            entries.1.iter().filter(|entry| entry.start < own.end && own.start < entry.end).collect();
        let wanted: Vec<u64> = overlapping.iter().map(|entry| entry.bits_per_second).collect();
        let shares = max_min_fair(&wanted, self.shares.capacity_bits_per_second);
        let own = overlapping.iter().zip(shares).find(|(entry, _)| entry.id == self.id);
        own.map_or(0, |(_, share)| share)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shares.entries.lock().1.retain(|entry| entry.id != self.id);
    }
}

/// A rate that all who send at a time share, each up to what it may.
pub struct Pace {
    bits_per_second: u64,
    senders: Mutex<(u64, Vec<(u64, u64)>)>,
}

/// One who sends, for as long as it lives.
pub struct Sender<'a> {
    pace: &'a Pace,
    id: u64,
}

impl Pace {
    /// Of so much in all.
    pub fn new(bits_per_second: u64) -> Self {
        Self { bits_per_second, senders: Mutex::default() }
    }

    /// One more sends from now on, and no faster than this.
    pub fn join(&self, most_bits_per_second: u64) -> Sender<'_> {
        let mut senders = self.senders.lock();
        let id = senders.0;
        senders.0 = id.wrapping_add(1);
        senders.1.push((id, most_bits_per_second));
        Sender { pace: self, id }
    }
}

impl Sender<'_> {
    /// How fast the sender may send now: its max-min fair share.
    pub fn bits_per_second(&self) -> u64 {
        let senders = self.pace.senders.lock();
        let most: Vec<u64> = senders.1.iter().map(|(_, most)| *most).collect();
        let shares = max_min_fair(&most, self.pace.bits_per_second);
        let own = senders.1.iter().zip(shares).find(|((id, _), _)| *id == self.id);
        own.map_or(0, |(_, share)| share)
    }
}

impl Drop for Sender<'_> {
    fn drop(&mut self) {
        self.pace.senders.lock().1.retain(|(id, _)| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_one_does_not_need_is_for_the_others() {
        assert_eq!(max_min_fair(&[100, 10, 100], 110), [50, 10, 50]);
        assert_eq!(max_min_fair(&[100, 10, 100], 1_000), [100, 10, 100]);
        assert_eq!(max_min_fair(&[], 1_000), [0; 0]);
    }

    #[test]
    fn only_those_at_the_same_time_share_and_a_part_that_ends_is_given_back() {
        let shares = Arc::new(Shares::new(100, 3));
        let at = |seconds: u64| UnixMicros(seconds * 1_000_000);
        let first = shares.join(at(1), at(2), 80).unwrap();
        let second = shares.join(at(1), at(2), 80).unwrap();
        let later = shares.join(at(2), at(3), 80).unwrap();
        assert!(shares.join(at(5), at(6), 1).is_none(), "too many");
        assert_eq!([&first, &second, &later].map(|share| share.bits_per_second()), [50, 50, 80]);
        drop(second);
        assert_eq!(first.bits_per_second(), 80);
    }

    #[test]
    fn all_who_send_at_a_time_get_the_same_but_for_those_that_want_less() {
        let pace = Pace::new(90);
        let first = pace.join(100);
        assert_eq!(first.bits_per_second(), 90);
        let others = [pace.join(100), pace.join(100)];
        assert_eq!(first.bits_per_second(), 30);
        let slow = pace.join(0);
        assert_eq!((first.bits_per_second(), slow.bits_per_second()), (30, 0));
        drop(others);
        assert_eq!(first.bits_per_second(), 90);
    }

    proptest! {
        #[test]
        fn shares_are_within_what_is_wanted_and_there_and_nobody_with_less_could_have_more(
            wanted in proptest::collection::vec(0u64..1_000, 0..20), capacity in 0u64..5_000,
        ) {
            let shares = max_min_fair(&wanted, capacity);
            let in_all: u64 = shares.iter().sum();
            prop_assert!(in_all <= capacity);
            prop_assert!(shares.iter().zip(&wanted).all(|(share, wanted)| share <= wanted));
            let most = shares.iter().max().copied().unwrap_or(0);
            for (share, wanted) in shares.iter().zip(&wanted) {
                // Whoever wants more has as much as anybody, but for what does not divide.
                prop_assert!(share == wanted || share + 1 >= most);
            }
            if in_all + (wanted.len() as u64) < capacity {
                prop_assert_eq!(shares, wanted);
            }
        }
    }
}
