//! A node under forged headers from many fresh peers, beside an honest miner.
#![allow(missing_docs)]

use codec::Encode;
use litep2p::{
    config::ConfigBuilder,
    protocol::notification::{ConfigBuilder as NotificationBuilder, NotificationEvent, ValidationResult},
    transport::tcp::config::Config as TcpConfig,
    types::protocol::ProtocolName,
    Litep2p,
};
use sc_network_common::{
    role::Roles,
    sync::message::{BlockAnnounce, BlockAnnouncesHandshake},
};
use sp_core::{sr25519, Pair, H256};
use sp_runtime::{traits::Header as _, Perbill};
use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    process::ExitCode,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        Arc, Mutex,
    },
    time::{Duration, Instant},
};
use subxt::rpcs::rpc_params;
use weir_agent::chain::Node;
use weir_bench::{median, Figures, Goal};
use weir_e2e::{
    network::{calibrate, write_chain_spec, NodeProcess, NodeSettings},
    observer::{block_at, view},
};
use weir_primitives::{
    consensus::{author_payload, seal_payload, Difficulty, PreDigest, Seal, Work},
    parameters::Consensus,
    AccountId,
};
use weir_runtime::opaque::{Block, Header};

const HEADERS: usize = 100_000;
/// Each of them sends its part of the headers, the first of which should be the last that is looked at.
const IDENTITIES: usize = 1_000;
/// How many of them attack at once.
const AT_ONCE: usize = 8;
/// How long an identity tries.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the honest are watched before the attack.
const BEFORE: Duration = Duration::from_secs(20);
/// How often they are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[derive(Clone, Copy)]
enum Lie {
    Work,
    Signature,
    Base,
    /// The greatest base there can be, which nobody has the work for.
    Ceiling,
}

/// Makes headers that look like the child of a block and are not.
struct Forger {
    rules: Consensus,
    author: sr25519::Pair,
    parent: H256,
    height: u32,
}

impl Forger {
    fn forge(&self, lie: Lie, salt: u64) -> Header {
        // A base that only who knows the parent can see to be wrong. All of them are cheap.
        let base = match lie {
            Lie::Ceiling => Difficulty::MAX.0,
            _ => self.rules.floor_difficulty.0 + u64::from(matches!(lie, Lie::Base)),
        };
        let claims = PreDigest {
            author: AccountId::new(self.author.public().0),
            base,
            credit: Perbill::zero(),
            timestamp: weir_consensus::clock::now(),
        };
        let digest = sp_runtime::generic::Digest { logs: vec![claims.to_item()] };
        let root = H256::from_low_u64_be(salt);
        let mut header = Header::new(self.height + 1, root, root, self.parent, digest);
        let honest = self.author.sign(&author_payload(header.hash().as_ref()));
        let signature = match lie {
            Lie::Signature => self.author.sign(b"something else"),
            _ => honest,
        };
        let preimage = weir_pow::preimage(&seal_payload(header.hash().as_ref(), &signature));
        let required = Difficulty(base);
        let nonce = match lie {
            Lie::Work | Lie::Ceiling => {
                (0..).find(|nonce| !required.is_met_by(Work::from_hash(weir_pow::work(&preimage, *nonce))))
            },
            _ => weir_pow::Search::new(preimage, required.target().to_big_endian()).find(0..u64::MAX),
        };
        header.digest_mut().push(Seal { signature, nonce: nonce.expect("the floor is low") }.to_item());
        header
    }
}

/// What all identities came to.
#[derive(Default)]
struct Tally {
    admitted: AtomicUsize,
    sent: AtomicUsize,
    dropped: AtomicUsize,
    refused_again: AtomicUsize,
    let_in_again: AtomicUsize,
}

/// How an attempt to connect and to announce went.
enum Attempt {
    NotAdmitted,
    Dropped,
    Kept,
}

/// The node that is attacked.
struct Target {
    address: String,
    genesis: H256,
}

