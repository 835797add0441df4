//! The side that measures: one session for each stream that a prover opens.

use crate::{
    channel::{Broken, Channel},
    clock::{Comparison, Watch},
    control::{Inbound, Incoming, Whereabouts},
    identity::{is_signed_by, key_of, Identity},
};
use libp2p::{PeerId, Stream};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{sleep, sleep_until, timeout, timeout_at},
};
use weir_probe::{
    commitment::Commitment,
    message::{Counted, Direction, Refusal, Subject, Terms, ToChallenger, ToProver, MAX_TO_CHALLENGER_BYTES},
    packet::{self, Expected, IpBytes, Key, Tag},
    path::{self, Found},
    port::{Port, Train},
    reception::{Content, Expectation, MAX_PACKETS},
    share::{Share, Shares},
    time::{micros, UnixMicros},
};

/// How long a stream may be silent between measurements.
const IDLE: Duration = Duration::from_secs(60);
/// How long a prover may take for a step before the start.
const STEP_WITHIN: Duration = Duration::from_secs(3);
/// By how much the first probes to a prover are delayed at most, so that those of a committee do not come at once.
const PROBES_WITHIN_MS: u64 = 100;
/// How long after its train a prover may take to prove.
const PROOF_WITHIN: Duration = Duration::from_secs(5);
/// How long packets that came in time may take from the kernel to us.
const READ_WITHIN: Duration = Duration::from_millis(30);
/// How long before the start a thread is woken to send.
const AWAKE_BEFORE: Duration = Duration::from_millis(20);
/// The most streams at once, in all and of one peer.
const MAX_SESSIONS: usize = 512;
const MAX_SESSIONS_PER_PEER: usize = 2;
/// The most measurements at once.
pub const MAX_MEASUREMENTS: usize = 64;

/// Who may be measured, and what becomes of it: the chain's business, or by hand.
pub trait Host: Send + Sync + 'static {
    /// Lets a prover into a measurement.
    ///
    /// # Errors
    ///
    /// What the prover is told, if it is not.
    fn admit(&self, peer: PeerId, subject: &Subject) -> Result<Admission, Refusal>;

    /// Takes what was counted, before the prover hears of it.
    ///
    /// # Errors
    ///
    /// What the prover is told, if it cannot be taken.
    fn report(&self, subject: &Subject, admission: &Admission, counted: &Counted) -> Result<(), Refusal>;
}

/// A measurement that a prover is let into.
#[derive(Clone, Debug)]
pub struct Admission {
    /// What it is.
    pub terms: Terms,
    /// Where packets go; where the prover's probes come from, if that is not fixed.
    pub endpoints: Option<Vec<SocketAddr>>,
    /// How far clocks may differ: ε.
    pub clock_tolerance_us: u64,
}

/// A challenger, which serves any number of provers at once.
pub struct Challenger<H> {
    host: H,
    identity: Identity,
    port: Arc<Port>,
    shares: Shares,
    clocks: Watch,
    sessions: Mutex<HashMap<PeerId, usize>>,
}

/// Why a session, or one measurement of it, ends.
enum End {
    Broken(Broken),
    Refused(Refusal),
}

impl From<Broken> for End {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A path that is expected for as long as this lives.
struct ExpectedPath<'a> {
    port: &'a Port,
    tag: Tag,
    found: watch::Receiver<Option<Found>>,
}

impl<'a> ExpectedPath<'a> {
    fn new(port: &'a Port, tag: Tag) -> Result<Self, Refusal> {
        let found = port.expect_path(tag).map_err(|_| Refusal::Busy)?;
        Ok(Self { port, tag, found })
    }

    /// The largest probe, once there is one and no larger one can be expected.
    async fn settled(&mut self) -> Result<Found, Refusal> {
        let first = timeout(STEP_WITHIN, self.found.wait_for(Option::is_some)).await.is_ok();
        if !first {
            return Err(Refusal::NoPath);
        }
        let is_largest = |found: &Option<Found>| found.is_some_and(|found| found.size == IpBytes::MAX);
        let _ = timeout(path::SETTLED_AFTER, self.found.wait_for(is_largest)).await;
        (*self.found.borrow()).ok_or(Refusal::NoPath)
    }
}

