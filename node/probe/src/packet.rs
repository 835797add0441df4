//! The format of a measurement packet.
//!
//! ```text
//! offset  size  field
//!      0     4  "WRP1"
//!      4    16  tag of the challenge, chosen by the challenger
//!     20     4  sequence number, little-endian, from 0
//!     24  1376  keystream: BLAKE3 keyed by the challenge's secret, over the sequence number, as extended output
//! ```

/// The bytes of a packet, as UDP payload: fits the path MTU of common tunnels.
pub const PACKET_BYTES: usize = 1_400;
/// The bytes before the keystream.
pub const HEADER_BYTES: usize = 24;
/// The bytes of a packet on the wire over IPv4, with UDP and IP header.
pub const IPV4_BYTES: u64 = 1_428;
/// The bytes of a packet on the wire over IPv6, with UDP and IP header.
pub const IPV6_BYTES: u64 = 1_448;

const MAGIC: &[u8; 4] = b"WRP1";

/// What a packet belongs to. Not a secret: whoever sees a packet knows it.
pub type Tag = [u8; 16];
/// What a challenger makes its keystream from.
pub type Key = [u8; 32];
/// What a prover keeps of a packet.
pub type Digest = [u8; 32];

/// The bytes of a packet on the wire.
pub fn wire_bytes(to: std::net::IpAddr) -> u64 {
    if to.is_ipv4() {
        IPV4_BYTES
    } else {
        IPV6_BYTES
    }
}

/// How many packets a number of bytes on the wire pays for.
pub fn packets_in(budget_bytes: u64, to: std::net::IpAddr) -> u32 {
    u32::try_from(budget_bytes / wire_bytes(to)).unwrap_or(u32::MAX)
}

/// Writes a packet.
pub fn write(packet: &mut [u8; PACKET_BYTES], tag: &Tag, sequence: u32, key: &Key) {
    let (header, stream) = packet.split_at_mut(HEADER_BYTES);
    header[..4].copy_from_slice(MAGIC);
    header[4..20].copy_from_slice(tag);
    header[20..].copy_from_slice(&sequence.to_le_bytes());
    blake3::Hasher::new_keyed(key).update(&sequence.to_le_bytes()).finalize_xof().fill(stream);
}

/// Tag, sequence number and keystream of a packet; nothing if it is none.
pub fn read(packet: &[u8]) -> Option<(Tag, u32, &[u8])> {
    if packet.len() != PACKET_BYTES {
        return None;
    }
    let rest = packet.strip_prefix(MAGIC)?;
    let (tag, rest) = rest.split_first_chunk::<16>()?;
    let (sequence, stream) = rest.split_first_chunk::<4>()?;
    Some((*tag, u32::from_le_bytes(*sequence), stream))
}

/// What is kept of a packet: BLAKE3(sequence number ‖ keystream).
pub fn digest(sequence: u32, stream: &[u8]) -> Digest {
    *blake3::Hasher::new().update(&sequence.to_le_bytes()).update(stream).finalize().as_bytes()
}

/// The digest of the packet that a key makes.
pub fn expected_digest(sequence: u32, key: &Key) -> Digest {
    let mut packet = [0; PACKET_BYTES];
    write(&mut packet, &Tag::default(), sequence, key);
    digest(sequence, &packet[HEADER_BYTES..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_format_never_changes() {
        let mut packet = [0; PACKET_BYTES];
        write(&mut packet, &[2; 16], 3, &[4; 32]);
        assert_eq!(
            &packet[..HEADER_BYTES],
            b"WRP1\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x03\x00\x00\x00"
        );
        let mut stream = [0; PACKET_BYTES - HEADER_BYTES];
        blake3::Hasher::new_keyed(&[4; 32]).update(&[3, 0, 0, 0]).finalize_xof().fill(&mut stream);
        assert_eq!(&packet[HEADER_BYTES..], &stream);
    }

    #[test]
    fn packets_of_another_length_or_kind_are_not_read() {
        let mut packet = [0; PACKET_BYTES];
        write(&mut packet, &[2; 16], 3, &[4; 32]);
        assert!(read(&packet).is_some());
        assert!(read(&packet[..PACKET_BYTES - 1]).is_none());
        packet[3] = b'2';
        assert!(read(&packet).is_none());
    }

    proptest! {
        #[test]
        fn what_arrives_has_the_digest_that_the_sender_expects(tag: Tag, sequence: u32, key: Key) {
            let mut packet = [0; PACKET_BYTES];
            write(&mut packet, &tag, sequence, &key);
            let (read_tag, read_sequence, stream) = read(&packet).unwrap();
            prop_assert_eq!((read_tag, read_sequence), (tag, sequence));
            prop_assert_eq!(digest(sequence, stream), expected_digest(sequence, &key));
        }

        #[test]
        fn no_bytes_from_the_network_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1_500)) {
            let _ = read(&bytes);
        }
    }
}
