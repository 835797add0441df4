//! Path MTU discovery: how large a packet the path carries, found before a measurement by sending one of each size.
//!
//! Packets are never fragmented, so that one which is too large for a link is lost. The largest that arrives is the size of
//! the train. A challenger's probes are of its keystream: the digest that the prover sends back shows that the address takes
//! what is sent to it, and that a home router forwards the port, before anything large is sent there.

use crate::packet::{Digest, IpBytes};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// Ethernet, PPPoE, common tunnels over each, a mobile or VPN link, and the least that IPv6 allows.
pub const SIZES: [IpBytes; 5] = [IpBytes::MAX, IpBytes(1_492), IpBytes(1_452), IpBytes(1_400), IpBytes::MIN];

/// How often they are sent again until there is an answer, since some may be lost: slowly enough that those of sixteen
/// challengers are half of what a line of 10 Mbit/s carries.
pub const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// How long the largest is waited for when a smaller one has come.
pub const SETTLED_AFTER: Duration = Duration::from_millis(350);

/// From this sequence number on packets are probes.
const FIRST_SEQUENCE: u32 = u32::MAX - SIZES.len() as u32 + 1;

/// Probes, with their sequence numbers, the largest first.
pub fn probes() -> impl Iterator<Item = (u32, IpBytes)> {
    (FIRST_SEQUENCE..=u32::MAX).zip(SIZES)
}

/// The sequence number of a probe of this size; nothing if there is none.
pub fn sequence_of(size: IpBytes) -> Option<u32> {
    probes().find(|(_, probe)| *probe == size).map(|(sequence, _)| sequence)
}

/// The size of the probe with this sequence number; nothing if it is none.
pub fn size_of(sequence: u32) -> Option<IpBytes> {
    probes().find(|(probe, _)| *probe == sequence).map(|(_, size)| size)
}

/// Whether two addresses are one machine's, as far as anybody can tell: of IPv6 the first 64 bits count, since machines change
/// the rest for privacy (RFC 8981).
pub fn is_same_machine(one: IpAddr, other: IpAddr) -> bool {
    match (one.to_canonical(), other.to_canonical()) {
        (IpAddr::V6(one), IpAddr::V6(other)) => one.segments()[..4] == other.segments()[..4],
        (one, other) => one == other,
    }
}

/// Whether two addresses are in one network: the /24 of IPv4, the /48 of IPv6. Address translation of a provider may give one host several
/// addresses in one, and a probe shows that packets get there.
pub fn is_same_network(one: IpAddr, other: IpAddr) -> bool {
    match (one.to_canonical(), other.to_canonical()) {
        (IpAddr::V4(one), IpAddr::V4(other)) => one.octets()[..3] == other.octets()[..3],
        (IpAddr::V6(one), IpAddr::V6(other)) => one.segments()[..3] == other.segments()[..3],
        _ => false,
    }
}

/// The largest probe that arrived so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The size of the probe.
    pub size: IpBytes,
    /// The digest of the probe.
    pub digest: Digest,
    /// The address that the probe came from.
    pub from: SocketAddr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_told_apart_by_ipv4_address_and_ipv6_prefix() {
        let same = |one: &str, other: &str| is_same_machine(one.parse().unwrap(), other.parse().unwrap());
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
    }

    #[test]
    fn networks_are_told_apart_by_prefix() {
        let same = |one: &str, other: &str| is_same_network(one.parse().unwrap(), other.parse().unwrap());
        assert!(same("192.0.2.1", "::ffff:192.0.2.200"));
        assert!(!same("192.0.2.1", "192.0.3.1"));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(!same("2001:db8:1::1", "2001:db8:2::1"));
        assert!(!same("192.0.2.1", "2001:db8::1"));
    }

    #[test]
    fn each_size_has_a_sequence_number_that_no_train_has() {
        for size in SIZES {
            let sequence = sequence_of(size).unwrap();
            assert_eq!(size_of(sequence), Some(size));
            assert!(sequence > crate::reception::MAX_PACKETS);
        }
        assert_eq!((size_of(0), sequence_of(IpBytes(1_300))), (None, None));
        assert!(SIZES.is_sorted_by(|a, b| a > b));
    }
}
