//! Challenges of a chain: a node, challengers and a provider as they are run, both ways in one session, and what the chain says that they came to.

use crate::{
    committee::{agent, Committee, Way},
    conditions::{named, Condition, MBIT},
    median_of, percentile,
    table::Table,
    CLOCK_TOLERANCE, COMMITTEES, LEAST_TIME, TRAIN,
};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use weir_agent::chain::Node;
use weir_bench::{Figures, Goal};
use weir_e2e::{
    lab::{forward, Host, Lab},
    network::{account, calibrate, write_chain_spec, NodeProcess, NodeSettings},
    observer,
    process::Process,
    Result,
};
use weir_primitives::measurement::challenge::{Outcome, LATEST_US};

/// How long a provider may take until it is measured, and then from one challenge to the next.
const MEASURED_WITHIN: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Each challenger has two ports from here on.
const FIRST_PORT: u16 = 40_401;
/// Enough for every bond.
const ENDOWMENT: u64 = 1_000_000_000_000_000_000;

fn challenger(number: usize) -> String {
    format!("//Challenger//{number}")
}

fn provider(number: usize) -> String {
    format!("//Provider//{number}")
}

/// A chain with committees as on a public network, each member of which is a challenger, and a challenge every eight seconds, of which members far away
/// hear in time as well.
fn write_chain(folder: &Path, (members, byzantine): (usize, usize), providers: usize) -> Result<PathBuf> {
    let secrets = (0..members).map(challenger).chain((0..providers).map(provider));
    let accounts = secrets.map(|secret| account(&secret)).collect::<Result<Vec<_>>>()?;
    write_chain_spec(folder, "dev", |genesis| {
        let measurement = &mut genesis["difficulty"]["parameters"]["measurement"];
        measurement["committee"] = members.into();
        measurement["byzantine"] = byzantine.into();
        measurement["epochBlocks"] = 24.into();
        measurement["instants"] = 3.into();
        measurement["notice"] = 12_000.into();
        genesis["difficulty"]["parameters"]["registry"]["unbondingBlocks"] = 96.into();
        if let Some(balances) = genesis["balances"]["balances"].as_array_mut() {
            balances.extend(accounts.iter().map(|account| serde_json::json!([account, ENDOWMENT])));
        }
        calibrate(genesis, 1);
    })
}

/// What an honest committee proves of a line, as a part of its rate.
fn expected_ratio(condition: &Condition, way: Way, (members, byzantine): (usize, usize)) -> f64 {
    let (train, latest) = (TRAIN.as_secs_f64(), LEAST_TIME + LATEST_US as f64 / 1e6);
    let round_trip = condition.round_trip().as_secs_f64();
    let (filled, taken) = match way {
        Way::Down => (train, (train + round_trip).max(LEAST_TIME)),
        // The key goes there, and the packets come back.
        Way::Up => (latest - round_trip, latest),
    };
    let honest = (members - byzantine) as f64 / members as f64;
    honest * filled / (taken + CLOCK_TOLERANCE) * condition.offered(way).min(1.0)
}

