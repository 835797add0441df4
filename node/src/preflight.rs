//! What is checked before a node starts, so that it stops with a sentence and does not run on half.

use crate::service::{FullClient, FullExecutor};
use codec::Decode;
use sc_chain_spec::ChainType;
use sc_cli::Error;
use sc_service::{error::Error as ServiceError, ChainSpec, Configuration};
use sp_api::{ApiExt, ProvideRuntimeApi};
use sp_blockchain::HeaderBackend;
use sp_core::{crypto::DEV_PHRASE, ecdsa, ed25519, sr25519, storage::Storage, Pair};
use sp_io::hashing::twox_128;
use sp_runtime::{
    traits::{Block as BlockT, Hash, HashingFor, IdentifyAccount},
    MultiSigner,
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr, TcpListener},
};
use weir_primitives::{parameters::Parameters, runtime_api::ConsensusApi, AccountId};
use weir_runtime::opaque::Block;

/// That a chain which is not for one machine alone is ruled by no key whose secret everybody has, and endows none. Says
/// who rules it.
pub fn keys_are_private(spec: &dyn ChainSpec) -> sc_cli::Result<()> {
    if matches!(spec.chain_type(), ChainType::Development | ChainType::Local) {
        return Ok(());
    }
    // What a raw chain spec has, too.
    let storage = spec.as_storage_builder().build_storage().map_err(Error::Input)?;
    let known = well_known_accounts();
    let name = spec.name();
    let sudo = sudo_key(&storage);
    if let Some((account, secret)) = sudo.as_ref().and_then(|account| known.get_key_value(account)) {
        return Err(Error::Input(format!(
            "everybody has the secret of {account} ({secret}), the sudo key of {name}, and could take the chain over; make \
             a key with `weir-node key generate --scheme sr25519`, and put its address under sudo.key in the chain spec; \
             only chains of type Development and Local may have well-known keys"
        )));
    }
    if let Some((account, secret)) = accounts(&storage).find_map(|account| known.get_key_value(&account)) {
        return Err(Error::Input(format!(
            "everybody has the secret of {account} ({secret}), which the genesis of {name} endows; put an address of \
             your own in its place under balances.balances in the chain spec; only chains of type Development and Local \
             may have well-known accounts"
        )));
    }
    for (key, _) in voters(&storage) {
        if let Some(secret) = known.get(&AccountId::from(ed25519::Public::from(key))) {
            return Err(Error::Input(format!(
                "everybody has the secret of a voter of {name} ({secret}), and could make anything final; make a key with `weir-node key \
                 generate --scheme ed25519`, and put it in its place under finality.voters in the chain spec; only chains of type \
                 Development and Local may have well-known keys"
            )));
        }
    }
    match sudo {
        Some(sudo) => {
            log::warn!("whoever has the secret of {sudo}, the sudo key of {name}, can change each of its rules")
        },
        None => log::info!("{name} has no sudo key: nobody can change its rules"),
    }
    Ok(())
}

/// The key of the sudo pallet in a genesis.
fn sudo_key(storage: &Storage) -> Option<AccountId> {
    let found = storage.top.get(&prefix("Sudo", "Key"))?;
    AccountId::decode(&mut found.as_slice()).ok()
}

/// The accounts that exist in a genesis: the last bytes of their storage keys.
fn accounts(storage: &Storage) -> impl Iterator<Item = AccountId> + '_ {
    let prefix = prefix("System", "Account");
    storage.top.keys().filter(move |key| key.starts_with(&prefix)).filter_map(|key| {
        let (_, account) = key.split_last_chunk::<32>()?;
        Some(AccountId::from(*account))
    })
}

/// What the storage keys of a pallet's item begin with.
fn prefix(pallet: &str, item: &str) -> Vec<u8> {
    [twox_128(pallet.as_bytes()), twox_128(item.as_bytes())].concat()
}

