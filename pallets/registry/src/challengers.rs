//! Challengers: who measures, how one is admitted, and how one is kept out.

use crate::{
    types::{Challenger, ChallengerSlot, Owner, Role, Standing},
    AdmissionCarried, ChallengerSlots, Challengers, Config, Error, Event, HoldReason, Identities, JuniorsFrom, Pallet,
    Returning, Sums, Waiting, WaitingCount,
};
use frame_support::{
    ensure,
    storage::with_storage_layer,
    traits::{
        fungible::{Mutate, MutateHold},
        tokens::{Fortitude, Precision, Preservation},
        Get,
    },
};
use sp_runtime::{DispatchError, DispatchResult};
use weir_primitives::{
    measurement::{
        duties::{jail_epochs, most_jailed},
        endpoint::{self, Service},
        lottery::{
            committee::{Candidate, Table, JUNIOR_EPOCHS},
            word, Seed,
        },
        Endpoints, PeerKey,
    },
    registry::{admitted, Registry as Rules},
    versions::Versions,
    AccountId, Balance, EpochIndex,
};

impl Challenger {
    pub(crate) fn is_leaving(&self) -> bool {
        matches!(self.standing, Standing::Leaving { .. })
    }
}

/// Whether a challenger that is active from an epoch on is a senior in another one.
fn is_senior(from: EpochIndex, epoch: EpochIndex) -> bool {
    from == 0 || epoch.saturating_sub(from) >= JUNIOR_EPOCHS
}

/// The challengers of an epoch, as its draws see them.
pub struct Challenging<T> {
    epoch: EpochIndex,
    slots: u32,
    seniors: u32,
    config: core::marker::PhantomData<T>,
}

impl<T: Config> Challenging<T> {
    /// Those of the epoch before this one, of this one or of the next.
    pub fn of(epoch: EpochIndex) -> Self {
        Self {
            epoch,
            slots: Pallet::<T>::slots(Role::Challenger, epoch),
            seniors: *Sums::<T>::get().seniors.at(epoch),
            config: core::marker::PhantomData,
        }
    }
}

impl<T: Config> Table for Challenging<T> {
    fn slots(&self) -> u32 {
        self.slots
    }

    fn seniors(&self) -> u32 {
        self.seniors
    }

    fn candidate(&self, slot: u32) -> Option<Candidate> {
        ChallengerSlots::<T>::get(slot).map(|entry| entry.candidate(self.epoch))
    }
}

impl<T: Config> Pallet<T> {
    /// Makes an account a challenger: from the next epoch on, or, where admission is slow, when its lot is drawn.
    pub(crate) fn add_challenger(account: AccountId, identity: PeerKey, endpoints: Endpoints) -> DispatchResult {
        let rules = Self::rules()?;
        Self::check_endpoints(&endpoints, &rules)?;
        ensure!(!Challengers::<T>::contains_key(&account), Error::<T>::AlreadyRegistered);
        let bond = rules.challenger_bond;
        T::Currency::hold(&HoldReason::Challenger.into(), &account, bond)?;
        let mut challenger = Challenger {
            standing: Standing::Paused { from: 0 },
            bond,
            times_jailed: 0,
            identity,
            former_identities: Default::default(),
            endpoints,
        };
        if rules.slow_admission {
            let place = WaitingCount::<T>::get();
            let fee = rules.admission_fee(place);
            T::Currency::burn_from(&account, fee, Preservation::Preserve, Precision::Exact, Fortitude::Polite)?;
            WaitingCount::<T>::put(place.checked_add(1).ok_or(Error::<T>::NoRoom)?);
            Waiting::<T>::insert(place, &account);
            challenger.standing = Standing::Waiting { place };
            Self::deposit_event(Event::ChallengerWaits { challenger: account.clone(), bond, burned: fee });
        } else {
            Self::activate(&account, &mut challenger, Self::epoch().saturating_add(1))?;
        }
        Challengers::<T>::insert(account, challenger);
        Ok(())
    }

