//! Taking over those who hold a bond already: the providers and challengers of the first edition, whose bonds were held for the same
//! reasons.

use crate::{
    types::{Challenger, Owner, Provider, ProviderSlot, Role, Standing},
    Challengers, Config, Identities, Pallet, ProviderSlots, Providers,
};
use alloc::vec::Vec;
use frame_support::{storage::with_storage_layer, traits::Get};
use weir_primitives::{
    measurement::{
        endpoint::{self, Service},
        lottery::{groups::Family, instants::wanted_bits_per_second},
        Endpoints, PeerKey,
    },
    AccountId, Balance, BlockNumber,
};

/// Somebody who holds a bond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bonded {
    /// The account.
    pub account: AccountId,
    /// The identity of its agent.
    pub identity: PeerKey,
    /// The bond that is held.
    pub bond: Balance,
    /// The block from which on it can be taken back, if the account is leaving.
    pub leaving: Option<BlockNumber>,
}

impl<T: Config> Pallet<T> {
    /// Makes somebody a provider from the next epoch on, of whom nothing was measured.
    pub fn adopt_provider(bonded: Bonded, declared: u64, family: Family, mining_author: Option<AccountId>) {
        let Bonded { account, identity, bond, leaving } = bonded;
        let owner = Owner { account: account.clone(), role: Role::Provider, until: leaving };
        Identities::<T>::insert(identity, owner);
        let slot = leaving.is_none().then(|| {
            let from = Self::epoch().saturating_add(1);
            let slot = Self::take_slot(Role::Provider, from);
            let declared = declared.min(T::MostDeclared::get());
            let wanted = wanted_bits_per_second(declared, 0, T::GrowthStep::get());
            let entry = ProviderSlot::new(account.clone(), from, identity, family, declared, wanted, mining_author);
            Self::join(&entry);
            ProviderSlots::<T>::insert(slot, entry);
            slot
        });
        let provider =
            Provider { slot, bond, excess: None, leaves: leaving, identity, former_identities: Default::default() };
        Providers::<T>::insert(account, provider);
    }

    /// Makes somebody a challenger from the next epoch on; one that has not the endpoints that are asked for, or not what bonds are now, when it
    /// comes back.
    pub fn adopt_challenger(bonded: Bonded, endpoints: Endpoints) {
        let Bonded { account, identity, bond, leaving } = bonded;
        let owner = Owner { account: account.clone(), role: Role::Challenger, until: leaving };
        Identities::<T>::insert(identity, owner);
        let mut challenger = Challenger {
            standing: leaving.map_or(Standing::Paused { from: 0 }, |until| Standing::Leaving { until }),
            bond,
            times_jailed: 0,
            identity,
            former_identities: Default::default(),
            endpoints: one_of_each_family(&endpoints),
        };
        if leaving.is_none() && !challenger.endpoints.is_empty() {
            let next = Self::epoch().saturating_add(1);
            // What is not done leaves it paused.
            let _ = with_storage_layer(|| Self::activate(&account, &mut challenger, next));
        }
        Challengers::<T>::insert(account, challenger);
    }
}

/// The first endpoint of a control stream of each address family.
fn one_of_each_family(endpoints: &Endpoints) -> Endpoints {
    let mut families = Vec::new();
    let mut kept = Endpoints::default();
    for bytes in endpoints {
        let Some((address, Service::Control)) = endpoint::decode(bytes) else { continue };
        let is_v4 = address.ip().to_canonical().is_ipv4();
        if !families.contains(&is_v4) && kept.try_push(bytes.clone()).is_ok() {
            families.push(is_v4);
        }
    }
    kept
}
