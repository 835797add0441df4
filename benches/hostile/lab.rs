//! The nodes of an attack: an honest miner, a miner that is attacked, and a node that hears of blocks through the latter alone.

use codec::{Decode, Encode};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use subxt::{rpcs::rpc_params, utils::H256};
use weir_agent::chain::Node;
use weir_e2e::{
    liar::{Header, Target},
    network::{account, calibrate, write_chain_spec, NodeProcess, NodeSettings},
    observer::{block_at, view},
    Result,
};
use weir_primitives::{parameters::Consensus, runtime_api::NextBlock, AccountId, BlockNumber, UnixMilliseconds};

/// The time between two blocks: short, so that each of two miners makes many.
const BLOCK_TIME_MS: u64 = 500;
/// The height from which on the nodes are attacked. Some blocks are final then.
const START_HEIGHT: u64 = 20;
/// How long the nodes may take until then.
const START_LOOKS: usize = 1_200;
/// How often it is looked whether they are there.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A block that a header can be made on.
#[derive(Clone, Debug)]
pub struct Parent {
    /// The hash of the block.
    pub hash: sp_core::H256,
    /// The height of the block.
    pub number: BlockNumber,
    /// What its children must claim.
    pub next: NextBlock,
}

/// The nodes.
pub struct Lab {
    /// Connected to the honest miner.
    pub honest: Node,
    /// Connected to the miner that is attacked.
    pub attacked: Node,
    /// Connected to the node that the attacked one relays to.
    pub relay: Node,
    /// The author of the attacked node.
    pub author: AccountId,
    /// Where the attacked node is found.
    pub target: Target,
    /// The rules of the chain.
    pub rules: Consensus,
    attacked_process: NodeProcess,
    // Ended when dropped, before their data goes.
    _others: [NodeProcess; 2],
    _folder: tempfile::TempDir,
}

impl Lab {
    /// Starts the nodes, and waits until some blocks are final.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let chain = write_chain_spec(folder.path(), "dev", |genesis| {
            let consensus = &mut genesis["difficulty"]["parameters"]["consensus"];
            consensus["blockTime"] = BLOCK_TIME_MS.into();
            consensus["leastBlockInterval"] = (BLOCK_TIME_MS / 20).into();
            calibrate(genesis, 2);
        })?;
        let settings = |name: &str, author: Option<&str>, boot_node: Option<String>, more: Vec<String>| NodeSettings {
            name: name.into(),
            chain: chain.clone(),
            base_path: folder.path().join(name),
            author: author.map(Into::into),
            boot_node,
            state_pruning: None,
            clock_offset_ms: 0,
            more,
        };
        let mut honest = NodeProcess::start(settings("honest", Some("//Alice"), None, vec![]))?;
        let address = honest.address().await?;
        let mut attacked = NodeProcess::start(settings("attacked", Some("//Bob"), Some(address), vec![]))?;
        let address = attacked.address().await?;
        let reserved = vec!["--reserved-only".into(), "--reserved-nodes".into(), address];
        let mut relay = NodeProcess::start(settings("relay", None, None, reserved))?;
        let relay_node = relay.connect().await?;
        let mut looks = 0;
        while view(&relay_node).await?.height < START_HEIGHT {
            looks += 1;
            if looks > START_LOOKS {
                return Err("the first blocks take too long".into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let attacked_node = attacked.connect().await?;
        let parameters: serde_json::Value = attacked_node.rpc().request("weir_parameters", rpc_params![]).await?;
        Ok(Self {
            honest: honest.connect().await?,
            relay: relay_node,
            author: account("//Bob")?,
            target: Target::of(&mut attacked).await?,
            rules: serde_json::from_value(parameters["consensus"].clone())?,
            attacked: attacked_node,
            attacked_process: attacked,
            _others: [honest, relay],
            _folder: folder,
        })
    }

    /// The best block of the honest miner, as a parent.
    pub async fn best(&self) -> Result<Parent> {
        parent(&self.honest, self.honest.best().await?).await
    }

    /// The best block of the attacked node, as a parent.
    pub async fn attacked_best(&self) -> Result<Parent> {
        parent(&self.attacked, self.attacked.best().await?).await
    }

    /// The block at a height, as a parent.
    pub async fn block(&self, number: BlockNumber) -> Result<Parent> {
        parent(&self.honest, block_at(&self.honest, number.into()).await?).await
    }

    /// The header of a block of the honest miner.
    pub async fn header(&self, number: BlockNumber) -> Result<Header> {
        let hash = block_at(&self.honest, number.into()).await?;
        header(&self.honest, hash).await
    }

    /// The log of the attacked node.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.attacked_process.settings.base_path.join("node.log"))?)
    }

    /// The id of the attacked process.
    pub fn attacked_id(&self) -> u32 {
        self.attacked_process.id()
    }

    /// The sum of a counter of the attacked node, over all its labels.
    pub fn counter(&self, name: &str) -> Result<f64> {
        let mut stream = TcpStream::connect(self.attacked_process.metrics_address())?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text
            .lines()
            .filter(|line| line.starts_with(name))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum())
    }
}

/// What this machine's clock shows.
pub fn now() -> UnixMilliseconds {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_millis() as UnixMilliseconds)
}

/// Resident memory of a process, in MiB.
pub fn resident_mib(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("the kernel does not say it")?;
    let kib: f64 = line.split_whitespace().nth(1).ok_or("the kernel says nothing")?.parse()?;
    Ok(kib / 1_024.0)
}

/// A block of a node, as a parent of children by nobody in particular.
async fn parent(node: &Node, hash: H256) -> Result<Parent> {
    let next: Option<NextBlock> = node.ask("ConsensusApi_next_block", AccountId::new([0; 32]), Some(hash)).await?;
    let number = header(node, hash).await?.number;
    Ok(Parent { hash: sp_core::H256(hash.0), number, next: next.ok_or("the chain has no parameters")? })
}

/// The header of a block of a node.
async fn header(node: &Node, hash: H256) -> Result<Header> {
    let header = node.legacy().chain_get_header(Some(hash)).await?.ok_or("the node does not know the block")?;
    Ok(Header::decode(&mut header.encode().as_slice())?)
}
