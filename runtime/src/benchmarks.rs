//! Which pallets are measured, and what sets the scene for it.

use crate::Runtime;
use pallet_bandwidth::benchmarking::Scene;
use pallet_registry::benchmarking as registry;
use sp_runtime::DispatchError;
use weir_primitives::{
    measurement::{lottery::groups::Prefix, PeerKey},
    parameters::Parameters,
    AccountId, EpochIndex,
};

frame_benchmarking::define_benchmarks!(
    [pallet_balances, Balances]
    [pallet_bandwidth, Bandwidth]
    [pallet_difficulty, Difficulty]
    [pallet_finality, Finality]
    [pallet_market, Market]
    [pallet_multisig, Multisig]
    [pallet_proxy, Proxy]
    [pallet_registry, Registry]
    [pallet_sudo, Sudo]
    [pallet_timestamp, Timestamp]
    [pallet_token, Token]
    [pallet_utility, Utility]
);

/// What the benchmarks of bandwidth need of the other pallets.
pub struct Stage;

impl Scene for Stage {
    fn set_parameters(parameters: Parameters) {
        pallet_difficulty::ChainParameters::<Runtime>::put(parameters);
    }

    fn seat_challenger(number: u32, account: &AccountId, identity: PeerKey) -> Result<(), DispatchError> {
        let endpoints = registry::endpoints(number).ok_or("an endpoint is short")?;
        registry::seat_challenger::<Runtime>(account, identity, endpoints)
    }

    fn queue_challenger(number: u32, account: &AccountId, identity: PeerKey) -> Result<(), DispatchError> {
        let endpoints = registry::endpoints(number).ok_or("an endpoint is short")?;
        registry::queue_challenger::<Runtime>(account, identity, endpoints)
    }

    fn make_junior(account: &AccountId, from: EpochIndex) -> Result<(), DispatchError> {
        registry::make_junior::<Runtime>(account, from)
    }

    fn seat_provider(account: &AccountId, identity: PeerKey, prefix: Prefix) -> Result<u32, DispatchError> {
        registry::leave_empty_prefixes::<Runtime>();
        registry::seat_provider::<Runtime>(account, identity, registry::Known::behind(prefix))
    }

    fn earn(account: &AccountId) -> Result<(), DispatchError> {
        pallet_token::benchmarking::earn::<Runtime>(account)
    }
}
