//! Nodes and agents on loopback, and the chain spec that they share.

use crate::{
    home::Home,
    process::{binary, free_port, free_ports, run, Process},
    Result,
};
use std::{
    ffi::OsString,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use weir_agent::chain::Node;

/// How long a node may take until it answers.
const NODE_ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// How long a command that only reads and writes files may take.
const COMMAND_WITHIN: Duration = Duration::from_secs(60);
/// For which part of the time each miner hashes: three of them leave room on two cores for everything else.
pub const MINING_INTENSITY_PERCENT: u32 = 40;

/// Of how many finalized blocks pruning nodes keep the state: so few that a check sees them prune.
const PRUNED_AFTER: u32 = 32;

/// The hashes per second of one thread of this machine.
pub fn hashes_per_second() -> f64 {
    let begun = Instant::now();
    let mut hashes = 0u64;
    // No hash is zero.
    let search = weir_pow::Search::new([1; 32], [0; 32]);
    while begun.elapsed() < Duration::from_millis(300) {
        let _ = search.find(hashes..hashes + 4_096);
        hashes += 4_096;
    }
    hashes as f64 / begun.elapsed().as_secs_f64()
}

/// Writes a raw chain spec of a named network, after changing its genesis, and says where.
///
/// # Errors
///
/// When the node cannot export it.
pub fn write_chain_spec(folder: &Path, network: &str, change: impl FnOnce(&mut serde_json::Value)) -> Result<PathBuf> {
    let node = binary("weir-node")?;
    let export = |chain: &str, raw: bool| -> Result<serde_json::Value> {
        let output = run(
            &node,
            ["export-chain-spec", "--chain", chain].into_iter().chain(raw.then_some("--raw")),
            COMMAND_WITHIN,
        )?;
        if !output.status.success() {
            return Err(
                format!("the chain spec cannot be exported: {}", String::from_utf8_lossy(&output.stderr)).into()
            );
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let mut spec = export(network, false)?;
    change(&mut spec["genesis"]["runtimeGenesis"]["patch"]);
    let plain = folder.join("chain-spec.json");
    fs::write(&plain, serde_json::to_vec_pretty(&spec)?)?;
    let raw = folder.join("chain-spec-raw.json");
    fs::write(&raw, serde_json::to_vec(&export(&plain.display().to_string(), true)?)?)?;
    Ok(raw)
}

/// Sets the first difficulty so that the first blocks take about their time.
pub fn calibrate(genesis: &mut serde_json::Value, miners: u32) {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get()) as f64;
    let busy = (f64::from(miners) * f64::from(MINING_INTENSITY_PERCENT) / 100.0).min(cores);
    let consensus = &mut genesis["difficulty"]["parameters"]["consensus"];
    let seconds = consensus["blockTime"].as_f64().unwrap_or(1_000.0) / 1_000.0;
    let difficulty = (hashes_per_second() * busy * seconds) as u64;
    consensus["initialDifficulty"] = serde_json::Value::from(format!("{difficulty:#x}"));
}

/// What a node is started with.
#[derive(Clone)]
pub struct NodeSettings {
    /// The name of the node.
    pub name: String,
    /// The chain spec.
    pub chain: PathBuf,
    /// Where the node keeps its data.
    pub base_path: PathBuf,
    /// The secret of the node's author; none if it does not mine.
    pub author: Option<String>,
    /// The node through which it finds the others.
    pub boot_node: Option<String>,
    /// Of how many finalized blocks the node keeps the state; all if none is said.
    pub state_pruning: Option<u32>,
    /// How far the node's clock is off, in milliseconds: ahead if positive.
    pub clock_offset_ms: i64,
    /// Further arguments of the command line.
    pub more: Vec<String>,
}

/// A node.
pub struct NodeProcess {
    /// What the node was started with.
    pub settings: NodeSettings,
    process: Process,
    port: u16,
    rpc_port: u16,
    prometheus_port: u16,
}

impl NodeProcess {
    /// Puts the keys of the author and of its votes in the keystore, and starts the node.
    ///
    /// # Errors
    ///
    /// When one of the two fails at once.
    pub fn start(settings: NodeSettings) -> Result<Self> {
        fs::create_dir_all(&settings.base_path)?;
        // The key that signs blocks, and the one that votes.
        let keys = settings.author.iter().flat_map(|secret| [("weir", "sr25519", secret), ("gran", "ed25519", secret)]);
        for (key_type, scheme, secret) in keys {
            let arguments = [
                "key",
                "insert",
                "--key-type",
                key_type,
                "--scheme",
                scheme,
                "--suri",
                secret,
                "--chain",
                &settings.chain.display().to_string(),
                "--base-path",
                &settings.base_path.display().to_string(),
            ]
            .map(String::from);
            let output = run(&binary("weir-node")?, arguments, COMMAND_WITHIN)?;
            if !output.status.success() {
                return Err(format!("the key cannot be inserted: {}", String::from_utf8_lossy(&output.stderr)).into());
            }
        }
        let (port, rpc_port, prometheus_port) = (free_port()?, free_port()?, free_port()?);
        let process = Self::spawn(&settings, port, rpc_port, prometheus_port)?;
        Ok(Self { settings, process, port, rpc_port, prometheus_port })
    }

    fn spawn(settings: &NodeSettings, port: u16, rpc_port: u16, prometheus_port: u16) -> Result<Process> {
        let mut arguments: Vec<String> = [
            "--chain",
            &settings.chain.display().to_string(),
            "--base-path",
            &settings.base_path.display().to_string(),
            // One for all: compiling the runtime is most of what a start takes.
            "--wasm-cache",
            &binary("weir-node")?.with_file_name("wasm-cache").display().to_string(),
            "--name",
            &settings.name,
            "--listen-addr",
            &format!("/ip4/127.0.0.1/tcp/{port}"),
            "--rpc-port",
            &rpc_port.to_string(),
            "--prometheus-port",
            &prometheus_port.to_string(),
            "--unsafe-force-node-key-generation",
            "--no-telemetry",
            "--no-mdns",
            "--allow-private-ip",
            "--discover-local",
        ]
        .map(String::from)
        .into();
        if settings.author.is_some() {
            arguments.push("--validator".into());
            if settings.more.iter().all(|more| more != "--mining-intensity") {
                arguments.extend(["--mining-intensity".into(), MINING_INTENSITY_PERCENT.to_string()]);
            }
        }
        let pruning = settings.state_pruning.map_or_else(|| "archive".into(), |blocks| blocks.to_string());
        arguments.extend(["--state-pruning".into(), pruning]);
        if let Some(boot_node) = &settings.boot_node {
            arguments.extend(["--bootnodes".into(), boot_node.clone()]);
        }
        arguments.extend(settings.more.iter().cloned());
        let log = settings.base_path.join("node.log");
        Process::start_with_clock(&binary("weir-node")?, arguments, settings.clock_offset_ms, log)
    }

    /// The WebSocket address of the node's JSON-RPC.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.rpc_port)
    }

    /// The port of the node's JSON-RPC.
    pub fn rpc_port(&self) -> u16 {
        self.rpc_port
    }

    /// Connects to it, as soon as it answers.
    ///
    /// # Errors
    ///
    /// When it ends, or does not answer in time.
    pub async fn connect(&mut self) -> Result<Node> {
        let begun = Instant::now();
        loop {
            match Node::connect(&self.url()).await {
                Ok(node) => return Ok(node),
                Err(error) => {
                    if let Some(status) = self.process.ended() {
                        return Err(
                            format!("{} ended ({status}); {}", self.settings.name, self.process.last_words()).into()
                        );
                    }
                    if begun.elapsed() > NODE_ANSWERS_WITHIN {
                        return Err(format!("{} does not answer: {error}", self.settings.name).into());
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                },
            }
        }
    }

    /// The address that others find it by.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn address(&mut self) -> Result<String> {
        let node = self.connect().await?;
        let peer: String = node.rpc().request("system_localPeerId", subxt::rpcs::rpc_params![]).await?;
        Ok(format!("/ip4/127.0.0.1/tcp/{}/p2p/{peer}", self.port))
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The address of the node's metrics.
    pub fn metrics_address(&self) -> String {
        format!("127.0.0.1:{}", self.prometheus_port)
    }

    /// Ends it as a power failure would, and starts it again with the same data.
    ///
    /// # Errors
    ///
    /// When it has ended by itself, or does not start.
    pub fn kill_and_restart(&mut self) -> Result<()> {
        self.kill()?;
        self.restart()
    }

    /// Ends it as a power failure would.
    ///
    /// # Errors
    ///
    /// When it has ended by itself.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again with the same data, after it has ended.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.process = Self::spawn(&self.settings, self.port, self.rpc_port, self.prometheus_port)?;
        Ok(())
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<String> {
        self.process
            .ended()
            .map(|status| format!("{} ended ({status}); {}", self.settings.name, self.process.last_words()))
    }
}

/// Starts an agent, at home if there is one for it.
///
/// # Errors
///
/// When it cannot be started.
pub fn start_agent(
    folder: &Path,
    name: &str,
    nodes: &[String],
    arguments: &[String],
    home: Option<&Home>,
) -> Result<Process> {
    let base_path = folder.join(name);
    fs::create_dir_all(&base_path)?;
    let mut all: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    all.extend(["--base-path".into(), base_path.clone().into()]);
    for node in nodes {
        all.extend(["--node".into(), node.into()]);
    }
    let (agent, log) = (binary("weir-agent")?, base_path.join("agent.log"));
    match home {
        Some(home) => Process::start(Path::new("ip"), [home.inside(&agent), all].concat(), log),
        None => Process::start(&agent, all, log),
    }
}

/// The validators of a test network: what they are called, and the secret of their author.
pub const VALIDATORS: [(&str, &str); 3] = [("alice", "//Alice"), ("bob", "//Bob"), ("charlie", "//Charlie")];
/// The challengers.
pub const CHALLENGERS: [(&str, &str); 4] = [
    ("challenger-1", "//Alice//stash"),
    ("challenger-2", "//Bob//stash"),
    ("challenger-3", "//Charlie//stash"),
    ("challenger-4", "//Dave//stash"),
];
/// A provider of a test network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderSettings {
    /// What it is called.
    pub name: &'static str,
    /// The secret of its account.
    pub secret: &'static str,
    /// How much of its line is sold, down and up, in Mbit/s.
    pub limits_mbit: (u64, u64),
    /// Which validator it boosts.
    pub validator: usize,
    /// Whether it is behind a router that forwards nothing, where there can be one.
    pub is_at_home: bool,
}

/// The providers.
pub const PROVIDERS: [ProviderSettings; 3] = [
    ProviderSettings { name: "provider-50", secret: "//Dave", limits_mbit: (50, 50), validator: 0, is_at_home: false },
    ProviderSettings {
        name: "provider-200",
        secret: "//Eve",
        limits_mbit: (200, 200),
        validator: 1,
        is_at_home: false,
    },
    ProviderSettings {
        name: "provider-home",
        secret: "//Ferdie//stash",
        limits_mbit: (80, 20),
        validator: 0,
        is_at_home: true,
    },
];
/// Where a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this machine.
    Here,
    /// Behind a router of its own.
    Home,
}