async fn attack(
    target: &Target,
    key: litep2p::crypto::ed25519::Keypair,
    headers: &[Vec<u8>],
    tally: &Tally,
) -> Attempt {
    let protocol = format!("/{}/block-announces/1", hex(target.genesis.as_bytes()));
    let handshake = BlockAnnouncesHandshake::<Block> {
        roles: Roles::FULL,
        best_number: 0,
        best_hash: target.genesis,
        genesis_hash: target.genesis,
    };
    let (notifications, mut handle) = NotificationBuilder::new(ProtocolName::from(protocol))
        .with_max_size(1 << 20)
        .with_handshake(handshake.encode())
        .with_auto_accept_inbound(true)
        .build();
    let config = ConfigBuilder::new()
        .with_keypair(key)
        .with_tcp(TcpConfig { listen_addresses: vec![], ..Default::default() })
        .with_notification_protocol(notifications)
        .build();
    let Ok(mut network) = Litep2p::new(config) else { return Attempt::NotAdmitted };
    let address: litep2p::types::multiaddr::Multiaddr = target.address.parse().expect("the node has an address");
    let (_, peer) = target.address.rsplit_once('/').expect("the address ends with the peer");
    let peer: litep2p::PeerId = peer.parse().expect("the address ends with the peer");
    if network.dial_address(address).await.is_err() {
        return Attempt::NotAdmitted;
    }
    let mut is_admitted = false;
    let trying = async {
        loop {
            tokio::select! {
                event = network.next_event() => match event {
                    Some(litep2p::Litep2pEvent::ConnectionEstablished { .. }) => {
                        let _ = handle.open_substream(peer).await;
                    },
                    Some(_) | None => return Attempt::NotAdmitted,
                },
                event = futures::StreamExt::next(&mut handle) => match event {
                    Some(NotificationEvent::ValidateSubstream { peer, .. }) => {
                        handle.send_validation_result(peer, ValidationResult::Accept);
                    },
                    Some(NotificationEvent::NotificationStreamOpened { .. }) => {
                        is_admitted = true;
                        for header in headers {
                            // The node ends the stream while we send.
                            if handle.send_async_notification(peer, header.clone()).await.is_err() {
                                break;
                            }
                            tally.sent.fetch_add(1, Ordering::Relaxed);
                        }
                    },
                    Some(NotificationEvent::NotificationStreamClosed { .. }) => return Attempt::Dropped,
                    Some(NotificationEvent::NotificationStreamOpenFailure { .. }) | None => return Attempt::NotAdmitted,
                    Some(NotificationEvent::NotificationReceived { .. }) => (),
                },
            }
        }
    };
    match tokio::time::timeout(PATIENCE, trying).await {
        Ok(Attempt::NotAdmitted) if is_admitted => Attempt::Dropped,
        Ok(attempt) => attempt,
        Err(_) if is_admitted => Attempt::Kept,
        Err(_) => Attempt::NotAdmitted,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// When each node had first come to a height.
#[derive(Default)]
struct Seen(Mutex<[BTreeMap<u64, Instant>; 2]>);

impl Seen {
    /// How long after the first node the second had come to each height, in seconds; until now where it has not.
    fn latencies(&self) -> Vec<f64> {
        let [first, second] = &*self.0.lock().expect("nobody panics with it");
        first
            .iter()
            .map(|(height, begun)| {
                // As high or higher: a height that it jumped over counts too.
                let come = second.range(height..).map(|(_, come)| *come).min().unwrap_or_else(Instant::now);
                come.saturating_duration_since(*begun).as_secs_f64()
            })
            .collect()
    }
}

/// Watches the height of a node.
async fn watch(node: Node, index: usize, seen: Arc<Seen>, is_over: Arc<AtomicBool>) {
    while !is_over.load(Ordering::Relaxed) {
        if let Ok(view) = view(&node).await {
            let now = Instant::now();
            seen.0.lock().expect("nobody panics with it")[index].entry(view.height).or_insert(now);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Resident memory of a process, in MiB.
fn resident(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the node runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the kernel says it");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).expect("in KiB") / 1_024.0
}

/// The sum of a counter, over all its labels.
fn counter(address: &str, name: &str) -> f64 {
    let mut stream = TcpStream::connect(address).expect("the node has a Prometheus endpoint");
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("the endpoint listens");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("the endpoint answers");
    text.lines()
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    runtime.block_on(run())
}

async fn run() -> ExitCode {
    let mut figures = Figures::from_arguments();
    let folder = tempfile::tempdir().expect("there is room for databases");
    let chain = write_chain_spec(folder.path(), "dev", |genesis| calibrate(genesis, 1)).expect("a chain spec");
    let settings = |name: &str, author: Option<&str>, boot_node| NodeSettings {
        name: name.into(),
        chain: chain.clone(),
        base_path: folder.path().join(name),
        author: author.map(Into::into),
        boot_node,
        state_pruning: None,
        more: vec![],
    };
    let mut miner = NodeProcess::start(settings("miner", Some("//Alice"), None)).expect("the miner starts");
    let boot_node = miner.address().await.expect("the miner answers");
    let mut attacked = NodeProcess::start(settings("attacked", None, Some(boot_node))).expect("the node starts");
    let nodes = [miner.connect().await.expect("it answers"), attacked.connect().await.expect("it answers")];
    while view(&nodes[1]).await.map_or(0, |view| view.height) < 5 {
        tokio::time::sleep(LOOK_EVERY).await;
    }

    let (before, during) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
    let calm_over = Arc::new(AtomicBool::new(false));
    let calm: Vec<_> = nodes
        .into_iter()
        .enumerate()
        .map(|(index, node)| {
            let (before, is_over) = (before.clone(), calm_over.clone());
            tokio::spawn(async move {
                watch(node.clone(), index, before, is_over).await;
                node
            })
        })
        .collect();
    eprintln!("watching the honest for {} s", BEFORE.as_secs());
    tokio::time::sleep(BEFORE).await;
    calm_over.store(true, Ordering::Relaxed);
    let mut nodes = Vec::new();
    for watcher in calm {
        nodes.push(watcher.await.expect("watchers end"));
    }

    let parameters: serde_json::Value =
        nodes[1].rpc().request("weir_parameters", rpc_params![]).await.expect("the node answers");
    let rules: Consensus = serde_json::from_value(parameters["consensus"].clone()).expect("parameters are JSON");
    let height = view(&nodes[1]).await.expect("the node answers").height;
    let parent = block_at(&nodes[1], height).await.expect("the block is there");
    let forger =
        Forger { rules, author: sr25519::Pair::from_seed(&[9; 32]), parent: parent.0.into(), height: height as u32 };
    eprintln!("forging {HEADERS} headers");
    let forged: Vec<Vec<u8>> = (0..HEADERS)
        .map(|index| {
            let lie = [Lie::Work, Lie::Signature, Lie::Base, Lie::Ceiling][index / (HEADERS / IDENTITIES) % 4];
            let header = forger.forge(lie, index as u64);
            BlockAnnounce { header, state: None, data: None }.encode()
        })
        .collect();

    let memory_before = resident(attacked.id());
    let attack_over = Arc::new(AtomicBool::new(false));
    let watchers: Vec<_> = nodes
        .iter()
        .cloned()
        .enumerate()
        .map(|(index, node)| tokio::spawn(watch(node, index, during.clone(), attack_over.clone())))
        .collect();
    let target = Arc::new(Target {
        address: attacked.address().await.expect("the node answers"),
        genesis: H256(nodes[1].genesis()),
    });
    let (tally, next, forged) = (Arc::new(Tally::default()), Arc::new(AtomicUsize::new(0)), Arc::new(forged));
    let peak = Arc::new(Mutex::new(memory_before));
    let begun = Instant::now();
    let attackers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (target, tally, next, forged) = (target.clone(), tally.clone(), next.clone(), forged.clone());
            let (peak, id) = (peak.clone(), attacked.id());
            tokio::spawn(async move {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(own) = forged.chunks(HEADERS / IDENTITIES).nth(index) else { return };
                    if index % 100 == 0 {
                        eprintln!("identity {index} of {IDENTITIES}");
                    }
                    let key = litep2p::crypto::ed25519::Keypair::generate();
                    // A place is free again when another was banned.
                    let mut attempt = Attempt::NotAdmitted;
                    for _ in 0..20 {
                        attempt = attack(&target, key.clone(), own, &tally).await;
                        if !matches!(attempt, Attempt::NotAdmitted) {
                            tally.admitted.fetch_add(1, Ordering::Relaxed);
                            break;
                        }
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    if matches!(attempt, Attempt::Dropped) {
                        tally.dropped.fetch_add(1, Ordering::Relaxed);
                        // Every tenth comes again.
                        if index.is_multiple_of(10) {
                            let again = match attack(&target, key, own.get(..1).unwrap_or(own), &Tally::default()).await
                            {
                                Attempt::NotAdmitted => &tally.refused_again,
                                _ => &tally.let_in_again,
                            };
                            again.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    let mut peak = peak.lock().expect("nobody panics with it");
                    *peak = peak.max(resident(id));
                }
            })
        })
        .collect();
    for attacker in attackers {
        attacker.await.expect("attackers end");
    }
    let seconds = begun.elapsed().as_secs_f64();
    let peak = peak.lock().expect("nobody panics with it").max(resident(attacked.id()));
    attack_over.store(true, Ordering::Relaxed);
    for watcher in watchers {
        watcher.await.expect("watchers end");
    }

    let banned = counter(&attacked.metrics_address(), "weir_banned_peers_total");
    let rejected = counter(&attacked.metrics_address(), "weir_rejected_blocks_total");
    let (first, second) = (view(&nodes[0]).await.expect("it answers"), view(&nodes[1]).await.expect("it answers"));
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed) as f64;
    figures.print("hostile/headers-sent", count(&tally.sent), "headers", Goal::None);
    figures.print("hostile/duration", seconds, "s", Goal::None);
    figures.print("hostile/identities-admitted", count(&tally.admitted), "peers", Goal::None);
    figures.print("hostile/banned-of-admitted", banned / count(&tally.admitted), "times", Goal::AtLeast(1.0));
    figures.print("hostile/rejected-for-each-ban", rejected / banned, "headers", Goal::AtMost(1.0));
    figures.print("hostile/refused-when-they-came-again", count(&tally.refused_again), "peers", Goal::None);
    figures.print("hostile/let-in-when-they-came-again", count(&tally.let_in_again), "peers", Goal::AtMost(0.0));
    figures.print("hostile/memory-before", memory_before, "MiB", Goal::None);
    figures.print("hostile/memory-growth", peak - memory_before, "MiB", Goal::AtMost(50.0));
    let slowest = |seen: &Seen| seen.latencies().into_iter().fold(0.0, f64::max);
    figures.print("hostile/latency-before/median", median(before.latencies()), "s", Goal::None);
    figures.print("hostile/latency-before/slowest", slowest(&before), "s", Goal::None);
    figures.print("hostile/latency-during/median", median(during.latencies()), "s", Goal::None);
    figures.print("hostile/latency-during/slowest", slowest(&during), "s", Goal::AtMost(2.0));
    figures.print(
        "hostile/blocks-behind-at-the-end",
        first.height as f64 - second.height as f64,
        "blocks",
        Goal::AtMost(1.0),
    );
    figures.finish()
}
