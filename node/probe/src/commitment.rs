//! What a prover commits to: which packets it received, and what was in them.
//!
//! The root is BLAKE3, which is itself a Merkle tree over its input, of the digests of the received packets in order of their
//! sequence numbers, in its key derivation mode with the context [`CONTEXT`]. The bitmap says which packets those are.

use crate::packet::Digest;

/// Sets the root apart from every other hash.
pub const CONTEXT: &str = "weir 2026-11-22 measurement commitment v2";

/// A prover's answer to one challenger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitment {
    /// The Merkle root.
    pub root: [u8; 32],
    /// Bit *i* of byte *j* says whether packet 8·j + i arrived.
    pub bitmap: Vec<u8>,
}

impl Commitment {
    /// Commits to what was received: one digest per packet that arrived, by sequence number.
    pub fn new(received: &[Option<Digest>]) -> Self {
        let mut bitmap = vec![0u8; received.len().div_ceil(8)];
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        for (bits, digests) in bitmap.iter_mut().zip(received.chunks(8)) {
            for (bit, digest) in digests.iter().enumerate() {
                if let Some(digest) = digest {
                    *bits |= 1 << bit;
                    hasher.update(digest);
                }
            }
        }
        Self { root: *hasher.finalize().as_bytes(), bitmap }
    }

    /// How many packets of a train are proven to have arrived; nothing if the commitment is false.
    ///
    /// `expected` gives the digest of a packet, and nothing for one that was never sent. A bitmap that is longer or shorter
    /// than the train, or that names packets beyond it, is false.
    pub fn proven_packets(&self, packets: u32, mut expected: impl FnMut(u32) -> Option<Digest>) -> Option<u32> {
        if self.bitmap.len() != usize::try_from(packets).ok()?.div_ceil(8) {
            return None;
        }
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        let mut proven = 0u32;
        for (sequence, is_set) in (0u32..).zip(self.bits()) {
            if is_set && sequence >= packets {
                return None;
            }
            if is_set {
                hasher.update(&expected(sequence)?);
                proven = proven.checked_add(1)?;
            }
        }
        (hasher.finalize() == self.root).then_some(proven)
    }

    fn bits(&self) -> impl Iterator<Item = bool> + '_ {
        self.bitmap.iter().flat_map(|byte| (0..8).map(move |bit| byte & (1 << bit) != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Expected, Key};
    use proptest::prelude::*;

    const KEY: Key = [7; 32];
    const PAYLOAD: usize = 1_472;

    fn received(arrived: &[bool]) -> Vec<Option<Digest>> {
        let mut expected = Expected::new(KEY, PAYLOAD);
        (0u32..).zip(arrived).map(|(sequence, arrived)| arrived.then(|| expected.digest(sequence))).collect()
    }

    fn proven(commitment: &Commitment, key: Key, packets: usize, payload: usize) -> Option<u32> {
        let mut expected = Expected::new(key, payload);
        commitment.proven_packets(packets as u32, |sequence| Some(expected.digest(sequence)))
    }

    #[test]
    fn the_commitment_never_changes() {
        // The vector of docs/measurement.md.
        let commitment = Commitment::new(&received(&[true, false, true]));
        assert_eq!(commitment.bitmap, [0b101]);
        assert_eq!(
            blake3::Hash::from_bytes(commitment.root).to_hex().as_str(),
            "27a1ed434d01bf1d61c9fd20ec63c869c6abbdc45d43a41c90d38c4eb65db0fc"
        );
    }

    proptest! {
        #[test]
        fn an_honest_commitment_proves_just_what_arrived(arrived in proptest::collection::vec(any::<bool>(), 0..100)) {
            let commitment = Commitment::new(&received(&arrived));
            let count = arrived.iter().filter(|arrived| **arrived).count() as u32;
            prop_assert_eq!(proven(&commitment, KEY, arrived.len(), PAYLOAD), Some(count));
        }

        #[test]
        fn claiming_one_packet_more_proves_nothing(arrived in proptest::collection::vec(any::<bool>(), 1..100), claimed: usize) {
            let claimed = claimed % arrived.len();
            prop_assume!(!arrived[claimed]);
            let mut lie = Commitment::new(&received(&arrived));
            lie.bitmap[claimed / 8] |= 1 << (claimed % 8);
            prop_assert_eq!(proven(&lie, KEY, arrived.len(), PAYLOAD), None);
            // Nor does making its content up.
            let mut made_up = received(&arrived);
            made_up[claimed] = Some([0; 16]);
            prop_assert_eq!(proven(&Commitment::new(&made_up), KEY, arrived.len(), PAYLOAD), None);
        }

        #[test]
        fn a_commitment_for_another_train_proves_nothing(arrived in proptest::collection::vec(any::<bool>(), 8..100)) {
            prop_assume!(arrived.contains(&true));
            let commitment = Commitment::new(&received(&arrived));
            prop_assert_eq!(proven(&commitment, [8; 32], arrived.len(), PAYLOAD), None);
            prop_assert_eq!(proven(&commitment, KEY, arrived.len() + 8, PAYLOAD), None);
            prop_assert_eq!(proven(&commitment, KEY, arrived.len(), PAYLOAD - 1), None);
            // Nor one for packets that were never sent.
            prop_assert_eq!(commitment.proven_packets(arrived.len() as u32, |_| None), None);
        }

        #[test]
        fn no_bitmap_from_the_network_panics(bitmap: Vec<u8>, root: [u8; 32], packets in 0u32..2_000) {
            let _ = proven(&Commitment { root, bitmap }, KEY, packets as usize, PAYLOAD);
        }
    }
}
