//! A node that gives work, for as long as it is there.

use crate::protocol::{Answer, Work, SUBMIT_WORK, SUBSCRIBE_WORK, UNSUBSCRIBE_WORK, VERSION};
use jsonrpsee::{
    core::client::{ClientT, Subscription, SubscriptionClientT},
    rpc_params,
    ws_client::{PingConfig, WsClient, WsClientBuilder},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// How long until a node that is gone is tried again: from so much, doubled each time, up to so much.
const AGAIN_AFTER: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));
/// How long a node may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// How often a silent node is asked whether it is there, and when it is taken to be gone.
const PING: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(15));
/// How many works may wait to be read: those of some minutes.
const MOST_WAITING: usize = 1_024;

/// What a node says.
#[derive(Debug)]
pub enum Event {
    /// It is there.
    Connected(Arc<WsClient>),
    /// What it wants searched now, if anything.
    Work(Option<Work>),
    /// It is gone, for this reason.
    Gone(String),
}

/// Follows a node: connects, and connects again when it is gone. Says what happens with the place of the node, and ends when nobody listens.
pub async fn follow(place: usize, url: String, events: mpsc::Sender<(usize, Event)>) {
    let mut wait = AGAIN_AFTER.0;
    loop {
        let why = match connect(&url).await {
            Ok((client, works)) => {
                if events.send((place, Event::Connected(client))).await.is_err() {
                    return;
                }
                match pass_on(place, works, &events).await {
                    Some((why, worked)) => {
                        if worked {
                            wait = AGAIN_AFTER.0;
                        }
                        why
                    },
                    None => return,
                }
            },
            Err(why) => why,
        };
        if events.send((place, Event::Gone(why))).await.is_err() {
            return;
        }
        tokio::time::sleep(wait).await;
        wait = wait.saturating_mul(2).min(AGAIN_AFTER.1);
    }
}

async fn connect(url: &str) -> Result<(Arc<WsClient>, Subscription<Option<Work>>), String> {
    let client = WsClientBuilder::default()
        .request_timeout(ANSWERS_WITHIN)
        .connection_timeout(ANSWERS_WITHIN)
        .enable_ws_ping(PingConfig::new().ping_interval(PING.0).inactive_limit(PING.1))
        .max_buffer_capacity_per_subscription(MOST_WAITING)
        .build(url)
        .await
        .map_err(|error| error.to_string())?;
    let works = client
        .subscribe(SUBSCRIBE_WORK, rpc_params![VERSION], UNSUBSCRIBE_WORK)
        .await
        .map_err(|error| format!("it gives no work: {error}"))?;
    Ok((Arc::new(client), works))
}

/// Passes on what a node says until it is gone, and says why it is, and whether it gave any work; nothing if nobody listens any more.
async fn pass_on(
    place: usize,
    mut works: Subscription<Option<Work>>,
    events: &mpsc::Sender<(usize, Event)>,
) -> Option<(String, bool)> {
    let mut worked = false;
    while let Some(work) = works.next().await {
        let work = match work {
            Ok(Some(work)) if work.version != VERSION => {
                return Some((
                    format!("it speaks version {} of the protocol, and this is {VERSION}", work.version),
                    worked,
                ));
            },
            Ok(work) => work,
            Err(error) => return Some((format!("it sends no work: {error}"), worked)),
        };
        worked |= work.is_some();
        events.send((place, Event::Work(work))).await.ok()?;
    }
    Some(("the connection ended".into(), worked))
}

/// Hands in a nonce.
///
/// # Errors
///
/// When the node does not answer: nobody knows then whether it took the nonce.
pub async fn submit(client: &WsClient, work: &Work, nonce: u64) -> Result<Answer, String> {
    let nonce = format!("{nonce:#018x}");
    client.request(SUBMIT_WORK, rpc_params![work.preimage, nonce]).await.map_err(|error| error.to_string())
}
