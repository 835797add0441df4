//! A chain with the real runtime, verifier and import, and blocks made to order, for tests and benchmarks.

#![allow(missing_docs, reason = "only tests and benchmarks use this")]

pub mod agents;

use codec::Encode;
use sc_block_builder::BlockBuilderBuilder;
use sc_client_db::{BlocksPruning, DatabaseSettings, DatabaseSource};
use sc_consensus::{
    import_single_block, BlockImport, BlockImportError, BlockImportParams, BlockImportStatus, ForkChoiceStrategy,
    IncomingBlock, JustificationImport, StateAction,
};
use sc_network_types::PeerId;
use sp_api::ProvideRuntimeApi;
use sp_blockchain::HeaderBackend;
use sp_consensus::BlockOrigin;
use sp_consensus_grandpa::{
    localized_payload, AuthorityPair, Commit, GrandpaApi, GrandpaJustification, Precommit, SetId, GRANDPA_ENGINE_ID,
};
use sp_core::{sr25519, storage::well_known_keys, Pair, U256};
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};
use sp_runtime::{
    generic::Digest,
    generic::Era,
    traits::{Block as BlockT, Header as HeaderT},
    DigestItem, OpaqueExtrinsic,
};
use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, LazyLock, Mutex, OnceLock},
    time::Duration,
};
use weir_consensus::{
    finality::{heaviest::Heaviest, votes::Recent},
    header::{our_best::OurBestReader, verifier::Verifier},
    import::{
        bad_blocks::BadBlocks,
        execute::{Cold, ColdExecution},
        weight, Import, Settings,
    },
    sync::{
        parallel::Strategy,
        signatures::{ExtrinsicVerifier, HostFunctions, Surroundings, VerifiedSignatures},
        verified_headers::VerifiedHeaders,
        verify_ahead::AskOurBest,
    },
    Metrics,
};
use weir_primitives::{
    consensus::{author_payload, seal_payload, Difficulty, PreDigest, Seal, Work},
    finality::Wanted,
    parameters::{Consensus, Parameters},
    runtime_api::{ConsensusApi, FinalityApi},
    Hash,
};
use weir_runtime::{
    opaque::{Block, Header},
    signed_extrinsics, RuntimeApi, RuntimeCall, SignedPayload, TxExtension, UncheckedExtrinsic, WASM_BINARY,
};

pub type Executor = sc_executor::WasmExecutor<HostFunctions>;
pub type Backend = sc_client_db::Backend<Block>;
pub type Client = sc_service::TFullClient<Block, RuntimeApi, Executor>;

/// As in a node.
pub const CANONICALIZATION_DELAY: u64 = 4_096;
pub use weir_consensus::import::TRIE_CACHE_BYTES;
pub const ROCKSDB_CACHE_MIB: usize = 128;

/// How many blocks the snapshots of these tests wait at the least.
pub const SNAPSHOT_DEPTH: u32 = 4;
/// The base difficulty of their first blocks: quick to mine, and enough that a wrong nonce is seen to be wrong.
pub const FIRST_DIFFICULTY: u64 = 64;

fn executor() -> Executor {
    // Shared, since a clone shares the compiled runtime.
    static EXECUTOR: OnceLock<Executor> = OnceLock::new();
    EXECUTOR.get_or_init(|| Executor::builder().build()).clone()
}

fn genesis() -> sp_core::storage::Storage {
    static GENESIS: OnceLock<sp_core::storage::Storage> = OnceLock::new();
    GENESIS
        .get_or_init(|| {
            let wasm = WASM_BINARY.expect("tests need the WASM runtime");
            let preset = weir_runtime::genesis::get_preset(&"development".into()).unwrap();
            let mut patch: serde_json::Value = serde_json::from_slice(&preset).unwrap();
            let consensus = &mut patch["difficulty"]["parameters"]["consensus"];
            consensus["snapshotDepth"] = SNAPSHOT_DEPTH.into();
            consensus["creditCapBlocks"] = SNAPSHOT_DEPTH.into();
            consensus["initialDifficulty"] = format!("{FIRST_DIFFICULTY:#x}").into();
            consensus["floorDifficulty"] = "0x8".into();
            let mut storage = sc_chain_spec::GenesisConfigBuilderRuntimeCaller::<'_, ()>::new(wasm)
                .get_storage_for_patch(patch)
                .unwrap();
            storage.top.insert(well_known_keys::CODE.to_vec(), wasm.to_vec());
            storage
        })
        .clone()
}

