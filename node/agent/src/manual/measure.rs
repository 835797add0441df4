//! One measurement by hand, with any number of challengers.

use crate::{
    chain::provider::outgoing_port,
    identity::Identity,
    manual::answer::MAX_TRAIN,
    rate,
    session::clock::{Sample, Watch},
    session::control::Control,
    session::prover::{pace_of, Part, Prover, Session},
    Fatal,
};
use futures::future::join_all;
use indicatif::{ProgressBar, ProgressStyle};
use libp2p::{multiaddr::Protocol, Multiaddr, PeerId};
use serde::Serialize;
use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
    time::Duration,
};
use weir_primitives::measurement::estimator::{proven_bits_per_second, raw_bits_per_second, Limits, Sample as Report};
use weir_probe::{
    message::{Direction, Subject, Terms},
    port::{self, Port},
    time::{micros, UnixMicros},
};

/// The shortest train, and how many round trips one has at least.
const LEAST_TRAIN: Duration = Duration::from_millis(500);
const ROUND_TRIPS: u32 = 10;
/// What the invitations take before the start, beside six round trips and the probes of the path.
const LEAD: Duration = Duration::from_millis(600);
/// What the probes of one challenger are, sent twice.
const PROBES_BITS: u64 = 2 * 8 * 7_200;
/// T_min, as on every preset.
const LEAST_TIME_US: u64 = 500_000;
/// By how much a committee offers more than what is declared.
const OFFERED: (u64, u64) = (3, 2);
/// Where the search for the rate of an unknown line starts, by how much it goes on, and where it ends.
const FIRST_GUESS: u64 = 100_000_000;
const NEXT_GUESS: u64 = 4;
const LAST_GUESS: u64 = 10_000_000_000;

/// A challenger: `/ip4/192.0.2.1/udp/40401/quic-v1/p2p/12D3Koo...`, as it prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The identity of the challenger.
    pub peer: PeerId,
    /// Where the challenger takes control streams.
    pub address: SocketAddr,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let help = || {
            format!("'{text}' is no challenger; write /ip4/ADDRESS/udp/PORT/quic-v1/p2p/PEER, as `weir-agent answer` prints it")
        };
        let parts: Vec<Protocol> =
            text.parse::<Multiaddr>().map_err(|_| help())?.into_iter().map(Protocol::acquire).collect();
        let (ip, port, peer): (IpAddr, u16, PeerId) = match parts.as_slice() {
            [Protocol::Ip4(ip), Protocol::Udp(port), Protocol::QuicV1, Protocol::P2p(peer)] => {
                ((*ip).into(), *port, *peer)
            },
            [Protocol::Ip6(ip), Protocol::Udp(port), Protocol::QuicV1, Protocol::P2p(peer)] => {
                ((*ip).into(), *port, *peer)
            },
            _ => return Err(help()),
        };
        Ok(Self { peer, address: SocketAddr::new(ip, port) })
    }
}

/// What is measured, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The challengers to measure with.
    pub targets: Vec<Target>,
    /// The directions to measure.
    pub directions: Vec<Direction>,
    /// How fast the line is said to be; searched for, if it is not said.
    pub declared_bits_per_second: Option<u64>,
    /// How long a train is; as long as the longest round trip asks for, if it is not said.
    pub train: Option<Duration>,
    /// How many of the challengers may be Byzantine: f. Less than half, if it is not said.
    pub byzantine: Option<u32>,
    /// How often to measure each way.
    pub runs: u32,
    /// How far clocks may differ: ε.
    pub clock_tolerance_us: u64,
    /// Where packets are to go; to where ours come from, if it is not said.
    pub external: Option<SocketAddr>,
}

/// What one measurement showed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// `down` or `up`.
    pub direction: &'static str,
    /// How fast the line was said to be.
    pub declared_bits_per_second: u64,
    /// What each challenger sent, or was sent, at most.
    pub each_bits_per_second: u64,
    /// How long a train was.
    pub train_us: u64,
    /// How many challengers may be Byzantine: f.
    pub byzantine: u32,
    /// What is proven: G.
    pub proven_bits_per_second: u64,
    /// The best estimate.
    pub raw_bits_per_second: u64,
    /// What was sent, in whole IP packets.
    pub bytes_sent: u64,
    /// What arrived.
    pub bytes_received: u64,
    /// How long it took, from the invitations on.
    pub seconds: f64,
    /// What each challenger says.
    pub challengers: Vec<Row>,
}

