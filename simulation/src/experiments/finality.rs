//! What votes on finality cost, when there are enough of them, and how far behind the best block they have to stay. One
//! experiment a file.

mod depth;
mod offline;
mod votes;

use super::Experiment;
use crate::random::lognormal;
use rand_chacha::ChaCha8Rng;
use sp_core::{crypto::UncheckedFrom, ed25519};
use weir_primitives::{finality::voters::Candidate, AccountId, Balance};

/// All experiments on finality.
pub const FINALITY: [Experiment; 3] = [
    Experiment { name: "votes", run: votes::run },
    Experiment { name: "offline", run: offline::run },
    Experiment { name: "depth", run: depth::run },
];

/// Parts of a whole that are lognormal.
fn parts(count: usize, sigma: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let drawn: Vec<f64> = (0..count).map(|_| lognormal(rng, sigma)).collect();
    let whole: f64 = drawn.iter().sum();
    drawn.into_iter().map(|part| part / whole).collect()
}

/// Somebody who stands for election, by a number: where two weigh the same, the lower one is chosen.
fn candidate(number: u16, bond: Balance, bits_per_second: u64) -> Candidate {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    let key = ed25519::Public::unchecked_from(bytes).into();
    Candidate { account: AccountId::new(bytes), key, bond, bits_per_second }
}

/// The number of a candidate.
fn number(account: &AccountId) -> u16 {
    let bytes: &[u8] = account.as_ref();
    u16::from_be_bytes([bytes[0], bytes[1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn parts_are_those_of_one_whole_and_equal_without_spread() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert!((parts(40, 1.0, &mut rng).iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(parts(8, 0.0, &mut rng).iter().all(|part| (part - 0.125).abs() < 1e-12));
    }
}
