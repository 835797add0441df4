//! An epoch of a public network of ten thousand providers and two thousand challengers: what its blocks weigh by the weights that were measured, and how
//! long they take to import, into the database of a node.
#![allow(missing_docs)]

use codec::Encode;
use frame_support::traits::Get;
use sp_api::ProvideRuntimeApi;
use sp_keyring::Sr25519Keyring::Alice;
use sp_runtime::OpaqueExtrinsic;
use std::{collections::VecDeque, process::ExitCode, time::Instant};
use weir_bench::{median, Figures, Goal};
use weir_consensus_testing::{
    agents::{self, at_best, Agents, Population, Provider},
    Chain, Options,
};
use weir_primitives::runtime_api::{MeasurementApi, OpenChallenge};
use weir_runtime::{configs::RuntimeBlockWeights, Runtime, RuntimeCall, System};

const PROVIDERS: u32 = 10_000;
const CHALLENGERS: u32 = 2_000;
/// In the first epoch nobody is drawn yet, in the second nobody has a reward to come.
const EPOCHS: u32 = 3;
const MILLISECONDS_APART: u64 = 6_000;
/// What each provider declares, and what is guaranteed of it, in bits per second.
const DECLARED: u64 = 100_000_000;
const GUARANTEED: u64 = 50_000_000;
/// How many providers ask what they are drawn for.
const ASKING: usize = 50;

/// A block of the last epoch.
struct Measured {
    number: u64,
    weight: f64,
    /// By the clock on the wall, in which others have the processor too.
    seconds: f64,
    /// Of the processor, for the thread that imports.
    busy: f64,
    batches: usize,
}

/// All reports of a challenge, as its prover hands them in.
fn batch(chain: &Chain, network: &Agents, open: &OpenChallenge) -> RuntimeCall {
    let seen = agents::prefix(open.challenge.slot);
    let line = (open.bits_per_second, open.bits_per_second);
    let reports = (0u8..)
        .zip(&open.committee)
        .map(|(place, _)| network.signed(chain, open, place, agents::report(open, place, seen, line)));
    network.batch(chain, open, reports.collect())
}

/// Seconds that this thread has had the processor.
fn thread_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it only writes to what it is given, which lives through the call.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(answer, 0, "there is such a clock");
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// What the best block weighed, as a part of what a block can.
fn weight_of_best(chain: &Chain) -> f64 {
    let weight = at_best(chain, || System::block_weight().total().ref_time());
    weight as f64 / RuntimeBlockWeights::get().max_block.ref_time() as f64
}

/// Milliseconds that a node takes to say what a provider is drawn for, walk of its committee included.
fn milliseconds_of_a_draw(chain: &Chain, open: &[OpenChallenge]) -> f64 {
    let at = chain.best();
    let ask = |open: &OpenChallenge| {
        let begun = Instant::now();
        let challenges = chain.client.runtime_api().challenges(at, open.provider.clone()).expect("the runtime answers");
        assert!(challenges.iter().any(|it| it.challenge == open.challenge));
        begun.elapsed().as_secs_f64() * 1e3
    };
    median(open.iter().take(ASKING).map(ask).collect())
}

