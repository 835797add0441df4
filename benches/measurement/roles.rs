//! What this benchmark runs as processes of its own: patched agents that lie, and other traffic.

use clap::{Parser, ValueEnum};
use futures::future::join_all;
use libp2p::Stream;
use serde_json::json;
use std::{
    collections::HashMap,
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::Mutex,
    time::{sleep, sleep_until},
};
use weir_agent::{
    identity::{peer_of, Identity},
    manual::measure::Target,
    session::channel::Channel,
    session::clock::Comparison,
    session::control::{multiaddr, Control, Inbound},
    session::prover::{Prover, Session},
};
use weir_e2e::{lab, Result};
use weir_primitives::measurement::estimator::{proven_bits_per_second, raw_bits_per_second, Limits, Sample};
use weir_probe::{
    commitment::Commitment,
    message::{
        Clock, Counted, Direction, Subject, Terms, ToChallenger, ToProver, MAX_TO_CHALLENGER_BYTES, MAX_TO_PROVER_BYTES,
    },
    packet::{Digest, Expected, IpBytes, Key, Tag},
    path_mtu::{self, Found},
    port::{self, Port, Probed, Train},
    reception::{Content, Expectation},
    time::{micros, UnixMicros},
};

/// What a challenger does that it should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChallengerLie {
    /// Takes part, and says nothing more.
    Silent,
    /// Reports all that it might have sent, at once.
    Claim,
    /// Makes its keys in a way that the prover knows.
    Keys,
}

/// What a prover does that it should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProverLie {
    /// Does not lie.
    None,
    /// Commits to everything, with content that it makes up, at once.
    Guess,
    /// Commits for some in the middle of the train, and for the others long after.
    EarlyAndLate,
    /// Delays what it echoes, as if it were far away.
    Echo,
    /// Lets an accomplice with a faster line take part from another address.
    Accomplice,
    /// Up: sends before it knows the key.
    Ahead,
    /// Uses what it has of the measurement before.
    Replay,
    /// Floods the challengers with packets and streams.
    Flood,
    /// Commits when a burst of the shaper counts for most.
    Burst,
    /// Commits to everything of those whose keys it knows.
    Keys,
}

#[derive(Parser)]
enum Role {
    /// Takes packets.
    Sink { address: SocketAddr },
    /// Sends packets.
    Source { address: SocketAddr, bits_per_second: u64 },
    /// A challenger that lies.
    Challenger {
        #[arg(long)]
        lie: ChallengerLie,
        #[arg(long)]
        listen: SocketAddr,
    },
    /// A prover that lies.
    Prover(ProverArguments),
}

#[derive(Clone, Parser)]
struct ProverArguments {
    #[arg(long)]
    lie: ProverLie,
    #[arg(long)]
    up: bool,
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    declare_mbit: u64,
    #[arg(long)]
    byzantine: u32,
    #[arg(long)]
    runs: u32,
    /// The namespace of the accomplice.
    #[arg(long)]
    accomplice: String,
    #[arg(long = "challenger")]
    challengers: Vec<Target>,
}

/// Where the prover is in the lab, and the challengers.
const PROVER: [u8; 4] = [10, 77, 1, 2];
const CHALLENGERS: [u8; 4] = [10, 77, 2, 2];
const TRAIN: Duration = Duration::from_millis(500);
const LEAST_TIME: Duration = Duration::from_millis(500);
const STEP: Duration = Duration::from_secs(3);
const LEAD: Duration = Duration::from_millis(400);

