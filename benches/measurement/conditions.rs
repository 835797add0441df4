//! Other lines than short and clean ones.

use crate::{
    columns,
    committee::{Committee, Way},
    expected_ratio, median_of, percentile, shaper,
    table::Table,
    Cell, COMMITTEES, QUEUE, TRAIN,
};
use std::time::Duration;
use weir_bench::{Figures, Goal};
use weir_e2e::{
    lab::{Lab, Shaper, Wire},
    process::Process,
};

/// The line, in Mbit/s.
pub const MBIT: u64 = 100;

/// What a line, its owner and its challengers are like.
#[derive(Clone, Copy)]
pub struct Condition {
    /// What it is called.
    pub name: &'static str,
    /// What is between the line and the challengers.
    pub wire: Wire,
    /// How long a packet waits at the shaper at most.
    pub queue: Duration,
    /// The part of the line that others use.
    pub crossing: f64,
    /// What is declared, as a part of the line.
    pub declared: f64,
    /// What starts the prover.
    pub starter: &'static [&'static str],
}

impl Condition {
    /// The round trip of the member in the middle.
    pub fn round_trip(&self) -> Duration {
        self.wire.delay * 2 + self.wire.longer_there + self.wire.spread + self.wire.to_half
    }

    /// The part of the line that packets are sent for: challengers send half as much again as was declared, and a prover a twentieth more.
    pub fn offered(&self, way: Way) -> f64 {
        self.declared * if way == Way::Down { 1.5 } else { 1.05 }
    }

    /// The line, for a train of this length.
    pub fn shaper(&self, train: Duration) -> Shaper {
        Shaper { queue: self.queue, ..shaper(MBIT, train) }
    }

    /// A name for a figure of it.
    pub fn figure(&self, what: &str, way: Way) -> String {
        let words = self.name.replace(['%', ','], "").replace('.', "-");
        let words: Vec<&str> = words.split_whitespace().collect();
        format!("{what}-{}-{}", way.name(), words.join("-"))
    }

    /// Traffic of others on the line, if there is any, until what is returned is dropped.
    pub fn crossing<'a>(&self, committee: &Committee<'a>, way: Way) -> weir_e2e::Result<Option<(Process, Process)>> {
        let bits_per_second = (MBIT as f64 * 1e6 * self.crossing) as u64;
        (bits_per_second > 0).then(|| committee.cross_traffic(way, bits_per_second)).transpose()
    }
}

/// Without any capability: the buffers are those that the system gives everybody.
const UNPRIVILEGED: &[&str] = &["setpriv", "--bounding-set=-all", "--inh-caps=-all"];

/// Far challengers, near and far ones in one committee, loss, reordering, long queues, declarations below and above the line, a line that others
/// use as well, and an agent without rights.
fn all() -> Vec<Condition> {
    let ms = Duration::from_millis;
    let far = |milliseconds: u64| Wire { delay: ms(milliseconds) / 2, ..Wire::default() };
    let usual = Condition { name: "", wire: far(1), queue: QUEUE, crossing: 0.0, declared: 1.0, starter: &[] };
    vec![
        Condition { name: "round trip 1 ms", ..usual },
        Condition { name: "round trip 20 ms", wire: far(20), ..usual },
        Condition { name: "round trip 100 ms", wire: far(100), ..usual },
        Condition { name: "round trips 5 to 250 ms", wire: Wire { spread: ms(245) / 2, ..far(5) }, ..usual },
        Condition { name: "half at 200 ms", wire: Wire { to_half: ms(199) / 2, ..far(1) }, ..usual },
        // Clocks that are right look 7.5 ms off then; from 10 on a measurement by hand refuses.
        Condition { name: "25 ms there, 10 back", wire: Wire { longer_there: ms(15), ..far(20) }, ..usual },
        Condition { name: "1 % loss", wire: Wire { loss: 0.01, ..far(1) }, ..usual },
        Condition { name: "10 % reordered by 3 ms", wire: Wire { reordered: 0.1, ..far(1) }, ..usual },
        Condition { name: "queue of 300 ms", queue: ms(300), ..usual },
        Condition { name: "30 % cross traffic", crossing: 0.3, ..usual },
        Condition { name: "declared 0.3 times", declared: 0.3, ..usual },
        Condition { name: "declared 0.7 times", declared: 0.7, ..usual },
        Condition { name: "declared 2 times", declared: 2.0, ..usual },
        Condition { name: "declared 4 times", declared: 4.0, ..usual },
        Condition { name: "without rights", starter: UNPRIVILEGED, ..usual },
    ]
}

/// All of them, or the one that is named.
pub fn named(case: Option<&str>) -> Vec<Condition> {
    all().into_iter().filter(|condition| case.is_none_or(|case| case == condition.name)).collect()
}

/// Measured by hand, one way after the other.
pub fn by_hand(figures: &mut Figures, runs: u32, case: Option<&str>) -> weir_e2e::Result<()> {
    let (members, byzantine) = COMMITTEES[0];
    let mut table = Table::new(columns(&["way", "condition", "train"]));
    for condition in named(case) {
        let lab = Lab::new(Some(condition.wire))?;
        let committee = Committee::start(&lab, members)?;
        let round_trip = condition.round_trip();
        // As the agent does by itself; the chain's trains are half a second, whoever is how far.
        let train = TRAIN.max(if condition.wire.spread.is_zero() && condition.wire.to_half.is_zero() {
            round_trip * 10
        } else {
            Duration::ZERO
        });
        let shaped = Some(condition.shaper(train));
        lab.shape(shaped, shaped)?;
        for way in [Way::Down, Way::Up] {
            let traffic = condition.crossing(&committee, way)?;
            let declared_mbit = (MBIT as f64 * condition.declared) as u64;
            let measured = committee.measure_as(condition.starter, way, declared_mbit, train, byzantine, runs)?;
            let cell = Cell::of(&measured, MBIT);
            drop(traffic);
            let expected = expected_ratio((members, byzantine), train, round_trip) * condition.offered(way).min(1.0);
            let own = [way.name().to_string(), condition.name.to_string(), format!("{} ms", train.as_millis())];
            table.print_row(own.into_iter().chain(cell.row(expected)).collect());
            let figure = |what: &str| condition.figure(what, way);
            figures.print(&figure("raw"), median_of(&cell.raw), "of the rate", Goal::None);
            figures.print(&figure("proven"), median_of(&cell.proven) / expected, "of what is expected", Goal::None);
            let most = percentile(&cell.proven, 1.0);
            figures.print(&figure("proven-most"), most, "of the rate", Goal::AtMost(1.02));
        }
    }
    Ok(())
}
