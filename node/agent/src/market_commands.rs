//! The commands `market` and `channel`.

use crate::{connect, Hex, Nodes, Once};
use clap::{Args, Subcommand, ValueEnum};
use std::{net::SocketAddr, path::PathBuf};
use weir_agent::{
    amount::Amount,
    chain::Node,
    market::{self, Country, Deal, Session, ShownChannel, ShownOffer},
    rate::Rate,
    Fatal,
};
use weir_primitives::{
    market::{ChannelId, Complaint, Receipt, Serves, Terms},
    runtime_api::Search,
    AccountId,
};

#[derive(Subcommand)]
pub enum Market {
    /// Show who sells what, the cheapest first.
    List(List),
    /// Sell a part of this provider's line. Replaces what it sold before; channels that are open keep their price.
    Offer(Offer),
    /// Sell no more.
    Withdraw {
        /// The provider: anybody may, once it is none any more. By default the account that signs.
        address: Option<AccountId>,
        #[command(flatten)]
        once: Once,
    },
}

#[derive(Args)]
pub struct List {
    #[command(flatten)]
    nodes: Nodes,
    /// In this country only, such as CH.
    #[arg(long, value_name = "COUNTRY")]
    region: Option<Country>,
    /// At most this much for a GiB.
    #[arg(long, value_name = "WEIR")]
    max_price: Option<Amount>,
    /// At least this much offered and guaranteed.
    #[arg(long, value_name = "RATE")]
    least: Option<Rate>,
    /// Only those that serve this.
    #[arg(long, value_enum)]
    serves: Vec<Kind>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Offer {
    /// The price of a GiB, both directions added.
    #[arg(long, value_name = "WEIR")]
    price: Amount,
    /// The country that the line is in, such as CH.
    #[arg(long, value_name = "COUNTRY")]
    region: Country,
    /// What is served.
    #[arg(long, value_enum, required = true)]
    serves: Vec<Kind>,
    /// How much of the line: at most what is guaranteed of it. What is less leaves room before consumers get something back.
    #[arg(long, value_name = "RATE")]
    rate: Rate,
    /// Where consumers reach this provider. Up to four.
    #[arg(long, value_name = "IP:PORT", required = true)]
    external: Vec<SocketAddr>,
    #[command(flatten)]
    once: Once,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Connections to the internet.
    Proxy,
    /// Files, addressed by their hash.
    Content,
}

fn serves(kinds: &[Kind]) -> Serves {
    Serves { proxy: kinds.contains(&Kind::Proxy), content: kinds.contains(&Kind::Content) }
}

#[derive(Subcommand)]
pub enum Channel {
    /// Make a key that signs for one channel, on the machine that consumes. Prints what the account opens the channel with, wherever its own key is.
    Key {
        /// The file to make. It must not be there.
        #[arg(long, value_name = "FILE")]
        session_key: PathBuf,
        /// The account that will pay.
        #[arg(long, value_name = "ADDRESS")]
        consumer: AccountId,
        #[command(flatten)]
        nodes: Nodes,
    },
    /// Open a channel to a provider.
    Open {
        /// The provider.
        #[arg(long, value_name = "ADDRESS")]
        provider: AccountId,
        /// The session key that was made for it.
        #[arg(long, value_name = "0xKEY")]
        key: Hex<32>,
        /// What was printed as its proof.
        #[arg(long, value_name = "0xPROOF")]
        proof: Hex<64>,
        /// What receipts can spend. What is not spent comes back when the channel is closed.
        #[arg(long, value_name = "WEIR")]
        deposit: Amount,
        /// The most that a GiB may cost.
        #[arg(long, value_name = "WEIR")]
        max_price: Amount,
        /// The least that must be promised.
        #[arg(long, value_name = "RATE", default_value = "1mbit")]
        least: Rate,
        #[command(flatten)]
        once: Once,
    },
    /// Show a channel.
    Show {
        /// Its number.
        channel: ChannelId,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        nodes: Nodes,
    },
    /// Put more behind a channel, and let it live on.
    TopUp {
        /// Its number.
        channel: ChannelId,
        /// By how much.
        #[arg(long, value_name = "WEIR")]
        by: Amount,
        #[command(flatten)]
        once: Once,
    },
    /// Sign a receipt with a session key: all that was taken and is owed since the channel was opened.
    Sign {
        /// The file with the session key.
        #[arg(long, value_name = "FILE")]
        session_key: PathBuf,
        #[command(flatten)]
        receipt: Signed,
        #[command(flatten)]
        nodes: Nodes,
    },
    /// Have a channel pay what a receipt says. Anybody may.
    Settle {
        /// The number of the channel.
        channel: ChannelId,
        #[command(flatten)]
        receipt: Signed,
        /// The signature.
        #[arg(long, value_name = "0xSIGNATURE")]
        signature: Hex<64>,
        #[command(flatten)]
        once: Once,
    },
    /// Close a channel: at once if the account is its provider, else when the dispute window is over.
    Close {
        /// Its number.
        channel: ChannelId,
        /// What the consumer complains about. Counts only where something was paid.
        #[arg(long, value_enum)]
        complaint: Option<About>,
        #[command(flatten)]
        once: Once,
    },
    /// Give back what is left of a channel whose time is over. Anybody may.
    Finish {
        /// Its number.
        channel: ChannelId,
        #[command(flatten)]
        once: Once,
    },
}

/// What a receipt says.
#[derive(Args)]
pub struct Signed {
    /// How many bytes were moved, both directions added.
    #[arg(long, value_name = "COUNT")]
    bytes: u64,
    /// What is owed.
    #[arg(long, value_name = "WEIR")]
    amount: Amount,
}

impl From<&Signed> for Receipt {
    fn from(signed: &Signed) -> Self {
        Self { bytes: signed.bytes, amount: signed.amount.0 }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub enum About {
    /// The provider could not be reached any more.
    Unreachable,
    /// It was far slower than what it offers.
    Slow,
    /// What it sent was not what was asked for.
    Wrong,
    /// It counted more than there was.
    Miscounted,
}

impl From<About> for Complaint {
    fn from(about: About) -> Self {
        match about {
            About::Unreachable => Self::Unreachable,
            About::Slow => Self::Slow,
            About::Wrong => Self::Wrong,
            About::Miscounted => Self::Miscounted,
        }
    }
}

fn fatal(error: impl std::fmt::Display) -> Fatal {
    Fatal(error.to_string())
}

fn print_json(value: &impl serde::Serialize) -> Result<(), Fatal> {
    println!("{}", serde_json::to_string_pretty(value).map_err(fatal)?);
    Ok(())
}

async fn deal(once: Once, deal: impl FnOnce(AccountId) -> Deal) -> Result<(), Fatal> {
    let actor = once.signer.actor()?;
    let node = connect(&once.nodes).await?;
    let deal = deal(actor.account().clone());
    println!("{}", market::deal(&node, &actor, deal).await.map_err(fatal)?);
    Ok(())
}

async fn find(node: &Node, channel: ChannelId) -> Result<ShownChannel, Fatal> {
    let found = market::channel(node, channel).await.map_err(fatal)?;
    found.ok_or_else(|| Fatal(format!("there is no channel {channel}; it was closed, or never opened")))
}

pub async fn run_market(command: Market) -> Result<(), Fatal> {
    match command {
        Market::List(args) => {
            let node = connect(&args.nodes).await?;
            let Serves { proxy, content } = serves(&args.serves);
            let search = Search {
                most_per_gib: args.max_price.map(|it| it.0),
                region: args.region.map(|it| it.0),
                least_bits_per_second: args.least.map_or(0, |it| it.bits_per_second),
                proxy,
                content,
            };
            let offers = market::offers(&node, &search).await.map_err(fatal)?;
            if args.json {
                return print_json(&offers.iter().map(ShownOffer::from).collect::<Vec<_>>());
            }
            if offers.is_empty() {
                println!("nobody sells that");
            } else {
                println!("{}", market::offers_table(&offers));
            }
            Ok(())
        },
        Market::Offer(args) => {
            let Offer { price, region, serves: kinds, rate, external, once } = args;
            let listing = market::listing(price.0, region, serves(&kinds), rate.bits_per_second, &external)?;
            deal(once, |_| Deal::Offer(listing)).await
        },
        Market::Withdraw { address, once } => deal(once, |own| Deal::Withdraw(address.unwrap_or(own))).await,
    }
}

pub async fn run_channel(command: Channel) -> Result<(), Fatal> {
    match command {
        Channel::Key { session_key, consumer, nodes } => {
            let node = connect(&nodes).await?;
            let session = Session::make(&session_key)?;
            println!("--key 0x{}", hex::encode(session.public()));
            println!("--proof 0x{}", hex::encode(session.proof(node.genesis(), &consumer)));
            Ok(())
        },
        Channel::Open { provider, key, proof, deposit, max_price, least, once } => {
            let at = Terms { most_per_gib: max_price.0, least_bits_per_second: least.bits_per_second };
            deal(once, |_| Deal::Open { provider, key: key.0, proof: proof.0, deposit: deposit.0, at }).await
        },
        Channel::Show { channel, json, nodes } => {
            let shown = find(&connect(&nodes).await?, channel).await?;
            if json {
                return print_json(&shown);
            }
            println!("{}", shown.lines());
            Ok(())
        },
        Channel::TopUp { channel, by, once } => deal(once, |_| Deal::TopUp(channel, by.0)).await,
        Channel::Sign { session_key, receipt, nodes } => {
            let session = Session::read(&session_key)?;
            let node = connect(&nodes).await?;
            let number = market::channel_of(&node, session.public()).await.map_err(fatal)?;
            let number = number.ok_or_else(|| Fatal("no channel was opened with this key".into()))?;
            let channel = find(&node, number).await?;
            let signature = session.sign(node.genesis(), channel.provider(), number, &(&receipt).into());
            println!("{number} --bytes {} --signature 0x{}", receipt.bytes, hex::encode(signature));
            Ok(())
        },
        Channel::Settle { channel, receipt, signature, once } => {
            deal(once, |_| Deal::Settle(channel, (&receipt).into(), signature.0)).await
        },
        Channel::Close { channel, complaint, once } => {
            deal(once, |_| Deal::Close(channel, complaint.map(Into::into))).await
        },
        Channel::Finish { channel, once } => deal(once, |_| Deal::Finish(channel)).await,
    }
}
