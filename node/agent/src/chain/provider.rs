//! The side that is measured.

use crate::{
    chain::follower::{Follower, Heads},
    chain::order::{Order, Place},
    chain::registration::{self, Chain},
    chain::submission::{encoded, hand_in, SignedReport, Submission},
    chain::{actor::Actor, Error, Node},
    identity::{is_signed_by, peer_of, Identity},
    metrics::Metrics,
    now_ms, rate, runtime,
    session::clock::{warn_of_free_clock, Watch},
    session::control::Control,
    session::prover::{pace_of, BothParts, BothWays, Failure, Prover},
    Fatal,
};
use codec::DecodeAll;
use libp2p::PeerId;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};
use weir_primitives::{
    measurement::{
        challenge::{batch_payload, member_payload, MemberReport, LATEST_US, UP_AFTER_US},
        endpoint::{self, Service},
        lottery::groups::Family,
        Endpoints, PeerKey,
    },
    runtime_api::{OpenChallenge, ProviderStatus},
    AccountId,
};
use weir_probe::{
    message::{Direction, Subject, Terms},
    port::{Limits, Port},
    share::Pace,
    time::UnixMicros,
};

/// How often a challenger that cannot be reached, or does not know the challenge yet, is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// Over how long provers of one instant spread their calls.
const SPREAD: Duration = Duration::from_secs(4);
/// How long before the start challengers are asked: a router forgets the way back of packets soon after.
const INVITED_BEFORE: Duration = Duration::from_secs(20);
/// How long members may take to report after the last packet; what comes later is left to them.
const REPORTED_WITHIN: Duration = Duration::from_secs(2);
/// For how long packets should be held until they are read: longer than a busy scheduler keeps a thread waiting.
const ENOUGH_BUFFER: Duration = Duration::from_millis(20);
/// How often it is said that our clock is off.
const WARNED_EVERY: Duration = Duration::from_secs(60);

/// What a provider is started with.
#[derive(Clone)]
pub struct Settings {
    /// The nodes to follow.
    pub nodes: Vec<String>,
    /// Who acts for the account.
    pub actor: Actor,
    /// The key of the agent.
    pub identity: Identity,
    /// Where packets are taken and sent. Its kind of address is that over which the provider is measured.
    pub listen: SocketAddr,
    /// The capacity to declare, for which a bond is held.
    pub declared_bits_per_second: u64,
    /// How much of the line is sold.
    pub limits: Limits,
    /// The author whose blocks the provider boosts.
    pub mining_author: Option<AccountId>,
    /// What is told of it.
    pub metrics: Metrics,
}

/// A port to send from, at the same address.
///
/// # Errors
///
/// When there is none.
pub fn outgoing_port(listen: SocketAddr, limits: Limits) -> Result<Arc<Port>, Fatal> {
    Port::bind(SocketAddr::new(listen.ip(), 0), limits)
        .map(Arc::new)
        .map_err(|error| Fatal(format!("there is no UDP port to send from at {} ({error})", listen.ip())))
}

/// What a challenge on chain is, as agents agree on it: down at its start, up a second later.
pub fn both_ways(open: &OpenChallenge, least_time_us: u64) -> BothWays {
    let start = UnixMicros::from_millis(open.start);
    let latest_us = least_time_us.saturating_add(LATEST_US);
    let bits_per_second = open.bits_per_second;
    BothWays {
        down: Terms { direction: Direction::Down, start, train_us: open.train_us, bits_per_second },
        up: Terms {
            direction: Direction::Up,
            start: start.after(Duration::from_micros(UP_AFTER_US)),
            train_us: latest_us,
            bits_per_second,
        },
        proven_by: start.after(Duration::from_micros(latest_us)),
    }
}