/// Runs a role, given as arguments.
pub fn run(arguments: &[String]) -> ExitCode {
    let role = Role::parse_from(std::iter::once("role".to_string()).chain(arguments.iter().cloned()));
    let runtime = tokio::runtime::Runtime::new().expect("there are threads");
    let done = runtime.block_on(async {
        match role {
            Role::Sink { address } => sink(address).await,
            Role::Source { address, bits_per_second } => source(address, bits_per_second),
            Role::Challenger { lie, listen } => challenger(lie, listen).await,
            Role::Prover(arguments) => prover(arguments).await,
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        },
    }
}

async fn sink(address: SocketAddr) -> Result<()> {
    let _port = Port::bind(address, port::Limits::default())?;
    std::future::pending().await
}

fn source(to: SocketAddr, bits_per_second: u64) -> Result<()> {
    let port = Port::bind(SocketAddr::new([0, 0, 0, 0].into(), 0), port::Limits::default())?;
    loop {
        let start = Instant::now();
        let until = start + Duration::from_secs(60);
        let train = Train { to, tag: [0; 16], key: [0; 32], packets: u32::MAX, size: IpBytes::MAX, start, until };
        port.send(&train, || bits_per_second, |_, _| ())?;
    }
}

/// The key that a colluding challenger makes.
fn known_key(tag: &Tag) -> Key {
    let mut key = Key::default();
    key[..16].copy_from_slice(tag);
    key
}

async fn challenger(lie: ChallengerLie, listen: SocketAddr) -> Result<()> {
    let identity = Identity::for_once()?;
    let (_control, mut incoming) = Control::start(&identity, &[listen])?;
    let port = Arc::new(Port::bind(SocketAddr::new(listen.ip(), listen.port() + 1), port::Limits::default())?);
    let peer = peer_of(&identity.public()).ok_or("a key of our own is none")?;
    println!("{}/p2p/{peer}", multiaddr(listen));
    while let Some(Inbound { channel, .. }) = incoming.next().await {
        let port = port.clone();
        tokio::spawn(async move { drop(lying_session(lie, channel, &port).await) });
    }
    Ok(())
}

async fn lying_session(lie: ChallengerLie, mut channel: Channel<Stream>, port: &Arc<Port>) -> Result<()> {
    let mut comparison = Comparison::default();
    loop {
        let (message, at) = channel.receive(MAX_TO_CHALLENGER_BYTES, Duration::from_secs(60)).await?;
        let terms = match message {
            ToChallenger::Clock(clock) => {
                comparison.hear(clock, at);
                channel.send(&ToProver::Clock(comparison.say(UnixMicros::now()))).await?;
                continue;
            },
            ToChallenger::Invite(Subject::ByHand { terms, .. }) => terms,
            // What an honest prover proves, a liar does not look at.
            _ => continue,
        };
        let tag: Tag = rand::random();
        let mut probed = port.expect_path(tag, vec![PROVER.into()])?;
        channel.send(&ToProver::Accepted { tag, port: port.address().port() }).await?;
        let (size, packets, digest) = agree(&mut channel, port, &terms, tag, &mut probed).await?;
        channel.send(&ToProver::Ready { size, packets, digest }).await?;
        if lie == ChallengerLie::Silent {
            continue;
        }
        sleep_until(terms.start.instant().into()).await;
        let key = known_key(&tag);
        if terms.direction == Direction::Up {
            channel.send(&ToProver::Nonce { key, bits_per_second: terms.bits_per_second }).await?;
        }
        let (mut bytes, mut elapsed_us) = (terms.budget_bytes(), 1);
        if terms.direction == Direction::Down {
            // An honest prover is sent nothing, and commits to nothing.
            let (proof, at) =
                channel.receive::<ToChallenger>(MAX_TO_CHALLENGER_BYTES, TRAIN + Duration::from_secs(2)).await?;
            if lie == ChallengerLie::Keys {
                let ToChallenger::Proof { root, bitmap, .. } = proof else { continue };
                let mut expected = Expected::new(key, payload_of(size));
                let proven = Commitment { root, bitmap }.proven_packets(packets, |it| Some(expected.digest(it)));
                bytes = u64::from(proven.unwrap_or(0)) * u64::from(size.0);
                elapsed_us = micros(at.since(terms.start));
            }
        }
        let counted = Counted { bytes, elapsed_us, round_trip_us: 0, key, packets, reordered: 0, arrivals: Vec::new() };
        channel.send(&ToProver::Counted(counted)).await?;
    }
}

fn payload_of(size: IpBytes) -> usize {
    size.payload(PROVER.into()).unwrap_or_default()
}

/// The size and number of packets, as an honest challenger finds them.
async fn agree(
    channel: &mut Channel<Stream>,
    port: &Port,
    terms: &Terms,
    tag: Tag,
    probed: &mut Probed,
) -> Result<(IpBytes, u32, Digest)> {
    let Found { mut size, mut digest, from } = probed.settled(STEP).await.ok_or("there is no path")?;
    if terms.direction == Direction::Down {
        let probe = || drop(port.send_probes(from, &tag, &known_key(&tag)));
        let answer = channel.receive_while(MAX_TO_CHALLENGER_BYTES, STEP, path_mtu::AGAIN_AFTER, probe).await?;
        let ToChallenger::Path { size: agreed, digest: shown } = answer.0 else { return Err("out of turn".into()) };
        (size, digest) = (agreed, shown);
    }
    Ok((size, size.packets_in(terms.budget_bytes()), digest))
}

/// What a replaying prover keeps, by challenger.
type Kept = Arc<Mutex<HashMap<usize, (Tag, Key, Option<Commitment>)>>>;

/// A prover that lies to one challenger.
struct Liar {
    lie: ProverLie,
    prover: Prover,
    accomplice: Arc<Port>,
    kept: Kept,
}

async fn prover(arguments: ProverArguments) -> Result<()> {
    let identity = Identity::for_once()?;
    let (control, _) = Control::start(&identity, &[])?;
    let port = Arc::new(Port::bind(arguments.listen, port::Limits::default())?);
    let accomplice = lab::inside(&arguments.accomplice, || {
        Port::bind(SocketAddr::new([0, 0, 0, 0].into(), 0), port::Limits::default())
    })?;
    let liar = Arc::new(Liar {
        lie: arguments.lie,
        prover: Prover { control, outgoing: port.clone(), port, identity },
        accomplice: Arc::new(accomplice),
        kept: Kept::default(),
    });
    let declared = arguments.declare_mbit * 1_000_000;
    let limits =
        Limits { byzantine: arguments.byzantine, least_time_us: micros(LEAST_TIME), clock_tolerance_us: 20_000 };
    let mut sessions = join_all(arguments.challengers.iter().map(|target| liar.dial(target))).await;
    let mut measured = Vec::new();
    for _ in 0..arguments.runs {
        let begun = UnixMicros::now();
        let terms = Terms {
            direction: if arguments.up { Direction::Up } else { Direction::Down },
            start: begun.after(LEAD),
            train_us: micros(TRAIN),
            bits_per_second: declared * 3 / 2 / arguments.challengers.len() as u64,
        };
        let subject = Subject::ByHand { id: rand::random(), terms, endpoint: None };
        let parts = sessions.iter_mut().zip(&arguments.challengers).enumerate().map(|(index, (session, target))| {
            let liar = liar.clone();
            async move {
                if session.is_none() {
                    *session = liar.dial(target).await;
                }
                let counted = liar.measure(session.as_mut()?, index, &subject, &terms).await;
                // What fails, liars try anew.
                if counted.is_err() {
                    *session = None;
                }
                counted.ok()
            }
        });
        let reports: Vec<Sample> = join_all(parts)
            .await
            .into_iter()
            .flatten()
            .map(|counted| Sample {
                bytes: counted.bytes.min(terms.budget_bytes()),
                elapsed_us: counted.elapsed_us,
                round_trip_us: counted.round_trip_us,
            })
            .collect();
        measured.push(json!({
            "rawBitsPerSecond": raw_bits_per_second(&reports, limits) as f64,
            "provenBitsPerSecond": proven_bits_per_second(&reports, limits) as f64,
            "seconds": UnixMicros::now().since(begun).as_secs_f64(),
            "bytesSent": 0,
            "bytesReceived": reports.iter().map(|report| report.bytes).sum::<u64>(),
        }));
    }
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

impl Liar {
    async fn dial(&self, target: &Target) -> Option<Session> {
        if self.lie != ProverLie::Echo {
            return self.prover.dial(target.peer, &[target.address]).await.ok();
        }
        let mut session = self.prover.dial(target.peer, &[target.address]).await.ok()?;
        // The same again, each time late, and as if it had not been held.
        for _ in 0..8 {
            sleep(Duration::from_millis(20)).await;
            let now = UnixMicros::now();
            session.channel().send(&ToChallenger::Clock(Clock { heard: now, sent: now })).await.ok()?;
            session.channel().receive::<ToProver>(MAX_TO_PROVER_BYTES, STEP).await.ok()?;
        }
        Some(session)
    }

    async fn measure(&self, session: &mut Session, index: usize, subject: &Subject, terms: &Terms) -> Result<Counted> {
        session.channel().send(&ToChallenger::Invite(*subject)).await?;
        let (tag, number) = match session.channel().receive(MAX_TO_PROVER_BYTES, STEP).await?.0 {
            ToProver::Accepted { tag, port } => (tag, port),
            other => return Err(format!("{other:?}").into()),
        };
        let challenger = SocketAddr::new(session.address, number);
        if self.lie == ProverLie::Flood {
            self.flood(challenger, terms);
        }
        match terms.direction {
            Direction::Down => self.down(session, index, subject, terms, tag, challenger).await,
            Direction::Up => self.up(session, index, terms, tag, challenger).await,
        }
    }

    /// Sends a challenger packets of no measurement until this one is over.
    fn flood(&self, to: SocketAddr, terms: &Terms) {
        let port = self.accomplice.clone();
        let until = terms.start.instant() + TRAIN;
        std::thread::spawn(move || {
            let train = Train {
                to,
                tag: [0xff; 16],
                key: [0; 32],
                packets: u32::MAX,
                size: IpBytes::MAX,
                start: Instant::now(),
                until,
            };
            port.send(&train, || 50_000_000, |_, _| ())
        });
    }

    #[allow(clippy::too_many_arguments)]
    async fn down(
        &self,
        session: &mut Session,
        index: usize,
        subject: &Subject,
        terms: &Terms,
        tag: Tag,
        challenger: SocketAddr,
    ) -> Result<Counted> {
        let port = &self.prover.port;
        let mouth = if self.lie == ProverLie::Accomplice { &self.accomplice } else { port };
        let mut probed = mouth.expect_path(tag, vec![CHALLENGERS.into()])?;
        mouth.send_probes(challenger, &tag, &[0; 32])?;
        let Found { size, digest, .. } = probed.settled(Duration::from_millis(600)).await.ok_or("no probe came")?;
        session.channel().send(&ToChallenger::Path { size, digest }).await?;
        let packets = match session.channel().receive(MAX_TO_PROVER_BYTES, STEP).await?.0 {
            ToProver::Ready { packets, .. } => packets,
            other => return Err(format!("{other:?}").into()),
        };
        let expectation = Expectation {
            packets,
            payload: payload_of(size),
            start: terms.start,
            until: UnixMicros(u64::MAX),
            source: None,
            content: Content::Commit,
        };
        let arriving = port.expect(tag, expectation)?;
        let mut known = Expected::new(known_key(&tag), payload_of(size));
        let knows_key = path_mtu::sequence_of(size).is_some_and(|sequence| known.digest(sequence) == digest);
        let at_once = Duration::from_millis(1);
        let close = match self.lie {
            ProverLie::Guess | ProverLie::Replay => at_once,
            ProverLie::Keys if knows_key => at_once,
            ProverLie::EarlyAndLate if index.is_multiple_of(2) => TRAIN / 2,
            ProverLie::EarlyAndLate => TRAIN + Duration::from_millis(200),
            ProverLie::Echo => TRAIN + Duration::from_millis(20),
            ProverLie::Burst => LEAST_TIME - at_once,
            _ => TRAIN + at_once,
        };
        sleep_until((terms.start.instant() + close).into()).await;
        let honest = arriving.finish().and_then(|received| received.commitment).ok_or("no train")?;
        let everything = |digest_of: &mut dyn FnMut(u32) -> [u8; 16]| {
            Commitment::new(&(0..packets).map(|sequence| Some(digest_of(sequence))).collect::<Vec<_>>())
        };
        let mut kept = self.kept.lock().await;
        let commitment = match self.lie {
            ProverLie::Guess => everything(&mut |_| rand::random()),
            ProverLie::Keys if knows_key => everything(&mut |sequence| known.digest(sequence)),
            ProverLie::Replay => match kept.get(&index).and_then(|(_, _, old)| old.clone()) {
                Some(old) => old,
                None => {
                    kept.insert(index, (tag, [0; 32], Some(everything(&mut |_| rand::random()))));
                    honest
                },
            },
            _ => honest,
        };
        drop(kept);
        let peer = session.challenger_key();
        let signed = subject.proof_payload(&peer, &commitment.root, &commitment.bitmap);
        let signature = self.prover.identity.sign(&signed)?;
        let proof = ToChallenger::Proof { root: commitment.root, bitmap: commitment.bitmap, signature };
        session.channel().send(&proof).await?;
        match session.channel().receive(MAX_TO_PROVER_BYTES, STEP).await?.0 {
            ToProver::Counted(counted) => Ok(counted),
            other => Err(format!("{other:?}").into()),
        }
    }

    async fn up(
        &self,
        session: &mut Session,
        index: usize,
        terms: &Terms,
        tag: Tag,
        challenger: SocketAddr,
    ) -> Result<Counted> {
        let port = self.prover.port.clone();
        let probe = || drop(port.send_probes(challenger, &tag, &[0; 32]));
        let ready = session.channel().receive_while(MAX_TO_PROVER_BYTES, STEP, path_mtu::AGAIN_AFTER, probe).await?;
        let ToProver::Ready { size, packets, .. } = ready.0 else { return Err(format!("{:?}", ready.0).into()) };
        let until = terms.start.instant() + TRAIN;
        let send = |mouth: Arc<Port>, tag: Tag, key: Key, start: Instant| {
            let bits_per_second = terms.bits_per_second;
            let train = Train { to: challenger, tag, key, packets, size, start, until };
            tokio::task::spawn_blocking(move || mouth.send(&train, || bits_per_second, |_, _| ()))
        };
        let early = terms.start.instant() - Duration::from_millis(300);
        let old = self.kept.lock().await.get(&index).cloned();
        match self.lie {
            ProverLie::Ahead => drop(send(port.clone(), tag, rand::random(), early)),
            ProverLie::Replay => {
                if let Some((old_tag, old_key, _)) = old {
                    drop(send(port.clone(), old_tag, old_key, early));
                    drop(send(port.clone(), tag, old_key, early));
                }
            },
            _ => (),
        }
        let (key, _) = match session.channel().receive(MAX_TO_PROVER_BYTES, STEP).await?.0 {
            ToProver::Nonce { key, bits_per_second } => (key, bits_per_second),
            other => return Err(format!("{other:?}").into()),
        };
        self.kept.lock().await.insert(index, (tag, key, None));
        let mouth = if self.lie == ProverLie::Accomplice { self.accomplice.clone() } else { port };
        drop(send(mouth, tag, key, Instant::now()).await?);
        match session.channel().receive(MAX_TO_PROVER_BYTES, STEP).await?.0 {
            ToProver::Counted(counted) => Ok(counted),
            other => Err(format!("{other:?}").into()),
        }
    }
}
