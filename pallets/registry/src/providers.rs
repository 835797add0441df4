//! Providers: who is measured, and the sums that draws and pay follow from.

use crate::{
    types::{Provider, ProviderSlot, Role},
    Config, EmptyPrefixes, Error, Event, HoldReason, Joining, Pallet, PrefixSums, ProviderSlots, Providers, Sums,
    ZeroedPrefixes,
};
use frame_support::{
    ensure,
    traits::{fungible::MutateHold, tokens::Precision, Get},
};
use sp_runtime::{DispatchError, DispatchResult};
use weir_primitives::{
    interfaces::{HasRoom, OnGuaranteed, Units},
    measurement::lottery::{
        groups::{Family, Prefix},
        instants::wanted_bits_per_second,
    },
    registry::LEAST_BITS_PER_SECOND,
    versions::Versions,
    AccountId, Balance, EpochIndex,
};

/// How many prefixes that nobody is behind any more are forgotten for each that is left.
const FORGOTTEN_PER_LEFT: u32 = 2;

/// What a provider adds to the sums of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Part {
    providers: u32,
    wanted: u64,
    guaranteed: u64,
    prefix: Option<Prefix>,
    mining_author: Option<AccountId>,
}

impl Part {
    fn of(slot: &ProviderSlot, epoch: EpochIndex) -> Self {
        if !slot.is_active(epoch) {
            return Self::default();
        }
        Self {
            providers: 1,
            wanted: *slot.wanted.at(epoch),
            guaranteed: *slot.guaranteed.at(epoch),
            prefix: *slot.prefix.at(epoch),
            mining_author: slot.mining_author.at(epoch).clone(),
        }
    }

    fn units(&self) -> Units<'_> {
        Units { mining_author: self.mining_author.as_ref(), bits_per_second: self.guaranteed }
    }
}

impl<T: Config> Pallet<T> {
    /// Makes an account a provider from the next epoch on.
    pub(crate) fn add_provider(
        account: AccountId,
        identity: weir_primitives::measurement::PeerKey,
        declared: u64,
        family: Family,
        mining_author: Option<AccountId>,
    ) -> DispatchResult {
        let rules = Self::rules()?;
        Self::check_declared(declared)?;
        ensure!(!Providers::<T>::contains_key(&account), Error::<T>::AlreadyRegistered);
        let from = Self::epoch().saturating_add(1);
        Joining::<T>::try_mutate(|(epoch, joining)| {
            *joining = if *epoch == from { joining.saturating_add(1) } else { 1 };
            *epoch = from;
            ensure!(*joining <= rules.most_joining, Error::<T>::TooManyJoin);
            Ok::<_, Error<T>>(())
        })?;
        let wanted = wanted_bits_per_second(declared, 0, T::GrowthStep::get());
        ensure!(T::HasRoom::has_room_for(wanted), Error::<T>::NoRoom);

        let bond = rules.bond_of_provider(declared);
        T::Currency::hold(&HoldReason::Provider.into(), &account, bond)?;
        let slot = Self::take_slot(Role::Provider, from);
        let entry = ProviderSlot::new(account.clone(), from, identity, family, declared, wanted, mining_author.clone());
        Self::join(&entry);
        ProviderSlots::<T>::insert(slot, entry);
        let provider = Provider {
            slot: Some(slot),
            bond,
            excess: None,
            leaves: None,
            identity,
            former_identities: Default::default(),
        };
        Providers::<T>::insert(&account, provider);
        Self::deposit_event(Event::ProviderJoined {
            provider: account,
            slot,
            from,
            declared,
            bond,
            family,
            identity,
            mining_author,
        });
        Ok(())
    }

    /// At least one Mbit/s, and no more than there is a committee for: its window would else stay as it is for ever.
    fn check_declared(declared: u64) -> DispatchResult {
        ensure!(declared >= LEAST_BITS_PER_SECOND, Error::<T>::DeclaredTooLittle);
        ensure!(declared <= T::MostDeclared::get(), Error::<T>::DeclaredTooMuch);
        Ok(())
    }

