//! What a provider is left with that is far from many members: by how many of them, and by the longest round trip
//! that counts.

use super::super::Outcome;
use crate::{
    challengers::{measurement, MBIT},
    plot::{plot, Axis, Mark, Scale, Series},
    table::{decimals, Table},
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use weir_primitives::measurement::estimator::{
    guaranteed_bits_per_second, proven_bits_per_second, Limits, Sample, FURTHEST_ROUND_TRIP_US,
};

const CHALLENGES: usize = 100_000;
const NEAR_US: u64 = 30_000;
const FAR_US: u64 = 200_000;
const LINE: u64 = 100 * MBIT;

/// What a challenge proves of a line, where each of the members that are there has the same part of it, and those
/// count whose round trip is not above a limit.
fn proven(round_trips: &[u64], furthest_us: u64) -> u64 {
    let measurement = measurement();
    let limits = Limits {
        byzantine: measurement.byzantine,
        least_time_us: measurement.least_time_us,
        clock_tolerance_us: measurement.clock_tolerance_us,
    };
    let bytes = LINE / 8 * measurement.train_us / 1_000_000 / u64::from(measurement.committee);
    let samples: Vec<Sample> = round_trips
        .iter()
        .filter(|round_trip| **round_trip <= furthest_us)
        // The limit is the one that is asked for, not that of the estimator.
        .map(|round_trip| Sample { bytes, elapsed_us: measurement.train_us + round_trip + 1_000, round_trip_us: 0 })
        .collect();
    proven_bits_per_second(&samples, limits) as u64
}

/// What is guaranteed on average, if each member is far away with a chance.
fn guaranteed(far: f64, furthest_us: u64, rng: &mut ChaCha8Rng) -> f64 {
    let measurement = measurement();
    let results: Vec<u64> = (0..CHALLENGES)
        .map(|_| {
            let round_trips: Vec<u64> =
                (0..measurement.committee).map(|_| if rng.gen_bool(far) { FAR_US } else { NEAR_US }).collect();
            proven(&round_trips, furthest_us)
        })
        .collect();
    let windows = results.windows(measurement.window as usize);
    let count = windows.len() as f64;
    windows.map(|it| guaranteed_bits_per_second(it, measurement.rank, measurement.window) as f64).sum::<f64>() / count
}

pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    const LIMITS: [(&str, u64); 2] = [("150 ms, as on chain", FURTHEST_ROUND_TRIP_US), ("250 ms, or none", 250_000)];
    let full = proven(&vec![NEAR_US; measurement().committee as usize], FAR_US) as f64;
    let mut table = Table::new(&["far_members", "limit_150_ms", "limit_250_ms"]);
    let mut lines = LIMITS.map(|(name, _)| Series { name: name.into(), mark: Mark::LineAndDots, points: vec![] });
    for far in [0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 1.0] {
        let parts = LIMITS.map(|(_, limit)| guaranteed(far, limit, &mut rng) / full);
        lines.iter_mut().zip(parts).for_each(|(line, part)| line.points.push((far, part)));
        table.row([vec![decimals(far, 3)], parts.map(|part| decimals(part, 3)).to_vec()].concat());
    }
    table.save(out, "far-members")?;
    println!(
        "What a provider is guaranteed, as a part of what it is with all members at {} ms, if each member is at {} ms \
         with the chance.",
        NEAR_US / 1_000,
        FAR_US / 1_000
    );
    plot(
        &out.join("far-members.png"),
        "What a provider is left with that is far from some members",
        &Axis { title: "part of members at 200 ms", range: 0.0..1.0, scale: Scale::Linear },
        &Axis { title: "guaranteed; 1 if all are near", range: 0.0..1.2, scale: Scale::Linear },
        &lines,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_far_from_half_of_the_members_is_excluded_by_the_limit() {
        let half: Vec<u64> = (0..16).map(|number| if number < 8 { FAR_US } else { NEAR_US }).collect();
        let full = proven(&[NEAR_US; 16], FAR_US) as f64;
        assert!((proven(&half, FURTHEST_ROUND_TRIP_US) as f64 / full - 1.0 / 9.0).abs() < 0.01);
        assert!(proven(&half, 250_000) as f64 / full > 0.7);
    }
}
