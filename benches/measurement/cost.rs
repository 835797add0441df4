//! What an agent costs a router: memory, processor time, the size of the program.

use crate::{
    committee::{agent, Committee, Way},
    table::Table,
    TRAIN,
};
use std::{
    process::Command,
    time::{Duration, Instant},
};
use weir_bench::{Figures, Goal};
use weir_e2e::{
    lab::Lab,
    network::{calibrate, start_agent, write_chain_spec, NodeProcess, NodeSettings},
    process::{free_port, Process},
    Result,
};

/// The measured rate.
const MBIT: u64 = 1_000;
const RUNS: u32 = 10;
/// When a provider is looked at.
const SETTLED_AFTER: Duration = Duration::from_secs(60);
const MEBIBYTE: f64 = (1 << 20) as f64;

/// Processor seconds of all children that ended, and the largest resident memory of any of them in bytes.
fn children() -> Result<(f64, f64)> {
    // SAFETY: all zeros is a value of this type, which the call then fills.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the structure lives through the call.
    if unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage) } != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Ok((seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss as f64 * 1024.0))
}

/// The resident memory of a process, in bytes.
fn resident(process: &Process) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("the provider has ended")?;
    let kibibytes: f64 = line.split_whitespace().nth(1).ok_or("the kernel does not say")?.parse()?;
    Ok(kibibytes * 1024.0)
}

/// A provider on a chain of its own, a minute after its start.
fn provider() -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let chain = write_chain_spec(folder.path(), "dev", |genesis| calibrate(genesis, 1))?;
    let node = NodeProcess::start(NodeSettings {
        name: "alice".into(),
        chain,
        base_path: folder.path().join("node"),
        author: Some("//Alice".into()),
        boot_node: None,
        state_pruning: None,
        clock_offset_ms: 0,
        more: vec![],
    })?;
    // An agent does not wait for its first node.
    let address = node.url().trim_start_matches("ws://").to_string();
    let begun = Instant::now();
    while std::net::TcpStream::connect(&address).is_err() && begun.elapsed() < SETTLED_AFTER {
        std::thread::sleep(Duration::from_millis(100));
    }
    let listen = format!("127.0.0.1:{}", free_port()?);
    let arguments = ["provide", "--suri", "//Dave", "--declare", "100mbit", "--listen", &listen].map(String::from);
    let provider = start_agent(folder.path(), "provider", &[node.url()], &arguments, None)?;
    std::thread::sleep(SETTLED_AFTER);
    resident(&provider)
}

/// Measures what it costs.
pub fn cost(figures: &mut Figures) -> Result<()> {
    // The largest of all children is remembered, so the small ones come first.
    let lab = Lab::new(None)?;
    let mut table = Table::new(["way", "processor seconds", "most memory, MiB"].map(String::from).to_vec());
    let committee = Committee::start(&lab, 16)?;
    for way in [Way::Down, Way::Up] {
        let before = children()?.0;
        let runs = committee.measure(way, MBIT, TRAIN, 7, RUNS)?;
        let (after, bytes) = children()?;
        let seconds = (after - before) / runs.len() as f64;
        table.print_row(vec![way.name().into(), format!("{seconds:.2}"), format!("{:.1}", bytes / MEBIBYTE)]);
        figures.print(&format!("processor-{}", way.name()), seconds, "s a measurement at 1 Gbit/s", Goal::None);
        figures.print(&format!("memory-{}", way.name()), bytes / MEBIBYTE, "MiB", Goal::None);
    }
    drop(committee);
    figures.print("memory-provider-60s", provider()? / MEBIBYTE, "MiB", Goal::AtMost(40.0));

    let stripped = tempfile::NamedTempFile::new()?;
    let status = Command::new("strip").arg("-o").arg(stripped.path()).arg(agent()?).status()?;
    if status.success() {
        figures.print("program-stripped", stripped.path().metadata()?.len() as f64 / MEBIBYTE, "MiB", Goal::None);
    }
    Ok(())
}
