//! Writes the pages of `docs/reference/`, or says which of them are stale.

use clap::Parser;
use std::process::ExitCode;
use weir_e2e::{reference::pages, Result};

/// Writes docs/reference/: parameters, metrics, RPC methods and command lines, as the code has them.
#[derive(Parser)]
#[command(name = "scripts/reference")]
struct Cli {
    /// Write nothing, and fail if a page is stale.
    #[arg(long)]
    check: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().check).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        },
    }
}

async fn run(is_check: bool) -> Result<()> {
    let stale: Vec<_> = pages().await?.into_iter().filter(|page| page.is_stale()).collect();
    let names: Vec<String> = stale.iter().map(|page| page.name()).collect();
    if is_check && !stale.is_empty() {
        return Err(format!("stale: {}; scripts/reference writes them anew", names.join(", ")).into());
    }
    for page in &stale {
        page.write()?;
        println!("wrote {}", page.name());
    }
    if stale.is_empty() {
        println!("the reference is up to date");
    }
    Ok(())
}
