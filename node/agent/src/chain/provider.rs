//! The side that is measured.

use crate::{
    chain::follower::{terms_of, Follower},
    chain::registration::{self, Chain},
    chain::{Error, Node},
    identity::{peer_of, Identity},
    now_ms, rate,
    runtime::{self, runtime_types::bounded_collections::bounded_vec::BoundedVec},
    session::clock::Watch,
    session::control::Control,
    session::prover::{pace_of, Failure, Part, Prover},
    Fatal,
};
use libp2p::PeerId;
use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};
use subxt_signer::sr25519::Keypair;
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
    time::sleep,
};
use weir_primitives::{
    measurement::{
        endpoint::{self, Service},
        Duty, Endpoints, Role,
    },
    runtime_api::ProviderStatus,
    AccountId,
};
use weir_probe::{
    message::{Subject, Terms},
    port::Port,
    share::Pace,
    time::UnixMicros,
};

/// How often a challenger that cannot be reached, or does not know the challenge yet, is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// Over how long provers of one instant spread their calls.
const SPREAD: Duration = Duration::from_secs(4);
/// How long before the start challengers are asked: a router forgets the way back of packets soon after.
const INVITED_BEFORE: Duration = Duration::from_secs(20);

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
    /// Where the world sends packets.
    pub external: SocketAddr,
    /// The capacity to declare, for which a bond is held.
    pub declared_bits_per_second: u64,
    /// How much of the line is sold; all of it, if nothing is said.
    pub limit_bits_per_second: Option<u64>,
    /// The author whose blocks the provider boosts.
    pub mining_author: Option<AccountId>,
}

/// The account of a key.
pub fn account_of(key: &Keypair) -> AccountId {
    AccountId::new(key.public_key().0)
}

/// A port to send from, at the same address.
///
/// # Errors
///
/// When there is none.
pub fn outgoing_port(listen: SocketAddr, limit_bits_per_second: Option<u64>) -> Result<Arc<Port>, Fatal> {
    Port::bind(SocketAddr::new(listen.ip(), 0), limit_bits_per_second)
        .map(Arc::new)
        .map_err(|error| Fatal(format!("there is no UDP port to send from at {} ({error})", listen.ip())))
}

/// Runs a provider until something ends it for good.
pub async fn run(settings: Settings) -> Fatal {
    let port = match Port::bind(settings.listen, settings.limit_bits_per_second) {
        Ok(port) => Arc::new(port),
        Err(error) => {
            return Fatal(format!(
            "cannot take measurement packets on {} ({error}); end the process that uses it, or choose another --listen",
            settings.listen
        ))
        },
    };
    let sender = match outgoing_port(settings.listen, settings.limit_bits_per_second) {
        Ok(port) => port,
        Err(error) => return error,
    };
    let control = match Control::start(&settings.identity, &[]) {
        Ok((control, _)) => control,
        Err(error) => return error,
    };
    let chain = match registration::chain_of(&settings.nodes).await {
        Ok(chain) => chain,
        Err(error) => return error,
    };
    let (duties_sender, duties_receiver) = watch::channel(Vec::new());
    // A provider has no reports of its own; the channel stays open and empty.
    let (_outbox, outgoing) = mpsc::unbounded_channel();
    let account = account_of(&settings.key);
    let pace = pace_of(settings.declared_bits_per_second);
    let prover = Prover { control, port, outgoing: sender, identity: settings.identity.clone() };
    tokio::spawn(Provider { prover, chain, clocks: Arc::default(), pace }.take_challenges(duties_receiver));
    let setup = |node: Node| {
        let settings = settings.clone();
        Box::pin(async move { register(&node, &settings).await }) as _
    };
    let genesis = chain.genesis;
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

/// A provider on the chain.
#[derive(Clone)]
struct Provider {
    prover: Prover,
    chain: Chain,
    clocks: Arc<Watch>,
    pace: Arc<Pace>,
}

impl Provider {
    async fn take_challenges(self, mut duties: watch::Receiver<Vec<Duty>>) {
        let mut taken = HashMap::<(u32, u32), (u64, AbortHandle)>::new();
        while duties.changed().await.is_ok() {
            let known = duties.borrow_and_update().clone();
            for duty in known.into_iter().filter(|duty| duty.role == Role::Provider && duty.start > now_ms()) {
                let (challenge, start) = ((duty.epoch, duty.position), duty.start);
                match taken.get(&challenge) {
                    Some((taken, _)) if *taken == start => continue,
                    // A reorganisation has moved it.
                    Some((_, old)) => old.abort(),
                    None => (),
                }
                let task = tokio::spawn(self.clone().take_challenge(duty));
                taken.insert(challenge, (start, task.abort_handle()));
            }
            taken.retain(|_, (start, task)| !task.is_finished() || *start > now_ms());
        }
    }

    /// Goes through one challenge with all its challengers.
    async fn take_challenge(self, duty: Duty) {
        let name = format!("challenge {}/{}", duty.epoch, duty.position);
        let terms = terms_of(&duty);
        log::info!(
            "{name}: {} challengers in {} ms",
            duty.committee.len(),
            terms.start.since(UnixMicros::now()).as_millis()
        );
        sleep(terms.start.since(UnixMicros::now()).saturating_sub(INVITED_BEFORE)).await;
        let subject = Subject::Chain { genesis: self.chain.genesis, epoch: duty.epoch, position: duty.position };
        let members = duty.committee.iter().map(|(account, peer, endpoints)| {
            let addresses = addresses(endpoints, Service::Control);
            self.prove_to(&name, &subject, &terms, account, peer.0, addresses)
        });
        let parts: Vec<Option<Part>> = futures::future::join_all(members).await;
        for ((account, ..), part) in duty.committee.iter().zip(&parts) {
            if part.as_ref().is_some_and(|part| !part.is_fair()) {
                log::warn!("{name}: challenger {account} counted another number of bytes than arrived");
            }
        }
        let parts: Vec<Part> = parts.into_iter().flatten().collect();
        log::info!(
            "{name}: {} of {} challengers counted {} bytes; packets so far: {:?}",
            parts.len(),
            duty.committee.len(),
            parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.counted.bytes)),
            self.prover.port.counts()
        );
    }

    /// Goes through one challenge with one challenger. Until it starts, what failed is tried again.
    async fn prove_to(
        &self,
        name: &str,
        subject: &Subject,
        terms: &Terms,
        account: &AccountId,
        peer_key: [u8; 32],
        addresses: Vec<SocketAddr>,
    ) -> Option<Part> {
        let peer = peer_of(&peer_key)?;
        // Providers of one instant do not come all at once.
        sleep(terms.start.since(UnixMicros::now()).min(SPREAD).mul_f64(rand::random::<f64>() / 2.0)).await;
        loop {
            match self.try_to(peer, &addresses, subject, terms).await {
                Ok(part) => {
                    log::debug!("{name}: challenger {account} counted {} bytes", part.counted.bytes);
                    return Some(part);
                },
                Err(failure) if UnixMicros::now().after(ASK_AGAIN) < terms.start => {
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
        terms: &Terms,
    ) -> Result<Part, Failure> {
        let mut session = self.prover.dial(peer, addresses).await?;
        self.clocks.note(peer, session.clock, UnixMicros::now());
        if let Some(ahead_us) = self.clocks.is_off(self.chain.clock_tolerance_us) {
            return Err(Failure::Own(format!(
                "our clock is {:.1} ms ahead of our peers', so we take no part; set it with NTP",
                ahead_us as f64 / 1e3
            )));
        }
        self.prover.measure(&mut session, subject, terms, &self.pace).await
    }
}
