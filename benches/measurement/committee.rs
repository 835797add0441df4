//! Real agents in the lab: challengers that answer, and a prover that measures.

use serde_json::Value;
use std::{path::PathBuf, time::Duration};
use tempfile::TempDir;
use weir_e2e::{
    lab::{Host, Lab},
    process::{self, Process},
    Result,
};

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the prover.
    Down,
    /// From the prover.
    Up,
}

impl Way {
    /// As the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Up => "up",
        }
    }
}

/// What one run showed.
pub struct Run {
    /// Bits per second.
    pub raw: f64,
    /// Bits per second: G.
    pub proven: f64,
    /// From the invitations on.
    pub seconds: f64,
    /// In whole IP packets.
    pub bytes_sent: f64,
    /// In whole IP packets.
    pub bytes_received: f64,
}

impl Run {
    /// Of what `weir-agent measure --json`, or a liar, prints of it.
    pub fn of(measured: &Value) -> Self {
        let number = |name: &str| measured.get(name).and_then(Value::as_f64).unwrap_or_default();
        Self {
            raw: number("rawBitsPerSecond"),
            proven: number("provenBitsPerSecond"),
            seconds: number("seconds"),
            bytes_sent: number("bytesSent"),
            bytes_received: number("bytesReceived"),
        }
    }
}

/// The program of a role of this benchmark.
pub fn this_program() -> Result<PathBuf> {
    Ok(std::env::current_exe()?)
}

/// The agent that was built beside this benchmark.
pub fn agent() -> Result<PathBuf> {
    let program = this_program()?;
    let folder = program.parent().and_then(|deps| deps.parent()).ok_or("the benchmark is in no target folder")?;
    Ok(folder.join("weir-agent"))
}

/// Challengers in the lab.
pub struct Committee<'a> {
    lab: &'a Lab,
    folder: TempDir,
    processes: Vec<Process>,
    /// The multiaddresses of the challengers.
    pub targets: Vec<String>,
}

const READY_WITHIN: Duration = Duration::from_secs(20);
/// Each has ports of its own.
const FIRST_PORT: u16 = 41_000;

impl<'a> Committee<'a> {
    /// None yet.
    pub fn empty(lab: &'a Lab) -> Result<Self> {
        Ok(Self { lab, folder: tempfile::tempdir()?, processes: Vec::new(), targets: Vec::new() })
    }

    /// So many honest ones, each a process of its own.
    pub fn start(lab: &'a Lab, members: usize) -> Result<Self> {
        let mut committee = Self::empty(lab)?;
        committee.add(&agent()?, &["answer", "--class", "10gbit"], members)?;
        Ok(committee)
    }

    /// More of them, which are started so. Each is told where to listen.
    pub fn add(&mut self, program: &std::path::Path, arguments: &[&str], members: usize) -> Result<()> {
        let first = self.processes.len();
        for index in first..first + members {
            let address = self.lab.challenger(index as u8);
            let listen = format!("{address}:{}", FIRST_PORT + 2 * index as u16);
            let mut command = self.lab.on(Host::Challengers, program);
            command.extend(arguments.iter().map(Into::into));
            command.extend(["--listen".into(), listen.into()]);
            let log = self.folder.path().join(format!("{index}.log"));
            self.processes.push(Process::start("ip".as_ref(), command, log)?);
        }
        for index in first..first + members {
            let target = self.target(index)?;
            self.targets.push(target);
        }
        Ok(())
    }

    /// Waits until a challenger says where it is.
    fn target(&self, index: usize) -> Result<String> {
        let begun = std::time::Instant::now();
        while begun.elapsed() < READY_WITHIN {
            let text = std::fs::read_to_string(&self.processes[index].log).unwrap_or_default();
            let is_target = |word: &&str| word.starts_with("/ip") && word.contains("/p2p/");
            if let Some(target) = text.split_whitespace().find(is_target) {
                return Ok(target.to_string());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("challenger {index} does not say where it is").into())
    }

    /// Measures with all of them, a number of times.
    pub fn measure(&self, way: Way, mbit: u64, train: Duration, byzantine: usize, runs: u32) -> Result<Vec<Run>> {
        self.measure_as(&[], way, mbit, train, byzantine, runs)
    }

    /// The same, by an agent that these words start.
    pub fn measure_as(
        &self,
        starter: &[&str],
        way: Way,
        mbit: u64,
        train: Duration,
        byzantine: usize,
        runs: u32,
    ) -> Result<Vec<Run>> {
        let arguments = [
            format!("--declare={mbit}mbit"),
            format!("--train={}", train.as_millis()),
            format!("--byzantine={byzantine}"),
            format!("--runs={runs}"),
            format!("--direction={}", way.name()),
            format!("--listen={}:40400", self.lab.address(Host::Prover)),
            "--json".into(),
        ];
        let agent = agent()?;
        let arguments: Vec<&str> = std::iter::once("measure").chain(arguments.iter().map(String::as_str)).collect();
        match starter.split_first() {
            None => self.prove(&agent, &arguments, runs),
            Some((program, more)) => {
                let agent = agent.to_str().ok_or("the path of the agent is no text")?;
                self.prove(program.as_ref(), &[more, &[agent], &arguments].concat(), runs)
            },
        }
    }

    /// Lets a prover run that prints what it measured.
    pub fn prove(&self, program: &std::path::Path, arguments: &[&str], runs: u32) -> Result<Vec<Run>> {
        let mut command = self.lab.on(Host::Prover, program);
        command.extend(arguments.iter().map(Into::into));
        for target in &self.targets {
            command.extend(["--challenger".into(), target.into()]);
        }
        let within = Duration::from_secs(60) + Duration::from_secs(15) * runs;
        let output = process::run("ip".as_ref(), command, within)?;
        let said = || String::from_utf8_lossy(&output.stderr).trim().to_string();
        let measured: Vec<Value> = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("the prover failed ({error}): {}", said()))?;
        Ok(measured.iter().map(Run::of).collect())
    }

    /// Other traffic on the prover's line, until what is returned is dropped.
    pub fn cross_traffic(&self, way: Way, bits_per_second: u64) -> Result<(Process, Process)> {
        let (from, to) = match way {
            Way::Down => (Host::Challengers, Host::Prover),
            Way::Up => (Host::Prover, Host::Challengers),
        };
        let sink = format!("{}:9", self.lab.address(to));
        let rate = bits_per_second.to_string();
        let role = |host, arguments: &[&str], log: &str| -> Result<Process> {
            let mut command = self.lab.on(host, &this_program()?);
            command.push("role".into());
            command.extend(arguments.iter().map(Into::into));
            Process::start("ip".as_ref(), command, self.folder.path().join(log))
        };
        Ok((role(to, &["sink", &sink], "sink.log")?, role(from, &["source", &sink, &rate], "source.log")?))
    }
}
