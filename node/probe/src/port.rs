//! The UDP port of an agent: what it takes from the network, and how it sends.
//!
//! One thread reads the socket. It takes packets of trains that were asked for, within the number that was agreed on, and
//! drops everything else without an answer: nobody can use it to send anything to anybody.

use crate::{
    limit::TokenBucket,
    packet::{self, IpBytes, Key, Tag, HEADER_BYTES},
    path_mtu::{self, Found},
    reception::{Expectation, Received, Reception, MAX_PACKETS},
    socket::{Buffers, Socket},
    time::UnixMicros,
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        Arc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// The most trains, and the most paths, that are expected at once.
pub const MAX_TRAINS: usize = 200;
/// The most packets that all expected trains have together: 70 MB of memory for what is kept of them.
pub const MAX_PACKETS_IN_ALL: u32 = 4 * MAX_PACKETS;
/// How often the thread looks whether it should stop.
const POLL: Duration = Duration::from_millis(200);
/// The least that is slept at once, on average, since timers are not much finer: packets go in bursts of about this length.
const NAP: Duration = Duration::from_micros(600);

/// Why a train cannot be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The train has more packets than [`MAX_PACKETS`], or together with the others more than [`MAX_PACKETS_IN_ALL`].
    #[error("the train has more packets than fit a measurement")]
    TooLong,
    /// There are [`MAX_TRAINS`] already.
    #[error("too many trains at once")]
    TooMany,
    /// The tag is in use.
    #[error("the tag is in use")]
    TagInUse,
}

/// A train to send.
#[derive(Clone, Debug)]
pub struct Train {
    /// Where to.
    pub to: SocketAddr,
    /// What the packets are marked with.
    pub tag: Tag,
    /// What their content is made from.
    pub key: Key,
    /// How many at most.
    pub packets: u32,
    /// How large each is.
    pub size: IpBytes,
    /// When the first one goes.
    pub start: Instant,
    /// When it ends, whatever is left.
    pub until: Instant,
}

/// How much of a line may be used in each direction, in bits per second of whole IP packets; all of it, where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of what comes in.
    pub down_bits_per_second: Option<u64>,
    /// Of what goes out.
    pub up_bits_per_second: Option<u64>,
}

impl Limits {
    /// The same in both directions.
    pub fn both(bits_per_second: Option<u64>) -> Self {
        Self { down_bits_per_second: bits_per_second, up_bits_per_second: bits_per_second }
    }
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets of trains and paths that were expected.
    pub taken: u64,
    /// Packets above the limit.
    pub limited: u64,
    /// Packets that nobody asked for, or that came twice, late or from elsewhere.
    pub unasked: u64,
}

#[derive(Default)]
struct Table {
    trains: HashMap<Tag, Reception>,
    paths: HashMap<Tag, Path>,
}

/// A path whose probes are expected, from the networks of these addresses.
struct Path {
    from: Vec<IpAddr>,
    found: watch::Sender<Option<Found>>,
}

/// A train that is expected for as long as this lives.
pub struct Arriving {
    port: Arc<Port>,
    tag: Tag,
}

impl Arriving {
    /// Takes no more packets of the train, and says what came. Nothing if somebody else did before.
    pub fn finish(self) -> Option<Received> {
        let reception = self.port.shared.table.lock().trains.remove(&self.tag);
        reception.map(Reception::finish)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.port.shared.table.lock().trains.remove(&self.tag);
    }
}

/// Probes that are expected for as long as this lives.
pub struct Probed {
    port: Arc<Port>,
    tag: Tag,
    found: watch::Receiver<Option<Found>>,
}

impl Probed {
    /// Waits for a probe, and then for the largest if that was a smaller one. Nothing if none comes in time.
    pub async fn settled(&mut self, within: Duration) -> Option<Found> {
        tokio::time::timeout(within, self.found.wait_for(Option::is_some)).await.ok()?.ok()?;
        let is_largest = |found: &Option<Found>| found.is_some_and(|found| found.size == IpBytes::MAX);
        let _ = tokio::time::timeout(path_mtu::SETTLED_AFTER, self.found.wait_for(is_largest)).await;
        *self.found.borrow()
    }
}

impl Drop for Probed {
    fn drop(&mut self) {
        self.port.shared.table.lock().paths.remove(&self.tag);
    }
}