impl Drop for ExpectedPath<'_> {
    fn drop(&mut self) {
        self.port.finish_path(&self.tag);
    }
}

/// A train that is expected for as long as this lives.
struct ExpectedTrain<'a>(&'a Port, Tag);

impl Drop for ExpectedTrain<'_> {
    fn drop(&mut self) {
        self.0.finish(&self.1);
    }
}

impl<H: Host> Challenger<H> {
    /// With a capacity that measurements at one instant share.
    pub fn new(host: H, identity: Identity, port: Arc<Port>, capacity_bits_per_second: u64) -> Self {
        Self {
            host,
            identity,
            port,
            shares: Shares::new(capacity_bits_per_second, MAX_MEASUREMENTS),
            clocks: Watch::default(),
            sessions: Mutex::default(),
        }
    }

    /// Serves the streams that come in, until there are no more.
    pub async fn serve(self: Arc<Self>, mut incoming: Incoming) {
        while let Some(Inbound { peer, whereabouts, channel }) = incoming.next().await {
            if !self.enter(peer) {
                continue;
            }
            let challenger = self.clone();
            tokio::spawn(async move {
                let ended = challenger.session(peer, &whereabouts, channel).await;
                log::debug!("{peer}: {ended}");
                challenger.leave(peer);
            });
        }
    }

    fn enter(&self, peer: PeerId) -> bool {
        let mut sessions = self.sessions.lock();
        let in_all: usize = sessions.values().sum();
        let of_peer = sessions.entry(peer).or_default();
        let is_free = in_all < MAX_SESSIONS && *of_peer < MAX_SESSIONS_PER_PEER;
        *of_peer += usize::from(is_free);
        is_free
    }

    fn leave(&self, peer: PeerId) {
        let mut sessions = self.sessions.lock();
        if let Some(of_peer) = sessions.get_mut(&peer) {
            *of_peer = of_peer.saturating_sub(1);
        }
        sessions.retain(|_, of_peer| *of_peer > 0);
    }

    /// Goes through any number of measurements of one prover, until its stream ends.
    async fn session(&self, peer: PeerId, whereabouts: &Whereabouts, mut channel: Channel<Stream>) -> Broken {
        let mut comparison = Comparison::default();
        loop {
            match self.step(peer, whereabouts, &mut channel, &mut comparison).await {
                Ok(()) => (),
                Err(End::Broken(broken)) => return broken,
                Err(End::Refused(refusal)) => {
                    log::debug!("{peer}: refused, as {refusal}");
                    if let Err(broken) = channel.send(&ToProver::Refused(refusal)).await {
                        return broken;
                    }
                },
            }
        }
    }

    async fn step(
        &self,
        peer: PeerId,
        whereabouts: &Whereabouts,
        channel: &mut Channel<Stream>,
        comparison: &mut Comparison,
    ) -> Result<(), End> {
        let (message, at) = channel.receive(MAX_TO_CHALLENGER_BYTES, IDLE).await?;
        match message {
            ToChallenger::Clock(clock) => {
                comparison.hear(clock, at);
                Ok(channel.send(&ToProver::Clock(comparison.say(UnixMicros::now()))).await?)
            },
            ToChallenger::Invite(subject) => {
                let admission = self.host.admit(peer, &subject)?;
                let seen = comparison.best().unwrap_or_default();
                self.clocks.note(peer, seen, at);
                if let Some(ahead_us) = self.clocks.is_off(admission.clock_tolerance_us) {
                    log::warn!(
                        "our clock is {:.1} ms ahead of our peers', so we take no part; set it with NTP",
                        ahead_us as f64 / 1e3
                    );
                    return Err(Refusal::ClockIsOff.into());
                }
                self.measure(peer, &whereabouts.addresses(), channel, &subject, &admission, seen.round_trip).await
            },
            ToChallenger::Path { .. } | ToChallenger::Proof { .. } => Err(Broken::OutOfTurn.into()),
        }
    }

