//! JSON-RPC beyond what every node of the SDK has: transaction helpers, and `weir_*`.

use crate::service::FullClient;
use jsonrpsee::{
    core::RpcResult,
    proc_macros::rpc,
    types::{error::INTERNAL_ERROR_CODE, ErrorObjectOwned},
    RpcModule,
};
use sc_transaction_pool_api::TransactionPool;
use serde::{Deserialize, Serialize};
use sp_api::ProvideRuntimeApi;
use sp_blockchain::HeaderBackend;
use sp_core::U256;
use std::sync::Arc;
use weir_consensus::{
    import::weight,
    miner::{board::Board, Settings},
};
use weir_primitives::{
    parameters::Parameters,
    runtime_api::{ConsensusApi, SupplyApi},
    AccountId, Hash,
};
use weir_runtime::opaque::Block;

/// What a miner is doing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mining {
    /// Who gets the rewards.
    pub author: AccountId,
    /// How many threads search.
    pub threads: usize,
    /// For which part of the time, in percent.
    pub intensity_percent: u8,
    /// Hashes per second.
    pub hashes_per_second: f64,
    /// Hashes since the start.
    pub hashes: u64,
    /// The base difficulty of the next block.
    pub base_difficulty: U256,
    /// What this node's next block has to reach.
    pub required_difficulty: U256,
    /// The credit that it spends, in parts per thousand million.
    pub credit_parts_per_billion: u32,
    /// Blocks made since the start.
    pub authored_blocks: u64,
}

/// The sums of all tokens in planck, as decimal strings since JSON numbers are too small.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SupplyText {
    cap: String,
    scheduled: String,
    issued: String,
    burned: String,
    vesting: String,
    existing: String,
}

#[rpc(server)]
pub trait WeirApi {
    /// The parameters of the chain.
    #[method(name = "weir_parameters")]
    fn parameters(&self) -> RpcResult<Option<Parameters>>;

    /// The total weight of the chain up to a block, or up to the best one.
    #[method(name = "weir_chainWeight")]
    fn chain_weight(&self, hash: Option<Hash>) -> RpcResult<U256>;

    /// What this node's miner is doing; nothing if it does not mine.
    #[method(name = "weir_mining")]
    fn mining(&self) -> RpcResult<Option<Mining>>;

    /// The sums of all tokens at a block, or at the best one.
    #[method(name = "weir_supply")]
    fn supply(&self, hash: Option<Hash>) -> RpcResult<SupplyText>;
}

struct Weir {
    client: Arc<FullClient>,
    mining: Option<(Settings, Arc<Board>)>,
}

fn internal(error: impl ToString) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(INTERNAL_ERROR_CODE, error.to_string(), None::<()>)
}

impl WeirApiServer for Weir {
    fn parameters(&self) -> RpcResult<Option<Parameters>> {
        self.client.runtime_api().parameters(self.client.info().best_hash).map_err(internal)
    }

    fn chain_weight(&self, hash: Option<Hash>) -> RpcResult<U256> {
        weight::of_or_in_state(&*self.client, hash.unwrap_or_else(|| self.client.info().best_hash)).map_err(internal)
    }

    fn mining(&self) -> RpcResult<Option<Mining>> {
        Ok(self.mining.as_ref().map(|(settings, board)| {
            let status = board.status();
            Mining {
                author: settings.author.clone(),
                threads: settings.threads,
                intensity_percent: settings.intensity_percent,
                hashes_per_second: status.hashes_per_second,
                hashes: status.hashes,
                base_difficulty: status.base,
                required_difficulty: status.required,
                credit_parts_per_billion: status.credit.deconstruct(),
                authored_blocks: status.authored,
            }
        }))
    }

    fn supply(&self, hash: Option<Hash>) -> RpcResult<SupplyText> {
        let at = hash.unwrap_or_else(|| self.client.info().best_hash);
        let supply = self.client.runtime_api().supply(at).map_err(internal)?;
        Ok(SupplyText {
            cap: supply.cap.to_string(),
            scheduled: supply.scheduled.to_string(),
            issued: supply.issued.to_string(),
            burned: supply.burned.to_string(),
            vesting: supply.vesting.to_string(),
            existing: supply.existing.to_string(),
        })
    }
}

/// The methods that this node adds to those of the SDK.
pub fn create<P>(
    client: Arc<FullClient>,
    pool: Arc<P>,
    mining: Option<(Settings, Arc<Board>)>,
) -> Result<RpcModule<()>, Box<dyn std::error::Error + Send + Sync>>
where
    P: TransactionPool<Block = Block> + 'static,
{
    use pallet_transaction_payment_rpc::{TransactionPayment, TransactionPaymentApiServer};
    use substrate_frame_rpc_system::{System, SystemApiServer};

    let mut module = RpcModule::new(());
    module.merge(System::<_, _, Block>::new(client.clone(), pool).into_rpc())?;
    module.merge(TransactionPayment::<_, Block>::new(client.clone()).into_rpc())?;
    module.merge(Weir { client, mining }.into_rpc())?;
    Ok(module)
}
