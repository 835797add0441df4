//! What measurement guarantees, and what it does not. One experiment a file.

mod capture;
mod far_members;
mod idle;
mod lending;
mod silence;
mod world;

use super::Experiment;

/// All experiments on committees and guaranteed bandwidth.
pub const COMMITTEE: [Experiment; 5] = [
    Experiment { name: "lending", run: lending::run },
    Experiment { name: "capture", run: capture::run },
    Experiment { name: "silence", run: silence::run },
    Experiment { name: "idle", run: idle::run },
    Experiment { name: "far-members", run: far_members::run },
];

/// The chance of at least `least` successes in `count` trials.
fn binomial_tail(count: u32, least: u32, chance: f64) -> f64 {
    (least..=count)
        .map(|hits| {
            let ways = (0..hits).fold(1.0, |ways, i| ways * f64::from(count - i) / f64::from(i + 1));
            ways * chance.powi(hits as i32) * (1.0 - chance).powi((count - hits) as i32)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_a_fair_coin() {
        assert!((binomial_tail(4, 3, 0.5) - 5.0 / 16.0).abs() < 1e-12);
        assert!((binomial_tail(128, 0, 0.3) - 1.0).abs() < 1e-9);
    }
}
