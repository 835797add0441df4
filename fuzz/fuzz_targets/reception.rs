//! A train made of whatever comes: no more is counted than there can be.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr};
use weir_probe::{
    packet::HEADER_BYTES,
    reception::{Content, Expectation, Reception},
    time::UnixMicros,
};

/// Small, so that the fuzzer reaches every packet.
const STREAM_BYTES: usize = 4;
const PACKETS: u32 = 64;

fuzz_target!(|bytes: &[u8]| {
    for content in [Content::Commit, Content::Verify([0; 32])] {
        let mut reception = Reception::new(Expectation {
            packets: PACKETS,
            payload: HEADER_BYTES + STREAM_BYTES,
            start: UnixMicros(1_000),
            until: UnixMicros(u64::MAX / 2),
            source: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            content,
        });
        let mut counted = 0;
        for packet in bytes.chunks(4 + 8 + STREAM_BYTES) {
            let Some((sequence, rest)) = packet.split_first_chunk::<4>() else { break };
            let Some((at, stream)) = rest.split_first_chunk::<8>() else { break };
            let from = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1 + (at[0] & 1)));
            let at = UnixMicros(u64::from_le_bytes(*at));
            counted += u32::from(reception.take(u32::from_le_bytes(*sequence), stream, from, at));
        }
        let received = reception.finish();
        assert_eq!(received.packets, counted);
        assert!(counted <= PACKETS && received.reordered <= counted);
        if let Some(commitment) = received.commitment {
            assert_eq!(commitment.bitmap.iter().map(|byte| byte.count_ones()).sum::<u32>(), counted);
        }
    }
});
