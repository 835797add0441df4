//! The parts of the node, put together.

use crate::{
    chain_spec::{Checkpoint, MinimumChainWeight},
    cli::MiningArgs,
    preflight, proofs, resubmit, rpc,
};
use futures::{FutureExt, StreamExt};
use sc_client_api::{Backend as _, BlockchainEvents};
use sc_consensus::{BasicQueue, ImportQueue, IncomingBlock};
use sc_consensus_grandpa::{
    warp_proof::NetworkProvider, AuthorityId, GrandpaParams, LinkHalf, SharedAuthoritySet, SharedVoterState,
};
use sc_executor::{HeapAllocStrategy, WasmExecutor, DEFAULT_HEAP_ALLOC_STRATEGY};
use sc_network::{
    config::FullNetworkConfiguration, service::traits::NetworkService, NetworkBackend, NotificationService,
    ProtocolName,
};
use sc_network_common::role::Roles;
use sc_network_sync::{
    block_relay_protocol::BlockDownloader,
    engine::SyncingEngine,
    service::network::NetworkServiceProvider,
    strategy::{warp::WarpSyncConfig, SyncingStrategy},
    SyncingService,
};
use sc_network_transactions::TransactionsHandlerController;
use sc_service::{
    build_default_block_downloader, build_network_advanced, build_polkadot_syncing_strategy,
    config::{ExecutorConfiguration, WasmExecutionMethod, WasmtimeInstantiationStrategy},
    default_gap_sync_body_policy,
    error::Error as ServiceError,
    BuildNetworkAdvancedParams, Configuration, PartialComponents, SpawnTasksParams, TFullBackend, TFullClient,
    TaskManager,
};
use sc_telemetry::{Telemetry, TelemetryWorker};
use sc_transaction_pool_api::OffchainTransactionPoolFactory;
use sp_blockchain::HeaderBackend;
use sp_consensus::block_validation::DefaultBlockAnnounceValidator;
use sp_core::{crypto::Ss58Codec, U256};
use sp_keystore::KeystorePtr;
use sp_runtime::{traits::Block as BlockT, OpaqueExtrinsic};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc;
use weir_consensus::{
    finality::{
        first_votes::{FirstVotes, Proof},
        heaviest::Heaviest,
        votes::{Behind, Recent},
    },
    header::{announced::Announced, our_best::OurBestReader, rules::HeaderRules, verifier::Verifier},
    import::{self, bad_blocks::BadBlocks, execute::Cold, Import},
    miner::{self, board::Board, Miner},
    sync::{
        parallel::Rayon,
        peer_policy::{Parts, PeerPolicy},
        responses::BoundedDownloader,
        signatures::{ExtrinsicVerifier, HostFunctions, Surroundings, VerifiedSignatures},
        verified_headers::VerifiedHeaders,
        verify_ahead::{Ahead, Queue},
        warp::{CheckedProofs, Demands},
    },
    Metrics,
};
use weir_primitives::{parameters::Parameters, AccountId, BlockNumber};
use weir_runtime::{opaque::Block, signed_extrinsics, RuntimeApi};

pub type FullExecutor = WasmExecutor<HostFunctions>;
pub type FullClient = TFullClient<Block, RuntimeApi, FullExecutor>;
pub type FullBackend = TFullBackend<Block>;
type FullImport = Import<Block, FullClient, FullBackend>;
type FullQueue = Queue<Block, BasicQueue<Block>>;
type FullHeaviest = Heaviest<Block, FullClient, FullBackend>;
type FullLink = LinkHalf<Block, FullClient, FullHeaviest>;
type BlockHash = <Block as BlockT>::Hash;
type FullPool = sc_transaction_pool::TransactionPoolHandle<Block, FullClient>;

/// What [`new_partial`] makes beside what every node has.
pub struct Engine {
    /// For blocks that do not go through the queue.
    pub import: FullImport,
    /// Its verifier.
    pub verifier: Verifier<Block, FullClient>,
    settings: import::Settings<Block>,
    minimum_weight: U256,
    demands: Demands<Block>,
    link: FullLink,
    telemetry: Option<Telemetry>,
}

