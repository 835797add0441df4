//! What a prover takes from the network.
//!
//! One thread reads one socket. It keeps the digests of packets whose tag was asked for, within the number that was agreed
//! on, and drops everything else without an answer: nobody can use it to send anything to anybody.

use crate::{
    commitment::Commitment,
    limit::TokenBucket,
    packet::{self, Digest, Tag, PACKET_BYTES},
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        Arc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// The most packets that one train can have: a gigabyte and a half.
pub const MAX_PACKETS: u32 = 1 << 20;
/// The most trains that are expected at once.
pub const MAX_TRAINS: usize = 64;
/// How often the thread looks whether it should stop.
const POLL: Duration = Duration::from_millis(200);

/// Why a train cannot be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It has more packets than [`MAX_PACKETS`].
    #[error("the train has more packets than fit a measurement")]
    TooLong,
    /// There are [`MAX_TRAINS`] already.
    #[error("too many trains at once")]
    TooMany,
    /// The tag is in use.
    #[error("the tag is in use")]
    TagInUse,
}

struct Reception {
    received: Vec<Option<Digest>>,
}

/// What the receiver has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets of trains that were expected.
    pub taken: u64,
    /// Packets above the limit.
    pub limited: u64,
    /// Packets that nobody asked for, or that came twice.
    pub unasked: u64,
}

#[derive(Default)]
struct Shared {
    trains: Mutex<HashMap<Tag, Reception>>,
    taken: AtomicU64,
    limited: AtomicU64,
    unasked: AtomicU64,
    stopped: AtomicBool,
}

