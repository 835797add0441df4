//! Transactions as a wallet makes them.

use crate::{
    observer::{finalized, height_of},
    Result,
};
use subxt::{
    config::{substrate::SpecVersionForRange, DefaultExtrinsicParamsBuilder},
    OfflineClient, SubstrateConfig,
};
use weir_agent::{chain::Node, runtime};
use weir_primitives::PLANCK_PER_WEIR;

/// For how many blocks a transaction is good: for longer than any partition that is tested, and as a wallet would have it.
const LIFE_BLOCKS: u64 = 1_024;

/// A transfer of one WEIR to nobody, made without asking a node for anything but the facts that a wallet keeps.
///
/// # Errors
///
/// When the node does not answer, or the secret is none.
pub async fn signed_offline(node: &Node, secret: &str) -> Result<Vec<u8>> {
    // What is signed on a block that is taken back would be lost with it.
    let finalized = finalized(node).await?;
    let height = height_of(node, finalized).await?;
    let version = node.legacy().state_get_runtime_version(None).await?;
    let key = weir_agent::identity::account_key(Some(secret), None)?;
    let account = key.public_key().to_account_id();
    let nonce = node.legacy().system_account_next_index(&account).await?;
    let metadata = subxt::Metadata::decode_from(include_bytes!("../../node/agent/metadata.scale"))?;

    let config = SubstrateConfig::builder()
        .set_genesis_hash(node.genesis().into())
        .set_spec_version_for_block_ranges([SpecVersionForRange {
            block_range: 0..u64::MAX,
            spec_version: version.spec_version,
            transaction_version: version.transaction_version,
        }])
        .set_metadata_for_spec_versions([(version.spec_version, metadata.arc())])
        .build();
    let offline = OfflineClient::<SubstrateConfig>::new_with_config(config).at_block(height)?;
    let to = subxt::utils::AccountId32(sp_core::H256::random().0);
    let call = runtime::tx().balances().transfer_keep_alive(to.into(), PLANCK_PER_WEIR);
    let parameters = DefaultExtrinsicParamsBuilder::<SubstrateConfig>::new()
        .nonce(nonce)
        .mortal_from_unchecked(LIFE_BLOCKS, height, finalized)
        .build();
    let mut signable = offline.tx().create_signable_offline(&call, parameters)?;
    Ok(signable.sign(&key)?.into_encoded())
}