#[derive(Default)]
struct Shared {
    table: Mutex<Table>,
    taken: AtomicU64,
    limited: AtomicU64,
    unasked: AtomicU64,
    stopped: AtomicBool,
}

/// A UDP port that measurement packets go through, both ways.
pub struct Port {
    socket: Arc<Socket>,
    shared: Arc<Shared>,
    address: SocketAddr,
    sending: Option<Mutex<TokenBucket>>,
    thread: Option<JoinHandle<()>>,
}

impl Port {
    /// Binds a socket, and reads it on a thread of its own. Packets above a limit are dropped, as a slower line would.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound, or there is no thread to be had.
    pub fn bind(address: SocketAddr, limits: Limits) -> io::Result<Self> {
        let socket = Arc::new(Socket::bind(address)?);
        let address = socket.local_address()?;
        let shared = Arc::new(Shared::default());
        let bucket = |rate: Option<u64>| rate.map(|rate| TokenBucket::new(rate, Instant::now()));
        let (for_thread, receiving, read) = (shared.clone(), bucket(limits.down_bits_per_second), socket.clone());
        let thread = std::thread::Builder::new()
            .name("weir-receiver".into())
            .spawn(move || read_all(&read, &for_thread, receiving))?;
        Ok(Self {
            socket,
            shared,
            address,
            sending: bucket(limits.up_bits_per_second).map(Mutex::new),
            thread: Some(thread),
        })
    }

    /// The address that it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on takes the packets of a train, until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// When the train is longer than any measurement, or there are too many.
    pub fn expect(self: &Arc<Self>, tag: Tag, expectation: Expectation) -> Result<Arriving, Refused> {
        let mut table = self.shared.table.lock();
        let in_all =
            table.trains.values().fold(expectation.packets, |sum, it| sum.saturating_add(it.expected_packets()));
        if expectation.packets > MAX_PACKETS || in_all > MAX_PACKETS_IN_ALL {
            return Err(Refused::TooLong);
        }
        if table.trains.contains_key(&tag) {
            return Err(Refused::TagInUse);
        }
        if table.trains.len() >= MAX_TRAINS {
            return Err(Refused::TooMany);
        }
        table.trains.insert(tag, Reception::new(expectation));
        Ok(Arriving { port: self.clone(), tag })
    }

    /// From now on takes the probes of a path from the networks of some addresses, until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// When there are too many.
    pub fn expect_path(self: &Arc<Self>, tag: Tag, from: Vec<IpAddr>) -> Result<Probed, Refused> {
        let mut table = self.shared.table.lock();
        if table.paths.contains_key(&tag) {
            return Err(Refused::TagInUse);
        }
        if table.paths.len() >= MAX_TRAINS {
            return Err(Refused::TooMany);
        }
        let (sender, found) = watch::channel(None);
        table.paths.insert(tag, Path { from, found: sender });
        Ok(Probed { port: self.clone(), tag, found })
    }

    /// Sends a probe of each size.
    ///
    /// # Errors
    ///
    /// When the destination cannot be reached at all.
    pub fn send_probes(&self, to: SocketAddr, tag: &Tag, key: &Key) -> io::Result<()> {
        for (sequence, size) in path_mtu::probes() {
            let Some(payload) = size.payload(to.ip()) else { continue };
            let mut packet = vec![0; payload];
            packet::write(&mut packet, tag, sequence, key);
            self.socket.send(to, &packet, payload)?;
        }
        Ok(())
    }