/// What import made of a block.
pub type Imported = Result<BlockImportStatus<u32>, BlockImportError>;

/// A block, sealed.
#[derive(Clone)]
pub struct Sealed {
    pub header: Header,
    pub body: Vec<<Block as BlockT>::Extrinsic>,
}

impl Sealed {
    pub fn hash(&self) -> Hash {
        self.header.hash()
    }

    /// As it comes from the network.
    pub fn incoming(&self, origin: Option<PeerId>) -> IncomingBlock<Block> {
        IncomingBlock {
            hash: self.hash(),
            header: Some(self.header.clone()),
            body: Some(self.body.clone()),
            indexed_body: None,
            justifications: None,
            origin,
            allow_missing_state: true,
            skip_execution: false,
            import_existing: false,
            state: None,
        }
    }
}

/// What a chain may be given instead of the usual.
#[derive(Default)]
pub struct Options<'a> {
    /// The state before its first block, instead of that of the preset `development`.
    pub genesis: Option<sp_core::storage::Storage>,
    /// Where its RocksDB database is made; in memory if nowhere.
    pub folder: Option<&'a Path>,
    /// The timestamp of the first block; an hour ago if not given.
    pub first_timestamp: Option<u64>,
    /// What its engine tells.
    pub metrics: Option<Metrics>,
    /// What executes a block that failed once more, instead of the usual.
    pub cold: Option<Arc<dyn ColdExecution<Block>>>,
    /// Where signatures are kept that were verified ahead.
    pub signatures: VerifiedSignatures<Hash>,
}

pub struct Chain {
    pub client: Arc<Client>,
    pub rules: Consensus,
    pub verified_headers: VerifiedHeaders<Hash>,
    pub bad_blocks: BadBlocks<Hash>,
    pub signatures: VerifiedSignatures<Hash>,
    pub backend: Arc<Backend>,
    pub verifier: Verifier<Block, Client>,
    import: Import<Block, Client, Backend>,
    first_timestamp: u64,
}

