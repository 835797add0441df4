//! The keys that sign blocks for an account.
//!
//! An account signs its blocks itself until it names another key. That key then makes the account's blocks: it spends its credit and earns for it, and
//! can do nothing else. A key signs for one account at most, since a block names the key alone, and must agree: else anybody could take the blocks of
//! others by naming their keys.

use crate::{AuthorKeys, Config, Error, Event, KeyOwners, Pallet};
use frame_support::{ensure, pallet_prelude::DispatchResult};
use frame_system::pallet_prelude::BlockNumberFor;
use sp_core::sr25519;
use sp_runtime::traits::Verify;
use weir_primitives::{consensus::author_key_payload, AccountId, Hash};

/// A key, and its signature over [`author_key_payload`].
pub type ProvenKey = (sr25519::Public, sr25519::Signature);

impl<T: Config> Pallet<T> {
    /// The account for which a key signs.
    pub fn account_of(key: &AccountId) -> AccountId {
        KeyOwners::<T>::get(key).unwrap_or_else(|| key.clone())
    }

    /// The key that signs for an account.
    pub fn key_of(account: &AccountId) -> AccountId {
        AuthorKeys::<T>::get(account).unwrap_or_else(|| account.clone())
    }

    /// Names another key, or none but the account itself.
    pub(crate) fn change_key(account: &AccountId, proven: Option<ProvenKey>) -> DispatchResult {
        let key = proven.map(|(public, proof)| Self::check_key(account, public, &proof)).transpose()?;
        if let Some(before) = AuthorKeys::<T>::take(account) {
            KeyOwners::<T>::remove(before);
        }
        if let Some(key) = &key {
            KeyOwners::<T>::insert(key, account);
            AuthorKeys::<T>::insert(account, key);
        }
        Self::deposit_event(Event::KeySet { account: account.clone(), key });
        Ok(())
    }

    fn check_key(
        account: &AccountId,
        public: sr25519::Public,
        proof: &sr25519::Signature,
    ) -> Result<AccountId, Error<T>> {
        let key = AccountId::from(public);
        ensure!(key != *account, Error::<T>::OwnKey);
        ensure!(KeyOwners::<T>::get(&key).is_none_or(|owner| owner == *account), Error::<T>::KeyTaken);
        let payload = author_key_payload(Self::genesis_hash(), account);
        ensure!(proof.verify(payload.as_slice(), &public), Error::<T>::BadSignature);
        Ok(key)
    }

    /// The hash of the first block, which keeps a signature to this chain.
    pub(crate) fn genesis_hash() -> Hash {
        frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::from(0u32))
    }
}