/// A provider under a condition, measured so many times by all challengers.
async fn measured(
    folder: &Path,
    node: &Node,
    port: u16,
    (index, condition): (usize, &Condition),
    members: usize,
    runs: u32,
) -> Result<Vec<Outcome>> {
    let lab = Lab::new(Some(condition.wire))?;
    let shaped = Some(condition.shaper(TRAIN));
    lab.shape(shaped, shaped)?;
    for host in [Host::Prover, Host::Challengers] {
        forward(lab.namespace(host), port)?;
    }
    let url = format!("ws://127.0.0.1:{port}");
    let start = |host, starter: &[&str], name: &str, arguments: &[String]| -> Result<Process> {
        let agent = agent()?;
        let mut command = match starter.split_first() {
            None => lab.on(host, &agent),
            Some((program, more)) => {
                let more = more.iter().map(OsString::from).chain([agent.into()]);
                lab.on(host, program.as_ref()).into_iter().chain(more).collect()
            },
        };
        let base_path = folder.join(name);
        std::fs::create_dir_all(&base_path)?;
        command.extend(arguments.iter().map(OsString::from));
        command.extend(["--node".into(), OsString::from(&url), "--base-path".into(), base_path.clone().into()]);
        Process::start("ip".as_ref(), command, base_path.join("agent.log"))
    };
    let mut running = Vec::new();
    for number in 0..members {
        let listen = format!("{}:{}", lab.challenger(number as u8), FIRST_PORT + 2 * number as u16);
        let arguments = ["challenge".into(), "--suri".into(), challenger(number), "--listen".into(), listen];
        running.push(start(Host::Challengers, &[], &format!("challenger-{number}"), &arguments)?);
    }
    let secret = provider(index);
    let declared = format!("{}mbit", (MBIT as f64 * condition.declared) as u64);
    let arguments = ["provide".into(), "--suri".into(), secret.clone(), "--declare".into(), declared];
    running.push(start(Host::Prover, condition.starter, &format!("provider-{index}"), &arguments)?);
    let others = Committee::empty(&lab)?;
    let _traffic =
        [Way::Down, Way::Up].map(|way| condition.crossing(&others, way)).into_iter().collect::<Result<Vec<_>>>()?;

    let mut outcomes = BTreeMap::new();
    let mut last = Instant::now();
    // The first one that is reported of may have been held while agents were still starting.
    while outcomes.len() <= runs as usize {
        tokio::time::sleep(LOOK_EVERY).await;
        let shown = observer::provider(node, &secret).await?.and_then(|status| status.last);
        if let Some((challenge, outcome)) = shown.filter(|(_, outcome)| outcome.reports > 0 || !outcomes.is_empty()) {
            if outcomes.insert((challenge.epoch, challenge.instant), outcome).is_none() {
                last = Instant::now();
            }
        }
        if last.elapsed() > MEASURED_WITHIN {
            return Err(format!("no challenge for {MEASURED_WITHIN:?}: {}", condition.name).into());
        }
    }
    Ok(outcomes.into_values().skip(1).collect())
}

async fn sessions(figures: &mut Figures, runs: u32, case: Option<&str>) -> Result<()> {
    let (committee, conditions) = (COMMITTEES[0], named(case));
    let folder = tempfile::tempdir()?;
    let mut process = NodeProcess::start(NodeSettings {
        name: "alice".into(),
        chain: write_chain(folder.path(), committee, conditions.len())?,
        base_path: folder.path().join("node"),
        author: Some("//Alice".into()),
        boot_node: None,
        state_pruning: None,
        clock_offset_ms: 0,
        more: vec![],
    })?;
    let node = process.connect().await?;
    let columns =
        ["way", "condition", "G / rate", "expected", "smallest", "largest", "raw / rate", "reports", "fewest"];
    let mut table = Table::new(columns.map(String::from).to_vec());
    for (index, condition) in conditions.iter().enumerate() {
        let case = (index, condition);
        let outcomes = measured(folder.path(), &node, process.rpc_port(), case, committee.0, runs).await?;
        let reports: Vec<f64> = outcomes.iter().map(|it| it.reports.into()).collect();
        for way in [Way::Down, Way::Up] {
            let rate = MBIT as f64 * 1e6;
            let shown = outcomes.iter().map(|it| if way == Way::Down { it.down } else { it.up });
            let (proven, raw): (Vec<f64>, Vec<f64>) =
                shown.map(|it| (it.proven as f64 / rate, it.raw as f64 / rate)).unzip();
            let expected = expected_ratio(condition, way, committee);
            table.print_row(vec![
                way.name().into(),
                condition.name.into(),
                format!("{:.3}", median_of(&proven)),
                format!("{expected:.3}"),
                format!("{:.3}", percentile(&proven, 0.0)),
                format!("{:.3}", percentile(&proven, 1.0)),
                format!("{:.3}", median_of(&raw)),
                format!("{}", median_of(&reports)),
                format!("{}", percentile(&reports, 0.0)),
            ]);
            let figure = |what: &str| condition.figure(&format!("session-{what}"), way);
            figures.print(&figure("proven"), median_of(&proven) / expected, "of what is expected", Goal::None);
            figures.print(&figure("proven-most"), percentile(&proven, 1.0), "of the rate", Goal::AtMost(1.02));
        }
    }
    Ok(())
}

/// Every condition, on a chain, or the one that is named.
pub fn on_a_chain(figures: &mut Figures, runs: u32, case: Option<&str>) -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(sessions(figures, runs, case))
}
