//! Follows the chain for one account: what it has to do, and what it has to say.

use crate::{
    chain::{Error, Node},
    runtime, Fatal,
};
use std::{future::Future, pin::Pin, sync::Arc, time::Duration};
use subxt::tx::StaticPayload;
use subxt_signer::sr25519::Keypair;
use tokio::sync::{mpsc, watch, Mutex};
use weir_primitives::{measurement::Duty, AccountId};
use weir_probe::{
    message::{Direction, Terms},
    time::UnixMicros,
};

/// How long to wait before the nodes are tried again; doubles up to the longest.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(15);

/// How long a node may be without a new block before another one is tried.
const SILENT_FOR: Duration = Duration::from_secs(120);

fn silent() -> subxt::rpcs::Error {
    subxt::rpcs::Error::Client("there was no new block for two minutes".into())
}

/// What a challenge on chain is, as agents agree on it. The chain draws challenges of one direction.
pub fn terms_of(duty: &Duty) -> Terms {
    let bits = u128::from(duty.budget_bytes) * 8;
    let train_us = bits * 1_000_000 / u128::from(duty.bits_per_second.max(1));
    Terms {
        direction: Direction::Down,
        start: UnixMicros::from_millis(duty.start),
        train_us: u64::try_from(train_us).unwrap_or(u64::MAX),
        bits_per_second: duty.bits_per_second,
    }
}

/// A call that reports.
pub type ReportCall = StaticPayload<runtime::bandwidth::calls::Report>;

/// A report that wants to be on chain.
pub struct Outgoing {
    /// The call.
    pub call: ReportCall,
    /// Until when trying makes sense, in milliseconds since the epoch.
    pub deadline_ms: u64,
    /// What the log calls the report.
    pub name: String,
}

/// What is done with each node that is connected to, before it is followed: registration, say.
pub type Setup<'a> = dyn Fn(Node) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> + Send + Sync + 'a;

/// What a follower is for.
pub struct Follower<'a> {
    /// The nodes, any of which will do.
    pub nodes: &'a [String],
    /// The genesis of the chain that the nodes must be on.
    pub genesis: [u8; 32],
    /// The key that pays for reports.
    pub key: &'a Keypair,
    /// The account whose duties are published.
    pub account: &'a AccountId,
    /// Where the duties are published.
    pub duties: &'a watch::Sender<Vec<Duty>>,
}

impl Follower<'_> {
    /// Follows any of the nodes, publishes the duties of the account, and submits its reports. Ends only when the chain
    /// refuses the agent, or is another than it was.
    pub async fn follow(&self, outbox: mpsc::UnboundedReceiver<Outgoing>, setup: &Setup<'_>) -> Fatal {
        let (current, node) = watch::channel(None);
        tokio::spawn(deliver_all(outbox, node, self.key.clone()));
        let mut retry = FIRST_RETRY;
        let mut nodes = self.nodes.to_vec();
        loop {
            let failure = match Node::connect_any(&nodes).await {
                Ok(node) if node.genesis() != self.genesis => {
                    return Fatal(format!("{} is on another chain; give only nodes of one chain", node.url));
                },
                Ok(node) => match setup(node.clone()).await {
                    Ok(()) => {
                        log::info!("following the chain through {}", node.url);
                        retry = FIRST_RETRY;
                        current.send_replace(Some(node.clone()));
                        let failure = self.follow_node(&node).await;
                        current.send_replace(None);
                        failure
                    },
                    // Sent twice, the first time through a node that then went away.
                    Err(Error::Refused(why)) if !why.contains("AlreadyRegistered") => return Fatal(why),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            log::warn!("lost the chain ({failure}); trying again in {} s", retry.as_secs_f32());
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(LONGEST_RETRY);
            // Another one first, next time.
            nodes.rotate_left(1);
        }
    }

    async fn follow_node(&self, node: &Node) -> Error {
        let mut heads = match node.heads().await {
            Ok(heads) => heads,
            Err(error) => return error,
        };
        loop {
            tokio::select! {
                head = tokio::time::timeout(SILENT_FOR, heads.next()) => match head.unwrap_or_else(|_| Some(Err(silent()))) {
                    Some(Ok(_)) => match node.ask("MeasurementApi_duties", self.account, None).await {
                        Ok(known) => {
                            self.duties.send_replace(known);
                        },
                        Err(error) => return error,
                    },
                    Some(Err(error)) => return Error::Connection(error.to_string()),
                    None => return Error::Connection("the node ended its stream of blocks".into()),
                },
                () = node.disconnected() => return Error::Connection("the node went away".into()),
            }
        }
    }
}

/// Delivers reports, each through the node that is followed by then.
async fn deliver_all(mut outbox: mpsc::UnboundedReceiver<Outgoing>, node: watch::Receiver<Option<Node>>, key: Keypair) {
    let sending = Arc::new(Mutex::new(()));
    while let Some(outgoing) = outbox.recv().await {
        tokio::spawn(deliver(outgoing, node.clone(), key.clone(), sending.clone()));
    }
}

/// Delivers one report until it is on chain, is refused, or its time is over.
async fn deliver(outgoing: Outgoing, mut node: watch::Receiver<Option<Node>>, key: Keypair, sending: Arc<Mutex<()>>) {
    let attempts = async {
        loop {
            let Ok(current) = node.wait_for(Option::is_some).await.map(|node| node.clone()) else { return };
            let Some(current) = current else { continue };
            let sent = {
                // One at a time, so that each gets a nonce of its own; they are waited for together.
                let _one = sending.lock().await;
                current.send(&key, &outgoing.call).await
            };
            let delivered = match sent {
                Ok(sent) => Node::included_in_time(sent).await,
                Err(error) => Err(error),
            };
            match delivered {
                Ok(()) => return log::info!("{} is on chain", outgoing.name),
                // A block whose miner's clock is behind can still be before the start of the challenge.
                Err(Error::Refused(why)) if !why.contains("NotTheTime") => {
                    return log::warn!("{} was refused: {why}", outgoing.name);
                },
                Err(error) => log::debug!("{} did not get through: {error}", outgoing.name),
            }
            tokio::time::sleep(FIRST_RETRY).await;
        }
    };
    let left = Duration::from_millis(outgoing.deadline_ms.saturating_sub(crate::now_ms()));
    if tokio::time::timeout(left, attempts).await.is_err() {
        log::warn!("{} did not get on chain in time", outgoing.name);
    }
}
