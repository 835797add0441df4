//! A Weir network on this machine: validators, challengers and providers as separate processes on loopback.

use clap::Parser;
use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};
use weir_e2e::{
    claims::Checker,
    network::{Network, CHALLENGERS, PROVIDERS, VALIDATORS},
    observer::{table, Ledger},
    Result,
};

/// Runs a Weir network on this machine, and shows what it does.
///
/// Ends all it started, and nothing else, on Ctrl-C.
#[derive(Parser)]
#[command(name = "scripts/testnet", version)]
struct Cli {
    /// Prove what the network must show, each line with its figure, and end. Fails if one is not shown.
    #[arg(long)]
    check: bool,

    /// Where logs and data go. By default a new temporary folder.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,

    /// How many minutes a check may take.
    #[arg(long, value_name = "MINUTES", default_value_t = 12)]
    minutes: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        },
    }
}

async fn run(cli: &Cli) -> Result<()> {
    let folder = match &cli.folder {
        Some(folder) if folder.join("chain-spec-raw.json").exists() => {
            return Err(format!("{} has a network in it already; give another --folder", folder.display()).into());
        },
        Some(folder) => folder.clone(),
        None => tempfile::Builder::new().prefix("weir-testnet-").tempdir()?.keep(),
    };
    println!(
        "starting {} validators, {} challengers and {} providers; logs and data are in {}",
        VALIDATORS.len(),
        CHALLENGERS.len(),
        PROVIDERS.len(),
        folder.display()
    );
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        result = live(cli, folder) => result,
        _ = tokio::signal::ctrl_c() => ended_early(cli),
        _ = terminate.recv() => ended_early(cli),
    }
}

/// A network that is ended by hand has done its job, and a check has not.
fn ended_early(cli: &Cli) -> Result<()> {
    println!("\nending the network");
    if cli.check {
        return Err("the check was ended before all was shown".into());
    }
    Ok(())
}

async fn live(cli: &Cli, folder: PathBuf) -> Result<()> {
    let mut network = Network::start(folder).await?;
    if let Some(why) = &network.homeless {
        println!("no provider is behind a router of its own, and none moves: {why}");
    }
    for node in &network.nodes {
        println!("{:<12} JSON-RPC at {}", node.settings.name, node.url());
    }
    if cli.check {
        let shown = Checker::new(Duration::from_secs(cli.minutes * 60)).check_all(&mut network).await?;
        println!("all {shown} claims are shown");
        return Ok(());
    }

    let is_terminal = std::io::stdout().is_terminal();
    let mut ledger = Ledger::default();
    let mut refresh = tokio::time::interval(Duration::from_secs(if is_terminal { 2 } else { 10 }));
    loop {
        refresh.tick().await;
        network.is_alive()?;
        let shown = table(&mut network, &mut ledger).await?;
        let mut out = std::io::stdout().lock();
        if is_terminal {
            // Home, and clear what is below.
            write!(out, "\x1b[H\x1b[J")?;
        }
        writeln!(out, "Weir local network in {} (Ctrl-C ends it)\n\n{shown}", network.folder.display())?;
        out.flush()?;
    }
}
