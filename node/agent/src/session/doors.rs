//! Who may connect. Identities cost nothing, addresses do: where there is no more room, whoever comes from a prefix with fewer connections
//! takes the place of the oldest one from the most crowded prefix, so that no host, whatever keys it makes, keeps others out.

use libp2p::{
    core::{transport::PortUse, Endpoint},
    multiaddr::Protocol,
    swarm::{
        dummy, CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm,
    },
    Multiaddr, PeerId,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    convert::Infallible,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use weir_primitives::measurement::lottery::groups::Prefix;

/// The most connections that others have opened.
const MAX_INCOMING: usize = 512;
/// The most handshakes at once.
const MAX_HANDSHAKES: usize = 512;
/// The most connections with one peer.
const MAX_PER_PEER: usize = 2;
/// How old a connection is that gives way to one of a prefix with as many: who holds a place for nothing must win it again and again.
const STALE: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Connection {
    peer: PeerId,
    /// Where the peer is, as the handshake has shown.
    ip: IpAddr,
    is_incoming: bool,
    /// Which one it is, counted over all.
    number: u64,
    /// When it was opened.
    since: Instant,
    /// Until when the peer was let into something.
    admitted_until: Option<Instant>,
    /// Whether it is being closed.
    is_closing: bool,
}

/// The open connections.
#[derive(Debug, Default)]
struct Table {
    connections: HashMap<ConnectionId, Connection>,
    opened: u64,
}

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Full {
    #[error("there are as many connections as there may be")]
    All,
    #[error("there are as many handshakes as there may be")]
    Handshakes,
}

impl Table {
    fn live(&self) -> impl Iterator<Item = (&ConnectionId, &Connection)> {
        self.connections.iter().filter(|(_, connection)| !connection.is_closing)
    }

    /// Whether a peer may connect, and which connection must be closed for that.
    fn make_room(&self, peer: PeerId, ip: IpAddr, now: Instant) -> Result<Option<ConnectionId>, Full> {
        let own: Vec<_> = self.live().filter(|(_, it)| it.peer == peer).collect();
        if own.len() >= MAX_PER_PEER {
            // Where a router gave it another port, the old ones are dead.
            let oldest = own.into_iter().min_by_key(|(_, it)| it.number);
            return oldest.map(|(id, _)| Some(*id)).ok_or(Full::All);
        }
        if self.live().filter(|(_, it)| it.is_incoming).count() < MAX_INCOMING {
            return Ok(None);
        }
        let mut crowds = BTreeMap::<Prefix, (usize, u64, ConnectionId)>::new();
        for (id, it) in self.live().filter(|(_, it)| it.is_incoming && it.admitted_until.is_none_or(|at| at < now)) {
            let (count, oldest, which) = crowds.entry(Prefix::of(it.ip)).or_insert((0, it.number, *id));
            *count += 1;
            if it.number < *oldest {
                (*oldest, *which) = (it.number, *id);
            }
        }
        let own = crowds.get(&Prefix::of(ip)).map_or(0, |(count, ..)| *count);
        let most_crowded = crowds.into_values().max_by_key(|(count, number, _)| (*count, std::cmp::Reverse(*number)));
        let (count, _, oldest) = most_crowded.ok_or(Full::All)?;
        let is_stale = |id| self.connections.get(id).is_some_and(|it| now.saturating_duration_since(it.since) > STALE);
        // With one just as good it changes places only if that one has done nothing for long.
        if count > own + 1 || (count == own + 1 && is_stale(&oldest)) {
            Ok(Some(oldest))
        } else {
            Err(Full::All)
        }
    }

    fn insert(&mut self, id: ConnectionId, peer: PeerId, ip: IpAddr, is_incoming: bool) {
        self.opened += 1;
        let number = self.opened;
        let since = Instant::now();
        let connection = Connection { peer, ip, is_incoming, number, since, admitted_until: None, is_closing: false };
        self.connections.insert(id, connection);
    }
}

/// The open connections: who, and at what address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections(Arc<Mutex<Table>>);

impl Connections {
    /// The addresses of a peer's connections, which the handshakes have shown to be its own.
    pub fn addresses_of(&self, peer: PeerId) -> Vec<IpAddr> {
        self.0.lock().live().filter(|(_, it)| it.peer == peer).map(|(_, it)| it.ip).collect()
    }

    /// Keeps the connections of a peer for a time, whoever else comes.
    pub fn admit(&self, peer: PeerId, until: Instant) {
        for connection in self.0.lock().connections.values_mut().filter(|it| it.peer == peer) {
            connection.admitted_until = connection.admitted_until.max(Some(until));
        }
    }
}

/// Lets connections in.
#[derive(Default)]
pub(crate) struct Doors {
    connections: Connections,
    /// Those under way, each with the prefix that it says it comes from.
    handshakes: HashMap<ConnectionId, Option<Prefix>>,
    to_close: VecDeque<(PeerId, ConnectionId)>,
}

impl Doors {
    /// What is open.
    pub fn connections(&self) -> Connections {
        self.connections.clone()
    }
}

/// The address that a multiaddress begins with.
fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(IpAddr::from(ip).to_canonical()),
        _ => None,
    }
}

