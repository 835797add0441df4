//! Nodes of the chain, of which any may fail.

use codec::{Decode, Encode};
use std::{sync::Arc, time::Duration};
use subxt::{
    backend::LegacyBackend,
    config::{DefaultExtrinsicParamsBuilder, RpcConfigFor},
    rpcs::{
        client::{jsonrpsee_client, JsonrpseeRpcClient},
        LegacyRpcMethods, RpcClient,
    },
    tx::{Payload, TransactionStatus},
    utils::H256,
    OnlineClient, SubstrateConfig,
};
use subxt_signer::sr25519::Keypair;

/// How long a node may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long a transaction may take to get into a block before it is asked for again.
const INCLUDED_WITHIN: Duration = Duration::from_secs(60);
/// For how many blocks a transaction is valid.
const MORTAL_BLOCKS: u64 = 64;

type Legacy = LegacyRpcMethods<RpcConfigFor<SubstrateConfig>>;

/// A call on its way into a block.
pub type Sent =
    subxt::tx::TransactionProgress<SubstrateConfig, subxt::client::OnlineClientAtBlockImpl<SubstrateConfig>>;

/// What came of a call.
pub type Events = subxt::extrinsics::ExtrinsicEvents<SubstrateConfig>;

/// Why something did not work, and whether another try can help.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The node cannot be reached, or went away. Another one may do.
    #[error("{0}")]
    Connection(String),
    /// The chain refuses it.
    #[error("{0}")]
    Refused(String),
}

fn connection(error: impl std::fmt::Display) -> Error {
    Error::Connection(error.to_string())
}

/// A connection to one node.
#[derive(Clone)]
pub struct Node {
    /// The WebSocket address of the node.
    pub url: String,
    socket: Arc<JsonrpseeRpcClient>,
    rpc: RpcClient,
    legacy: Legacy,
    api: OnlineClient<SubstrateConfig>,
}

