//! The side that measures: one session for each stream that a prover opens.

use crate::{
    identity::{is_signed_by, key_of, Identity},
    metrics::Metrics,
    session::channel::{Broken, Channel},
    session::clock::{Comparison, Sample, Watch},
    session::control::{Inbound, Incoming, Whereabouts},
};
use libp2p::{PeerId, Stream};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet},
    future::Future,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout_at};
use weir_probe::{
    commitment::Commitment,
    message::{
        commitment_hash, Counted, Direction, Refusal, Reported, Subject, Terms, ToChallenger, ToProver,
        MAX_TO_CHALLENGER_BYTES,
    },
    packet::{self, Expected, IpBytes, Key, Tag},
    path_mtu::{self, Found},
    port::{Arriving, Port, Train},
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
/// The most streams of one peer at once. How many peers there are, the doors limit.
const MAX_SESSIONS_PER_PEER: usize = 2;
/// How long a stream may last without a measurement, and how many refusals it takes.
const UNADMITTED: Duration = Duration::from_secs(90);
const MAX_REFUSALS: u32 = 256;
/// How long after its start at the latest a measurement is over.
const ADMITTED_AFTER: Duration = Duration::from_secs(20);
/// How far ahead a measurement may start. Whoever is drawn for a later one comes back.
pub const MAX_AHEAD: Duration = Duration::from_secs(60);
/// How often it is said that our clock is off.
const WARNED_EVERY: Duration = Duration::from_secs(60);
/// The most trains that share the class at once, two for each prover that is measured both ways.
pub const MAX_MEASUREMENTS: usize = 400;

/// By whose clocks an agent checks its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// By the median of other challengers', with this tolerance in microseconds: ε. Never by provers: a loaded uplink looks like a wrong
    /// clock, and provers could have a challenger silent.
    Colleagues(u64),
    /// By the prover's alone, with this tolerance in microseconds: anybody may come, and a majority of strangers proves
    /// nothing.
    Pair(u64),
}

/// Who may be measured, and what becomes of it: the chain's business, or by hand.
pub trait Host: Send + Sync + 'static {
    /// Lets a prover into a measurement, which is at these addresses.
    ///
    /// # Errors
    ///
    /// What the prover is told, if it is not.
    fn admit(
        &self,
        peer: PeerId,
        from: &[IpAddr],
        subject: &Subject,
    ) -> impl Future<Output = Result<Admission, Refusal>> + Send;

    /// Makes the report to a chain of what was counted, durably, before the prover hears of it. Waits for a disk.
    ///
    /// # Errors
    ///
    /// What the prover is told, if it cannot be made.
    fn report(&self, subject: &Subject, measured: Measured) -> Result<Reported, Refusal>;
}

/// What was measured of a prover in both directions.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Where the prover's packets came from.
    pub from: IpAddr,
    /// The round trip of the control stream.
    pub round_trip: Duration,
    /// What names the prover's commitment.
    pub commitment: [u8; 32],
    /// The prover's signature over [`Subject::proof_payload`].
    pub proof: [u8; 64],
    /// What was counted of what was sent to it.
    pub down: Counted,
    /// What was counted of what it sent.
    pub up: Counted,
}

/// A measurement that a prover is let into.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The rate, the times and the direction of the measurement.
    pub terms: Terms,
    /// Those of what the prover sends after that, if it is measured in both directions.
    pub then_up: Option<Terms>,
    /// Where packets go; where the prover's probes come from, if that is not fixed.
    pub endpoint: Option<SocketAddr>,
    /// By whose clocks the agent checks its own.
    pub clocks: Clocks,
}

/// A challenger, which serves any number of provers at once.
pub struct Challenger<H> {
    host: H,
    identity: Identity,
    port: Arc<Port>,
    /// Where the world sends packets to `port`.
    announced_port: u16,
    capacity_bits_per_second: u64,
    shares: Arc<Shares>,
    clocks: Arc<Watch>,
    warned: Mutex<Option<Instant>>,
    sessions: Mutex<HashMap<PeerId, usize>>,
    measured: Mutex<HashSet<PeerId>>,
    metrics: Metrics,
}

/// What was agreed on of the way down.
struct Down {
    to: SocketAddr,
    key: Key,
    size: IpBytes,
    packets: u32,
}

/// What was agreed on of the way up.
struct Up {
    key: Key,
    size: IpBytes,
    arriving: Arriving,
}

