//! Sharing budgets by units among any number of accounts, in constant time for each.
//!
//! At the end of each epoch a budget is shared: who has u units gets `budget · u / max(all units, least)`. Nobody is visited for it. What
//! one unit has earned since the beginning is added up, and an account is settled when its units change or when it is paid: units times
//! what one has earned since it was settled last. (The pattern is that of staking rewards in constant time; Batog, Boca and Johnson,
//! *Scalable Reward Distribution on the Ethereum Blockchain*, 2018.)
//!
//! It is exact: what is owed is kept with 64 bits below one planck, so that settling more often changes nothing. What all get of a budget is
//! at most the budget.

use crate::Balance;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use sp_core::U256;

/// In how many parts of a planck is counted: 2⁶⁴.
const PARTS: U256 = U256([0, 1, 0, 0]);

/// How many planck a number of parts is, rounded down.
fn whole(parts: U256) -> Balance {
    parts.checked_div(PARTS).and_then(|planck| Balance::try_from(planck).ok()).unwrap_or(Balance::MAX)
}

/// What one unit has earned, and how many there are.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Accumulator {
    /// What one unit has earned since the beginning, in 2⁻⁶⁴ planck.
    per_unit: U256,
    /// The units of all accounts.
    units: u128,
}

/// What an account has of an [`Accumulator`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Share {
    /// The account's units.
    units: u64,
    /// What one unit had earned when the account was settled.
    settled: U256,
    /// What the account is owed of that, in 2⁻⁶⁴ planck.
    owed: U256,
}

impl Accumulator {
    /// The units of all accounts.
    pub fn units(&self) -> u128 {
        self.units
    }

    /// Shares a budget by the units that there are, as if there were at least `least`, and says how much of it that is, rounded up. What
    /// nobody gets is lost to all.
    pub fn share(&mut self, budget: Balance, least: u64) -> Balance {
        let units = self.units.max(least.into()).max(1);
        // A budget is below 2⁹⁰: it fits.
        let rate = U256::from(budget).saturating_mul(PARTS).checked_div(units.into()).unwrap_or_default();
        self.per_unit = self.per_unit.saturating_add(rate);
        let shared = rate.saturating_mul(self.units.into());
        let has_rest = shared.low_u64() > 0;
        whole(shared).saturating_add(has_rest.into())
    }
}

impl Share {
    /// The account's units.
    pub fn units(&self) -> u64 {
        self.units
    }

    /// Sets the account's units, from the next budget on.
    pub fn set_units(&mut self, all: &mut Accumulator, units: u64) {
        self.settle(all);
        all.units = all.units.saturating_sub(self.units.into()).saturating_add(units.into());
        self.units = units;
    }

    /// What the account is owed, in whole planck.
    pub fn owed(&self, all: &Accumulator) -> Balance {
        let mut settled = *self;
        settled.settle(all);
        whole(settled.owed)
    }

    /// Takes what the account is owed, in whole planck.
    pub fn take(&mut self, all: &Accumulator) -> Balance {
        let taken = self.owed(all);
        self.settle(all);
        self.owed = self.owed.saturating_sub(U256::from(taken).saturating_mul(PARTS));
        taken
    }

    /// Whether nothing would be lost without it.
    pub fn is_empty(&self) -> bool {
        self.units == 0 && whole(self.owed) == 0
    }

    fn settle(&mut self, all: &Accumulator) {
        let since = all.per_unit.saturating_sub(self.settled);
        self.owed = self.owed.saturating_add(since.saturating_mul(self.units.into()));
        self.settled = all.per_unit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ACCOUNTS: usize = 8;

    #[derive(Clone, Debug)]
    enum Step {
        Set(usize, u64),
        Budget(Balance, u64),
        Take(usize),
        Look(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let account = 0..ACCOUNTS;
        prop_oneof![
            (account.clone(), prop_oneof![Just(0), 0u64..1_000, any::<u64>()])
                .prop_map(|(at, units)| Step::Set(at, units)),
            (0u128..1 << 80, prop_oneof![Just(1), any::<u64>()])
                .prop_map(|(budget, least)| Step::Budget(budget, least)),
            account.clone().prop_map(Step::Take),
            account.prop_map(Step::Look),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn it_is_what_sharing_each_budget_with_everybody_would_give(steps in proptest::collection::vec(step(), 50..150)) {
            let mut all = Accumulator::default();
            let mut shares = [Share::default(); ACCOUNTS];
            // Everybody visited at each budget, and nothing rounded but the rate.
            let mut naive = [U256::zero(); ACCOUNTS];
            let mut taken = [0; ACCOUNTS];
            let mut budgets: Balance = 0;
            for step in steps {
                match step {
                    Step::Set(at, units) => shares[at].set_units(&mut all, units),
                    Step::Budget(budget, least) => {
                        let units: u128 = shares.iter().map(|share| u128::from(share.units())).sum();
                        prop_assert_eq!(units, all.units());
                        let rate = (U256::from(budget) << 64) / U256::from(units.max(least.into()).max(1));
                        for (sum, share) in naive.iter_mut().zip(&shares) {
                            *sum += rate * U256::from(share.units());
                        }
                        let shared = all.share(budget, least);
                        prop_assert!(shared <= budget);
                        budgets += shared;
                    },
                    Step::Take(at) => taken[at] += shares[at].take(&all),
                    Step::Look(at) => {
                        let owed = shares[at].owed(&all);
                        prop_assert_eq!(U256::from(taken[at] + owed), naive[at] >> 64);
                    },
                }
            }
            for at in 0..ACCOUNTS {
                taken[at] += shares[at].take(&all);
                prop_assert_eq!(U256::from(taken[at]), naive[at] >> 64, "not a planck more or less");
            }
            prop_assert!(taken.iter().sum::<Balance>() <= budgets);
        }
    }

    #[test]
    fn who_comes_after_a_budget_gets_nothing_of_it_and_who_goes_before_it_neither() {
        let mut all = Accumulator::default();
        let (mut stays, mut goes, mut comes) = (Share::default(), Share::default(), Share::default());
        stays.set_units(&mut all, 1);
        goes.set_units(&mut all, 3);
        all.share(1_000, 1);
        goes.set_units(&mut all, 0);
        comes.set_units(&mut all, 1);
        all.share(1_000, 1);
        assert_eq!([stays.take(&all), goes.take(&all), comes.take(&all)], [750, 750, 500]);
        assert!(goes.is_empty());
    }

    #[test]
    fn below_the_least_units_a_budget_is_not_shared_whole() {
        let mut all = Accumulator::default();
        let mut alone = Share::default();
        alone.set_units(&mut all, 10);
        all.share(1_000, 1_000);
        assert_eq!(alone.take(&all), 10);
    }
}