/// What every provider declares, in Mbit/s: more than its limit, so that what comes out is measured and not declared.
pub const DECLARED_MBIT: u64 = 250;

/// A test network.
pub struct Network {
    /// The folder of logs and data.
    pub folder: PathBuf,
    /// The chain spec of the network.
    pub chain: PathBuf,
    /// The validators.
    pub nodes: Vec<NodeProcess>,
    agents: Vec<(String, Process)>,
    home: Option<Home>,
    /// Why there is no home, if there is none.
    pub homeless: Option<String>,
}

impl Network {
    /// Starts the validators, challengers and providers.
    ///
    /// # Errors
    ///
    /// When one of them does not start.
    pub async fn start(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder)?;
        let chain = write_chain_spec(&folder, "local", |genesis| calibrate(genesis, VALIDATORS.len() as u32))?;
        let mut nodes = Vec::<NodeProcess>::new();
        for (index, (name, secret)) in VALIDATORS.into_iter().enumerate() {
            let boot_node = match nodes.first_mut() {
                Some(first) => Some(first.address().await?),
                None => None,
            };
            nodes.push(NodeProcess::start(NodeSettings {
                name: name.into(),
                chain: chain.clone(),
                base_path: folder.join(name),
                author: Some(secret.into()),
                boot_node,
                // The first one answers for every block; the others prune, as nodes do.
                state_pruning: (index > 0).then_some(PRUNED_AFTER),
                clock_offset_ms: 0,
                more: vec![],
            })?);
        }
        for node in &mut nodes {
            node.connect().await?;
        }

