//! What comes from peers: who is banned for what ([`peer_policy`]), and checks of whole batches of headers
//! ([`verify_ahead`]) on all processors ([`parallel`]), whose results wait for the verifier ([`verified_headers`]). Signatures
//! of extrinsics ([`signatures`]) are verified ahead of execution too, many together ([`sr25519_batch`]).

pub mod parallel;
pub mod peer_policy;
pub mod signatures;
pub mod sr25519_batch;
pub mod verified_headers;
pub mod verify_ahead;
