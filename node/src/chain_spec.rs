//! The named networks, and chain specs from files.

use sc_chain_spec::{ChainSpecExtension, ChainType, Properties};
use sc_service::{config::MultiaddrWithPeerId, GenericChainSpec};
use serde::{Deserialize, Serialize};
use sp_core::U256;
use std::path::PathBuf;
use weir_primitives::{parameters::Parameters, BlockNumber, Hash};
use weir_runtime::{opaque::Block, WASM_BINARY};

/// What a chain spec has beside its genesis.
#[derive(Clone, Default, Serialize, Deserialize, ChainSpecExtension)]
#[serde(rename_all = "camelCase")]
pub struct Extensions {
    /// Checkpoints: heights whose block is known. Another block there is refused.
    pub fork_blocks: sc_client_api::ForkBlocks<Block>,
    /// Blocks that are refused.
    pub bad_blocks: sc_client_api::BadBlocks<Block>,
    /// The least weight of the chain that others are known to be on. A node finalizes and mines nothing below it.
    #[serde(default)]
    pub minimum_chain_weight: MinimumChainWeight,
    /// A block that changes the voters, through which proofs of what is final lead: younger than the unbonding time when the spec is given out. Where it is
    /// not named, proofs begin with genesis.
    #[serde(default)]
    pub checkpoint: Checkpoint,
}

/// The height and the hash of a block; none where none is named.
pub type Checkpoint = Option<(BlockNumber, Hash)>;

/// A total weight, in hashes, as a hexadecimal number; none where it is not known.
pub type MinimumChainWeight = Option<U256>;

/// A chain spec.
pub type ChainSpec = GenericChainSpec<Extensions>;

/// A file of `chain-specs/`: a preset of the runtime, what differs from it, and how the network is called and found.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Network {
    name: String,
    id: String,
    chain_type: ChainType,
    protocol_id: String,
    preset: String,
    patch: serde_json::Value,
    boot_nodes: Vec<MultiaddrWithPeerId>,
}

impl Network {
    fn into_spec(self) -> Result<ChainSpec, String> {
        let wasm = WASM_BINARY.ok_or("this build has no WASM runtime; build it without SKIP_WASM_BUILD")?;
        let mut properties = Properties::new();
        properties.insert("tokenSymbol".into(), "WEIR".into());
        properties.insert("tokenDecimals".into(), 12.into());
        properties.insert("ss58Format".into(), 42.into());
        Ok(ChainSpec::builder(wasm, Extensions::default())
            .with_name(&self.name)
            .with_id(&self.id)
            .with_chain_type(self.chain_type)
            .with_protocol_id(&self.protocol_id)
            .with_genesis_config_preset_name(&self.preset)
            .with_genesis_config_patch(self.patch)
            .with_properties(properties)
            .with_boot_nodes(self.boot_nodes)
            .build())
    }
}

/// The chain spec of a named network, or in a file.
///
/// # Errors
///
/// One sentence that says what to do.
pub fn load(id: &str) -> Result<ChainSpec, String> {
    let network =
        match id {
            "dev" => include_str!("../../chain-specs/dev.json"),
            "local" => include_str!("../../chain-specs/local.json"),
            // None was named. What runs then must be what the user meant.
            "" => return Err(
                "say which chain: --dev for one node with blocks of a second, --chain local for a few nodes on one \
                        machine, or --chain FILE for the chain spec of any other network"
                    .into(),
            ),
            "testnet" => include_str!("../../chain-specs/testnet.json"),
            path => {
                check_parameters(path)?;
                return ChainSpec::from_json_file(PathBuf::from(path)).map_err(|error| {
                    format!("'{path}' is neither a network (dev, local, testnet) nor a readable chain spec: {error}")
                });
            },
        };
    serde_json::from_str::<Network>(network).map_err(|error| error.to_string())?.into_spec()
}

/// Checks the parameters in a chain spec that is not raw, so that a broken rule is named before the runtime traps on it.
fn check_parameters(path: &str) -> Result<(), String> {
    // What cannot be read is explained by whoever reads all of it.
    let Some(spec) =
        std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok())
    else {
        return Ok(());
    };
    let genesis = &spec["genesis"]["runtimeGenesis"];
    let parameters = ["patch", "config"]
        .iter()
        .map(|kind| &genesis[kind]["difficulty"]["parameters"])
        .find(|parameters| parameters.is_object());
    let Some(parameters) = parameters else { return Ok(()) };
    let parameters: Parameters = serde_json::from_value(parameters.clone())
        .map_err(|error| format!("the parameters in '{path}' cannot be read: {error}"))?;
    parameters.check().map_err(|broken| format!("the parameters in '{path}' make no sense: {broken}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sp_runtime::BuildStorage;

    #[test]
    fn every_named_network_has_a_genesis_whose_parameters_make_sense() {
        for id in ["dev", "local", "testnet"] {
            let storage = load(id).unwrap().build_storage().unwrap();
            assert!(!storage.top.is_empty(), "{id}");
        }
    }

    #[test]
    fn without_a_name_there_is_no_chain() {
        let error = load("").err().unwrap();
        assert!(
            error.contains("--dev") && error.contains("--chain local") && error.contains("--chain FILE"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_chain_spec_is_refused_with_a_sentence() {
        let error = load("/nowhere.json").err().unwrap();
        assert!(error.contains("neither a network"), "{error}");
    }
}
