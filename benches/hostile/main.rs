//! A mining node under attack, beside an honest miner and a node that hears of blocks through it alone.
//!
//! Each attack is a module, and runs against nodes of its own. All of them have the same goals: honest blocks come within two
//! seconds, the node goes on mining, finalizing and relaying, its log does not grow with the attempts, and its memory stays
//! bounded.

mod claimed_heights;
mod failing_blocks;
mod forged_headers;
mod forged_responses;
mod forger;
mod fresh;
mod lab;
mod log_lines;
mod observation;
mod old_forks;
mod orphans;
mod withheld_bodies;

use lab::Lab;
use observation::{Observation, Watch};
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};
use weir_bench::{median, parts, Figures, Goal};
use weir_e2e::{crowd::Tally, Result};

/// How long the nodes are watched before an attack.
const CALM: Duration = Duration::from_secs(10);
/// How long an attack lasts.
const ATTACK: Duration = Duration::from_secs(30);

/// How late the slowest honest block may be at the attacked node, and behind it.
const LATEST_SECONDS: f64 = 2.0;
/// The longest time between two blocks of the attacked miner on the best chain. It makes about one a second.
const LONGEST_GAP_SECONDS: f64 = 15.0;
/// The least that the attacked miner's hash rate is of the honest one's at any time. The two have equal threads.
const LEAST_HASH_RATE: f64 = 0.5;
/// The most blocks that are not final. The finality depth is 8.
const MOST_NOT_FINAL: f64 = 20.0;
/// The most lines that the log has beyond those of calm time.
const MOST_LOG_LINES: f64 = 30.0;

/// One way to attack a node.
trait Attack: Sized {
    /// The name of the attack.
    const NAME: &'static str;
    /// The most that the memory of the node grows by, however often it is tried.
    const MOST_GROWTH_MIB: f64 = 50.0;

    /// Makes whatever can be made before the attack begins.
    async fn prepare(lab: &Lab) -> Result<Self>;

    /// Attacks until a moment, or until there is nothing left to send.
    async fn run(&self, lab: &Lab, until: Instant) -> Result<Tally>;

    /// Prints what only this attack has to show.
    fn print(&self, _lab: &Lab, _tally: &Tally, _figures: &mut Figures) {}
}

const NAMES: [&str; 7] = [
    forged_headers::ForgedHeaders::NAME,
    claimed_heights::ClaimedHeights::NAME,
    orphans::Orphans::NAME,
    withheld_bodies::WithheldBodies::NAME,
    failing_blocks::FailingBlocks::NAME,
    old_forks::OldForks::NAME,
    forged_responses::ForgedResponses::NAME,
];

fn main() -> ExitCode {
    let chosen = match parts(&NAMES) {
        Ok(chosen) => chosen,
        Err(error) => {
            eprintln!("hostile: {error}");
            return ExitCode::from(2);
        },
    };
    let mut figures = Figures::from_arguments();
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    for name in chosen {
        if let Err(error) = runtime.block_on(attack(name, &mut figures)) {
            eprintln!("hostile: {name}: {error}");
            return ExitCode::FAILURE;
        }
    }
    figures.finish()
}

async fn attack(name: &str, figures: &mut Figures) -> Result<()> {
    match name {
        forged_headers::ForgedHeaders::NAME => show::<forged_headers::ForgedHeaders>(figures).await,
        claimed_heights::ClaimedHeights::NAME => show::<claimed_heights::ClaimedHeights>(figures).await,
        orphans::Orphans::NAME => show::<orphans::Orphans>(figures).await,
        withheld_bodies::WithheldBodies::NAME => show::<withheld_bodies::WithheldBodies>(figures).await,
        failing_blocks::FailingBlocks::NAME => show::<failing_blocks::FailingBlocks>(figures).await,
        old_forks::OldForks::NAME => show::<old_forks::OldForks>(figures).await,
        forged_responses::ForgedResponses::NAME => show::<forged_responses::ForgedResponses>(figures).await,
        _ => Err(format!("there is no attack {name}").into()),
    }
}

/// Runs an attack against nodes of its own, and prints its figures.
async fn show<A: Attack>(figures: &mut Figures) -> Result<()> {
    eprintln!("{}: starting the nodes", A::NAME);
    let lab = Lab::start().await?;
    let attack = A::prepare(&lab).await?;
    let calm = Watch::start(&lab).await?;
    tokio::time::sleep(CALM).await;
    let calm = calm.finish(&lab).await?;

    eprintln!("{}: attacking", A::NAME);
    let watch = Watch::start(&lab).await?;
    let tally = attack.run(&lab, Instant::now() + ATTACK).await?;
    let seen = watch.finish(&lab).await?;
    print::<A>(&calm, &seen, &tally, figures);
    attack.print(&lab, &tally, figures);
    Ok(())
}

fn print<A: Attack>(calm: &Observation, seen: &Observation, tally: &Tally, figures: &mut Figures) {
    let mut figure = |what: &str, value: f64, unit: &str, goal: Goal| {
        figures.print(&format!("hostile/{}/{what}", A::NAME), value, unit, goal);
    };
    let slowest = |seconds: &[f64]| seconds.iter().copied().fold(0.0, f64::max);
    figure("duration", seen.seconds, "s", Goal::None);
    figure("identities-let-in", tally.let_in as f64, "peers", Goal::AtLeast(1.0));
    figure("announcements", tally.announced as f64, "headers", Goal::None);
    figure("requests", tally.asked as f64, "requests", Goal::None);
    figure("identities-dropped", tally.dropped as f64, "peers", Goal::None);
    figure("latency-before/slowest", slowest(&calm.arrivals), "s", Goal::None);
    if !seen.arrivals.is_empty() {
        figure("latency/median", median(seen.arrivals.clone()), "s", Goal::None);
    }
    figure("latency/slowest", slowest(&seen.arrivals), "s", Goal::AtMost(LATEST_SECONDS));
    figure("relayed/slowest", slowest(&seen.relayed), "s", Goal::AtMost(LATEST_SECONDS));
    figure("honest-blocks", seen.arrivals.len() as f64, "blocks", Goal::AtLeast(1.0));
    figure("own-blocks", seen.own_blocks as f64, "blocks", Goal::AtLeast(1.0));
    figure("longest-without-own-block", seen.longest_gap, "s", Goal::AtMost(LONGEST_GAP_SECONDS));
    figure("least-hash-rate", seen.least_hash_rate, "of the honest miner's", Goal::AtLeast(LEAST_HASH_RATE));
    figure("in-major-sync", seen.syncing, "of the looks", Goal::AtMost(0.0));
    figure("most-not-final", seen.most_not_final as f64, "blocks", Goal::AtMost(MOST_NOT_FINAL));
    figure("log-lines", seen.log.beyond(&calm.log) as f64, "lines", Goal::AtMost(MOST_LOG_LINES));
    figure("memory-growth", seen.memory_growth, "MiB", Goal::AtMost(A::MOST_GROWTH_MIB));
}
