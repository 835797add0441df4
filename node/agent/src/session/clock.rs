//! How far our clock is off from those of our peers.
//!
//! Two agents exchange a few clocks when a control stream opens; the exchange with the shortest round trip tells most (Mills,
//! RFC 5905, section 10). An agent whose clock is further than ε/2 from the median of its peers takes no part in
//! measurements: while most peers are honest and right, any two that do are within ε. With fewer than three peers there is
//! no median, and it takes part.

use libp2p::PeerId;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use weir_probe::{
    message::Clock,
    time::{is_clock_kept, UnixMicros},
};

/// Says so if nothing keeps this machine's clock right.
pub fn warn_of_free_clock() {
    if is_clock_kept() == Some(false) {
        log::warn!(
            "nothing keeps this machine's clock right, says its kernel; with chrony or systemd-timesyncd it would not drift away from the others'"
        );
    }
}

/// How many exchanges there are.
pub const EXCHANGES: usize = 8;
/// How many peers a median needs: fewer could be one liar.
const LEAST_PEERS: usize = 3;
/// How many peers are remembered.
const MOST_PEERS: usize = 64;
/// How long a peer's clock is remembered.
const REMEMBERED: Duration = Duration::from_secs(3_600);

/// What an exchange shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// By how much the peer's clock is ahead of ours, in microseconds.
    pub ahead_us: i64,
    /// The time to the peer and back, without the time that it took to answer.
    pub round_trip: Duration,
}

/// No more than this of what a peer says its clock is off is taken into account.
const MOST_AHEAD: Duration = Duration::from_millis(100);

impl Sample {
    /// When it is, by our clock, what a moment is by the peer's. With half of the round trip of the same exchange this is right for what is sent
    /// there, however long each way takes.
    pub fn by_our_clock(&self, moment: Instant) -> Instant {
        let off = Duration::from_micros(self.ahead_us.unsigned_abs()).min(MOST_AHEAD);
        if self.ahead_us > 0 {
            moment.checked_sub(off).unwrap_or(moment)
        } else {
            moment.checked_add(off).unwrap_or(moment)
        }
    }
}

/// One side of the exchanges with one peer.
#[derive(Debug, Default)]
pub struct Comparison {
    sent: Option<UnixMicros>,
    heard: Option<UnixMicros>,
    best: Option<Sample>,
}

impl Comparison {
    /// What to say now.
    pub fn say(&mut self, now: UnixMicros) -> Clock {
        self.sent = Some(now);
        Clock { heard: self.heard.unwrap_or(now), sent: now }
    }

    /// Takes what the peer said. The first thing that a peer says before we said anything tells nothing.
    pub fn hear(&mut self, clock: Clock, now: UnixMicros) {
        self.heard = Some(now);
        let Some(sent) = self.sent.take() else { return };
        let held = clock.sent.since(clock.heard);
        // Only a clock that was set in between, or a liar, shows less time than nothing.
        let Some(round_trip) = now.since(sent).checked_sub(held) else { return };
        let forth = i128::from(clock.heard.minus(sent));
        let back = i128::from(clock.sent.minus(now));
        let ahead_us = i64::try_from((forth + back) / 2).unwrap_or(if forth < 0 { i64::MIN } else { i64::MAX });
        if self.best.is_none_or(|best| round_trip < best.round_trip) {
            self.best = Some(Sample { ahead_us, round_trip });
        }
    }

    /// The exchange with the shortest round trip so far.
    pub fn best(&self) -> Option<Sample> {
        self.best
    }
}

/// The clocks of our peers.
#[derive(Default)]
pub struct Watch {
    ahead: Mutex<HashMap<PeerId, (i64, UnixMicros)>>,
}

impl Watch {
    /// Remembers what a comparison with a peer showed.
    pub fn note(&self, peer: PeerId, sample: Sample, now: UnixMicros) {
        let mut ahead = self.ahead.lock();
        ahead.retain(|_, (_, at)| now.since(*at) < REMEMBERED);
        if ahead.len() < MOST_PEERS || ahead.contains_key(&peer) {
            ahead.insert(peer, (sample.ahead_us, now));
        }
    }

    /// By how much our clock is ahead of the median of our peers, in microseconds; nothing if there are too few.
    pub fn ahead_of_peers_us(&self) -> Option<i64> {
        let ahead: Vec<i64> = self.ahead.lock().values().map(|(ahead, _)| *ahead).collect();
        (ahead.len() >= LEAST_PEERS).then(|| median(ahead).saturating_neg())
    }