    /// Sends a train at a rate, and says how many packets went out. Blocks the thread until then.
    ///
    /// The rate is in bits per second, counted in whole IP packets, and asked for again and again, as it may change while
    /// the train is on its way. Each packet is shown to `sending` before it goes: its sequence number and its keystream.
    ///
    /// Packets go at random moments around their time: at a full queue, which drops what comes last, senders that keep their
    /// places would get very different parts.
    ///
    /// # Errors
    ///
    /// When the destination cannot be reached at all.
    pub fn send(
        &self,
        train: &Train,
        bits_per_second: impl Fn() -> u64,
        mut sending: impl FnMut(u32, &[u8]),
    ) -> io::Result<u32> {
        let Some(payload) = train.size.payload(train.to.ip()) else { return Ok(0) };
        let bits_per_packet = f64::from(train.size.0) * 8.0;
        let batch = self.socket.batch(payload);
        let mut bytes = vec![0; payload * batch];
        let (mut next, mut sent) = (0, 0);
        std::thread::sleep(train.start.saturating_duration_since(Instant::now()));
        // What may be sent by now, in packets, and by when that was.
        let (mut allowed, mut counted) = (rand::random::<f64>(), train.start);
        while next < train.packets {
            let now = Instant::now();
            if now >= train.until {
                break;
            }
            let packets_per_second = bits_per_second() as f64 / bits_per_packet;
            allowed += now.saturating_duration_since(counted).as_secs_f64() * packets_per_second;
            counted = now;
            if f64::from(next) + 1.0 > allowed {
                let lacking = f64::from(next) + 1.0 - allowed + rand::random::<f64>();
                let wait = Duration::try_from_secs_f64(lacking / packets_per_second).unwrap_or(POLL).min(POLL);
                let nap = NAP.mul_f64(0.5 + rand::random::<f64>());
                std::thread::sleep(wait.max(nap).min(train.until.saturating_duration_since(now)));
                continue;
            }
            let mut filled = 0;
            while next < train.packets && f64::from(next) + 1.0 <= allowed && filled < batch {
                if self.may_send(train.size, now) {
                    let packet = &mut bytes[filled * payload..][..payload];
                    packet::write(packet, &train.tag, next, &train.key);
                    sending(next, &packet[HEADER_BYTES..]);
                    filled += 1;
                }
                next += 1;
            }
            if filled > 0 {
                sent += self.socket.send(train.to, &bytes[..filled * payload], payload)?;
            }
        }
        Ok(u32::try_from(sent).unwrap_or(u32::MAX))
    }

    fn may_send(&self, size: IpBytes, now: Instant) -> bool {
        self.sending.as_ref().is_none_or(|limit| limit.lock().take(u64::from(size.0), now))
    }

    /// How many packets the kernel has dropped since they were not read in time, where it tells.
    pub fn lost_in_buffer(&self) -> Option<u64> {
        self.socket.lost_in_buffer()
    }

