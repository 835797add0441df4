//! JSON-RPC beyond what every node of the SDK has: transaction helpers, and `weir_*`.

use crate::{
    confidence::{self, Overtaken},
    keys::{self, NewKey},
    service::{FullBackend, FullClient},
};
use jsonrpsee::{
    core::{async_trait, RpcResult, SubscriptionResult},
    proc_macros::rpc,
    types::{
        error::{INTERNAL_ERROR_CODE, INVALID_PARAMS_CODE},
        ErrorObjectOwned,
    },
    Extensions, PendingSubscriptionSink, RpcModule, SubscriptionMessage,
};
use sc_consensus_grandpa::{FinalityProofProvider, GrandpaJustificationStream, SharedAuthoritySet, SharedVoterState};
use sc_rpc::SubscriptionTaskExecutor;
use sc_rpc_api::check_if_safe;
use sc_transaction_pool_api::TransactionPool;
use serde::{Deserialize, Serialize};
use sp_api::ProvideRuntimeApi;
use sp_blockchain::HeaderBackend;
use sp_core::{crypto::ByteArray, U256};
use sp_keystore::KeystorePtr;
use std::sync::Arc;
use weir_consensus::{
    import::weight,
    miner::{self, board::Board, outside, Settings},
};
use weir_miner::protocol::{Answer, Hex32, Work, VERSION};
use weir_primitives::{
    parameters::Parameters,
    runtime_api::{ConsensusApi, SupplyApi},
    AccountId, BlockNumber, Hash,
};
use weir_runtime::opaque::Block;

/// What a miner is doing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mining {
    /// The account or key that this node was told to make blocks for.
    pub author: AccountId,
    /// The key that signs them; nothing if it is not in the keystore.
    pub key: Option<AccountId>,
    /// Whose credit they spend, and who gets the rewards.
    pub account: AccountId,
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

/// How sure a block is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Confidence {
    /// Its height.
    pub height: u32,
    /// Whether it is in the best chain.
    pub is_in_best_chain: bool,
    /// Whether voters made it final, or something above it.
    pub is_final: bool,
    /// How many blocks of the best chain are above it; zero if it is not in it.
    pub depth: u64,
    /// Their weight, in hashes.
    pub weight_above: U256,
    /// How often private forks overtook so many blocks, in simulations; nothing of it where the block is final.
    pub overtaken: Vec<Overtaken>,
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

    /// How sure a block is, for wallets: whether it is final, and if not, what is above it and what that is worth. Nothing of it is decided by a
    /// depth but what a wallet decides.
    #[method(name = "weir_confidence")]
    fn confidence(&self, hash: Hash) -> RpcResult<Option<Confidence>>;

    /// What this node's miner is doing; nothing if it makes no blocks. The difficulties are those of its last template.
    #[method(name = "weir_mining")]
    fn mining(&self) -> RpcResult<Option<Mining>>;

    /// Makes a key in this node's keystore that agrees to sign blocks for an account, which then names it by `difficulty.set_author_key`. Unsafe.
    #[method(name = "weir_newAuthorKey", with_extensions)]
    fn new_author_key(&self, account: AccountId) -> RpcResult<NewKey>;

    /// Makes a key in this node's keystore that agrees to vote for an account, which then names it by `finality.join` or `finality.set_key`. Unsafe.
    #[method(name = "weir_newVoterKey", with_extensions)]
    fn new_voter_key(&self, account: AccountId) -> RpcResult<NewKey>;

    /// The sums of all tokens at a block, or at the best one.
    #[method(name = "weir_supply")]
    fn supply(&self, hash: Option<Hash>) -> RpcResult<SupplyText>;

    /// A block of this node's author that wants a nonce; nothing while there is none. Unsafe. See `docs/mining.md`.
    #[method(name = "weir_getWork", with_extensions)]
    async fn get_work(&self, version: Option<u32>) -> RpcResult<Option<Work>>;

    /// Tells of each such block, and of times without one, from now on. Unsafe. Ended by `weir_unsubscribeWork`.
    #[subscription(
        name = "weir_subscribeWork" => "weir_work",
        unsubscribe = "weir_unsubscribeWork",
        item = Option<Work>,
        with_extensions
    )]
    async fn subscribe_work(&self, version: Option<u32>) -> SubscriptionResult;

    /// Hands in a nonce, as `0x` and up to 16 digits, for the work of a preimage, and says what became of it. Unsafe.
    #[method(name = "weir_submitWork", with_extensions)]
    async fn submit_work(&self, preimage: Hex32, nonce: String) -> RpcResult<Answer>;
}