/// A clock that no chain of these tests gets ahead of: an hour ago.
pub fn an_hour_ago() -> u64 {
    weir_consensus::clock::now() - 3_600_000
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

impl Chain {
    pub fn new() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options<'_>) -> Self {
        let backend = Arc::new(match options.folder {
            None => Backend::new_test_with_tx_storage(BlocksPruning::KeepAll, CANONICALIZATION_DELAY),
            Some(folder) => {
                let settings = DatabaseSettings {
                    trie_cache_maximum_size: Some(TRIE_CACHE_BYTES),
                    state_pruning: None,
                    source: DatabaseSource::RocksDb { path: folder.into(), cache_size: ROCKSDB_CACHE_MIB },
                    blocks_pruning: BlocksPruning::KeepAll,
                    pruning_filters: vec![],
                    metrics_registry: None,
                };
                Backend::new(settings, CANONICALIZATION_DELAY).unwrap()
            },
        });
        let state = options.genesis.unwrap_or_else(genesis);
        let genesis =
            sc_chain_spec::GenesisBlockBuilder::new_with_storage(state, true, backend.clone(), executor()).unwrap();
        let client = sc_service::client::new_with_backend::<_, _, Block, _, RuntimeApi>(
            backend.clone(),
            executor(),
            genesis,
            Box::new(sp_core::testing::TaskExecutor::new()),
            None,
            None,
            sc_service::ClientConfig::default(),
        )
        .unwrap();
        let client = Arc::new(client);
        let rules = client.runtime_api().parameters(client.info().genesis_hash).unwrap().unwrap().consensus;
        let (bad_blocks, verified_headers) = (BadBlocks::default(), VerifiedHeaders::default());
        let cold = options.cold.unwrap_or_else(|| Arc::new(Cold::new(backend.clone(), || Executor::builder().build())));
        let settings = Settings {
            bad_blocks: bad_blocks.clone(),
            verified_headers: verified_headers.clone(),
            signatures: options.signatures.clone(),
            recent: Recent::new(Duration::ZERO),
            cold,
            metrics: options.metrics.clone(),
        };
        let verifier = Verifier::new(client.clone(), verified_headers.clone(), options.metrics);
        let heaviest = Heaviest::new(client.clone(), backend.clone());
        let (grandpa, _) = sc_consensus_grandpa::block_import(client.clone(), 1, &client, heaviest, None).unwrap();
        let import = Import::new(client.clone(), backend.clone(), grandpa, settings);
        let first_timestamp = options.first_timestamp.unwrap_or_else(an_hour_ago);
        let signatures = options.signatures;
        Self { client, rules, verified_headers, bad_blocks, signatures, backend, verifier, import, first_timestamp }
    }

    /// What says which our best block is.
    pub fn our_best(&self) -> AskOurBest {
        let reader = OurBestReader::new(self.client.clone());
        Arc::new(move || reader.read())
    }

    pub fn genesis(&self) -> Hash {
        self.client.info().genesis_hash
    }

    pub fn best(&self) -> Hash {
        self.client.info().best_hash
    }

    pub fn best_number(&self) -> u32 {
        self.client.info().best_number
    }

    pub fn finalized(&self) -> u32 {
        self.client.info().finalized_number
    }

    pub fn weight(&self, hash: Hash) -> U256 {
        weight::of(&*self.client, hash).unwrap()
    }

    /// What an honest child of a block claims, a number of milliseconds after it.
    pub fn claims(&self, parent: Hash, author: Sr25519Keyring, after: u64) -> PreDigest {
        let next = self.client.runtime_api().next_block(parent, author.to_account_id()).unwrap().unwrap();
        let is_first = parent == self.genesis();
        let parent_time = next.earliest - next.rules.least_block_interval;
        PreDigest {
            author: author.to_account_id(),
            base: next.base.0,
            credit: Default::default(),
            timestamp: if is_first { self.first_timestamp + after } else { parent_time + after },
        }
    }

    /// Builds the block that a header with these claims is of. The runtime must accept the claims.
    pub fn build(&self, parent: Hash, claims: &PreDigest, extrinsics: Vec<OpaqueExtrinsic>) -> Sealed {
        let mut builder = BlockBuilderBuilder::new(&*self.client)
            .on_parent_block(parent)
            .fetch_parent_block_number(&*self.client)
            .unwrap()
            .with_inherent_digests(Digest { logs: vec![claims.to_item()] })
            .build()
            .unwrap();
        let mut data = sp_inherents::InherentData::new();
        data.put_data(sp_timestamp::INHERENT_IDENTIFIER, &sp_timestamp::Timestamp::new(claims.timestamp)).unwrap();
        for extrinsic in builder.create_inherents(data).unwrap().into_iter().chain(extrinsics) {
            builder.push(extrinsic).unwrap();
        }
        let (header, body) = builder.build().unwrap().block.deconstruct();
        Sealed { header, body }
    }

    /// A signed transfer of a hundredth of a WEIR.
    pub fn transfer(&self, from: Sr25519Keyring, nonce: u32, to: Sr25519Keyring) -> OpaqueExtrinsic {
        self.transfer_in(Era::Immortal, self.genesis(), from, nonce, to)
    }

    /// The same, valid for an era whose first block has the hash `birth`.
    pub fn transfer_in(
        &self,
        era: Era,
        birth: Hash,
        from: Sr25519Keyring,
        nonce: u32,
        to: Sr25519Keyring,
    ) -> OpaqueExtrinsic {
        let call = RuntimeCall::Balances(pallet_balances::Call::transfer_keep_alive {
            dest: to.to_account_id().into(),
            value: weir_primitives::PLANCK_PER_WEIR / 100,
        });
        self.signed((era, birth), from, nonce, call)
    }

    /// A change of the parameters of the chain, as an upgrade would make it, by the sudo key.
    pub fn change_parameters(&self, nonce: u32, parameters: &Parameters) -> OpaqueExtrinsic {
        let key = pallet_difficulty::ChainParameters::<weir_runtime::Runtime>::hashed_key().to_vec();
        let items = vec![(key, parameters.encode())];
        let call = Box::new(RuntimeCall::System(frame_system::Call::set_storage { items }));
        let era = (Era::Immortal, self.genesis());
        self.signed(era, Sr25519Keyring::Alice, nonce, RuntimeCall::Sudo(pallet_sudo::Call::sudo { call }))
    }

    /// A call by a well-known account.
    pub fn signed_by(&self, from: Sr25519Keyring, nonce: u32, call: RuntimeCall) -> OpaqueExtrinsic {
        self.signed((Era::Immortal, self.genesis()), from, nonce, call)
    }

    /// A transaction, valid for an era whose first block has this hash.
    fn signed(
        &self,
        (era, birth): (Era, Hash),
        from: Sr25519Keyring,
        nonce: u32,
        call: RuntimeCall,
    ) -> OpaqueExtrinsic {
        let extension = extension(era, nonce);
        let (genesis, version) = (self.genesis(), weir_runtime::VERSION);
        let implicit =
            ((), (), version.spec_version, version.transaction_version, genesis, birth, (), (), (), None, ());
        let payload = SignedPayload::from_raw(call.clone(), extension.clone(), implicit);
        let signature = payload.using_encoded(|bytes| key_of(from).sign(bytes));
        let signed = UncheckedExtrinsic::new_signed(call, from.to_account_id().into(), signature.into(), extension);
        OpaqueExtrinsic::try_from_encoded_extrinsic(&signed.encode()).unwrap()
    }

    /// A transaction that nobody signs: what it contains authorizes it.
    pub fn general(&self, call: RuntimeCall) -> OpaqueExtrinsic {
        OpaqueExtrinsic::try_from_encoded_extrinsic(&weir_runtime::general(call).encode()).unwrap()
    }

    /// What some voters of a set sign together for a block, encoded.
    pub fn justification(&self, hash: Hash, set: SetId, voters: &[Ed25519Keyring]) -> Vec<u8> {
        let number = self.client.number(hash).unwrap().unwrap();
        let precommits = voters.iter().map(|voter| {
            let pair = AuthorityPair::from(voter.pair());
            let precommit = Precommit::<Header> { target_hash: hash, target_number: number };
            let message = finality_grandpa::Message::Precommit(precommit.clone());
            let signature = pair.sign(&localized_payload(1, set, &message));
            finality_grandpa::SignedPrecommit { precommit, signature, id: pair.public() }
        });
        let commit = Commit::<Header> { target_hash: hash, target_number: number, precommits: precommits.collect() };
        GrandpaJustification::<Header> { round: 1, commit, votes_ancestries: vec![] }.encode()
    }

    /// Makes a block final, as the votes of these voters do.
    pub fn finalize_by(&self, hash: Hash, set: SetId, voters: &[Ed25519Keyring]) -> Result<(), sp_consensus::Error> {
        let number = self.client.number(hash).unwrap().unwrap();
        let justification = (GRANDPA_ENGINE_ID, self.justification(hash, set, voters));
        let mut import = self.import_handle();
        futures::executor::block_on(async {
            JustificationImport::import_justification(&mut import, hash, number, justification).await?;
            import.follow_finality().await.map_err(|error| sp_consensus::Error::ChainLookup(error.to_string()))
        })
    }

    /// Makes a block final, by the votes of the only voter of genesis.
    pub fn finalize(&self, hash: Hash) {
        self.finalize_by(hash, self.voter_set(), &[Ed25519Keyring::Alice]).unwrap();
    }

    /// The set of voters at the final block.
    pub fn voter_set(&self) -> SetId {
        self.client.runtime_api().current_set_id(self.client.info().finalized_hash).unwrap()
    }

    /// The set of voters that the chain knows after a block.
    pub fn voter_set_at(&self, hash: Hash) -> SetId {
        self.client.runtime_api().current_set_id(hash).unwrap()
    }

    /// The proof that the chain waits for after a block.
    pub fn wanted_at(&self, hash: Hash) -> Option<Wanted> {
        self.client.runtime_api().wanted(hash).unwrap()
    }

    /// The transaction that proves the best block final, if the chain waits to be told that a snapshot is.
    pub fn wanted_proof(&self) -> Option<OpaqueExtrinsic> {
        let wanted = self.client.runtime_api().wanted(self.best()).unwrap();
        wanted.map(|_| self.proof_of(self.best()))
    }

    /// The transaction that proves to the chain that a block is final, by the votes of the only voter of genesis.
    pub fn proof_of(&self, hash: Hash) -> OpaqueExtrinsic {
        let justification = self.justification(hash, 0, &[Ed25519Keyring::Alice]).try_into().unwrap();
        self.general(RuntimeCall::Finality(pallet_finality::Call::prove { justification }))
    }

    /// Builds and seals an honest block.
    pub fn block(&self, parent: Hash, author: Sr25519Keyring, after: u64) -> Sealed {
        self.block_of(parent, author, after, vec![])
    }

    /// Builds and seals an honest block with some transactions.
    pub fn block_of(
        &self,
        parent: Hash,
        author: Sr25519Keyring,
        after: u64,
        extrinsics: Vec<OpaqueExtrinsic>,
    ) -> Sealed {
        let claims = self.claims(parent, author, after);
        let mut block = self.build(parent, &claims, extrinsics);
        seal(&mut block.header, &claims, author, self.rules.boost);
        block
    }

    /// Imports a block as the network does.
    pub fn import(&self, block: &Sealed) -> Imported {
        self.import_from(block, BlockOrigin::NetworkBroadcast)
    }

    pub fn import_from(&self, block: &Sealed, origin: BlockOrigin) -> Imported {
        let mut import = self.import_handle();
        futures::executor::block_on(import_single_block(&mut import, origin, block.incoming(None), &self.verifier))
    }

    /// Imports a block that is not due: the client alone, without the rules of this node.
    pub fn force(&self, block: &Sealed) {
        let sealed = weir_primitives::consensus::read_header(&block.header).unwrap();
        let mut params = BlockImportParams::new(BlockOrigin::Own, sealed.unsealed);
        params.post_digests.push(sealed.seal.to_item());
        params.body = Some(block.body.clone());
        params.post_hash = Some(block.hash());
        params.state_action = StateAction::Execute;
        params.fork_choice = Some(ForkChoiceStrategy::Custom(true));
        futures::executor::block_on(self.client.import_block(params)).unwrap();
    }

    /// Its block import, to be given away.
    pub fn import_handle(&self) -> Import<Block, Client, Backend> {
        self.import.clone()
    }

    /// Verifies signatures of extrinsics ahead of their execution on this chain.
    pub fn extrinsic_verifier<S: Strategy>(&self, strategy: S) -> ExtrinsicVerifier<Block, Client, S> {
        ExtrinsicVerifier::new(self.client.clone(), strategy, signed_message, self.signatures.clone())
    }

    /// Builds and imports a number of honest blocks on a block, and says which they are.
    pub fn extend(&self, parent: Hash, author: Sr25519Keyring, blocks: usize, after: u64) -> Vec<Hash> {
        let mut parent = parent;
        (0..blocks)
            .map(|_| {
                let block = self.block(parent, author, after);
                self.import(&block).unwrap();
                parent = block.hash();
                parent
            })
            .collect()
    }
}

