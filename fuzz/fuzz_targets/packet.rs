//! Measurement packets: what is read is what was written.
#![no_main]
use libfuzzer_sys::fuzz_target;
use weir_probe::{packet, path_mtu};

fuzz_target!(|bytes: &[u8]| {
    let Some((tag, sequence, stream)) = packet::read(bytes) else { return };
    assert_eq!(stream.len() + packet::HEADER_BYTES, bytes.len());
    let mut again = vec![0; bytes.len()];
    packet::write(&mut again, &tag, sequence, &[0; 32]);
    assert_eq!(again[..packet::HEADER_BYTES], bytes[..packet::HEADER_BYTES]);
    if let Some(size) = path_mtu::size_of(sequence) {
        assert_eq!(path_mtu::sequence_of(size), Some(sequence));
    }
});