type Partial = PartialComponents<FullClient, FullBackend, FullHeaviest, FullQueue, FullPool, Engine>;

/// How long a vote takes to reach everybody, at the most; a round takes four times that, or longer.
const GOSSIP_DURATION: Duration = Duration::from_millis(333);

/// How many proofs that a voter voted twice wait to be handed in at the most.
const MOST_EQUIVOCATIONS: usize = 64;

/// Every how many blocks a justification is kept beside those of changes of the voters, and taken from others while catching up.
const JUSTIFICATION_PERIOD: u32 = 512;

/// How many block times ago what a proof of finality ends with may be dated: well less than the blocks whose states nodes keep.
const OLDEST_END_BLOCKS: u64 = 64;

/// Where compiled runtimes are kept, unless a folder was named: what is in it is executed, as is what is beside it.
fn wasm_cache(config: &Configuration, named: Option<&Path>) -> PathBuf {
    let folder = named.map_or_else(|| config.base_path.path().join("wasm-cache"), Into::into);
    // Of a relative one the compiler wants to know nothing.
    std::path::absolute(&folder).unwrap_or(folder)
}

/// As [`sc_service::new_wasm_executor`], with a folder for what was compiled.
fn executor_for<H: sc_executor::HostFunctions>(config: &ExecutorConfiguration, wasm_cache: &Path) -> WasmExecutor<H> {
    let pages = config.default_heap_pages;
    let heap = pages.map_or(DEFAULT_HEAP_ALLOC_STRATEGY, |pages| HeapAllocStrategy::Static { extra_pages: pages as _ });
    WasmExecutor::builder()
        .with_execution_method(config.wasm_method)
        .with_onchain_heap_alloc_strategy(heap)
        .with_offchain_heap_alloc_strategy(heap)
        .with_max_runtime_instances(config.max_runtime_instances)
        .with_runtime_cache_size(config.runtime_cache_size)
        .with_cache_path(wasm_cache)
        .build()
}

/// The parts that subcommands need as well.
pub fn new_partial(config: &Configuration) -> Result<Partial, ServiceError> {
    new_partial_with(config, wasm_cache(config, None))
}