fn extension(era: Era, nonce: u32) -> TxExtension {
    (
        frame_system::AuthorizeCall::new(),
        frame_system::CheckNonZeroSender::new(),
        frame_system::CheckSpecVersion::new(),
        frame_system::CheckTxVersion::new(),
        frame_system::CheckGenesis::new(),
        frame_system::CheckEra::from(era),
        frame_system::CheckNonce::from(nonce),
        frame_system::CheckWeight::new(),
        pallet_transaction_payment::ChargeTransactionPayment::from(0),
        frame_metadata_hash_extension::CheckMetadataHash::new(false),
        frame_system::WeightReclaim::new(),
    )
}

/// What the runtime says that the signature of an extrinsic covers.
fn signed_message(
    extrinsic: &OpaqueExtrinsic,
    surroundings: &Surroundings<'_, Block>,
) -> Option<(Vec<u8>, weir_primitives::Signature, weir_primitives::AccountId)> {
    let at = signed_extrinsics::Surroundings {
        number: surroundings.number,
        genesis: surroundings.genesis,
        spec_version: surroundings.version.spec_version,
        transaction_version: surroundings.version.transaction_version,
    };
    signed_extrinsics::read(extrinsic.inner(), &at, |number| surroundings.ancestor(number))
}

/// Whether a seal's work meets what the claims require.
pub fn meets(pre_hash: Hash, seal: &Seal, claims: &PreDigest, boost: u32) -> bool {
    let preimage = weir_pow::preimage(&seal_payload(pre_hash.as_ref(), &seal.signature));
    claims.required(boost).is_met_by(Work::from_hash(weir_pow::work(&preimage, seal.nonce)))
}

