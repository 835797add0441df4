//! The side that is measured, with one challenger: it dials, compares clocks, is measured, and checks what was counted.

use crate::{
    identity::{key_of, Identity},
    session::channel::{Broken, Channel},
    session::clock::{Comparison, Sample, EXCHANGES},
    session::control::Control,
};
use libp2p::{PeerId, Stream};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout_at;
use weir_probe::{
    commitment::Commitment,
    message::{
        commitment_hash, Counted, Direction, Refusal, Reported, Subject, Terms, ToChallenger, ToProver,
        MAX_TO_PROVER_BYTES,
    },
    packet::{Expected, IpBytes, Key, Tag},
    path_mtu::{self, Found},
    port::{Arriving, Port, Refused, Train},
    reception::{Content, Expectation, Received},
    share::Pace,
    time::UnixMicros,
};

/// How long a challenger may take for a step before the start.
const STEP_WITHIN: Duration = Duration::from_secs(5);
/// How long the first probe is waited for.
const PROBE_WITHIN: Duration = Duration::from_secs(2);
/// How long after a train a challenger may take to count it.
const COUNT_WITHIN: Duration = Duration::from_secs(5);
/// How late packets of a train may be on a line that is not full.
const GRACE: Duration = Duration::from_millis(1);

/// What a prover sends to all challengers together, as hundredths of what it declares: enough to fill the line whatever the
/// scheduler does, and little enough that a queue does not overflow in a train, so that all get the same.
const SENT_PERCENT: u64 = 105;

/// How long a proof may take from us to a challenger beyond half of the round trip, so that it is there in time: the network's and the
/// scheduler's jitter.
const PROOF_TAKES: Duration = Duration::from_millis(15);

/// A measurement in both directions, as a chain draws it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BothWays {
    /// What challengers send.
    pub down: Terms,
    /// What they are sent, after that.
    pub up: Terms,
    /// When the proof of what came must be in their hands.
    pub proven_by: UnixMicros,
}

/// What came of one challenger's part in both directions.
#[derive(Clone, Debug)]
pub struct BothParts {
    /// The report, as the chain encodes it, and its signature: to be checked.
    pub report: (Vec<u8>, [u8; 64]),
    /// What names our commitment.
    pub commitment: [u8; 32],
    /// What the challenger sent.
    pub down: Part,
    /// What it was sent.
    pub up: Part,
}

/// How fast a prover sends to a committee.
pub fn pace_of(declared_bits_per_second: u64) -> Arc<Pace> {
    Arc::new(Pace::new(declared_bits_per_second.saturating_mul(SENT_PERCENT) / 100))
}

/// Why a challenger's part in a measurement came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The challenger cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// The challenger went away, or does not keep to the protocol. The session is at its end.
    #[error("{0}")]
    Broken(#[from] Broken),
    /// The challenger does not take part, or does not count.
    #[error("it refuses: {0}")]
    Refused(Refusal),
    /// The challenger's packets do not come through.
    #[error("no packets come through to UDP port {0}: is it open, and forwarded by the router?")]
    NoPath(u16),
    /// Something is wrong on our side.
    #[error("{0}")]
    Own(String),
}

impl Failure {
    /// Whether the session with the challenger can go on.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Unreachable(_) | Self::NoPath(_) | Self::Own(_))
    }
}

/// What came of one challenger's part.
#[derive(Clone, Debug)]
pub struct Part {
    /// What the challenger counted.
    pub counted: Counted,
    /// How large the packets were.
    pub size: IpBytes,
    /// How many packets the challenger agreed to send, or to be sent.
    pub packets: u32,
    /// How many packets were sent, by the count of whoever sent them.
    pub sent: u32,
    /// How many packets arrived, by the count of whoever took them.
    pub received: u32,
    /// How many packets came after one with a higher sequence number.
    pub reordered: u32,
    /// How many arrived in each step of 10 ms.
    pub arrivals: Vec<u16>,
    /// Down only: what we proved, and with what it can be checked.
    evidence: Option<(Commitment, usize)>,
}

impl Part {
    /// Whether the challenger counted all that arrived, which it must where we can show it. Takes as long as its check.
    pub fn is_fair(&self) -> bool {
        let arrived = u64::from(self.received) * u64::from(self.size.0);
        let is_shown = self.evidence.as_ref().is_none_or(|(commitment, payload)| {
            let mut expected = Expected::new(self.counted.key, *payload);
            let proven = commitment.proven_packets(self.packets, |sequence| Some(expected.digest(sequence)));
            proven == Some(self.received)
        });
        is_shown && self.counted.bytes == arrived
    }
}