fn new_partial_with(config: &Configuration, wasm_cache: PathBuf) -> Result<Partial, ServiceError> {
    let telemetry = config
        .telemetry_endpoints
        .clone()
        .filter(|endpoints| !endpoints.is_empty())
        .map(|endpoints| -> Result<_, sc_telemetry::Error> {
            let worker = TelemetryWorker::new(16)?;
            let telemetry = worker.handle().new_telemetry(endpoints);
            Ok((worker, telemetry))
        })
        .transpose()?;

    let executor: FullExecutor = executor_for(&config.executor, &wasm_cache);
    let (client, backend, keystore_container, task_manager) = sc_service::new_full_parts::<Block, RuntimeApi, _>(
        config,
        telemetry.as_ref().map(|(_, telemetry)| telemetry.handle()),
        executor.clone(),
        Vec::new(),
    )
    .map_err(|error| explain_database(config, error))?;
    let client = Arc::new(client);
    let genesis = config.chain_spec.as_storage_builder().build_storage().map_err(ServiceError::Other)?;
    preflight::has_voters(config.chain_spec.name(), &genesis)?;
    preflight::database_is_of_this_chain(config, genesis, &client, &executor)?;
    let parameters = preflight::follows_its_rules(&client)?;

    let telemetry = telemetry.map(|(worker, telemetry)| {
        task_manager.spawn_handle().spawn("telemetry", None, worker.run());
        telemetry
    });
    let metrics = config.prometheus_registry().map(Metrics::register).transpose()?;
    let transaction_pool = Arc::new(
        sc_transaction_pool::Builder::new(
            task_manager.spawn_essential_handle(),
            client.clone(),
            config.role.is_authority().into(),
        )
        .with_options(config.transaction_pool.clone())
        .with_prometheus(config.prometheus_registry())
        .build(),
    );

    let minimum_weight = sc_chain_spec::get_extension::<MinimumChainWeight>(config.chain_spec.extensions());
    let checkpoint = sc_chain_spec::get_extension::<Checkpoint>(config.chain_spec.extensions());
    let verified_headers = VerifiedHeaders::default();
    let mut executor_config = config.executor.clone();
    // One instance of one runtime, without a pool for more.
    executor_config.wasm_method = WasmExecutionMethod::Compiled {
        instantiation_strategy: WasmtimeInstantiationStrategy::RecreateInstanceCopyOnWrite,
    };
    executor_config.max_runtime_instances = 1;
    executor_config.runtime_cache_size = 1;
    let cold = Cold::new(backend.clone(), move || {
        executor_for::<sp_io::SubstrateHostFunctions>(&executor_config, &wasm_cache)
    });
    let settings = import::Settings {
        bad_blocks: BadBlocks::default(),
        verified_headers: verified_headers.clone(),
        signatures: VerifiedSignatures::default(),
        recent: Recent::new(least_age_of_votes(&parameters)),
        cold: Arc::new(cold),
        metrics: metrics.clone(),
    };
    let heaviest = Heaviest::new(client.clone(), backend.clone());
    let telemetry_handle = telemetry.as_ref().map(Telemetry::handle);
    let (grandpa, link) = sc_consensus_grandpa::block_import(
        client.clone(),
        JUSTIFICATION_PERIOD,
        &client,
        heaviest.clone(),
        telemetry_handle,
    )?;
    let import = Import::new(client.clone(), backend.clone(), grandpa, settings.clone());
    let verifier = Verifier::new(client.clone(), verified_headers.clone(), metrics.clone());
    let executing = BasicQueue::new(
        verifier.clone(),
        Box::new(import.clone()),
        Some(Box::new(import.clone())),
        &task_manager.spawn_essential_handle(),
        config.prometheus_registry(),
    );
    let strategy = Rayon::new(0)
        .map_err(|error| ServiceError::Other(format!("the threads that verify cannot be started: {error}")))?;
    let our_best = OurBestReader::new(client.clone());
    let extrinsics =
        ExtrinsicVerifier::new(client.clone(), strategy.clone(), signed_message, settings.signatures.clone());
    let signatures = Box::new(move |blocks: &[&IncomingBlock<Block>]| extrinsics.verify(blocks));
    let ahead = Ahead { strategy, our_best: Arc::new(move || our_best.read()), verified_headers, signatures, metrics };
    let import_queue = Queue::new(executing, ahead, &task_manager.spawn_essential_handle());

    Ok(PartialComponents {
        client,
        select_chain: heaviest,
        backend,
        task_manager,
        import_queue,
        keystore_container,
        transaction_pool,
        other: Engine {
            import,
            verifier,
            settings,
            minimum_weight: minimum_weight.copied().flatten().unwrap_or_default(),
            demands: Demands {
                rules: HeaderRules::from(&parameters.consensus).lenient(),
                oldest_end: parameters.consensus.block_time.saturating_mul(OLDEST_END_BLOCKS),
                oldest_checkpoint: parameters
                    .consensus
                    .block_time
                    .saturating_mul(parameters.registry.unbonding_blocks.into()),
                checkpoint: checkpoint.copied().flatten(),
            },
            link,
            telemetry,
        },
    })
}

/// For how long a block must have been here before it is voted for: as long as the blocks take that it must be behind the best one.
fn least_age_of_votes(parameters: &Parameters) -> Duration {
    Duration::from_millis(parameters.consensus.block_time).saturating_mul(parameters.finality.votes_behind)
}

