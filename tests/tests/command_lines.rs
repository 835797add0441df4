//! Every command refuses bad input with one sentence that says what to do, and a non-zero exit.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};
use weir_e2e::{
    network::{write_chain_spec, NodeProcess, NodeSettings},
    process::{binary, free_port, run},
};

const WITHIN: Duration = Duration::from_secs(60);

fn node(arguments: &[&str]) -> Output {
    run(&binary("weir-node").unwrap(), arguments, WITHIN).unwrap()
}

fn agent(arguments: &[&str]) -> Output {
    run(&binary("weir-agent").unwrap(), arguments, WITHIN).unwrap()
}

/// What was said on the way out: the last line.
fn refusal(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "it succeeded: {text}");
    assert!(!text.contains("panicked"), "{text}");
    text.lines()
        .rfind(|line| line.starts_with("Error: "))
        .unwrap_or_else(|| panic!("no sentence in: {text}"))
        .to_string()
}

fn assert_refused(output: &Output, expected: &[&str]) {
    let sentence = refusal(output);
    for part in expected {
        assert!(sentence.contains(part), "'{part}' is not in: {sentence}");
    }
}

/// A chain spec for which no difficulty has to be calibrated.
fn chain_spec(folder: &Path) -> PathBuf {
    write_chain_spec(folder, "dev", |genesis| {
        genesis["difficulty"]["parameters"]["consensus"]["initialDifficulty"] = "0x2710".into();
    })
    .unwrap()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn every_command_has_help() {
    for arguments in [
        vec!["--help"],
        vec!["key", "--help"],
        vec!["export-chain-spec", "--help"],
        vec!["check-block", "--help"],
        vec!["export-blocks", "--help"],
        vec!["import-blocks", "--help"],
        vec!["purge-chain", "--help"],
        vec!["revert", "--help"],
        vec!["rewind", "--help"],
        vec!["chain-info", "--help"],
    ] {
        assert!(node(&arguments).status.success(), "{arguments:?}");
    }
    for arguments in [
        vec!["--help"],
        vec!["provide", "--help"],
        vec!["challenge", "--help"],
        vec!["measure", "--help"],
        vec!["answer", "--help"],
        vec!["status", "--help"],
    ] {
        assert!(agent(&arguments).status.success(), "{arguments:?}");
    }
    assert!(run(&binary("weir-testnet").unwrap(), ["--help"], WITHIN).unwrap().status.success());
}

#[test]
fn a_measurement_by_hand_refuses_bad_arguments() {
    let nobody = "/ip4/127.0.0.1/udp/9/quic-v1/p2p/12D3KooWEaVQ7uSwRmyo3wBcVAnnDfpadwgseWHAqzz4evpMUt6o";
    let measure = |more: &[&str]| agent(&[&["measure", "--challenger", nobody], more].concat());
    assert_refused(&measure(&["--byzantine", "1"]), &["nothing can be proven"]);
    assert_refused(&measure(&["--listen", "192.0.2.1:0"]), &["cannot take packets on 192.0.2.1:0"]);
    assert_refused(&measure(&["--direction", "down"]), &["no challenger can be reached", "127.0.0.1:9"]);
    let output = agent(&["measure", "--challenger", "127.0.0.1:9"]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("/quic-v1/p2p/PEER"));
    assert_refused(&agent(&["answer", "--listen", "192.0.2.1:40401"]), &["cannot listen on 192.0.2.1:40401"]);
}

#[test]
fn the_node_refuses_what_is_no_chain_spec() {
    assert_refused(&node(&["--chain", "/nowhere.json", "--tmp"]), &["neither a network", "/nowhere.json"]);
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("spec.json");
    fs::write(&damaged, "{ this is no JSON").unwrap();
    assert_refused(&node(&["--chain", &text(&damaged), "--tmp"]), &["nor a readable chain spec"]);
}

#[test]
fn the_node_does_not_choose_a_chain_by_itself() {
    for arguments in [vec!["--tmp"], vec!["--tmp", "--alice"], vec!["purge-chain", "-y"]] {
        assert_refused(&node(&arguments), &["say which chain", "--dev", "--chain local", "--chain FILE"]);
    }
}

#[tokio::test]
async fn a_chain_that_others_can_reach_runs_with_keys_of_ones_own_alone() {
    let folder = tempfile::tempdir().unwrap();
    let exported = fs::read(chain_spec(folder.path())).unwrap();
    let mut spec: serde_json::Value = serde_json::from_slice(&exported).unwrap();
    spec["chainType"] = "Live".into();
    let live = folder.path().join("live.json");
    fs::write(&live, spec.to_string()).unwrap();
    assert_refused(
        &node(&["--chain", &text(&live), "--tmp"]),
        &["(//Alice)", "sudo key of Weir Development", "weir-node key generate", "sudo.key"],
    );

    let own = tempfile::tempdir().unwrap();
    let sudo = "5C62Ck4UrFPiBtoCmeSrgF7x9yv9mn38446dhCpsi2mLHiFT";
    let with = |voters: serde_json::Value| {
        write_chain_spec(own.path(), "testnet", |genesis| {
            genesis["sudo"]["key"] = sudo.into();
            genesis["finality"]["voters"] = voters;
        })
        .unwrap()
    };
    let without = with(serde_json::json!([]));
    assert_refused(&node(&["--chain", &text(&without), "--tmp"]), &["names no voters", "finality.voters"]);
    // Any 32 bytes are a key; nobody has to be there who votes with it.
    let chain = with(serde_json::json!([[sudo, sudo]]));
    let base_path = own.path().join("node");
    let mut started = NodeProcess::start(NodeSettings {
        name: "own".into(),
        chain,
        base_path: base_path.clone(),
        author: None,
        boot_node: None,
        state_pruning: None,
        clock_offset_ms: 0,
        more: vec![],
    })
    .unwrap();
    started.connect().await.unwrap();
    let log = fs::read_to_string(base_path.join("node.log")).unwrap();
    assert!(log.contains(&format!("whoever has the secret of {sudo}, the sudo key of Weir Testnet")), "{log}");
}

#[test]
fn a_node_syncs_in_full_or_from_a_proof_and_a_validator_in_full() {
    for mode in ["fast", "fast-unsafe"] {
        assert_refused(&node(&["--chain", "local", "--tmp", "--sync", mode]), &["--sync full or --sync warp"]);
    }
    for validator in ["--dev", "--validator"] {
        assert_refused(&node(&[validator, "--tmp", "--sync", "warp"]), &["a validator syncs in full"]);
    }
}

#[test]
fn a_validator_without_its_authors_key_is_refused_with_the_command_that_helps() {
    let ports = ["--port", "0", "--rpc-port", "0", "--no-prometheus", "--unsafe-force-node-key-generation"];
    let start = |more: &[&str]| node(&[&["--chain", "local", "--tmp", "--validator"], &ports[..], more].concat());
    assert_refused(&start(&[]), &["needs the key of its author", "weir-node key insert"]);
    let address = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";
    assert_refused(&start(&["--author", address]), &[address, "not in the keystore", "weir-node key insert"]);
}

#[test]
fn what_is_no_address_is_refused() {
    let output = node(&["--dev", "--author", "nobody"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("neither an SS58 address nor 32 bytes in hex"));
    let output = agent(&["status", "nobody"]);
    assert!(!output.status.success());
}

#[test]
fn the_node_refuses_ports_that_are_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let free = free_port().unwrap().to_string();
    assert_refused(
        &node(&["--dev", "--no-prometheus", "--rpc-port", &port, "--port", &free]),
        &["RPC address", &port, "choose another port"],
    );
    let listen = format!("/ip4/127.0.0.1/tcp/{port}");
    assert_refused(
        &node(&["--dev", "--no-prometheus", "--rpc-port", &free, "--listen-addr", &listen]),
        &["network address", &port, "choose another port"],
    );
}

#[tokio::test]
async fn a_database_of_another_chain_or_a_damaged_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let chain = chain_spec(folder.path());
    let base_path = folder.path().join("node");
    let mut first = NodeProcess::start(NodeSettings {
        name: "first".into(),
        chain: chain.clone(),
        base_path: base_path.clone(),
        author: None,
        boot_node: None,
        state_pruning: None,
        clock_offset_ms: 0,
        more: vec![],
    })
    .unwrap();
    first.connect().await.unwrap();
    drop(first);

    let ports = ["--port", "0", "--rpc-port", "0", "--no-prometheus"];
    let start =
        |chain: &Path| node(&[&["--chain", &text(chain), "--base-path", &text(&base_path)], &ports[..]].concat());
    let other_folder = tempfile::tempdir().unwrap();
    let other = write_chain_spec(other_folder.path(), "dev", |genesis| {
        genesis["difficulty"]["parameters"]["consensus"]["initialDifficulty"] = "0x2711".into();
    })
    .unwrap();
    assert_refused(&start(&other), &["is of another chain", "purge-chain"]);

    let database = base_path.join("chains/weir_dev/db/full");
    let manifests = fs::read_dir(&database).unwrap().flatten().map(|entry| entry.path());
    for manifest in
        manifests.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("MANIFEST")))
    {
        fs::write(manifest, b"damaged").unwrap();
    }
    assert_refused(&start(&chain), &["cannot be opened", "purge-chain"]);
}