    /// Whether our clock is off by more than half of what two clocks may differ.
    pub fn is_off(&self, tolerance_us: u64) -> Option<i64> {
        self.ahead_of_peers_us().filter(|ahead| ahead.unsigned_abs() > tolerance_us / 2)
    }
}

/// The median; of an even number, the one of the two in the middle that is nearer to zero, so that half of the
/// peers alone decide nothing.
fn median(mut values: Vec<i64>) -> i64 {
    values.sort_unstable();
    let upper = values.get(values.len() / 2).copied().unwrap_or_default();
    let lower = values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default();
    if upper.unsigned_abs() < lower.unsigned_abs() {
        upper
    } else {
        lower
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Both sides of one exchange after a first word, with the responder's clock ahead.
    fn exchange(ahead: i64, forth: u64, held: u64, back: u64) -> (Comparison, Comparison) {
        let (mut asker, mut responder) = (Comparison::default(), Comparison::default());
        let theirs = |at: u64| UnixMicros(at.saturating_add_signed(ahead));
        let mut at = 1_000_000_000;
        for _ in 0..2 {
            let said = asker.say(UnixMicros(at));
            at += forth;
            responder.hear(said, theirs(at));
            at += held;
            let said = responder.say(theirs(at));
            at += back;
            asker.hear(said, UnixMicros(at));
        }
        (asker, responder)
    }

    #[test]
    fn both_sides_see_the_same_difference_and_round_trip() {
        let (asker, responder) = exchange(7_000, 500, 90_000, 500);
        assert_eq!(asker.best(), Some(Sample { ahead_us: 7_000, round_trip: Duration::from_micros(1_000) }));
        // The responder hears again after its own word, so it has one exchange less.
        assert_eq!(responder.best(), Some(Sample { ahead_us: -7_000, round_trip: Duration::from_micros(1_000) }));
    }

    #[test]
    fn what_is_due_by_a_clock_that_is_ahead_is_due_earlier_by_ours() {
        let (now, sample) = (Instant::now(), |ahead_us| Sample { ahead_us, round_trip: Duration::ZERO });
        let moment = now + Duration::from_secs(1);
        assert_eq!(sample(20_000).by_our_clock(moment), moment - Duration::from_millis(20));
        assert_eq!(sample(-20_000).by_our_clock(moment), moment + Duration::from_millis(20));
        assert_eq!(sample(i64::MIN).by_our_clock(moment), moment + MOST_AHEAD);
    }

    #[test]
    fn a_watch_compares_with_the_median_of_three_peers_or_more() {
        let watch = Watch::default();
        let sample = |ahead_us| Sample { ahead_us, round_trip: Duration::ZERO };
        let now = UnixMicros::now();
        watch.note(PeerId::random(), sample(50_000), now);
        watch.note(PeerId::random(), sample(-12_000), now);
        assert_eq!(watch.is_off(20_000), None, "two peers are too few");
        watch.note(PeerId::random(), sample(-9_000), now);
        assert_eq!((watch.ahead_of_peers_us(), watch.is_off(20_000)), (Some(9_000), None));
        watch.note(PeerId::random(), sample(-12_000), now);
        watch.note(PeerId::random(), sample(-13_000), now);
        assert_eq!(watch.is_off(20_000), Some(12_000));
        // What is old is forgotten with the next word.
        watch.note(PeerId::random(), sample(0), now.after(REMEMBERED));
        assert_eq!(watch.ahead_of_peers_us(), None);
    }

    proptest! {
        #[test]
        fn the_error_is_at_most_half_of_the_round_trip(
            ahead in -1_000_000i64..1_000_000, forth in 0u64..200_000, held in 0u64..50_000, back in 0u64..200_000,
        ) {
            let (asker, _) = exchange(ahead, forth, held, back);
            let best = asker.best().unwrap();
            let error = (best.ahead_us - ahead).unsigned_abs();
            prop_assert!(error <= (forth + back) / 2 + 1);
        }

        #[test]
        fn a_minority_of_liars_cannot_move_the_median_beyond_the_honest(
            honest in proptest::collection::vec(-1_000i64..1_000, 3..10), lie: i64,
        ) {
            let liars = (honest.len() - 1) / 2;
            let mut all = honest.clone();
            all.extend(std::iter::repeat_n(lie, liars));
            let median = median(all);
            prop_assert!(honest.iter().min() <= Some(&median) && Some(&median) <= honest.iter().max());
        }

        #[test]
        fn no_clock_of_a_liar_panics(heard: u64, sent: u64, now: u64, before: u64) {
            let mut comparison = Comparison::default();
            comparison.say(UnixMicros(before));
            comparison.hear(Clock { heard: UnixMicros(heard), sent: UnixMicros(sent) }, UnixMicros(now));
        }
    }
}