/// What the runtime says that the signature of an extrinsic covers.
fn signed_message(
    extrinsic: &OpaqueExtrinsic,
    surroundings: &Surroundings<'_, Block>,
) -> Option<(Vec<u8>, weir_primitives::Signature, AccountId)> {
    let at = signed_extrinsics::Surroundings {
        number: surroundings.number,
        genesis: surroundings.genesis,
        spec_version: surroundings.version.spec_version,
        transaction_version: surroundings.version.transaction_version,
    };
    signed_extrinsics::read(extrinsic.inner(), &at, |number| surroundings.ancestor(number))
}

/// Adds to an error of opening the database what to do about it.
fn explain_database(config: &Configuration, error: ServiceError) -> ServiceError {
    let path = config.database.path().map(|path| path.display().to_string()).unwrap_or_default();
    match error {
        ServiceError::Client(error) if error.to_string().contains("Incompatible pruning modes") => {
            ServiceError::Other(format!(
                "the database in {path} was made with another --state-pruning ({error}); give the same as then, or delete \
                 it with purge-chain and sync again"
            ))
        },
        ServiceError::Client(error) => ServiceError::Other(format!(
            "the database in {path} cannot be opened ({error}); if no other node uses it, it is damaged: delete it with \
             purge-chain and sync again"
        )),
        other => other,
    }
}

