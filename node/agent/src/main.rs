//! The light agent of Weir.

mod market_commands;

use clap::{Args, Parser, Subcommand};
use libp2p::PeerId;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    str::FromStr,
    time::Duration,
};
use weir_agent::{
    account::{self, Action, ProvenKey},
    amount::Amount,
    audit,
    chain::{actor::Actor, challenger, provider, Node},
    identity,
    identity::Identity,
    manual::{answer, measure},
    metrics, plot,
    rate::Rate,
    status, Fatal,
};
use weir_primitives::{registry::Role, AccountId};
use weir_probe::{message::Direction, port::Limits};

/// Sells, measures and looks at bandwidth on the Weir chain.
#[derive(Parser)]
#[command(name = "weir-agent", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Sets the agent's clock off by so many milliseconds, for tests.
    #[cfg(feature = "test-clock")]
    #[arg(long, value_name = "MILLISECONDS", global = true, allow_negative_numbers = true, default_value_t = 0)]
    #[arg(help_heading = "For tests only")]
    test_clock_offset: i64,
}

#[derive(Subcommand)]
enum Command {
    /// Provide bandwidth: register, and be measured when the draw says so.
    Provide(Provide),
    /// Measure providers, when the draw says so.
    Challenge(Challenge),
    /// Measure this machine's line by hand, with challengers that answer. Needs no chain.
    Measure(Measure),
    /// Be a challenger for measurements that others start by hand. Needs no chain.
    Answer(Answer),
    /// Show what the chain knows of an account, or of all providers.
    Status(Status),
    /// Work out again from its blocks what the chain measured and paid, and say whether it agrees. The node must keep the state of all blocks.
    Audit {
        #[command(flatten)]
        nodes: Nodes,
        /// The last block to look at. By default the last one that cannot be taken back.
        #[arg(long, value_name = "NUMBER")]
        until: Option<u32>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take no part any more. The bond stays held for the unbonding time.
    Leave {
        /// As what.
        #[arg(value_enum)]
        role: As,
        #[command(flatten)]
        once: Once,
    },
    /// Take back what is due of a bond.
    Withdraw {
        /// As what.
        #[arg(value_enum)]
        role: As,
        /// The account that gets it: anyone may, for anyone. By default the one that signs.
        address: Option<AccountId>,
        #[command(flatten)]
        once: Once,
    },
    /// Pay what was earned, and release what has vested.
    Claim {
        /// The account that gets it: anyone may, for anyone. By default the one that signs.
        address: Option<AccountId>,
        #[command(flatten)]
        once: Once,
    },
    /// Be drawn no more as a challenger, without any blame, until the account comes back.
    Pause(Once),
    /// Be drawn again as a challenger after a pause or a time in jail.
    ComeBack(Once),
    /// Declare another capacity. What the bond is larger is held at once; what it is smaller is free after the unbonding time.
    Declare {
        /// The capacity, for example 50mbit.
        rate: Rate,
        #[command(flatten)]
        once: Once,
    },
    /// Have what is earned from now on paid to another account.
    Payee {
        /// The account; by default the one that signs, again.
        address: Option<AccountId>,
        #[command(flatten)]
        once: Once,
    },
    /// Have blocks signed by another key, which a node made ('weir_newAuthorKey'): its machine then needs no key that moves funds.
    AuthorKey {
        /// The key that a node made, in hexadecimal digits; by default the account's own again.
        #[arg(long, value_name = "0xKEY", requires = "proof")]
        key: Option<Hex<32>>,
        /// What the node gave as its proof.
        #[arg(long, value_name = "0xPROOF", requires = "key")]
        proof: Option<Hex<64>>,
        #[command(flatten)]
        once: Once,
    },
    /// Vote on what is final: needs a bond, bandwidth behind the account, and blocks that it makes.
    #[command(subcommand)]
    Voter(Voter),
    /// What providers sell.
    #[command(subcommand)]
    Market(market_commands::Market),
    /// Payment channels: a deposit, a key that signs receipts for one provider, and what becomes of them.
    #[command(subcommand)]
    Channel(market_commands::Channel),
}

#[derive(Subcommand)]
enum Voter {
    /// Stand for election.
    Join {
        /// The bond in WEIR, at least the chain's. It goes when the key votes for two things in one round.
        #[arg(long, value_name = "WEIR")]
        bond: Amount,
        #[command(flatten)]
        key: Proven,
        #[command(flatten)]
        once: Once,
    },
    /// Make the bond larger. Who left, or was displaced, stands for election again.
    Raise {
        /// By how much, in WEIR; by nothing to stand again.
        #[arg(long, value_name = "WEIR", default_value = "0")]
        by: Amount,
        #[command(flatten)]
        once: Once,
    },
    /// Have another key vote, from the next set on.
    Key {
        #[command(flatten)]
        key: Proven,
        #[command(flatten)]
        once: Once,
    },
    /// Stand for election no more. The bond stays held until the unbonding time has passed after the last set that the account is in.
    Leave(Once),
    /// Take back a bond that is due.
    Withdraw {
        /// The account that gets it: anyone may, for anyone. By default the one that signs.
        address: Option<AccountId>,
        #[command(flatten)]
        once: Once,
    },
}

/// A key, and its agreement to sign for the account.
#[derive(Args)]
struct Proven {
    /// The key that a node made, in hexadecimal digits.
    #[arg(long, value_name = "0xKEY")]
    key: Hex<32>,