    /// Makes an account a challenger of the first epochs, and a senior, whatever identity it has.
    pub(crate) fn add_genesis_challenger(
        account: AccountId,
        identity: PeerKey,
        endpoints: Endpoints,
    ) -> DispatchResult {
        let rules = Self::rules()?;
        Self::check_endpoints(&endpoints, &rules)?;
        let bond = rules.challenger_bond;
        T::Currency::hold(&HoldReason::Challenger.into(), &account, bond)?;
        ensure!(!Identities::<T>::contains_key(identity), Error::<T>::IdentityTaken);
        Identities::<T>::insert(identity, Owner { account: account.clone(), role: Role::Challenger, until: None });
        let mut challenger = Challenger {
            standing: Standing::Paused { from: 0 },
            bond,
            times_jailed: 0,
            identity,
            former_identities: Default::default(),
            endpoints,
        };
        Self::activate(&account, &mut challenger, 0)?;
        Challengers::<T>::insert(account, challenger);
        Ok(())
    }

    /// Puts a challenger into a slot from an epoch on.
    pub(crate) fn activate(account: &AccountId, challenger: &mut Challenger, from: EpochIndex) -> DispatchResult {
        let rules = Self::rules()?;
        // Rules may have risen while it was away, and the bond: it pays the rest.
        Self::check_endpoints(&challenger.endpoints, &rules)?;
        let missing = rules.challenger_bond.saturating_sub(challenger.bond);
        if missing > 0 {
            T::Currency::hold(&HoldReason::Challenger.into(), account, missing)?;
            challenger.bond = challenger.bond.saturating_add(missing);
        }
        let slot = Self::take_slot(Role::Challenger, from);
        let entry = ChallengerSlot {
            account: account.clone(),
            from,
            until: None,
            identity: Versions::new(challenger.identity),
            endpoints: Versions::new(challenger.endpoints.clone()),
        };
        ChallengerSlots::<T>::insert(slot, entry);
        challenger.standing = Standing::Active { slot };
        Sums::<T>::mutate(|sums| {
            sums.challengers.set(from, sums.challengers.last().saturating_add(1));
            if from == 0 {
                sums.seniors.set(from, sums.seniors.last().saturating_add(1));
            } else {
                JuniorsFrom::<T>::mutate(from, |juniors| *juniors = juniors.saturating_add(1));
            }
        });
        let (identity, endpoints) = (challenger.identity, challenger.endpoints.clone());
        Self::deposit_event(Event::ChallengerActive { challenger: account.clone(), slot, from, identity, endpoints });
        Ok(())
    }

    /// Empties the slot of a challenger from the next epoch on.
    pub(crate) fn empty_challenger_slot(slot: u32) {
        let next = Self::epoch().saturating_add(1);
        let emptied = ChallengerSlots::<T>::mutate(slot, |entry| {
            let entry = entry.as_mut()?;
            entry.until = Some(next);
            Some(entry.from)
        });
        let Some(from) = emptied else { return };
        Sums::<T>::mutate(|sums| {
            sums.challengers.set(next, sums.challengers.last().saturating_sub(1));
            // Those that are seniors from the next epoch on were added to its sum when this one began.
            if is_senior(from, next) {
                sums.seniors.set(next, sums.seniors.last().saturating_sub(1));
            } else {
                JuniorsFrom::<T>::mutate(from, |juniors| *juniors = juniors.saturating_sub(1));
            }
        });
        Self::free_slot(Role::Challenger, slot, from, next);
    }

    /// Changes what the slot of a challenger says, if it is in one.
    pub(crate) fn change_challenger(challenger: &Challenger, change: impl FnOnce(&mut ChallengerSlot)) {
        if let Standing::Active { slot } = challenger.standing {
            ChallengerSlots::<T>::mutate(slot, |entry| {
                if let Some(entry) = entry {
                    change(entry);
                }
            });
        }
    }

