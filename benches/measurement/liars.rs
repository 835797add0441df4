//! What liars gain: for each lie, with none, a quarter and seven sixteenths of the committee colluding, the largest G of all
//! runs as a part of the rate, against what the theorem allows.

use crate::{
    committee::{this_program, Committee, Way},
    percentile, shaper,
    table::Table,
    CLOCK_TOLERANCE, LEAST_TIME, TRAIN,
};
use weir_bench::{Figures, Goal};
use weir_e2e::{
    lab::{Host, Lab, Shaper},
    Result,
};

const MEMBERS: usize = 16;
const BYZANTINE: usize = 7;
const COLLUDING: [usize; 3] = [0, 4, 7];
const MBIT: u64 = 100;
/// The line and the burst of the last case: that of a cheap router.
const BURST_MBIT: u64 = 25;
const BURST_BYTES: u64 = 256_000;

/// One row: what the colluding challengers do, what the prover does, and how it is called.
struct Case {
    name: &'static str,
    challengers: &'static [&'static str],
    prover: &'static str,
    ways: &'static [Way],
}

const BOTH: &[Way] = &[Way::Down, Way::Up];
const CLAIM: &[&str] = &["role", "challenger", "--lie=claim"];

const CASES: [Case; 13] = [
    Case { name: "silent", challengers: &["role", "challenger", "--lie=silent"], prover: "none", ways: BOTH },
    Case { name: "claim all", challengers: CLAIM, prover: "none", ways: BOTH },
    Case {
        name: "hand the prover their keys",
        challengers: &["role", "challenger", "--lie=keys"],
        prover: "keys",
        ways: &[Way::Down],
    },
    Case { name: "clocks ε/2 ahead", challengers: &["answer", "--test-clock-offset=10"], prover: "none", ways: BOTH },
    Case {
        name: "clocks ε/2 behind", challengers: &["answer", "--test-clock-offset=-10"], prover: "none", ways: BOTH
    },
    Case { name: "prover answers before it received", challengers: CLAIM, prover: "guess", ways: &[Way::Down] },
    Case {
        name: "prover answers some early, others late",
        challengers: CLAIM,
        prover: "early-and-late",
        ways: &[Way::Down],
    },
    Case { name: "prover delays what it echoes", challengers: CLAIM, prover: "echo", ways: BOTH },
    Case { name: "accomplice at another address", challengers: CLAIM, prover: "accomplice", ways: BOTH },
    Case { name: "prover sends ahead", challengers: CLAIM, prover: "ahead", ways: &[Way::Up] },
    Case { name: "prover replays", challengers: CLAIM, prover: "replay", ways: BOTH },
    Case { name: "prover floods the challengers", challengers: CLAIM, prover: "flood", ways: BOTH },
    Case { name: "shaper with a burst of 256 kB", challengers: CLAIM, prover: "burst", ways: BOTH },
];

/// What one burst adds to a rate at most, as a part of it.
fn burst_part(shaper: &Shaper) -> f64 {
    shaper.burst_bytes as f64 * 8.0 / (LEAST_TIME + CLOCK_TOLERANCE) / shaper.bits_per_second as f64
}

/// Runs all cases.
pub fn liars(figures: &mut Figures, runs: u32) -> Result<()> {
    let lab = Lab::new(None)?;
    let columns = ["lie", "way", "0 of 16 collude", "4 of 16", "7 of 16", "bound"];
    let mut table = Table::new(columns.map(String::from).to_vec());
    for case in CASES {
        let is_burst = case.prover == "burst";
        let mbit = if is_burst { BURST_MBIT } else { MBIT };
        let mut shaped = shaper(mbit, TRAIN);
        if is_burst {
            shaped.burst_bytes = BURST_BYTES;
        }
        lab.shape(Some(shaped), Some(shaped))?;
        let bound = 1.0 + burst_part(&shaped);
        let mut largest = vec![Vec::new(); case.ways.len()];
        for colluding in COLLUDING {
            let mut committee = Committee::start(&lab, MEMBERS - colluding)?;
            let program =
                if case.challengers.first() == Some(&"role") { this_program()? } else { crate::committee::agent()? };
            committee.add(&program, case.challengers, colluding)?;
            for (way, largest) in case.ways.iter().zip(&mut largest) {
                let proven = prove(&lab, &committee, *way, case.prover, mbit, runs)?;
                largest.push(percentile(&proven, 1.0));
            }
        }
        for (way, largest) in case.ways.iter().zip(largest) {
            let shown = largest.iter().map(|ratio| format!("{ratio:.3}"));
            let own = [case.name.to_string(), way.name().to_string()];
            table.print_row(own.into_iter().chain(shown).chain([format!("{bound:.3}")]).collect());
            let name = format!("liar-{}-{}", way.name(), case.name.replace([' ', ','], "-").replace("--", "-"));
            let most = percentile(&largest, 1.0);
            figures.print(&name, most, "of the rate", Goal::AtMost((bound * 1_000.0).floor() / 1_000.0));
        }
    }
    Ok(())
}

/// The G of each run, as a part of the rate.
fn prove(lab: &Lab, committee: &Committee, way: Way, lie: &str, mbit: u64, runs: u32) -> Result<Vec<f64>> {
    let arguments = [
        format!("--lie={lie}"),
        format!("--listen={}:40400", lab.address(Host::Prover)),
        format!("--declare-mbit={mbit}"),
        format!("--byzantine={BYZANTINE}"),
        format!("--runs={runs}"),
        format!("--accomplice={}", lab.namespace(Host::Challengers)),
    ];
    let up = (way == Way::Up).then_some("--up");
    let arguments: Vec<&str> =
        ["role", "prover"].into_iter().chain(arguments.iter().map(String::as_str)).chain(up).collect();
    let runs = committee.prove(&this_program()?, &arguments, runs)?;
    Ok(runs.iter().map(|run| run.proven / (mbit as f64 * 1e6)).collect())
}