    /// What the node gave as its proof.
    #[arg(long, value_name = "0xPROOF")]
    proof: Hex<64>,
}

impl From<Proven> for ProvenKey {
    fn from(Proven { key, proof }: Proven) -> Self {
        Self { key: key.0, proof: proof.0 }
    }
}

/// So many bytes, as `0x` and hexadecimal digits.
#[derive(Clone)]
struct Hex<const N: usize>([u8; N]);

impl<const N: usize> FromStr for Hex<N> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not 0x and {} hexadecimal digits", 2 * N);
        let digits = text.strip_prefix("0x").ok_or_else(wrong)?;
        let mut bytes = [0; N];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| wrong())?;
        Ok(Self(bytes))
    }
}

#[derive(Args)]
struct Nodes {
    /// The WebSocket address of a node. Several may be given: if one fails, the next one is used.
    #[arg(long = "node", value_name = "URL", default_value = "ws://127.0.0.1:9944")]
    nodes: Vec<String>,
}

/// Who signs.
#[derive(Args)]
struct Signer {
    /// A file with the secret phrase, 0x seed or //derivation of the account.
    #[arg(long, value_name = "FILE", conflicts_with = "suri", required_unless_present = "suri")]
    key_file: Option<PathBuf>,

    /// The same on the command line, where other users of the machine can see it: for development keys.
    #[arg(long, value_name = "SECRET")]
    suri: Option<String>,

    /// The account to act for, if the key is that of a proxy which the account named: the key of an agent's machine need not be able to move
    /// funds.
    #[arg(long, value_name = "ADDRESS")]
    account: Option<AccountId>,
}

impl Signer {
    fn actor(&self) -> Result<Actor, Fatal> {
        let key = identity::account_key(self.suri.as_deref(), self.key_file.as_ref())?;
        Ok(match &self.account {
            Some(account) => Actor::on_behalf_of(key, account.clone()),
            None => Actor::own(key),
        })
    }
}

/// What an agent that keeps running needs.
#[derive(Args)]
struct Daemon {
    #[command(flatten)]
    signer: Signer,

    /// Where the agent keeps its identity key and its reports.
    #[arg(long, value_name = "FOLDER")]
    base_path: PathBuf,

    /// Serve metrics for Prometheus at this address. By default they are not served.
    #[arg(long, value_name = "IP:PORT")]
    prometheus: Option<SocketAddr>,
}

/// What a command that does one thing needs.
#[derive(Args)]
struct Once {
    #[command(flatten)]
    nodes: Nodes,

    #[command(flatten)]
    signer: Signer,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum As {
    Provider,
    Challenger,
}

impl From<As> for Role {
    fn from(role: As) -> Self {
        match role {
            As::Provider => Self::Provider,
            As::Challenger => Self::Challenger,
        }
    }
}

#[derive(Args)]
struct Provide {
    #[command(flatten)]
    nodes: Nodes,

    #[command(flatten)]
    daemon: Daemon,

