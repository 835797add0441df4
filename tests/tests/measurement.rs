//! `weir-agent measure` and `answer` as people use them: over loopback, and in a network of their own where there is root.

use serde_json::Value;
use std::{
    ffi::OsString,
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::Output,
    time::{Duration, Instant},
};
use weir_e2e::{
    lab::{Host, Lab, Shaper, Wire},
    process::{binary, run, Process},
};

const WITHIN: Duration = Duration::from_secs(60);

/// Challengers, and how they are named.
struct Answering {
    _processes: Vec<Process>,
    targets: Vec<String>,
    _folder: tempfile::TempDir,
}

/// Starts a challenger for each address, each run as `before` says, and waits until they say where they are.
fn answering(before: &[OsString], listen: &[SocketAddr]) -> Answering {
    let folder = tempfile::tempdir().unwrap();
    let agent = binary("weir-agent").unwrap();
    let mut processes = Vec::new();
    for (index, listen) in listen.iter().enumerate() {
        let own = ["answer".into(), "--listen".into(), listen.to_string().into()];
        let log = folder.path().join(format!("{index}.log"));
        processes.push(match before {
            [] => Process::start(&agent, own, log).unwrap(),
            before => Process::start(Path::new("ip"), before.iter().cloned().chain(own), log).unwrap(),
        });
    }
    let begun = Instant::now();
    let target_of = |process: &Process| loop {
        let text = std::fs::read_to_string(&process.log).unwrap_or_default();
        let is_target = |word: &&str| word.starts_with("/ip") && word.contains("/p2p/");
        if let Some(target) = text.split_whitespace().find(is_target) {
            return target.to_string();
        }
        assert!(begun.elapsed() < WITHIN, "a challenger does not say where it is: {text}");
        std::thread::sleep(Duration::from_millis(20));
    };
    let targets = processes.iter().map(target_of).collect();
    Answering { _processes: processes, targets, _folder: folder }
}

/// Two UDP ports in a row at an address that nobody uses, of which this is the first.
fn free_ports(ip: &str) -> SocketAddr {
    loop {
        let first = UdpSocket::bind((ip, 0)).unwrap();
        let address = first.local_addr().unwrap();
        if UdpSocket::bind((ip, address.port().saturating_add(1))).is_ok() {
            return address;
        }
    }
}

fn measure(before: &[OsString], targets: &[String], arguments: &[&str]) -> Output {
    let mut all = vec![OsString::from("measure")];
    all.extend(targets.iter().flat_map(|target| ["--challenger".into(), target.into()]));
    all.extend(arguments.iter().map(Into::into));
    match before {
        [] => run(&binary("weir-agent").unwrap(), all, WITHIN).unwrap(),
        before => run(Path::new("ip"), before.iter().cloned().chain(all), WITHIN).unwrap(),
    }
}

