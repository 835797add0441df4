//! The format of a measurement packet.
//!
//! ```text
//! offset  size  field
//!      0     4  "WRP2"
//!      4    16  tag of the measurement, chosen by the challenger
//!     20     4  sequence number, little-endian, from 0
//!     24   ...  keystream: BLAKE3 keyed by the secret of the measurement, over the sequence number, as extended output
//! ```
//!
//! All packets of a train have the size that the path was seen to carry: [`path_mtu`](crate::path_mtu).

use codec::{Decode, Encode};
use std::net::IpAddr;

/// The bytes before the keystream.
pub const HEADER_BYTES: usize = 24;

const MAGIC: &[u8; 4] = b"WRP2";
const UDP_HEADER_BYTES: u16 = 8;
const IPV4_HEADER_BYTES: u16 = 20;
const IPV6_HEADER_BYTES: u16 = 40;

/// What a packet belongs to. Whoever sees a packet knows it.
pub type Tag = [u8; 16];
/// What a keystream is made from.
pub type Key = [u8; 32];
/// What a prover keeps of a packet: nobody finds another one's without having it.
pub type Digest = [u8; 16];

/// The size of a whole IP packet, headers included: what a link carries, and what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct IpBytes(pub u16);

impl IpBytes {
    /// The largest packet that is sent: what Ethernet carries.
    pub const MAX: Self = Self(1_500);
    /// The least that every IPv6 link carries (RFC 8200, section 5), and in practice every IPv4 link.
    pub const MIN: Self = Self(1_280);

    /// The bytes of UDP payload in a packet of this size; nothing if it is none that a train may have.
    pub fn payload(self, ip: IpAddr) -> Option<usize> {
        let header = if ip.to_canonical().is_ipv4() { IPV4_HEADER_BYTES } else { IPV6_HEADER_BYTES };
        (Self::MIN..=Self::MAX).contains(&self).then(|| usize::from(self.0 - header - UDP_HEADER_BYTES))
    }

    /// The size of the packet with a payload.
    pub fn of_payload(payload: usize, ip: IpAddr) -> u64 {
        let header = if ip.to_canonical().is_ipv4() { IPV4_HEADER_BYTES } else { IPV6_HEADER_BYTES };
        payload as u64 + u64::from(header + UDP_HEADER_BYTES)
    }

    /// How many packets of this size a number of bytes pays for.
    pub fn packets_in(self, budget_bytes: u64) -> u32 {
        u32::try_from(budget_bytes / u64::from(self.0.max(1))).unwrap_or(u32::MAX)
    }
}

/// Fills a buffer, which is a whole packet, at least [`HEADER_BYTES`] long.
pub fn write(packet: &mut [u8], tag: &Tag, sequence: u32, key: &Key) {
    let (header, stream) = packet.split_at_mut(HEADER_BYTES);
    header[..4].copy_from_slice(MAGIC);
    header[4..20].copy_from_slice(tag);
    header[20..].copy_from_slice(&sequence.to_le_bytes());
    keystream(sequence, key, stream);
}

/// The keystream of a packet.
fn keystream(sequence: u32, key: &Key, stream: &mut [u8]) {
    blake3::Hasher::new_keyed(key).update(&sequence.to_le_bytes()).finalize_xof().fill(stream);
}

/// Tag, sequence number and keystream of a packet; nothing if it is none.
pub fn read(packet: &[u8]) -> Option<(Tag, u32, &[u8])> {
    let rest = packet.strip_prefix(MAGIC)?;
    let (tag, rest) = rest.split_first_chunk::<16>()?;
    let (sequence, stream) = rest.split_first_chunk::<4>()?;
    Some((*tag, u32::from_le_bytes(*sequence), stream))
}

/// What is kept of a packet: the first half of BLAKE3(sequence number ‖ keystream).
pub fn digest(sequence: u32, stream: &[u8]) -> Digest {
    let hash = blake3::Hasher::new().update(&sequence.to_le_bytes()).update(stream).finalize();
    let mut digest = Digest::default();
    digest.copy_from_slice(&hash.as_bytes()[..16]);
    digest
}

/// Makes again what a sender with the same key sent.
pub struct Expected {
    key: Key,
    stream: Vec<u8>,
}

impl Expected {
    /// For packets with so many bytes of payload.
    pub fn new(key: Key, payload: usize) -> Self {
        Self { key, stream: vec![0; payload.saturating_sub(HEADER_BYTES)] }
    }

    /// The digest of a packet.
    pub fn digest(&mut self, sequence: u32) -> Digest {
        keystream(sequence, &self.key, &mut self.stream);
        digest(sequence, &self.stream)
    }

    /// Whether this is the keystream of a packet.
    pub fn is(&mut self, sequence: u32, stream: &[u8]) -> bool {
        if stream.len() != self.stream.len() {
            return false;
        }
        keystream(sequence, &self.key, &mut self.stream);
        self.stream == stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAYLOAD: usize = 1_472;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_format_never_changes() {
        let mut packet = [0; PAYLOAD];
        write(&mut packet, &[2; 16], 3, &[4; 32]);
        assert_eq!(hex(&packet[..HEADER_BYTES]), format!("57525032{}03000000", "02".repeat(16)));
        let mut stream = [0; PAYLOAD - HEADER_BYTES];
        blake3::Hasher::new_keyed(&[4; 32]).update(&[3, 0, 0, 0]).finalize_xof().fill(&mut stream);
        assert_eq!(&packet[HEADER_BYTES..], &stream);
        // The vectors of docs/measurement.md.
        assert_eq!(hex(&packet[HEADER_BYTES..HEADER_BYTES + 16]), "aaf17b6a038fb5c1cc8b1b962bca66ab");
        assert_eq!(hex(&digest(3, &stream)), "c454ae733418e6dbd0443214e0a7bfe9");
    }

    #[test]
    fn a_payload_is_what_the_headers_leave_of_a_packet() {
        let v4 = IpAddr::from([127, 0, 0, 1]);
        let v6 = IpAddr::from([0u16, 0, 0, 0, 0, 0, 0, 1]);
        let mapped = IpAddr::from([0u16, 0, 0, 0, 0, 0xffff, 0x7f00, 1]);
        assert_eq!(IpBytes(1_500).payload(v4), Some(1_472));
        assert_eq!(IpBytes(1_500).payload(v6), Some(1_452));
        assert_eq!(IpBytes(1_500).payload(mapped), Some(1_472));
        assert_eq!(IpBytes::of_payload(1_472, v4), 1_500);
        assert_eq!((IpBytes(1_279).payload(v4), IpBytes(1_501).payload(v4)), (None, None));
        assert_eq!(IpBytes(1_500).packets_in(4_499), 2);
    }

    proptest! {
        #[test]
        fn what_arrives_has_the_digest_that_the_sender_expects(tag: Tag, sequence: u32, key: Key) {
            let mut packet = [0; PAYLOAD];
            write(&mut packet, &tag, sequence, &key);
            let (read_tag, read_sequence, stream) = read(&packet).unwrap();
            prop_assert_eq!((read_tag, read_sequence), (tag, sequence));
            let mut expected = Expected::new(key, PAYLOAD);
            prop_assert_eq!(digest(sequence, stream), expected.digest(sequence));
            prop_assert!(expected.is(sequence, stream));
            prop_assert!(!expected.is(sequence.wrapping_add(1), stream));
            prop_assert!(!expected.is(sequence, &stream[1..]));
        }

        #[test]
        fn no_bytes_from_the_network_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1_600)) {
            let _ = read(&bytes);
        }
    }
}
