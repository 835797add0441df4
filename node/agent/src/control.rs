//! Control streams: authenticated QUIC connections between agents, which the prover dials.

use crate::{
    identity::Identity,
    wire::{Codec, Request, Response, PROTOCOL},
    Fatal,
};
use futures::StreamExt;
use libp2p::{
    connection_limits::{self, ConnectionLimits},
    multiaddr::Protocol,
    ping,
    request_response::{self, OutboundRequestId, ProtocolSupport, ResponseChannel},
    swarm::{ConnectionId, NetworkBehaviour, SwarmEvent},
    Multiaddr, PeerId, Swarm,
};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection without requests is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// The most connections that others may open, in all and each: enough for every provider of a chain.
const MAX_INCOMING: u32 = 512;
const MAX_INCOMING_PER_PEER: u32 = 2;

#[derive(NetworkBehaviour)]
struct Behaviour {
    limits: connection_limits::Behaviour,
    requests: request_response::Behaviour<Codec>,
    ping: ping::Behaviour,
}

/// A request that came in.
pub struct Inbound {
    /// From whom, as its key proved.
    pub peer: PeerId,
    /// The addresses of its connections, which their QUIC handshakes showed to be its own.
    pub from: Vec<IpAddr>,
    /// When.
    pub at: Instant,
    /// The last round trip to the peer, if there was one.
    pub round_trip: Option<Duration>,
    /// What it wants.
    pub request: Request,
    /// Where the answer goes.
    pub reply: Reply,
}

/// Where the answer to a request goes.
pub struct Reply {
    channel: ResponseChannel<Response>,
    commands: mpsc::Sender<Command>,
}

impl Reply {
    /// Answers. If the connection is gone, nobody hears it.
    pub async fn send(self, response: Response) {
        let _ = self.commands.send(Command::Reply { channel: self.channel, response }).await;
    }
}

enum Command {
    Ask {
        peer: PeerId,
        addresses: Vec<Multiaddr>,
        request: Box<Request>,
        answer: oneshot::Sender<Result<Response, String>>,
    },
    Reply {
        channel: ResponseChannel<Response>,
        response: Response,
    },
}

/// Asks other agents.
#[derive(Clone)]
pub struct Control {
    commands: mpsc::Sender<Command>,
}

impl Control {
    /// Starts the control streams of an agent, which accepts connections if it listens somewhere. Must be called within a
    /// runtime, whose end ends them.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub fn start(identity: &Identity, listen: Option<SocketAddr>) -> Result<(Self, mpsc::Receiver<Inbound>), Fatal> {
        let mut swarm = libp2p::SwarmBuilder::with_existing_identity(identity.keypair())
            .with_tokio()
            .with_quic()
            .with_behaviour(|_| Behaviour {
                limits: connection_limits::Behaviour::new(
                    ConnectionLimits::default()
                        .with_max_pending_incoming(Some(MAX_INCOMING))
                        .with_max_established_incoming(Some(MAX_INCOMING))
                        .with_max_established_per_peer(Some(MAX_INCOMING_PER_PEER)),
                ),
                requests: request_response::Behaviour::new(
                    [(PROTOCOL, ProtocolSupport::Full)],
                    request_response::Config::default().with_request_timeout(REQUEST_TIMEOUT),
                ),
                ping: ping::Behaviour::new(ping::Config::new().with_interval(Duration::from_secs(5))),
            })
            .map_err(|error| Fatal(format!("control streams cannot be set up: {error}")))?
            .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE_TIMEOUT))
            .build();
        if let Some(address) = listen {
            // The library binds later; this says at once, and clearly, that it cannot.
            std::net::UdpSocket::bind(address).map_err(|error| {
                Fatal(format!(
                    "cannot listen on {address} ({error}); end the process that uses it, or choose another --listen"
                ))
            })?;
            swarm
                .listen_on(multiaddr(address))
                .map_err(|error| Fatal(format!("cannot listen on {address}: {error}")))?;
        }
        let (commands, received) = mpsc::channel(64);
        let (inbound, requests) = mpsc::channel(64);
        let control = Self { commands };
        tokio::spawn(run(swarm, received, inbound, control.commands.clone()));
        Ok((control, requests))
    }

    /// Asks a peer at one of its addresses, and waits for the answer.
    ///
    /// # Errors
    ///
    /// When it cannot be reached, or does not answer in time.
    pub async fn ask(&self, peer: PeerId, addresses: &[SocketAddr], request: Request) -> Result<Response, String> {
        let (answer, answered) = oneshot::channel();
        let addresses = addresses.iter().copied().map(multiaddr).collect();
        let gone = |_| "the control streams have ended".to_string();
        self.commands
            .send(Command::Ask { peer, addresses, request: Box::new(request), answer })
            .await
            .map_err(|_| gone(()))?;
        answered.await.map_err(|_| gone(()))?
    }
}

/// The QUIC multiaddress of a socket address.
fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Udp(address.port())).with(Protocol::QuicV1)
}

/// The address that a multiaddress begins with.
fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

async fn run(
    mut swarm: Swarm<Behaviour>,
    mut commands: mpsc::Receiver<Command>,
    inbound: mpsc::Sender<Inbound>,
    replies: mpsc::Sender<Command>,
) {
    let mut waiting = HashMap::<OutboundRequestId, oneshot::Sender<Result<Response, String>>>::new();
    let mut round_trips = HashMap::<PeerId, Duration>::new();
    let mut connections = HashMap::<ConnectionId, (PeerId, IpAddr)>::new();
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Ask { peer, addresses, request, answer }) => {
                    for address in addresses {
                        swarm.add_peer_address(peer, address);
                    }
                    let id = swarm.behaviour_mut().requests.send_request(&peer, *request);
                    waiting.insert(id, answer);
                },
                Some(Command::Reply { channel, response }) => {
                    // Fails only when the connection is gone.
                    let _ = swarm.behaviour_mut().requests.send_response(channel, response);
                },
                None => return,
            },
            event = swarm.select_next_some() => match event {
                SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event { peer, result: Ok(round_trip), .. })) => {
                    round_trips.insert(peer, round_trip);
                },
                SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                    if let Some(ip) = ip_of(endpoint.get_remote_address()) {
                        connections.insert(connection_id, (peer_id, ip));
                    }
                },
                SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, .. } => {
                    connections.remove(&connection_id);
                    if num_established == 0 {
                        round_trips.remove(&peer_id);
                    }
                },
                SwarmEvent::NewListenAddr { address, .. } => log::info!("control streams are taken at {address}"),
                SwarmEvent::Behaviour(BehaviourEvent::Requests(event)) => match event {
                    request_response::Event::Message { peer, message } => match message {
                        request_response::Message::Request { request, channel, .. } => {
                            let at = Instant::now();
                            let of_peer = connections.values().filter(|(of, _)| *of == peer);
                            let from = of_peer.map(|(_, ip)| *ip).collect();
                            let reply = Reply { channel, commands: replies.clone() };
                            let round_trip = round_trips.get(&peer).copied();
                            // A flood of requests is dropped, and its connections time out.
                            let _ = inbound.try_send(Inbound { peer, from, at, round_trip, request, reply });
                        },
                        request_response::Message::Response { request_id, response } => {
                            if let Some(answer) = waiting.remove(&request_id) {
                                let _ = answer.send(Ok(response));
                            }
                        },
                    },
                    request_response::Event::OutboundFailure { request_id, error, .. } => {
                        if let Some(answer) = waiting.remove(&request_id) {
                            let _ = answer.send(Err(error.to_string()));
                        }
                    },
                    _ => (),
                },
                _ => (),
            },
        }
    }
}
