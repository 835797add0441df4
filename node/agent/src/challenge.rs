//! The side that measures.

use crate::{
    chain::{Error, Node},
    control::{Control, Inbound},
    duties::{Follower, Outgoing},
    identity::{peer_of, Identity},
    instant_of, now_ms,
    provide::{account_of, addresses},
    registration,
    runtime::{
        self,
        runtime_types::{bounded_collections::bounded_vec::BoundedVec, weir_primitives::measurement::report},
    },
    wire::{proof_payload, Refusal, Request, Response},
    Fatal,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fs,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Instant,
};
use subxt_signer::sr25519::Keypair;
use tokio::sync::{mpsc, watch};
use weir_primitives::{
    measurement::{
        endpoint::{self, Service},
        report_payload, Duty, Report, Role,
    },
    runtime_api::ChallengerStatus,
    AccountId,
};
use weir_probe::{
    commitment::Commitment,
    packet::{self, Key, Tag},
    sender::{self, Train},
};

/// How long a session is remembered after its start, in milliseconds.
const REMEMBER_MS: u64 = 600_000;

/// How often a prover may try to prove a challenge: each try is checked against the whole train.
const PROOF_TRIES: u8 = 3;

/// What a challenger is started with.
#[derive(Clone)]
pub struct Settings {
    /// The nodes to follow.
    pub nodes: Vec<String>,
    /// The key of the account.
    pub key: Keypair,
    /// The key of the agent.
    pub identity: Identity,
    /// Where control streams are taken.
    pub listen: SocketAddr,
    /// Where the world dials them.
    pub external: SocketAddr,
    /// Where reports are kept.
    pub folder: PathBuf,
}

/// Runs a challenger until something ends it for good.
pub async fn run(settings: Settings) -> Fatal {
    let (_control, inbound) = match Control::start(&settings.identity, Some(settings.listen)) {
        Ok(started) => started,
        Err(error) => return error,
    };
    let genesis = match registration::genesis_of(&settings.nodes).await {
        Ok(genesis) => genesis,
        Err(error) => return error,
    };
    let reports = settings.folder.join("reports");
    if let Err(error) = fs::create_dir_all(&reports) {
        return Fatal(format!("the folder {} cannot be made: {error}", reports.display()));
    }
    let (duties_sender, duties_receiver) = watch::channel(Vec::new());
    let (outbox, outgoing) = mpsc::unbounded_channel();
    let account = account_of(&settings.key);
    let challenger = Challenger {
        identity: settings.identity.clone(),
        account: account.clone(),
        genesis,
        duties: duties_receiver,
        outbox,
        reports,
        sessions: HashMap::new(),
    };
    challenger.send_kept_reports();
    tokio::spawn(challenger.serve(inbound));
    let setup = |node: Node| {
        let settings = settings.clone();
        Box::pin(async move { register(&node, &settings).await }) as _
    };
    let follower =
        Follower { nodes: &settings.nodes, genesis, key: &settings.key, account: &account, duties: &duties_sender };
    follower.follow(outgoing, &setup).await
}

/// Registers the challenger, or brings what the chain knows of it up to date.
async fn register(node: &Node, settings: &Settings) -> Result<(), Error> {
    let account = account_of(&settings.key);
    let endpoint = endpoint::encode(settings.external, Service::Control);
    let known: Option<ChallengerStatus> = node.ask("MeasurementApi_challenger", &account, None).await?;
    let Some(known) = known else {
        let proof = registration::proof(node, &settings.identity, &account)?;
        let call = runtime::tx().bandwidth().register_challenger(
            settings.identity.public(),
            proof,
            BoundedVec(vec![BoundedVec(endpoint)]),
        );
        node.submit(&settings.key, &call).await?;
        log::info!("registered as a challenger");
        return Ok(());
    };
    registration::check(&settings.identity, &known.peer, known.leaving)?;
    if !registration::is_only_endpoint(&known.endpoints, &endpoint) {
        let call = runtime::tx().bandwidth().set_challenger_endpoints(BoundedVec(vec![BoundedVec(endpoint)]));
        node.submit(&settings.key, &call).await?;
    }
    Ok(())
}

/// A challenge that a prover joined.
struct Session {
    key: Key,
    tag: Tag,
    packets: u32,
    wire_bytes: u64,
    start: Instant,
    start_ms: u64,
    duty: Duty,
    tries_left: u8,
}

