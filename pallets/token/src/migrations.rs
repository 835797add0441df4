//! Migrations of the storage.
//!
//! # To version 2
//!
//! Buckets of vesting rewards had the index of the stretch of time that they were given in, and vested by the period of the day.
//! They get the blocks between which they vest. Nobody knows how many accounts have some, so the migration takes as many blocks as it
//! needs ([`MoveRings`]); whoever is rewarded or claims meanwhile is moved at once.

use crate::{
    vesting::{Bucket, Ring, BUCKETS, PARTS},
    Config, Pallet, Rings,
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
    migrations::{MigrationId, SteppedMigration, SteppedMigrationError},
    pallet_prelude::*,
    storage_alias,
    traits::GetStorageVersion,
    weights::WeightMeter,
};
use scale_info::TypeInfo;
use weir_primitives::{AccountId, Balance, BlockNumber};

/// A bucket of version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct BucketV1 {
    /// Which stretch: it ends before block (index + 1) · period / 32.
    pub index: BlockNumber,
    /// What was put in.
    pub total: Balance,
    /// What has been released.
    pub released: Balance,
}

/// A ring of version 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct RingV1 {
    /// The buckets, the oldest first.
    pub buckets: BoundedVec<BucketV1, ConstU32<BUCKETS>>,
}

impl RingV1 {
    /// The ring that vests as this one does when a period has `period` blocks.
    pub fn into_absolute(self, period: BlockNumber) -> Ring {
        let length = period.checked_div(PARTS).unwrap_or(0).max(1);
        let absolute = |BucketV1 { index, total, released }: BucketV1| {
            let begins = index.saturating_add(1).saturating_mul(length);
            Bucket { begins, ends: begins.saturating_add(period), total, released }
        };
        Ring { buckets: BoundedVec::truncate_from(self.buckets.into_iter().map(absolute).collect()) }
    }
}

#[allow(missing_docs, reason = "the macro writes a structure without any")]
mod former {
    use super::*;

    /// The rewards of accounts that were not moved yet.
    #[storage_alias]
    pub type Vestings<T: Config> = StorageMap<Pallet<T>, Blake2_128Concat, AccountId, RingV1, OptionQuery>;
}
pub use former::Vestings;

/// The version that has none of them.
const DONE: StorageVersion = StorageVersion::new(2);

/// Whether some may not have been moved yet.
fn is_under_way<T: Config>() -> bool {
    Pallet::<T>::on_chain_storage_version() < DONE
}

/// By the period of the parameters, which an upgrade may change only when no chain has rings of version 1 any more.
fn translate<T: Config>(ring: RingV1) -> Option<Ring> {
    Some(ring.into_absolute(T::Parameters::get()?.token.vesting_blocks))
}

/// What an account has vesting that was not moved yet.
pub(crate) fn former_ring<T: Config>(account: &AccountId) -> Option<Ring> {
    if !is_under_way::<T>() {
        return None;
    }
    translate::<T>(Vestings::<T>::get(account)?)
}

/// Moves what an account has vesting, if that was not done yet.
pub(crate) fn move_ring<T: Config>(account: &AccountId) {
    if let Some(ring) = former_ring::<T>(account) {
        Vestings::<T>::remove(account);
        Rings::<T>::insert(account, ring);
    }
}

/// Moves the rewards of all accounts, as many in a block as its weight allows.
pub struct MoveRings<T>(PhantomData<T>);

impl<T: Config> SteppedMigration for MoveRings<T> {
    /// The account that was moved last.
    type Cursor = AccountId;
    type Identifier = MigrationId<12>;

    fn id() -> Self::Identifier {
        MigrationId { pallet_id: *b"pallet-token", version_from: 1, version_to: 2 }
    }

    fn step(
        mut cursor: Option<Self::Cursor>,
        meter: &mut WeightMeter,
    ) -> Result<Option<Self::Cursor>, SteppedMigrationError> {
        if !is_under_way::<T>() {
            return Ok(None);
        }
        // Of each account: its key, the version, its ring, and the parameters with what can be tuned of them; the ring is written twice.
        let each = T::DbWeight::get().reads_writes(9, 2);
        if !meter.can_consume(each) {
            return Err(SteppedMigrationError::InsufficientWeight { required: each });
        }
        let mut left = match &cursor {
            Some(last) => Vestings::<T>::iter_keys_from(Vestings::<T>::hashed_key_for(last)),
            None => Vestings::<T>::iter_keys(),
        };
        while meter.try_consume(each).is_ok() {
            let Some(account) = left.next() else {
                DONE.put::<Pallet<T>>();
                return Ok(None);
            };
            move_ring::<T>(&account);
            cursor = Some(account);
        }
        Ok(cursor)
    }

    #[cfg(feature = "try-runtime")]
    fn post_upgrade(_: alloc::vec::Vec<u8>) -> Result<(), sp_runtime::TryRuntimeError> {
        ensure!(Vestings::<T>::iter_keys().next().is_none(), "rewards were not moved");
        // That what is held for each account is what vests.
        Pallet::<T>::do_try_state()
    }
}
