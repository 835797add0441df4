//! The side that measures.

use crate::{
    chain::actor::Actor,
    chain::follower::{Follower, Heads},
    chain::provider::{addresses, both_ways, warn_of_small_buffer},
    chain::registration::{self, Chain},
    chain::submission::{hand_in, open_challenge, SignedReport, Submission},
    chain::turns::Turns,
    chain::{Error, Node},
    identity::{peer_of, Identity},
    metrics::Metrics,
    now_ms,
    runtime::{self, runtime_types::bounded_collections::bounded_vec::BoundedVec},
    session::challenger::{Admission, Challenger, Clocks, Host, Measured},
    session::clock::{warn_of_free_clock, Watch},
    session::control::Control,
    session::prover::compare_clocks,
    Fatal,
};
use codec::{Decode, DecodeAll, Encode};
use libp2p::PeerId;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    fs,
    io::Write,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::sleep};
use weir_primitives::{
    measurement::{
        challenge::MemberReport,
        endpoint::{self, Service},
        lottery::groups::Prefix,
    },
    registry::Standing,
    runtime_api::{ChallengerStatus, OpenChallenge},
    AccountId,
};
use weir_probe::{
    message::{Refusal, Reported, Subject},
    port::{Limits, Port},
    time::UnixMicros,
};

/// How many questions of provers are put to our node at a time, of each prefix one, and how often those of the same prover. Anybody can come
/// and ask.
const ASKED_AT_A_TIME: usize = 4;
const ASKED_EVERY: Duration = Duration::from_millis(300);
/// The most provers of whom it is remembered when they asked.
const MOST_REMEMBERED: usize = 4_096;
/// With how many members of its committees a challenger compares clocks at a time, and how often with the same one.
const COMPARED: usize = 3;
const COMPARED_EVERY: Duration = Duration::from_secs(600);

/// What a challenger is started with.
#[derive(Clone)]
pub struct Settings {
    /// The nodes to follow.
    pub nodes: Vec<String>,
    /// Who acts for the account.
    pub actor: Actor,
    /// The key of the agent.
    pub identity: Identity,
    /// Where control streams are taken.
    pub listen: SocketAddr,
    /// Where the world dials them, at the same port of each address.
    pub external: Vec<SocketAddr>,
    /// Where reports are kept.
    pub folder: PathBuf,
    /// What challenges at one instant share.
    pub capacity_bits_per_second: u64,
    /// What is told of it.
    pub metrics: Metrics,
}

/// Runs a challenger until something ends it for good.
pub async fn run(settings: Settings) -> Fatal {
    let (control, incoming) = match Control::start(&settings.identity, &[settings.listen]) {
        Ok(started) => started,
        Err(error) => return error,
    };
    let port = match packet_port(settings.listen) {
        Ok(port) => port,
        Err(error) => return error,
    };
    let chain = match registration::chain_of(&settings.nodes).await {
        Ok(chain) => chain,
        Err(error) => return error,
    };
    let reports = settings.folder.join("reports");
    if let Err(error) = fs::create_dir_all(&reports) {
        return Fatal(format!("the folder {} cannot be made: {error}", reports.display()));
    }
    let announced_port = settings.external.first().unwrap_or(&settings.listen).port().saturating_add(1);
    let (sender, heads) = watch::channel(None);
    let account = settings.actor.account().clone();
    let metrics = settings.metrics.clone();
    warn_of_small_buffer(&port, settings.capacity_bits_per_second);
    warn_of_free_clock();
    let identity = settings.identity.clone();
    let clocks = Arc::<Watch>::default();
    let own = ChainHost(Arc::new(Own {
        identity: identity.clone(),
        account,
        chain,
        heads,
        reports,
        open: Mutex::default(),
        clocks: clocks.clone(),
        compared: Mutex::default(),
        asked: Mutex::default(),
        turns: Turns::new(ASKED_AT_A_TIME),
        control,
        metrics: metrics.clone(),
    }));
    own.0.watch_kept_reports();
    let capacity = settings.capacity_bits_per_second;
    let challenger = Challenger::new(own, identity, port, announced_port, capacity, clocks, metrics);
    tokio::spawn(Arc::new(challenger).serve(incoming));
    let setup = |node: Node| {
        let settings = settings.clone();
        Box::pin(async move { register(&node, &settings).await }) as _
    };
    Follower { nodes: &settings.nodes, genesis: chain.genesis, heads: &sender }.follow(&setup).await
}

