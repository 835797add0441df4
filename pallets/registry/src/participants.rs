//! What measurement is told of who takes part, and what it tells.

#[cfg(feature = "runtime-benchmarks")]
use crate::types::{Provider, ProviderSlot};
use crate::{
    challengers::Challenging, types::Role, ChallengerSlots, Config, Error, Event, Pallet, PrefixSums, ProviderSlots,
    Providers, Sums,
};
use frame_support::{ensure, traits::Get};
use sp_runtime::{DispatchResult, Perbill};
use weir_primitives::{
    interfaces::{EpochProvider, Everybody, Guarantees, Participants},
    measurement::{
        lottery::{groups::Prefix, Seed},
        PeerKey,
    },
    AccountId, EpochIndex,
};
#[cfg(feature = "runtime-benchmarks")]
use weir_primitives::{measurement::lottery::groups::Family, versions::Versions};

impl<T: Config> Participants for Pallet<T> {
    type Challengers = Challenging<T>;

    fn challengers(epoch: EpochIndex) -> Self::Challengers {
        Challenging::of(epoch)
    }

    fn challenger(slot: u32, epoch: EpochIndex) -> Option<(AccountId, PeerKey)> {
        ChallengerSlots::<T>::get(slot).map(|entry| {
            let identity = *entry.identity.at(epoch);
            (entry.account, identity)
        })
    }

    fn provider(slot: u32, epoch: EpochIndex) -> Option<EpochProvider> {
        let entry = ProviderSlots::<T>::get(slot).filter(|entry| entry.is_active(epoch))?;
        Some(EpochProvider {
            identity: *entry.identity.at(epoch),
            family: entry.family,
            prefix: *entry.prefix.at(epoch),
            declared: *entry.declared.at(epoch),
            wanted: *entry.wanted.at(epoch),
            guaranteed: *entry.guaranteed.at(epoch),
            from: entry.from,
            account: entry.account,
        })
    }

    fn everybody(epoch: EpochIndex) -> Everybody {
        let sums = Sums::<T>::get();
        let class = T::Rules::get().map_or(0, |rules| rules.class_bits_per_second);
        Everybody {
            provider_slots: Self::slots(Role::Provider, epoch),
            providers: *sums.providers.at(epoch),
            challengers: *sums.challengers.at(epoch),
            seniors: *sums.seniors.at(epoch),
            wanted: *sums.wanted.at(epoch),
            class: u128::from(*sums.challengers.at(epoch)).saturating_mul(class.into()),
            guaranteed: *sums.guaranteed.at(epoch),
        }
    }

    fn wanted_behind(prefix: Prefix, epoch: EpochIndex) -> u128 {
        PrefixSums::<T>::get(prefix).map_or(0, |sum| *sum.at(epoch))
    }

    fn start_epoch(epoch: EpochIndex, seed: &Seed) {
        Self::admit(epoch, seed);
    }

    fn set_measured(slot: u32, guaranteed_bits_per_second: u64, prefix: Option<Prefix>) {
        Self::change_provider(slot, |entry, next| {
            if *entry.guaranteed.last() != guaranteed_bits_per_second {
                entry.guaranteed.set(next, guaranteed_bits_per_second);
            }
            if prefix.is_some() && *entry.prefix.last() != prefix {
                entry.prefix.set(next, prefix);
            }
        });
    }

    fn evict(slot: u32) {
        let Some(account) = ProviderSlots::<T>::get(slot).map(|entry| entry.account) else { return };
        let is_there = Providers::<T>::get(&account).is_some_and(|it| it.slot == Some(slot));
        if is_there && Self::retire_provider(&account).is_ok() {
            Self::deposit_event(Event::Evicted { provider: account });
        }
    }

    fn jail(challenger: &AccountId) -> bool {
        Self::jail_challenger(challenger)
    }

    fn slash_challenger(identity: &PeerKey, shown_by: &AccountId) -> DispatchResult {
        let (account, role) = Self::who_answers_for(identity).ok_or(Error::<T>::NotRegistered)?;
        ensure!(role == Role::Challenger, Error::<T>::NotRegistered);
        let taken = Self::take_bond(&account, role, Perbill::one(), Some(shown_by))?;
        ensure!(taken > 0, Error::<T>::NothingChanges);
        Ok(())
    }
}

impl<T: Config> Guarantees for Pallet<T> {
    fn of(provider: &AccountId) -> Option<u64> {
        let slot = Providers::<T>::get(provider)?.slot?;
        let epoch = Self::epoch();
        let entry = ProviderSlots::<T>::get(slot).filter(|entry| entry.is_active(epoch));
        Some(entry.map_or(0, |entry| *entry.guaranteed.at(epoch)))
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn set(provider: &AccountId, bits_per_second: u64) {
        let identity = PeerKey::default();
        let slot = Providers::<T>::get(provider).and_then(|it| it.slot).unwrap_or(u32::MAX);
        let mut entry =
            ProviderSlot::new(provider.clone(), 0, identity, Family::V4, bits_per_second, bits_per_second, None);
        entry.guaranteed = Versions::new(bits_per_second);
        ProviderSlots::<T>::insert(slot, entry);
        let slot = Some(slot);
        let known =
            Provider { slot, bond: 0, excess: None, leaves: None, identity, former_identities: Default::default() };
        Providers::<T>::insert(provider, known);
    }
}
