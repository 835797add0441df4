//! What holds of the storage whenever a block ends.

use crate::{
    migrations, traffic::Sold, CapacityShares, CapacityTotal, Config, Duties, HoldReason, Pallet, Promised, Rings,
    Sums, Traffic, TrafficEpochs, CAP, STORAGE_VERSION,
};
use alloc::collections::BTreeMap;
use frame_support::{
    ensure,
    traits::{
        fungible::{Inspect, InspectHold},
        GetStorageVersion,
    },
};
use sp_runtime::TryRuntimeError;
use weir_primitives::{Balance, EpochIndex};

impl<T: Config> Pallet<T> {
    /// Checks the invariants of the storage.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        let sums = Sums::<T>::get();
        let promised = Promised::<T>::get();
        let due = sums.issued.saturating_add(promised);
        ensure!(due <= sums.scheduled && sums.scheduled <= CAP, "more was issued or promised than scheduled");
        let total = CapacityTotal::<T>::get();
        let of_shares = CapacityShares::<T>::iter_values().map(|share| share.owed(&total));
        let of_duties = Duties::<T>::iter_values().map(|earned| earned.owed);
        let of_traffic = Traffic::<T>::iter_values().map(|sold| sold.owed);
        let worth_of = |sold: &Sold| TrafficEpochs::<T>::get(sold.epoch).worth_of(sold.claim);
        let claimed = Traffic::<T>::iter_values().map(|sold| worth_of(&sold));
        let owed = of_shares.chain(of_duties).chain(of_traffic).chain(claimed).fold(0, Balance::saturating_add);
        ensure!(owed <= promised, "more is owed than was promised");
        let mut left: BTreeMap<EpochIndex, (Balance, u32)> = BTreeMap::new();
        for sold in Traffic::<T>::iter_values().filter(|sold| sold.claim > 0) {
            let (worth, providers) = left.entry(sold.epoch).or_default();
            *worth = worth.saturating_add(worth_of(&sold));
            *providers = providers.saturating_add(1);
        }
        for (epoch, claims) in TrafficEpochs::<T>::iter() {
            let (worth, providers) = left.remove(&epoch).unwrap_or_default();
            ensure!(providers == claims.providers && worth <= claims.worth(), "the claims of an epoch do not add up");
        }
        ensure!(left.is_empty(), "a claim belongs to no epoch");
        let units = CapacityShares::<T>::iter_values().fold(0u128, |sum, it| sum.saturating_add(it.units().into()));
        ensure!(units == total.units(), "the bandwidth that is paid for does not add up");
        ensure!(T::Currency::total_issuance() <= sums.issued, "more exists than was ever issued");
        let mut vesting: Balance = 0;
        for account in Rings::<T>::iter_keys().chain(migrations::Vestings::<T>::iter_keys()) {
            let held = T::Currency::balance_on_hold(&HoldReason::Vesting.into(), &account);
            ensure!(held == Self::ring(&account).held(), "what is held is not what vests");
            vesting = vesting.saturating_add(held);
        }
        ensure!(
            Self::on_chain_storage_version() < STORAGE_VERSION
                || migrations::Vestings::<T>::iter_keys().next().is_none(),
            "rewards of a former version are left"
        );
        ensure!(vesting == sums.vesting, "the rings do not add up to what vests");
        Ok(())
    }
}