/// What a prover did.
enum Step {
    /// The prover compared clocks.
    Compared,
    /// The prover was measured.
    Measured,
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

/// A prover that is being measured, for as long as this lives.
struct Busy<'a> {
    all: &'a Mutex<HashSet<PeerId>>,
    peer: PeerId,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.peer);
    }
}

impl<H: Host> Challenger<H> {
    /// With a capacity that measurements at one instant share, the port at which the world reaches `port`, and what is known of the clocks of
    /// other challengers. `metrics` are told of it.
    pub fn new(
        host: H,
        identity: Identity,
        port: Arc<Port>,
        announced_port: u16,
        capacity_bits_per_second: u64,
        clocks: Arc<Watch>,
        metrics: Metrics,
    ) -> Self {
        Self {
            host,
            identity,
            port,
            announced_port,
            capacity_bits_per_second,
            shares: Arc::new(Shares::new(capacity_bits_per_second, MAX_MEASUREMENTS)),
            clocks,
            warned: Mutex::default(),
            sessions: Mutex::default(),
            measured: Mutex::default(),
            metrics,
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
                challenger.metrics.sessions.inc();
                let ended = challenger.session(peer, &whereabouts, channel).await;
                log::debug!("{peer}: {ended}");
                challenger.leave(peer);
                challenger.metrics.sessions.dec();
            });
        }
    }

    fn enter(&self, peer: PeerId) -> bool {
        let mut sessions = self.sessions.lock();
        let of_peer = sessions.get(&peer).copied().unwrap_or_default();
        let is_free = of_peer < MAX_SESSIONS_PER_PEER;
        if is_free {
            sessions.insert(peer, of_peer + 1);
        }
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
        let mut patience = Instant::now() + UNADMITTED;
        let mut refused = 0;
        loop {
            if Instant::now() > patience || refused > MAX_REFUSALS {
                return Broken::Late;
            }
            match self.step(peer, whereabouts, &mut channel, &mut comparison).await {
                Ok(Step::Compared) => (),
                Ok(Step::Measured) => patience = Instant::now() + UNADMITTED,
                Err(End::Broken(broken)) => return broken,
                Err(End::Refused(refusal)) => {
                    refused += 1;
                    self.metrics.note_refusal(refusal);
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
    ) -> Result<Step, End> {
        let (message, at) = channel.receive(MAX_TO_CHALLENGER_BYTES, IDLE).await?;
        match message {
            ToChallenger::Clock(clock) => {
                comparison.hear(clock, at);
                channel.send(&ToProver::Clock(comparison.say(UnixMicros::now()))).await?;
                Ok(Step::Compared)
            },
            ToChallenger::Invite(subject) => {
                let from = whereabouts.addresses();
                let seen = comparison.best().ok_or(Broken::OutOfTurn)?;
                // Who goes away waits for no answer: the doors count only those who are there.
                let admission = tokio::select! {
                    admission = self.host.admit(peer, &from, &subject) => admission?,
                    said = channel.receive::<ToChallenger>(MAX_TO_CHALLENGER_BYTES, Duration::MAX) => {
                        return Err(said.err().unwrap_or(Broken::OutOfTurn).into());
                    },
                };
                // By hand anybody may come, and nobody is kept.
                let start = admission.terms.start;
                if admission.then_up.is_some()
                    && start > UnixMicros::now()
                    && start <= UnixMicros::now().after(MAX_AHEAD)
                {
                    whereabouts.admit(start.instant() + ADMITTED_AFTER);
                }
                self.check_clocks(seen, admission.clocks)?;
                self.measure(peer, &from, channel, &subject, &admission, seen.round_trip).await?;
                Ok(Step::Measured)
            },
            ToChallenger::Path { .. } | ToChallenger::Proof { .. } => Err(Broken::OutOfTurn.into()),
        }
    }

    fn check_clocks(&self, seen: Sample, clocks: Clocks) -> Result<(), Refusal> {
        match clocks {
            Clocks::Pair(tolerance_us) if seen.ahead_us.unsigned_abs() <= tolerance_us => Ok(()),
            Clocks::Pair(_) => Err(Refusal::ClockIsOff),
            Clocks::Colleagues(tolerance_us) => {
                let Some(ahead_us) = self.clocks.is_off(tolerance_us) else { return Ok(()) };
                let mut warned = self.warned.lock();
                if warned.is_none_or(|at| at.elapsed() > WARNED_EVERY) {
                    *warned = Some(Instant::now());
                    log::warn!(
                        "our clock is {:.1} ms ahead of other challengers', so we take no part; set it with NTP",
                        ahead_us as f64 / 1e3
                    );
                }
                Err(Refusal::ClockIsOff)
            },
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
        // More than the class is neither sent nor taken.
        let bits_per_second = admission.terms.bits_per_second.min(self.capacity_bits_per_second);
        let terms = Terms { bits_per_second, ..admission.terms };
        let Terms { direction, start, train_us, .. } = terms;
        if start <= UnixMicros::now() {
            return Err(Refusal::TooLate.into());
        }
        if start > UnixMicros::now().after(MAX_AHEAD) {
            return Err(Refusal::UnknownChallenge.into());
        }
        if !self.measured.lock().insert(peer) {
            return Err(Refusal::Busy.into());
        }
        let _busy = Busy { all: &self.measured, peer };
        let end = start.after(Duration::from_micros(train_us));
        let share = self.shares.join(start, end, bits_per_second).ok_or(Refusal::Busy)?;
        // Nothing is sent to an address that has not shown, by a handshake, that it is the prover's.
        let endpoint = match admission.endpoint {
            None => None,
            Some(endpoint) => {
                let is_own = from.iter().any(|ip| path_mtu::is_same_machine(*ip, endpoint.ip()));
                Some(is_own.then_some(endpoint).ok_or(Refusal::OtherAddress)?)
            },
        };
        let tag: Tag = rand::random();
        let mut probed = self.port.expect_path(tag, from.to_vec()).map_err(|_| Refusal::Busy)?;
        channel.send(&ToProver::Accepted { tag, port: self.announced_port }).await?;

        if let Some(up) = admission.then_up {
            let share_up = self
                .shares
                .join(up.start, up.start.after(Duration::from_micros(up.train_us)), up.bits_per_second)
                .ok_or(Refusal::Busy)?;
            let found = probed.settled(STEP_WITHIN).await.ok_or(Refusal::NoPath)?;
            let agreed = self.agree_down(channel, terms, tag, found.from).await?;
            let up = Terms { bits_per_second: up.bits_per_second.min(self.capacity_bits_per_second), ..up };
            let expected = self.agree_up(channel, up, tag, found).await?;
            let (down, commitment, proof) =
                self.send_and_count(peer, channel, subject, terms, tag, agreed, share, Some(up.start)).await?;
            let up = self.receive_and_count(channel, up, expected, &share_up).await?;
            let from = found.from.ip();
            let measured = Measured { from, round_trip, commitment, proof, down, up };
            log::info!("{peer}: counted {} bytes down, {} up", measured.down.bytes, measured.up.bytes);
            // It waits for a disk.
            let reported = tokio::task::block_in_place(|| self.host.report(subject, measured))?;
            self.metrics.measurements.inc();
            self.metrics.note_packets(&self.port);
            return Ok(channel.send(&ToProver::Reported(reported)).await?);
        }
        let counted = match direction {
            Direction::Down => {
                let to = match endpoint {
                    Some(to) => to,
                    None => probed.settled(STEP_WITHIN).await.ok_or(Refusal::NoPath)?.from,
                };
                let agreed = self.agree_down(channel, terms, tag, to).await?;
                self.send_and_count(peer, channel, subject, terms, tag, agreed, share, None).await?.0
            },
            Direction::Up => {
                let found = probed.settled(STEP_WITHIN).await.ok_or(Refusal::NoPath)?;
                let expected = self.agree_up(channel, terms, tag, found).await?;
                self.receive_and_count(channel, terms, expected, &share).await?
            },
        };
        let counted = Counted { round_trip_us: micros(round_trip), ..counted };
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

    /// Finds the path down, and agrees on what goes over it.
    async fn agree_down(
        &self,
        channel: &mut Channel<Stream>,
        terms: Terms,
        tag: Tag,
        to: SocketAddr,
    ) -> Result<Down, End> {
        let key: Key = rand::random();
        sleep(Duration::from_millis(rand::random::<u64>() % PROBES_WITHIN_MS)).await;
        let probe = || drop(self.port.send_probes(to, &tag, &key));
        let (answer, _) =
            channel.receive_while(MAX_TO_CHALLENGER_BYTES, STEP_WITHIN, path_mtu::AGAIN_AFTER, probe).await?;
        let ToChallenger::Path { size, digest } = answer else { return Err(Broken::OutOfTurn.into()) };
        let payload = size.payload(to.ip()).ok_or(Refusal::NoPath)?;
        let sequence = path_mtu::sequence_of(size).ok_or(Refusal::NoPath)?;
        if Expected::new(key, payload).digest(sequence) != digest {
            return Err(Refusal::NoPath.into());
        }
        let packets = size.packets_in(terms.budget_bytes()).min(MAX_PACKETS);
        channel.send(&ToProver::Ready { size, packets, digest }).await?;
        Ok(Down { to, key, size, packets })
    }

    /// Agrees on what comes over the path up that was found.
    async fn agree_up(&self, channel: &mut Channel<Stream>, terms: Terms, tag: Tag, found: Found) -> Result<Up, End> {
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
        let arriving = self.port.expect(tag, expectation).map_err(|_| Refusal::Busy)?;
        channel.send(&ToProver::Ready { size, packets, digest: found.digest }).await?;
        Ok(Up { key, size, arriving })
    }

    /// Sends a train, and counts what the prover proves of it, if it does before `latest`. Also says what names its commitment, and its signature.
    #[allow(clippy::too_many_arguments)]
    async fn send_and_count(
        &self,
        peer: PeerId,
        channel: &mut Channel<Stream>,
        subject: &Subject,
        terms: Terms,
        tag: Tag,
        agreed: Down,
        share: Share,
        latest: Option<UnixMicros>,
    ) -> Result<(Counted, [u8; 32], [u8; 64]), End> {
        let Down { to, key, size, packets } = agreed;
        // A prover that goes away before the start is not sent to.
        let awake = terms.start.instant().checked_sub(AWAKE_BEFORE).unwrap_or_else(Instant::now);
        silent_until(channel, awake).await?;
        let start = terms.start.instant();
        let train = Duration::from_micros(terms.train_us);
        let train = Train { to, tag, key, packets, size, start, until: start + train };
        let (port, until) = (self.port.clone(), train.until);
        let sending = tokio::task::spawn_blocking(move || {
            let mut digests = Vec::new();
            let sending = |sequence: u32, stream: &[u8]| {
                // What was left out was not sent.
                digests.resize(sequence as usize, None);
                digests.push(Some(packet::digest(sequence, stream)));
            };
            let sent = port.send(&train, || share.bits_per_second(), sending);
            sent.map(|sent| (sent, digests))
        });

        let within = match latest {
            Some(latest) => latest.since(UnixMicros::now()),
            None => until.saturating_duration_since(Instant::now()) + PROOF_WITHIN,
        };
        let proof = channel.receive(MAX_TO_CHALLENGER_BYTES, within).await;
        let sent = sending.await.map_err(|_| Refusal::Internal)?.map_err(|error| {
            log::debug!("{peer}: sending to {to} failed: {error}");
            Refusal::Internal
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
        let commitment = commitment_hash(&root, &bitmap);
        // Off the threads that take messages: those of a fast line take a while.
        let proven = tokio::task::block_in_place(|| {
            let digest_of = |sequence| digests.get(sequence as usize).copied().flatten();
            Commitment { root, bitmap }.proven_packets(packets, digest_of)
        });
        let proven = proven.ok_or(Refusal::FalseProof)?;
        let counted = Counted {
            bytes: u64::from(proven) * u64::from(size.0),
            elapsed_us: micros(at.since(terms.start)),
            round_trip_us: 0,
            key,
            packets: sent,
            reordered: 0,
            arrivals: Vec::new(),
        };
        Ok((counted, commitment, signature))
    }

    /// Tells the prover at the start what to send, and counts what arrives in the window.
    async fn receive_and_count(
        &self,
        channel: &mut Channel<Stream>,
        terms: Terms,
        agreed: Up,
        share: &Share,
    ) -> Result<Counted, End> {
        let Up { key, size, arriving } = agreed;
        let until = terms.start.after(Duration::from_micros(terms.train_us));
        silent_until(channel, terms.start.instant()).await?;
        channel.send(&ToProver::Nonce { key, bits_per_second: share.bits_per_second() }).await?;
        sleep(until.since(UnixMicros::now()) + READ_WITHIN).await;
        let received = arriving.finish().ok_or(Refusal::Internal)?;
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

/// Waits until a moment at which the prover must still be there, and have said nothing.
async fn silent_until(channel: &mut Channel<Stream>, moment: Instant) -> Result<(), Broken> {
    match timeout_at(moment.into(), channel.receive::<ToChallenger>(MAX_TO_CHALLENGER_BYTES, Duration::MAX)).await {
        Err(_) => Ok(()),
        Ok(Ok(_)) => Err(Broken::OutOfTurn),
        Ok(Err(broken)) => Err(broken),
    }
}
