//! The side that is measured.

use crate::{
    chain::{Error, Node},
    control::Control,
    duties::Follower,
    identity::{peer_of, Identity},
    instant_of, now_ms, rate, registration,
    runtime::{self, runtime_types::bounded_collections::bounded_vec::BoundedVec},
    wire::{proof_payload, Refusal, Request, Response},
    Fatal,
};
use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use subxt_signer::sr25519::Keypair;
use tokio::sync::{mpsc, watch};
use weir_primitives::{
    measurement::{
        endpoint::{self, Service},
        Duty, Endpoints, Role,
    },
    runtime_api::ProviderStatus,
    AccountId,
};
use weir_probe::{packet, receiver::Receiver};

/// How long after the end of the trains late packets are waited for.
const GRACE: Duration = Duration::from_millis(30);
/// How often a challenger that cannot be reached yet is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// What a provider is started with.
#[derive(Clone)]
pub struct Settings {
    /// The nodes to follow.
    pub nodes: Vec<String>,
    /// The key of the account.
    pub key: Keypair,
    /// The key of the agent.
    pub identity: Identity,
    /// Where packets are taken.
    pub listen: SocketAddr,
    /// Where the world sends them.
    pub external: SocketAddr,
    /// What is declared, and paid a bond for.
    pub declared_bits_per_second: u64,
    /// What is sold of the line.
    pub limit_bits_per_second: Option<u64>,
    /// Whose blocks are boosted.
    pub mining_author: Option<AccountId>,
}

/// The account of a key.
pub fn account_of(key: &Keypair) -> AccountId {
    AccountId::new(key.public_key().0)
}

/// Runs a provider until something ends it for good.
pub async fn run(settings: Settings) -> Fatal {
    let receiver = match Receiver::bind(settings.listen, settings.limit_bits_per_second) {
        Ok(receiver) => Arc::new(receiver),
        Err(error) => {
            return Fatal(format!(
            "cannot take measurement packets on {} ({error}); end the process that uses it, or choose another --listen",
            settings.listen
        ))
        },
    };
    let control = match Control::start(&settings.identity, None) {
        Ok((control, _)) => control,
        Err(error) => return error,
    };
    let genesis = match registration::genesis_of(&settings.nodes).await {
        Ok(genesis) => genesis,
        Err(error) => return error,
    };
    let (duties_sender, duties_receiver) = watch::channel(Vec::new());
    // A provider has no reports of its own; the channel stays open and empty.
    let (_outbox, outgoing) = mpsc::unbounded_channel();
    let account = account_of(&settings.key);
    let prover = Prover { control, receiver, identity: settings.identity.clone(), genesis };
    tokio::spawn(prover.take_challenges(duties_receiver));
    let setup = |node: Node| {
        let settings = settings.clone();
        Box::pin(async move { register(&node, &settings).await }) as _
    };
    let follower =
        Follower { nodes: &settings.nodes, genesis, key: &settings.key, account: &account, duties: &duties_sender };
    follower.follow(outgoing, &setup).await
}

