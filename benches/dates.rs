//! Shares of three miners with equal threads, one of which has a wrong clock or dates its blocks as far ahead as it may.
//!
//! The fair share of an honest miner is one in the number of miners that mine on the honest chain, since their threads are
//! equal. The hash rates are printed beside it, and have a goal of their own: measured hashes alone would hide a miner that
//! rests because others' blocks are dated ahead.
//!
//! With n blocks a share of 1/3 has a standard error of sqrt(2/9/n). A share leaves 0.8 to 1.2 of 1/3 by chance when it is
//! 0.0667 off: for 600 blocks that is 3.5 standard errors, a chance of 0.05 %. For a share of 1/2 and 300 blocks it is as much.
//! The 15 shares that have goals make that less than 1 % for the whole run.

use std::{fs, process::ExitCode};
use weir_bench::{parts, Figures, Goal};
use weir_e2e::{
    shares::{write_fast_chain, Entrant, Outcome, Race},
    Result,
};
use weir_primitives::Milliseconds;

/// Long beside what a block takes to be built, sent and imported, and short enough for the number of blocks.
const BLOCK_TIME: Milliseconds = 400;
/// Blocks that do not count, while the difficulty settles.
const SKIPPED_BLOCKS: u64 = 40;
/// Blocks of a case in which three miners make the chain.
const BLOCKS_OF_THREE: u64 = 600;
/// Blocks of a case in which two miners do.
const BLOCKS_OF_TWO: u64 = 300;
/// How much of its fair share an honest miner gets at least and at most.
const FAIR: (f64, f64) = (0.8, 1.2);
/// How far apart the hash rates of equal threads are at the most, as a ratio.
const LEAST_HASH_RATE: f64 = 0.85;
/// What the log of a node says whose clock is off.
const WARNING: &str = "this node's clock";

/// What is wrong with the third miner.
#[derive(Clone, Copy)]
enum Third {
    /// Nothing.
    Honest,
    /// Its clock is ahead, by a part of the limit for dates.
    Ahead(f64),
    /// It dates every block as far ahead as it may.
    DatesAhead,
}

struct Case {
    name: &'static str,
    third: Third,
    /// How many miners make the chain.
    miners: usize,
}

const CASES: [Case; 7] = [
    Case { name: "honest", third: Third::Honest, miners: 3 },
    Case { name: "ahead-0.9", third: Third::Ahead(0.9), miners: 3 },
    Case { name: "ahead-1", third: Third::Ahead(1.0), miners: 3 },
    Case { name: "behind-0.6", third: Third::Ahead(-0.6), miners: 3 },
    Case { name: "dates-ahead", third: Third::DatesAhead, miners: 3 },
    Case { name: "ahead-2", third: Third::Ahead(2.0), miners: 2 },
    Case { name: "behind-2", third: Third::Ahead(-2.0), miners: 2 },
];

fn main() -> ExitCode {
    let chosen = match parts(&CASES.each_ref().map(|case| case.name)) {
        Ok(chosen) => chosen,
        Err(error) => {
            eprintln!("dates: {error}");
            return ExitCode::from(2);
        },
    };
    let mut figures = Figures::from_arguments();
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    for case in CASES.iter().filter(|case| chosen.contains(&case.name)) {
        if let Err(error) = runtime.block_on(run(case, &mut figures)) {
            eprintln!("dates: {}: {error}", case.name);
            return ExitCode::FAILURE;
        }
    }
    figures.finish()
}

async fn run(case: &Case, figures: &mut Figures) -> Result<()> {
    let limit = weir_runtime::genesis::testnet().consensus.furthest_ahead;
    let folder = tempfile::tempdir()?;
    let chain = write_fast_chain(folder.path(), BLOCK_TIME, Some(limit), 3)?;
    let mut entrants = [("alice", "//Alice"), ("bob", "//Bob"), ("charlie", "//Charlie")]
        .map(|(name, secret)| Entrant::honest(name, secret));
    match case.third {
        Third::Honest => (),
        Third::Ahead(part) => entrants[2].clock_offset_ms = (limit as f64 * part) as i64,
        Third::DatesAhead => entrants[2].more = ["--fail-point", "date-ahead"].map(String::from).into(),
    }
    let blocks = if case.miners == 3 { BLOCKS_OF_THREE } else { BLOCKS_OF_TWO };
    eprintln!("{}: {blocks} blocks of {BLOCK_TIME} ms", case.name);
    let mut race = Race::start(folder.path(), &chain, &entrants).await?;
    let outcome = race.run(SKIPPED_BLOCKS, blocks).await?;

    let honest = if matches!(case.third, Third::Honest) { 0..3 } else { 0..2 };
    print(case, &outcome, &entrants, honest.clone(), blocks, figures);
    let warned = |miner: usize| -> Result<f64> {
        Ok(fs::read_to_string(race.log(miner))?.lines().filter(|line| line.contains(WARNING)).count() as f64)
    };
    let of_honest = honest.map(warned).collect::<Result<Vec<_>>>()?.into_iter().fold(0.0, f64::max);
    figures.print(&format!("dates/{}/warnings-of-honest", case.name), of_honest, "lines", Goal::AtMost(0.0));
    if case.miners == 2 {
        figures.print(&format!("dates/{}/warnings", case.name), warned(2)?, "lines", Goal::AtLeast(1.0));
    }
    Ok(())
}

fn print(
    case: &Case,
    outcome: &Outcome,
    entrants: &[Entrant],
    honest: std::ops::Range<usize>,
    blocks: u64,
    figures: &mut Figures,
) {
    let name = |what: &str| format!("dates/{}/{what}", case.name);
    figures.print(&name("blocks"), outcome.blocks as f64, "blocks", Goal::AtLeast(blocks as f64));
    for (index, entrant) in entrants.iter().enumerate() {
        figures.print(&name(&format!("share-{}", entrant.name)), outcome.of_blocks(index), "of blocks", Goal::None);
        figures.print(&name(&format!("hashes-{}", entrant.name)), outcome.of_hashes(index), "of hashes", Goal::None);
    }
    let of_fair: Vec<f64> = honest.clone().map(|index| outcome.of_blocks(index) * case.miners as f64).collect();
    let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    figures.print(&name("honest-low"), least(&of_fair), "of the fair share", Goal::AtLeast(FAIR.0));
    figures.print(&name("honest-high"), most(&of_fair), "of the fair share", Goal::AtMost(FAIR.1));
    let rates: Vec<f64> = outcome.shares.iter().map(|share| share.hashes_per_second).collect();
    let honest_rates: Vec<f64> = honest.map(|index| rates[index]).collect();
    let slowest = least(&honest_rates) / most(&rates);
    figures.print(&name("honest-hash-rate"), slowest, "of the fastest", Goal::AtLeast(LEAST_HASH_RATE));
    let depths = &outcome.reorganisations;
    let for_each_hundred = depths.len() as f64 * 100.0 / outcome.blocks as f64;
    figures.print(&name("reorganisations"), for_each_hundred, "in 100 blocks", Goal::None);
    let deepest = depths.iter().copied().max().unwrap_or(0);
    figures.print(&name("deepest-reorganisation"), deepest as f64, "blocks", Goal::None);
}