/// A stream to one challenger, by which any number of measurements can be made.
pub struct Session {
    channel: Channel<Stream>,
    challenger_key: [u8; 32],
    /// The address of the challenger.
    pub address: IpAddr,
    /// How far the challenger's clock is off ours, and how far away the challenger is.
    pub clock: Sample,
}

/// What was agreed on of the way down.
struct Down {
    size: IpBytes,
    packets: u32,
    payload: usize,
    arriving: Arriving,
}

/// What was agreed on of the way up.
#[derive(Clone, Copy)]
struct Up {
    size: IpBytes,
    packets: u32,
}

/// The probes of a prover.
struct Probes {
    to: SocketAddr,
    tag: Tag,
    key: Key,
}

/// What a prover measures with.
#[derive(Clone)]
pub struct Prover {
    /// Where streams are opened.
    pub control: Control,
    /// Where packets are taken: the port that a router forwards.
    pub port: Arc<Port>,
    /// Where packets are sent from on the way up. Not the same: a router that translates what goes out of a forwarded port may
    /// drop what comes in from where that went.
    pub outgoing: Arc<Port>,
    /// The key that signs proofs.
    pub identity: Identity,
}

impl Prover {
    /// Dials a challenger, and compares clocks.
    ///
    /// # Errors
    ///
    /// When it cannot be reached, or does not answer.
    pub async fn dial(&self, peer: PeerId, addresses: &[SocketAddr]) -> Result<Session, Failure> {
        let challenger_key = key_of(&peer)
            .ok_or_else(|| Failure::Unreachable(format!("{peer} is no agent's peer: its key is no Ed25519 key")))?;
        let (channel, address) = self.control.open(peer, addresses).await.map_err(Failure::Unreachable)?;
        let mut session = Session { channel, challenger_key, address, clock: Sample::default() };
        session.clock = compare_clocks(&mut session.channel).await?;
        Ok(session)
    }

    /// Goes through one measurement with one challenger. `pace` is what a committee shares on the way up.
    ///
    /// # Errors
    ///
    /// When it comes to nothing; [`Failure::is_final`] says whether the session does as well.
    pub async fn measure(
        &self,
        session: &mut Session,
        subject: &Subject,
        terms: &Terms,
        pace: &Arc<Pace>,
    ) -> Result<Part, Failure> {
        session.channel.send(&ToChallenger::Invite(*subject)).await?;
        let (tag, port) = match session.receive(STEP_WITHIN).await? {
            ToProver::Accepted { tag, port } => (tag, port),
            _ => return Err(Broken::OutOfTurn.into()),
        };
        let probes = Probes { to: SocketAddr::new(session.address, port), tag, key: rand::random() };
        match terms.direction {
            Direction::Down => self.receive(session, subject, terms, &probes).await,
            Direction::Up => self.send(session, terms, &probes, pace).await,
        }
    }

    /// Goes through one measurement in both directions with one challenger. `pace` is what a committee shares on the way up. Everything goes
    /// through one port, so that the way back through a router is open.
    ///
    /// # Errors
    ///
    /// When it comes to nothing. The session does as well.
    pub async fn measure_both_ways(
        &self,
        session: &mut Session,
        subject: &Subject,
        both: &BothWays,
        pace: &Arc<Pace>,
    ) -> Result<BothParts, Failure> {
        session.channel.send(&ToChallenger::Invite(*subject)).await?;
        let (tag, port) = match session.receive(STEP_WITHIN).await? {
            ToProver::Accepted { tag, port } => (tag, port),
            _ => return Err(Broken::OutOfTurn.into()),
        };
        let probes = Probes { to: SocketAddr::new(session.address, port), tag, key: rand::random() };
        let arriving = self.agree_down(session, subject, &both.down, &probes).await?;
        let sending = self.agree_up(session, &both.up, &probes, &self.port).await?;
        let latest = session.clock.by_our_clock(both.proven_by.instant());
        let latest = latest.checked_sub(session.clock.round_trip / 2 + PROOF_TAKES);
        let (received, commitment) = self.prove(session, subject, &both.down, arriving.arriving, latest).await?;
        let sent = self.send_train(session, &both.up, &probes, &self.port, &sending, pace).await?;
        let Reported { report, signature, down, up } = match session.receive(COUNT_WITHIN).await? {
            ToProver::Reported(reported) => reported,
            _ => return Err(Broken::OutOfTurn.into()),
        };
        Ok(BothParts {
            report: (report, signature),
            commitment: commitment_hash(&commitment.root, &commitment.bitmap),
            down: Part {
                size: arriving.size,
                packets: arriving.packets,
                sent: down.packets,
                received: received.packets,
                reordered: received.reordered,
                arrivals: received.arrivals,
                evidence: Some((commitment, arriving.payload)),
                counted: down,
            },
            up: Part {
                size: sending.size,
                packets: sending.packets,
                sent,
                received: up.packets,
                reordered: up.reordered,
                arrivals: up.arrivals.clone(),
                evidence: None,
                counted: up,
            },
        })
    }

