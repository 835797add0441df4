//! Keys that this node makes for an account, so that no secret leaves it.

use sc_consensus_grandpa::AuthorityId as VoterKey;
use serde::{Deserialize, Serialize};
use sp_core::{crypto::ByteArray, ed25519, sr25519, Bytes};
use sp_keystore::KeystorePtr;
use weir_consensus::miner;
use weir_primitives::{consensus::author_key_payload, finality::voter_payload, AccountId, Hash};

/// A key in this node's keystore, and its agreement to sign for an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewKey {
    /// The public key.
    key: Bytes,
    /// Its signature over the account and the chain.
    proof: Bytes,
}

impl NewKey {
    fn new(key: &impl ByteArray, proof: &[u8]) -> Self {
        Self { key: key.to_raw_vec().into(), proof: proof.to_vec().into() }
    }
}

/// Makes a key that signs blocks for an account.
///
/// # Errors
///
/// When the keystore cannot be written.
pub fn new_author_key(keystore: &KeystorePtr, genesis: Hash, account: &AccountId) -> Result<NewKey, String> {
    let failed = |error: sp_keystore::Error| format!("the keystore failed: {error}");
    let key: sr25519::Public = keystore.sr25519_generate_new(miner::KEY_TYPE, None).map_err(failed)?;
    let proof = keystore.sr25519_sign(miner::KEY_TYPE, &key, &author_key_payload(genesis, account)).map_err(failed)?;
    Ok(NewKey::new(&key, proof.ok_or("the key that was made is not in the keystore")?.as_ref()))
}

/// Makes a key that votes for an account.
///
/// # Errors
///
/// When the keystore cannot be written.
pub fn new_voter_key(keystore: &KeystorePtr, genesis: Hash, account: &AccountId) -> Result<NewKey, String> {
    let failed = |error: sp_keystore::Error| format!("the keystore failed: {error}");
    let key_type = sp_consensus_grandpa::KEY_TYPE;
    let key: ed25519::Public = keystore.ed25519_generate_new(key_type, None).map_err(failed)?;
    let proof = keystore.ed25519_sign(key_type, &key, &voter_payload(genesis, account)).map_err(failed)?;
    Ok(NewKey::new(&VoterKey::from(key), proof.ok_or("the key that was made is not in the keystore")?.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sp_core::Pair;
    use sp_keystore::testing::MemoryKeystore;
    use sp_runtime::RuntimeAppPublic;

    #[test]
    fn what_a_new_key_proves_is_what_the_chain_checks() {
        let keystore: KeystorePtr = std::sync::Arc::new(MemoryKeystore::new());
        let (genesis, account) = (Hash::repeat_byte(1), AccountId::new([2; 32]));
        let author = new_author_key(&keystore, genesis, &account).unwrap();
        let key = sr25519::Public::from_slice(&author.key).unwrap();
        let proof = sr25519::Signature::try_from(&author.proof[..]).unwrap();
        assert!(sr25519::Pair::verify(&proof, author_key_payload(genesis, &account), &key));
        assert!(keystore.has_keys(&[(author.key.to_vec(), miner::KEY_TYPE)]));

        let voter = new_voter_key(&keystore, genesis, &account).unwrap();
        let key = VoterKey::from_slice(&voter.key).unwrap();
        let proof = ed25519::Signature::try_from(&voter.proof[..]).unwrap();
        assert!(key.verify(&voter_payload(genesis, &account), &proof.into()));
        assert!(keystore.has_keys(&[(voter.key.to_vec(), sp_consensus_grandpa::KEY_TYPE)]));
    }
}