impl Node {
    /// Connects to one node.
    ///
    /// # Errors
    ///
    /// [`Error::Connection`].
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let connecting = async {
            let socket = Arc::new(jsonrpsee_client(url).await.map_err(connection)?);
            let rpc = RpcClient::new(socket.clone());
            let backend = LegacyBackend::<SubstrateConfig>::builder().build(rpc.clone());
            let api = OnlineClient::from_backend(Arc::new(backend)).await.map_err(connection)?;
            Ok(Self { url: url.into(), socket, legacy: Legacy::new(rpc.clone()), rpc, api })
        };
        tokio::time::timeout(ANSWER_WITHIN, connecting).await.map_err(|_| connection("no answer"))?
    }

    /// Connects to the first of several nodes that answers.
    ///
    /// # Errors
    ///
    /// What each of them said, if none does.
    pub async fn connect_any(urls: &[String]) -> Result<Self, Error> {
        let mut failures = Vec::new();
        for url in urls {
            match Self::connect(url).await {
                Ok(node) => return Ok(node),
                Err(error) => failures.push(format!("{url}: {error}")),
            }
        }
        Err(Error::Connection(failures.join("; ")))
    }

    /// Returns when the connection is gone.
    pub async fn disconnected(&self) {
        self.socket.on_disconnect().await;
    }

    /// The hash of genesis, which names the chain.
    pub fn genesis(&self) -> [u8; 32] {
        self.api.genesis_hash().0
    }

    /// The JSON-RPC of the node.
    pub fn rpc(&self) -> &RpcClient {
        &self.rpc
    }

    /// The usual methods of the JSON-RPC of the node.
    pub fn legacy(&self) -> &Legacy {
        &self.legacy
    }

    /// The best block.
    ///
    /// # Errors
    ///
    /// [`Error::Connection`].
    pub async fn best(&self) -> Result<H256, Error> {
        self.legacy
            .chain_get_block_hash(None)
            .await
            .map_err(connection)?
            .ok_or_else(|| connection("there is no best block"))
    }

    /// The client at a block.
    ///
    /// # Errors
    ///
    /// [`Error::Connection`].
    pub async fn at(&self, block: H256) -> Result<subxt::OnlineClientAtBlock<SubstrateConfig>, Error> {
        self.api.at_block(block).await.map_err(connection)
    }

    /// Calls a runtime API at a block, or at the best one.
    ///
    /// # Errors
    ///
    /// [`Error::Connection`] also when the answer is of another kind than expected: another node may be newer.
    pub async fn ask<A: Encode, R: Decode>(&self, method: &str, arguments: A, at: Option<H256>) -> Result<R, Error> {
        let arguments = arguments.encode();
        let asking = self.legacy.state_call(method, Some(&arguments), at);
        let bytes = tokio::time::timeout(ANSWER_WITHIN, asking)
            .await
            .map_err(|_| connection("no answer"))?
            .map_err(connection)?;
        R::decode(&mut bytes.as_slice()).map_err(|error| connection(format!("{method}: {error}")))
    }

    /// A stream of best blocks: each item says that there is a new one.
    ///
    /// # Errors
    ///
    /// [`Error::Connection`].
    pub async fn heads(
        &self,
    ) -> Result<subxt::rpcs::client::RpcSubscription<<SubstrateConfig as subxt::Config>::Header>, Error> {
        self.legacy.chain_subscribe_new_heads().await.map_err(connection)
    }

    /// Signs a call, submits it, and waits until it is in the best block and went well. Says what came of it.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if it never can.
    pub async fn submit(&self, key: &Keypair, call: &impl Payload) -> Result<Events, Error> {
        Self::included_in_time(self.send(key, call).await?).await
    }

    /// Waits until a call is in the best block and went well, no longer than makes sense.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if it failed there.
    pub async fn included_in_time(sent: Sent) -> Result<Events, Error> {
        tokio::time::timeout(INCLUDED_WITHIN, Self::included(sent))
            .await
            .map_err(|_| connection("the transaction was not included in time"))?
    }

    /// Signs a call with the account's next nonce, and submits it. Calls of one account must not be sent at once.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the account cannot pay.
    pub async fn send(&self, key: &Keypair, call: &impl Payload) -> Result<Sent, Error> {
        let sending = async {
            let at = self.at(self.best().await?).await?;
            let account = key.public_key().to_account_id();
            let nonce = self.legacy.system_account_next_index(&account).await.map_err(connection)?;
            let parameters =
                DefaultExtrinsicParamsBuilder::<SubstrateConfig>::new().nonce(nonce).mortal(MORTAL_BLOCKS).build();
            let mut transactions = at.tx();
            let signed = transactions.create_signed(call, key, parameters).await.map_err(connection)?;
            signed.submit_and_watch().await.map_err(|error| explain(&error))
        };
        tokio::time::timeout(ANSWER_WITHIN, sending).await.map_err(|_| connection("no answer"))?
    }

    /// What an encoded error of a call means.
    ///
    /// # Errors
    ///
    /// [`Error::Connection`].
    pub async fn explain_dispatch(&self, error: &[u8]) -> Result<String, Error> {
        let metadata = self.at(self.best().await?).await?.metadata();
        subxt::error::DispatchError::decode_from(error, metadata).map(|error| error.to_string()).map_err(connection)
    }

    /// The encoding of a call.
    ///
    /// # Errors
    ///
    /// [`Error::Connection`] also when the node's runtime has no such call.
    pub async fn encode_call(&self, call: &impl Payload) -> Result<Vec<u8>, Error> {
        let at = self.at(self.best().await?).await?;
        at.tx().call_data(call).map_err(connection)
    }

    /// Submits an extrinsic that nobody signed.
    ///
    /// # Errors
    ///
    /// [`Error::Connection`], with what the node said.
    pub async fn submit_general(&self, extrinsic: &[u8]) -> Result<(), Error> {
        let submitting = self.legacy.author_submit_extrinsic(extrinsic);
        match tokio::time::timeout(ANSWER_WITHIN, submitting).await.map_err(|_| connection("no answer"))? {
            Ok(_) => Ok(()),
            Err(error) => Err(connection(error)),
        }
    }

    async fn included(mut sent: Sent) -> Result<Events, Error> {
        while let Some(status) = sent.next().await {
            match status.map_err(connection)? {
                TransactionStatus::InBestBlock(block) | TransactionStatus::InFinalizedBlock(block) => {
                    return match block.wait_for_success().await {
                        Ok(events) => Ok(events),
                        Err(subxt::error::TransactionEventsError::ExtrinsicFailed(error)) => {
                            Err(Error::Refused(error.to_string()))
                        },
                        Err(error) => Err(connection(error)),
                    };
                },
                TransactionStatus::Error { message }
                | TransactionStatus::Invalid { message }
                | TransactionStatus::Dropped { message } => return Err(connection(message)),
                _ => (),
            }
        }
        Err(connection("the node stopped telling about the transaction"))
    }
}

/// Why a node did not take a transaction: what it said, with the detail that says what to do.
fn explain(error: &subxt::error::ExtrinsicError) -> Error {
    use subxt::error::{BackendError, ExtrinsicError, RpcError};
    if let ExtrinsicError::ErrorSubmittingTransaction(BackendError::Rpc(RpcError::ClientError(
        subxt::rpcs::Error::User(user),
    ))) = error
    {
        let detail = user.data.as_ref().map(|data| data.get().trim_matches('"').to_string()).unwrap_or_default();
        // "Inability to pay": the one that no other try helps against.
        return if detail.contains("pay some fees") {
            Error::Refused("the account cannot pay the fee; send it some tokens".into())
        } else {
            Error::Connection(format!("{}: {detail}", user.message))
        };
    }
    connection(error)
}
