//! What an agent costs a router: memory, processor time, the size of the program.

use crate::{
    committee::{agent, Committee, Way},
    table::Table,
    TRAIN,
};
use std::{process::Command, time::Duration};
use weir_bench::{Figures, Goal};
use weir_e2e::{
    lab::{Host, Lab},
    Result,
};

/// The measured rate.
const MBIT: u64 = 1_000;
const RUNS: u32 = 10;
const MEBIBYTE: f64 = (1 << 20) as f64;

/// Runs an agent, and says how much processor time it took, and the most memory, in seconds and bytes.
fn usage(lab: &Lab, committee: &Committee, way: Way) -> Result<(f64, f64)> {
    let before = children()?;
    let runs = committee.measure(way, MBIT, TRAIN, 7, RUNS)?;
    let after = children()?;
    let _ = lab;
    Ok(((after.0 - before.0) / runs.len() as f64, after.1))
}

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

/// Measures what it costs.
pub fn cost(figures: &mut Figures) -> Result<()> {
    let lab = Lab::new(None)?;
    let mut table = Table::new(["way", "processor seconds", "most memory, MiB"].map(String::from).to_vec());
    // The largest is remembered over all children: provers come first, before larger ones have run.
    let committee = Committee::start(&lab, 16)?;
    for way in [Way::Down, Way::Up] {
        let (seconds, bytes) = usage(&lab, &committee, way)?;
        table.print_row(vec![way.name().into(), format!("{seconds:.2}"), format!("{:.1}", bytes / MEBIBYTE)]);
        figures.print(&format!("processor-{}", way.name()), seconds, "s a measurement at 1 Gbit/s", Goal::None);
        figures.print(&format!("memory-{}", way.name()), bytes / MEBIBYTE, "MiB", Goal::None);
    }
    let _ = lab.address(Host::Prover);

    let stripped = tempfile::NamedTempFile::new()?;
    let status = Command::new("strip").arg("-o").arg(stripped.path()).arg(agent()?).status()?;
    if status.success() {
        figures.print("program-stripped", stripped.path().metadata()?.len() as f64 / MEBIBYTE, "MiB", Goal::None);
    }
    let _ = Duration::ZERO;
    Ok(())
}