fn json(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn megabits(measured: &Value, name: &str) -> f64 {
    measured[name].as_f64().unwrap() / 1e6
}

#[test]
fn a_limited_line_is_measured_both_ways_over_loopback_and_drawn() {
    let listen: Vec<_> = (0..4).map(|_| free_ports("127.0.0.1")).collect();
    let challengers = answering(&[], &listen);
    let folder = tempfile::tempdir().unwrap();
    let plot = folder.path().join("arrivals.png");
    let draws = Path::new("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf").exists();
    let mut arguments = vec!["--declare", "20mbit", "--limit", "20mbit", "--json"];
    if draws {
        arguments.extend(["--plot", plot.to_str().unwrap()]);
    }
    let measured = json(&measure(&[], &challengers.targets, &arguments));
    assert_eq!(measured.len(), 2);
    for (measured, direction) in measured.iter().zip(["down", "up"]) {
        assert_eq!(measured["direction"], direction);
        let raw = megabits(measured, "rawBitsPerSecond");
        assert!((15.0..22.0).contains(&raw), "{measured}");
        let proven = megabits(measured, "provenBitsPerSecond");
        assert!(proven > 8.0 && proven < raw, "{measured}");
    }
    if draws {
        let png = std::fs::read(&plot).unwrap();
        assert!(png.starts_with(b"\x89PNG") && png.len() > 5_000);
    }
}

#[test]
fn a_challenger_that_cannot_be_reached_is_named_and_the_others_count() {
    let listen: Vec<_> = (0..2).map(|_| free_ports("127.0.0.1")).collect();
    let challengers = answering(&[], &listen);
    let nobody = format!(
        "/ip4/127.0.0.1/udp/{}/quic-v1/p2p/12D3KooWEaVQ7uSwRmyo3wBcVAnnDfpadwgseWHAqzz4evpMUt6o",
        free_ports("127.0.0.1").port()
    );
    let targets = [challengers.targets.as_slice(), &[nobody]].concat();
    let measured = json(&measure(&[], &targets, &["--declare", "10mbit", "--direction", "down", "--json"]));
    let challengers = measured[0]["challengers"].as_array().unwrap();
    assert!(challengers[2]["failed"].is_string(), "{}", measured[0]);
    assert_eq!(challengers.iter().filter(|row| row["counted"].is_object()).count(), 2);
    assert!(megabits(&measured[0], "rawBitsPerSecond") > 5.0);
}

#[test]
fn ipv6_works_as_well() {
    if UdpSocket::bind("[::1]:0").is_err() {
        println!("skipped: this machine has no IPv6");
        return;
    }
    let challengers = answering(&[], &[free_ports("::1")]);
    let arguments = ["--declare", "10mbit", "--listen", "[::]:0", "--json"];
    for measured in json(&measure(&[], &challengers.targets, &arguments)) {
        assert!((7.0..16.0).contains(&megabits(&measured, "rawBitsPerSecond")), "{measured}");
        assert_eq!(measured["challengers"][0]["counted"]["packetBytes"], 1_500);
    }
}

/// A network of its own, if there can be one.
fn lab(wire: Option<Wire>) -> Option<Lab> {
    match Lab::new(wire) {
        Ok(lab) => Some(lab),
        Err(why) => {
            println!("skipped: there can be no network of its own here ({why})");
            None
        },
    }
}

fn on(lab: &Lab, host: Host) -> Vec<OsString> {
    lab.on(host, &binary("weir-agent").unwrap())
}

fn in_lab(lab: &Lab, challengers: u16) -> Answering {
    let address = lab.address(Host::Challengers);
    let listen: Vec<_> = (0..challengers).map(|index| SocketAddr::new(address, 41_000 + 2 * index)).collect();
    answering(&on(lab, Host::Challengers), &listen)
}

#[test]
fn a_shaped_line_is_measured_within_ten_percent_and_never_proven_above_its_rate() {
    let Some(lab) = lab(Some(Wire { delay: Duration::from_millis(5), ..Wire::default() })) else { return };
    let shaper = Shaper { bits_per_second: 50_000_000, burst_bytes: 31_250, queue: Duration::from_millis(50) };
    lab.shape(Some(shaper), Some(shaper)).unwrap();
    let challengers = in_lab(&lab, 7);
    for measured in json(&measure(&on(&lab, Host::Prover), &challengers.targets, &["--declare", "50mbit", "--json"])) {
        let raw = megabits(&measured, "rawBitsPerSecond");
        assert!((45.0..55.0).contains(&raw), "{measured}");
        assert!(megabits(&measured, "provenBitsPerSecond") < 51.0, "{measured}");
        let round_trip = measured["challengers"][0]["roundTripUs"].as_f64().unwrap();
        assert!((10_000.0..20_000.0).contains(&round_trip), "{measured}");
    }
}

#[test]
fn a_prover_behind_a_home_router_is_measured_with_one_forwarded_port_and_without_any() {
    let Some(lab) = lab(None) else { return };
    if let Err(why) = lab.translate(40_400) {
        println!("skipped: this machine cannot translate addresses ({why})");
        return;
    }
    let challengers = in_lab(&lab, 3);
    let before = on(&lab, Host::Prover);
    let usual = ["--declare", "10mbit", "--listen", "10.77.1.2:40400", "--json"];
    for more in [&["--external", "10.77.2.1:40400"][..], &[]] {
        let arguments = [&usual[..], more].concat();
        for measured in json(&measure(&before, &challengers.targets, &arguments)) {
            assert!(megabits(&measured, "rawBitsPerSecond") > 9.0, "{more:?}: {measured}");
        }
    }
    // To a port that is not forwarded nothing comes, and it is said what to do.
    let arguments = [&usual[..], &["--direction", "down", "--external", "10.77.2.1:40500"]].concat();
    let output = measure(&before, &challengers.targets, &arguments);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("forwarded by the router"), "{output:?}");
}

#[test]
fn packets_are_no_larger_than_the_path_carries() {
    let Some(lab) = lab(None) else { return };
    let router = lab.namespace(Host::Router);
    for link in ["lan", "wan"] {
        let shown = run(Path::new("ip"), ["-n", &router, "link", "set", "dev", link, "mtu", "1400"], WITHIN).unwrap();
        assert!(shown.status.success());
    }
    let challengers = in_lab(&lab, 1);
    for measured in json(&measure(&on(&lab, Host::Prover), &challengers.targets, &["--declare", "10mbit", "--json"])) {
        assert_eq!(measured["challengers"][0]["counted"]["packetBytes"], 1_400, "{measured}");
        assert!(megabits(&measured, "rawBitsPerSecond") > 9.0, "{measured}");
    }
}
