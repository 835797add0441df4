//! The search for a nonce.

use crate::{keccak::Prepared, work, Kernel, Preimage};
use core::ops::Range;

/// A preimage and a target, and what is the same for all nonces of them, computed once.
#[derive(Clone, Copy)]
pub struct Search {
    kernel: Kernel,
    preimage: Preimage,
    prepared: Prepared,
    target: [u8; 32],
}

impl Search {
    /// For nonces whose work is at most `target`, with the fastest kernel that the processor has.
    pub fn new(preimage: Preimage, target: [u8; 32]) -> Self {
        Self::with_kernel(Kernel::best(), preimage, target)
    }

    /// With a certain kernel.
    pub fn with_kernel(kernel: Kernel, preimage: Preimage, target: [u8; 32]) -> Self {
        Self { kernel, preimage, prepared: Prepared::new(&preimage), target }
    }

    /// The first nonce of a range whose work is at most the target, both as big-endian numbers.
    ///
    /// To be able to stop, give it a small range at a time: it costs no more than a large one, above a thousand nonces.
    pub fn find(&self, nonces: Range<u64>) -> Option<u64> {
        let [a, b, c, d, e, f, g, h, ..] = self.target;
        let bound = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let mut rest = nonces;
        loop {
            // The kernel sees only the first word: a hash that begins as the target does may still be above it.
            let hit = self.kernel.find(&self.prepared, bound, rest.clone())?;
            if work(&self.preimage, hit) <= self.target {
                return Some(hit);
            }
            rest.start = hit.checked_add(1)?;
        }
    }

    /// Hashes at least `nonces` nonces from `first` on, compares nothing, and returns a digest of what came out: how fast the
    /// bare kernel is, for benchmarks.
    pub fn hash_only(&self, first: u64, nonces: u64) -> u64 {
        let times = nonces.div_ceil(self.kernel.lanes() as u64);
        self.kernel.run(&self.prepared, first, times).iter().fold(0, |sum, word| sum ^ word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The first word of a hash, read as the kernels do.
    fn first_word(preimage: &Preimage, nonce: u64) -> u64 {
        u64::from_le_bytes(work(preimage, nonce)[..8].try_into().unwrap())
    }

    #[test]
    fn every_machine_has_a_kernel_and_the_best_one_has_the_most_lanes() {
        let all = Kernel::all();
        assert_eq!(all[0].lanes(), 1);
        assert!(all.iter().all(|kernel| kernel.lanes() <= Kernel::best().lanes()));
    }

    #[test]
    fn a_search_that_finds_nothing_says_so() {
        for kernel in Kernel::all() {
            assert_eq!(Search::with_kernel(kernel, [0; 32], [0; 32]).find(0..1_000), None, "{kernel}");
            assert_eq!(Search::with_kernel(kernel, [0; 32], [0xff; 32]).find(5..5), None, "{kernel}");
        }
    }

    #[test]
    fn a_search_ends_at_the_last_nonce_there_is() {
        for kernel in Kernel::all() {
            let (all, none) = (u64::MAX - 3..u64::MAX, [0; 32]);
            assert_eq!(Search::with_kernel(kernel, [1; 32], none).find(all.clone()), None, "{kernel}");
            assert_eq!(Search::with_kernel(kernel, [1; 32], [0xff; 32]).find(all), Some(u64::MAX - 3), "{kernel}");
        }
    }

    #[test]
    fn a_hash_that_begins_as_the_target_does_and_is_above_it_is_not_found() {
        for kernel in Kernel::all() {
            let mut target = work(&[3; 32], 40);
            target[31] -= 1;
            assert_eq!(Search::with_kernel(kernel, [3; 32], target).find(40..41), None, "{kernel}");
        }
    }

    proptest! {
        #[test]
        fn every_lane_of_every_kernel_computes_the_hash_of_the_sha3_crate(preimage: Preimage, first: u64) {
            for kernel in Kernel::all() {
                let words = kernel.run(&Prepared::new(&preimage), first, 1);
                for (lane, word) in words.into_iter().take(kernel.lanes()).enumerate() {
                    let expected = first_word(&preimage, first.wrapping_add(lane as u64));
                    prop_assert_eq!(word, expected, "{} lane {}", kernel, lane);
                }
            }
        }

        #[test]
        fn every_kernel_finds_the_first_nonce_that_meets_the_target(
            preimage: Preimage,
            start in 0u64..u64::MAX - 300,
            length in 0u64..300,
            first_byte in 0u8..0x20,
        ) {
            let mut target = [0xff; 32];
            target[0] = first_byte;
            let nonces = start..start + length;
            let expected = nonces.clone().find(|nonce| work(&preimage, *nonce) <= target);
            for kernel in Kernel::all() {
                let found = Search::with_kernel(kernel, preimage, target).find(nonces.clone());
                prop_assert_eq!(found, expected, "{}", kernel);
            }
        }

        #[test]
        fn a_nonce_is_found_in_whatever_lane_it_falls_when_only_its_own_hash_meets_the_target(
            preimage: Preimage,
            nonce in 64u64..u64::MAX,
            before in 0u64..64,
        ) {
            let target = work(&preimage, nonce);
            let nonces = nonce - before..nonce + 1;
            let expected = nonces.clone().find(|nonce| work(&preimage, *nonce) <= target);
            for kernel in Kernel::all() {
                let found = Search::with_kernel(kernel, preimage, target).find(nonces.clone());
                prop_assert_eq!(found, expected, "{}", kernel);
            }
        }
    }
}
