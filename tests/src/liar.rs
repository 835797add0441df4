//! A peer that speaks a node's network protocols and keeps to none of its rules, for attacks on nodes of one's own.
//!
//! A [`Liar`] is one identity. It claims a chain in its handshake, announces whatever it is given, and answers requests for
//! blocks with whatever it is given, or never. [`crate::crowd`] has many of them attack one node.

use crate::{network::NodeProcess, Result};
use codec::{Decode, Encode};
use futures::StreamExt;
use litep2p::{
    config::ConfigBuilder,
    protocol::{
        notification::{ConfigBuilder as NotificationBuilder, NotificationEvent, NotificationHandle, ValidationResult},
        request_response::{ConfigBuilder as RequestBuilder, RequestResponseEvent, RequestResponseHandle},
    },
    transport::tcp::config::Config as TcpConfig,
    types::{multiaddr::Multiaddr, protocol::ProtocolName},
    Litep2p, Litep2pEvent, PeerId,
};
use prost::Message;
use sc_network_common::{
    role::Roles,
    sync::message::{BlockAnnounce, BlockAnnouncesHandshake, BlockState},
};
use sp_core::H256;
use sp_runtime::{generic, traits::BlakeTwo256, OpaqueExtrinsic};
use std::time::{Duration, Instant};
use weir_primitives::BlockNumber;

/// The key that an identity has on the network.
pub use litep2p::crypto::ed25519::Keypair as Identity;

/// A header of the chain.
pub type Header = generic::Header<BlockNumber, BlakeTwo256>;

type Block = generic::Block<Header, OpaqueExtrinsic>;

/// The largest announcement that an identity sends: the node's own limit.
const MOST_ANNOUNCEMENT_BYTES: usize = 1 << 20;
/// The largest response that it sends: the node's own limit.
const MOST_RESPONSE_BYTES: usize = 16 << 20;
/// For how long a connection without open streams is kept: longer than any attack lasts.
const KEPT: Duration = Duration::from_secs(120);

/// The node that is attacked.
#[derive(Clone, Debug)]
pub struct Target {
    address: Multiaddr,
    peer: PeerId,
    genesis: H256,
}

impl Target {
    /// A running node.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn of(process: &mut NodeProcess) -> Result<Self> {
        let genesis = H256(process.connect().await?.genesis());
        let address = process.address().await?;
        let (_, peer) = address.rsplit_once('/').ok_or("the address of the node has no peer")?;
        Ok(Self {
            peer: peer.parse().map_err(|error| format!("{peer} is no peer: {error}"))?,
            address: address.parse().map_err(|error| format!("{address} is no address: {error}"))?,
            genesis,
        })
    }

    fn protocol(&self, name: &str) -> ProtocolName {
        format!("/{:x}/{name}", self.genesis).into()
    }
}

/// The best block that an identity claims to have when it connects.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The height of the block.
    pub number: BlockNumber,
    /// The hash of the block.
    pub hash: H256,
}

/// Encodes the announcement of a block.
pub fn announcement(header: &Header, state: BlockState) -> Vec<u8> {
    BlockAnnounce { header: header.clone(), state: Some(state), data: Some(Vec::new()) }.encode()
}

/// The block that a request starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The block of this hash.
    Hash(H256),
    /// The block of this height.
    Number(BlockNumber),
}

/// A node's request for blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRequest {
    /// The first block.
    pub from: Start,
    /// Whether the others are those below it, and not those above.
    pub is_descending: bool,
    /// The most blocks that are wanted.
    pub most: usize,
}

impl BlockRequest {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let message = schema::BlockRequest::decode(bytes).ok()?;
        let from = match (message.hash, message.number) {
            (Some(hash), _) => Start::Hash(<H256 as Decode>::decode(&mut hash.as_slice()).ok()?),
            (None, Some(number)) => Start::Number(<BlockNumber as Decode>::decode(&mut number.as_slice()).ok()?),
            (None, None) => return None,
        };
        Some(Self { from, is_descending: message.direction != 0, most: message.max_blocks as usize })
    }
}

/// A block as it is sent in a response.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The hash that the response says it has.
    pub hash: H256,
    /// The header of the block.
    pub header: Header,
    /// The body of the block.
    pub body: Vec<OpaqueExtrinsic>,
}

impl Sent {
    /// A block under its own hash.
    pub fn new(header: Header, body: Vec<OpaqueExtrinsic>) -> Self {
        Self { hash: header.hash(), header, body }
    }
}

/// Encodes a response to a request for blocks.
pub fn response<'a>(blocks: impl IntoIterator<Item = &'a Sent>) -> Vec<u8> {
    let blocks = blocks.into_iter().map(|block| schema::BlockData {
        hash: block.hash.encode(),
        header: block.header.encode(),
        body: block.body.iter().map(Encode::encode).collect(),
    });
    schema::BlockResponse { blocks: blocks.collect() }.encode_to_vec()
}