    async fn measure(
        &self,
        peer: PeerId,
        from: &[IpAddr],
        channel: &mut Channel<Stream>,
        subject: &Subject,
        admission: &Admission,
        round_trip: Duration,
    ) -> Result<(), End> {
        let Terms { direction, start, train_us, bits_per_second } = admission.terms;
        if start <= UnixMicros::now() {
            return Err(Refusal::TooLate.into());
        }
        let end = start.after(Duration::from_micros(train_us));
        let share = self.shares.join(start, end, bits_per_second).ok_or(Refusal::Busy)?;
        // Nothing is sent to an address that has not shown, by a handshake, that it is the prover's.
        let endpoint = match &admission.endpoints {
            None => None,
            Some(endpoints) => {
                let own = endpoints.iter().find(|address| from.contains(&address.ip().to_canonical()));
                Some(*own.ok_or(Refusal::OtherAddress)?)
            },
        };
        let tag: Tag = rand::random();
        let mut path = ExpectedPath::new(&self.port, tag)?;
        channel.send(&ToProver::Accepted { tag, port: self.port.address().port() }).await?;

        let counted = match direction {
            Direction::Down => {
                let to = match endpoint {
                    Some(to) => to,
                    None => path.settled().await?.from,
                };
                if !from.contains(&to.ip()) {
                    return Err(Refusal::OtherAddress.into());
                }
                self.send_and_count(peer, channel, subject, admission.terms, tag, to, &share).await?
            },
            Direction::Up => {
                let found = path.settled().await?;
                if !from.contains(&found.from.ip()) {
                    return Err(Refusal::OtherAddress.into());
                }
                self.receive_and_count(channel, admission.terms, tag, found, &share).await?
            },
        };
        let counted = Counted { round_trip_us: micros(round_trip), ..counted };
        self.host.report(subject, admission, &counted)?;
        log::info!(
            "{peer}: counted {} bytes in {:.1} ms, {}",
            counted.bytes,
            counted.elapsed_us as f64 / 1e3,
            match direction {
                Direction::Down => "down",
                Direction::Up => "up",
            }
        );
        Ok(channel.send(&ToProver::Counted(counted)).await?)
    }