    async fn receive(
        &self,
        session: &mut Session,
        subject: &Subject,
        terms: &Terms,
        probes: &Probes,
    ) -> Result<Part, Failure> {
        let Down { size, packets, payload, arriving } = self.agree_down(session, subject, terms, probes).await?;
        let (received, commitment) = self.prove(session, subject, terms, arriving, None).await?;
        let counted = session.counted(COUNT_WITHIN).await?;
        Ok(Part {
            size,
            packets,
            sent: counted.packets,
            received: received.packets,
            reordered: received.reordered,
            arrivals: received.arrivals,
            evidence: Some((commitment, payload)),
            counted,
        })
    }

    /// Finds the path down, and agrees on what comes over it.
    async fn agree_down(
        &self,
        session: &mut Session,
        subject: &Subject,
        terms: &Terms,
        probes: &Probes,
    ) -> Result<Down, Failure> {
        let no_path = || Failure::NoPath(self.port.address().port());
        let own = |error: Refused| Failure::Own(error.to_string());
        let mut probed = self.port.expect_path(probes.tag, vec![session.address]).map_err(own)?;
        let found = {
            let settling = probed.settled(PROBE_WITHIN);
            tokio::pin!(settling);
            let mut ticks = tokio::time::interval(path_mtu::AGAIN_AFTER);
            loop {
                tokio::select! {
                    found = &mut settling => break found,
                    // They open a router's way back, where that is not open.
                    _ = ticks.tick() => if !subject.has_endpoint() {
                        let _ = self.port.send_probes(probes.to, &probes.tag, &probes.key);
                    },
                }
            }
        };
        let Found { size, digest, from } = found.ok_or_else(no_path)?;
        session.channel.send(&ToChallenger::Path { size, digest }).await?;
        let packets = session.ready(size, terms).await?;
        let payload = size.payload(from.ip()).ok_or_else(no_path)?;
        let until = UnixMicros(u64::MAX);
        let expectation = Expectation {
            packets,
            payload,
            start: terms.start,
            until,
            source: Some(from.ip()),
            content: Content::Commit,
        };
        let arriving = self.port.expect(probes.tag, expectation).map_err(own)?;
        Ok(Down { size, packets, payload, arriving })
    }

    /// Waits for the train, but not longer than `latest`, and proves what came of it.
    async fn prove(
        &self,
        session: &mut Session,
        subject: &Subject,
        terms: &Terms,
        arriving: Arriving,
        latest: Option<Instant>,
    ) -> Result<(Received, Commitment), Failure> {
        // By then the last packet is here, if the line is as fast as what is sent.
        let train = Duration::from_micros(terms.train_us);
        let end = terms.start.instant() + train + session.clock.round_trip / 2 + GRACE;
        let end = latest.map_or(end, |latest| end.min(latest));
        if let Ok(early) = timeout_at(end.into(), session.receive(Duration::MAX)).await {
            early?;
            return Err(Broken::OutOfTurn.into());
        }
        let mut received = arriving.finish().ok_or_else(|| Failure::Own("the train was not expected".into()))?;
        let commitment =
            received.commitment.take().ok_or_else(|| Failure::Own("nothing was kept of the train".into()))?;
        let signed = subject.proof_payload(&session.challenger_key, &commitment.root, &commitment.bitmap);
        let signature = self.identity.sign(&signed).map_err(|error| Failure::Own(error.to_string()))?;
        let proof = ToChallenger::Proof { root: commitment.root, bitmap: commitment.bitmap.clone(), signature };
        session.channel.send(&proof).await?;
        Ok((received, commitment))
    }

    async fn send(
        &self,
        session: &mut Session,
        terms: &Terms,
        probes: &Probes,
        pace: &Arc<Pace>,
    ) -> Result<Part, Failure> {
        let up = self.agree_up(session, terms, probes, &self.outgoing).await?;
        let sent = self.send_train(session, terms, probes, &self.outgoing, &up, pace).await?;
        let counted = session.counted(COUNT_WITHIN).await?;
        Ok(Part {
            size: up.size,
            packets: up.packets,
            sent,
            received: counted.packets,
            reordered: counted.reordered,
            arrivals: counted.arrivals.clone(),
            evidence: None,
            counted,
        })
    }

