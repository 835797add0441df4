//! Seeded simulations of Weir's rules: numbers as CSV, plots as PNG.
//!
//! The retarget, the boost credit and the required difficulty are those of `weir-primitives`, the code that the chain
//! runs. What is simulated around them is who finds the next block, and when: a Poisson process of hashes.

mod chain;
mod experiments;
mod plot;
mod table;

use clap::Parser;
use std::{path::PathBuf, process::ExitCode};

/// Simulates Weir's rules, and writes what came out as CSV and PNG.
#[derive(Parser)]
struct Arguments {
    /// What to simulate.
    #[arg(value_enum)]
    subject: Subject,

    /// Where the results go.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,

    /// Another seed gives other samples of the same distributions.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Subject {
    /// Shares of blocks, attacks, and the retarget.
    Consensus,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = std::fs::create_dir_all(&arguments.out).map_err(Into::into).and_then(|()| match arguments.subject {
        Subject::Consensus => experiments::simulate(&arguments.out, arguments.seed),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        },
    }
}
