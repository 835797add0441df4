//! Follows the chain for one account: what it has to do, and what it has to say.

use crate::{
    chain::{Error, Node},
    runtime, Fatal,
};
use std::{future::Future, pin::Pin, time::Duration};
use subxt::tx::StaticPayload;
use subxt_signer::sr25519::Keypair;
use tokio::sync::{mpsc, watch};
use weir_primitives::{measurement::Duty, AccountId};

/// How long to wait before the nodes are tried again; doubles up to the longest.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(15);

/// A call that reports.
pub type ReportCall = StaticPayload<runtime::bandwidth::calls::Report>;

/// A report that wants to be on chain.
pub struct Outgoing {
    /// The call.
    pub call: ReportCall,
    /// Until when trying makes sense, in milliseconds since the epoch.
    pub deadline_ms: u64,
    /// What it is, for the log.
    pub name: String,
}

/// What is done with each node that is connected to, before it is followed: registration, say.
pub type Setup<'a> = dyn Fn(Node) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> + Send + Sync + 'a;

/// Follows any of the nodes, publishes the duties of an account, and submits its reports. Ends only when the chain refuses
/// the agent, or is another than it was.
pub async fn follow(
    nodes: &[String],
    key: &Keypair,
    account: &AccountId,
    duties: &watch::Sender<Vec<Duty>>,
    outbox: &mut mpsc::UnboundedReceiver<Outgoing>,
    genesis: [u8; 32],
    setup: &Setup<'_>,
) -> Fatal {
    let mut retry = FIRST_RETRY;
    let mut nodes = nodes.to_vec();
    loop {
        let failure = match Node::connect_any(&nodes).await {
            Ok(node) if node.genesis() != genesis => {
                return Fatal(format!("{} is on another chain; give only nodes of one chain", node.url));
            },
            Ok(node) => {
                log::info!("following the chain through {}", node.url);
                let set_up = setup(node.clone()).await;
                match set_up {
                    Ok(()) => {
                        retry = FIRST_RETRY;
                        follow_node(&node, key, account, duties, outbox).await
                    },
                    Err(Error::Refused(why)) => return Fatal(why),
                    Err(error) => error,
                }
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

async fn follow_node(
    node: &Node,
    key: &Keypair,
    account: &AccountId,
    duties: &watch::Sender<Vec<Duty>>,
    outbox: &mut mpsc::UnboundedReceiver<Outgoing>,
) -> Error {
    let mut heads = match node.heads().await {
        Ok(heads) => heads,
        Err(error) => return error,
    };
    loop {
        tokio::select! {
            head = heads.next() => match head {
                Some(Ok(_)) => match node.ask("MeasurementApi_duties", account, None).await {
                    Ok(known) => {
                        duties.send_replace(known);
                    },
                    Err(error) => return error,
                },
                Some(Err(error)) => return Error::Connection(error.to_string()),
                None => return Error::Connection("the node ended its stream of blocks".into()),
            },
            Some(outgoing) = outbox.recv() => {
                // One after the other, so that nonces do not collide.
                if let Err(error) = deliver(node, key, &outgoing).await {
                    return error;
                }
            },
            () = node.disconnected() => return Error::Connection("the node went away".into()),
        }
    }
}

/// Submits a report until it is on chain, is refused, or its time is over. An error means that the node is of no use.
async fn deliver(node: &Node, key: &Keypair, outgoing: &Outgoing) -> Result<(), Error> {
    while crate::now_ms() < outgoing.deadline_ms {
        match node.submit(key, &outgoing.call).await {
            Ok(()) => {
                log::info!("{} is on chain", outgoing.name);
                return Ok(());
            },
            Err(Error::Refused(why)) => {
                log::warn!("{} was refused: {why}", outgoing.name);
                return Ok(());
            },
            Err(Error::Connection(why)) => {
                log::debug!("{} did not get through: {why}", outgoing.name);
                node.best().await?;
                tokio::time::sleep(FIRST_RETRY).await;
            },
        }
    }
    log::warn!("{} did not get on chain in time", outgoing.name);
    Ok(())
}