/// The accounts of the secrets that are in every copy of the SDK, of each kind of key, and those secrets.
fn well_known_accounts() -> BTreeMap<AccountId, String> {
    let names = ["Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie", "One", "Two"];
    let secrets = names.into_iter().flat_map(|name| [format!("//{name}"), format!("//{name}//stash")]);
    let mut known = BTreeMap::new();
    for secret in secrets.chain([DEV_PHRASE.to_string()]) {
        let accounts =
            [account::<sr25519::Pair>(&secret), account::<ed25519::Pair>(&secret), account::<ecdsa::Pair>(&secret)];
        known.extend(accounts.into_iter().flatten().map(|account| (account, secret.clone())));
    }
    known
}

/// The account of a secret.
fn account<P: Pair>(secret: &str) -> Option<AccountId>
where
    MultiSigner: From<P::Public>,
{
    let pair = P::from_string(secret, None).ok()?;
    Some(MultiSigner::from(pair.public()).into_account())
}

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
pub fn database_is_of_this_chain(
    config: &Configuration,
    genesis: Storage,
    client: &FullClient,
    executor: &FullExecutor,
) -> Result<(), ServiceError> {
    // From the chain spec: a node that prunes has no state of genesis any more.
    let version = sc_chain_spec::resolve_state_version_from_wasm::<_, HashingFor<Block>>(&genesis, executor)?;
    let root = HashingFor::<Block>::trie_root(genesis.top.into_iter().collect(), version);
    let block: Block = sc_chain_spec::construct_genesis_block(root, version);
    let expected = block.header().hash();
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

/// That a node which is to start from a proof has a block to hold it to, on a network whose keys of long ago somebody may still have.
pub fn may_start_from_a_proof(config: &Configuration, has_checkpoint: bool) -> Result<(), ServiceError> {
    let is_for_tests = matches!(config.chain_spec.chain_type(), ChainType::Development | ChainType::Local);
    if !config.network.sync_mode.is_warp() || has_checkpoint || is_for_tests {
        return Ok(());
    }
    Err(ServiceError::Other(
        "the chain spec names no checkpoint: voters who have their bonds back could show this node any history; put a block \
         that changed the voters into it (\"checkpoint\": [height, hash]), or sync in full"
            .into(),
    ))
}

/// That this build knows the rules of the chain.
pub fn follows_its_rules(client: &FullClient) -> Result<Parameters, ServiceError> {
    // Those of the best block: a node that prunes has no state of genesis any more.
    let best = client.info().best_hash;
    // A runtime of before answers in layouts of before.
    let is_present = client.runtime_api().has_api::<dyn ConsensusApi<Block>>(best);
    if !is_present.map_err(|error| ServiceError::Other(format!("the runtime of the chain cannot be asked: {error}")))? {
        return Err(ServiceError::Other(
            "this node cannot follow the chain: its runtime answers another version of questions; use another build"
                .into(),
        ));
    }
    let asked = client.runtime_api().parameters(best).map_err(|error| error.to_string());
    let parameters = asked.and_then(|found| found.ok_or_else(|| "its genesis sets none".into())).map_err(|error| {
        ServiceError::Other(format!("this is no chain of this node: it has no parameters ({error})"))
    })?;
    parameters.check().map_err(|broken| {
        ServiceError::Other(format!("this node cannot follow the chain: {broken}; use another build"))
    })?;
    Ok(parameters)
}

/// That the genesis of a chain names voters: without any, nothing could ever become final.
pub fn has_voters(chain: &str, genesis: &Storage) -> Result<(), ServiceError> {
    if voters(genesis).is_empty() {
        return Err(ServiceError::Other(format!(
            "the genesis of {chain} names no voters, and nothing on it could ever become final; put accounts and the ed25519 keys that vote for \
             them (`weir-node key generate --scheme ed25519`) under finality.voters in the chain spec"
        )));
    }
    Ok(())
}

/// The keys that vote first on a chain.
fn voters(storage: &Storage) -> sp_consensus_grandpa::AuthorityList {
    let found = storage.top.get(&prefix("Grandpa", "Authorities"));
    found.and_then(|bytes| Decode::decode(&mut bytes.as_slice()).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain_spec;
    use sp_runtime::BuildStorage;

    /// A named chain as one of another type, raw or not, with another genesis.
    fn changed(id: &str, is_raw: bool, change: impl FnOnce(&mut serde_json::Value)) -> chain_spec::ChainSpec {
        let text = chain_spec::load(id).unwrap().as_json(false).unwrap();
        let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
        change(&mut json);
        let plain = chain_spec::ChainSpec::from_json_bytes(json.to_string().into_bytes()).unwrap();
        match is_raw {
            true => chain_spec::ChainSpec::from_json_bytes(plain.as_json(true).unwrap().into_bytes()).unwrap(),
            false => plain,
        }
    }

    fn refusal(spec: &chain_spec::ChainSpec) -> String {
        keys_are_private(spec).unwrap_err().to_string()
    }

    #[test]
    fn every_key_of_a_chain_for_one_machine_is_well_known() {
        let storage = chain_spec::load("dev").unwrap().build_storage().unwrap();
        let known = well_known_accounts();
        assert!(known.contains_key(&sudo_key(&storage).unwrap()));
        let (endowed, others): (Vec<_>, Vec<_>) = accounts(&storage).partition(|account| known.contains_key(account));
        // Each of the keyring; the other one is the treasury.
        assert_eq!((endowed.len(), others.len()), (12, 1));
        for id in ["dev", "local"] {
            keys_are_private(&chain_spec::load(id).unwrap()).unwrap();
        }
    }

    #[test]
    fn the_public_testnet_has_no_sudo_key_and_no_account_but_the_treasury() {
        let spec = chain_spec::load("testnet").unwrap();
        keys_are_private(&spec).unwrap();
        let storage = spec.build_storage().unwrap();
        assert_eq!((sudo_key(&storage), accounts(&storage).count()), (None, 1));
    }

    #[test]
    fn a_chain_that_others_can_reach_is_refused_with_a_well_known_sudo_key() {
        for is_raw in [false, true] {
            for chain_type in [serde_json::json!("Live"), serde_json::json!({ "Custom": "ours" })] {
                let refused = refusal(&changed("dev", is_raw, |spec| spec["chainType"] = chain_type));
                let address = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
                for part in [address, "(//Alice)", "sudo key of Weir Development", "key generate", "sudo.key"] {
                    assert!(refused.contains(part), "'{part}' is not in: {refused}");
                }
            }
        }
    }

    #[test]
    fn a_chain_that_others_can_reach_is_refused_without_voters_or_with_a_well_known_one() {
        let with = |voters: serde_json::Value| {
            changed("testnet", false, |spec| {
                spec["genesis"]["runtimeGenesis"]["patch"]["finality"] = serde_json::json!({ "voters": voters });
            })
        };
        let own = AccountId::new([7; 32]).to_string();
        let has_voters = |spec: &chain_spec::ChainSpec| has_voters("Weir Testnet", &spec.build_storage().unwrap());
        let refused = has_voters(&with(serde_json::json!([]))).unwrap_err().to_string();
        assert!(refused.contains("names no voters") && refused.contains("finality.voters"), "{refused}");
        let known = account::<ed25519::Pair>("//Alice").unwrap().to_string();
        let refused = refusal(&with(serde_json::json!([[own, known]])));
        assert!(refused.contains("a voter of Weir Testnet (//Alice)"), "{refused}");
        let private = with(serde_json::json!([[own, own]]));
        keys_are_private(&private).unwrap();
        has_voters(&private).unwrap();
    }

    #[test]
    fn a_chain_that_others_can_reach_is_refused_with_a_well_known_account() {
        let stash = account::<ed25519::Pair>("//Bob//stash").unwrap().to_string();
        let own = AccountId::new([7; 32]).to_string();
        for is_raw in [false, true] {
            let with = |endowed: &String| {
                changed("testnet", is_raw, |spec| {
                    let genesis = &mut spec["genesis"]["runtimeGenesis"]["patch"];
                    genesis["sudo"]["key"] = own.clone().into();
                    genesis["balances"]["balances"] = serde_json::json!([[endowed, 1_000_000_000_000_u64]]);
                })
            };
            let refused = refusal(&with(&stash));
            for part in [stash.as_str(), "(//Bob//stash)", "genesis of Weir Testnet", "balances.balances"] {
                assert!(refused.contains(part), "'{part}' is not in: {refused}");
            }
            keys_are_private(&with(&own)).unwrap();
        }
    }
}
