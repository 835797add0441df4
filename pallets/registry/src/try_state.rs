//! What holds of the state at any time.

use crate::{
    types::{ChallengerSlot, FormerIdentities, ProviderSlot, Role, Standing},
    ChallengerSlots, Challengers, Config, FreedSlots, HoldReason, Identities, JuniorsFrom, Pallet, PrefixSums,
    ProviderSlots, Providers, Sums, Tables, Waiting, WaitingCount,
};
use alloc::{collections::BTreeMap, vec::Vec};
use frame_support::{ensure, traits::fungible::InspectHold};
use sp_runtime::TryRuntimeError;
use weir_primitives::{
    measurement::{
        lottery::{committee::JUNIOR_EPOCHS, groups::Prefix},
        PeerKey,
    },
    EpochIndex,
};

impl<T: Config> Pallet<T> {
    /// Checks the invariants of the storage.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        Self::check_providers()?;
        Self::check_challengers()?;
        let epoch = Self::epoch();
        for asked in epoch.saturating_sub(1)..=epoch.saturating_add(1) {
            Self::check_sums(asked)?;
        }
        for role in [Role::Provider, Role::Challenger] {
            let table = Tables::<T>::get(role);
            let freed = FreedSlots::<T>::iter_prefix(role).count();
            ensure!(freed == table.freed_end.wrapping_sub(table.freed_begin) as usize, "a slot became free twice");
        }
        Ok(())
    }

    fn check_providers() -> Result<(), TryRuntimeError> {
        for (account, provider) in Providers::<T>::iter() {
            let held = T::Currency::balance_on_hold(&HoldReason::Provider.into(), &account);
            let excess = provider.excess.map_or(0, |(excess, _)| excess);
            ensure!(held == provider.bond.saturating_add(excess), "the bond of a provider is not what is held");
            ensure!(provider.slot.is_some() != provider.leaves.is_some(), "a provider neither stays nor leaves");
            // From when on its bond could be taken back, others may have its identity.
            if provider.leaves.is_none_or(|until| Self::block_number() < until) {
                let owner = Identities::<T>::get(provider.identity).ok_or("a provider has no identity")?;
                ensure!(owner.account == account && owner.role == Role::Provider, "an identity is another's");
            }
            let Some(slot) = provider.slot else { continue };
            let entry = ProviderSlots::<T>::get(slot).ok_or("a provider has an empty slot")?;
            ensure!(entry.account == account && entry.until.is_none(), "a provider's slot is another's");
            ensure!(*entry.identity.last() == provider.identity, "a slot has another identity");
            ensure!(*entry.guaranteed.last() <= *entry.declared.last(), "more is guaranteed than was declared");
        }
        let slots = ProviderSlots::<T>::iter_values().filter(|entry| entry.until.is_none()).count();
        let staying = Providers::<T>::iter_values().filter(|provider| provider.slot.is_some()).count();
        ensure!(slots == staying, "somebody has two slots");
        Ok(())
    }

    fn check_challengers() -> Result<(), TryRuntimeError> {
        let mut waiting = 0u32;
        for (account, challenger) in Challengers::<T>::iter() {
            let held = T::Currency::balance_on_hold(&HoldReason::Challenger.into(), &account);
            ensure!(held == challenger.bond, "the bond of a challenger is not what is held");
            let answers = match challenger.standing {
                Standing::Leaving { until } => Self::block_number() < until,
                _ => true,
            };
            if answers {
                let owner = Identities::<T>::get(challenger.identity).ok_or("a challenger has no identity")?;
                ensure!(owner.account == account && owner.role == Role::Challenger, "an identity is another's");
            }
            match challenger.standing {
                Standing::Waiting { place } => {
                    ensure!(Waiting::<T>::get(place) == Some(account), "somebody waits at another's place");
                    ensure!(place < WaitingCount::<T>::get(), "somebody waits where nobody looks");
                    waiting = waiting.saturating_add(1);
                },
                Standing::Active { slot } => {
                    let entry = ChallengerSlots::<T>::get(slot).ok_or("a challenger has an empty slot")?;
                    ensure!(entry.account == account && entry.until.is_none(), "a challenger's slot is another's");
                },
                _ => (),
            }
        }
        ensure!(waiting == WaitingCount::<T>::get(), "there are gaps among those who wait");
        Ok(())
    }

    fn check_sums(epoch: EpochIndex) -> Result<(), TryRuntimeError> {
        let sums = Sums::<T>::get();
        let providers: Vec<ProviderSlot> = ProviderSlots::<T>::iter_values().filter(|it| it.is_active(epoch)).collect();
        let sum = |of: &dyn Fn(&ProviderSlot) -> u64| providers.iter().map(|it| u128::from(of(it))).sum::<u128>();
        // A slot that was given again says nothing of the epochs before.
        if epoch >= Self::epoch() {
            ensure!(*sums.providers.at(epoch) as usize == providers.len(), "the number of providers is wrong");
            ensure!(*sums.wanted.at(epoch) == sum(&|it| *it.wanted.at(epoch)), "what is wanted does not add up");
            ensure!(*sums.guaranteed.at(epoch) == sum(&|it| *it.guaranteed.at(epoch)), "guaranteed does not add up");
            let mut behind = BTreeMap::<Prefix, u128>::new();
            for provider in &providers {
                if let Some(prefix) = provider.prefix.at(epoch) {
                    let sum: &mut u128 = behind.entry(*prefix).or_default();
                    *sum = sum.saturating_add((*provider.wanted.at(epoch)).into());
                }
            }
            for (prefix, wanted) in PrefixSums::<T>::iter() {
                ensure!(*wanted.at(epoch) == behind.remove(&prefix).unwrap_or(0), "a prefix does not add up");
            }
            ensure!(behind.values().all(|wanted| *wanted == 0), "a prefix was forgotten");
            let active: Vec<ChallengerSlot> = ChallengerSlots::<T>::iter_values()
                .filter(|it| it.from <= epoch && it.until.is_none_or(|until| epoch < until))
                .collect();
            ensure!(*sums.challengers.at(epoch) as usize == active.len(), "the number of challengers is wrong");
            let seniors =
                active.iter().filter(|it| it.from == 0 || epoch.saturating_sub(it.from) >= JUNIOR_EPOCHS).count();
            ensure!(*sums.seniors.at(epoch) as usize == seniors, "the number of seniors is wrong");
        }
        // Nobody answers for an identity whose account is gone.
        for (identity, owner) in Identities::<T>::iter() {
            let had = |now: PeerKey, former: &FormerIdentities| {
                now == identity || former.iter().any(|(former, _)| *former == identity)
            };
            let is_known = match owner.role {
                Role::Provider => {
                    Providers::<T>::get(&owner.account).is_some_and(|it| had(it.identity, &it.former_identities))
                },
                Role::Challenger => {
                    Challengers::<T>::get(&owner.account).is_some_and(|it| had(it.identity, &it.former_identities))
                },
            };
            ensure!(is_known, "an identity is nobody's");
        }
        let juniors: u32 = JuniorsFrom::<T>::iter_values().sum();
        let last = sums.challengers.last().saturating_sub(*sums.seniors.last());
        ensure!(juniors == last, "the juniors do not add up");
        Ok(())
    }
}