    /// Changes what a slot says of a provider from the next epoch on, and all sums with it.
    pub(crate) fn change_provider(slot: u32, change: impl FnOnce(&mut ProviderSlot, EpochIndex)) {
        let next = Self::epoch().saturating_add(1);
        ProviderSlots::<T>::mutate(slot, |entry| {
            let Some(entry) = entry else { return };
            let before = Part::of(entry, next);
            change(entry, next);
            let declared = *entry.declared.last();
            if *entry.guaranteed.last() > declared {
                entry.guaranteed.set(next, declared);
            }
            let wanted = wanted_bits_per_second(*entry.declared.last(), *entry.guaranteed.last(), T::GrowthStep::get());
            if wanted != *entry.wanted.last() {
                entry.wanted.set(next, wanted);
            }
            let after = Part::of(entry, next);
            Self::add_up(&entry.account, &before, &after, next);
        });
    }

    /// Adds a provider to the sums of the first epoch in which it is active.
    pub(crate) fn join(entry: &ProviderSlot) {
        Self::add_up(&entry.account, &Part::default(), &Part::of(entry, entry.from), entry.from);
    }

    /// Brings the sums of an epoch from what one provider was to what it is.
    fn add_up(account: &AccountId, before: &Part, after: &Part, from: EpochIndex) {
        if before == after {
            return;
        }
        Sums::<T>::mutate(|sums| {
            let providers = sums.providers.last().saturating_sub(before.providers).saturating_add(after.providers);
            sums.providers.set(from, providers);
            let moved = |sum: &Versions<u128>, before: u64, after: u64| {
                sum.last().saturating_sub(before.into()).saturating_add(after.into())
            };
            sums.wanted.set(from, moved(&sums.wanted, before.wanted, after.wanted));
            sums.guaranteed.set(from, moved(&sums.guaranteed, before.guaranteed, after.guaranteed));
        });
        if before.prefix == after.prefix {
            if let Some(prefix) = after.prefix {
                let stays = |sum: u128| sum.saturating_sub(before.wanted.into()).saturating_add(after.wanted.into());
                Self::move_prefix_sum(prefix, from, stays);
            }
        } else {
            if let Some(prefix) = before.prefix {
                Self::move_prefix_sum(prefix, from, |sum| sum.saturating_sub(before.wanted.into()));
            }
            if let Some(prefix) = after.prefix {
                Self::move_prefix_sum(prefix, from, |sum| sum.saturating_add(after.wanted.into()));
            }
        }
        T::OnGuaranteed::on_guaranteed(account, from, before.units(), after.units());
    }

    fn move_prefix_sum(prefix: Prefix, from: EpochIndex, change: impl FnOnce(u128) -> u128) {
        let emptied = PrefixSums::<T>::mutate(prefix, |sum| {
            let sum = sum.get_or_insert_with(Versions::default);
            let (was, is) = (*sum.last(), change(*sum.last()));
            sum.set(from, is);
            was > 0 && is == 0
        });
        if emptied {
            Self::forget_prefixes(prefix, from);
        }
    }

    /// Notes that nobody is behind a prefix any more, and forgets some that were noted before.
    fn forget_prefixes(prefix: Prefix, from: EpochIndex) {
        let epoch = Self::epoch();
        ZeroedPrefixes::<T>::mutate(|zeroed| {
            EmptyPrefixes::<T>::insert(zeroed.end, (prefix, from));
            zeroed.end = zeroed.end.wrapping_add(1);
            for _ in 0..FORGOTTEN_PER_LEFT {
                let Some((prefix, from)) = EmptyPrefixes::<T>::get(zeroed.begin) else { break };
                // In the epoch in which it is empty for the first time, the one before may be asked for.
                if from >= epoch {
                    break;
                }
                EmptyPrefixes::<T>::remove(zeroed.begin);
                zeroed.begin = zeroed.begin.wrapping_add(1);
                // Somebody may have come since; who left again after that has noted it again.
                let is_unused = |sum: &Versions<u128>| {
                    *sum.at(epoch.saturating_sub(1)) == 0 && *sum.at(epoch) == 0 && *sum.last() == 0
                };
                if PrefixSums::<T>::get(prefix).is_some_and(|sum| is_unused(&sum)) {
                    PrefixSums::<T>::remove(prefix);
                }
            }
        });
    }

