//! SHA3 proof of work, without chain types.
//!
//! ```text
//! preimage = SHA3-256(payload)
//! work     = SHA3-256(preimage ‖ nonce as 8 bytes little-endian)
//! valid    ⇔ work, read as a big-endian number, ≤ target
//! ```
//!
//! The message of the inner loop is 40 bytes, which is one permutation of Keccak-f\[1600\].

pub mod priority;

use sha3::{Digest, Sha3_256};

/// What a search varies the nonce for.
pub type Preimage = [u8; 32];

/// The preimage of a payload.
pub fn preimage(payload: &[u8]) -> Preimage {
    Sha3_256::digest(payload).into()
}

/// The hash of a preimage with a nonce.
pub fn work(preimage: &Preimage, nonce: u64) -> [u8; 32] {
    Sha3_256::new().chain_update(preimage).chain_update(nonce.to_le_bytes()).finalize().into()
}

/// Looks for a nonce in `nonces` whose work is at most `target`, both as big-endian numbers.
pub fn search(preimage: &Preimage, target: &[u8; 32], nonces: core::ops::Range<u64>) -> Option<u64> {
    let prefix = Sha3_256::new().chain_update(preimage);
    nonces.into_iter().find(|nonce| {
        let hash: [u8; 32] = prefix.clone().chain_update(nonce.to_le_bytes()).finalize().into();
        // Arrays compare from the first byte on, which is the most significant one.
        hash <= *target
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_hash_is_sha3_256_of_fips_202() {
        // NIST's example of the empty message.
        let expected = "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a";
        assert_eq!(hex::encode(preimage(b"")), expected);
    }

    #[test]
    fn the_message_of_the_search_is_the_preimage_and_the_nonce_little_endian() {
        let mut message = vec![7u8; 32];
        message.extend([1, 2, 0, 0, 0, 0, 0, 0]);
        assert_eq!(work(&[7; 32], 0x0201), preimage(&message));
    }

    #[test]
    fn a_search_that_finds_nothing_says_so() {
        assert_eq!(search(&[0; 32], &[0; 32], 0..1_000), None);
        assert_eq!(search(&[0; 32], &[0xff; 32], 5..5), None);
    }

    proptest! {
        #[test]
        fn what_is_found_is_the_first_nonce_that_meets_the_target(image: [u8; 32], start in 0u64..1 << 40) {
            let mut target = [0xff; 32];
            target[0] = 0x0f;
            let expected = (start..start + 200).find(|nonce| work(&image, *nonce) <= target);
            prop_assert_eq!(search(&image, &target, start..start + 200), expected);
        }
    }
}