/// A report as it is kept, before it is signed.
#[derive(Serialize, Deserialize)]
struct Kept {
    epoch: u32,
    position: u32,
    provider: AccountId,
    deadline_ms: u64,
    bytes: u64,
    elapsed_us: u64,
    round_trip_us: u64,
}

struct Challenger {
    identity: Identity,
    account: AccountId,
    genesis: [u8; 32],
    duties: watch::Receiver<Vec<Duty>>,
    outbox: mpsc::UnboundedSender<Outgoing>,
    reports: PathBuf,
    sessions: HashMap<(u32, u32), Session>,
}

impl Challenger {
    async fn serve(mut self, mut inbound: mpsc::Receiver<Inbound>) {
        while let Some(Inbound { peer, from, at, round_trip, request, reply }) = inbound.recv().await {
            let answer = match request {
                Request::Join { genesis, epoch, position } => self.join((peer, from), genesis, epoch, position),
                Request::Proof { epoch, position, root, bitmap, signature } => {
                    let commitment = Commitment { root, bitmap };
                    let round_trip_us = round_trip.map_or(0, |it| u64::try_from(it.as_micros()).unwrap_or(u64::MAX));
                    self.count(peer, at, round_trip_us, (epoch, position), commitment, signature).await
                },
            };
            reply.send(answer.unwrap_or_else(Response::Refused)).await;
            self.sessions.retain(|_, session| session.start_ms + REMEMBER_MS > now_ms());
        }
    }

    /// Lets a prover into a challenge, and makes ready to send to it.
    fn join(
        &mut self,
        (peer, from): (libp2p::PeerId, Vec<std::net::IpAddr>),
        genesis: [u8; 32],
        epoch: u32,
        position: u32,
    ) -> Result<Response, Refusal> {
        if genesis != self.genesis {
            return Err(Refusal::OtherChain);
        }
        let duty = self
            .duties
            .borrow()
            .iter()
            .find(|duty| duty.role == Role::Challenger && (duty.epoch, duty.position) == (epoch, position))
            .cloned()
            .ok_or(Refusal::UnknownChallenge)?;
        if peer_of(&duty.provider.1 .0) != Some(peer) {
            return Err(Refusal::NotTheProver);
        }
        if duty.start <= now_ms() {
            return Err(Refusal::TooLate);
        }
        if let Some(session) = self.sessions.get(&(epoch, position)) {
            // The same as before, as long as the chain says the same.
            if session.start_ms == duty.start {
                return Ok(Response::Joined { tag: session.tag, packets: session.packets });
            }
        }
        // Nothing is sent to an address that has not shown, by a handshake, that it wants it.
        let endpoints = addresses(&duty.provider.2, Service::Probe);
        let to = endpoints.into_iter().find(|address| from.contains(&address.ip())).ok_or(Refusal::OtherAddress)?;
        let session = Session {
            key: rand::random(),
            tag: rand::random(),
            packets: packet::packets_in(duty.budget_bytes, to.ip()),
            wire_bytes: packet::wire_bytes(to.ip()),
            start: instant_of(duty.start),
            start_ms: duty.start,
            duty,
            tries_left: PROOF_TRIES,
        };
        let train = Train {
            to,
            tag: session.tag,
            key: session.key,
            packets: session.packets,
            bits_per_second: session.duty.bits_per_second,
            start: session.start,
        };
        let spawned = std::thread::Builder::new().name("weir-sender".into()).spawn(move || {
            std::thread::sleep(train.start.saturating_duration_since(Instant::now()));
            match sender::send(&train) {
                Ok(sent) => log::info!("challenge {epoch}/{position}: sent {sent} packets to {}", train.to),
                Err(error) => log::warn!("challenge {epoch}/{position}: nothing can be sent to {}: {error}", train.to),
            }
        });
        if let Err(error) = spawned {
            log::error!("no thread to send from: {error}");
            return Err(Refusal::Internal);
        }
        let answer = Response::Joined { tag: session.tag, packets: session.packets };
        self.sessions.insert((epoch, position), session);
        Ok(answer)
    }