/// The key pair of a well-known account, which takes a millisecond to derive the first time.
fn key_of(account: Sr25519Keyring) -> sr25519::Pair {
    static KEYS: LazyLock<Mutex<HashMap<Sr25519Keyring, sr25519::Pair>>> = LazyLock::new(Mutex::default);
    KEYS.lock().unwrap().entry(account).or_insert_with(|| account.pair()).clone()
}

pub fn sign(pre_hash: Hash, author: Sr25519Keyring) -> sr25519::Signature {
    key_of(author).sign(&author_payload(pre_hash.as_ref()))
}

/// Mines a seal for a header without one.
pub fn mine(header: &Header, claims: &PreDigest, signature: sr25519::Signature, boost: u32) -> Seal {
    let pre_hash = header.hash();
    let preimage = weir_pow::preimage(&seal_payload(pre_hash.as_ref(), &signature));
    let target = claims.required(boost).target().to_big_endian();
    let nonce = weir_pow::Search::new(preimage, target).find(0..u64::MAX).unwrap();
    Seal { signature, nonce }
}

/// Signs and mines a header.
pub fn seal(header: &mut Header, claims: &PreDigest, author: Sr25519Keyring, boost: u32) {
    let seal = mine(header, claims, sign(header.hash(), author), boost);
    header.digest_mut().push(seal.to_item());
}

/// Replaces what a sealed header claims, and seals it anew.
pub fn reclaim(block: &Sealed, claims: &PreDigest, author: Sr25519Keyring, boost: u32) -> Sealed {
    let mut changed = block.clone();
    changed.header.digest_mut().logs = vec![DigestItem::PreRuntime(*b"pow_", claims.encode())];
    seal(&mut changed.header, claims, author, boost);
    changed
}

/// The base difficulty of the child of a block.
pub fn next_base(chain: &Chain, parent: Hash) -> Difficulty {
    chain.client.runtime_api().next_block(parent, Sr25519Keyring::Alice.to_account_id()).unwrap().unwrap().base
}
