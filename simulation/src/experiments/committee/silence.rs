//! A quarter of the challengers is silent: when they are out, and what is guaranteed before and after. And how often
//! a member is jailed wrongly that some providers leave out of their batches.

use super::{
    super::Outcome,
    binomial_tail,
    world::{honest, World, HONEST_MISSES},
};
use crate::{
    challengers::Deed,
    plot::{plot, Axis, Mark, Scale, Series},
    random::lognormal,
    table::{decimals, Table},
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use weir_primitives::measurement::duties::{Attendance, Entry, Record, ENTRIES, JAILED_ABOVE};

/// Challengers and providers.
const SIZES: [(u32, u32); 4] = [(64, 256), (128, 256), (256, 256), (128, 1_000)];
const EPOCHS: usize = 72;
/// Epochs before the first is jailed, in which windows and records fill.
const WARM_UP: usize = 24;
/// Records of a member that is left out.
const RECORDS: u32 = 1_000_000;
/// Providers among whom they are drawn.
const PROVIDERS: usize = 256;
/// The part of what is paid for that leaves the member out.
const TARGETING: f64 = 0.2;

pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    silent_quarter(out, &mut rng)?;
    wrongly_jailed(out, &mut rng)
}

fn is_silent(slot: u32) -> bool {
    slot.is_multiple_of(4)
}

fn silent_quarter(out: &Path, rng: &mut ChaCha8Rng) -> Outcome {
    let mut table = Table::new(&[
        "challengers",
        "providers",
        "duties_per_epoch",
        "comes_back",
        "first_out_after_epochs",
        "all_out_after_epochs",
        "honest_jailed",
        "guaranteed_before",
        "guaranteed_after",
    ]);
    let mut lines = Vec::new();
    for (challengers, providers) in SIZES {
        for comes_back in [false, true] {
            eprintln!("silence: {challengers} challengers, {providers} providers");
            let mut world = World::new(challengers, providers, rng);
            world.return_at_once = comes_back;
            world.jails = false;
            let deed = |slot, _, rng: &mut ChaCha8Rng| if is_silent(slot) { Deed::Nothing } else { honest(rng) };
            // All are there until the quarter falls silent.
            (0..WARM_UP).for_each(|_| world.epoch(rng, |_, _, rng| honest(rng)));
            world.jails = true;
            let (mut first, mut all, mut points) = (None, None, vec![(0.0, world.guaranteed_part())]);
            for epoch in 1..=EPOCHS {
                world.epoch(rng, deed);
                points.push((epoch as f64, world.guaranteed_part()));
                let silent = || (0..challengers).filter(|slot| is_silent(*slot));
                if silent().any(|slot| world.was_jailed(slot)) {
                    first = first.or(Some(epoch));
                }
                if silent().all(|slot| world.was_jailed(slot)) {
                    all = all.or(Some(epoch));
                }
            }
            let honest_jailed = (0..challengers).filter(|slot| !is_silent(*slot) && world.was_jailed(*slot)).count();
            // Without the rule the quarter stays.
            let mut left = World::new(challengers, providers, rng);
            left.jails = false;
            (0..WARM_UP).for_each(|_| left.epoch(rng, deed));
            let before = (0..WARM_UP)
                .map(|_| {
                    left.epoch(rng, deed);
                    left.guaranteed_part()
                })
                .sum::<f64>()
                / WARM_UP as f64;
            let last = &points[EPOCHS + 1 - WARM_UP..];
            let after = last.iter().map(|(_, part)| part).sum::<f64>() / last.len() as f64;
            let shown = |epoch: Option<usize>| epoch.map_or("never".into(), |epoch| epoch.to_string());
            table.row(vec![
                challengers.to_string(),
                providers.to_string(),
                decimals(f64::from(providers) * 16.0 / f64::from(challengers), 0),
                if comes_back { "at once" } else { "no" }.into(),
                shown(first),
                shown(all),
                honest_jailed.to_string(),
                decimals(before, 3),
                decimals(after, 3),
            ]);
            if (challengers, providers) != SIZES[3] {
                let back = if comes_back { ", come back at once" } else { "" };
                let mark = if comes_back { Mark::Dashed } else { Mark::Line };
                lines.push(Series { name: format!("{challengers} challengers{back}"), mark, points });
            }
        }
    }
    table.save(out, "silence")?;
    println!(
        "Every fourth challenger falls silent; the others miss {:.0} % of their duties. What is guaranteed is a part \
         of what it would be if all did all of it.",
        HONEST_MISSES * 100.0
    );
    plot(
        &out.join("silence.png"),
        "A quarter of the challengers falls silent, 256 providers",
        &Axis { title: "epochs since then", range: 0.0..EPOCHS as f64, scale: Scale::Linear },
        &Axis { title: "guaranteed, as a part of full", range: 0.7..1.2, scale: Scale::Linear },
        &lines,
    )
}