struct Weir {
    client: Arc<FullClient>,
    mining: Option<(Settings, Arc<Board>)>,
    keystore: KeystorePtr,
}

fn internal(error: impl ToString) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(INTERNAL_ERROR_CODE, error.to_string(), None::<()>)
}

fn refused(why: impl ToString) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(INVALID_PARAMS_CODE, why.to_string(), None::<()>)
}

impl Weir {
    /// What miners outside are given, if they may be, and speak as this node does.
    fn outside(&self, extensions: &Extensions, version: Option<u32>) -> RpcResult<&outside::Outside> {
        check_if_safe(extensions)?;
        if let Some(version) = version.filter(|version| *version != VERSION) {
            return Err(refused(format!("version {version} of the protocol is not spoken here; this is {VERSION}")));
        }
        let (_, board) = self
            .mining
            .as_ref()
            .ok_or_else(|| refused("this node makes no blocks; start it with --validator and the key of an author"))?;
        Ok(board.outside())
    }
}

fn in_protocol(work: &outside::Work) -> Work {
    Work {
        version: VERSION,
        preimage: Hex32(work.preimage),
        target: Hex32(work.target),
        height: work.height,
        parent: Hex32(work.parent),
    }
}

/// A nonce of the protocol.
fn nonce(text: &str) -> Option<u64> {
    let digits = text
        .strip_prefix("0x")
        .filter(|digits| digits.len() <= 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    u64::from_str_radix(digits, 16).ok()
}

#[async_trait]
impl WeirApiServer for Weir {
    fn parameters(&self) -> RpcResult<Option<Parameters>> {
        self.client.runtime_api().parameters(self.client.info().best_hash).map_err(internal)
    }

    fn chain_weight(&self, hash: Option<Hash>) -> RpcResult<U256> {
        weight::of_or_in_state(&*self.client, hash.unwrap_or_else(|| self.client.info().best_hash)).map_err(internal)
    }

    fn confidence(&self, hash: Hash) -> RpcResult<Option<Confidence>> {
        let Some(height) = self.client.number(hash).map_err(internal)? else { return Ok(None) };
        let info = self.client.info();
        let is_in_best_chain = self.client.hash(height).map_err(internal)? == Some(hash);
        let is_final = is_in_best_chain && height <= info.finalized_number;
        let (mut depth, mut weight_above) = (0, U256::zero());
        if is_in_best_chain {
            let weight = |of| weight::of_or_in_state(&*self.client, of).map_err(internal);
            depth = info.best_number.saturating_sub(height).into();
            weight_above = weight(info.best_hash)?.saturating_sub(weight(hash)?);
        }
        let overtaken = if is_final { Vec::new() } else { confidence::overtaken(depth) };
        Ok(Some(Confidence { height, is_in_best_chain, is_final, depth, weight_above, overtaken }))
    }

    fn mining(&self) -> RpcResult<Option<Mining>> {
        let Some((settings, board)) = self.mining.as_ref() else { return Ok(None) };
        let (api, best) = (self.client.runtime_api(), self.client.info().best_hash);
        let key = api.author_key(best, settings.author.clone()).map_err(internal)?;
        let account = api.author_account(best, key.clone()).map_err(internal)?;
        let status = board.status();
        Ok(Some(Mining {
            author: settings.author.clone(),
            key: self.keystore.has_keys(&[(key.to_raw_vec(), miner::KEY_TYPE)]).then_some(key),
            account,
            threads: settings.threads,
            intensity_percent: settings.intensity_percent,
            hashes_per_second: status.hashes_per_second,
            hashes: status.hashes,
            base_difficulty: status.base,
            required_difficulty: status.required,
            credit_parts_per_billion: status.credit.deconstruct(),
            authored_blocks: status.authored,
        }))
    }

    fn new_author_key(&self, extensions: &Extensions, account: AccountId) -> RpcResult<NewKey> {
        check_if_safe(extensions)?;
        keys::new_author_key(&self.keystore, self.client.info().genesis_hash, &account).map_err(internal)
    }

    fn new_voter_key(&self, extensions: &Extensions, account: AccountId) -> RpcResult<NewKey> {
        check_if_safe(extensions)?;
        keys::new_voter_key(&self.keystore, self.client.info().genesis_hash, &account).map_err(internal)
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

    async fn get_work(&self, extensions: &Extensions, version: Option<u32>) -> RpcResult<Option<Work>> {
        Ok(self.outside(extensions, version)?.work().await.as_ref().map(in_protocol))
    }

    async fn subscribe_work(
        &self,
        pending: PendingSubscriptionSink,
        extensions: &Extensions,
        version: Option<u32>,
    ) -> SubscriptionResult {
        let mut newest = match self.outside(extensions, version) {
            Ok(outside) => outside.subscribe(),
            Err(error) => {
                pending.reject(error).await;
                return Ok(());
            },
        };
        let sink = pending.accept().await?;
        loop {
            let work = newest.borrow_and_update().as_ref().map(in_protocol);
            // Waits where a miner reads slowly, and skips what is replaced meanwhile.
            sink.send(SubscriptionMessage::from_json(&work)?).await?;
            tokio::select! {
                () = sink.closed() => return Ok(()),
                changed = newest.changed() => changed?,
            }
        }
    }

    async fn submit_work(&self, extensions: &Extensions, preimage: Hex32, text: String) -> RpcResult<Answer> {
        let outside = self.outside(extensions, None)?;
        let nonce = nonce(&text).ok_or_else(|| refused("a nonce is 0x and up to 16 hexadecimal digits"))?;
        Ok(match outside.submit(&preimage.0, nonce).await {
            outside::Answer::Accepted { block, is_best } => Answer::Accepted { block: Hex32(block), is_best },
            outside::Answer::Stale => Answer::Stale,
            outside::Answer::Duplicate => Answer::Duplicate,
            outside::Answer::Unknown => Answer::Unknown,
            outside::Answer::AboveTarget => Answer::AboveTarget,
            outside::Answer::Refused => Answer::Refused,
        })
    }
}

/// What is told of finality.
#[derive(Clone)]
pub struct Finality {
    /// Who votes.
    pub voters: SharedAuthoritySet<Hash, BlockNumber>,
    /// How votes stand.
    pub voter_state: SharedVoterState,
    /// What became final, with its proof.
    pub justifications: GrandpaJustificationStream<Block>,
    /// Proves that a block is final.
    pub proofs: Arc<FinalityProofProvider<FullBackend, Block>>,
}

/// The methods that this node adds to those of the SDK.
pub fn create<P>(
    client: Arc<FullClient>,
    pool: Arc<P>,
    mining: Option<(Settings, Arc<Board>)>,
    keystore: KeystorePtr,
    finality: Finality,
    executor: SubscriptionTaskExecutor,
) -> Result<RpcModule<()>, Box<dyn std::error::Error + Send + Sync>>
where
    P: TransactionPool<Block = Block> + 'static,
{
    use pallet_transaction_payment_rpc::{TransactionPayment, TransactionPaymentApiServer};
    use sc_consensus_grandpa_rpc::{Grandpa, GrandpaApiServer};
    use substrate_frame_rpc_system::{System, SystemApiServer};

    let mut module = RpcModule::new(());
    module.merge(System::<_, _, Block>::new(client.clone(), pool).into_rpc())?;
    module.merge(TransactionPayment::<_, Block>::new(client.clone()).into_rpc())?;
    let Finality { voters, voter_state, justifications, proofs } = finality;
    module.merge(Grandpa::new(executor, voters, voter_state, justifications, proofs).into_rpc())?;
    module.merge(Weir { client, mining, keystore }.into_rpc())?;
    Ok(module)
}
