//! How often the committees of one provider prove what its owner likes, by the part of challengers that are malicious.
//!
//! A committee is captured when more than f of its members lie. One captured committee buys nothing: it takes r of
//! the last w for guaranteed bandwidth to be above zero.

use super::{super::Outcome, binomial_tail};
use crate::{
    challengers::{drawn_provider, measurement, seed, Challengers},
    plot::{plot, Axis, Mark, Scale, Series},
    table::{decimals, Table},
};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

const CHALLENGERS: u32 = 256;
const COMMITTEES: u32 = 200_000;
/// What the plot shows of small chances.
const LEAST_POWER: f64 = -25.0;
const PARTS: [f64; 4] = [0.1, 0.2, 0.3, 0.4];

/// The chance that more than f of n members are malicious, drawn without replacement from a set.
fn hypergeometric_tail(set: u32, malicious: u32, members: u32, least: u32) -> f64 {
    let ways = |of: u32, count: u32| -> f64 {
        if count > of {
            return 0.0;
        }
        (0..count).fold(1.0, |ways, i| ways * f64::from(of - i) / f64::from(i + 1))
    };
    let all = ways(set, members);
    (least..=members).map(|hits| ways(malicious, hits) * ways(set - malicious, members - hits) / all).sum()
}

/// How many of the committees that are drawn have more than f members among the last slots, which are malicious.
fn captured(challengers: &Challengers, first_malicious: u32, rng: &mut ChaCha8Rng) -> f64 {
    let most = measurement().byzantine as usize;
    let (mut captured, mut drawn) = (0u32, 0u32);
    for number in 0..COMMITTEES {
        let Some(members) = challengers.committee(&seed(rng), &drawn_provider(number)) else { continue };
        drawn += 1;
        captured += u32::from(members.iter().filter(|slot| **slot >= first_malicious).count() > most);
    }
    f64::from(captured) / f64::from(drawn)
}

/// The chance that guaranteed bandwidth is above zero by captured committees alone.
fn bought(chance: f64) -> f64 {
    let measurement = measurement();
    binomial_tail(measurement.window, measurement.rank, chance)
}

pub fn run(out: &Path, mut rng: ChaCha8Rng) -> Outcome {
    let measurement = measurement();
    let least = measurement.byzantine + 1;
    let mut table = Table::new(&[
        "malicious",
        "committee_exact_many",
        "committee_exact_256",
        "committee_drawn_256",
        "committee_drawn_juniors",
        "bought_exact_many",
        "bought_exact_256",
    ]);
    let scientific = |value: f64| if value == 0.0 { "0".into() } else { format!("{value:.1e}") };
    for part in PARTS {
        eprintln!("capture: {:.0} %", part * 100.0);
        let malicious = (f64::from(CHALLENGERS) * part) as u32;
        let honest = CHALLENGERS - malicious;
        let many = binomial_tail(measurement.committee, least, part);
        let of_set = hypergeometric_tail(CHALLENGERS, malicious, measurement.committee, least);
        let drawn = captured(&Challengers::new(CHALLENGERS, 0), honest, &mut rng);
        let juniors = captured(&Challengers::new(honest, malicious), honest, &mut rng);
        table.row(vec![
            decimals(part, 2),
            scientific(many),
            scientific(of_set),
            scientific(drawn),
            scientific(juniors),
            scientific(bought(many)),
            scientific(bought(of_set)),
        ]);
    }
    table.save(out, "capture")?;
    println!(
        "More than {} of {} members lie; bought: in {} of {} challenges. Exact for a set without end, and for \
         {CHALLENGERS} challengers; drawn are {COMMITTEES} committees, where the malicious are seniors, and where \
         all of them are juniors.",
        measurement.byzantine, measurement.committee, measurement.rank, measurement.window
    );
    let line = |name: &str, of: &dyn Fn(f64) -> f64| Series {
        name: name.into(),
        mark: Mark::Line,
        points: (2..=50)
            .map(|percent| f64::from(percent) / 100.0)
            .map(|part| (part, of(part).log10()))
            .filter(|(_, power)| *power > LEAST_POWER)
            .collect(),
    };
    let committee = |part: f64| binomial_tail(measurement.committee, least, part);
    plot(
        &out.join("capture.png"),
        "Malicious challengers, and what they can prove",
        &Axis { title: "part of challengers that are malicious", range: 0.0..0.5, scale: Scale::Linear },
        &Axis { title: "probability, as a power of ten", range: LEAST_POWER..5.0, scale: Scale::Linear },
        &[line("one committee is captured", &committee), line("bandwidth is bought", &|part| bought(committee(part)))],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_set_that_is_large_is_as_one_without_end() {
        let (large, endless) = (hypergeometric_tail(100_000, 30_000, 16, 8), binomial_tail(16, 8, 0.3));
        assert!((large / endless - 1.0).abs() < 0.01, "{large} {endless}");
    }

    #[test]
    fn juniors_alone_capture_nothing() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let challengers = Challengers::new(160, 96);
        let most = (0..2_000u32).map(|number| {
            let members = challengers.committee(&seed(&mut rng), &drawn_provider(number)).unwrap();
            members.into_iter().filter(|slot| *slot >= 160).count()
        });
        assert_eq!(most.max(), Some(3));
    }
}
