//! Where an agent can be reached: a binary multiaddress of one of two shapes, an address and never a name.
//!
//! `/ip4|ip6/<address>/udp/<port>` for measurement packets, with `/quic-v1` behind it for control streams. The codes are
//! those of the multiaddress protocol table.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const IP4: u8 = 0x04;
const IP6: u8 = 0x29;
/// 273 as a varint.
const UDP: [u8; 2] = [0x91, 0x02];
/// 461 as a varint.
const QUIC_V1: [u8; 2] = [0xcd, 0x03];

/// What an endpoint serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Measurement packets over UDP.
    Probe,
    /// Control streams over QUIC.
    Control,
}

/// Writes an endpoint.
pub fn encode(address: SocketAddr, service: Service) -> Vec<u8> {
    let mut bytes = match address.ip() {
        IpAddr::V4(ip) => [&[IP4], ip.octets().as_slice()].concat(),
        IpAddr::V6(ip) => [&[IP6], ip.octets().as_slice()].concat(),
    };
    bytes.extend(UDP);
    bytes.extend(address.port().to_be_bytes());
    if service == Service::Control {
        bytes.extend(QUIC_V1);
    }
    bytes
}

/// Reads an endpoint; nothing if it has another shape, or names no address or port that something could be sent to.
pub fn decode(bytes: &[u8]) -> Option<(SocketAddr, Service)> {
    let (ip, rest) = match bytes.split_first()? {
        (&IP4, rest) => {
            let (octets, rest) = rest.split_first_chunk::<4>()?;
            (IpAddr::V4(Ipv4Addr::from(*octets)), rest)
        },
        (&IP6, rest) => {
            let (octets, rest) = rest.split_first_chunk::<16>()?;
            (IpAddr::V6(Ipv6Addr::from(*octets)), rest)
        },
        _ => return None,
    };
    let (port, rest) = rest.strip_prefix(&UDP)?.split_first_chunk::<2>()?;
    let port = u16::from_be_bytes(*port);
    let service = match rest {
        [] => Service::Probe,
        rest if rest == QUIC_V1 => Service::Control,
        _ => return None,
    };
    let reachable = port != 0 && !ip.is_unspecified() && !ip.is_multicast() && ip != IpAddr::V4(Ipv4Addr::BROADCAST);
    reachable.then_some((SocketAddr::new(ip, port), service))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_encoding_is_that_of_the_multiaddress_table() {
        let address = SocketAddr::from(([127, 0, 0, 1], 4_001));
        assert_eq!(encode(address, Service::Probe), [4, 127, 0, 0, 1, 0x91, 2, 0x0f, 0xa1]);
        assert_eq!(encode(address, Service::Control), [4, 127, 0, 0, 1, 0x91, 2, 0x0f, 0xa1, 0xcd, 3]);
    }

    #[test]
    fn addresses_that_nothing_can_be_sent_to_are_refused() {
        for (ip, port) in [([0, 0, 0, 0], 1), ([224, 0, 0, 1], 1), ([255, 255, 255, 255], 1), ([127, 0, 0, 1], 0)] {
            assert_eq!(decode(&encode(SocketAddr::from((ip, port)), Service::Probe)), None);
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(ip: [u8; 16], port in 1u16.., control: bool) {
            let service = if control { Service::Control } else { Service::Probe };
            let address = SocketAddr::from((ip, port));
            if !address.ip().is_unspecified() && !address.ip().is_multicast() {
                prop_assert_eq!(decode(&encode(address, service)), Some((address, service)));
            }
        }

        #[test]
        fn no_bytes_panic_and_what_is_read_writes_back_the_same(bytes: Vec<u8>) {
            if let Some((address, service)) = decode(&bytes) {
                prop_assert_eq!(encode(address, service), bytes);
            }
        }
    }
}
