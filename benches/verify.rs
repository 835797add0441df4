//! Verification of sealed headers without context: one by one, in batches, and on all processors.
#![allow(missing_docs)]

use sp_core::{sr25519, Pair, U256};
use sp_runtime::{traits::Header as _, Perbill};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, ExitCode, Stdio},
    time::Instant,
};
use weir_bench::{median, Figures, Goal};
use weir_consensus::{
    header::rules::{self, HeaderRules},
    sync::parallel::{Rayon, Sequential},
};
use weir_primitives::{
    consensus::{author_payload, seal_payload, PreDigest, Seal},
    parameters::{Consensus, Parameters},
    AccountId,
};
use weir_runtime::opaque::Header;

const HEADERS: usize = 10_000;
const AUTHORS: usize = 32;
const ROUNDS: usize = 7;
/// What the benchmark calls itself with, to be one of the independent processes.
const WORKER: &str = "--worker";

fn rules() -> Consensus {
    let preset = weir_runtime::genesis::get_preset(&"development".into()).expect("there is a development preset");
    let genesis: serde_json::Value = serde_json::from_slice(&preset).expect("presets are JSON");
    let parameters: Parameters =
        serde_json::from_value(genesis["difficulty"]["parameters"].clone()).expect("a preset has parameters");
    parameters.consensus
}

/// Headers at the floor of the difficulty, each sealed by one of some authors.
fn headers(rules: &Consensus) -> Vec<Header> {
    let authors: Vec<_> = (0..AUTHORS).map(|index| sr25519::Pair::from_seed(&[index as u8 + 1; 32])).collect();
    (0..HEADERS)
        .map(|index| {
            let author = &authors[index % AUTHORS];
            let claims = PreDigest {
                author: AccountId::new(author.public().0),
                base: rules.floor_difficulty.0.max(U256::one()),
                credit: Perbill::zero(),
                timestamp: index as u64,
            };
            let mut header = Header::new(
                index as u32 + 1,
                Default::default(),
                Default::default(),
                Default::default(),
                sp_runtime::generic::Digest { logs: vec![claims.to_item()] },
            );
            let signature = author.sign(&author_payload(header.hash().as_ref()));
            let preimage = weir_pow::preimage(&seal_payload(header.hash().as_ref(), &signature));
            let target = claims.required(rules.boost).target().to_big_endian();
            let nonce = weir_pow::Search::new(preimage, target).find(0..u64::MAX).expect("the floor is low");
            header.digest_mut().push(Seal { signature, nonce }.to_item());
            header
        })
        .collect()
}

/// Seconds that it takes to find all headers right.
fn seconds(verify: impl FnOnce() -> bool) -> f64 {
    let begun = Instant::now();
    assert!(verify(), "all headers are right");
    begun.elapsed().as_secs_f64()
}

fn sequentially(headers: &[Header], rules: HeaderRules) -> bool {
    rules::context_free_all(&Sequential, headers, rules).iter().all(Result::is_ok)
}

/// One of the independent processes: verifies once for each line that it reads, and answers with the seconds.
fn work() -> ExitCode {
    let rules = rules();
    let (headers, rules) = (headers(&rules), HeaderRules::from(&rules));
    println!("ready");
    for line in std::io::stdin().lines() {
        if line.is_err() {
            break;
        }
        println!("{}", seconds(|| sequentially(&headers, rules)));
    }
    ExitCode::SUCCESS
}

struct Worker {
    process: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Worker {
    fn start() -> Self {
        let own = std::env::current_exe().expect("this process has a file");
        let mut process = Command::new(own)
            .arg(WORKER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started again");
        let answers = BufReader::new(process.stdout.take().expect("its output is piped"));
        Self { process, answers }
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the worker lives");
        line.trim().to_string()
    }

    fn ask(&mut self) {
        self.process.stdin.as_mut().expect("its input is piped").write_all(b"\n").expect("the worker lives");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == WORKER) {
        return work();
    }
    let mut figures = Figures::from_arguments();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let rules = rules();
    let (headers, rules) = (headers(&rules), HeaderRules::from(&rules));
    let rayon = Rayon::new(threads).expect("threads can be started");
    let mut workers: Vec<_> = (0..threads).map(|_| Worker::start()).collect();
    for worker in &mut workers {
        assert_eq!(worker.answer(), "ready");
    }

    let (mut singly, mut batched, mut parallel, mut apart) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        singly.push(seconds(|| headers.iter().all(|header| rules::context_free(header, rules).is_ok())));
        batched.push(seconds(|| sequentially(&headers, rules)));
        parallel.push(seconds(|| rules::context_free_all(&rayon, &headers, rules).iter().all(Result::is_ok)));
        // Each does all of it: together they do as many times more as there are.
        workers.iter_mut().for_each(Worker::ask);
        let slowest = workers.iter_mut().map(|worker| worker.answer().parse().expect("seconds")).fold(0.0, f64::max);
        apart.push(slowest / threads as f64);
    }

    let ratio = |of: &[f64], to: &[f64]| median(of.iter().zip(to).map(|(of, to)| of / to).collect());
    let each = |seconds: &[f64]| median(seconds.to_vec()) / HEADERS as f64 * 1e6;
    figures.print("verify/threads", threads as f64, "threads", Goal::None);
    figures.print("verify/one-by-one", each(&singly), "us/header", Goal::None);
    figures.print("verify/batched", each(&batched), "us/header", Goal::None);
    figures.print("verify/rayon", each(&parallel), "us/header", Goal::None);
    figures.print("verify/batched-against-one-by-one", ratio(&singly, &batched), "times", Goal::AtLeast(1.7));
    figures.print("verify/rayon-against-processes", ratio(&apart, &parallel), "times", Goal::AtLeast(0.9));
    figures.finish()
}
