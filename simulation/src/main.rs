//! Seeded simulations of Weir's rules: numbers as CSV, plots as PNG.
//!
//! - [`chain`]: the state at the end of a branch, by the rules of a preset, and who finds the next block when.
//! - [`network`]: miners with clocks and delays, who each follow the branch that they prefer.
//! - [`challengers`]: a set of challengers by the rules of a preset, and what a challenge comes to.
//! - [`experiments`]: what is simulated, one a file.
//!
//! Dates, retarget, boost credit, required difficulty and fork choice are the code that the chain runs. What is simulated
//! around them is who finds the next block, and when: a Poisson process of hashes. So are draws, committees, attendance,
//! estimator, guaranteed bandwidth and the choice of voters; what is simulated around those is who does what.

mod chain;
mod challengers;
mod experiments;
mod network;
mod plot;
mod random;
mod statistics;
mod table;

use clap::Parser;
use experiments::{Experiment, Outcome, COMMITTEE, CONSENSUS, FINALITY, REGISTRY};
use std::{path::PathBuf, process::ExitCode, time::Instant};

/// Simulates Weir's rules, and writes what came out as CSV and PNG.
#[derive(Parser)]
struct Arguments {
    /// What to simulate.
    #[arg(value_enum)]
    subject: Subject,

    /// One experiment alone.
    #[arg(long, value_name = "NAME")]
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
    /// Guaranteed bandwidth, committees, and the duties of challengers.
    Committee,
    /// What providers and challengers are admitted to, and what it costs them.
    Registry,
    /// What a third of the votes costs, and how far behind the best block they have to stay.
    Finality,
}

impl Subject {
    fn experiments(self) -> &'static [Experiment] {
        match self {
            Self::Consensus => &CONSENSUS,
            Self::Committee => &COMMITTEE,
            Self::Registry => &REGISTRY,
            Self::Finality => &FINALITY,
        }
    }
}

fn run(arguments: &Arguments) -> Outcome {
    std::fs::create_dir_all(&arguments.out)?;
    let all = arguments.subject.experiments();
    let is_wanted = |experiment: &&Experiment| arguments.only.as_ref().is_none_or(|only| only == experiment.name);
    if !all.iter().any(|experiment| is_wanted(&experiment)) {
        let names: Vec<_> = all.iter().map(|experiment| experiment.name).collect();
        return Err(format!("there is no such experiment, but {}", names.join(", ")).into());
    }
    for experiment in all.iter().filter(is_wanted) {
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
