//! Who an agent is on the network, and where it is reached.

use crate::{AccountId, Hash};
use alloc::vec::Vec;
use codec::Encode;
use sp_core::{ed25519, ConstU32};
use sp_runtime::BoundedVec;

/// The most bytes of one endpoint in binary multiaddress form.
pub const MAX_ENDPOINT_BYTES: u32 = 128;
/// The most endpoints of one account.
pub const MAX_ENDPOINTS: u32 = 4;

/// The public half of an agent's identity key, which is also its libp2p peer.
pub type PeerKey = ed25519::Public;
/// A multiaddress in binary form; an address, never a name.
pub type Endpoint = BoundedVec<u8, ConstU32<MAX_ENDPOINT_BYTES>>;
/// Where an agent can be reached, the best one first.
pub type Endpoints = BoundedVec<Endpoint, ConstU32<MAX_ENDPOINTS>>;

/// What an identity key signs to show that it agrees to act for an account: `"weir:peer:v1" ‖ genesis ‖ account`.
pub fn peer_payload(genesis: Hash, account: &AccountId) -> Vec<u8> {
    let mut payload = b"weir:peer:v1".to_vec();
    (genesis, account).encode_to(&mut payload);
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signed_bytes_are_those_of_the_specification() {
        let payload = peer_payload(Hash::repeat_byte(9), &AccountId::new([6; 32]));
        assert_eq!(payload, [b"weir:peer:v1".as_slice(), &[9; 32], &[6; 32]].concat());
    }
}