        let (home, homeless) = match Home::new() {
            Ok(home) => (Some(home), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let mut network = Self { folder, chain, nodes, agents: vec![], home, homeless };
        for (index, (name, secret)) in CHALLENGERS.iter().enumerate() {
            let listen = format!("{}:{}", network.reached_at(), free_ports()?);
            let arguments = ["challenge", "--suri", secret, "--listen", &listen].map(String::from);
            let urls = network.nodes_for(index).map(NodeProcess::url);
            let agent = start_agent(&network.folder, name, &urls, &arguments, None)?;
            network.agents.push((name.to_string(), agent));
        }
        for (index, provider) in PROVIDERS.iter().enumerate() {
            let place = if provider.is_at_home { Place::Home } else { Place::Here };
            network.start_provider(index, provider.limits_mbit, place)?;
        }
        Ok(network)
    }

    /// The nodes that an agent knows: two, so that it can go on when one of them fails.
    fn nodes_for(&self, index: usize) -> [&NodeProcess; 2] {
        [index, index + 1].map(|index| &self.nodes[index % self.nodes.len()])
    }

    /// Where the challengers are reached, from home too.
    fn reached_at(&self) -> IpAddr {
        self.home.as_ref().map_or(IpAddr::from([127, 0, 0, 1]), Home::outside)
    }

    /// Where what is at home is seen, if there is a home.
    pub fn home_seen_at(&self) -> Option<Ipv4Addr> {
        self.home.as_ref().map(Home::seen_at)
    }

    /// Starts the agent of a provider. Without a home, it starts here.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start_provider(&mut self, index: usize, limits_mbit: (u64, u64), place: Place) -> Result<()> {
        let ProviderSettings { name, secret, validator, .. } = PROVIDERS[index];
        let (down, up) = limits_mbit;
        let mut arguments = vec![
            "provide".to_string(),
            "--suri".into(),
            secret.into(),
            "--declare".into(),
            format!("{DECLARED_MBIT}mbit"),
            "--limit".into(),
            format!("{down}mbit"),
            "--limit-up".into(),
            format!("{up}mbit"),
            "--author".into(),
            account(VALIDATORS[validator].1)?.to_string(),
        ];
        // Those that are here send from where the challengers are reached.
        let here = format!("{}:{}", self.reached_at(), free_port()?);
        let nodes = self.nodes_for(index);
        let (urls, ports) = (nodes.map(NodeProcess::url), nodes.map(|node| node.rpc_port));
        let home = self.home.as_mut().filter(|_| place == Place::Home);
        let home = match home {
            Some(home) => {
                ports.into_iter().try_for_each(|port| home.forward(port))?;
                Some(&*home)
            },
            None => {
                arguments.extend(["--listen".into(), here]);
                None
            },
        };
        let process = start_agent(&self.folder, name, &urls, &arguments, home)?;
        self.agents.push((name.to_string(), process));
        Ok(())
    }

    /// Ends the agent of a provider.
    pub fn stop_provider(&mut self, index: usize) {
        self.agents.retain(|(name, _)| name != PROVIDERS[index].name);
    }

    /// Checks that every process still runs.
    ///
    /// # Errors
    ///
    /// Names the process that ended.
    pub fn is_alive(&mut self) -> Result<()> {
        if let Some(ended) = self.nodes.iter_mut().find_map(NodeProcess::ended) {
            return Err(ended.into());
        }
        for (name, agent) in &mut self.agents {
            if let Some(status) = agent.ended() {
                return Err(format!("{name} ended ({status}); {}", agent.last_words()).into());
            }
        }
        Ok(())
    }
}

/// The account of a secret.
///
/// # Errors
///
/// When it is none.
pub fn account(secret: &str) -> Result<weir_primitives::AccountId> {
    Ok(weir_agent::chain::actor::Actor::own(weir_agent::identity::account_key(Some(secret), None)?).account().clone())
}
