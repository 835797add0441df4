//! What comes from peers: what each can bring about, and who is banned ([`peer_policy`], with [`catch_up`], [`orphans`],
//! [`responses`] and [`peer_clocks`]); and the queue that checks whole batches ahead ([`verify_ahead`]) on all processors ([`parallel`]), whose
//! results wait for the verifier ([`verified_headers`]), while blocks that are not due wait for their time ([`waiting`]). Signatures of
//! extrinsics ([`signatures`]) are verified ahead of execution too, many together ([`sr25519_batch`]).

pub mod branches;
pub mod catch_up;
pub mod orphans;
pub mod parallel;
pub mod peer_clocks;
pub mod peer_policy;
pub mod responses;
pub mod signatures;
pub mod sr25519_batch;
pub mod verified_headers;
pub mod verify_ahead;
pub mod waiting;
pub mod warp;