/// Says so if the kernel may hold less of what comes at a rate than a busy machine needs.
pub fn warn_of_small_buffer(port: &Port, bits_per_second: u64) {
    let Some(held) = port.buffered_for(bits_per_second) else { return };
    if held < ENOUGH_BUFFER {
        log::warn!(
            "at {} the system holds packets for {:.0} ms until they are read; where this machine is busy, some will be lost. \
             'sysctl net.core.rmem_max=8388608' lets it hold more",
            rate::show(bits_per_second),
            held.as_secs_f64() * 1e3
        );
    } else {
        log::info!(
            "at {} the system holds packets for {:.0} ms",
            rate::show(bits_per_second),
            held.as_secs_f64() * 1e3
        );
    }
}

/// Runs a provider until something ends it for good.
pub async fn run(settings: Settings) -> Fatal {
    warn_of_free_clock();
    let port = match Port::bind(settings.listen, settings.limits) {
        Ok(port) => Arc::new(port),
        Err(error) => {
            return Fatal(format!(
            "cannot take measurement packets on {} ({error}); end the process that uses it, or choose another --listen",
            settings.listen
        ))
        },
    };
    warn_of_small_buffer(&port, settings.limits.down_bits_per_second.unwrap_or(settings.declared_bits_per_second));
    let control = match Control::start(&settings.identity, &[]) {
        Ok((control, _)) => control,
        Err(error) => return error,
    };
    let chain = match registration::chain_of(&settings.nodes).await {
        Ok(chain) => chain,
        Err(error) => return error,
    };
    let (sender, heads) = watch::channel(None);
    let prover = Prover { control, outgoing: port.clone(), port, identity: settings.identity.clone() };
    let provider = Provider {
        prover,
        chain,
        account: settings.actor.account().clone(),
        metrics: settings.metrics.clone(),
        is_v4: settings.listen.is_ipv4(),
        clocks: Arc::default(),
        order: Order::default(),
        warned: Arc::default(),
        heads,
    };
    tokio::spawn(provider.take_challenges());
    let setup = |node: Node| {
        let settings = settings.clone();
        Box::pin(async move { register(&node, &settings).await }) as _
    };
    Follower { nodes: &settings.nodes, genesis: chain.genesis, heads: &sender }.follow(&setup).await
}

/// Registers the provider, or brings what the chain knows of it up to date.
async fn register(node: &Node, settings: &Settings) -> Result<(), Error> {
    let account = settings.actor.account().clone();
    let family = if settings.listen.is_ipv4() { Family::V4 } else { Family::V6 };
    let author = settings.mining_author.as_ref().map(|author| subxt::utils::AccountId32(*author.as_ref()));
    let known: Option<ProviderStatus> = node.ask("MeasurementApi_provider", &account, None).await?;
    let Some(known) = known else {
        use runtime::runtime_types::weir_primitives::measurement::lottery::groups::Family as InCall;
        let proof = registration::proof(node, &settings.identity, &account)?;
        let call = runtime::tx().registry().register_provider(
            settings.declared_bits_per_second,
            if family == Family::V4 { InCall::V4 } else { InCall::V6 },
            settings.identity.public(),
            proof,
            author,
        );
        settings.actor.submit(node, &call).await?;
        log::info!("registered as a provider of {}", rate::show(settings.declared_bits_per_second));
        return Ok(());
    };
    registration::check(&settings.identity, &known.identity, known.leaving)?;
    if known.family != family {
        return Err(Error::Refused(
            "the account is measured over the other kind of addresses; --listen on one of that kind, or leave and \
             register again"
                .into(),
        ));
    }
    if known.declared_bits_per_second != settings.declared_bits_per_second {
        log::warn!(
            "the account is registered with {}; what is measured counts up to that; 'weir-agent declare' changes it",
            rate::show(known.declared_bits_per_second)
        );
    }
    if settings.mining_author.is_some() && known.mining_author != settings.mining_author {
        settings.actor.submit(node, &runtime::tx().registry().set_mining_author(author)).await?;
    }
    Ok(())
}

/// The addresses of an agent that serve something.
pub fn addresses(endpoints: &Endpoints, wanted: Service) -> Vec<SocketAddr> {
    endpoints
        .iter()
        .filter_map(|bytes| endpoint::decode(bytes))
        .filter(|(_, service)| *service == wanted)
        .map(|(address, _)| address)
        .collect()
}