impl NetworkBehaviour for Doors {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        // Not proven yet; but a host that does not forge its address never has more than half.
        let prefix = ip_of(remote).map(Prefix::of);
        let of_prefix = self.handshakes.values().filter(|it| **it == prefix).count();
        if of_prefix >= MAX_HANDSHAKES.saturating_sub(self.handshakes.len()) {
            return Err(ConnectionDenied::new(Full::Handshakes));
        }
        self.handshakes.insert(id, prefix);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handshakes.remove(&id);
        let ip = ip_of(remote).ok_or_else(|| ConnectionDenied::new(Full::All))?;
        let mut table = self.connections.0.lock();
        let displaced = table.make_room(peer, ip, Instant::now()).map_err(ConnectionDenied::new)?;
        if let Some((id, connection)) = displaced.and_then(|id| Some((id, table.connections.get_mut(&id)?))) {
            connection.is_closing = true;
            self.to_close.push_back((connection.peer, id));
        }
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(opened) => {
                if let Some(ip) = ip_of(opened.endpoint.get_remote_address()) {
                    let is_incoming = opened.endpoint.is_listener();
                    self.connections.0.lock().insert(opened.connection_id, opened.peer_id, ip, is_incoming);
                }
            },
            FromSwarm::ConnectionClosed(closed) => {
                self.connections.0.lock().connections.remove(&closed.connection_id);
            },
            FromSwarm::ListenFailure(failed) => {
                self.handshakes.remove(&failed.connection_id);
            },
            _ => (),
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        #[allow(unreachable_patterns, reason = "the handler says nothing, by a type of its own")]
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        match self.to_close.pop_front() {
            Some((peer_id, id)) => {
                Poll::Ready(ToSwarm::CloseConnection { peer_id, connection: CloseConnection::One(id) })
            },
            // It is polled again after each connection that comes.
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(prefix: u16, host: u8) -> IpAddr {
        let [high, low] = prefix.to_be_bytes();
        [10, high, low, host].into()
    }

    /// Comes from an address with a new key.
    fn come(table: &mut Table, from: IpAddr) -> Result<ConnectionId, Full> {
        let (peer, now) = (PeerId::random(), Instant::now());
        let displaced = table.make_room(peer, from, now)?;
        if let Some(id) = displaced {
            table.connections.remove(&id);
        }
        let id = ConnectionId::new_unchecked(table.opened as usize);
        table.insert(id, peer, from, true);
        Ok(id)
    }

    #[test]
    fn a_host_with_any_number_of_keys_keeps_nobody_out() {
        let mut table = Table::default();
        for _ in 0..10 * MAX_INCOMING {
            let _ = come(&mut table, address(1, 7));
        }
        assert_eq!(table.connections.len(), MAX_INCOMING);
        let honest: Vec<_> = (100..200).map(|prefix| come(&mut table, address(prefix, 1)).unwrap()).collect();
        for _ in 0..10 * MAX_INCOMING {
            let _ = come(&mut table, address(1, 7));
        }
        assert!(honest.iter().all(|id| table.connections.contains_key(id)));
        assert_eq!(table.connections.len(), MAX_INCOMING);
    }

    #[test]
    fn who_was_let_in_stays_while_its_prefix_is_the_most_crowded() {
        let mut table = Table::default();
        let first = come(&mut table, address(1, 7)).unwrap();
        table.connections.get_mut(&first).unwrap().admitted_until = Some(Instant::now() + Duration::from_secs(60));
        while table.connections.len() < MAX_INCOMING {
            come(&mut table, address(1, 8)).unwrap();
        }
        for prefix in 2..250 {
            come(&mut table, address(prefix, 1)).unwrap();
        }
        assert!(table.connections.contains_key(&first));
    }

    #[test]
    fn a_peer_has_two_connections_at_the_most() {
        let (mut table, peer, ip) = (Table::default(), PeerId::random(), address(1, 1));
        for number in 0..MAX_PER_PEER {
            assert_eq!(table.make_room(peer, ip, Instant::now()), Ok(None));
            table.insert(ConnectionId::new_unchecked(number), peer, ip, true);
        }
        // A third one takes the place of its first, and of nobody else's.
        assert_eq!(table.make_room(peer, ip, Instant::now()), Ok(Some(ConnectionId::new_unchecked(0))));
    }

    #[test]
    fn who_holds_every_place_from_as_many_prefixes_must_win_them_again_and_again() {
        let mut table = Table::default();
        for prefix in 0..MAX_INCOMING as u16 {
            come(&mut table, address(prefix, 1)).unwrap();
        }
        let newcomer = |table: &Table, now| table.make_room(PeerId::random(), address(5_000, 1), now);
        assert_eq!(newcomer(&table, Instant::now()), Err(Full::All));
        assert!(matches!(newcomer(&table, Instant::now() + 2 * STALE), Ok(Some(_))));
    }

    #[test]
    fn a_host_that_ends_no_handshake_leaves_half_of_them_to_others() {
        let mut doors = Doors::default();
        let own = Multiaddr::empty();
        let mut begin = |number: usize, from: &str| {
            let remote: Multiaddr = from.parse().unwrap();
            doors.handle_pending_inbound_connection(ConnectionId::new_unchecked(number), &own, &remote).is_ok()
        };
        let taken = (0..10 * MAX_HANDSHAKES).filter(|number| begin(*number, "/ip4/10.0.1.1/udp/1/quic-v1")).count();
        assert_eq!(taken, MAX_HANDSHAKES / 2);
        let honest = (0..100).filter(|n| begin(100_000 + n, &format!("/ip4/10.1.{n}.1/udp/1/quic-v1"))).count();
        assert_eq!(honest, 100);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// With p prefixes of which some send as much as they can, one that keeps a connection to itself keeps it, whatever comes, as long as
        /// there are fewer prefixes than connections.
        #[test]
        fn one_connection_of_a_prefix_is_never_displaced_while_there_are_fewer_prefixes_than_connections(
            crowd in proptest::collection::vec(1u16..400, 1_000..2_000),
        ) {
            let mut table = Table::default();
            let alone = come(&mut table, address(5_000, 1)).unwrap();
            for prefix in crowd {
                let _ = come(&mut table, address(prefix, 1));
                prop_assert!(table.connections.contains_key(&alone));
                prop_assert!(table.connections.len() <= MAX_INCOMING);
            }
        }
    }
}
