//! What holds of the storage whenever a block ends.

use crate::{
    migrations, CapacityShares, CapacityTotal, Config, Duties, HoldReason, Pallet, Promised, Rings, Sums, CAP,
    STORAGE_VERSION,
};
use frame_support::{
    ensure,
    traits::{
        fungible::{Inspect, InspectHold},
        GetStorageVersion,
    },
};
use sp_runtime::TryRuntimeError;
use weir_primitives::Balance;

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
        let owed = of_shares.chain(of_duties).fold(0, Balance::saturating_add);
        ensure!(owed <= promised, "more is owed than was promised");
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