/// Registers the provider, or brings what the chain knows of it up to date.
async fn register(node: &Node, settings: &Settings) -> Result<(), Error> {
    let account = account_of(&settings.key);
    let endpoint = endpoint::encode(settings.external, Service::Probe);
    let author = settings.mining_author.as_ref().map(|author| subxt::utils::AccountId32(*author.as_ref()));
    let known: Option<ProviderStatus> = node.ask("MeasurementApi_provider", &account, None).await?;
    let Some(known) = known else {
        let proof = registration::proof(node, &settings.identity, &account)?;
        let call = runtime::tx().bandwidth().register_provider(
            settings.declared_bits_per_second,
            settings.identity.public(),
            proof,
            BoundedVec(vec![BoundedVec(endpoint)]),
            author,
        );
        node.submit(&settings.key, &call).await?;
        log::info!("registered as a provider of {}", rate::show(settings.declared_bits_per_second));
        return Ok(());
    };
    registration::check(&settings.identity, &known.peer, known.leaving)?;
    if known.declared_bits_per_second != settings.declared_bits_per_second {
        log::warn!(
            "the account is registered with {}; that counts until it leaves and registers again",
            rate::show(known.declared_bits_per_second)
        );
    }
    if !registration::is_only_endpoint(&known.endpoints, &endpoint) {
        let call = runtime::tx().bandwidth().set_provider_endpoints(BoundedVec(vec![BoundedVec(endpoint)]));
        node.submit(&settings.key, &call).await?;
    }
    if settings.mining_author.is_some() && known.mining_author != settings.mining_author {
        node.submit(&settings.key, &runtime::tx().bandwidth().set_mining_author(author)).await?;
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

#[derive(Clone)]
struct Prover {
    control: Control,
    receiver: Arc<Receiver>,
    identity: Identity,
    genesis: [u8; 32],
}

impl Prover {
    async fn take_challenges(self, mut duties: watch::Receiver<Vec<Duty>>) {
        let mut taken = HashSet::new();
        while duties.changed().await.is_ok() {
            let known = duties.borrow_and_update().clone();
            for duty in known {
                let is_new = duty.role == Role::Provider && duty.start > now_ms();
                // The start is part of it: a reorganisation can move it.
                if is_new && taken.insert((duty.epoch, duty.position, duty.start)) {
                    tokio::spawn(self.clone().take_challenge(duty));
                }
            }
            taken.retain(|(_, _, start)| start + 3_600_000 > now_ms());
        }
    }

    /// Goes through one challenge with all its challengers.
    async fn take_challenge(self, duty: Duty) {
        log::info!(
            "challenge {}/{}: {} challengers in {} ms",
            duty.epoch,
            duty.position,
            duty.committee.len(),
            duty.start.saturating_sub(now_ms())
        );
        let start = instant_of(duty.start);
        let train = Duration::from_micros(duty.budget_bytes.saturating_mul(8_000_000) / duty.bits_per_second.max(1));
        let members = duty.committee.iter().map(|(account, peer, endpoints)| {
            let addresses = addresses(endpoints, Service::Control);
            self.clone().prove_to(&duty, account.clone(), peer.0, addresses, start, train)
        });
        let results = futures::future::join_all(members).await;
        let proven: u64 = results.iter().flatten().sum();
        log::info!(
            "challenge {}/{}: {} of {} challengers counted {} bytes; packets so far: {:?}",
            duty.epoch,
            duty.position,
            results.iter().flatten().count(),
            results.len(),
            proven,
            self.receiver.counts()
        );
    }

    /// Goes through one challenge with one challenger, and says how many bytes it counted.
    async fn prove_to(
        self,
        duty: &Duty,
        account: AccountId,
        peer_key: [u8; 32],
        addresses: Vec<SocketAddr>,
        start: Instant,
        train: Duration,
    ) -> Option<u64> {
        let (epoch, position) = (duty.epoch, duty.position);
        let peer = peer_of(&peer_key)?;
        let (tag, packets) = loop {
            let join = Request::Join { genesis: self.genesis, epoch, position };
            match self.control.ask(peer, &addresses, join).await {
                Ok(Response::Joined { tag, packets }) => break (tag, packets),
                // It may not have seen the block yet that we have.
                Ok(Response::Refused(Refusal::UnknownChallenge)) | Err(_) if Instant::now() + ASK_AGAIN < start => {
                    tokio::time::sleep(ASK_AGAIN).await;
                },
                other => {
                    log::info!("challenge {epoch}/{position}: challenger {account} does not take part: {other:?}");
                    return None;
                },
            }
        };
        let most = duty.budget_bytes / packet::IPV4_BYTES;
        if u64::from(packets) > most {
            log::warn!(
                "challenge {epoch}/{position}: challenger {account} wants to send more than the challenge allows"
            );
            return None;
        }
        if let Err(error) = self.receiver.expect(tag, packets) {
            log::warn!("challenge {epoch}/{position}: {error}");
            return None;
        }
        tokio::time::sleep_until((start + train + GRACE).into()).await;
        let receiver = self.receiver.clone();
        let commitment = tokio::task::spawn_blocking(move || receiver.finish(&tag)).await.ok()??;
        let payload = proof_payload(self.genesis, epoch, position, peer_key, commitment.root, &commitment.bitmap);
        let signature = self.identity.sign(&payload).ok()?;
        let proof = Request::Proof { epoch, position, root: commitment.root, bitmap: commitment.bitmap, signature };
        let mut answer = self.control.ask(peer, &addresses, proof.clone()).await;
        if answer.is_err() {
            answer = self.control.ask(peer, &addresses, proof).await;
        }
        match answer {
            Ok(Response::Counted { bytes, elapsed_us }) => {
                log::debug!(
                    "challenge {epoch}/{position}: challenger {account} counted {bytes} bytes in {elapsed_us} µs"
                );
                Some(bytes)
            },
            other => {
                log::warn!("challenge {epoch}/{position}: challenger {account} did not count: {other:?}");
                None
            },
        }
    }
}
