//! Commitments of liars: whatever the bitmap, no more is proven than it names.
#![no_main]
use libfuzzer_sys::fuzz_target;
use weir_probe::commitment::Commitment;

fuzz_target!(|bytes: &[u8]| {
    let Some((packets, rest)) = bytes.split_first_chunk::<2>() else { return };
    let Some((root, bitmap)) = rest.split_first_chunk::<32>() else { return };
    let packets = u32::from(u16::from_le_bytes(*packets));
    let named: u32 = bitmap.iter().map(|byte| byte.count_ones()).sum();
    let commitment = Commitment { root: *root, bitmap: bitmap.to_vec() };
    let digest_of = |sequence: u32| Some((u128::from(sequence)).to_le_bytes());
    if let Some(proven) = commitment.proven_packets(packets, digest_of) {
        assert!(proven == named && proven <= packets);
    }
    // An honest one of the same packets is proven, if there are so many.
    let received: Vec<_> = (0..packets)
        .map(|it| (bitmap.get(it as usize / 8)? >> (it % 8) & 1 == 1).then(|| digest_of(it)).flatten())
        .collect();
    let honest = Commitment::new(&received);
    assert_eq!(honest.proven_packets(packets, digest_of), Some(received.iter().flatten().count() as u32));
});
