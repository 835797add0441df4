//! A train as it is received: which packets came, when, and what was in them.

use crate::{
    commitment::Commitment,
    packet::{self, Digest, Expected, Key, HEADER_BYTES},
    time::{micros, UnixMicros},
};
use std::{net::IpAddr, time::Duration};

/// The most packets that one train can have: a gigabyte and a half.
pub const MAX_PACKETS: u32 = 1 << 20;
/// The most bytes of a message with the bitmap of the longest train.
pub const MAX_BITMAP_BYTES: usize = MAX_PACKETS as usize / 8;
/// In steps of what length arrivals are counted, for people to look at.
pub const STEP: Duration = Duration::from_millis(10);
/// The most steps that are kept: longer than any train.
pub const MAX_STEPS: usize = 1_200;

/// What is expected of a train.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// How many packets it has at most.
    pub packets: u32,
    /// The bytes of UDP payload of each.
    pub payload: usize,
    /// When it starts.
    pub start: UnixMicros,
    /// What arrives later does not count.
    pub until: UnixMicros,
    /// What comes from elsewhere does not count, if this is known.
    pub source: Option<IpAddr>,
    /// What is done about the content.
    pub content: Content,
}

/// What is done about the content of packets.
#[derive(Clone, Debug)]
pub enum Content {
    /// A digest is kept of each: we do not know what it should be, and must show that we have it.
    Commit,
    /// The content must be the keystream under this key.
    Verify(Key),
}

/// What came of a train.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// How many packets came, each counted once.
    pub packets: u32,
    /// How many of them came after one with a higher sequence number (RFC 4737, section 3).
    pub reordered: u32,
    /// When the last one came.
    pub last: Option<UnixMicros>,
    /// How many came in each [`STEP`] since the start.
    pub arrivals: Vec<u16>,
    /// The commitment to them, if their content was not known.
    pub commitment: Option<Commitment>,
}

enum Seen {
    Digests(Vec<Option<Digest>>),
    Verified(Expected, Vec<bool>),
}

/// A train on its way.
pub struct Reception {
    expectation: Expectation,
    seen: Seen,
    packets: u32,
    reordered: u32,
    highest: Option<u32>,
    last: Option<UnixMicros>,
    arrivals: Vec<u16>,
}

impl Reception {
    /// One of which nothing has come yet.
    pub fn new(expectation: Expectation) -> Self {
        let packets = expectation.packets as usize;
        let seen = match expectation.content {
            Content::Commit => Seen::Digests(vec![None; packets]),
            Content::Verify(key) => Seen::Verified(Expected::new(key, expectation.payload), vec![false; packets]),
        };
        Self { expectation, seen, packets: 0, reordered: 0, highest: None, last: None, arrivals: Vec::new() }
    }

    pub(crate) fn expected_packets(&self) -> u32 {
        self.expectation.packets
    }

    /// Takes a packet; says whether it counts.
    pub fn take(&mut self, sequence: u32, stream: &[u8], from: IpAddr, at: UnixMicros) -> bool {
        let Expectation { payload, until, source, .. } = self.expectation;
        if stream.len().checked_add(HEADER_BYTES) != Some(payload)
            || source.is_some_and(|source| source != from)
            || at > until
        {
            return false;
        }
        match &mut self.seen {
            Seen::Digests(digests) => match digests.get_mut(sequence as usize) {
                Some(digest @ None) => *digest = Some(packet::digest(sequence, stream)),
                _ => return false,
            },
            Seen::Verified(expected, seen) => match seen.get_mut(sequence as usize) {
                Some(seen @ false) if expected.is(sequence, stream) => *seen = true,
                _ => return false,
            },
        }
        self.packets = self.packets.saturating_add(1);
        if self.highest.is_some_and(|highest| highest > sequence) {
            self.reordered = self.reordered.saturating_add(1);
        }
        self.highest = self.highest.max(Some(sequence));
        self.last = self.last.max(Some(at));
        let step = micros(at.since(self.expectation.start)) / micros(STEP);
        let step = usize::try_from(step).unwrap_or(usize::MAX).min(MAX_STEPS - 1);
        if self.arrivals.len() <= step {
            self.arrivals.resize(step + 1, 0);
        }
        self.arrivals[step] = self.arrivals[step].saturating_add(1);
        true
    }

    /// What came.
    pub fn finish(self) -> Received {
        let commitment = match &self.seen {
            Seen::Digests(digests) => Some(Commitment::new(digests)),
            Seen::Verified(..) => None,
        };
        let Self { packets, reordered, last, arrivals, .. } = self;
        Received { packets, reordered, last, arrivals, commitment }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::IpBytes;

    const KEY: Key = [9; 32];
    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const START: UnixMicros = UnixMicros(1_000_000);

    fn reception(content: Content) -> Reception {
        Reception::new(Expectation {
            packets: 10,
            payload: IpBytes::MAX.payload(SOURCE).unwrap(),
            start: START,
            until: START.after(Duration::from_millis(500)),
            source: Some(SOURCE),
            content,
        })
    }

    fn stream(sequence: u32, key: Key) -> Vec<u8> {
        let mut bytes = vec![0; IpBytes::MAX.payload(SOURCE).unwrap()];
        packet::write(&mut bytes, &[0; 16], sequence, &key);
        bytes.split_off(HEADER_BYTES)
    }

    #[test]
    fn each_packet_counts_once_and_only_from_where_and_while_it_should() {
        for content in [Content::Commit, Content::Verify(KEY)] {
            let mut reception = reception(content);
            let mut take = |sequence, from, at| reception.take(sequence, &stream(sequence, KEY), from, at);
            assert!(take(3, SOURCE, START));
            assert!(!take(3, SOURCE, START), "twice");
            assert!(!take(10, SOURCE, START), "beyond the train");
            assert!(!take(4, [10, 0, 0, 1].into(), START), "from elsewhere");
            assert!(!take(4, SOURCE, START.after(Duration::from_millis(501))), "late");
            assert!(!reception.take(4, &stream(4, KEY)[1..], SOURCE, START), "shorter");
            assert_eq!(reception.finish().packets, 1);
        }
    }

    #[test]
    fn keystream_of_another_key_or_packet_does_not_count() {
        let mut reception = reception(Content::Verify(KEY));
        assert!(!reception.take(1, &stream(1, [8; 32]), SOURCE, START));
        assert!(!reception.take(1, &stream(2, KEY), SOURCE, START));
        assert!(reception.take(1, &stream(1, KEY), SOURCE, START));
    }

    #[test]
    fn reordering_and_arrivals_are_counted_as_they_come() {
        let mut reception = reception(Content::Commit);
        for (sequence, milliseconds) in [(0, 1), (2, 11), (1, 12), (3, 35)] {
            let at = START.after(Duration::from_millis(milliseconds));
            assert!(reception.take(sequence, &stream(sequence, KEY), SOURCE, at));
        }
        let received = reception.finish();
        assert_eq!((received.packets, received.reordered), (4, 1));
        assert_eq!(received.arrivals, [1, 2, 0, 1]);
        assert_eq!(received.last, Some(START.after(Duration::from_millis(35))));
    }
}
