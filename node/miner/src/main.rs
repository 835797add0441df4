//! The miner of Weir that runs beside a node, or far from it.

use clap::Parser;
use std::{process::ExitCode, time::Duration};
use weir_miner::miner::{run, Report, Settings};

/// Searches for the nonces of blocks that nodes make, and hands in what it finds.
///
/// A node gives work when it is a validator (`--validator`) and its unsafe RPC methods can be reached: on loopback they can. Who gets the
/// rewards is said there.
#[derive(Parser)]
#[command(name = "weir-miner", version)]
struct Cli {
    /// A node's JSON-RPC over WebSocket. May be given several times: what is worth most is searched, of equal work that of the first node, and of
    /// another one when that is gone.
    #[arg(long = "node", value_name = "URL", default_value = "ws://127.0.0.1:9944")]
    nodes: Vec<String>,

    /// How many threads search. They run at the lowest scheduling priority. By default as many as there are processors.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// For which part of the time they do, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u8).range(1..=100))]
    intensity: u8,

    /// How often to say what was done.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    report_every: u64,

    /// Say it as a line of JSON on standard output.
    #[arg(long)]
    json: bool,
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn show(report: &Report, as_json: bool) {
    if as_json {
        // All of it is numbers.
        println!("{}", serde_json::to_string(report).unwrap_or_default());
    } else {
        log::info!(
            "{:.2} MH/s; {} blocks, {} too late, {} refused; {} nodes connected",
            report.hashes_per_second / 1e6,
            report.accepted,
            report.stale,
            report.refused,
            report.nodes,
        );
    }
}

async fn mine(cli: Cli) -> Result<(), String> {
    let settings = Settings {
        nodes: cli.nodes,
        threads: cli.threads.map_or_else(processors, usize::from),
        intensity_percent: cli.intensity,
        report_every: Duration::from_secs(cli.report_every),
    };
    log::info!("searching with {} threads, {} kernel", settings.threads, weir_pow::Kernel::best());
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|error| format!("signals cannot be taken: {error}"))?;
    tokio::select! {
        ended = run(settings, |report| show(report, cli.json)) => ended,
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,weir_miner=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
    match mine(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        },
    }
}
