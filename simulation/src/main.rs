//! Seeded simulations of Weir's rules: numbers as CSV, plots as PNG.
//!
//! - [`chain`]: the state at the end of a branch, by the rules of a preset, and who finds the next block when.
//! - [`network`]: miners with clocks and delays, who each follow the branch that they prefer.
//! - [`experiments`]: what is simulated, one a file.
//!
//! Dates, retarget, boost credit, required difficulty and fork choice are the code that the chain runs. What is simulated
//! around them is who finds the next block, and when: a Poisson process of hashes.

mod chain;
mod experiments;
mod network;
mod plot;
mod random;
mod statistics;
mod table;

use clap::{builder::PossibleValuesParser, Parser};
use experiments::{Experiment, Outcome, CONSENSUS};
use std::{path::PathBuf, process::ExitCode, time::Instant};

/// Simulates Weir's rules, and writes what came out as CSV and PNG.
#[derive(Parser)]
struct Arguments {
    /// What to simulate.
    #[arg(value_enum)]
    subject: Subject,

    /// One experiment alone.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(CONSENSUS.iter().map(|one| one.name)))]
    only: Option<String>,

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

fn run(arguments: &Arguments) -> Outcome {
    std::fs::create_dir_all(&arguments.out)?;
    let Subject::Consensus = arguments.subject;
    let is_wanted = |experiment: &&Experiment| arguments.only.as_ref().is_none_or(|only| only == experiment.name);
    for experiment in CONSENSUS.iter().filter(is_wanted) {
        let begun = Instant::now();
        experiment.run(&arguments.out, arguments.seed)?;
        eprintln!("{} took {:.0} s", experiment.name, begun.elapsed().as_secs_f64());
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        },
    }
}