/// What one challenger says.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The identity of the challenger.
    pub peer: String,
    /// Where the challenger takes control streams.
    pub address: SocketAddr,
    /// By how much the challenger's clock is ahead of ours, in microseconds.
    pub clock_ahead_us: Option<i64>,
    /// The time to the challenger and back, in microseconds.
    pub round_trip_us: Option<u64>,
    /// What the challenger counted, or why it did not.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What a challenger's part came to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The challenger counted.
    #[serde(rename_all = "camelCase")]
    Counted {
        /// The bytes of whole IP packets.
        bytes: u64,
        /// The time from the start until the proof was in its hands.
        elapsed_us: u64,
        /// The rate that follows, without the round trip.
        bits_per_second: u64,
        /// How large each packet was.
        packet_bytes: u16,
        /// The part of the packets that were sent and did not arrive in time.
        loss: f64,
        /// The part of those that arrived which came after one with a higher sequence number.
        reordered: f64,
        /// Whether the challenger counted all that we can show to have arrived.
        is_fair: bool,
        /// How many packets arrived in each 10 ms.
        arrivals: Vec<u16>,
    },
    /// The challenger did not count, for this reason.
    Failed(String),
}

/// The name of a direction.
pub fn name_of(direction: Direction) -> &'static str {
    match direction {
        Direction::Down => "down",
        Direction::Up => "up",
    }
}

struct Member {
    target: Target,
    session: Option<Session>,
    clock: Option<Sample>,
    failure: Option<String>,
}

/// A measurement by hand in the making.
pub struct Measure {
    prover: Prover,
    settings: Settings,
    members: Vec<Member>,
    bar: ProgressBar,
}