/// A node that runs until it is told to stop.
pub fn new_full<N: NetworkBackend<Block, <Block as BlockT>::Hash>>(
    mut config: Configuration,
    mining: MiningArgs,
    named_cache: Option<&Path>,
) -> Result<TaskManager, ServiceError> {
    let PartialComponents {
        client,
        backend,
        mut task_manager,
        import_queue,
        keystore_container,
        select_chain: _,
        transaction_pool,
        other: Engine { import, verifier: _, settings: engine, minimum_weight, demands, link, mut telemetry },
    } = new_partial_with(&config, wasm_cache(&config, named_cache))?;
    let keystore = keystore_container.keystore();
    let settings = if config.role.is_authority() {
        match mining_settings(&config, &mining, &keystore) {
            Ok(settings) => Some(settings),
            // Who wants no threads may want no blocks either.
            Err(error) if mining.mining_threads == 0 && mining.author.is_none() => {
                log::warn!("This node makes no blocks, not even for miners outside: {error}");
                None
            },
            Err(error) => return Err(error),
        }
    } else {
        None
    };

    preflight::may_start_from_a_proof(&config, demands.checkpoint.is_some())?;
    // A proof speaks for itself, whoever it comes from.
    config.network.min_peers_to_start_warp_sync = Some(1);
    let proofs = NetworkProvider::new(backend.clone(), link.shared_authority_set().clone(), Vec::new());
    let proofs = CheckedProofs::new(Arc::new(proofs), demands);
    let Network { network, system_rpc_tx, tx_handler_controller, sync_service, votes } =
        build_network::<N>(&config, &client, &transaction_pool, &task_manager, import_queue, &engine, proofs)?;

    if config.offchain_worker.enabled {
        let workers = sc_offchain::OffchainWorkers::new(sc_offchain::OffchainWorkerOptions {
            runtime_api_provider: client.clone(),
            keystore: Some(keystore.clone()),
            offchain_db: backend.offchain_storage(),
            transaction_pool: Some(OffchainTransactionPoolFactory::new(transaction_pool.clone())),
            network_provider: Arc::new(network.clone()),
            is_validator: config.role.is_authority(),
            enable_http_requests: true,
            custom_extensions: |_| vec![],
        })?;
        task_manager.spawn_handle().spawn(
            "offchain-workers-runner",
            "offchain-worker",
            workers.run(client.clone(), task_manager.spawn_handle()).boxed(),
        );
    }

    task_manager.spawn_handle().spawn(
        "resubmit-transactions",
        "transaction-pool",
        resubmit::resubmit(client.clone(), transaction_pool.clone()),
    );

    // What became final before the node was ended may have left its best branch.
    let (following, mut finalized) = (import.clone(), client.finality_notification_stream());
    task_manager.spawn_essential_handle().spawn("follow-finality", Some("consensus"), async move {
        loop {
            if let Err(error) = following.follow_finality().await {
                log::error!("The best block cannot be moved to where finality went: {error}");
            }
            if finalized.next().await.is_none() {
                return;
            }
        }
    });
    task_manager.spawn_handle().spawn(
        "carry-proofs",
        Some("transaction-pool"),
        proofs::carry(client.clone(), transaction_pool.clone()),
    );
    let voter_state = SharedVoterState::empty();
    let finality_rpc = rpc::Finality {
        voters: link.shared_authority_set().clone(),
        voter_state: voter_state.clone(),
        justifications: link.justification_stream(),
        proofs: sc_consensus_grandpa::FinalityProofProvider::new_for_service(
            backend.clone(),
            Some(link.shared_authority_set().clone()),
        ),
    };
    let (role, name) = (config.role, config.network.node_name.clone());
    let is_observer = !role.is_authority();

    let board = Arc::new(Board::default());
    let prometheus_registry = config.prometheus_registry().cloned();
    let rpc_builder = {
        let (client, pool) = (client.clone(), transaction_pool.clone());
        let mining = settings.clone().map(|settings| (settings, board.clone()));
        let keystore = keystore.clone();
        Box::new(move |executor| {
            let (mining, keystore) = (mining.clone(), keystore.clone());
            rpc::create(client.clone(), pool.clone(), mining, keystore, finality_rpc.clone(), executor)
                .map_err(Into::into)
        })
    };
    sc_service::spawn_tasks(SpawnTasksParams {
        config,
        client: client.clone(),
        backend,
        task_manager: &mut task_manager,
        keystore: keystore.clone(),
        transaction_pool: transaction_pool.clone(),
        rpc_builder,
        network: network.clone(),
        system_rpc_tx,
        tx_handler_controller,
        sync_service: sync_service.clone(),
        telemetry: telemetry.as_mut(),
        tracing_execute_block: None,
    })?;

    let (protocol_name, notification_service) = votes;
    let (found, equivocations) = mpsc::channel(MOST_EQUIVOCATIONS);
    task_manager.spawn_handle().spawn(
        "carry-equivocations",
        Some("transaction-pool"),
        proofs::carry_equivocations(client.clone(), transaction_pool.clone(), equivocations),
    );
    let notification_service = first_votes(notification_service, link.shared_authority_set().clone(), found);
    let voter = sc_consensus_grandpa::run_grandpa_voter(GrandpaParams {
        config: sc_consensus_grandpa::Config {
            gossip_duration: GOSSIP_DURATION,
            justification_generation_period: JUSTIFICATION_PERIOD,
            observer_enabled: false,
            local_role: role,
            name: Some(name),
            keystore: (!is_observer).then(|| keystore.clone()),
            telemetry: telemetry.as_ref().map(Telemetry::handle),
            protocol_name,
        },
        link,
        network,
        sync: sync_service.clone(),
        notification_service,
        voting_rule: Behind::new(engine.recent.clone()),
        prometheus_registry: prometheus_registry.clone(),
        shared_voter_state: voter_state,
        telemetry: telemetry.as_ref().map(Telemetry::handle),
        offchain_tx_pool_factory: OffchainTransactionPoolFactory::new(transaction_pool.clone()),
    })?;
    // It ends where GRANDPA's own code fails on what a voter sent. Blocks go on without votes.
    let voter = voter.map(|()| {
        log::error!("GRANDPA's voter has ended: this node sees and makes nothing final until it is started again")
    });
    task_manager.spawn_handle().spawn_blocking("voter", Some("consensus"), voter);

    if let Some(settings) = settings {
        let author = settings.author.to_ss58check();
        if settings.threads == 0 {
            log::info!("Making blocks for {author} that miners outside search");
        } else {
            log::info!(
                "Mining for {author} with {} thread(s) at {} %, {} kernel",
                settings.threads,
                settings.intensity_percent,
                weir_pow::Kernel::best(),
            );
        }
        let environment = sc_basic_authorship::ProposerFactory::new(
            task_manager.spawn_handle(),
            client.clone(),
            transaction_pool.clone(),
            prometheus_registry.as_ref(),
            telemetry.as_ref().map(Telemetry::handle),
        );
        let miner = Miner {
            client,
            environment,
            pool: transaction_pool,
            block_import: Box::new(import),
            oracle: sync_service,
            keystore,
            minimum_weight,
            settings,
            board,
            metrics: engine.metrics,
        };
        task_manager.spawn_essential_handle().spawn_blocking("miner", Some("block-authoring"), miner.run());
    }
    Ok(task_manager)
}