    /// Where measurement packets are sent from and taken: no router has to forward anything. An IPv6 address, as `[::]:0`, has this
    /// line measured over IPv6.
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:0")]
    listen: SocketAddr,

    /// The capacity to declare, for which a bond is held. By default the limit.
    #[arg(long, value_name = "RATE", required_unless_present = "limit")]
    declare: Option<Rate>,

    /// How much of the line is sold: packets above it are dropped.
    #[arg(long, value_name = "RATE")]
    limit: Option<Rate>,

    /// How much of what this machine sends is sold, where that is not as much as of what it receives.
    #[arg(long, value_name = "RATE", requires = "limit")]
    limit_up: Option<Rate>,

    /// The author whose blocks this bandwidth makes easier.
    #[arg(long, value_name = "ADDRESS")]
    author: Option<AccountId>,
}

#[derive(Args)]
struct Challenge {
    #[command(flatten)]
    nodes: Nodes,

    #[command(flatten)]
    daemon: Daemon,

    /// Where provers dial to. Packets are taken at the UDP port after it. `[::]:PORT` takes IPv4 as well.
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:40401")]
    listen: SocketAddr,

    /// The address under which the world reaches it, if it is another one. Given twice, once of IPv4 and once of IPv6 with the same port, it
    /// serves providers of both.
    #[arg(long, value_name = "IP:PORT")]
    external: Vec<SocketAddr>,

    /// What it sends and takes at most; challenges at one instant share it fairly.
    #[arg(long, value_name = "RATE", default_value = "1gbit")]
    class: Rate,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Ways {
    /// From the challengers to this machine.
    Down,
    /// From this machine to the challengers.
    Up,
    /// One after the other.
    Both,
}

#[derive(Args)]
struct Measure {
    /// A challenger, as `weir-agent answer` prints it: /ip4/ADDRESS/udp/PORT/quic-v1/p2p/PEER. Any number may be given.
    #[arg(long = "challenger", value_name = "MULTIADDRESS", required = true)]
    challengers: Vec<measure::Target>,

    /// Which way.
    #[arg(long, value_enum, default_value = "both")]
    direction: Ways,

    /// How fast the line should be: the challengers send half as much again. By default it is searched for.
    #[arg(long, value_name = "RATE")]
    declare: Option<Rate>,

    /// How long packets are sent. By default half a second, or ten round trips if that is longer.
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(10..=10_000))]
    train: Option<u64>,

    /// How many of the challengers may lie. By default as many as are less than half.
    #[arg(long, value_name = "NUMBER")]
    byzantine: Option<u32>,

    /// How often to measure.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    runs: u32,

    /// Where packets are taken. `[::]:PORT` takes IPv4 as well.
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:0")]
    listen: SocketAddr,

    /// The address and port that a router forwards here, if packets are to come that way. By default the challengers send
    /// to where this machine's packets come from, which most routers let pass without forwarding.
    #[arg(long, value_name = "IP:PORT")]
    external: Option<SocketAddr>,

    /// How much of the line may be used: packets above it are dropped.
    #[arg(long, value_name = "RATE")]
    limit: Option<Rate>,

    /// How far clocks may differ.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 20)]
    clock_tolerance: u64,

    /// Where the agent keeps its identity key. By default it makes one for once.
    #[arg(long, value_name = "FOLDER")]
    base_path: Option<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    json: bool,

    /// Draw what arrived over time into a PNG file.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

#[derive(Args)]
struct Answer {
    /// Where provers dial to. Packets are taken at the UDP port after it. `[::]:PORT` takes IPv4 as well.
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:40401")]
    listen: SocketAddr,

    /// What it sends and takes at most; measurements at one instant share it fairly.
    #[arg(long, value_name = "RATE", default_value = "1gbit")]
    class: Rate,

    /// Measure only this peer. Any number may be given. By default anybody.
    #[arg(long = "allow", value_name = "PEER")]
    allowed: Vec<PeerId>,

    /// How far clocks may differ.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 20)]
    clock_tolerance: u64,