    /// Draws those who are admitted when an epoch begins, and counts who is a senior from the next one on.
    pub(crate) fn admit(epoch: EpochIndex, seed: &Seed) {
        let next = epoch.saturating_add(1);
        Sums::<T>::mutate(|sums| {
            let grown = next.checked_sub(JUNIOR_EPOCHS).filter(|from| *from > 0).map_or(0, JuniorsFrom::<T>::take);
            if grown > 0 {
                sums.seniors.set(next, sums.seniors.last().saturating_add(grown));
            }
        });
        let waiting = WaitingCount::<T>::get();
        // What nobody used is not saved up.
        if waiting == 0 {
            return;
        }
        let is_slow = T::Rules::get().is_some_and(|rules| rules.slow_admission);
        let (count, carried) = if is_slow {
            admitted(*Sums::<T>::get().challengers.at(epoch), AdmissionCarried::<T>::get())
        } else {
            // Admission was slow, and is no more: who waited is not overtaken.
            (waiting, 0)
        };
        AdmissionCarried::<T>::put(carried);
        for number in 0..count.min(T::MaxAdmitted::get()) {
            let waiting = WaitingCount::<T>::get();
            let drawn = word(b"weir:admitted:v1", &[seed, &number.to_le_bytes()]);
            let Some(place) = drawn.checked_rem(waiting.into()).and_then(|place| u32::try_from(place).ok()) else {
                break;
            };
            let Some(account) = Self::stop_waiting(place) else { break };
            // Who cannot pay what the bond rose by meanwhile is let in when it can.
            Challengers::<T>::mutate(&account, |challenger| {
                let Some(challenger) = challenger else { return };
                let active = with_storage_layer(|| Self::activate(&account, challenger, next));
                if active.is_err() {
                    challenger.standing = Standing::Paused { from: 0 };
                }
            });
        }
    }

    /// Takes whoever waits at a place out of the queue; the last one takes the place.
    pub(crate) fn stop_waiting(place: u32) -> Option<AccountId> {
        let last = WaitingCount::<T>::get().checked_sub(1)?;
        let account = Waiting::<T>::take(place)?;
        if place != last {
            let moved = Waiting::<T>::take(last)?;
            Challengers::<T>::mutate(&moved, |challenger| {
                if let Some(challenger) = challenger {
                    challenger.standing = Standing::Waiting { place };
                }
            });
            Waiting::<T>::insert(place, moved);
        }
        WaitingCount::<T>::put(last);
        Some(account)
    }

    /// Sets where a challenger is reached, from the next epoch on.
    pub(crate) fn change_endpoints(account: &AccountId, endpoints: Endpoints) -> DispatchResult {
        Self::check_endpoints(&endpoints, &Self::rules()?)?;
        let next = Self::epoch().saturating_add(1);
        Challengers::<T>::try_mutate(account, |challenger| {
            let challenger = challenger.as_mut().ok_or(Error::<T>::NotRegistered)?;
            ensure!(!challenger.is_leaving(), Error::<T>::Leaving);
            challenger.endpoints.clone_from(&endpoints);
            Self::change_challenger(challenger, |entry| entry.endpoints.set(next, endpoints.clone()));
            Ok::<_, Error<T>>(())
        })?;
        Self::deposit_event(Event::EndpointsSet { challenger: account.clone(), endpoints });
        Ok(())
    }

    /// Endpoints that control streams can be dialled at: one of IPv4, and one of IPv6 at the most. Where challengers are admitted slowly there is one
    /// of each, so that whoever is measured over IPv6 has the same challengers as all others: if a few could serve it, those few would be all of its
    /// committees.
    fn check_endpoints(endpoints: &Endpoints, rules: &Rules) -> DispatchResult {
        let decoded = endpoints.iter().map(|bytes| endpoint::decode(bytes));
        let mut families = alloc::vec::Vec::new();
        for endpoint in decoded {
            let (address, service) = endpoint.ok_or(Error::<T>::BadEndpoint)?;
            let is_v4 = address.ip().to_canonical().is_ipv4();
            ensure!(service == Service::Control && !families.contains(&is_v4), Error::<T>::BadEndpoint);
            families.push(is_v4);
        }
        ensure!(families.contains(&true), Error::<T>::BadEndpoint);
        ensure!(families.contains(&false) || !rules.slow_admission, Error::<T>::OneFamilyMissing);
        Ok(())
    }

    /// Takes an active challenger out of draws from the next epoch on, for as long as it wants.
    pub(crate) fn pause_challenger(account: &AccountId) -> DispatchResult {
        Challengers::<T>::try_mutate(account, |challenger| {
            let challenger = challenger.as_mut().ok_or(Error::<T>::NotRegistered)?;
            let Standing::Active { slot } = challenger.standing else { return Err(Error::<T>::NotActive) };
            Self::empty_challenger_slot(slot);
            challenger.standing = Standing::Paused { from: Self::epoch().saturating_add(1) };
            Ok(())
        })?;
        Self::deposit_event(Event::Paused { challenger: account.clone() });
        Ok(())
    }