    /// Counts what a prover proves, and reports it.
    async fn count(
        &mut self,
        peer: libp2p::PeerId,
        at: Instant,
        round_trip_us: u64,
        (epoch, position): (u32, u32),
        commitment: Commitment,
        signature: [u8; 64],
    ) -> Result<Response, Refusal> {
        let session = self.sessions.get_mut(&(epoch, position)).ok_or(Refusal::NothingToProve)?;
        let provider = session.duty.provider.clone();
        if peer_of(&provider.1 .0) != Some(peer) {
            return Err(Refusal::NotTheProver);
        }
        let elapsed = at.checked_duration_since(session.start).ok_or(Refusal::NothingToProve)?;
        session.tries_left = session.tries_left.checked_sub(1).ok_or(Refusal::NothingToProve)?;
        let payload =
            proof_payload(self.genesis, epoch, position, self.identity.public(), commitment.root, &commitment.bitmap);
        let signer =
            libp2p::identity::ed25519::PublicKey::try_from_bytes(&provider.1 .0).map_err(|_| Refusal::Internal)?;
        if !signer.verify(&payload, &signature) {
            return Err(Refusal::FalseProof);
        }
        let (key, packets, wire_bytes) = (session.key, session.packets, session.wire_bytes);
        let deadline_ms = session.duty.deadline;
        let proven = tokio::task::spawn_blocking(move || commitment.proven_packets(&key, packets))
            .await
            .map_err(|_| Refusal::Internal)?
            .ok_or(Refusal::FalseProof)?;
        // Proven once and for all.
        if let Some(session) = self.sessions.get_mut(&(epoch, position)) {
            session.tries_left = 0;
        }
        let kept = Kept {
            epoch,
            position,
            provider: provider.0,
            deadline_ms,
            bytes: u64::from(proven) * wire_bytes,
            elapsed_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            round_trip_us,
        };
        let answer = Response::Counted { bytes: kept.bytes, elapsed_us: kept.elapsed_us };
        // Never two different ones, not even after a restart: what is kept first is what is signed.
        if let Err(error) = keep(&self.reports, &kept) {
            log::error!("challenge {epoch}/{position}: the report cannot be kept, so it is not signed: {error}");
            return Err(Refusal::Internal);
        }
        unexpired_reports(&self.reports);
        self.send(&kept);
        Ok(answer)
    }

    /// Signs a kept report, and hands it on to the chain.
    fn send(&self, kept: &Kept) {
        let report = Report { bytes: kept.bytes, elapsed_us: kept.elapsed_us, round_trip_us: kept.round_trip_us };
        let payload =
            report_payload(self.genesis.into(), kept.epoch, kept.position, &kept.provider, &self.account, &report);
        let signature = match self.identity.sign(&payload) {
            Ok(signature) => signature,
            Err(error) => return log::error!("the report cannot be signed: {error}"),
        };
        let report =
            report::Report { bytes: report.bytes, elapsed_us: report.elapsed_us, round_trip_us: report.round_trip_us };
        let account = subxt::utils::AccountId32(*self.account.as_ref());
        let _ = self.outbox.send(Outgoing {
            call: runtime::tx().bandwidth().report(kept.epoch, kept.position, account, report, signature),
            deadline_ms: kept.deadline_ms,
            name: format!(
                "the report for challenge {}/{}: {} bytes in {} µs",
                kept.epoch, kept.position, kept.bytes, kept.elapsed_us
            ),
        });
    }

    /// Hands on what was kept before a restart and still has time.
    fn send_kept_reports(&self) {
        unexpired_reports(&self.reports).iter().for_each(|kept| self.send(kept));
    }
}

/// The reports that are kept and still have time; forgets the others.
fn unexpired_reports(folder: &Path) -> Vec<Kept> {
    let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    paths
        .filter_map(|path| {
            let kept = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
            let unexpired = kept.filter(|kept| kept.deadline_ms > now_ms());
            if unexpired.is_none() {
                let _ = fs::remove_file(&path);
            }
            unexpired
        })
        .collect()
}

/// Writes a report to disk, durably, if there is none for its challenge.
fn keep(folder: &Path, kept: &Kept) -> std::io::Result<()> {
    let path = folder.join(format!("{}-{}.json", kept.epoch, kept.position));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(&serde_json::to_vec(kept)?)?;
    file.sync_all()?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_report_for_a_challenge_is_never_kept() {
        let folder = tempfile::tempdir().unwrap();
        let kept = |bytes| Kept {
            epoch: 1,
            position: 2,
            provider: AccountId::new([3; 32]),
            deadline_ms: u64::MAX,
            bytes,
            elapsed_us: 4,
            round_trip_us: 5,
        };
        keep(folder.path(), &kept(10)).unwrap();
        assert!(keep(folder.path(), &kept(11)).is_err());
        let read: Kept = serde_json::from_slice(&fs::read(folder.path().join("1-2.json")).unwrap()).unwrap();
        assert_eq!(read.bytes, 10);
    }
}
