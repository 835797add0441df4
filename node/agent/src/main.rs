//! The light agent of Weir.

use clap::{Args, Parser, Subcommand};
use std::{net::SocketAddr, path::PathBuf, process::ExitCode};
use weir_agent::{chain::Node, challenge, identity, provide, rate::Rate, status, Fatal};
use weir_primitives::AccountId;

/// Sells, measures and looks at bandwidth on the Weir chain.
#[derive(Parser)]
#[command(name = "weir-agent", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Provide bandwidth: register, and be measured once per epoch.
    Provide(Provide),
    /// Measure providers, when the draw says so.
    Challenge(Challenge),
    /// Show what the chain knows of an account, or of all providers.
    Status(Status),
}

#[derive(Args)]
struct Nodes {
    /// The WebSocket address of a node. Several may be given: if one fails, the next one is used.
    #[arg(long = "node", value_name = "URL", default_value = "ws://127.0.0.1:9944")]
    nodes: Vec<String>,
}

#[derive(Args)]
struct Account {
    /// A file with the secret phrase, 0x seed or //derivation of the account.
    #[arg(long, value_name = "FILE", conflicts_with = "suri", required_unless_present = "suri")]
    key_file: Option<PathBuf>,

    /// The same on the command line, where other users of the machine can see it: for development keys.
    #[arg(long, value_name = "SECRET")]
    suri: Option<String>,

    /// Where the agent keeps its identity key and its reports.
    #[arg(long, value_name = "FOLDER")]
    base_path: PathBuf,
}

#[derive(Args)]
struct Provide {
    #[command(flatten)]
    nodes: Nodes,

    #[command(flatten)]
    account: Account,

    /// Where measurement packets are taken: the one UDP port that a home router has to forward.
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:40400")]
    listen: SocketAddr,

    /// The address under which the world reaches it, if it is another one.
    #[arg(long, value_name = "IP:PORT")]
    external: Option<SocketAddr>,

    /// The capacity to declare, for which a bond is held. By default the limit.
    #[arg(long, value_name = "RATE", required_unless_present = "limit")]
    declare: Option<Rate>,

    /// How much of the line is sold: packets above it are dropped.
    #[arg(long, value_name = "RATE")]
    limit: Option<Rate>,

    /// The author whose blocks this bandwidth makes easier.
    #[arg(long, value_name = "ADDRESS")]
    author: Option<AccountId>,
}

#[derive(Args)]
struct Challenge {
    #[command(flatten)]
    nodes: Nodes,

    #[command(flatten)]
    account: Account,

    /// Where provers dial to.
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:40401")]
    listen: SocketAddr,

    /// The address under which the world reaches it, if it is another one.
    #[arg(long, value_name = "IP:PORT")]
    external: Option<SocketAddr>,
}

#[derive(Args)]
struct Status {
    #[command(flatten)]
    nodes: Nodes,

    /// The account.
    address: Option<AccountId>,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What the world sends to: an address that somebody can send to.
fn external(listen: SocketAddr, external: Option<SocketAddr>) -> Result<SocketAddr, Fatal> {
    let address = external.unwrap_or(listen);
    if address.ip().is_unspecified() || address.port() == 0 {
        return Err(Fatal(format!(
            "{address} is no address that others can reach; give yours with --external IP:PORT"
        )));
    }
    Ok(address)
}

async fn run(command: Command) -> Result<(), Fatal> {
    match command {
        Command::Provide(args) => {
            let declared = args.declare.or(args.limit).ok_or_else(|| Fatal("give --declare or --limit".into()))?;
            let settings = provide::Settings {
                key: identity::account_key(args.account.suri.as_deref(), args.account.key_file.as_ref())?,
                identity: identity::Identity::load_or_make(&args.account.base_path)?,
                external: external(args.listen, args.external)?,
                listen: args.listen,
                nodes: args.nodes.nodes,
                declared_bits_per_second: declared.bits_per_second,
                limit_bits_per_second: args.limit.map(|limit| limit.bits_per_second),
                mining_author: args.author,
            };
            until_stopped(provide::run(settings)).await
        },
        Command::Challenge(args) => {
            let settings = challenge::Settings {
                key: identity::account_key(args.account.suri.as_deref(), args.account.key_file.as_ref())?,
                identity: identity::Identity::load_or_make(&args.account.base_path)?,
                external: external(args.listen, args.external)?,
                listen: args.listen,
                nodes: args.nodes.nodes,
                folder: args.account.base_path,
            };
            until_stopped(challenge::run(settings)).await
        },
        Command::Status(args) => {
            let node = Node::connect_any(&args.nodes.nodes).await.map_err(|error| {
                Fatal(format!("no node can be reached ({error}); start one, or give its address with --node"))
            })?;
            let shown = status::ask(&node, args.address.clone()).await.map_err(|error| Fatal(error.to_string()))?;
            if args.json {
                println!("{}", serde_json::to_string_pretty(&shown).map_err(|error| Fatal(error.to_string()))?);
                return Ok(());
            }
            match (&args.address, shown.is_empty()) {
                (Some(address), true) => {
                    return Err(Fatal(format!("{address} is neither a provider nor a challenger")))
                },
                (None, true) => println!("there are no providers"),
                _ => shown.iter().for_each(|it| println!("{}", it.lines())),
            }
            Ok(())
        },
    }
}

/// Runs an agent until it ends, or the user ends it.
async fn until_stopped(agent: impl std::future::Future<Output = Fatal>) -> Result<(), Fatal> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|error| Fatal(format!("signals cannot be taken: {error}")))?;
    tokio::select! {
        fatal = agent => Err(fatal),
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,weir_agent=info,weir_probe=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        },
    }
}
