//! The command line.

use sc_cli::RunCmd;
use weir_primitives::AccountId;

/// A node of the Weir chain.
#[derive(Debug, clap::Parser)]
// Offchain workers run only when asked for: nothing on this chain needs them.
#[command(mut_arg("enabled", |arg| arg.default_value("never")))]
pub struct Cli {
    #[command(subcommand)]
    pub subcommand: Option<Subcommand>,

    #[clap(flatten)]
    pub run: RunCmd,

    #[clap(flatten)]
    pub mining: MiningArgs,
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

    /// How many threads search for nonces. They run at the lowest scheduling priority.
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

    /// Show what is in the database.
    ChainInfo(sc_cli::ChainInfoCmd),
}
