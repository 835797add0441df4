//! Other lines than short and clean ones.

use crate::table::Table;
use crate::{
    columns,
    committee::{Committee, Way},
    expected_ratio, median_of, percentile, shaper, Cell, COMMITTEES, QUEUE, TRAIN,
};
use std::time::Duration;
use weir_bench::{Figures, Goal};
use weir_e2e::lab::{Lab, Shaper, Wire};

/// What a line, its owner and its challengers are like.
#[derive(Clone, Copy)]
struct Condition {
    name: &'static str,
    wire: Wire,
    /// How long a packet waits at the shaper at most.
    queue: Duration,
    /// The part of the line that others use.
    crossing: f64,
    /// What is declared, as a part of the line.
    declared: f64,
    /// What starts the prover.
    starter: &'static [&'static str],
}

/// Without any capability: the buffers are those that the system gives everybody.
const UNPRIVILEGED: &[&str] = &["setpriv", "--bounding-set=-all", "--inh-caps=-all"];

/// Far challengers, near and far ones in one committee, loss, reordering, long queues, declarations below and above the line, a line that others
/// use as well, and an agent without rights.
pub fn by_hand(figures: &mut Figures, runs: u32) -> weir_e2e::Result<()> {
    const MBIT: u64 = 100;
    let (members, byzantine) = COMMITTEES[0];
    let far = |milliseconds: u64| Wire { delay: Duration::from_millis(milliseconds) / 2, ..Wire::default() };
    let usual = Condition { name: "", wire: far(1), queue: QUEUE, crossing: 0.0, declared: 1.0, starter: &[] };
    let ms = Duration::from_millis;
    let cases = [
        Condition { name: "round trip 1 ms", ..usual },
        Condition { name: "round trip 20 ms", wire: far(20), ..usual },
        Condition { name: "round trip 100 ms", wire: far(100), ..usual },
        Condition { name: "round trips 5 to 250 ms", wire: Wire { spread: ms(245) / 2, ..far(5) }, ..usual },
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
    ];
    let mut table = Table::new(columns(&["way", "condition", "train"]));
    for Condition { name, wire, queue, crossing, declared, starter } in cases {
        let lab = Lab::new(Some(wire))?;
        let committee = Committee::start(&lab, members)?;
        // Of the member in the middle.
        let round_trip = wire.delay * 2 + wire.longer_there + wire.spread;
        // As the agent does by itself; the chain's trains are half a second, whoever is how far.
        let train = TRAIN.max(if wire.spread.is_zero() { round_trip * 10 } else { Duration::ZERO });
        let shaped = Some(Shaper { queue, ..shaper(MBIT, train) });
        lab.shape(shaped, shaped)?;
        for way in [Way::Down, Way::Up] {
            let traffic = (crossing > 0.0)
                .then(|| committee.cross_traffic(way, (MBIT as f64 * 1e6 * crossing) as u64))
                .transpose()?;
            let declared_mbit = (MBIT as f64 * declared) as u64;
            let measured = committee.measure_as(starter, way, declared_mbit, train, byzantine, runs)?;
            let cell = Cell::of(&measured, MBIT);
            drop(traffic);
            // Challengers send half as much again as was declared, and a prover a twentieth more.
            let offered = if way == Way::Down { 1.5 } else { 1.05 };
            let expected = expected_ratio((members, byzantine), train, round_trip) * (declared * offered).min(1.0);
            let own = [way.name().to_string(), name.to_string(), format!("{} ms", train.as_millis())];
            table.print_row(own.into_iter().chain(cell.row(expected)).collect());
            let words = name.replace(['%', ','], "").replace('.', "-");
            let words: Vec<&str> = words.split_whitespace().collect();
            let figure = |what: &str| format!("{what}-{}-{}", way.name(), words.join("-"));
            figures.print(&figure("raw"), median_of(&cell.raw), "of the rate", Goal::None);
            figures.print(&figure("proven"), median_of(&cell.proven) / expected, "of what is expected", Goal::None);
            let most = percentile(&cell.proven, 1.0);
            figures.print(&figure("proven-most"), most, "of the rate", Goal::AtMost(1.02));
        }
    }
    Ok(())
}
