//! A young chain: what one owner of many challengers gets of the emission for bandwidth that does not exist.
//!
//! The owner has 16 challengers beside 16 honest ones, and 256 providers without any line. Its challengers report all
//! that they might have sent; the honest ones prove nothing. A challenge then proves what is left of the liars'
//! reports without the seven largest, and results may double from one starting step on. Before: the draw of the first
//! edition, and pay divided by B_min. After: the draw of the second edition, pay divided by B_pay, and nothing paid
//! below N_min seniors.

use super::super::Outcome;
use crate::{
    challengers::{drawn_provider, measurement, seed, Challengers, MBIT},
    table::{decimals, Table},
};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use weir_primitives::{
    measurement::{
        estimator::{guaranteed_bits_per_second, proven_bits_per_second, Limits, Sample},
        lottery::{groups::Group, instants},
    },
    PLANCK_PER_WEIR,
};
use weir_runtime::genesis;

const HONEST: u32 = 16;
const LIARS: u32 = 16;
const PROVIDERS: u32 = 256;
/// What each provider declares, in Mbit/s.
const DECLARED: [u64; 4] = [36, 100, 400, 1_000];
/// The part of an emission that goes to capacity.
const CAPACITY: f64 = 0.35;
/// What was not issued yet, in WEIR; and the epochs that are simulated and averaged.
const REST_WEIR: f64 = 1e9;
const EPOCHS: usize = 120;
const COUNTED: usize = 60;

/// How the committees of an epoch come about.
#[derive(Clone, Copy)]
enum Edition {
    First,
    Second,
}

/// The reports of a number of liars on a line that is declared, as it enters the window: clipped to the declaration.
fn lie(liars: usize, declared: u64) -> u64 {
    let measurement = measurement();
    let limits = Limits {
        byzantine: measurement.byzantine,
        least_time_us: measurement.least_time_us,
        clock_tolerance_us: measurement.clock_tolerance_us,
    };
    let all = Sample { bytes: measurement.challenger_budget_bytes(declared), elapsed_us: 0, round_trip_us: 0 };
    (proven_bits_per_second(&vec![all; liars], limits) as u64).min(declared)
}

/// How many members of each provider's committee in an epoch lie; nothing for those that are not drawn.
fn liars_in_committees(edition: Edition, rng: &mut ChaCha8Rng) -> Vec<(u32, usize)> {
    let count = |members: Vec<u32>| members.into_iter().filter(|slot| *slot >= HONEST).count();
    let size = measurement().committee;
    match edition {
        Edition::First => {
            // Each provider once, by members drawn without replacement.
            let mut drawn = |number| {
                let members = rand::seq::index::sample(rng, (HONEST + LIARS) as usize, size as usize);
                (number, count(members.into_iter().map(|slot| slot as u32).collect()))
            };
            (0..PROVIDERS).map(&mut drawn).collect()
        },
        Edition::Second => {
            let challengers = Challengers::new(HONEST + LIARS, 0);
            let mut challenges = Vec::new();
            for _ in 0..instants::FEWEST {
                let seed = seed(rng);
                for number in (0..PROVIDERS).filter(|slot| Group::Slot(*slot).is_drawn(&seed, instants::FEWEST)) {
                    let members = challengers.committee(&seed, &drawn_provider(number));
                    challenges.extend(members.map(|members| (number, count(members))));
                }
            }
            challenges
        },
    }
}

/// The guaranteed bandwidth of all of the owner's providers together in Mbit/s, averaged over the last epochs.
fn guaranteed(edition: Edition, declared: u64, rng: &mut ChaCha8Rng) -> f64 {
    let measurement = measurement();
    let of = |window: &Vec<u64>| guaranteed_bits_per_second(window, measurement.rank, measurement.window);
    let mut windows: Vec<Vec<u64>> = vec![Vec::new(); PROVIDERS as usize];
    let mut sum = 0.0;
    for epoch in 0..EPOCHS {
        for (number, liars) in liars_in_committees(edition, rng) {
            let window = &mut windows[number as usize];
            let growth = of(window).saturating_mul(2).max(measurement.growth_step_bits_per_second);
            window.push(lie(liars, declared).min(growth));
            if window.len() > measurement.window as usize {
                window.remove(0);
            }
        }
        if epoch >= EPOCHS - COUNTED {
            sum += windows.iter().map(|window| of(window) as f64 / MBIT as f64).sum::<f64>();
        }
    }
    sum / COUNTED as f64
}

pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let parameters = genesis::testnet();
    let least_total = parameters.consensus.least_total_bits_per_second as f64 / MBIT as f64;
    let full_pay = parameters.token.full_pay_bits_per_second as f64 / MBIT as f64;
    let emission =
        REST_WEIR * f64::from(parameters.measurement.epoch_blocks) / parameters.token.emission_divisor as f64;
    let epoch_days =
        f64::from(parameters.measurement.epoch_blocks) * parameters.consensus.block_time as f64 / 86_400_000.0;
    let mut table = Table::new(&[
        "declared_mbit",
        "bonds_weir",
        "rule",
        "guaranteed_mbit",
        "share_of_emission_percent",
        "days_to_earn_the_bonds",
    ]);
    for declared in DECLARED {
        eprintln!("young chain: {declared} Mbit/s declared");
        let bond = parameters.registry.bond_of_provider(declared * MBIT);
        let bonds = f64::from(PROVIDERS) * bond as f64 / PLANCK_PER_WEIR as f64;
        let paid = |seniors: u32, share: f64| if seniors < parameters.measurement.least_seniors { 0.0 } else { share };
        let first = guaranteed(Edition::First, declared * MBIT, &mut rng);
        let second = guaranteed(Edition::Second, declared * MBIT, &mut rng);
        let rows = [
            ("before", first, CAPACITY * first / first.max(least_total)),
            ("after as juniors", second, paid(HONEST, CAPACITY * second / second.max(full_pay))),
            ("after as seniors", second, paid(HONEST + LIARS, CAPACITY * second / second.max(full_pay))),
        ];
        for (rule, guaranteed, share) in rows {
            let days = bonds / (emission * share) * epoch_days;
            table.row(vec![
                declared.to_string(),
                decimals(bonds, 0),
                rule.into(),
                decimals(guaranteed, 0),
                decimals(share * 100.0, 3),
                if share > 0.0 { decimals(days, 1) } else { "never".into() },
            ]);
        }
    }
    table.save(out, "young-chain")?;
    println!(
        "{PROVIDERS} providers without a line, {LIARS} of {} challengers are their owner's, nobody else provides. An \
         epoch emits {emission:.0} WEIR.",
        HONEST + LIARS
    );
    Ok(())
}