fn main() -> ExitCode {
    let mut figures = Figures::from_arguments();
    eprintln!("making a state of {PROVIDERS} providers and {CHALLENGERS} challengers");
    let provider = |number| Provider {
        declared: DECLARED,
        guaranteed: GUARANTEED,
        prefix: agents::prefix(number),
        mining_author: Alice.to_account_id(),
    };
    let providers = (0..PROVIDERS).map(provider).collect();
    let network = Agents::new(&Population { challengers: CHALLENGERS, providers, change: |_| () });
    let measurement = &network.parameters.measurement;
    let epoch_blocks = measurement.epoch_blocks;
    figures.print("epoch/providers", PROVIDERS.into(), "providers", Goal::None);
    figures.print("epoch/challengers", CHALLENGERS.into(), "challengers", Goal::None);
    figures.print("epoch/storage-per-provider", network.bytes_per_provider, "bytes", Goal::None);

    let blocks = EPOCHS * epoch_blocks;
    let first = weir_consensus::clock::now() - u64::from(blocks + 60) * MILLISECONDS_APART;
    // One makes the blocks, and the other one imports them, who knows nothing of them before.
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("there is room for a database"));
    let [chain, importer] = [0, 1].map(|index: usize| {
        Chain::with(Options {
            folder: Some(folders[index].path()),
            first_timestamp: Some(first),
            genesis: Some(network.state.clone()),
            ..Options::default()
        })
    });
    let most: u32 = <Runtime as pallet_bandwidth::Config>::BatchesPerBlock::get();
    let notice_blocks = measurement.notice / MILLISECONDS_APART;
    let mut parent = chain.genesis();
    // The challenges of each instant, and the height from which on their reports come, all at once.
    let mut to_come: VecDeque<(u64, Vec<OpenChallenge>)> = VecDeque::new();
    let mut handed_in = VecDeque::<OpenChallenge>::new();
    let mut measured = Vec::new();
    let mut draws = Vec::new();
    let (mut challenges, mut bytes_of_a_batch) = (0, 0);
    for number in 1..=u64::from(blocks) {
        let is_last_epoch = number > u64::from(blocks - epoch_blocks);
        if number % 100 == 0 {
            eprintln!("block {number} of {blocks}");
        }
        while to_come.front().is_some_and(|(from, _)| *from <= number) {
            handed_in.extend(to_come.pop_front().map(|(_, open)| open).unwrap_or_default());
        }
        let now: Vec<_> = handed_in.drain(..handed_in.len().min(most as usize)).collect();
        let extrinsics: Vec<OpaqueExtrinsic> = now
            .iter()
            .map(|open| {
                let extrinsic = chain.general(batch(&chain, &network, open));
                bytes_of_a_batch = extrinsic.encoded_size();
                extrinsic
            })
            .collect();
        let batches = extrinsics.len();
        let after = if number == 1 { 0 } else { MILLISECONDS_APART };
        let block = chain.block_of(parent, Alice, after, extrinsics);
        chain.import(&block).expect("honest blocks are imported");
        let (begun, busy_before) = (Instant::now(), thread_seconds());
        importer.import(&block).expect("honest blocks are imported");
        let (seconds, busy) = (begun.elapsed().as_secs_f64(), thread_seconds() - busy_before);
        parent = block.hash();
        assert_eq!([chain.best(), importer.best()], [parent; 2]);
        if is_last_epoch {
            measured.push(Measured { number, weight: weight_of_best(&chain), seconds, busy, batches });
        }
        let open = agents::newly_drawn(&chain);
        if !open.is_empty() {
            if is_last_epoch {
                challenges += open.len();
                draws.push(milliseconds_of_a_draw(&chain, &open));
            }
            to_come.push_back((number + notice_blocks, open));
        }
    }

    let full = RuntimeBlockWeights::get().max_block.ref_time() as f64 / 1e12;
    figures.print("epoch/challenges", challenges as f64, "challenges", Goal::AtLeast(f64::from(PROVIDERS) * 0.9));
    let missing =
        at_best(&chain, || pallet_bandwidth::Instants::<Runtime>::get().iter().filter(|it| it.is_void).count());
    figures.print("epoch/void-instants", missing as f64, "instants", Goal::AtMost(0.0));
    let most_of = |of: fn(&Measured) -> f64| measured.iter().map(of).fold(0.0, f64::max);
    let mean_of = |of: fn(&Measured) -> f64| measured.iter().map(of).sum::<f64>() / measured.len() as f64;
    figures.print("epoch/weight/most", most_of(|it| it.weight), "of a block", Goal::AtMost(0.25));
    figures.print("epoch/weight/mean", mean_of(|it| it.weight), "of a block", Goal::None);
    let mut walls: Vec<f64> = measured.iter().map(|it| it.seconds / full).collect();
    walls.sort_by(f64::total_cmp);
    figures.print("epoch/clock/99th", walls[walls.len() * 99 / 100], "of a block", Goal::AtMost(0.25));
    figures.print("epoch/clock/most", most_of(|it| it.seconds) / full, "of a block", Goal::None);
    figures.print("epoch/processor/most", most_of(|it| it.busy) / full, "of a block", Goal::AtMost(0.25));
    let mut slowest: Vec<&Measured> = measured.iter().collect();
    slowest.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
    for Measured { number, weight, seconds, busy, batches } in slowest.into_iter().take(5) {
        eprintln!(
            "block {number}: {seconds:.3} s, {busy:.3} s of the processor, {batches} batches, weighs {weight:.3}"
        );
    }
    figures.print("epoch/clock/mean", mean_of(|it| it.seconds) / full, "of a block", Goal::None);
    let weighed = measured.iter().map(|it| it.weight).sum::<f64>() * full;
    figures.print(
        "epoch/clock-against-weight",
        mean_of(|it| it.seconds) * measured.len() as f64 / weighed,
        "times",
        Goal::AtMost(1.0),
    );
    figures.print("epoch/batches/most", most_of(|it| it.batches as f64), "in a block", Goal::None);
    figures.print("epoch/batch/bytes", bytes_of_a_batch as f64, "bytes", Goal::None);
    figures.print("epoch/draw", median(draws), "ms", Goal::AtMost(100.0));
    figures.finish()
}