#[test]
fn a_chain_whose_parameters_make_no_sense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = write_chain_spec(folder.path(), "dev", |genesis| {
        genesis["difficulty"]["parameters"]["measurement"]["byzantine"] = 2.into();
    });
    assert!(refused.unwrap_err().to_string().contains("f is not below n/2"));
}

#[test]
fn the_agent_refuses_nodes_that_it_cannot_reach() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = format!("ws://127.0.0.1:{}", free_port().unwrap());
    assert_refused(&agent(&["status", "--node", &nowhere]), &["no node can be reached", &nowhere, "--node"]);
    let listen = format!("127.0.0.1:{}", free_port().unwrap());
    let base = text(folder.path());
    assert_refused(
        &agent(&["challenge", "--suri", "//Alice", "--base-path", &base, "--listen", &listen, "--node", &nowhere]),
        &["no node can be reached", "--node"],
    );
}

#[test]
fn the_agent_refuses_wrong_keys_rates_and_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let base = text(folder.path());
    let provide = |more: &[&str]| agent(&[&["provide", "--base-path", &base], more].concat());
    let key = "neither a secret phrase";
    assert_refused(&provide(&["--suri", "not a phrase", "--limit", "50mbit", "--listen", "127.0.0.1:4"]), &[key]);
    let missing = folder.path().join("none");
    assert_refused(
        &provide(&["--key-file", &text(&missing), "--limit", "50mbit", "--listen", "127.0.0.1:4"]),
        &["cannot be read", &text(&missing)],
    );
    let output = provide(&["--suri", "//Alice", "--limit", "fast"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("write for example 50mbit"));
    let challenge = agent(&["challenge", "--suri", "//Alice", "--base-path", &base]);
    assert_refused(&challenge, &["0.0.0.0:40401", "--external"]);
}