impl Measure {
    /// Prepares: takes a port, and starts control streams.
    ///
    /// # Errors
    ///
    /// When there is nobody to measure with, or no port to be had.
    pub fn new(identity: Identity, listen: SocketAddr, limit: Option<u64>, settings: Settings) -> Result<Self, Fatal> {
        if settings.targets.is_empty() {
            return Err(Fatal("name at least one challenger with --challenger".into()));
        }
        if settings.byzantine.is_some_and(|byzantine| byzantine as usize >= settings.targets.len()) {
            return Err(Fatal("with that many Byzantine challengers of so few nothing can be proven".into()));
        }
        let (control, _) = Control::start(&identity, &[])?;
        let port = Port::bind(listen, port::Limits::both(limit)).map_err(|error| {
            Fatal(format!(
                "cannot take packets on {listen} ({error}); end the process that uses it, or choose another --listen"
            ))
        })?;
        let members = settings
            .targets
            .iter()
            .map(|target| Member { target: target.clone(), session: None, clock: None, failure: None })
            .collect();
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg:28} {wide_bar} {percent:>3} %") {
            bar.set_style(style);
        }
        let outgoing = outgoing_port(listen, port::Limits::both(limit))?;
        Ok(Self { prover: Prover { control, port: Arc::new(port), outgoing, identity }, settings, members, bar })
    }

    /// Measures all that was asked for, in turn.
    ///
    /// # Errors
    ///
    /// When no challenger can be reached, or our clock is off.
    pub async fn run(mut self) -> Result<Vec<Measurement>, Fatal> {
        let mut measurements = Vec::new();
        for run in 1..=self.settings.runs {
            for direction in self.settings.directions.clone() {
                let of_runs =
                    if self.settings.runs > 1 { format!(", {run} of {}", self.settings.runs) } else { String::new() };
                let name = format!("{}{of_runs}", name_of(direction));
                measurements.push(self.one_way(direction, &name).await?);
            }
        }
        self.bar.finish_and_clear();
        Ok(measurements)
    }

    /// Measures one way, again with more if the line might be faster than it was said to be and nobody said it.
    async fn one_way(&mut self, direction: Direction, name: &str) -> Result<Measurement, Fatal> {
        let mut declared = self.settings.declared_bits_per_second.unwrap_or(FIRST_GUESS);
        loop {
            let measured = self.once(direction, declared, name).await?;
            if self.settings.declared_bits_per_second.is_some() || measured.raw_bits_per_second == 0 {
                return Ok(measured);
            }
            if measured.raw_bits_per_second < declared / 10 * 9 || declared >= LAST_GUESS {
                // What is proven is most when no more is sent than the line takes.
                return self.once(direction, measured.raw_bits_per_second.min(declared), name).await;
            }
            declared = declared.saturating_mul(NEXT_GUESS).min(LAST_GUESS);
        }
    }

    async fn once(&mut self, direction: Direction, declared: u64, name: &str) -> Result<Measurement, Fatal> {
        self.dial_all(name).await?;
        let members = self.members.len() as u64;
        let round_trip =
            self.members.iter().filter_map(|it| it.clock).map(|it| it.round_trip).max().unwrap_or_default();
        let train = self.settings.train.unwrap_or((round_trip * ROUND_TRIPS).clamp(LEAST_TRAIN, MAX_TRAIN));
        let probing = Duration::from_secs_f64(((members * PROBES_BITS) as f64 / declared.max(1) as f64).min(10.0));
        let begun = UnixMicros::now();
        let terms = Terms {
            direction,
            start: begun.after(LEAD + 6 * round_trip + probing),
            train_us: micros(train),
            bits_per_second: declared.saturating_mul(OFFERED.0) / OFFERED.1 / members,
        };
        let subject = Subject::ByHand { id: rand::random(), terms, endpoint: self.settings.external.map(Into::into) };
        let progress = tokio::spawn(show(self.bar.clone(), format!("{name}: {}", rate::show(declared)), terms));
        let (prover, pace) = (&self.prover, &pace_of(declared));
        let measuring = self.members.iter_mut().map(|member| async move {
            let Some(session) = &mut member.session else { return None };
            match prover.measure(session, &subject, &terms, pace).await {
                Ok(part) => Some(part),
                Err(failure) => {
                    member.failure = Some(failure.to_string());
                    if failure.is_final() {
                        member.session = None;
                    }
                    None
                },
            }
        });
        let parts: Vec<Option<Part>> = join_all(measuring).await;
        progress.abort();
        let seconds = UnixMicros::now().since(begun).as_secs_f64();
        Ok(self.summed_up(declared, &terms, &parts, seconds))
    }

    /// Dials those that are not connected, and compares our clock with all that are.
    async fn dial_all(&mut self, name: &str) -> Result<(), Fatal> {
        self.bar.set_message(format!("{name}: dialling"));
        let prover = &self.prover;
        let dialling = self.members.iter_mut().filter(|member| member.session.is_none()).map(|member| async move {
            match prover.dial(member.target.peer, &[member.target.address]).await {
                Ok(session) => {
                    member.clock = Some(session.clock);
                    member.session = Some(session);
                    member.failure = None;
                },
                Err(failure) => member.failure = Some(failure.to_string()),
            }
        });
        join_all(dialling).await;
        let clocks = Watch::default();
        for member in self.members.iter().filter(|member| member.session.is_some()) {
            clocks.note(member.target.peer, member.clock.unwrap_or_default(), UnixMicros::now());
        }
        if let Some(ahead_us) = clocks.is_off(self.settings.clock_tolerance_us) {
            return Err(Fatal(format!(
                "our clock is {:.1} ms ahead of the challengers', and would spoil the measurement; set it with NTP",
                ahead_us as f64 / 1e3
            )));
        }
        if self.members.iter().all(|member| member.session.is_none()) {
            let failures = self.members.iter().filter_map(|member| {
                member.failure.as_ref().map(|failure| format!("{}: {failure}", member.target.address))
            });
            return Err(Fatal(format!("no challenger can be reached ({})", failures.collect::<Vec<_>>().join("; "))));
        }
        Ok(())
    }

    /// How many may lie: f.
    fn byzantine(&self) -> u32 {
        let most = u32::try_from(self.members.len().saturating_sub(1) / 2).unwrap_or(u32::MAX);
        self.settings.byzantine.unwrap_or(most)
    }

    fn summed_up(&self, declared: u64, terms: &Terms, parts: &[Option<Part>], seconds: f64) -> Measurement {
        let byzantine = self.byzantine();
        let limits =
            Limits { byzantine, least_time_us: LEAST_TIME_US, clock_tolerance_us: self.settings.clock_tolerance_us };
        let counted = || parts.iter().flatten();
        // What the chain does: no challenger counts more than its budget.
        let reports: Vec<Report> = counted()
            .map(|Part { counted, .. }| Report {
                bytes: counted.bytes.min(terms.budget_bytes()),
                elapsed_us: counted.elapsed_us,
                round_trip_us: counted.round_trip_us,
            })
            .collect();
        let bits = |bits: u128| u64::try_from(bits).unwrap_or(u64::MAX);
        let bytes = |packets: u32, part: &Part| u64::from(packets) * u64::from(part.size.0);
        Measurement {
            direction: name_of(terms.direction),
            declared_bits_per_second: declared,
            each_bits_per_second: terms.bits_per_second,
            train_us: terms.train_us,
            byzantine,
            proven_bits_per_second: bits(proven_bits_per_second(&reports, limits)),
            raw_bits_per_second: bits(raw_bits_per_second(&reports, limits)),
            bytes_sent: counted().map(|part| bytes(part.sent, part)).fold(0, u64::saturating_add),
            bytes_received: counted().map(|part| bytes(part.received, part)).fold(0, u64::saturating_add),
            seconds,
            challengers: self.members.iter().zip(parts).map(|(member, part)| row(member, part.as_ref())).collect(),
        }
    }
}

