//! The command line.

use sc_cli::RunCmd;
use std::path::PathBuf;
use weir_primitives::{AccountId, BlockNumber};

/// A node of the Weir chain.
#[derive(Debug, clap::Parser)]
// Offchain workers run only when asked for: nothing on this chain needs them.
#[command(mut_arg("enabled", |arg| arg.default_value("never")))]
// As `weir_consensus::import::TRIE_CACHE_BYTES`.
#[command(mut_arg("trie_cache_size", |arg| arg.default_value("134217728")))]
// The pool bans what a block includes, and a block can be taken back.
#[command(mut_arg("tx_ban_seconds", |arg| arg.default_value("10")))]
pub struct Cli {
    #[command(subcommand)]
    pub subcommand: Option<Subcommand>,

    #[clap(flatten)]
    pub run: RunCmd,

    #[clap(flatten)]
    pub mining: MiningArgs,

    /// The folder that keeps compiled runtimes, so that a node starts at once the next time. Whoever can write to it can have the node do what
    /// it likes. By default "wasm-cache" in the base path.
    #[arg(long, value_name = "DIR")]
    pub wasm_cache: Option<PathBuf>,

    /// Makes this node fail on purpose: end without warning at a point (before-import, after-import, before-finality or
    /// after-finality) when it comes there at a height or above, or date its blocks as far ahead as may be (date-ahead).
    #[cfg(feature = "fail-points")]
    #[arg(long = "fail-point", value_name = "POINT@HEIGHT|date-ahead", help_heading = "For tests only")]
    pub fail_points: Vec<weir_consensus::fail_point::FailPoint>,
}

/// How a validator mines. Mining is switched on by `--validator`, or by `--dev`.
#[derive(Clone, Debug, clap::Args)]
pub struct MiningArgs {
    /// The account that signs blocks and gets their rewards, as an SS58 address or 32 bytes in hex.
    ///
    /// Its sr25519 key must be in the keystore: `weir-node key insert --key-type weir --scheme sr25519 ...`. May be left
    /// out if the keystore has exactly one key of that type, and with `--dev`, `--alice` and the like.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_account)]
    pub author: Option<AccountId>,

    /// The chain as it was named on the command line, for messages.
    #[arg(skip)]
    pub chain: String,

    /// How many threads search for nonces. They run at the lowest scheduling priority. With none, miners outside the node can still
    /// ask it for work.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(0..=1024))]
    pub mining_threads: u16,

    /// For which part of the time they do, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub mining_intensity: u8,
}

fn parse_account(text: &str) -> Result<AccountId, String> {
    text.parse().map_err(|_| "neither an SS58 address nor 32 bytes in hex".into())
}

#[derive(Debug, clap::Subcommand)]
#[allow(clippy::large_enum_variant)]
pub enum Subcommand {
    /// Make, look at and store keys.
    #[command(subcommand)]
    Key(sc_cli::KeySubcommand),

    /// Print a chain spec, with `--raw` in the form in which it is given to others.
    ExportChainSpec(sc_cli::ExportChainSpecCmd),

    /// Check a block again, as if it came from the network.
    CheckBlock(sc_cli::CheckBlockCmd),

    /// Write blocks into a file.
    ExportBlocks(sc_cli::ExportBlocksCmd),

    /// Read blocks from a file.
    ImportBlocks(sc_cli::ImportBlocksCmd),

    /// Delete the database of a chain.
    PurgeChain(sc_cli::PurgeChainCmd),

    /// Take back blocks that are not finalized.
    Revert(sc_cli::RevertCmd),

    /// Go back to a height, below what is finalized too: the way back from a wrong chain.
    Rewind(RewindCmd),

    /// Show what is in the database.
    ChainInfo(sc_cli::ChainInfoCmd),
}

/// Go back to a height, below what is finalized too: the way back from a wrong chain.
///
/// Makes a new database of the blocks of the best chain up to that height, executing each again, so that whatever follows
/// from them is as after a fresh sync. The old database is kept beside it until you delete it.
///
/// The wrong chain would be followed again if it is the heavier one: name its first wrong block under `badBlocks` in the
/// chain spec, or the right one under `forkBlocks`, before starting the node.
#[derive(Debug, clap::Parser)]
pub struct RewindCmd {
    /// The height to go back to.
    #[arg(long, value_name = "HEIGHT")]
    pub to: BlockNumber,

    #[clap(flatten)]
    pub shared_params: sc_cli::SharedParams,

    #[clap(flatten)]
    pub database_params: sc_cli::DatabaseParams,

    #[clap(flatten)]
    pub pruning_params: sc_cli::PruningParams,
}

impl sc_cli::CliConfiguration for RewindCmd {
    fn shared_params(&self) -> &sc_cli::SharedParams {
        &self.shared_params
    }

    fn database_params(&self) -> Option<&sc_cli::DatabaseParams> {
        Some(&self.database_params)
    }

    fn pruning_params(&self) -> Option<&sc_cli::PruningParams> {
        Some(&self.pruning_params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn a_node_keeps_as_much_of_the_trie_in_memory_as_was_measured() {
        let cli = Cli::parse_from(["weir-node"]);
        assert_eq!(cli.run.import_params.trie_cache_size, weir_consensus::import::TRIE_CACHE_BYTES);
    }
}
