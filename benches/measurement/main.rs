//! How accurate a measurement is, on real agents between network namespaces whose link has a rate; and what liars gain.
//!
//! The parts run one after the other, or those that are named: `accuracy`, `trains`, `conditions`, `sessions`, `liars`, `cost`.

mod committee;
mod conditions;
mod cost;
mod liars;
mod roles;
mod sessions;
mod table;

use committee::{Committee, Way};
use std::{process::ExitCode, time::Duration};
use table::Table;
use weir_bench::{Figures, Goal};
use weir_e2e::lab::{Lab, Shaper};

/// The rates, in Mbit/s.
const RATES: [u64; 8] = [10, 25, 50, 100, 250, 500, 700, 1_000];
/// Committees: how many, and how many may be Byzantine.
const COMMITTEES: [(usize, usize); 2] = [(16, 7), (7, 3)];
/// The train of every preset.
const TRAIN: Duration = Duration::from_millis(500);
/// ε and T_min of every preset, in seconds.
const CLOCK_TOLERANCE: f64 = 0.020;
const LEAST_TIME: f64 = 0.500;
/// How long a packet waits at the shaper at most.
const QUEUE: Duration = Duration::from_millis(50);

/// A shaper whose burst is a hundredth of what it passes in a train.
fn shaper(mbit: u64, train: Duration) -> Shaper {
    let burst = (mbit as f64 * 1e6 / 8.0 * train.as_secs_f64() / 100.0) as u64;
    // A packet has to fit.
    Shaper { bits_per_second: mbit * 1_000_000, burst_bytes: burst.max(1_600), queue: QUEUE }
}

/// What a committee of honest challengers proves of a line, as a part of its rate.
fn expected_ratio((members, byzantine): (usize, usize), train: Duration, round_trip: Duration) -> f64 {
    let train = train.as_secs_f64();
    let honest = (members - byzantine) as f64 / members as f64;
    honest * train / ((train + round_trip.as_secs_f64()).max(LEAST_TIME) + CLOCK_TOLERANCE)
}

