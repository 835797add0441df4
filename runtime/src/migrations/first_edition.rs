//! From the first edition of bandwidth, in which one pallet kept who takes part and what was measured, and only *down* was measured, to
//! the registry and the second edition.
//!
//! Who was registered is so in the registry, with the identity, the bond, the endpoints and the mining author that it had; the reasons of
//! the holds are the same ones, so that no bond is touched. What was measured is forgotten, since nothing was measured of what lines send:
//! windows begin anew. The epochs go on where they were.

use crate::{Bandwidth, Registry, Runtime};
use alloc::vec::Vec;
use codec::{Decode, Encode};
use frame_support::{
    pallet_prelude::*,
    storage::unhashed,
    storage_alias,
    traits::{GetStorageVersion, OnRuntimeUpgrade, PalletInfoAccess},
    weights::constants::RocksDbWeight,
};
use pallet_bandwidth::types::Plan;
use pallet_registry::adoption::Bonded;
use weir_primitives::{
    measurement::{endpoint, lottery::groups::Family, Endpoints, PeerKey},
    AccountId, Balance, BlockNumber, Epoch,
};

/// The version of the storage of bandwidth from which on there is nothing to do.
const SECOND_EDITION: StorageVersion = StorageVersion::new(4);
/// The most providers, and challengers, that there were.
const MOST: usize = 256;

/// A provider of the first edition.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Provider {
    /// The declared capacity.
    pub declared_bits_per_second: u64,
    /// The bond that is held.
    pub bond: Balance,
    /// The identity of its agent.
    pub peer: PeerKey,
    /// Where it was measured.
    pub endpoints: Endpoints,
    /// The author whose blocks it boosts.
    pub mining_author: Option<AccountId>,
    /// The last results.
    pub results: Vec<u64>,
    /// What followed from them.
    pub guaranteed_bits_per_second: u64,
    /// The last challenge: its epoch, how many reported, and three figures of it.
    pub last: Option<(u32, u32, u64, u64, u64)>,
    /// The block from which on the bond can be taken back, if it is leaving.
    pub leaving: Option<BlockNumber>,
}

/// A challenger of the first edition.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Challenger {
    /// The bond that is held.
    pub bond: Balance,
    /// The identity of its agent.
    pub peer: PeerKey,
    /// Where provers reached it.
    pub endpoints: Endpoints,
    /// How many of its reports were taken.
    pub reports: u64,
    /// The block from which on the bond can be taken back, if it is leaving.
    pub leaving: Option<BlockNumber>,
}

#[storage_alias]
pub type Providers = StorageMap<Bandwidth, Blake2_128Concat, AccountId, Provider, OptionQuery>;
#[storage_alias]
pub type Challengers = StorageMap<Bandwidth, Blake2_128Concat, AccountId, Challenger, OptionQuery>;
#[storage_alias]
pub type CurrentEpoch = StorageValue<Bandwidth, Epoch, OptionQuery>;

/// The migration.
pub struct Migration;

impl OnRuntimeUpgrade for Migration {
    fn on_runtime_upgrade() -> Weight {
        if Bandwidth::on_chain_storage_version() >= SECOND_EDITION {
            return RocksDbWeight::get().reads(1);
        }
        let providers: Vec<_> = Providers::iter().take(MOST).collect();
        let challengers: Vec<_> = Challengers::iter().take(MOST).collect();
        let blocks = crate::Difficulty::parameters().map_or(1, |parameters| parameters.measurement.epoch_blocks);
        let epoch = CurrentEpoch::get().unwrap_or_else(|| Epoch::uniform(crate::System::block_number(), blocks));

        // Also what was planned and reported: the challenges that are open come to nothing.
        let forgotten = unhashed::clear_prefix(&Bandwidth::name_hash(), None, None);
        SECOND_EDITION.put::<Bandwidth>();
        pallet_bandwidth::Plans::<Runtime>::put(Plan { epoch, instants: 0, one_in: 1 });
        let count = u64::try_from(providers.len().saturating_add(challengers.len())).unwrap_or(u64::MAX);
        for (account, it) in providers {
            let is_v6 = it
                .endpoints
                .iter()
                .filter_map(|bytes| endpoint::decode(bytes))
                .next()
                .is_some_and(|(address, _)| address.ip().to_canonical().is_ipv6());
            let family = if is_v6 { Family::V6 } else { Family::V4 };
            let bonded = Bonded { account, identity: it.peer, bond: it.bond, leaving: it.leaving };
            Registry::adopt_provider(bonded, it.declared_bits_per_second, family, it.mining_author);
        }
        for (account, it) in challengers {
            let bonded = Bonded { account, identity: it.peer, bond: it.bond, leaving: it.leaving };
            Registry::adopt_challenger(bonded, it.endpoints);
        }
        let of_each = RocksDbWeight::get().reads_writes(10, 10);
        let of_forgotten = RocksDbWeight::get().reads_writes(1, 1).saturating_mul(forgotten.unique.into());
        of_each.saturating_mul(count).saturating_add(of_forgotten)
    }

    #[cfg(feature = "try-runtime")]
    fn pre_upgrade() -> Result<Vec<u8>, sp_runtime::TryRuntimeError> {
        if Bandwidth::on_chain_storage_version() >= SECOND_EDITION {
            return Ok(Vec::new());
        }
        let providers: Vec<_> = Providers::iter().map(|(account, it)| (account, it.bond)).collect();
        let challengers: Vec<_> = Challengers::iter().map(|(account, it)| (account, it.bond)).collect();
        Ok((providers, challengers).encode())
    }

    #[cfg(feature = "try-runtime")]
    fn post_upgrade(before: Vec<u8>) -> Result<(), sp_runtime::TryRuntimeError> {
        if before.is_empty() {
            return Ok(());
        }
        type Bonds = Vec<(AccountId, Balance)>;
        let (providers, challengers): (Bonds, Bonds) =
            Decode::decode(&mut before.as_slice()).map_err(|_| "what was kept does not decode")?;
        for (account, bond) in providers {
            let now = pallet_registry::Providers::<Runtime>::get(&account).ok_or("a provider was lost")?;
            ensure!(now.bond == bond, "a bond is another one");
        }
        for (account, bond) in challengers {
            let now = pallet_registry::Challengers::<Runtime>::get(&account).ok_or("a challenger was lost")?;
            ensure!(now.bond >= bond, "a bond is another one");
        }
        Ok(())
    }
}
