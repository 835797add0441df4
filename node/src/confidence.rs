//! What a depth below the best block is worth, for wallets: what the simulation of private forks came to (`scripts/simulate consensus`, *private-forks*).

use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// What the simulation came to, as it was committed.
const SIMULATED: &str = include_str!("../../docs/simulation/private-forks.csv");
/// The confirmations that it looked at.
const CONFIRMATIONS: [u64; 4] = [6, 12, 32, 64];

/// How often somebody's private fork replaced a block of so many confirmations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Overtaken {
    /// The hash power of the attacker, as a multiple of that of all others.
    pub hash_against_honest: f64,
    /// The attacker's part of all guaranteed bandwidth.
    pub bandwidth_share: f64,
    /// Whether the attacker saved up credit before.
    pub saved_up: bool,
    /// How many confirmations the victim waited for: what was simulated that is nearest below the depth.
    pub confirmations: u64,
    /// The part of such attacks that succeeded, by the best of three ways to date blocks.
    pub chance: f64,
}

/// A row of the simulation: somebody with one identity, and how often each of [`CONFIRMATIONS`] was not enough.
struct Row {
    hash_against_honest: f64,
    bandwidth_share: f64,
    saved_up: bool,
    chances: [f64; CONFIRMATIONS.len()],
}

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let mut rows: Vec<Row> = Vec::new();
    for row in SIMULATED.lines().skip(1).filter_map(read) {
        let same = rows.iter_mut().find(|it| {
            (it.hash_against_honest, it.bandwidth_share, it.saved_up)
                == (row.hash_against_honest, row.bandwidth_share, row.saved_up)
        });
        match same {
            Some(known) => {
                known.chances.iter_mut().zip(row.chances).for_each(|(most, chance)| *most = most.max(chance))
            },
            None => rows.push(row),
        }
    }
    rows
});

/// Reads a row, if it is of somebody with one identity: splitting gains nothing.
fn read(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.split(',').collect();
    let [hash, bandwidth, "1", saved_up, _, chances @ ..] = cells.as_slice() else { return None };
    let chances: Vec<f64> = chances.iter().map(|chance| chance.parse().ok()).collect::<Option<_>>()?;
    Some(Row {
        hash_against_honest: hash.parse().ok()?,
        bandwidth_share: bandwidth.parse().ok()?,
        saved_up: *saved_up == "yes",
        chances: chances.try_into().ok()?,
    })
}

/// What so many blocks above a block are worth. Nothing is known of fewer than six.
pub fn overtaken(depth: u64) -> Vec<Overtaken> {
    let Some(at) = CONFIRMATIONS.iter().rposition(|confirmations| *confirmations <= depth) else { return Vec::new() };
    let of = |row: &Row| Overtaken {
        hash_against_honest: row.hash_against_honest,
        bandwidth_share: row.bandwidth_share,
        saved_up: row.saved_up,
        confirmations: CONFIRMATIONS[at],
        chance: row.chances[at],
    };
    ROWS.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_depth_is_worth_what_the_simulation_says_and_never_less_for_being_deeper() {
        assert!(overtaken(5).is_empty());
        let at = |depth| overtaken(depth);
        assert_eq!(at(12), at(31));
        assert_eq!(at(1_000).first().map(|it| it.confirmations), Some(64));
        for (few, many) in at(6).into_iter().zip(at(64)) {
            assert!(few.chance >= many.chance && (0.0..=1.0).contains(&few.chance), "{few:?} {many:?}");
        }
        // As docs/consensus.md has it.
        let known =
            at(32).into_iter().find(|it| (it.hash_against_honest, it.bandwidth_share, it.saved_up) == (4.0, 0.1, true));
        assert_eq!(known.map(|it| it.chance), Some(0.682));
    }

    #[test]
    fn every_row_of_the_simulation_is_read() {
        let of_one = SIMULATED.lines().skip(1).filter(|line| line.split(',').nth(2) == Some("1")).count();
        assert_eq!(SIMULATED.lines().skip(1).filter_map(read).count(), of_one);
        assert!(ROWS.len() >= 10);
    }
}