    /// Sends a train, and counts what the prover proves of it.
    #[allow(clippy::too_many_arguments)]
    async fn send_and_count(
        &self,
        peer: PeerId,
        channel: &mut Channel<Stream>,
        subject: &Subject,
        terms: Terms,
        tag: Tag,
        to: SocketAddr,
        share: &Share<'_>,
    ) -> Result<Counted, End> {
        let key: Key = rand::random();
        sleep(Duration::from_millis(rand::random::<u64>() % PROBES_WITHIN_MS)).await;
        let probe = || drop(self.port.send_probes(to, &tag, &key));
        let (answer, _) = channel.receive_while(MAX_TO_CHALLENGER_BYTES, STEP_WITHIN, path::AGAIN_AFTER, probe).await?;
        let ToChallenger::Path { size, digest } = answer else { return Err(Broken::OutOfTurn.into()) };
        let payload = size.payload(to.ip()).ok_or(Refusal::NoPath)?;
        let sequence = path::sequence_of(size).ok_or(Refusal::NoPath)?;
        if Expected::new(key, payload).digest(sequence) != digest {
            return Err(Refusal::NoPath.into());
        }
        let packets = size.packets_in(terms.budget_bytes()).min(MAX_PACKETS);
        channel.send(&ToProver::Ready { size, packets }).await?;

        // A prover that goes away before the start is not sent to.
        let awake = terms.start.instant().checked_sub(AWAKE_BEFORE).unwrap_or_else(std::time::Instant::now);
        match timeout_at(awake.into(), channel.receive::<ToChallenger>(MAX_TO_CHALLENGER_BYTES, Duration::MAX)).await {
            Err(_) => (),
            Ok(Ok(_)) => return Err(Broken::OutOfTurn.into()),
            Ok(Err(broken)) => return Err(broken.into()),
        }
        let start = terms.start.instant();
        let train = Duration::from_micros(terms.train_us);
        let train = Train { to, tag, key, packets, size, start, until: start + train };
        let (port, until, bits_per_second) = (self.port.clone(), train.until, share.bits_per_second());
        let sending = tokio::task::spawn_blocking(move || {
            let mut digests = vec![None; packets as usize];
            let sent = port.send(
                &train,
                || bits_per_second,
                |sequence, stream| {
                    if let Some(digest) = digests.get_mut(sequence as usize) {
                        *digest = Some(packet::digest(sequence, stream));
                    }
                },
            );
            sent.map(|sent| (sent, digests))
        });

        let within = until.saturating_duration_since(std::time::Instant::now()) + PROOF_WITHIN;
        let proof = channel.receive(MAX_TO_CHALLENGER_BYTES, within).await;
        let sent = sending.await.map_err(|_| Refusal::Internal)?.map_err(|error| {
            log::debug!("{peer}: sending to {to} failed: {error}");
            Refusal::NoPath
        });
        let (proof, at) = proof?;
        let ToChallenger::Proof { root, bitmap, signature } = proof else { return Err(Broken::OutOfTurn.into()) };
        let (sent, digests) = sent?;
        if at < terms.start {
            return Err(Refusal::FalseProof.into());
        }
        let signed = subject.proof_payload(&self.identity.public(), &root, &bitmap);
        if !key_of(&peer).is_some_and(|prover| is_signed_by(&prover, &signed, &signature)) {
            return Err(Refusal::FalseProof.into());
        }
        let digest_of = |sequence| digests.get(sequence as usize).copied().flatten();
        let proven = Commitment { root, bitmap }.proven_packets(packets, digest_of).ok_or(Refusal::FalseProof)?;
        Ok(Counted {
            bytes: u64::from(proven) * u64::from(size.0),
            elapsed_us: micros(at.since(terms.start)),
            round_trip_us: 0,
            key,
            packets: sent,
            reordered: 0,
            arrivals: Vec::new(),
        })
    }

    /// Tells the prover at the start what to send, and counts what arrives in the window.
    async fn receive_and_count(
        &self,
        channel: &mut Channel<Stream>,
        terms: Terms,
        tag: Tag,
        found: Found,
        share: &Share<'_>,
    ) -> Result<Counted, End> {
        let key: Key = rand::random();
        let size = found.size;
        let payload = size.payload(found.from.ip()).ok_or(Refusal::NoPath)?;
        let packets = size.packets_in(terms.budget_bytes()).min(MAX_PACKETS);
        let until = terms.start.after(Duration::from_micros(terms.train_us));
        let expectation = Expectation {
            packets,
            payload,
            start: terms.start,
            until,
            source: Some(found.from.ip()),
            content: Content::Verify(key),
        };
        self.port.expect(tag, expectation).map_err(|_| Refusal::Busy)?;
        let _expected = ExpectedTrain(&self.port, tag);
        channel.send(&ToProver::Ready { size, packets }).await?;
        sleep_until(terms.start.instant().into()).await;
        channel.send(&ToProver::Nonce { key, bits_per_second: share.bits_per_second() }).await?;
        sleep(until.since(UnixMicros::now()) + READ_WITHIN).await;
        let received = self.port.finish(&tag).ok_or(Refusal::Internal)?;
        Ok(Counted {
            bytes: u64::from(received.packets) * u64::from(size.0),
            elapsed_us: micros(received.last.unwrap_or(until).since(terms.start)),
            round_trip_us: 0,
            key,
            packets: received.packets,
            reordered: received.reordered,
            arrivals: received.arrivals,
        })
    }
}