/// How the providers that leave a member out share what they are paid for.
struct Targeting {
    name: &'static str,
    /// What one entry weighs at the most, in means of all weights.
    most: f64,
    /// The weights of all providers, and how many of the first leave the member out.
    weights: fn(&mut ChaCha8Rng) -> (Vec<f64>, usize),
}

const TARGETINGS: [Targeting; 7] = [
    Targeting {
        name: "equal",
        most: f64::INFINITY,
        weights: |_| (vec![1.0; PROVIDERS], (TARGETING * PROVIDERS as f64) as usize),
    },
    Targeting { name: "lognormal", most: f64::INFINITY, weights: spread },
    Targeting { name: "a fifth in ten", most: f64::INFINITY, weights: |_| (concentrated(10), 10) },
    Targeting { name: "a fifth in one", most: f64::INFINITY, weights: |_| (concentrated(1), 1) },
    Targeting { name: "lognormal", most: 1.0, weights: spread },
    Targeting { name: "lognormal and a fifth in the smallest", most: 1.0, weights: |rng| first_fifth(sorted(rng)) },
    Targeting { name: "a fifth in one", most: 1.0, weights: |_| (concentrated(1), 1) },
];

fn sorted(rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut weights: Vec<f64> = (0..PROVIDERS).map(|_| lognormal(rng, 1.0)).collect();
    weights.sort_by(f64::total_cmp);
    weights
}

/// Lognormal weights in no order.
fn spread(rng: &mut ChaCha8Rng) -> (Vec<f64>, usize) {
    first_fifth((0..PROVIDERS).map(|_| lognormal(rng, 1.0)).collect())
}

/// The weights, and how many of the first have the targeting part of their sum.
fn first_fifth(weights: Vec<f64>) -> (Vec<f64>, usize) {
    let wanted = TARGETING * weights.iter().sum::<f64>();
    let mut sum = 0.0;
    let mut is_below = |weight: &&f64| {
        sum += **weight;
        sum <= wanted
    };
    let count = weights.iter().take_while(&mut is_below).count();
    (weights, count)
}

/// Weights of which the first few have the targeting part together.
fn concentrated(few: usize) -> Vec<f64> {
    let each = TARGETING / (1.0 - TARGETING) * (PROVIDERS - few) as f64 / few as f64;
    (0..PROVIDERS).map(|number| if number < few { each } else { 1.0 }).collect()
}

fn wrongly_jailed(out: &Path, rng: &mut ChaCha8Rng) -> Outcome {
    let mut table = Table::new(&["weights", "most_in_means", "records", "wrongly_jailed", "exact"]);
    let limit = f64::from(JAILED_ABOVE.deconstruct()) / 1e9;
    let least = (limit * f64::from(ENTRIES)).floor() as u32 + 1;
    let exact = binomial_tail(ENTRIES, least, TARGETING);
    // The other fifteen are there, but for one in a hundred, which is left out here: it only helps.
    let did = [[Attendance::Met; 16], {
        let mut left_out = [Attendance::Met; 16];
        left_out[0] = Attendance::Missed;
        left_out
    }];
    for targeting in TARGETINGS {
        eprintln!("silence: {} records with {}", RECORDS, targeting.name);
        let mut wrongly = 0u32;
        let (mut weights, mut few) = (targeting.weights)(rng);
        for number in 0..RECORDS {
            if number.is_multiple_of(1_000) {
                (weights, few) = (targeting.weights)(rng);
            }
            let mean = weights.iter().sum::<f64>() / PROVIDERS as f64;
            let mut record = Record::default();
            for _ in 0..ENTRIES {
                let provider = rng.gen_range(0..PROVIDERS);
                let weight = (weights[provider].min(targeting.most * mean) * 1e8) as u64;
                if let Some(entry) = Entry::of(&did[usize::from(provider < few)], 0, weight) {
                    record.add(entry);
                }
            }
            wrongly += u32::from(record.is_to_be_jailed());
        }
        let equal = targeting.name == TARGETINGS[0].name;
        table.row(vec![
            targeting.name.into(),
            if targeting.most.is_finite() { decimals(targeting.most, 0) } else { "-".into() },
            RECORDS.to_string(),
            format!("{:.1e}", f64::from(wrongly) / f64::from(RECORDS)),
            if equal { format!("{exact:.1e}") } else { "-".into() },
        ]);
    }
    table.save(out, "silence-wrongly-jailed")?;
    println!("How often {ENTRIES} entries have a member jailed that providers with a fifth of all weight leave out.");
    Ok(())
}
