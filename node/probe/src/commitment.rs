//! What a prover commits to: which packets it received, and what was in them.
//!
//! The root is that of a binary Merkle tree over the digests of the received packets in order of their sequence numbers: a
//! leaf is BLAKE3(0 ‖ digest), a node BLAKE3(1 ‖ left ‖ right), a last one without a partner moves up as it is, and the root
//! of nothing is zero.

use crate::packet::{expected_digest, Digest, Key};

/// A prover's answer to one challenger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitment {
    /// The Merkle root.
    pub root: Digest,
    /// Bit *i* of byte *j* says whether packet 8·j + i arrived.
    pub bitmap: Vec<u8>,
}

impl Commitment {
    /// Commits to what was received: one digest per packet that arrived, by sequence number.
    pub fn new(received: &[Option<Digest>]) -> Self {
        let mut bitmap = vec![0u8; received.len().div_ceil(8)];
        for (sequence, _) in received.iter().enumerate().filter(|(_, digest)| digest.is_some()) {
            bitmap[sequence / 8] |= 1 << (sequence % 8);
        }
        Self { root: root(received.iter().flatten()), bitmap }
    }

    /// How many packets of a train are proven to have arrived; nothing if the commitment is false.
    ///
    /// A bitmap that is longer or shorter than the train, or that names packets beyond it, is false.
    pub fn proven_packets(&self, key: &Key, train_packets: u32) -> Option<u32> {
        let packets = usize::try_from(train_packets).ok()?;
        if self.bitmap.len() != packets.div_ceil(8) {
            return None;
        }
        let is_set = |sequence: usize| self.bitmap[sequence / 8] & (1 << (sequence % 8)) != 0;
        if (packets..self.bitmap.len() * 8).any(is_set) {
            return None;
        }
        let expected: Vec<Digest> = (0..train_packets)
            .filter(|sequence| is_set(*sequence as usize))
            .map(|sequence| expected_digest(sequence, key))
            .collect();
        (root(expected.iter()) == self.root).then_some(u32::try_from(expected.len()).ok()?)
    }
}

fn root<'a>(digests: impl Iterator<Item = &'a Digest>) -> Digest {
    let mut level: Vec<Digest> =
        digests.map(|digest| *blake3::Hasher::new().update(&[0]).update(digest).finalize().as_bytes()).collect();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => *blake3::Hasher::new().update(&[1]).update(left).update(right).finalize().as_bytes(),
                alone => alone[0],
            })
            .collect();
    }
    level.first().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: Key = [7; 32];

    fn received(arrived: &[bool]) -> Vec<Option<Digest>> {
        (0u32..).zip(arrived).map(|(sequence, arrived)| arrived.then(|| expected_digest(sequence, &KEY))).collect()
    }

    proptest! {
        #[test]
        fn an_honest_commitment_proves_just_what_arrived(arrived in proptest::collection::vec(any::<bool>(), 0..100)) {
            let commitment = Commitment::new(&received(&arrived));
            let count = arrived.iter().filter(|arrived| **arrived).count() as u32;
            prop_assert_eq!(commitment.proven_packets(&KEY, arrived.len() as u32), Some(count));
        }

        #[test]
        fn claiming_one_packet_more_proves_nothing(arrived in proptest::collection::vec(any::<bool>(), 1..100), claimed: usize) {
            let claimed = claimed % arrived.len();
            prop_assume!(!arrived[claimed]);
            let mut lie = Commitment::new(&received(&arrived));
            lie.bitmap[claimed / 8] |= 1 << (claimed % 8);
            prop_assert_eq!(lie.proven_packets(&KEY, arrived.len() as u32), None);
            // Nor does making its content up.
            let mut made_up = received(&arrived);
            made_up[claimed] = Some([0; 32]);
            prop_assert_eq!(Commitment::new(&made_up).proven_packets(&KEY, arrived.len() as u32), None);
        }

        #[test]
        fn a_commitment_for_another_train_proves_nothing(arrived in proptest::collection::vec(any::<bool>(), 8..100)) {
            prop_assume!(arrived.contains(&true));
            let commitment = Commitment::new(&received(&arrived));
            prop_assert_eq!(commitment.proven_packets(&[8; 32], arrived.len() as u32), None);
            prop_assert_eq!(commitment.proven_packets(&KEY, arrived.len() as u32 + 8), None);
        }

        #[test]
        fn no_bitmap_from_the_network_panics(bitmap: Vec<u8>, root: Digest, packets in 0u32..2_000) {
            let _ = Commitment { root, bitmap }.proven_packets(&KEY, packets);
        }
    }
}