/// The port for packets of a challenger: the one after that of its control streams.
///
/// # Errors
///
/// When it cannot be bound.
pub fn packet_port(listen: SocketAddr) -> Result<Arc<Port>, Fatal> {
    let number = if listen.port() == 0 { 0 } else { listen.port().saturating_add(1) };
    let address = SocketAddr::new(listen.ip(), number);
    Port::bind(address, Limits::default()).map(Arc::new).map_err(|error| {
        Fatal(format!(
            "cannot take measurement packets on {address}, the port after that of --listen ({error}); end the process \
             that uses it, or choose another --listen"
        ))
    })
}

/// Registers the challenger, or brings what the chain knows of it up to date.
async fn register(node: &Node, settings: &Settings) -> Result<(), Error> {
    let account = settings.actor.account().clone();
    let endpoints: Vec<_> = settings.external.iter().map(|it| endpoint::encode(*it, Service::Control)).collect();
    let in_call = BoundedVec(endpoints.iter().cloned().map(BoundedVec).collect());
    let known: Option<ChallengerStatus> = node.ask("MeasurementApi_challenger", &account, None).await?;
    let Some(known) = known else {
        let proof = registration::proof(node, &settings.identity, &account)?;
        let call = runtime::tx().registry().register_challenger(settings.identity.public(), proof, in_call);
        settings.actor.submit(node, &call).await?;
        log::info!("registered as a challenger");
        return Ok(());
    };
    let leaving = match known.standing {
        Standing::Leaving { until } => Some(until),
        Standing::Jailed { until } => {
            log::warn!("the account is in jail until epoch {until}; nothing is measured until it comes back");
            None
        },
        Standing::Paused { .. } => {
            log::warn!("the account has paused; nothing is measured until it comes back");
            None
        },
        Standing::Waiting { .. } | Standing::Active { .. } => None,
    };
    registration::check(&settings.identity, &known.identity, leaving)?;
    if !known.endpoints.iter().map(|it| it.as_slice()).eq(endpoints.iter().map(Vec::as_slice)) {
        let call = runtime::tx().registry().set_endpoints(in_call);
        settings.actor.submit(node, &call).await?;
    }
    Ok(())
}

/// A report as it is kept, before it is signed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Kept {
    challenge: OpenChallenge,
    place: u8,
    report: MemberReport,
    /// The prover's signature of the commitment that the report names.
    prover: [u8; 64],
}

/// What names a challenge.
type SeedAndProvider = ([u8; 32], [u8; 32]);

/// The chain's side of a challenger: it knows what was drawn, and makes reports of what was counted.
struct ChainHost(Arc<Own>);

struct Own {
    identity: Identity,
    account: AccountId,
    chain: Chain,
    heads: Heads,
    reports: PathBuf,
    /// The challenges that provers came for, by seed and provider.
    open: Mutex<HashMap<SeedAndProvider, OpenChallenge>>,
    clocks: Arc<Watch>,
    compared: Mutex<HashMap<PeerId, Instant>>,
    /// When each prover last had our node asked.
    asked: Mutex<HashMap<PeerId, Instant>>,
    turns: Turns,
    control: Control,
    metrics: Metrics,
}

impl Host for ChainHost {
    async fn admit(&self, peer: PeerId, from: &[IpAddr], subject: &Subject) -> Result<Admission, Refusal> {
        let open = self.0.find(peer, from, subject).await?;
        if peer_of(&open.identity.0) != Some(peer) {
            return Err(Refusal::NotTheProver);
        }
        self.0.place_in(&open).ok_or(Refusal::UnknownChallenge)?;
        self.0.clone().compare_with_members(&open);
        let both = both_ways(&open, self.0.chain.least_time_us);
        Ok(Admission {
            terms: both.down,
            then_up: Some(both.up),
            endpoint: None,
            clocks: Clocks::Colleagues(self.0.chain.clock_tolerance_us),
        })
    }

