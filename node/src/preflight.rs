//! What is checked before a node starts, so that it stops with a sentence and does not run on half.

use crate::service::FullClient;
use sc_cli::Error;
use sc_service::{error::Error as ServiceError, Configuration};
use sp_api::ProvideRuntimeApi;
use sp_blockchain::HeaderBackend;
use sp_runtime::traits::{Block as BlockT, Hash, HashingFor};
use std::net::{IpAddr, SocketAddr, TcpListener};
use weir_primitives::runtime_api::ConsensusApi;
use weir_runtime::opaque::Block;

/// That nobody else listens where this node will. The RPC server would else silently take another port, and the network
/// would run without an address.
pub fn ports_are_free(config: &Configuration) -> sc_cli::Result<()> {
    let rpc = config.rpc.addr.iter().flatten().map(|endpoint| ("RPC", endpoint.listen_addr));
    let network = config.network.listen_addresses.iter().filter_map(tcp_address).map(|address| ("network", address));
    let prometheus = config.prometheus_config.iter().map(|prometheus| ("Prometheus", prometheus.port));
    for (what, address) in rpc.chain(network).chain(prometheus) {
        // Port 0 asks for any free one. An IPv6 address may be one that this machine does not have at all.
        if address.port() != 0 && address.is_ipv4() {
            if let Err(error) = TcpListener::bind(address) {
                return Err(Error::Input(format!(
                    "the {what} address {address} cannot be used ({error}); end the process that uses it, or choose another port"
                )));
            }
        }
    }
    Ok(())
}

/// The address of a multiaddress that begins with an IP address and a TCP port.
fn tcp_address(address: &sc_network::Multiaddr) -> Option<SocketAddr> {
    let text = address.to_string();
    let mut parts = text.split('/').skip(1);
    let ip: IpAddr = match parts.next()? {
        "ip4" | "ip6" => parts.next()?.parse().ok()?,
        _ => return None,
    };
    (parts.next()? == "tcp").then_some(())?;
    Some(SocketAddr::new(ip, parts.next()?.parse().ok()?))
}

/// That the database is of the chain in the chain spec.
pub fn database_is_of_this_chain(config: &Configuration, client: &FullClient) -> Result<(), ServiceError> {
    let storage = config.chain_spec.as_storage_builder().build_storage().map_err(ServiceError::Other)?;
    // From the chain spec: a node that prunes has no state of genesis any more.
    let executor = sc_service::new_wasm_executor::<sp_io::SubstrateHostFunctions>(&config.executor);
    let version = sc_chain_spec::resolve_state_version_from_wasm::<_, HashingFor<Block>>(&storage, &executor)?;
    let root = HashingFor::<Block>::trie_root(storage.top.into_iter().collect(), version);
    let genesis: Block = sc_chain_spec::construct_genesis_block(root, version);
    let expected = genesis.header().hash();
    let found = client.info().genesis_hash;
    if expected == found {
        return Ok(());
    }
    Err(ServiceError::Other(format!(
        "the database in {} is of another chain: its genesis is {found:?}, that of the chain spec is {expected:?}; \
         give the right --chain or --base-path, or delete it with purge-chain",
        config.database.path().map(|path| path.display().to_string()).unwrap_or_default(),
    )))
}

/// That this build knows the rules of the chain.
pub fn follows_its_rules(client: &FullClient) -> Result<(), ServiceError> {
    // Those of the best block: a node that prunes has no state of genesis any more.
    let best = client.info().best_hash;
    let asked = client.runtime_api().parameters(best).map_err(|error| error.to_string());
    let parameters = asked.and_then(|found| found.ok_or_else(|| "its genesis sets none".into())).map_err(|error| {
        ServiceError::Other(format!("this is no chain of this node: it has no parameters ({error})"))
    })?;
    parameters.check().map_err(|broken| {
        ServiceError::Other(format!("this node cannot follow the chain: {broken}; use another build"))
    })?;
    Ok(())
}
