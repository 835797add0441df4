//! What each command does.

use crate::{
    chain_spec,
    cli::{Cli, Subcommand},
    preflight, rewind, service,
};
use clap::CommandFactory;
use sc_cli::{Error, SubstrateCli, SyncMode};
use sc_network::config::NetworkBackendType;
use sc_service::PartialComponents;
use sp_runtime::traits::Block as BlockT;
use weir_runtime::opaque::Block;

impl SubstrateCli for Cli {
    fn impl_name() -> String {
        "Weir Node".into()
    }

    fn impl_version() -> String {
        env!("SUBSTRATE_CLI_IMPL_VERSION").into()
    }

    fn executable_name() -> String {
        "weir-node".into()
    }

    fn description() -> String {
        Cli::command().get_about().map(ToString::to_string).unwrap_or_default()
    }

    fn author() -> String {
        env!("CARGO_PKG_AUTHORS").into()
    }

    fn support_url() -> String {
        env!("CARGO_PKG_REPOSITORY").into()
    }

    fn copyright_start_year() -> i32 {
        2026
    }

    fn load_spec(&self, id: &str) -> Result<Box<dyn sc_service::ChainSpec>, String> {
        Ok(Box::new(chain_spec::load(id)?))
    }
}

/// Runs the command that the process was started with.
pub fn run() -> sc_cli::Result<()> {
    let cli = Cli::from_args();
    match &cli.subcommand {
        Some(Subcommand::Key(cmd)) => cmd.run(&cli),
        Some(Subcommand::ExportChainSpec(cmd)) => cmd.run(cli.load_spec(&cmd.chain)?),
        Some(Subcommand::CheckBlock(cmd)) => cli.create_runner(cmd)?.async_run(|config| {
            let PartialComponents { client, task_manager, import_queue, .. } = service::new_partial(&config)?;
            Ok((cmd.run(client, import_queue), task_manager))
        }),
        Some(Subcommand::ExportBlocks(cmd)) => cli.create_runner(cmd)?.async_run(|config| {
            let PartialComponents { client, task_manager, .. } = service::new_partial(&config)?;
            Ok((cmd.run(client, config.database), task_manager))
        }),
        Some(Subcommand::ImportBlocks(cmd)) => cli.create_runner(cmd)?.async_run(|config| {
            let PartialComponents { client, task_manager, import_queue, .. } = service::new_partial(&config)?;
            Ok((cmd.run(client, import_queue), task_manager))
        }),
        Some(Subcommand::PurgeChain(cmd)) => cli.create_runner(cmd)?.sync_run(|config| cmd.run(config.database)),
        Some(Subcommand::Revert(cmd)) => cli.create_runner(cmd)?.async_run(|config| {
            let PartialComponents { client, task_manager, backend, .. } = service::new_partial(&config)?;
            // What was announced of voters in the blocks that are taken back is taken back too.
            let voters = Box::new(|client, _, blocks| Ok(sc_consensus_grandpa::revert(client, blocks)?));
            Ok((cmd.run(client, backend, Some(voters)), task_manager))
        }),
        Some(Subcommand::Rewind(cmd)) => {
            let mut rewound = None;
            cli.create_runner(cmd)?.async_run(|config| {
                let (work, task_manager, databases) = rewind::rewind(config, cmd.to)?;
                rewound = Some(databases);
                Ok((work, task_manager))
            })?;
            // Now that both databases are closed.
            rewound.map_or(Ok(()), rewind::Rewound::replace)
        },
        Some(Subcommand::ChainInfo(cmd)) => cli.create_runner(cmd)?.sync_run(|config| cmd.run::<Block>(&config)),
        None => run_node(&cli),
    }
}

fn run_node(cli: &Cli) -> sc_cli::Result<()> {
    let sync = cli.run.network_params.sync;
    if !matches!(sync, SyncMode::Full | SyncMode::Warp) {
        return Err(Error::Input(
            "this chain is synced in full or by proofs of what is final: --sync full or --sync warp".into(),
        ));
    }
    if sync == SyncMode::Warp && (cli.run.validator || cli.run.shared_params.is_dev()) {
        return Err(Error::Input(
            "a validator syncs in full: it vouches for blocks, and has to have seen those below; leave out --sync"
                .into(),
        ));
    }
    let mut mining = cli.mining.clone();
    mining.chain = cli.run.shared_params.chain_id(cli.run.shared_params.is_dev());
    #[cfg(feature = "fail-points")]
    cli.fail_points.iter().copied().for_each(weir_consensus::fail_point::set);
    let mut run = cli.run.clone();
    // A template is built several times per block; what the user asks for with --log comes after, and wins.
    run.shared_params.log.insert(0, "sc_basic_authorship=warn".into());
    // A line for each banned peer and each bad block would be one that every stranger can have written. The engine sums
    // them up.
    run.shared_params.log.insert(0, "sub-libp2p::peerstore=error,peerset=error,sync=error".into());
    let cache = cli.wasm_cache.as_deref();
    cli.create_runner(&run)?.run_node_until_exit(|mut config| async move {
        // That of a named network is made by its runtime, which has to be compiled for it: once, for all who ask for it below.
        let genesis = config.chain_spec.as_storage_builder().build_storage().map_err(Error::Input)?;
        config.chain_spec.set_storage(genesis);
        preflight::keys_are_private(&*config.chain_spec)?;
        preflight::ports_are_free(&config)?;
        match config.network.network_backend {
            NetworkBackendType::Libp2p => {
                service::new_full::<sc_network::NetworkWorker<Block, <Block as BlockT>::Hash>>(config, mining, cache)
            },
            NetworkBackendType::Litep2p => {
                service::new_full::<sc_network::Litep2pNetworkBackend>(config, mining, cache)
            },
        }
        .map_err(Error::Service)
    })
}
