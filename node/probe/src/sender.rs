//! Paced sending.

use crate::packet::{self, Key, Tag, PACKET_BYTES};
use std::{
    io,
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

/// The least that is slept at once, since timers are not finer: packets go in bursts of about this length.
const NAP: Duration = Duration::from_millis(1);

/// A train of packets to send.
#[derive(Clone, Debug)]
pub struct Train {
    /// Where to.
    pub to: SocketAddr,
    /// What the packets are marked with.
    pub tag: Tag,
    /// What their content is made from.
    pub key: Key,
    /// How many.
    pub packets: u32,
    /// How fast, counted in whole IP packets.
    pub bits_per_second: u64,
    /// When the first one goes.
    pub start: Instant,
}

/// Sends a train, each packet at its time, and says how many went out. Blocks the thread until then.
///
/// A packet that the system refuses for want of room is lost, as it would be on the way.
///
/// # Errors
///
/// When no socket can be had, or the destination cannot be reached at all.
pub fn send(train: &Train) -> io::Result<u32> {
    let any: SocketAddr = if train.to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(train.to)?;
    let bits_per_packet = packet::wire_bytes(train.to.ip()) * 8;
    let due = |sequence: u32| {
        let nanoseconds = u128::from(sequence) * u128::from(bits_per_packet) * 1_000_000_000
            / u128::from(train.bits_per_second.max(1));
        train.start + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    };

    let mut bytes = [0; PACKET_BYTES];
    let mut sent = 0;
    for sequence in 0..train.packets {
        packet::write(&mut bytes, &train.tag, sequence, &train.key);
        loop {
            let wait = due(sequence).saturating_duration_since(Instant::now());
            if wait.is_zero() {
                break;
            }
            std::thread::sleep(wait.max(NAP));
        }
        match socket.send(&bytes) {
            Ok(_) => sent += 1,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionRefused) => (),
            Err(error) if error.raw_os_error() == Some(105) => (),
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}