#[test]
fn the_agent_refuses_a_port_that_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let base = text(folder.path());
    for arguments in [
        vec!["challenge", "--suri", "//Alice", "--base-path", &base, "--listen", &listen],
        vec!["provide", "--suri", "//Alice", "--base-path", &base, "--listen", &listen, "--limit", "50mbit"],
    ] {
        assert_refused(&agent(&arguments), &[&listen, "choose another --listen"]);
    }
}

#[test]
fn scripts_have_help_and_refuse_what_they_do_not_know() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts");
    for script in ["clean-system", "reference", "setup", "test", "testnet", "weights"] {
        let help = run(&scripts.join(script), ["--help"], WITHIN).unwrap();
        assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).starts_with("Usage: "), "{script}");
    }
    for script in ["clean-system", "reference", "setup", "test", "weights"] {
        assert!(!run(&scripts.join(script), ["--nonsense"], WITHIN).unwrap().status.success(), "{script}");
    }
}

#[tokio::test]
async fn blocks_that_one_node_exports_another_imports_and_checks() {
    let folder = tempfile::tempdir().unwrap();
    let chain = text(&chain_spec(folder.path()));
    let mut miner = NodeProcess::start(NodeSettings {
        name: "miner".into(),
        chain: chain.clone().into(),
        base_path: folder.path().join("miner"),
        author: Some("//Alice".into()),
        boot_node: None,
        state_pruning: None,
        clock_offset_ms: 0,
        more: vec![],
    })
    .unwrap();
    let observed = miner.connect().await.unwrap();
    while weir_e2e::observer::view(&observed).await.map_or(0, |view| view.height) < 12 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let tenth = weir_e2e::observer::block_at(&observed, 10).await.unwrap();
    miner.kill().unwrap();

    let file = text(&folder.path().join("blocks"));
    let (from, to) = (text(&folder.path().join("miner")), text(&folder.path().join("other")));
    let output = node(&[
        "export-blocks",
        "--chain",
        &chain,
        "--base-path",
        &from,
        "--state-pruning",
        "archive",
        "--binary",
        "--to",
        "10",
        &file,
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = node(&["import-blocks", "--chain", &chain, "--base-path", &to, "--binary", &file]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = node(&["chain-info", "--chain", &chain, "--base-path", &to]);
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("{tenth:?}")), "{output:?}");
    let output = node(&["check-block", "--chain", &chain, "--base-path", &to, "10"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    // Damaged on the way.
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let fresh = text(&folder.path().join("fresh"));
    let output = node(&["import-blocks", "--chain", &chain, "--base-path", &fresh, "--binary", &file]);
    assert!(!output.status.success());
    assert_refused(&node(&["rewind", "--to", "99", "--chain", &chain, "--base-path", &to]), &["nothing to take back"]);
}