    /// Finds the path up, and agrees on what goes over it.
    async fn agree_up(
        &self,
        session: &mut Session,
        terms: &Terms,
        probes: &Probes,
        port: &Port,
    ) -> Result<Up, Failure> {
        let Probes { to, tag, .. } = *probes;
        let probe = || drop(port.send_probes(to, &tag, &probes.key));
        let ready =
            session.channel.receive_while(MAX_TO_PROVER_BYTES, STEP_WITHIN, path_mtu::AGAIN_AFTER, probe).await?;
        let (size, packets, digest) = match ready.0 {
            ToProver::Ready { size, packets, digest } => (size, packets, digest),
            ToProver::Refused(refusal) => return Err(Failure::Refused(refusal)),
            _ => return Err(Broken::OutOfTurn.into()),
        };
        // Nothing large is sent to a port that has not shown to be the challenger's.
        let payload = size.payload(to.ip()).ok_or(Broken::OutOfTurn)?;
        let sequence = path_mtu::sequence_of(size).ok_or(Broken::OutOfTurn)?;
        let is_shown = Expected::new(probes.key, payload).digest(sequence) == digest;
        if !is_shown || packets > size.packets_in(terms.budget_bytes()) {
            return Err(Broken::OutOfTurn.into());
        }
        Ok(Up { size, packets })
    }

    /// Waits for the key, and sends the train. Says how many packets went.
    async fn send_train(
        &self,
        session: &mut Session,
        terms: &Terms,
        probes: &Probes,
        port: &Arc<Port>,
        up: &Up,
        pace: &Arc<Pace>,
    ) -> Result<u32, Failure> {
        let Probes { to, tag, .. } = *probes;
        let Up { size, packets } = *up;
        let until = terms.start.after(Duration::from_micros(terms.train_us));
        let within = until.since(UnixMicros::now()) + COUNT_WITHIN;
        let (key, bits_per_second) = match session.receive(within).await? {
            ToProver::Nonce { key, bits_per_second } => (key, bits_per_second.min(terms.bits_per_second)),
            _ => return Err(Broken::OutOfTurn.into()),
        };
        // Not before its time: who tells its key early would fill the line while others are still owed proofs.
        let start = Instant::now().max(terms.start.instant());
        let train = Train { to, tag, key, packets, size, start, until: until.instant() };
        let (port, pace) = (port.clone(), pace.clone());
        let sent = tokio::task::spawn_blocking(move || {
            let own = pace.join(bits_per_second);
            port.send(&train, || own.bits_per_second(), |_, _| ())
        });
        let sent = sent.await.map_err(|error| Failure::Own(error.to_string()))?;
        let sent = sent.map_err(|error| Failure::Own(format!("nothing can be sent to {to}: {error}")))?;
        Ok(sent)
    }
}

/// Compares clocks with an agent that serves streams.
///
/// # Errors
///
/// When it does not answer.
pub async fn compare_clocks(channel: &mut Channel<Stream>) -> Result<Sample, Failure> {
    let mut comparison = Comparison::default();
    for _ in 0..EXCHANGES {
        channel.send(&ToChallenger::Clock(comparison.say(UnixMicros::now()))).await?;
        let (answer, at) = channel.receive(MAX_TO_PROVER_BYTES, STEP_WITHIN).await?;
        match answer {
            ToProver::Clock(clock) => comparison.hear(clock, at),
            ToProver::Refused(refusal) => return Err(Failure::Refused(refusal)),
            _ => return Err(Broken::OutOfTurn.into()),
        }
    }
    comparison.best().ok_or_else(|| Broken::OutOfTurn.into())
}

impl Session {
    /// The stream, for those who do not keep to the protocol: tests.
    pub fn channel(&mut self) -> &mut Channel<Stream> {
        &mut self.channel
    }

    /// The challenger's key.
    pub fn challenger_key(&self) -> [u8; 32] {
        self.challenger_key
    }

    /// The next message, if it is no refusal.
    async fn receive(&mut self, within: Duration) -> Result<ToProver, Failure> {
        match self.channel.receive(MAX_TO_PROVER_BYTES, within).await? {
            (ToProver::Refused(refusal), _) => Err(Failure::Refused(refusal)),
            (message, _) => Ok(message),
        }
    }

    /// How many packets come, if the challenger keeps to what was agreed.
    async fn ready(&mut self, found: IpBytes, terms: &Terms) -> Result<u32, Failure> {
        match self.receive(STEP_WITHIN).await? {
            ToProver::Ready { size, packets, .. }
                if size == found && packets <= size.packets_in(terms.budget_bytes()) =>
            {
                Ok(packets)
            },
            _ => Err(Broken::OutOfTurn.into()),
        }
    }

    async fn counted(&mut self, within: Duration) -> Result<Counted, Failure> {
        match self.receive(within).await? {
            ToProver::Counted(counted) => Ok(counted),
            _ => Err(Broken::OutOfTurn.into()),
        }
    }
}