/// A socket that measurement packets come to.
pub struct Receiver {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Binds a socket, and reads it on a thread of its own. With a limit, packets above it are dropped, as a slower line
    /// would.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound, or there is no thread to be had.
    pub fn bind(address: SocketAddr, limit_bits_per_second: Option<u64>) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(POLL))?;
        let address = socket.local_addr()?;
        let shared = Arc::new(Shared::default());
        let limit = limit_bits_per_second.map(|rate| TokenBucket::new(rate, Instant::now()));
        let for_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("weir-receiver".into())
            .spawn(move || read_all(&socket, &for_thread, limit))?;
        Ok(Self { shared, address, thread: Some(thread) })
    }

    /// Where packets come to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on takes packets with this tag.
    ///
    /// # Errors
    ///
    /// When the train is longer than any measurement, or there are too many.
    pub fn expect(&self, tag: Tag, packets: u32) -> Result<(), Refused> {
        if packets > MAX_PACKETS {
            return Err(Refused::TooLong);
        }
        let mut trains = self.shared.trains.lock();
        if trains.contains_key(&tag) {
            return Err(Refused::TagInUse);
        }
        if trains.len() >= MAX_TRAINS {
            return Err(Refused::TooMany);
        }
        trains.insert(tag, Reception { received: vec![None; packets as usize] });
        Ok(())
    }

    /// Takes no more packets with this tag, and commits to those that came. Nothing if none were expected.
    pub fn finish(&self, tag: &Tag) -> Option<Commitment> {
        let reception = self.shared.trains.lock().remove(tag)?;
        Some(Commitment::new(&reception.received))
    }

    /// What came so far.
    pub fn counts(&self) -> Counts {
        Counts {
            taken: self.shared.taken.load(Ordering::Relaxed),
            limited: self.shared.limited.load(Ordering::Relaxed),
            unasked: self.shared.unasked.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read_all(socket: &UdpSocket, shared: &Shared, mut limit: Option<TokenBucket>) {
    // One byte more than a packet, so that a longer one is seen to be longer.
    let mut buffer = [0; PACKET_BYTES + 1];
    while !shared.stopped.load(Ordering::Relaxed) {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => take(&buffer[..length], from, shared, limit.as_mut()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => (),
            Err(error) => {
                log::warn!("reading measurement packets failed: {error}");
                std::thread::sleep(POLL);
            },
        }
    }
}

fn take(bytes: &[u8], from: SocketAddr, shared: &Shared, limit: Option<&mut TokenBucket>) {
    let count = |counter: &AtomicU64| {
        counter.fetch_add(1, Ordering::Relaxed);
    };
    // The limit is over all that comes in, as that of a line is.
    if let Some(limit) = limit {
        if !limit.take(packet::wire_bytes(from.ip()), Instant::now()) {
            return count(&shared.limited);
        }
    }
    let Some((tag, sequence, stream)) = packet::read(bytes) else { return count(&shared.unasked) };
    let mut trains = shared.trains.lock();
    let slot = trains.get_mut(&tag).and_then(|reception| reception.received.get_mut(sequence as usize));
    match slot {
        Some(slot) if slot.is_none() => {
            *slot = Some(packet::digest(sequence, stream));
            count(&shared.taken);
        },
        _ => count(&shared.unasked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sender::{send, Train};

    const KEY: packet::Key = [9; 32];
    const TAG: Tag = [1; 16];

    fn loopback() -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    fn train(to: SocketAddr, packets: u32, bits_per_second: u64) -> Train {
        Train { to, tag: TAG, key: KEY, packets, bits_per_second, start: Instant::now() }
    }

    /// Waits until the receiver has seen a number of packets, or a second has passed.
    fn wait_for(receiver: &Receiver, packets: u64) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(1) {
            let counts = receiver.counts();
            if counts.taken + counts.limited + counts.unasked >= packets {
                return;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_train_over_loopback_is_proven_to_have_arrived() {
        let receiver = Receiver::bind(loopback(), None).unwrap();
        receiver.expect(TAG, 100).unwrap();
        assert_eq!(send(&train(receiver.address(), 100, 20_000_000)).unwrap(), 100);
        wait_for(&receiver, 100);
        let proven = receiver.finish(&TAG).unwrap().proven_packets(&KEY, 100).unwrap();
        assert_eq!(u64::from(proven), receiver.counts().taken);
        assert!(proven > 90, "{proven}");
    }

    #[test]
    fn a_paced_train_takes_its_time() {
        let receiver = Receiver::bind(loopback(), None).unwrap();
        let begun = Instant::now();
        // 50 packets of 11 424 bits at 5.712 Mbit/s are 100 ms; the last one goes 2 ms before.
        send(&train(receiver.address(), 50, 5_712_000)).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(98));
    }

    #[test]
    fn packets_that_nobody_asked_for_are_dropped_and_never_answered() {
        let receiver = Receiver::bind(loopback(), None).unwrap();
        receiver.expect(TAG, 1).unwrap();
        let stranger = UdpSocket::bind(loopback()).unwrap();
        stranger.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut bytes = [0; PACKET_BYTES];
        packet::write(&mut bytes, &[2; 16], 0, &KEY);
        stranger.send_to(&bytes, receiver.address()).unwrap();
        packet::write(&mut bytes, &TAG, 1, &KEY);
        stranger.send_to(&bytes, receiver.address()).unwrap();
        stranger.send_to(b"hello", receiver.address()).unwrap();
        stranger.send_to(&[0; PACKET_BYTES + 50], receiver.address()).unwrap();
        wait_for(&receiver, 4);
        assert_eq!(receiver.counts(), Counts { taken: 0, limited: 0, unasked: 4 });
        assert!(stranger.recv(&mut bytes).is_err());
    }

    #[test]
    fn a_packet_that_comes_twice_counts_once() {
        let receiver = Receiver::bind(loopback(), None).unwrap();
        receiver.expect(TAG, 2).unwrap();
        for _ in 0..2 {
            send(&train(receiver.address(), 1, 1_000_000)).unwrap();
        }
        wait_for(&receiver, 2);
        assert_eq!(receiver.counts(), Counts { taken: 1, limited: 0, unasked: 1 });
        assert_eq!(receiver.finish(&TAG).unwrap().proven_packets(&KEY, 2), Some(1));
    }

    #[test]
    fn memory_for_trains_is_bounded_before_it_is_taken() {
        let receiver = Receiver::bind(loopback(), None).unwrap();
        assert_eq!(receiver.expect(TAG, MAX_PACKETS + 1), Err(Refused::TooLong));
        for train in 0..MAX_TRAINS {
            receiver.expect([train as u8; 16], 1).unwrap();
        }
        assert_eq!(receiver.expect([0; 16], 1), Err(Refused::TagInUse));
        assert_eq!(receiver.expect([255; 16], 1), Err(Refused::TooMany));
    }
}