/// A provider on the chain.
#[derive(Clone)]
struct Provider {
    prover: Prover,
    chain: Chain,
    account: AccountId,
    is_v4: bool,
    clocks: Arc<Watch>,
    order: Order,
    warned: Arc<Mutex<Option<Instant>>>,
    heads: Heads,
    metrics: Metrics,
}

impl Provider {
    async fn take_challenges(mut self) {
        // By seed, with the deadline.
        let mut taken = HashMap::<[u8; 32], u64>::new();
        while self.heads.changed().await.is_ok() {
            let Some(node) = self.heads.borrow_and_update().clone() else { continue };
            self.metrics.heads.inc();
            let open: Vec<OpenChallenge> = match node.ask("MeasurementApi_challenges", &self.account, None).await {
                Ok(open) => open,
                Err(error) => {
                    log::debug!("{}: {error}", node.url);
                    continue;
                },
            };
            // A reorganisation draws anew, from another seed; what was drawn before is void there, but may come back.
            for open in open.into_iter().filter(|open| open.start > now_ms()) {
                if taken.insert(open.seed, open.deadline).is_none() {
                    tokio::spawn(self.clone().take_challenge(open));
                }
            }
            taken.retain(|_, deadline| *deadline > now_ms());
        }
    }

    /// Goes through one challenge with all its challengers, and hands in what they report.
    async fn take_challenge(self, open: OpenChallenge) {
        let name = format!("challenge {}/{}", open.challenge.epoch, open.challenge.instant);
        let both = both_ways(&open, self.chain.least_time_us);
        let ahead = both.down.start.since(UnixMicros::now());
        log::info!("{name}: {} challengers in {} ms", open.committee.len(), ahead.as_millis());
        sleep(ahead.saturating_sub(INVITED_BEFORE)).await;
        let (genesis, seed) = (self.chain.genesis, open.seed);
        let subject = Subject::Chain { genesis, seed, provider: *self.account.as_ref() };
        let pace = pace_of(open.wanted_bits_per_second);
        let (reported, mut reports) = mpsc::channel(open.committee.len().max(1));
        for (place, (account, identity, endpoints)) in (0u8..).zip(open.committee.clone()) {
            let (provider, name, pace, reported) = (self.clone(), name.clone(), pace.clone(), reported.clone());
            let mut addresses = addresses(&endpoints, Service::Control);
            addresses.retain(|address| address.ip().to_canonical().is_ipv4() == self.is_v4);
            let Some(peer) = peer_of(&identity.0) else { continue };
            let at = self.order.enter(peer, both.down.start);
            tokio::spawn(async move {
                let parts = provider.prove_to(&name, &subject, &both, &pace, &account, peer, at, addresses).await;
                if let Some(report) = parts.and_then(|parts| provider.check(&name, &seed, place, &identity, &parts)) {
                    let _ = reported.send(report).await;
                }
            });
        }
        drop(reported);
        let end = both.up.start.after(Duration::from_micros(both.up.train_us)).after(REPORTED_WITHIN);
        let mut batch = Vec::new();
        while let Ok(Some(report)) = tokio::time::timeout(end.since(UnixMicros::now()), reports.recv()).await {
            batch.push(report);
        }
        batch.sort_by_key(|report| report.place);
        let sum = |of: fn(&MemberReport) -> u64| batch.iter().fold(0u64, |sum, it| sum.saturating_add(of(&it.report)));
        log::info!(
            "{name}: {} of {} challengers counted {} bytes down, {} up; packets so far: {:?}, and {} that our buffer had no room for",
            batch.len(),
            open.committee.len(),
            sum(|it| it.down_bytes),
            sum(|it| it.up_bytes),
            self.prover.port.counts(),
            self.prover.port.lost_in_buffer().map_or("nobody knows how many".into(), |lost| lost.to_string()),
        );
        let missed = open.committee.len().saturating_sub(batch.len());
        self.metrics.reports.with_label_values(&["reported"]).inc_by(batch.len() as u64);
        self.metrics.reports.with_label_values(&["missed"]).inc_by(missed as u64);
        for (direction, bytes) in [("down", sum(|it| it.down_bytes)), ("up", sum(|it| it.up_bytes))] {
            self.metrics.counted_bytes.with_label_values(&[direction]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        self.metrics.note_packets(&self.prover.port);
        if batch.is_empty() {
            return self.metrics.challenges.with_label_values(&["nothing_reported"]).inc();
        }
        let payload = batch_payload(genesis.into(), &seed, &self.account, &encoded(&batch));
        let submission = match self.prover.identity.sign(&payload) {
            Ok(signature) => Submission::Batch(batch, signature),
            Err(error) => return log::error!("{name}: the reports cannot be signed: {error}"),
        };
        let is_in_time = hand_in(&name, &open, &submission, self.heads.clone()).await;
        if !is_in_time {
            log::warn!("{name}: the reports did not get on chain in time");
        }
        self.metrics.challenges.with_label_values(&[if is_in_time { "on_chain" } else { "late" }]).inc();
    }

    /// What a member reported, if it is what we saw, and signed.
    fn check(
        &self,
        name: &str,
        seed: &[u8; 32],
        place: u8,
        identity: &PeerKey,
        parts: &BothParts,
    ) -> Option<SignedReport> {
        let (bytes, signature) = &parts.report;
        let report = MemberReport::decode_all(&mut bytes.as_slice()).ok()?;
        let payload = member_payload(self.chain.genesis.into(), seed, &self.account, &report);
        if report.commitment != parts.commitment || !is_signed_by(&identity.0, &payload, signature) {
            log::warn!("{name}: challenger {place} reports what is not ours, or has not signed it");
            return None;
        }
        if report.down_bytes != parts.down.counted.bytes || !parts.down.is_fair() {
            log::warn!("{name}: challenger {place} counted another number of bytes than arrived");
        }
        Some(SignedReport { place, report, signature: *signature })
    }

    /// Goes through one challenge with one challenger. Until it starts, what failed is tried again.
    #[allow(clippy::too_many_arguments)]
    async fn prove_to(
        &self,
        name: &str,
        subject: &Subject,
        both: &BothWays,
        pace: &Arc<Pace>,
        account: &AccountId,
        peer: PeerId,
        at: Place,
        addresses: Vec<SocketAddr>,
    ) -> Option<BothParts> {
        let start = both.down.start;
        // Providers of one instant do not come all at once.
        sleep(start.since(UnixMicros::now()).min(SPREAD).mul_f64(rand::random::<f64>() / 2.0)).await;
        loop {
            if !at.is_first() && UnixMicros::now().after(ASK_AGAIN) < start {
                sleep(ASK_AGAIN).await;
                continue;
            }
            match self.try_to(peer, &addresses, subject, both, pace).await {
                Ok(parts) => return Some(parts),
                Err(failure) if UnixMicros::now().after(ASK_AGAIN) < start => {
                    log::debug!("{name}: challenger {account}: {failure}");
                    sleep(ASK_AGAIN).await;
                },
                Err(failure) => {
                    log::warn!("{name}: challenger {account} does not take part: {failure}");
                    return None;
                },
            }
        }
    }

    async fn try_to(
        &self,
        peer: PeerId,
        addresses: &[SocketAddr],
        subject: &Subject,
        both: &BothWays,
        pace: &Arc<Pace>,
    ) -> Result<BothParts, Failure> {
        let mut session = self.prover.dial(peer, addresses).await?;
        self.clocks.note(peer, session.clock, UnixMicros::now());
        self.metrics.note_clock(&self.clocks);
        // It takes part all the same: a loaded uplink looks like a wrong clock.
        if let Some(ahead_us) = self.clocks.is_off(self.chain.clock_tolerance_us) {
            let mut warned = self.warned.lock();
            if warned.is_none_or(|at| at.elapsed() > WARNED_EVERY) {
                *warned = Some(Instant::now());
                log::warn!(
                    "our clock seems to be {:.1} ms ahead of challengers'; set it with NTP",
                    ahead_us as f64 / 1e3
                );
            }
        }
        self.prover.measure_both_ways(&mut session, subject, both, pace).await
    }
}