    /// Sets what a provider declares from the next epoch on, and what it has bonded for it.
    pub(crate) fn change_declared(account: &AccountId, declared: u64) -> DispatchResult {
        let bond = Self::rules()?.bond_of_provider(declared);
        Self::check_declared(declared)?;
        let until = Self::unbonded_at()?;
        Providers::<T>::try_mutate(account, |provider| {
            let provider = provider.as_mut().ok_or(Error::<T>::NotRegistered)?;
            let slot = provider.slot.ok_or(Error::<T>::Leaving)?;
            let now = ProviderSlots::<T>::get(slot).map_or(0, |entry| *entry.declared.last());
            ensure!(declared != now, Error::<T>::NothingChanges);
            if declared > now {
                let more = wanted_bits_per_second(declared, 0, T::GrowthStep::get());
                let before = wanted_bits_per_second(now, 0, T::GrowthStep::get());
                ensure!(T::HasRoom::has_room_for(more.saturating_sub(before)), Error::<T>::NoRoom);
            }
            // What is needed more comes from what was to be given back first.
            if bond > provider.bond {
                let missing = bond.saturating_sub(provider.bond);
                let (excess, since) = provider.excess.unwrap_or((0, 0));
                let reused = missing.min(excess);
                T::Currency::hold(&HoldReason::Provider.into(), account, missing.saturating_sub(reused))?;
                let left = excess.saturating_sub(reused);
                provider.excess = (left > 0).then_some((left, since));
            } else if bond < provider.bond {
                let freed = provider.bond.saturating_sub(bond);
                let (excess, _) = provider.excess.unwrap_or((0, 0));
                provider.excess = Some((excess.saturating_add(freed), until));
            }
            provider.bond = bond;
            Self::change_provider(slot, |entry, next| entry.declared.set(next, declared));
            Ok::<_, DispatchError>(())
        })?;
        Self::deposit_event(Event::DeclaredSet { provider: account.clone(), declared, bond });
        Ok(())
    }

    /// Takes a provider out of draws from the next epoch on. Its bond can be taken back after the unbonding time.
    pub(crate) fn retire_provider(account: &AccountId) -> DispatchResult {
        let until = Self::unbonded_at()?;
        Providers::<T>::try_mutate(account, |provider| {
            let provider = provider.as_mut().ok_or(Error::<T>::NotRegistered)?;
            let slot = provider.slot.take().ok_or(Error::<T>::Leaving)?;
            provider.leaves = Some(until);
            Self::retire_identity(provider.identity, until);
            Self::empty_provider_slot(slot);
            Ok::<_, DispatchError>(())
        })?;
        Self::deposit_event(Event::Left { account: account.clone(), role: Role::Provider, until });
        Ok(())
    }

    pub(crate) fn empty_provider_slot(slot: u32) {
        let next = Self::epoch().saturating_add(1);
        let mut from = next;
        Self::change_provider(slot, |entry, next| {
            entry.until = Some(next);
            from = entry.from;
        });
        if from >= next {
            // Another one can join instead.
            Joining::<T>::mutate(|(epoch, joining)| {
                if *epoch == next {
                    *joining = joining.saturating_sub(1);
                }
            });
        }
        Self::free_slot(Role::Provider, slot, from, next);
    }

    /// Gives back what is due of a provider's bond.
    pub(crate) fn pay_back_provider(account: &AccountId) -> Result<Balance, DispatchError> {
        let provider = Providers::<T>::get(account).ok_or(Error::<T>::NotRegistered)?;
        let now = Self::block_number();
        let (excess, excess_until) = provider.excess.unwrap_or((0, 0));
        let due = if provider.leaves.is_some_and(|until| until <= now) {
            Providers::<T>::remove(account);
            Self::forget_identities(account, Role::Provider, provider.identity, &provider.former_identities);
            provider.bond.saturating_add(excess)
        } else if excess > 0 && excess_until <= now {
            Providers::<T>::insert(account, Provider { excess: None, ..provider });
            excess
        } else {
            return Err(Error::<T>::StillBonded.into());
        };
        T::Currency::release(&HoldReason::Provider.into(), account, due, Precision::Exact)?;
        Ok(due)
    }
}