    /// For how long the kernel holds packets that come at a rate until they are read, where it tells.
    pub fn buffered_for(&self, bits_per_second: u64) -> Option<Duration> {
        let bytes = self.socket.receive_buffer_bytes().ok()?;
        // It counts about twice what is in full packets.
        let bits = bytes as f64 / 2.0 * 8.0;
        Duration::try_from_secs_f64(bits / bits_per_second.max(1) as f64).ok()
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

impl Drop for Port {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read_all(socket: &Socket, shared: &Shared, mut limit: Option<TokenBucket>) {
    let mut buffers = Buffers::default();
    while !shared.stopped.load(Ordering::Relaxed) {
        let taken =
            socket.receive(&mut buffers, POLL, |from, at, packet| shared.take(packet, from, at, limit.as_mut()));
        if let Err(error) = taken {
            log::warn!("reading measurement packets failed: {error}");
            std::thread::sleep(POLL);
        }
    }
}

impl Shared {
    fn take(&self, bytes: &[u8], from: SocketAddr, at: UnixMicros, limit: Option<&mut TokenBucket>) {
        // The limit is over all that comes in, as that of a line is.
        let size = IpBytes::of_payload(bytes.len(), from.ip());
        let counter = if limit.is_some_and(|limit| !limit.take(size, Instant::now())) {
            &self.limited
        } else if self.is_expected(bytes, from, at) {
            &self.taken
        } else {
            &self.unasked
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn is_expected(&self, bytes: &[u8], from: SocketAddr, at: UnixMicros) -> bool {
        let Some((tag, sequence, stream)) = packet::read(bytes) else { return false };
        let mut table = self.table.lock();
        let Some(size) = path_mtu::size_of(sequence) else {
            return table.trains.get_mut(&tag).is_some_and(|train| train.take(sequence, stream, from.ip(), at));
        };
        let Some(path) = table.paths.get(&tag) else { return false };
        let is_theirs = path.from.iter().any(|machine| path_mtu::is_same_network(*machine, from.ip()));
        if !is_theirs || size.payload(from.ip()) != Some(bytes.len()) {
            return false;
        }
        let found = Found { size, digest: packet::digest(sequence, stream), from };
        path.found.send_if_modified(|largest| {
            let is_larger = largest.is_none_or(|largest| largest.size < size);
            if is_larger {
                *largest = Some(found);
            }
            is_larger
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{packet::Expected, reception::Content};
    use std::net::UdpSocket;

    const KEY: Key = [9; 32];
    const TAG: Tag = [1; 16];
    const WITHIN: Duration = Duration::from_secs(2);

    fn port() -> Arc<Port> {
        Arc::new(Port::bind(([127, 0, 0, 1], 0).into(), Limits::default()).unwrap())
    }

    fn train(to: &Port, packets: u32) -> Train {
        Train {
            to: to.address(),
            tag: TAG,
            key: KEY,
            packets,
            size: IpBytes::MAX,
            start: Instant::now(),
            until: Instant::now() + Duration::from_secs(10),
        }
    }

    fn expectation(packets: u32, content: Content) -> Expectation {
        let source = std::net::IpAddr::from([127, 0, 0, 1]);
        let (start, until) = (UnixMicros::now(), UnixMicros::now().after(Duration::from_secs(10)));
        let payload = IpBytes::MAX.payload(source).unwrap();
        Expectation { packets, payload, start, until, source: Some(source), content }
    }

    /// Waits until a port has seen a number of packets, or a second has passed.
    fn wait_for(port: &Port, packets: u64) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(1) {
            let counts = port.counts();
            if counts.taken + counts.limited + counts.unasked >= packets {
                return;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_train_over_loopback_is_proven_to_have_arrived() {
        let (sender, receiver) = (port(), port());
        let arriving = receiver.expect(TAG, expectation(100, Content::Commit)).unwrap();
        let mut digests = HashMap::new();
        let keep = |sequence, stream: &[u8]| {
            digests.insert(sequence, packet::digest(sequence, stream));
        };
        assert_eq!(sender.send(&train(&receiver, 100), || 20_000_000, keep).unwrap(), 100);
        wait_for(&receiver, 100);
        let received = arriving.finish().unwrap();
        let proven = received.commitment.unwrap().proven_packets(100, |sequence| digests.get(&sequence).copied());
        assert_eq!(proven, Some(received.packets));
        assert_eq!(u64::from(received.packets), receiver.counts().taken);
        assert!(received.packets > 90, "{}", received.packets);
    }

    #[test]
    fn a_train_under_a_known_key_is_verified_as_it_comes() {
        let (sender, receiver) = (port(), port());
        let arriving = receiver.expect(TAG, expectation(50, Content::Verify(KEY))).unwrap();
        sender.send(&train(&receiver, 50), || 20_000_000, |_, _| ()).unwrap();
        sender.send(&Train { key: [8; 32], ..train(&receiver, 50) }, || 20_000_000, |_, _| ()).unwrap();
        wait_for(&receiver, 100);
        let received = arriving.finish().unwrap();
        assert!((45..=50).contains(&received.packets), "{}", received.packets);
        assert!(received.commitment.is_none());
    }

    #[test]
    fn a_paced_train_takes_its_time_and_ends_when_it_should() {
        let (sender, receiver) = (port(), port());
        let begun = Instant::now();
        // 50 packets of 12 000 bits at 6 Mbit/s are 100 ms, but for the first, which may go at once, and the last.
        assert_eq!(sender.send(&train(&receiver, 50), || 6_000_000, |_, _| ()).unwrap(), 50);
        assert!(begun.elapsed() >= Duration::from_millis(96));
        let cut = Train { until: Instant::now() + Duration::from_millis(50), ..train(&receiver, 50) };
        assert!(sender.send(&cut, || 6_000_000, |_, _| ()).unwrap() <= 26);
    }

    #[test]
    fn packets_that_nobody_asked_for_are_dropped_and_never_answered() {
        let receiver = port();
        let _arriving = receiver.expect(TAG, expectation(1, Content::Commit)).unwrap();
        let stranger = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        stranger.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut bytes = vec![0; 1_472];
        packet::write(&mut bytes, &[2; 16], 0, &KEY);
        stranger.send_to(&bytes, receiver.address()).unwrap();
        packet::write(&mut bytes, &TAG, 1, &KEY);
        stranger.send_to(&bytes, receiver.address()).unwrap();
        packet::write(&mut bytes, &TAG, u32::MAX, &KEY);
        stranger.send_to(&bytes, receiver.address()).unwrap();
        stranger.send_to(b"hello", receiver.address()).unwrap();
        stranger.send_to(&[0; 9_000], receiver.address()).unwrap();
        stranger.send_to(&[], receiver.address()).unwrap();
        wait_for(&receiver, 5);
        assert_eq!(receiver.counts().taken, 0);
        assert!(receiver.counts().unasked >= 5);
        assert!(stranger.recv(&mut bytes).is_err());
    }

    #[tokio::test]
    async fn the_largest_probe_that_arrives_is_found_with_its_source_and_digest() {
        let (sender, receiver) = (port(), port());
        let mut probed = receiver.expect_path(TAG, vec![sender.address().ip()]).unwrap();
        sender.send_probes(receiver.address(), &TAG, &KEY).unwrap();
        let found = probed.settled(WITHIN).await.unwrap();
        assert_eq!((found.size, found.from), (IpBytes::MAX, sender.address()));
        let payload = IpBytes::MAX.payload(found.from.ip()).unwrap();
        let sequence = path_mtu::sequence_of(IpBytes::MAX).unwrap();
        assert_eq!(found.digest, Expected::new(KEY, payload).digest(sequence));
        drop(probed);
        // From another machine it is none.
        let mut probed = receiver.expect_path(TAG, vec![[192, 0, 2, 1].into()]).unwrap();
        sender.send_probes(receiver.address(), &TAG, &KEY).unwrap();
        assert_eq!(probed.settled(Duration::from_millis(200)).await, None);
    }

    #[tokio::test]
    async fn both_families_come_to_one_port_that_is_bound_to_all() {
        let Ok(receiver) = Port::bind("[::]:0".parse().unwrap(), Limits::default()).map(Arc::new) else { return };
        let number = receiver.address().port();
        for address in ["127.0.0.1", "::1"] {
            let to = SocketAddr::new(address.parse().unwrap(), number);
            let Ok(sender) = Port::bind(SocketAddr::new(to.ip(), 0), Limits::default()).map(Arc::new) else { continue };
            let mut probed = receiver.expect_path(TAG, vec![to.ip()]).unwrap();
            sender.send_probes(to, &TAG, &KEY).unwrap();
            assert_eq!(probed.settled(WITHIN).await.unwrap().from, sender.address());
            // And back.
            let mut answered = sender.expect_path(TAG, vec![to.ip()]).unwrap();
            receiver.send_probes(sender.address(), &TAG, &KEY).unwrap();
            assert!(answered.settled(WITHIN).await.is_some(), "{address}");
        }
    }

    #[test]
    fn memory_for_trains_is_bounded_before_it_is_taken_and_given_back() {
        let receiver = port();
        let refused = |tag, packets| receiver.expect([tag; 16], expectation(packets, Content::Verify(KEY))).err();
        assert_eq!(refused(9, MAX_PACKETS + 1), Some(Refused::TooLong));
        let long = |tag| receiver.expect([tag; 16], expectation(MAX_PACKETS, Content::Verify(KEY))).unwrap();
        let trains = [0, 1, 2, 3].map(long);
        assert_eq!(refused(9, 1), Some(Refused::TooLong));
        drop(trains);
        let one = |tag| {
            let train = receiver.expect([tag; 16], expectation(1, Content::Commit)).unwrap();
            (train, receiver.expect_path([tag; 16], Vec::new()).unwrap())
        };
        let many: Vec<_> = (0..MAX_TRAINS as u8).map(one).collect();
        assert_eq!(refused(0, 1), Some(Refused::TagInUse));
        assert_eq!(refused(255, 1), Some(Refused::TooMany));
        assert_eq!(receiver.expect_path([255; 16], Vec::new()).err(), Some(Refused::TooMany));
        drop(many);
        assert!(refused(255, 1).is_none());
    }

    #[test]
    fn nothing_is_sent_to_port_zero_and_offload_goes_on() {
        let (sender, receiver) = (port(), port());
        let batch = sender.socket.batch(1_472);
        let nowhere = SocketAddr::new(receiver.address().ip(), 0);
        assert!(sender.send_probes(nowhere, &TAG, &KEY).is_err());
        assert_eq!(sender.socket.batch(1_472), batch);
    }

    #[test]
    fn a_limit_holds_for_what_is_sent() {
        let receiver = port();
        let sender = Port::bind(([127, 0, 0, 1], 0).into(), Limits::both(Some(10_000_000))).unwrap();
        // Half a second of 40 Mbit/s is 1 666 packets; a quarter of them may go, and one burst.
        let sent = sender.send(&train(&receiver, 1_666), || 40_000_000, |_, _| ()).unwrap();
        assert!((350..480).contains(&sent), "{sent}");
    }
}
