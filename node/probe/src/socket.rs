//! A UDP socket that fills a gigabit from one core: segmentation and receive offload where the kernel has them, plain packets
//! elsewhere, kernel timestamps, and no fragmentation.

use crate::time::UnixMicros;
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use rustix::{
    event::{poll, PollFd, PollFlags, Timespec},
    io::Errno,
    net::sockopt,
};
use std::{
    fs::File,
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr, UdpSocket},
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    time::Duration,
};

/// What the kernel may hold for us: more than 60 ms at a gigabit, longer than a busy scheduler keeps a thread waiting.
const BUFFER_BYTES: usize = 8 << 20;
/// What one buffer takes: as many packets as the kernel puts together.
const RECEIVE_BYTES: usize = 1 << 16;
/// How many buffers are read at once.
const RECEIVE_BUFFERS: usize = 8;
/// The most that one call may send, by the length field of IP.
const MAX_SEND_BYTES: usize = 65_000;

/// A UDP socket for measurement packets.
pub struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
    is_ipv6: bool,
}

/// Where packets are read to.
pub struct Buffers {
    bytes: Vec<u8>,
    meta: [RecvMeta; RECEIVE_BUFFERS],
}

impl Default for Buffers {
    fn default() -> Self {
        Self { bytes: vec![0; RECEIVE_BYTES * RECEIVE_BUFFERS], meta: [RecvMeta::default(); RECEIVE_BUFFERS] }
    }
}

impl Socket {
    /// Binds an address. `[::]` takes IPv4 as well.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        // Root may have more than the system's limit; others get what the limit allows.
        for set in [sockopt::set_socket_recv_buffer_size_force, sockopt::set_socket_recv_buffer_size] {
            if set(&socket, BUFFER_BYTES).is_ok() {
                break;
            }
        }
        let _ = sockopt::set_socket_send_buffer_size(&socket, BUFFER_BYTES);
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self { socket, state, is_ipv6: address.is_ipv6() })
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// How many bytes the kernel holds for us at the most until they are read. It counts more for a packet than is in it.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn receive_buffer_bytes(&self) -> io::Result<usize> {
        Ok(sockopt::socket_recv_buffer_size(&self.socket)?)
    }

    /// How many packets the kernel has dropped since there was no room for them in the buffer, where it tells: on Linux with `/proc`.
    pub fn lost_in_buffer(&self) -> Option<u64> {
        let inode = File::from(OwnedFd::from(self.socket.try_clone().ok()?)).metadata().ok()?.ino().to_string();
        let table = if self.is_ipv6 { "/proc/self/net/udp6" } else { "/proc/self/net/udp" };
        let table = std::fs::read_to_string(table).ok()?;
        // Its columns: proc(5), and `udp4_seq_show` of the kernel; the tenth is the inode, and the last one what was dropped.
        let of_ours = |line: &&str| line.split_whitespace().nth(9) == Some(inode.as_str());
        table.lines().find(of_ours)?.split_whitespace().last()?.parse().ok()
    }

    /// How many packets with this payload can go in one call.
    pub fn batch(&self, payload: usize) -> usize {
        self.state.max_gso_segments().min(MAX_SEND_BYTES / payload.max(1)).max(1)
    }

    /// Sends packets that lie one after the other, all with the same payload, at most a [`batch`](Self::batch).
    /// Says how many went out: what the system has no room for is lost, as it would be on the way.
    ///
    /// # Errors
    ///
    /// When the destination cannot be reached at all.
    pub fn send(&self, to: SocketAddr, packets: &[u8], payload: usize) -> io::Result<usize> {
        // The kernel's answer would look as if it could not segment.
        if to.port() == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let destination = match to.ip() {
            IpAddr::V4(ip) if self.is_ipv6 => SocketAddr::new(ip.to_ipv6_mapped().into(), to.port()),
            _ => to,
        };
        let transmit =
            Transmit { destination, ecn: None, contents: packets, segment_size: Some(payload), src_ip: None };
        match self.state.try_send((&self.socket).into(), &transmit) {
            Ok(()) => Ok(packets.len().div_ceil(payload.max(1))),
            // The kernel said just now that it cannot segment: one by one.
            Err(_) if packets.len() > payload && self.state.max_gso_segments() == 1 => {
                packets.chunks(payload).map(|packet| self.send(to, packet, payload)).sum()
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => match Errno::from_io_error(&error) {
                // No room in a queue; a port that was closed for an earlier packet; larger than our own link.
                Some(Errno::NOBUFS | Errno::CONNREFUSED | Errno::MSGSIZE) => Ok(0),
                _ => Err(error),
            },
        }
    }

    /// Waits for packets, no longer than this, and hands each to `take`: from where, when, and what.
    ///
    /// # Errors
    ///
    /// When the socket cannot be read.
    pub fn receive(
        &self,
        buffers: &mut Buffers,
        timeout: Duration,
        mut take: impl FnMut(SocketAddr, UnixMicros, &[u8]),
    ) -> io::Result<()> {
        let timeout = Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => return Ok(()),
            Ok(_) => (),
            Err(error) => return Err(error.into()),
        }
        let mut slices: Vec<IoSliceMut> = buffers.bytes.chunks_mut(RECEIVE_BYTES).map(IoSliceMut::new).collect();
        let count = match self.state.recv((&self.socket).into(), &mut slices, &mut buffers.meta) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        for (meta, buffer) in buffers.meta.iter().take(count).zip(buffers.bytes.chunks(RECEIVE_BYTES)) {
            let from = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
            let at = meta.timestamp.map_or_else(UnixMicros::now, UnixMicros::of_system);
            let bytes = buffer.get(..meta.len).unwrap_or_default();
            bytes.chunks(meta.stride.max(1)).for_each(|packet| take(from, at, packet));
        }
        Ok(())
    }
}