    /// Brings back a challenger that paused or served its time in jail, as a junior in another slot.
    ///
    /// At most a sixteenth of the set comes back in an epoch, so that a coalition that was admitted slowly, and paused, does not all come back
    /// at once.
    pub(crate) fn return_challenger(account: &AccountId) -> DispatchResult {
        let epoch = Self::epoch();
        let next = epoch.saturating_add(1);
        Challengers::<T>::try_mutate(account, |challenger| {
            let challenger = challenger.as_mut().ok_or(Error::<T>::NotRegistered)?;
            match challenger.standing {
                Standing::Paused { from } if from <= epoch => (),
                Standing::Jailed { until } if until <= next => (),
                Standing::Paused { .. } | Standing::Jailed { .. } => return Err(Error::<T>::NotYet.into()),
                _ => return Err(Error::<T>::NothingChanges.into()),
            }
            if Self::rules()?.slow_admission {
                let most = most_jailed(*Sums::<T>::get().challengers.at(epoch));
                Returning::<T>::try_mutate(|(returning, count)| {
                    *count = if *returning == next { count.saturating_add(1) } else { 1 };
                    *returning = next;
                    ensure!(*count <= most, Error::<T>::TooManyJoin);
                    Ok::<_, Error<T>>(())
                })?;
            }
            Self::activate(account, challenger, next)
        })
    }

    /// Jails a challenger from the next epoch on, wherever it is meanwhile: one that paused is jailed too. Says whether it was.
    pub(crate) fn jail_challenger(account: &AccountId) -> bool {
        let next = Self::epoch().saturating_add(1);
        let jailed = Challengers::<T>::mutate(account, |challenger| {
            let challenger = challenger.as_mut()?;
            match challenger.standing {
                Standing::Active { slot } => Self::empty_challenger_slot(slot),
                Standing::Paused { .. } => (),
                _ => return None,
            }
            let until = next.saturating_add(jail_epochs(challenger.times_jailed));
            challenger.times_jailed = challenger.times_jailed.saturating_add(1);
            challenger.standing = Standing::Jailed { until };
            Some(until)
        });
        let Some(until) = jailed else { return false };
        Self::deposit_event(Event::Jailed { challenger: account.clone(), until });
        true
    }

    /// Makes a challenger leave. One that only waited has its bond back at once; the others' is held for the unbonding time.
    pub(crate) fn retire_challenger(account: &AccountId) -> DispatchResult {
        let until = Self::unbonded_at()?;
        let mut challenger = Challengers::<T>::get(account).ok_or(Error::<T>::NotRegistered)?;
        match challenger.standing {
            Standing::Leaving { .. } => return Err(Error::<T>::Leaving.into()),
            Standing::Waiting { place } => {
                Self::stop_waiting(place);
                Challengers::<T>::remove(account);
                Self::forget_identities(account, Role::Challenger, challenger.identity, &challenger.former_identities);
                T::Currency::release(&HoldReason::Challenger.into(), account, challenger.bond, Precision::Exact)?;
                let (account, bond) = (account.clone(), challenger.bond);
                Self::deposit_event(Event::PaidBack { account, role: Role::Challenger, amount: bond });
                return Ok(());
            },
            Standing::Active { slot } => Self::empty_challenger_slot(slot),
            Standing::Paused { .. } | Standing::Jailed { .. } => (),
        }
        challenger.standing = Standing::Leaving { until };
        Self::retire_identity(challenger.identity, until);
        Challengers::<T>::insert(account, challenger);
        Self::deposit_event(Event::Left { account: account.clone(), role: Role::Challenger, until });
        Ok(())
    }

    /// Gives back the bond of a challenger that left.
    pub(crate) fn pay_back_challenger(account: &AccountId) -> Result<Balance, DispatchError> {
        let challenger = Challengers::<T>::get(account).ok_or(Error::<T>::NotRegistered)?;
        let Standing::Leaving { until } = challenger.standing else { return Err(Error::<T>::StillBonded.into()) };
        ensure!(until <= Self::block_number(), Error::<T>::StillBonded);
        Challengers::<T>::remove(account);
        Self::forget_identities(account, Role::Challenger, challenger.identity, &challenger.former_identities);
        T::Currency::release(&HoldReason::Challenger.into(), account, challenger.bond, Precision::Exact)?;
        Ok(challenger.bond)
    }
}