fn row(member: &Member, part: Option<&Part>) -> Row {
    let ratio = |part: u32, whole: u32| f64::from(part) / f64::from(whole.max(1));
    let outcome = match part {
        None => Outcome::Failed(member.failure.clone().unwrap_or_else(|| "it did not take part".into())),
        Some(part) => {
            let window_us = part.counted.elapsed_us.saturating_sub(part.counted.round_trip_us).max(1);
            let bits = u128::from(part.counted.bytes) * 8_000_000 / u128::from(window_us);
            Outcome::Counted {
                bytes: part.counted.bytes,
                elapsed_us: part.counted.elapsed_us,
                bits_per_second: u64::try_from(bits).unwrap_or(u64::MAX),
                packet_bytes: part.size.0,
                loss: 1.0 - ratio(part.received.min(part.sent), part.sent),
                reordered: ratio(part.reordered, part.received),
                is_fair: part.is_fair(),
                arrivals: part.arrivals.clone(),
            }
        },
    };
    Row {
        peer: member.target.peer.to_string(),
        address: member.target.address,
        clock_ahead_us: member.clock.map(|clock| clock.ahead_us),
        round_trip_us: member.clock.map(|clock| micros(clock.round_trip)),
        outcome,
    }
}

/// Moves the bar until the train is over.
async fn show(bar: ProgressBar, message: String, terms: Terms) {
    let begun = UnixMicros::now();
    let end = terms.start.after(Duration::from_micros(terms.train_us));
    bar.set_message(message);
    bar.set_length(micros(end.since(begun)).max(1));
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        bar.set_position(micros(UnixMicros::now().min(end).since(begun)));
    }
}

impl Measurement {
    /// A table for people.
    pub fn lines(&self) -> String {
        let mut lines = vec![format!(
            "{:<4} {:<40} {:>14} {:>8} {:>10} {:>10} {:>10} {:>8}",
            self.direction, "challenger", "rate", "loss", "reordered", "elapsed", "round trip", "packet"
        )];
        for row in &self.challengers {
            let who =
                format!("{}…{}", row.address, row.peer.get(row.peer.len().saturating_sub(6)..).unwrap_or_default());
            lines.push(match &row.outcome {
                Outcome::Failed(why) => format!("     {who:<40} {why}"),
                Outcome::Counted { elapsed_us, bits_per_second, packet_bytes, loss, reordered, is_fair, .. } => {
                    format!(
                        "     {who:<40} {:>14} {:>6.1} % {:>8.1} % {:>7.1} ms {:>7.1} ms {packet_bytes:>8}{}",
                        rate::show(*bits_per_second),
                        loss * 100.0,
                        reordered * 100.0,
                        *elapsed_us as f64 / 1e3,
                        row.round_trip_us.unwrap_or_default() as f64 / 1e3,
                        if *is_fair { "" } else { "  it counted another number of bytes than arrived" },
                    )
                },
            });
        }
        lines.push(format!(
            "     each {} {} for {:.2} s: {} MB sent, {} MB received, in {:.1} s",
            if self.direction == "up" { "was sent" } else { "sent" },
            rate::show(self.each_bits_per_second),
            self.train_us as f64 / 1e6,
            megabytes(self.bytes_sent),
            megabytes(self.bytes_received),
            self.seconds
        ));
        let answered = self.challengers.iter().filter(|row| matches!(row.outcome, Outcome::Counted { .. })).count();
        lines.push(format!(
            "     estimate {:>14}   the best guess, if nobody lies",
            rate::show(self.raw_bits_per_second)
        ));
        lines.push(format!(
            "     proven   {:>14}   whatever any {} of the {} lie; {} answered",
            rate::show(self.proven_bits_per_second),
            self.byzantine,
            self.challengers.len(),
            answered
        ));
        if self.raw_bits_per_second > self.declared_bits_per_second / 100 * 103 {
            lines.push("     the line may be faster than that: measure again with a larger --declare".into());
        }
        lines.join("\n")
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenger_is_read_as_it_prints_itself() {
        let peer = PeerId::random();
        let target: Target = format!("/ip4/127.0.0.1/udp/40401/quic-v1/p2p/{peer}").parse().unwrap();
        assert_eq!(target, Target { peer, address: ([127, 0, 0, 1], 40_401).into() });
        assert!(format!("/ip6/::1/udp/40401/quic-v1/p2p/{peer}").parse::<Target>().is_ok());
        for wrong in ["127.0.0.1:40401", "/ip4/127.0.0.1/udp/40401/quic-v1", "/dns4/x/udp/1/quic-v1", ""] {
            assert!(wrong.parse::<Target>().unwrap_err().contains("/quic-v1/p2p/PEER"), "{wrong}");
        }
    }
}