    fn report(&self, subject: &Subject, measured: Measured) -> Result<Reported, Refusal> {
        let challenge = self.0.known(subject).ok_or(Refusal::UnknownChallenge)?;
        let place = self.0.place_in(&challenge).ok_or(Refusal::UnknownChallenge)?;
        let Measured { from, round_trip, commitment, proof, down, up } = measured;
        let report = MemberReport {
            seen: Prefix::of(from),
            down_bytes: down.bytes,
            down_elapsed_us: down.elapsed_us,
            up_bytes: up.bytes,
            round_trip_us: u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX),
            commitment,
        };
        let kept = Kept { challenge, place, report, prover: proof };
        // Never two different ones, not even after a restart: what is kept first is what is signed.
        if let Err(error) = keep(&self.0.reports, &kept) {
            log::error!("{}: the report cannot be kept, so it is not signed: {error}", kept.name());
            return Err(Refusal::Internal);
        }
        unexpired_reports(&self.0.reports);
        let signature = self.0.sign(&kept).ok_or(Refusal::Internal)?;
        tokio::spawn(self.0.clone().watch_report(kept));
        Ok(Reported { report: report.encode(), signature, down, up })
    }
}

impl Own {
    /// The challenge that a prover speaks of, if it is known already.
    fn known(&self, subject: &Subject) -> Option<OpenChallenge> {
        let Subject::Chain { seed, provider, .. } = *subject else { return None };
        self.open.lock().get(&(seed, provider)).filter(|open| open.deadline > now_ms()).cloned()
    }

    /// The challenge that a prover speaks of, as our node has it.
    async fn find(&self, peer: PeerId, from: &[IpAddr], subject: &Subject) -> Result<OpenChallenge, Refusal> {
        let Subject::Chain { genesis, seed, provider } = *subject else { return Err(Refusal::UnknownChallenge) };
        if genesis != self.chain.genesis {
            return Err(Refusal::OtherChain);
        }
        if let Some(open) = self.known(subject) {
            return Ok(open);
        }
        let node = self.heads.borrow().clone().ok_or(Refusal::UnknownChallenge)?;
        if !self.may_ask(peer) {
            return Err(Refusal::Busy);
        }
        let prefix = Prefix::of(*from.first().ok_or(Refusal::OtherAddress)?);
        let _turn = self.turns.take(prefix).await.ok_or(Refusal::Busy)?;
        let found = open_challenge(&node, &AccountId::new(provider), &seed).await.map_err(|error| {
            log::debug!("{}: {error}", node.url);
            Refusal::Internal
        })?;
        let open = found.ok_or(Refusal::UnknownChallenge)?;
        let mut all = self.open.lock();
        all.retain(|_, open| open.deadline > now_ms());
        all.insert((seed, provider), open.clone());
        Ok(open)
    }

    /// Whether a prover may have our node asked now.
    fn may_ask(&self, peer: PeerId) -> bool {
        let mut asked = self.asked.lock();
        asked.retain(|_, at| at.elapsed() < ASKED_EVERY);
        asked.len() < MOST_REMEMBERED && asked.insert(peer, Instant::now()).is_none()
    }

    /// Our place in a committee.
    fn place_in(&self, open: &OpenChallenge) -> Option<u8> {
        let index = open
            .committee
            .iter()
            .position(|(account, identity, _)| *account == self.account && identity.0 == self.identity.public())?;
        u8::try_from(index).ok()
    }

    fn sign(&self, kept: &Kept) -> Option<[u8; 64]> {
        let OpenChallenge { seed, provider, .. } = &kept.challenge;
        let payload = weir_primitives::measurement::challenge::member_payload(
            self.chain.genesis.into(),
            seed,
            provider,
            &kept.report,
        );
        self.identity.sign(&payload).map_err(|error| log::error!("the report cannot be signed: {error}")).ok()
    }

    /// Hands in a report that its prover leaves out, when half of the time for it is over.
    async fn watch_report(self: Arc<Self>, kept: Kept) {
        let Some(signature) = self.sign(&kept) else { return };
        let open = &kept.challenge;
        let half = open.start.saturating_add(open.deadline.saturating_sub(open.start) / 2);
        sleep(Duration::from_millis(half.saturating_sub(now_ms()))).await;
        let report = SignedReport { place: kept.place, report: kept.report, signature };
        let submission = Submission::Own(self.identity.public(), report, kept.prover);
        let is_in_time = hand_in(&kept.name(), open, &submission, self.heads.clone()).await;
        let outcome = if is_in_time { "on_chain" } else { "late" };
        self.metrics.own_reports.with_label_values(&[outcome]).inc();
        if !is_in_time {
            log::warn!("{}: our report did not get on chain in time", kept.name());
        }
    }

    /// Watches what was kept before a restart and still has time.
    fn watch_kept_reports(self: &Arc<Self>) {
        for kept in unexpired_reports(&self.reports) {
            tokio::spawn(self.clone().watch_report(kept));
        }
    }