/// The service that votes are gossiped over, without what GRANDPA's voter must not see. What proves that somebody voted twice goes to `found`.
fn first_votes(
    service: Box<dyn NotificationService>,
    voters: SharedAuthoritySet<BlockHash, BlockNumber>,
    found: mpsc::Sender<Proof<Block>>,
) -> Box<dyn NotificationService> {
    let is_voter = move |set, key: &AuthorityId| voters.set_id() == set && voters.current_authorities().contains(key);
    let on_equivocation = move |proof| {
        if found.try_send(proof).is_err() {
            log::debug!(target: "weir", "a proof that a voter voted twice is not handed in: too many wait");
        }
    };
    Box::new(FirstVotes::<Block>::new(service, Arc::new(is_voter), Arc::new(on_equivocation)))
}

/// What [`build_network`] makes.
struct Network {
    network: Arc<dyn NetworkService>,
    system_rpc_tx: sc_utils::mpsc::TracingUnboundedSender<sc_rpc::system::Request<Block>>,
    tx_handler_controller: TransactionsHandlerController<BlockHash>,
    sync_service: Arc<SyncingService<Block>>,
    /// Over what votes are gossiped.
    votes: (ProtocolName, Box<dyn NotificationService>),
}

/// The network, with a syncing strategy that bans liars around the SDK's own. As `sc_service::build_network`, which has no
/// place for one.
fn build_network<N: NetworkBackend<Block, BlockHash>>(
    config: &Configuration,
    client: &Arc<FullClient>,
    transaction_pool: &Arc<FullPool>,
    task_manager: &TaskManager,
    import_queue: FullQueue,
    engine: &import::Settings<Block>,
    proofs: CheckedProofs<Block>,
) -> Result<Network, ServiceError> {
    let registry = config.prometheus_registry();
    let metrics = N::register_notification_metrics(registry);
    let mut net_config = FullNetworkConfiguration::<Block, BlockHash, N>::new(&config.network, registry.cloned());
    let provider = NetworkServiceProvider::new();
    let (protocol_id, fork_id) = (config.protocol_id(), config.chain_spec.fork_id());
    let peers = &config.network.default_peers_set;
    let votes = sc_consensus_grandpa::protocol_standard_name(&client.info().genesis_hash, &config.chain_spec);
    let (votes_config, votes_service) = sc_consensus_grandpa::grandpa_peers_set_config::<Block, N>(
        votes.clone(),
        metrics.clone(),
        net_config.peer_store_handle(),
    );
    net_config.add_notification_protocol(votes_config);

    let downloader = build_default_block_downloader(
        &protocol_id,
        fork_id,
        &mut net_config,
        provider.handle(),
        client.clone(),
        peers.in_peers.saturating_add(peers.out_peers) as usize,
        &task_manager.spawn_handle(),
    );
    let downloader: Arc<dyn BlockDownloader<Block>> = Arc::new(BoundedDownloader::new(downloader));
    let strategy: Box<dyn SyncingStrategy<Block>> = build_polkadot_syncing_strategy(
        protocol_id.clone(),
        fork_id,
        &mut net_config,
        Some(WarpSyncConfig::WithProvider(Arc::new(proofs))),
        downloader.clone(),
        client.clone(),
        &task_manager.spawn_handle(),
        registry,
        default_gap_sync_body_policy(config.blocks_pruning),
    )?;
    let info = client.info();
    let strategy = PeerPolicy::new(
        strategy,
        Parts {
            check: Box::new(Announced::new(client.clone(), engine.bad_blocks.clone())),
            downloader,
            bad_blocks: engine.bad_blocks.clone(),
            verified_headers: engine.verified_headers.clone(),
            genesis: info.genesis_hash,
            best: info.best_number,
            metrics: engine.metrics.clone(),
        },
    );
    let (syncing_engine, sync_service, block_announce_config) = SyncingEngine::new(
        Roles::from(&config.role),
        client.clone(),
        registry,
        metrics.clone(),
        &net_config,
        protocol_id.clone(),
        fork_id,
        // The strategy checks what is announced, since only it knows by whom.
        Box::new(DefaultBlockAnnounceValidator),
        Box::new(strategy),
        provider.handle(),
        import_queue.service(),
        net_config.peer_store_handle(),
    )?;
    task_manager.spawn_essential_handle().spawn_blocking("syncing", None, syncing_engine.run());

    let (network, system_rpc_tx, tx_handler_controller, sync_service, _bitswap) =
        build_network_advanced(BuildNetworkAdvancedParams {
            role: config.role,
            protocol_id,
            fork_id,
            announce_block: config.announce_block,
            net_config,
            client: client.clone(),
            transaction_pool: transaction_pool.clone(),
            spawn_handle: task_manager.spawn_handle(),
            spawn_essential_handle: task_manager.spawn_essential_handle(),
            import_queue,
            sync_service,
            block_announce_config,
            network_service_provider: provider,
            metrics_registry: registry,
            metrics,
            blocks_pruning: config.blocks_pruning,
        })?;
    Ok(Network { network, system_rpc_tx, tx_handler_controller, sync_service, votes: (votes, votes_service) })
}

