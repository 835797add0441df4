//! Control streams: authenticated QUIC connections between agents, which the prover dials.

use crate::{
    identity::Identity,
    session::channel::Channel,
    session::doors::{Connections, Doors},
    Fatal,
};
use futures::StreamExt;
use libp2p::{
    multiaddr::Protocol,
    swarm::{
        dial_opts::{DialOpts, PeerCondition},
        NetworkBehaviour, SwarmEvent,
    },
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm,
};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// The name of the protocol.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/weir/measure/3");

/// How long dialling, or opening a stream, may take.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection without streams is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The most streams of one connection, and what each may have on its way: a proof fits.
const MAX_STREAMS: u32 = 4;
const MAX_STREAM_BYTES: u32 = 256 << 10;

#[derive(NetworkBehaviour)]
struct Behaviour {
    doors: Doors,
    streams: libp2p_stream::Behaviour,
}

struct Dial {
    peer: PeerId,
    addresses: Vec<Multiaddr>,
    done: oneshot::Sender<Result<(), String>>,
}

/// Opens control streams to other agents.
#[derive(Clone)]
pub struct Control {
    dials: mpsc::Sender<Dial>,
    streams: libp2p_stream::Control,
    connections: Connections,
}

/// A stream that another agent opened.
pub struct Inbound {
    /// The agent that opened the stream, as its key proved.
    pub peer: PeerId,
    /// Where that agent is.
    pub whereabouts: Whereabouts,
    /// The stream.
    pub channel: Channel<Stream>,
}

/// Where a peer is. A stream can be there before it is known where it comes from.
pub struct Whereabouts {
    peer: PeerId,
    connections: Connections,
}

impl Whereabouts {
    /// The addresses of the peer's connections.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.connections.addresses_of(self.peer)
    }

    /// Keeps the peer's connections up to a moment, whoever else comes.
    pub fn admit(&self, until: Instant) {
        self.connections.admit(self.peer, until);
    }
}

/// The streams that other agents open.
pub struct Incoming {
    streams: libp2p_stream::IncomingStreams,
    connections: Connections,
}

impl Incoming {
    /// The next one; nothing when the control streams have ended.
    pub async fn next(&mut self) -> Option<Inbound> {
        let (peer, stream) = self.streams.next().await?;
        let whereabouts = Whereabouts { peer, connections: self.connections.clone() };
        Some(Inbound { peer, whereabouts, channel: Channel::new(stream) })
    }
}

impl Control {
    /// Starts the control streams of an agent, which accepts connections if it listens somewhere. Must be called within a
    /// runtime, whose end ends them.
    ///
    /// # Errors
    ///
    /// When an address cannot be listened on.
    pub fn start(identity: &Identity, listen: &[SocketAddr]) -> Result<(Self, Incoming), Fatal> {
        let mut swarm = libp2p::SwarmBuilder::with_existing_identity(identity.keypair())
            .with_tokio()
            .with_quic_config(|mut config| {
                config.max_concurrent_stream_limit = MAX_STREAMS;
                config.max_stream_data = MAX_STREAM_BYTES;
                config.max_connection_data = MAX_STREAM_BYTES * MAX_STREAMS;
                config
            })
            .with_behaviour(|_| Behaviour { doors: Doors::default(), streams: libp2p_stream::Behaviour::new() })
            .map_err(|error| Fatal(format!("control streams cannot be set up: {error}")))?
            .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE_TIMEOUT))
            .build();
        for address in listen {
            // The library binds later; this says at once, and clearly, that it cannot.
            std::net::UdpSocket::bind(address).map_err(|error| {
                Fatal(format!(
                    "cannot listen on {address} ({error}); end the process that uses it, or choose another --listen"
                ))
            })?;
            // The library takes `[::]` for IPv6 alone.
            let is_all = address.ip().to_canonical() == IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED);
            let also = is_all.then(|| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()));
            for address in std::iter::once(*address).chain(also) {
                swarm
                    .listen_on(multiaddr(address))
                    .map_err(|error| Fatal(format!("cannot listen on {address}: {error}")))?;
            }
        }
        let mut streams = swarm.behaviour().streams.new_control();
        let incoming =
            streams.accept(PROTOCOL).map_err(|error| Fatal(format!("control streams cannot be set up: {error}")))?;
        let (dials, received) = mpsc::channel(64);
        let connections = swarm.behaviour().doors.connections();
        tokio::spawn(run(swarm, received));
        let incoming = Incoming { streams: incoming, connections: connections.clone() };
        Ok((Self { dials, streams, connections }, incoming))
    }

    /// Opens a stream to a peer at one of its addresses, and says at which it is.
    ///
    /// # Errors
    ///
    /// When it cannot be reached, is not who it should be, or does not speak our protocol.
    pub async fn open(&self, peer: PeerId, addresses: &[SocketAddr]) -> Result<(Channel<Stream>, IpAddr), String> {
        let (done, is_done) = oneshot::channel();
        let addresses = addresses.iter().copied().map(multiaddr).collect();
        let gone = || "the control streams have ended".to_string();
        let late = |_| "it cannot be reached in time".to_string();
        self.dials.send(Dial { peer, addresses, done }).await.map_err(|_| gone())?;
        tokio::time::timeout(OPEN_WITHIN, is_done).await.map_err(late)?.map_err(|_| gone())??;
        let mut streams = self.streams.clone();
        let opening = tokio::time::timeout(OPEN_WITHIN, streams.open_stream(peer, PROTOCOL));
        let stream = opening.await.map_err(late)?.map_err(|error| error.to_string())?;
        let address = self.connections.addresses_of(peer).first().copied().ok_or("the connection ended")?;
        Ok((Channel::new(stream), address))
    }
}

/// The QUIC multiaddress of a socket address.
pub fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Udp(address.port())).with(Protocol::QuicV1)
}

async fn run(mut swarm: Swarm<Behaviour>, mut dials: mpsc::Receiver<Dial>) {
    let mut waiting = HashMap::<PeerId, Vec<oneshot::Sender<Result<(), String>>>>::new();
    loop {
        tokio::select! {
            dial = dials.recv() => {
                let Some(Dial { peer, addresses, done }) = dial else { return };
                if swarm.is_connected(&peer) {
                    let _ = done.send(Ok(()));
                    continue;
                }
                let waiting = waiting.entry(peer).or_default();
                waiting.push(done);
                let options = DialOpts::peer_id(peer).addresses(addresses).condition(PeerCondition::NotDialing).build();
                // Fails when it is being dialled already, whose end all wait for, or when it cannot be dialled at all.
                if let (Err(error), 1) = (swarm.dial(options), waiting.len()) {
                    waiting.drain(..).for_each(|done| drop(done.send(Err(error.to_string()))));
                }
            },
            event = swarm.select_next_some() => match event {
                SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                    for done in waiting.remove(&peer_id).into_iter().flatten() {
                        let _ = done.send(Ok(()));
                    }
                },
                SwarmEvent::OutgoingConnectionError { peer_id: Some(peer_id), error, .. } => {
                    for done in waiting.remove(&peer_id).into_iter().flatten() {
                        let _ = done.send(Err(error.to_string()));
                    }
                },
                SwarmEvent::NewListenAddr { address, .. } => {
                    log::info!("control streams are taken at {address}/p2p/{}", swarm.local_peer_id());
                },
                _ => (),
            },
        }
    }
}
