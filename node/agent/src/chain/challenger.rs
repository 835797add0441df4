//! The side that measures.

use crate::{
    chain::follower::{terms_of, Follower, Outgoing},
    chain::provider::{account_of, addresses},
    chain::registration::{self, Chain},
    chain::{Error, Node},
    identity::{peer_of, Identity},
    now_ms,
    runtime::{
        self,
        runtime_types::{bounded_collections::bounded_vec::BoundedVec, weir_primitives::measurement::report},
    },
    session::challenger::{Admission, Challenger, Clocks, Host},
    session::control::Control,
    Fatal,
};
use libp2p::PeerId;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
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
    message::{Counted, Refusal, Subject},
    port::Port,
};

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
    /// What challenges at one instant share.
    pub capacity_bits_per_second: u64,
}

/// Runs a challenger until something ends it for good.
pub async fn run(settings: Settings) -> Fatal {
    let (_control, incoming) = match Control::start(&settings.identity, &[settings.listen]) {
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
    let announced_port = settings.external.port().saturating_add(1);
    let (duties_sender, duties) = watch::channel(Vec::new());
    let (outbox, outgoing) = mpsc::unbounded_channel();
    let account = account_of(&settings.key);
    let identity = settings.identity.clone();
    let host = ChainHost { identity: identity.clone(), account: account.clone(), chain, duties, outbox, reports };
    host.send_kept_reports();
    let challenger = Challenger::new(host, identity, port, announced_port, settings.capacity_bits_per_second);
    tokio::spawn(Arc::new(challenger).serve(incoming));
    let genesis = chain.genesis;
    let setup = |node: Node| {
        let settings = settings.clone();
        Box::pin(async move { register(&node, &settings).await }) as _
    };
    let follower =
        Follower { nodes: &settings.nodes, genesis, key: &settings.key, account: &account, duties: &duties_sender };
    follower.follow(outgoing, &setup).await
}

/// The port for packets of a challenger: the one after that of its control streams.
///
/// # Errors
///
/// When it cannot be bound.
pub fn packet_port(listen: SocketAddr) -> Result<Arc<Port>, Fatal> {
    let number = if listen.port() == 0 { 0 } else { listen.port().saturating_add(1) };
    let address = SocketAddr::new(listen.ip(), number);
    Port::bind(address, None).map(Arc::new).map_err(|error| {
        Fatal(format!(
            "cannot take measurement packets on {address}, the port after that of --listen ({error}); end the process \
             that uses it, or choose another --listen"
        ))
    })
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

/// The chain's side of a challenger: it knows what was drawn, and takes what was counted.
struct ChainHost {
    identity: Identity,
    account: AccountId,
    chain: Chain,
    duties: watch::Receiver<Vec<Duty>>,
    outbox: mpsc::UnboundedSender<Outgoing>,
    reports: PathBuf,
}

impl Host for ChainHost {
    fn admit(&self, peer: PeerId, subject: &Subject) -> Result<Admission, Refusal> {
        let duty = self.duty_of(subject)?;
        if peer_of(&duty.provider.1 .0) != Some(peer) {
            return Err(Refusal::NotTheProver);
        }
        Ok(Admission {
            terms: terms_of(&duty),
            // One, and always the same: several could be several lines.
            endpoint: Some(*addresses(&duty.provider.2, Service::Probe).first().ok_or(Refusal::OtherAddress)?),
            clocks: Clocks::Median(self.chain.clock_tolerance_us),
        })
    }

    fn report(&self, subject: &Subject, admission: &Admission, counted: &Counted) -> Result<(), Refusal> {
        let duty = self.duty_of(subject)?;
        // A reorganisation can have moved it meanwhile.
        if terms_of(&duty) != admission.terms {
            return Err(Refusal::UnknownChallenge);
        }
        let kept = Kept {
            epoch: duty.epoch,
            position: duty.position,
            provider: duty.provider.0,
            deadline_ms: duty.deadline,
            bytes: counted.bytes,
            elapsed_us: counted.elapsed_us,
            round_trip_us: counted.round_trip_us,
        };
        // Never two different ones, not even after a restart: what is kept first is what is signed.
        if let Err(error) = keep(&self.reports, &kept) {
            log::error!(
                "challenge {}/{}: the report cannot be kept, so it is not signed: {error}",
                kept.epoch,
                kept.position
            );
            return Err(Refusal::Internal);
        }
        unexpired_reports(&self.reports);
        self.send(&kept);
        Ok(())
    }
}

impl ChainHost {
    /// The duty to measure that a prover speaks of.
    fn duty_of(&self, subject: &Subject) -> Result<Duty, Refusal> {
        let Subject::Chain { genesis, epoch, position } = *subject else { return Err(Refusal::UnknownChallenge) };
        if genesis != self.chain.genesis {
            return Err(Refusal::OtherChain);
        }
        let duties = self.duties.borrow();
        let own = |duty: &&Duty| duty.role == Role::Challenger && (duty.epoch, duty.position) == (epoch, position);
        duties.iter().find(own).cloned().ok_or(Refusal::UnknownChallenge)
    }

    /// Signs a kept report, and hands it on to the chain.
    fn send(&self, kept: &Kept) {
        let report = Report { bytes: kept.bytes, elapsed_us: kept.elapsed_us, round_trip_us: kept.round_trip_us };
        let payload = report_payload(
            self.chain.genesis.into(),
            kept.epoch,
            kept.position,
            &kept.provider,
            &self.account,
            &report,
        );
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

/// The reports that are kept and still have time; forgets those whose time is over. What cannot be read stays: it may have been
/// signed.
fn unexpired_reports(folder: &Path) -> Vec<Kept> {
    let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    paths
        .filter_map(|path| {
            let kept = serde_json::from_slice::<Kept>(&fs::read(&path).ok()?).ok()?;
            if kept.deadline_ms > now_ms() {
                return Some(kept);
            }
            let _ = fs::remove_file(&path);
            None
        })
        .collect()
}

/// Writes a report to disk, durably, if there is none for its challenge. It is there as a whole or not at all.
fn keep(folder: &Path, kept: &Kept) -> std::io::Result<()> {
    let path = folder.join(format!("{}-{}.json", kept.epoch, kept.position));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(kept)?)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
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
