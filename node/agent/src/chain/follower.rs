//! Follows the chain through any of several nodes.

use crate::{
    chain::{Error, Node},
    Fatal,
};
use std::{future::Future, pin::Pin, time::Duration};
use tokio::sync::watch;

/// How long to wait before the nodes are tried again; doubles up to the longest.
pub(crate) const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(15);

/// How long a node may be without a new block before another one is tried.
const SILENT_FOR: Duration = Duration::from_secs(120);

fn silent() -> subxt::rpcs::Error {
    subxt::rpcs::Error::Client("there was no new block for two minutes".into())
}

/// What is done with each node that is connected to, before it is followed: registration, say.
pub type Setup<'a> = dyn Fn(Node) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> + Send + Sync + 'a;

/// The node that is followed, sent anew with each new best block; none while there is none.
pub type Heads = watch::Receiver<Option<Node>>;

/// What a follower is for.
pub struct Follower<'a> {
    /// The nodes, any of which will do.
    pub nodes: &'a [String],
    /// The genesis of the chain that the nodes must be on.
    pub genesis: [u8; 32],
    /// Where it is said that there is a new best block, and at which node.
    pub heads: &'a watch::Sender<Option<Node>>,
}

impl Follower<'_> {
    /// Follows any of the nodes. Ends only when the chain refuses the agent, or is another than it was.
    pub async fn follow(&self, setup: &Setup<'_>) -> Fatal {
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
                        let failure = self.follow_node(&node).await;
                        self.heads.send_replace(None);
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
                    Some(Ok(_)) => drop(self.heads.send_replace(Some(node.clone()))),
                    Some(Err(error)) => return Error::Connection(error.to_string()),
                    None => return Error::Connection("the node ended its stream of blocks".into()),
                },
                () = node.disconnected() => return Error::Connection("the node went away".into()),
            }
        }
    }
}
