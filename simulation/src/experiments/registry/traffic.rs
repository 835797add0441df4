//! What measurement costs in traffic: a home router that is measured, and the challengers that measure.
//!
//! Providers and challengers are drawn by the rules of the second edition. Down, a committee sends 1.5 times what is
//! declared, of which the line passes what it can; up, a provider sends 1.05 times. The line of a provider is what it
//! declares.

use super::super::Outcome;
use crate::{
    challengers::{drawn_provider, measurement, rules, seed, Challengers, CLASS, MBIT},
    plot::{plot, Axis, Mark, Scale, Series},
    table::{decimals, Table},
};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use weir_primitives::measurement::lottery::{
    groups::Group,
    instants::{wanted_bits_per_second, Demand},
};
use weir_runtime::genesis;

/// The lines of home routers, down and up, in Mbit/s.
const HOMES: [(u64, u64); 4] = [(25, 5), (100, 40), (250, 100), (1_000, 1_000)];
/// What the providers declare whom challengers measure.
const DECLARED: u64 = 100 * MBIT;
const PROVIDERS: [u32; 3] = [100, 1_000, 10_000];
const CHALLENGERS: [u32; 4] = [32, 64, 128, 256];
/// Instants that are drawn.
const SAMPLES: usize = 24;
/// What passes each way beside the trains, for each member, in bytes: probes of the path, sent twice, are 14 400; the
/// rest is for a QUIC handshake, clocks and the proof.
const PER_MEMBER: f64 = 20_000.0;

pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    homes(out)?;
    challengers(out, &mut rng)
}

/// Epochs of a day, in each of which a provider is drawn once on average.
fn epochs_per_day() -> f64 {
    let parameters = genesis::testnet();
    86_400_000.0 / (f64::from(parameters.measurement.epoch_blocks) * parameters.consensus.block_time as f64)
}

fn homes(out: &Path) -> Outcome {
    let measurement = measurement();
    let train = measurement.train_us as f64 / 1e6;
    let control = PER_MEMBER * f64::from(measurement.committee) / 1e6;
    let mut table = Table::new(&[
        "down_mbit",
        "up_mbit",
        "per_challenge_down_mb",
        "per_challenge_up_mb",
        "per_day_down_mb",
        "per_day_up_mb",
        "part_of_a_full_line_percent",
    ]);
    for (down, up) in HOMES {
        let megabytes = [down, up].map(|mbit| mbit as f64 / 8.0 * train + control);
        let per_day = megabytes.map(|mb| mb * epochs_per_day());
        let full = down as f64 / 8.0 * 86_400.0;
        table.row(vec![
            down.to_string(),
            up.to_string(),
            decimals(megabytes[0], 1),
            decimals(megabytes[1], 1),
            decimals(per_day[0], 0),
            decimals(per_day[1], 0),
            decimals(per_day[0] / full * 100.0, 3),
        ]);
    }
    table.save(out, "traffic-home")?;
    println!("What passes the line of a provider, both ways. It is measured once an epoch on average.");
    Ok(())
}

/// What the challengers send at instants.
struct Load {
    /// Megabytes that each sends on average, and the one that sends most at any of the instants.
    mean_mb: f64,
    most_mb: f64,
    /// The part of challenges in which a member could not send all: it was assigned more than its class at the instant.
    short: f64,
}

fn load(challengers: u32, providers: u32, instants: u32, rng: &mut ChaCha8Rng) -> Load {
    let measurement = measurement();
    let table = Challengers::new(challengers, 0);
    let budget = measurement.challenger_budget_bytes(DECLARED) as f64 / 1e6;
    let rate = measurement.challenger_bits_per_second(DECLARED);
    let (mut sum, mut most, mut over, mut all) = (0.0, 0.0f64, 0u64, 0u64);
    for _ in 0..SAMPLES {
        let seed = seed(rng);
        let mut assigned = vec![0u64; challengers as usize];
        for number in (0..providers).filter(|slot| Group::Slot(*slot).is_drawn(&seed, instants)) {
            for member in table.committee(&seed, &drawn_provider(number)).into_iter().flatten() {
                assigned[member as usize] += 1;
            }
        }
        for count in assigned {
            // A class is shared by all that are measured at the instant.
            let sent = (count * rate).min(CLASS) as f64 / rate as f64 * budget;
            sum += sent;
            most = most.max(sent);
            all += count;
            over += if count * rate > CLASS { count } else { 0 };
        }
    }
    Load {
        mean_mb: sum / (SAMPLES as f64 * f64::from(challengers)),
        most_mb: most,
        short: over as f64 / all.max(1) as f64,
    }
}

fn challengers(out: &Path, rng: &mut ChaCha8Rng) -> Outcome {
    let mut table = Table::new(&[
        "providers",
        "challengers",
        "instants_needed",
        "instants",
        "per_instant_mb",
        "most_per_instant_mb",
        "per_day_gb",
        "above_class_percent",
    ]);
    let step = measurement().growth_step_bits_per_second;
    let mut lines: Vec<Series> = Vec::new();
    for providers in PROVIDERS {
        let mut points = Vec::new();
        for challengers in CHALLENGERS {
            eprintln!("traffic: {providers} providers, {challengers} challengers");
            let demand = Demand {
                // What a provider wants that is guaranteed what an honest committee proves of its line: half.
                wanted_bits_per_second: u128::from(providers)
                    * u128::from(wanted_bits_per_second(DECLARED, DECLARED / 2, step)),
                class_bits_per_second: u128::from(challengers) * u128::from(CLASS),
                providers,
                batches_per_instant: u32::MAX,
            };
            let instants = demand.instants();
            let load = load(challengers, providers, instants, rng);
            let per_day = load.mean_mb * f64::from(instants) * epochs_per_day() / 1e3;
            points.push((f64::from(challengers), per_day));
            table.row(vec![
                providers.to_string(),
                challengers.to_string(),
                demand.needed().to_string(),
                instants.to_string(),
                decimals(load.mean_mb, 1),
                decimals(load.most_mb, 1),
                decimals(per_day, 1),
                decimals(load.short * 100.0, 1),
            ]);
        }
        lines.push(Series { name: format!("{providers} providers of 100 Mbit/s"), mark: Mark::LineAndDots, points });
    }
    table.save(out, "traffic-challenger")?;
    println!(
        "What one challenger of 1 Gbit/s sends down, in committees of {}; up it takes 0.7 times as much at the most. \
         Where more than 12 instants are needed, the providers above that wait.",
        rules().members
    );
    plot(
        &out.join("traffic-challenger.png"),
        "What a challenger sends in a day",
        &Axis { title: "challengers of 1 Gbit/s", range: 0.0..270.0, scale: Scale::Linear },
        &Axis { title: "GB a day", range: 0.05..1_000.0, scale: Scale::Logarithmic },
        &lines,
    )
}
