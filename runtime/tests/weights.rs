//! The weights that were measured, and the benchmarks that measured them.

use frame_support::{dispatch::DispatchClass, traits::Get};
use pallet_bandwidth::weights::WeightInfo;
use sp_io::hashing::blake2_256;
use std::{fs, path::PathBuf};
use weir_primitives::measurement::lottery::{committee::CANDIDATES_PER_MEMBER, instants::MOST};
use weir_runtime::{
    configs::{BandwidthWeight, RuntimeBlockWeights, StorageDbWeight, SweepWeight},
    genesis, Runtime,
};

fn source(pallet: &str, file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../pallets/{pallet}/src/{file}"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Those whose weights are measured.
const MEASURED: [&str; 3] = ["bandwidth", "registry", "token"];
/// Those that `scripts/weights` is to measure on the reference machine: the weights of finality and the market are bounds, and to that of difficulty the
/// reads are added that it does not have.
const TO_BE_MEASURED: [&str; 3] = ["difficulty", "finality", "market"];

#[test]
fn no_weight_is_older_than_its_benchmark() {
    for pallet in MEASURED {
        let digest = blake2_256(source(pallet, "benchmarking.rs").as_bytes());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let measured_with = format!("//! Benchmarks: BLAKE2b-256 {digest}.");
        assert!(
            source(pallet, "weights.rs").lines().any(|line| line == measured_with),
            "the benchmarks of {pallet} changed; run: scripts/weights {pallet}"
        );
    }
}

#[test]
fn every_benchmark_has_its_weight_and_every_weight_its_benchmark() {
    for pallet in MEASURED.into_iter().chain(TO_BE_MEASURED) {
        let (benchmarks, weights) = (source(pallet, "benchmarking.rs"), source(pallet, "weights.rs"));
        let after = |text: &str, marker: &str| -> Vec<String> {
            let name = |rest: &str| rest.trim_start().split('(').next().map(str::to_string);
            let mut names: Vec<_> = text.split(marker).skip(1).filter_map(name).collect();
            names.sort();
            names
        };
        let measured = after(&benchmarks, "#[benchmark]\n    fn ");
        let (weights, _) = weights.split_once("pub struct").expect("the trait comes first");
        assert_eq!(measured, after(weights, "    fn "), "{pallet}");
        assert!(!measured.is_empty(), "{pallet}");
    }
}

/// As `has_room_for` reckons: all slots are passed over before the next instant, half as many more evaluated as there are on average, and as many challengers paid as
/// there can be. A block does not begin with a slot that it may not be able to end.
#[test]
fn a_public_network_of_ten_thousand_providers_and_two_thousand_challengers_is_passed_over_in_time() {
    type Weights = BandwidthWeight;
    let measurement = genesis::testnet().measurement;
    let (providers, challengers, members) = (10_000, 2_000, measurement.committee);
    let slot = Weights::pass_slots(1) - Weights::pass_slots(0);
    let look = (Weights::walk(1) - Weights::walk(0)) / u64::from(CANDIDATES_PER_MEMBER);
    // Two looks for each member, one of which is in the evaluation.
    let evaluated = Weights::evaluate(members) + look * u64::from(members);
    let longest = Weights::evaluate(members)
        + Weights::walk(members)
        + Weights::pay_duties() * u64::from(members)
        + Weights::evict()
        + slot;
    let usable = SweepWeight::get() - longest - Weights::pass_slots(0);
    let blocks = measurement.epoch_blocks / MOST;
    let needed =
        slot * providers + evaluated * (providers * 3 / (2 * u64::from(MOST))) + Weights::pay_duties() * challengers;
    let usable = usable.saturating_mul(blocks.into());
    assert!(needed.all_lte(usable), "{needed} of {usable}");
}

/// What is left to calls that are no ordinary ones holds all the batches that a block may have, however full it is.
#[test]
fn reports_have_their_own_part_of_each_block() {
    let limits = RuntimeBlockWeights::get();
    let normal = limits.get(DispatchClass::Normal).max_total.expect("ordinary calls have a limit");
    let committee = genesis::testnet().measurement.committee;
    let batch = BandwidthWeight::submit(committee)
        + BandwidthWeight::authorize_submit(committee)
        + limits.get(DispatchClass::Operational).base_extrinsic;
    let most: u32 = <Runtime as pallet_bandwidth::Config>::BatchesPerBlock::get();
    let batches = batch * u64::from(most);
    let left = limits.max_block - normal;
    assert!(batches.all_lte(left), "{batches} of {left}");
}

#[test]
fn the_hooks_of_a_block_that_begins_an_epoch_leave_seven_tenths_of_it_to_others() {
    use pallet_difficulty::weights::WeightInfo as _;
    use pallet_token::weights::WeightInfo as _;
    type Bandwidth = BandwidthWeight;
    type Difficulty = pallet_difficulty::weights::MeasuredWeight<StorageDbWeight>;
    type Token = pallet_token::weights::MeasuredWeight<StorageDbWeight>;
    let hooks = [
        SweepWeight::get(),
        Bandwidth::on_initialize(),
        Bandwidth::start_epoch(),
        Difficulty::on_initialize(),
        Token::on_initialize(),
        Token::on_finalize(),
    ];
    let hooks: u64 = hooks.iter().map(|weight| weight.ref_time()).sum();
    let block = RuntimeBlockWeights::get().max_block.ref_time();
    assert!(hooks <= block / 10 * 3, "{hooks} of {block} ps");
}

/// Whatever a channel carried, settling it weighs the same, and a block has room for many.
#[test]
fn a_block_settles_two_hundred_channels() {
    use pallet_market::weights::WeightInfo as _;
    let limits = RuntimeBlockWeights::get().get(DispatchClass::Normal).clone();
    let room = limits.max_total.expect("ordinary calls have a limit");
    let settle = <Runtime as pallet_market::Config>::WeightInfo::settle() + limits.base_extrinsic;
    let channels = room.ref_time() / settle.ref_time();
    println!("{channels} channels in a block");
    assert!(channels >= 200, "{channels}");
}