fn percentile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = ((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

fn median_of(values: &[f64]) -> f64 {
    weir_bench::median(values.to_vec())
}

/// What the runs of one cell showed.
struct Cell {
    errors: Vec<f64>,
    raw: Vec<f64>,
    proven: Vec<f64>,
    seconds: Vec<f64>,
    sent: Vec<f64>,
    received: Vec<f64>,
}

impl Cell {
    fn of(runs: &[committee::Run], mbit: u64) -> Self {
        let rate = mbit as f64 * 1e6;
        let each = |value: fn(&committee::Run) -> f64| runs.iter().map(value).collect::<Vec<_>>();
        Self {
            errors: runs.iter().map(|run| (run.raw / rate - 1.0).abs()).collect(),
            raw: runs.iter().map(|run| run.raw / rate).collect(),
            proven: runs.iter().map(|run| run.proven / rate).collect(),
            seconds: each(|run| run.seconds),
            sent: each(|run| run.bytes_sent / 1e6),
            received: each(|run| run.bytes_received / 1e6),
        }
    }

    fn row(&self, expected: f64) -> Vec<String> {
        let percent = |value: f64| format!("{:.1} %", value * 100.0);
        vec![
            percent(median_of(&self.errors)),
            percent(percentile(&self.errors, 0.95)),
            format!("{:.3}", median_of(&self.proven)),
            format!("{expected:.3}"),
            format!("{:.3}", percentile(&self.proven, 1.0)),
            format!("{:.1}", median_of(&self.seconds)),
            format!("{:.1}", median_of(&self.sent)),
            format!("{:.1}", median_of(&self.received)),
        ]
    }
}

const CELL_COLUMNS: [&str; 8] =
    ["error", "95th", "G / rate", "expected", "largest", "seconds", "MB sent", "MB received"];

fn columns(own: &[&str]) -> Vec<String> {
    own.iter().chain(&CELL_COLUMNS).map(ToString::to_string).collect()
}

/// Every rate, both ways, both committees.
fn accuracy(figures: &mut Figures, runs: u32) -> weir_e2e::Result<()> {
    let lab = Lab::new(None)?;
    let mut table = Table::new(columns(&["way", "n, f", "Mbit/s"]));
    for (members, byzantine) in COMMITTEES {
        let committee = Committee::start(&lab, members)?;
        for way in [Way::Down, Way::Up] {
            for mbit in RATES {
                let shaped = Some(shaper(mbit, TRAIN));
                lab.shape(shaped, shaped)?;
                let cell = Cell::of(&committee.measure(way, mbit, TRAIN, byzantine, runs)?, mbit);
                let expected = expected_ratio((members, byzantine), TRAIN, Duration::from_millis(1));
                let own = [way.name().to_string(), format!("{members}, {byzantine}"), mbit.to_string()];
                table.print_row(own.into_iter().chain(cell.row(expected)).collect());
                let name = |what: &str| format!("{what}-{}-{members}-{mbit}", way.name());
                let (median_goal, high_goal) = if mbit <= 500 { (2.0, 5.0) } else { (5.0, 8.0) };
                let percent = |value: f64| value * 100.0;
                figures.print(&name("error"), percent(median_of(&cell.errors)), "%", Goal::AtMost(median_goal));
                figures.print(&name("error95"), percent(percentile(&cell.errors, 0.95)), "%", Goal::AtMost(high_goal));
                let off = percent((median_of(&cell.proven) / expected - 1.0).abs());
                figures.print(&name("proven-off"), off, "%", Goal::AtMost(if mbit >= 250 { 4.0 } else { 10.0 }));
                figures.print(&name("proven-most"), percentile(&cell.proven, 1.0), "of the rate", Goal::AtMost(1.02));
            }
        }
    }
    Ok(())
}

/// Other lengths of the train.
fn trains(figures: &mut Figures, runs: u32) -> weir_e2e::Result<()> {
    let lab = Lab::new(None)?;
    let (members, byzantine) = COMMITTEES[0];
    let committee = Committee::start(&lab, members)?;
    let mut table = Table::new(columns(&["way", "train", "Mbit/s"]));
    // 500 ms are in the table of accuracy.
    for train in [100, 250, 1_000].map(Duration::from_millis) {
        for mbit in [25, 250, 1_000] {
            // The shaper is that of the line, whatever the train.
            let shaped = Some(shaper(mbit, TRAIN));
            lab.shape(shaped, shaped)?;
            for way in [Way::Down, Way::Up] {
                let cell = Cell::of(&committee.measure(way, mbit, train, byzantine, runs)?, mbit);
                let expected = expected_ratio((members, byzantine), train, Duration::from_millis(1));
                let own = [way.name().to_string(), format!("{} ms", train.as_millis()), mbit.to_string()];
                table.print_row(own.into_iter().chain(cell.row(expected)).collect());
                let name = format!("train-{}-{}-{mbit}", way.name(), train.as_millis());
                figures.print(&name, percentile(&cell.errors, 0.95) * 100.0, "%", Goal::None);
            }
        }
    }
    Ok(())
}

/// The parts, in order.
const PARTS: [&str; 6] = ["accuracy", "trains", "conditions", "sessions", "liars", "cost"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "role") {
        return roles::run(&arguments[1..]);
    }
    let text = |name: &str| {
        let position = arguments.iter().position(|argument| argument == name)?;
        arguments.get(position + 1).map(String::as_str)
    };
    let runs = text("--runs").and_then(|runs| runs.parse().ok()).unwrap_or(20).max(1);
    let case = text("--case");
    if conditions::named(case).is_empty() {
        eprintln!("measurement: there is no such case: {}", case.unwrap_or_default());
        return ExitCode::from(2);
    }
    let chosen: Vec<&str> =
        PARTS.into_iter().filter(|part| arguments.iter().any(|argument| argument == part)).collect();
    let chosen = if chosen.is_empty() { PARTS.to_vec() } else { chosen };
    if let Err(why) = Lab::new(None) {
        println!("skipped: measurement: there can be no network of its own here ({why})");
        return ExitCode::SUCCESS;
    }
    let mut figures = Figures::from_arguments();
    for part in chosen {
        println!("\n{part}, {runs} runs each");
        let done = match part {
            "accuracy" => accuracy(&mut figures, runs),
            "trains" => trains(&mut figures, runs),
            "conditions" => conditions::by_hand(&mut figures, runs, case),
            "sessions" => sessions::on_a_chain(&mut figures, runs, case),
            "liars" => liars::liars(&mut figures, runs),
            _ => cost::cost(&mut figures),
        };
        if let Err(error) = done {
            eprintln!("measurement: {part}: {error}");
            return ExitCode::FAILURE;
        }
    }
    figures.finish()
}