    /// Compares clocks with some other members of a committee, of whom nothing is known lately.
    fn compare_with_members(self: Arc<Self>, open: &OpenChallenge) {
        let mut members = Vec::new();
        {
            let mut compared = self.compared.lock();
            compared.retain(|_, at| at.elapsed() < COMPARED_EVERY);
            for (account, identity, endpoints) in &open.committee {
                let Some(peer) = peer_of(&identity.0).filter(|_| *account != self.account) else { continue };
                if members.len() < COMPARED && !compared.contains_key(&peer) {
                    compared.insert(peer, Instant::now());
                    members.push((peer, addresses(endpoints, Service::Control)));
                }
            }
        }
        for (peer, addresses) in members {
            let own = self.clone();
            tokio::spawn(async move {
                let Ok((mut channel, _)) = own.control.open(peer, &addresses).await else { return };
                if let Ok(sample) = compare_clocks(&mut channel).await {
                    own.clocks.note(peer, sample, UnixMicros::now());
                    own.metrics.note_clock(&own.clocks);
                }
            });
        }
    }
}

impl Kept {
    fn file_name(&self) -> String {
        let provider: &[u8] = self.challenge.provider.as_ref();
        format!("{}-{}", hex::encode(self.challenge.seed), hex::encode(provider))
    }

    fn name(&self) -> String {
        let challenge = self.challenge.challenge;
        format!("challenge {}/{} of {}", challenge.epoch, challenge.instant, self.challenge.provider)
    }
}

/// For how long it is remembered that something was signed, whatever its deadline was said to be: longer than a bond is held after leaving, for
/// as long as which a second report would cost it.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The reports that are kept and still have time; forgets those that are too old to cost anything. What cannot be read stays: it may have
/// been signed.
fn unexpired_reports(folder: &Path) -> Vec<Kept> {
    let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    paths
        .filter_map(|path| {
            let kept = Kept::decode_all(&mut fs::read(&path).ok()?.as_slice()).ok()?;
            // What was not put in its place as a whole was not signed.
            if path.file_name().is_none_or(|name| *name != *kept.file_name()) {
                return None;
            }
            let age = fs::metadata(&path).and_then(|it| it.modified()).ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > REMEMBERED) {
                let _ = fs::remove_file(&path);
                return None;
            }
            (kept.challenge.deadline > now_ms()).then_some(kept)
        })
        .collect()
}

/// Writes a report to disk, durably, if there is none for its challenge. It is there as a whole or not at all.
fn keep(folder: &Path, kept: &Kept) -> std::io::Result<()> {
    let path = folder.join(kept.file_name());
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&kept.encode())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_primitives::measurement::{challenge::Challenge, PeerKey};

    fn kept(down_bytes: u64, deadline: u64) -> Kept {
        Kept {
            challenge: OpenChallenge {
                challenge: Challenge { epoch: 1, instant: 0, slot: 2 },
                seed: [3; 32],
                start: 0,
                deadline,
                bits_per_second: 4,
                train_us: 5,
                budget_bytes: 6,
                wanted_bits_per_second: 7,
                provider: AccountId::new([8; 32]),
                identity: PeerKey::from_raw([9; 32]),
                committee: Vec::new(),
                taken: Vec::new(),
            },
            place: 1,
            report: MemberReport {
                seen: Prefix::V4([192, 0, 2]),
                down_bytes,
                down_elapsed_us: 1,
                up_bytes: 2,
                round_trip_us: 3,
                commitment: [4; 32],
            },
            prover: [5; 64],
        }
    }

    #[test]
    fn a_second_report_for_a_challenge_is_never_kept() {
        let folder = tempfile::tempdir().unwrap();
        keep(folder.path(), &kept(10, u64::MAX)).unwrap();
        assert!(keep(folder.path(), &kept(11, u64::MAX)).is_err());
        assert_eq!(unexpired_reports(folder.path()), [kept(10, u64::MAX)]);
    }

    #[test]
    fn what_was_signed_is_remembered_when_its_deadline_is_over_whoever_named_that() {
        let folder = tempfile::tempdir().unwrap();
        keep(folder.path(), &kept(10, 1)).unwrap();
        assert_eq!(unexpired_reports(folder.path()), []);
        assert!(keep(folder.path(), &kept(11, u64::MAX)).is_err(), "the same challenge with another deadline");
    }

    #[test]
    fn what_was_not_put_in_its_place_is_not_handed_in() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".tmp1"), kept(10, u64::MAX).encode()).unwrap();
        assert_eq!(unexpired_reports(folder.path()), []);
    }
}
