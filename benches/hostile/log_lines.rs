//! The lines of a node's log, by kind: so that what calm time has too is told from what an attack adds.

use std::collections::BTreeMap;

/// How much more often than in calm time a kind of lines may come without being counted.
const USUAL_FACTOR: f64 = 2.0;

/// How many lines of each kind a log has, and over which time.
#[derive(Clone, Debug)]
pub struct LogLines {
    kinds: BTreeMap<String, usize>,
    seconds: f64,
}

impl LogLines {
    /// The lines of a part of a log.
    pub fn of(log: &str, seconds: f64) -> Self {
        let mut kinds = BTreeMap::new();
        for line in log.lines() {
            *kinds.entry(kind(line)).or_default() += 1;
        }
        Self { kinds, seconds }
    }

    /// How many lines there are beyond twice those of calm time, kind by kind.
    pub fn beyond(&self, calm: &Self) -> usize {
        self.kinds
            .iter()
            .map(|(kind, count)| {
                let usual = *calm.kinds.get(kind).unwrap_or(&0) as f64 / calm.seconds * self.seconds * USUAL_FACTOR;
                count.saturating_sub(usual as usize)
            })
            .sum()
    }
}

/// A line without its time, and without words that have digits in them: numbers, hashes, peers.
fn kind(line: &str) -> String {
    let words = line.split_whitespace().skip(2);
    words.filter(|word| !word.contains(|letter: char| letter.is_ascii_digit())).collect::<Vec<_>>().join(" ")
}