/// Finds out with what to mine, and that its key is there.
fn mining_settings(
    config: &Configuration,
    args: &MiningArgs,
    keystore: &KeystorePtr,
) -> Result<miner::Settings, ServiceError> {
    if let Some(seed) = &config.dev_key_seed {
        keystore
            .sr25519_generate_new(miner::KEY_TYPE, Some(seed))
            .map(|_| ())
            .and_then(|()| keystore.ed25519_generate_new(sp_consensus_grandpa::KEY_TYPE, Some(seed)).map(|_| ()))
            .map_err(|error| ServiceError::Other(format!("the development key {seed} could not be made: {error}")))?;
    }
    let keys = keystore.sr25519_public_keys(miner::KEY_TYPE);
    let author = match (&args.author, keys.as_slice()) {
        (None, []) => return Err(missing_key(config, args, "a validator needs the key of its author")),
        (Some(author), []) => {
            let author = author.to_ss58check();
            let what = format!("the key of --author {author}, or one that it named, is not in the keystore");
            return Err(missing_key(config, args, &what));
        },
        (Some(author), keys) => {
            if keys.iter().all(|key| AccountId::from(*key) != *author) {
                // The chain says whose key signs, once this node knows it.
                log::info!(
                    "The keystore has no key of {} itself: blocks are made once it named one that is there as its author key",
                    author.to_ss58check()
                );
            }
            author.clone()
        },
        (None, [key]) => AccountId::from(*key),
        (None, _) => {
            return Err(ServiceError::Other("the keystore has several author keys; name one with --author".into()))
        },
    };
    Ok(miner::Settings { author, threads: args.mining_threads.into(), intensity_percent: args.mining_intensity })
}

fn missing_key(config: &Configuration, args: &MiningArgs, what: &str) -> ServiceError {
    ServiceError::Other(format!(
        "{what}; put it there with: weir-node key insert --chain {} --base-path {} --key-type weir --scheme sr25519 --suri <secret>",
        args.chain,
        config.base_path.path().display(),
    ))
}