    /// Where the agent keeps its identity key. By default it makes one for once.
    #[arg(long, value_name = "FOLDER")]
    base_path: Option<PathBuf>,
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

/// What the world sends to: addresses that somebody can send to, one of IPv4, and one of IPv6 at the most.
fn external(listen: SocketAddr, external: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Fatal> {
    let addresses = if external.is_empty() { vec![listen] } else { external };
    if let Some(address) = addresses.iter().find(|it| it.ip().is_unspecified() || it.port() == 0) {
        return Err(Fatal(format!(
            "{address} is no address that others can reach; give yours with --external IP:PORT"
        )));
    }
    let is_ipv4 = |address: &SocketAddr| address.ip().to_canonical().is_ipv4();
    // `[::]` takes both families, and every other address its own.
    let takes_both = listen.ip() == std::net::IpAddr::from(std::net::Ipv6Addr::UNSPECIFIED);
    if let Some(address) = addresses.iter().find(|it| !takes_both && is_ipv4(it) != is_ipv4(&listen)) {
        return Err(Fatal(format!("nothing is taken for {address} at {listen}; listen at [::]:{}", listen.port())));
    }
    let ipv4 = addresses.iter().filter(|address| is_ipv4(address)).count();
    let fits = ipv4 == 1 && addresses.len() <= 2 && addresses.iter().all(|it| it.port() == addresses[0].port());
    if !fits {
        return Err(Fatal(
            "a challenger has one address of IPv4, and at most one of IPv6 with the same port; give each with --external \
             IP:PORT"
                .into(),
        ));
    }
    Ok(addresses)
}

async fn run(command: Command) -> Result<(), Fatal> {
    match command {
        Command::Provide(args) => {
            let declared = args.declare.or(args.limit).ok_or_else(|| Fatal("give --declare or --limit".into()))?;
            let settings = provider::Settings {
                actor: args.daemon.signer.actor()?,
                identity: identity::Identity::load_or_make(&args.daemon.base_path)?,
                metrics: metrics::serve(args.daemon.prometheus)?,
                listen: args.listen,
                nodes: args.nodes.nodes,
                declared_bits_per_second: declared.bits_per_second,
                limits: Limits {
                    down_bits_per_second: args.limit.map(|limit| limit.bits_per_second),
                    up_bits_per_second: args.limit_up.or(args.limit).map(|limit| limit.bits_per_second),
                },
                mining_author: args.author,
            };
            until_stopped(provider::run(settings)).await
        },
        Command::Challenge(args) => {
            let settings = challenger::Settings {
                actor: args.daemon.signer.actor()?,
                identity: identity::Identity::load_or_make(&args.daemon.base_path)?,
                metrics: metrics::serve(args.daemon.prometheus)?,
                external: external(args.listen, args.external)?,
                listen: args.listen,
                nodes: args.nodes.nodes,
                folder: args.daemon.base_path,
                capacity_bits_per_second: args.class.bits_per_second,
            };
            until_stopped(challenger::run(settings)).await
        },
        Command::Measure(args) => measure_by_hand(args).await,
        Command::Answer(args) => {
            let settings = answer::Settings {
                identity: identity_in(args.base_path.as_deref())?,
                listen: args.listen,
                capacity_bits_per_second: args.class.bits_per_second,
                allowed: args.allowed,
                clock_tolerance_us: args.clock_tolerance.saturating_mul(1_000),
            };
            until_stopped(answer::run(settings)).await
        },
        Command::Status(args) => {
            let node = connect(&args.nodes).await?;
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
        Command::Audit { nodes, until, json } => audit_chain(&nodes, until, json).await,
        Command::Leave { role, once } => act(once, |_| Action::Leave(role.into())).await,
        Command::Withdraw { role, address, once } => {
            act(once, |own| Action::Withdraw(address.unwrap_or(own), role.into())).await
        },
        Command::Claim { address, once } => act(once, |own| Action::Claim(address.unwrap_or(own))).await,
        Command::Pause(once) => act(once, |_| Action::Pause).await,
        Command::ComeBack(once) => act(once, |_| Action::ComeBack).await,
        Command::Declare { rate, once } => act(once, |_| Action::Declare(rate.bits_per_second)).await,
        Command::Payee { address, once } => act(once, |_| Action::Payee(address)).await,
        Command::Market(command) => market_commands::run_market(command).await,
        Command::Channel(command) => market_commands::run_channel(command).await,
        Command::AuthorKey { key, proof, once } => {
            let key = key.zip(proof).map(|(key, proof)| Proven { key, proof }.into());
            act(once, |_| Action::AuthorKey(key)).await
        },
        Command::Voter(voter) => match voter {
            Voter::Join { bond, key, once } => act(once, |_| Action::JoinVoters(bond.0, key.into())).await,
            Voter::Raise { by, once } => act(once, |_| Action::RaiseVoterBond(by.0)).await,
            Voter::Key { key, once } => act(once, |_| Action::VoterKey(key.into())).await,
            Voter::Leave(once) => act(once, |_| Action::LeaveVoters).await,
            Voter::Withdraw { address, once } => {
                act(once, |own| Action::WithdrawVoterBond(address.unwrap_or(own))).await
            },
        },
    }
}

async fn connect(nodes: &Nodes) -> Result<Node, Fatal> {
    Node::connect_any(&nodes.nodes)
        .await
        .map_err(|error| Fatal(format!("no node can be reached ({error}); start one, or give its address with --node")))
}

/// Does one thing for the account that signs, or for the one that an action is about.
async fn act(once: Once, action: impl FnOnce(AccountId) -> Action) -> Result<(), Fatal> {
    let actor = once.signer.actor()?;
    let node = connect(&once.nodes).await?;
    let action = action(actor.account().clone());
    let said = account::act(&node, &actor, action).await.map_err(|error| Fatal(error.to_string()))?;
    println!("{said}");
    Ok(())
}

async fn audit_chain(nodes: &Nodes, until: Option<u32>, json: bool) -> Result<(), Fatal> {
    let node = connect(nodes).await?;
    // Shows nothing where no terminal is.
    let progress = indicatif::ProgressBar::new(0);
    let audited = audit::audit(&node, until, &progress).await.map_err(|error| Fatal(error.to_string()))?;
    progress.finish_and_clear();
    if json {
        println!("{}", serde_json::to_string_pretty(&audited).map_err(|error| Fatal(error.to_string()))?);
    } else {
        println!("{}", audited.lines());
    }
    match audited.differences.len() {
        0 => Ok(()),
        count => Err(Fatal(format!("the chain says {count} things that do not follow from its blocks"))),
    }
}

fn identity_in(folder: Option<&Path>) -> Result<Identity, Fatal> {
    folder.map_or_else(Identity::for_once, Identity::load_or_make)
}

async fn measure_by_hand(args: Measure) -> Result<(), Fatal> {
    if args.plot.is_some() {
        plot::load_font()?;
    }
    let settings = measure::Settings {
        targets: args.challengers,
        directions: match args.direction {
            Ways::Down => vec![Direction::Down],
            Ways::Up => vec![Direction::Up],
            Ways::Both => vec![Direction::Down, Direction::Up],
        },
        declared_bits_per_second: args.declare.map(|rate| rate.bits_per_second),
        train: args.train.map(Duration::from_millis),
        byzantine: args.byzantine,
        runs: args.runs,
        clock_tolerance_us: args.clock_tolerance.saturating_mul(1_000),
        external: args.external,
    };
    let identity = identity_in(args.base_path.as_deref())?;
    let limit = args.limit.map(|limit| limit.bits_per_second);
    let measurements = measure::Measure::new(identity, args.listen, limit, settings)?.run().await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&measurements).map_err(|error| Fatal(error.to_string()))?);
    } else {
        let tables: Vec<String> = measurements.iter().map(measure::Measurement::lines).collect();
        println!("{}", tables.join("\n\n"));
    }
    if let Some(file) = &args.plot {
        plot::plot(file, &measurements)
            .map_err(|error| Fatal(format!("the plot {} cannot be drawn: {error}", file.display())))?;
    }
    match measurements.iter().all(|measured| measured.raw_bits_per_second == 0) {
        true => Err(Fatal("no challenger counted anything".into())),
        false => Ok(()),
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
    let cli = Cli::parse();
    #[cfg(feature = "test-clock")]
    weir_probe::time::set_test_offset(cli.test_clock_offset.saturating_mul(1_000));
    match run(cli.command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        },
    }
}
