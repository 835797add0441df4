//! The kernels of the proof of work, on one thread, against the `sha3` crate and against what the instructions allow.
#![allow(missing_docs)]

use std::{hint::black_box, process::ExitCode, time::Instant};
use weir_bench::{median, Figures, Goal};
use weir_pow::{Kernel, Search};

/// How often each is measured, in turns.
const ROUNDS: usize = 15;
/// For about how many nonces at once: some tens of milliseconds.
const NONCES: u64 = 1 << 17;
/// How many nonces the miner asks for at once.
const AT_ONCE: u64 = 1 << 14;
/// How many vector instructions the processors of today start in a cycle: two of 512 bits, three of 256, four on words.
const PER_CYCLE: [(usize, f64); 4] = [(1, 4.0), (2, 4.0), (4, 3.0), (8, 2.0)];
/// Rounds of Keccak-f[1600].
const KECCAK_ROUNDS: f64 = 24.0;

/// Seconds for each hash.
fn seconds(nonces: u64, work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64() / nonces as f64
}

fn main() -> ExitCode {
    let mut figures = Figures::from_arguments();
    let (preimage, unreachable) = ([7; 32], [0; 32]);
    let kernels = Kernel::all();
    let searches: Vec<_> = kernels.iter().map(|kernel| Search::with_kernel(*kernel, preimage, unreachable)).collect();

    let mut reference = Vec::new();
    let mut bare = vec![Vec::new(); kernels.len()];
    let mut searching = vec![Vec::new(); kernels.len()];
    for round in 0..ROUNDS as u64 {
        let first = round << 32;
        reference.push(seconds(NONCES / 4, || {
            (first..first + NONCES / 4).for_each(|nonce| {
                black_box(weir_pow::work(&preimage, nonce));
            });
        }));
        for (index, search) in searches.iter().enumerate() {
            bare[index].push(seconds(NONCES, || {
                black_box(search.hash_only(first, NONCES));
            }));
            searching[index].push(seconds(NONCES, || {
                for start in (first..first + NONCES).step_by(AT_ONCE as usize) {
                    assert_eq!(black_box(search).find(start..start + AT_ONCE), None, "no hash is zero");
                }
            }));
        }
    }

    let against = |of: &[f64]| median(reference.iter().zip(of).map(|(reference, own)| reference / own).collect());
    figures.print("pow/sha3-crate", median(reference.clone()) * 1e9, "ns/hash", Goal::None);
    for (index, kernel) in kernels.iter().enumerate() {
        let name = kernel.name().to_lowercase();
        let goal = match kernel.lanes() {
            8 => Goal::AtLeast(7.5),
            4 => Goal::AtLeast(2.5),
            _ => Goal::None,
        };
        figures.print(&format!("pow/{name}/kernel"), median(bare[index].clone()) * 1e9, "ns/hash", Goal::None);
        figures.print(&format!("pow/{name}/kernel-against-sha3-crate"), against(&bare[index]), "times", goal);
        figures.print(&format!("pow/{name}/search-against-sha3-crate"), against(&searching[index]), "times", goal);
        let share = median(bare[index].iter().zip(&searching[index]).map(|(bare, search)| bare / search).collect());
        figures.print(&format!("pow/{name}/search-against-kernel"), share, "times", Goal::AtLeast(0.95));

        let instructions = KECCAK_ROUNDS * f64::from(kernel.instructions_per_round()) / kernel.lanes() as f64;
        let per_cycle = PER_CYCLE.iter().find(|(lanes, _)| *lanes == kernel.lanes()).map_or(1.0, |(_, rate)| *rate);
        figures.print(&format!("pow/{name}/bound"), instructions / per_cycle, "cycles/hash", Goal::None);
        if let Some(hertz) = hertz() {
            let cycles = median(bare[index].clone()) * hertz;
            figures.print(&format!("pow/{name}/kernel-cycles"), cycles, "cycles/hash", Goal::None);
        }
    }
    figures.finish()
}

/// Cycles of this core in a second, measured: a chain of dependent rotations and sums takes two cycles a link.
#[cfg(target_arch = "x86_64")]
fn hertz() -> Option<f64> {
    const LINKS: u64 = 20_000_000;
    let rate = |_| {
        let begun = Instant::now();
        let mut word = black_box(1u64);
        for _ in 0..LINKS {
            // SAFETY: works on one register, and touches neither memory nor stack.
            unsafe {
                core::arch::asm!("rol {0}, 7", "add {0}, {0}", inout(reg) word, options(pure, nomem, nostack));
            }
        }
        black_box(word);
        2.0 * LINKS as f64 / begun.elapsed().as_secs_f64()
    };
    Some(median((0..5).map(rate).collect()))
}

#[cfg(not(target_arch = "x86_64"))]
fn hertz() -> Option<f64> {
    None
}
