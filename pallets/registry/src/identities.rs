//! The keys that agents sign with. One stays within reach of slashing as long as what it signed can cost a bond.

use crate::{
    types::{FormerIdentities, Owner, Role},
    Challengers, Config, Error, Identities, Pallet, Providers,
};
use frame_support::ensure;
use sp_core::ed25519;
use sp_runtime::{DispatchError, DispatchResult};
use weir_primitives::{
    measurement::{peer_payload, PeerKey},
    AccountId, BlockNumber,
};

impl<T: Config> Pallet<T> {
    /// Makes an identity act for an account, if its key signed that.
    pub(crate) fn claim_identity(
        account: &AccountId,
        role: Role,
        identity: PeerKey,
        proof: &ed25519::Signature,
    ) -> DispatchResult {
        let free = match Identities::<T>::get(identity) {
            None => true,
            Some(owner) => owner.until.is_some_and(|until| until <= Self::block_number()),
        };
        ensure!(free, Error::<T>::IdentityTaken);
        let payload = peer_payload(Self::genesis_hash(), account);
        ensure!(sp_io::crypto::ed25519_verify(proof, &payload, &identity), Error::<T>::BadSignature);
        Identities::<T>::insert(identity, Owner { account: account.clone(), role, until: None });
        Ok(())
    }

    /// Makes an account that is leaving answer for its identity until a block, and no longer.
    pub(crate) fn retire_identity(identity: PeerKey, until: BlockNumber) {
        Identities::<T>::mutate(identity, |owner| {
            if let Some(owner) = owner {
                owner.until = Some(until);
            }
        });
    }

    /// Forgets all identities of an account whose bond is gone.
    pub(crate) fn forget_identities(account: &AccountId, role: Role, identity: PeerKey, former: &FormerIdentities) {
        for identity in former.iter().map(|(identity, _)| *identity).chain([identity]) {
            Self::forget_identity(account, role, identity);
        }
    }

    /// Forgets an identity, unless somebody else has it since.
    fn forget_identity(account: &AccountId, role: Role, identity: PeerKey) {
        if Identities::<T>::get(identity).is_some_and(|owner| owner.account == *account && owner.role == role) {
            Identities::<T>::remove(identity);
        }
    }

    /// Forgets the identities that an account does not answer for any more. Before it takes another: that may be one of them, and it answers for
    /// that again.
    fn forget_expired(account: &AccountId, role: Role, former: &mut FormerIdentities) {
        let now = Self::block_number();
        former.retain(|(identity, until)| {
            if *until <= now {
                Self::forget_identity(account, role, *identity);
            }
            *until > now
        });
    }

    /// Puts an identity with those that an account had before.
    fn put_away(former: &mut FormerIdentities, identity: PeerKey, until: BlockNumber) -> Result<(), Error<T>> {
        Self::retire_identity(identity, until);
        former.try_push((identity, until)).map_err(|_| Error::<T>::TooManyIdentities)
    }

    /// The account that answers for what an identity signed, and as what, as long as it does.
    pub fn who_answers_for(identity: &PeerKey) -> Option<(AccountId, Role)> {
        let owner = Identities::<T>::get(identity)?;
        owner.until.is_none_or(|until| Self::block_number() < until).then_some((owner.account, owner.role))
    }

    /// Gives an account another identity from the next epoch on.
    pub(crate) fn change_identity(
        account: &AccountId,
        role: Role,
        identity: PeerKey,
        proof: &ed25519::Signature,
    ) -> DispatchResult {
        let until = Self::unbonded_at()?;
        let next = Self::epoch().saturating_add(1);
        match role {
            Role::Provider => Providers::<T>::try_mutate(account, |provider| {
                let provider = provider.as_mut().ok_or(Error::<T>::NotRegistered)?;
                let slot = provider.slot.ok_or(Error::<T>::Leaving)?;
                Self::forget_expired(account, role, &mut provider.former_identities);
                Self::claim_identity(account, role, identity, proof)?;
                Self::change_provider(slot, |it, next| it.identity.set(next, identity));
                let old = core::mem::replace(&mut provider.identity, identity);
                Self::put_away(&mut provider.former_identities, old, until)?;
                Ok::<_, DispatchError>(())
            })?,
            Role::Challenger => Challengers::<T>::try_mutate(account, |challenger| {
                let challenger = challenger.as_mut().ok_or(Error::<T>::NotRegistered)?;
                ensure!(!challenger.is_leaving(), Error::<T>::Leaving);
                Self::forget_expired(account, role, &mut challenger.former_identities);
                Self::claim_identity(account, role, identity, proof)?;
                Self::change_challenger(challenger, |it| it.identity.set(next, identity));
                let old = core::mem::replace(&mut challenger.identity, identity);
                Self::put_away(&mut challenger.former_identities, old, until)?;
                Ok::<_, DispatchError>(())
            })?,
        }
        Ok(())
    }
}
