//! SHA3 proof of work, without chain types.
//!
//! ```text
//! preimage = SHA3-256(payload)
//! work     = SHA3-256(preimage ‖ nonce as 8 bytes little-endian)
//! valid    ⇔ work, read as a big-endian number, ≤ target
//! ```
//!
//! The message of the inner loop is 40 bytes, which is one permutation of Keccak-f\[1600\]. A [`Search`] runs it for
//! several nonces at once, with the widest [`Kernel`] that the processor has; all kernels share the permutation in
//! `keccak`, written once over the operations in `lanes`. The `sha3` crate is what they are tested against, and what
//! everything but the search is hashed with.
//!
//! ```
//! let image = weir_pow::preimage(b"what is sealed");
//! let target = [0x0f; 32];
//! let nonce = weir_pow::Search::new(image, target).find(0..1_000).expect("one hash in sixteen meets this target");
//! assert!(weir_pow::work(&image, nonce) <= target);
//! ```

mod keccak;
mod kernel;
mod lanes;
pub mod priority;
mod search;
pub mod searchers;

pub use kernel::Kernel;
pub use search::Search;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