/// The fields of the SDK's block requests and responses that an identity needs: `api.v1.proto` of `sc-network-sync`.
mod schema {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct BlockRequest {
        #[prost(bytes = "vec", optional, tag = "2")]
        pub hash: Option<Vec<u8>>,
        #[prost(bytes = "vec", optional, tag = "3")]
        pub number: Option<Vec<u8>>,
        #[prost(int32, tag = "5")]
        pub direction: i32,
        #[prost(uint32, tag = "6")]
        pub max_blocks: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct BlockResponse {
        #[prost(message, repeated, tag = "1")]
        pub blocks: Vec<BlockData>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct BlockData {
        #[prost(bytes = "vec", tag = "1")]
        pub hash: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub header: Vec<u8>,
        #[prost(bytes = "vec", repeated, tag = "3")]
        pub body: Vec<Vec<u8>>,
    }
}

/// An identity that a node has let in.
pub struct Liar {
    network: Litep2p,
    announcements: NotificationHandle,
    requests: RequestResponseHandle,
    peer: PeerId,
    /// How many requests the node has sent it.
    pub asked: usize,
}

impl Liar {
    /// Connects to a node, and waits until the node has let it in; nothing if that does not happen in time.
    pub async fn let_in(target: &Target, identity: Identity, claim: Claim, within: Duration) -> Option<Self> {
        let handshake = BlockAnnouncesHandshake::<Block> {
            roles: Roles::FULL,
            best_number: claim.number,
            best_hash: claim.hash,
            genesis_hash: target.genesis,
        };
        let (notifications, announcements) = NotificationBuilder::new(target.protocol("block-announces/1"))
            .with_max_size(MOST_ANNOUNCEMENT_BYTES)
            .with_handshake(handshake.encode())
            .with_auto_accept_inbound(true)
            .build();
        let (answers, requests) = RequestBuilder::new(target.protocol("sync/2"))
            .with_max_size(MOST_RESPONSE_BYTES)
            .with_timeout(KEPT)
            .build();
        let config = ConfigBuilder::new()
            .with_keypair(identity)
            .with_tcp(TcpConfig { listen_addresses: vec![], ..Default::default() })
            .with_notification_protocol(notifications)
            .with_request_response_protocol(answers)
            .with_keep_alive_timeout(KEPT)
            .build();
        let mut liar =
            Self { network: Litep2p::new(config).ok()?, announcements, requests, peer: target.peer, asked: 0 };
        tokio::time::timeout(within, liar.open(target)).await.ok()?.then_some(liar)
    }

    async fn open(&mut self, target: &Target) -> bool {
        if self.network.dial_address(target.address.clone()).await.is_err() {
            return false;
        }
        loop {
            tokio::select! {
                event = self.network.next_event() => match event {
                    Some(Litep2pEvent::ConnectionEstablished { .. }) => {
                        let _ = self.announcements.open_substream(self.peer).await;
                    },
                    Some(_) | None => return false,
                },
                event = self.announcements.next() => match event {
                    Some(NotificationEvent::NotificationStreamOpened { .. }) => return true,
                    Some(NotificationEvent::ValidateSubstream { peer, .. }) => {
                        self.announcements.send_validation_result(peer, ValidationResult::Accept);
                    },
                    Some(NotificationEvent::NotificationReceived { .. }) => (),
                    Some(
                        NotificationEvent::NotificationStreamClosed { .. }
                        | NotificationEvent::NotificationStreamOpenFailure { .. },
                    )
                    | None => return false,
                },
            }
        }
    }

    /// Sends an encoded announcement, and says whether the stream still took it.
    pub async fn announce(&mut self, announcement: Vec<u8>) -> bool {
        self.announcements.send_async_notification(self.peer, announcement).await.is_ok()
    }

    /// Answers requests until a moment, and says whether the node let it stay that long. A request without an answer stays
    /// open.
    pub async fn stay(&mut self, until: Instant, mut answer: impl FnMut(BlockRequest) -> Option<Vec<u8>>) -> bool {
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => return true,
                event = self.network.next_event() => match event {
                    Some(Litep2pEvent::ConnectionClosed { .. }) | None => return false,
                    Some(_) => (),
                },
                event = self.announcements.next() => match event {
                    Some(NotificationEvent::NotificationStreamClosed { .. }) | None => return false,
                    Some(NotificationEvent::ValidateSubstream { peer, .. }) => {
                        self.announcements.send_validation_result(peer, ValidationResult::Accept);
                    },
                    Some(_) => (),
                },
                event = self.requests.next() => match event {
                    Some(RequestResponseEvent::RequestReceived { request_id, request, .. }) => {
                        self.asked += 1;
                        if let Some(bytes) = BlockRequest::decode(&request).and_then(&mut answer) {
                            self.requests.send_response(request_id, bytes);
                        }
                    },
                    Some(_) => (),
                    None => return false,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_the_sdk_writes_them() {
        // fields = header and body, number = 7, descending, at most 64.
        let bytes = [8, 128, 128, 128, 24, 26, 4, 7, 0, 0, 0, 40, 1, 48, 64];
        let expected = BlockRequest { from: Start::Number(7), is_descending: true, most: 64 };
        assert_eq!(BlockRequest::decode(&bytes), Some(expected));
    }
}
