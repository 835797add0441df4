//! What storage costs on a node's database with a million accounts: rows that nobody has touched for long, without a cache of tries, and those that measurement
//! touches in each epoch, with a node's. Against the prices that the runtime's weights have.
#![allow(missing_docs)]

use rand::{rngs::StdRng, seq::SliceRandom, Rng, SeedableRng};
use sc_client_api::{Backend as _, BlockImportOperation, NewBlockState, StateBackend, TrieCacheContext};
use sc_client_db::{Backend, BlocksPruning, DatabaseSettings, DatabaseSource, PruningMode};
use sp_runtime::{traits::Header as _, Digest, StateVersion, Storage};
use std::{path::Path, process::ExitCode, time::Instant};
use weir_bench::{median, Figures, Goal};
use weir_consensus_testing::{CANONICALIZATION_DELAY, ROCKSDB_CACHE_MIB, TRIE_CACHE_BYTES};
use weir_primitives::Hash;
use weir_runtime::{
    configs::{EverydayDbWeight, StorageDbWeight},
    opaque::{Block, Header},
};

/// Accounts, each a row of 80 bytes.
const ACCOUNTS: usize = 1_000_000;
/// What ten thousand providers and two thousand challengers have, three rows each of 300 bytes: what measurement touches in an epoch.
const EVERYDAY: usize = 36_000;
const BLOCKS: usize = 60;
/// How many rows a block reads and writes.
const ROWS: usize = 1_000;
const PICOSECONDS_PER_MICROSECOND: f64 = 1e6;

/// A row of a map whose hasher spreads its keys.
fn key(map: u8, number: usize) -> Vec<u8> {
    let hashed = sp_io::hashing::blake2_128(&[&[map], number.to_le_bytes().as_slice()].concat());
    [&[map; 32], hashed.as_slice(), &number.to_le_bytes(), &[7; 24]].concat()
}

fn everyday(number: usize) -> Vec<u8> {
    key(2, number)
}

/// A chain of empty blocks over a state.
struct Chain {
    backend: Backend<Block>,
    number: u32,
    best: Hash,
}

impl Chain {
    fn open(folder: &Path, state: Storage, trie_cache_bytes: Option<usize>) -> Self {
        let settings = DatabaseSettings {
            trie_cache_maximum_size: trie_cache_bytes,
            state_pruning: Some(PruningMode::blocks_pruning(256)),
            source: DatabaseSource::RocksDb { path: folder.into(), cache_size: ROCKSDB_CACHE_MIB },
            blocks_pruning: BlocksPruning::KeepAll,
            pruning_filters: vec![],
            metrics_registry: None,
        };
        let backend = Backend::new(settings, CANONICALIZATION_DELAY).expect("the database can be made");
        let mut operation = backend.begin_operation().expect("nothing else is going on");
        let root = operation.set_genesis_state(state, true, StateVersion::V1).expect("it is a state");
        let mut chain = Self { backend, number: 0, best: Hash::zero() };
        chain.finish(operation, root);
        chain
    }

    fn finish(
        &mut self,
        mut operation: <Backend<Block> as sc_client_api::Backend<Block>>::BlockImportOperation,
        root: Hash,
    ) {
        let header = Header::new(self.number, Hash::zero(), root, self.best, Digest::default());
        operation
            .set_block_data(header.clone(), Some(vec![]), None, None, NewBlockState::Best, true)
            .expect("it has a header and a state");
        self.backend.commit_operation(operation).expect("the disk takes it");
        (self.number, self.best) = (self.number + 1, header.hash());
    }

    /// Microseconds for each row.
    fn read(&self, keys: &[Vec<u8>]) -> f64 {
        let state = self.backend.state_at(self.best, TrieCacheContext::Trusted).expect("the best block has its state");
        let begun = Instant::now();
        for key in keys {
            assert!(state.storage(key).expect("the database answers").is_some());
        }
        begun.elapsed().as_secs_f64() * 1e6 / keys.len() as f64
    }

    /// Microseconds for each row: the new root, and what comes to the database.
    fn write(&mut self, keys: &[Vec<u8>], random: &mut StdRng, bytes: usize) -> f64 {
        let changes: Vec<_> = keys.iter().map(|key| (key.clone(), Some(vec![random.gen::<u8>(); bytes]))).collect();
        let mut operation = self.backend.begin_operation().expect("nothing else is going on");
        let begun = Instant::now();
        self.backend.begin_state_operation(&mut operation, self.best).expect("the best block has its state");
        let state = self.backend.state_at(self.best, TrieCacheContext::Trusted).expect("it has");
        let delta = changes.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
        let (root, transaction) = state.storage_root(delta, StateVersion::V1);
        operation.update_db_storage(transaction).expect("it is of this state");
        operation.update_storage(changes, vec![]).expect("it is of this state");
        self.finish(operation, root);
        begun.elapsed().as_secs_f64() * 1e6 / keys.len() as f64
    }
}

fn main() -> ExitCode {
    let mut figures = Figures::from_arguments();
    let mut random = StdRng::seed_from_u64(7);
    eprintln!("making a state of {ACCOUNTS} accounts");
    let mut state = Storage::default();
    state.top.extend((0..ACCOUNTS).map(|number| (key(1, number), vec![1; 80])));
    state.top.extend((0..EVERYDAY).map(|number| (everyday(number), vec![2; 300])));
    // What nobody has touched for long is in no cache but those of the database and the system.
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("there is room for a database"));
    let mut cold = Chain::open(folders[0].path(), state.clone(), None);
    let mut warm = Chain::open(folders[1].path(), state, Some(TRIE_CACHE_BYTES));
    // An epoch touches everything that is touched every day.
    let all: Vec<_> = (0..EVERYDAY).map(everyday).collect();
    warm.read(&all);

    eprintln!("{BLOCKS} blocks of {ROWS} rows of each kind");
    let [mut read, mut everyday_read, mut write, mut everyday_write] = [const { Vec::new() }; 4];
    for _ in 0..BLOCKS {
        let accounts: Vec<_> = (0..ROWS).map(|_| key(1, random.gen_range(0..ACCOUNTS))).collect();
        // Read and written are others: what was read just now is still at hand.
        let others: Vec<_> = (0..ROWS).map(|_| key(1, random.gen_range(0..ACCOUNTS))).collect();
        let [rows, other_rows] = [(); 2].map(|()| all.choose_multiple(&mut random, ROWS).cloned().collect::<Vec<_>>());
        read.push(cold.read(&accounts));
        write.push(cold.write(&others, &mut random, 80));
        everyday_read.push(warm.read(&rows));
        everyday_write.push(warm.write(&other_rows, &mut random, 300));
    }
    let (any, of_measurement) = (StorageDbWeight::get(), EverydayDbWeight::get());
    for (name, microseconds, price) in [
        ("any/read", read, any.read),
        ("any/write", write, any.write),
        ("everyday/read", everyday_read, of_measurement.read),
        ("everyday/write", everyday_write, of_measurement.write),
    ] {
        let measured = median(microseconds);
        let price = price as f64 / PICOSECONDS_PER_MICROSECOND;
        figures.print(&format!("storage/{name}"), measured, "us/row", Goal::None);
        figures.print(&format!("storage/{name}/against-price"), measured / price, "times", Goal::AtMost(1.0));
    }
    figures.finish()
}
