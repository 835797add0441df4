//! A sale by hand, with the agent's commands alone: what a provider, a consumer and its wallet do, and what becomes of each planck.

use crate::{
    ensure,
    network::account,
    process::{binary, run},
    Result,
};
use codec::Decode;
use std::{path::Path, time::Duration};
use subxt::rpcs::rpc_params;
use weir_agent::chain::Node;
use weir_primitives::{AccountId, Balance, PLANCK_PER_WEIR};
use weir_runtime::Runtime;

/// How long a command of the agent may take.
const COMMAND_WITHIN: Duration = Duration::from_secs(90);
/// What a GiB costs, and how many are sold.
const GIB: Balance = 20;
const DEPOSIT: Balance = 100;
/// Of 20 GiB at half a WEIR.
const PAID: Balance = 10 * PLANCK_PER_WEIR;

/// Runs the agent against a node, and gives what it printed.
///
/// # Errors
///
/// When it ends with an error, with what it said.
pub fn agent(url: &str, arguments: &[&str]) -> Result<String> {
    let arguments = [arguments, &["--node", url]].concat();
    let output = run(&binary("weir-agent")?, &arguments, COMMAND_WITHIN)?;
    if !output.status.success() {
        return Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_string())
}

/// What an account has, free and held, in planck.
///
/// # Errors
///
/// When the node does not answer.
pub async fn balance(node: &Node, account: AccountId) -> Result<Balance> {
    let key = frame_system::Account::<Runtime>::hashed_key_for(account);
    let best = node.best().await?;
    let value: Option<String> =
        node.rpc().request("state_getStorage", rpc_params![subxt::utils::to_hex(key), best]).await?;
    let Some(value) = value else { return Ok(0) };
    let bytes = sp_core::bytes::from_hex(&value)?;
    type Info = frame_system::AccountInfo<u32, pallet_balances::AccountData<Balance>>;
    let info = Info::decode(&mut &bytes[..])?;
    Ok(info.data.free + info.data.reserved)
}

/// Has a provider sell, a consumer open a channel with a key that was made elsewhere, and somebody else hand in what that key signed, twice. Gives
/// what happened, in a sentence.
///
/// # Errors
///
/// When a command fails, or a planck is not where it should be.
pub async fn sell(node: &Node, url: &str, folder: &Path, seller: &str, buyer: &str, other: &str) -> Result<String> {
    let session_key = folder.join("session.key").display().to_string();
    let (provider, consumer) = (account(seller)?.to_string(), account(buyer)?.to_string());
    let treasury = pallet_token::Pallet::<Runtime>::treasury();
    let terms = ["--price", "0.5", "--region", "CH", "--serves", "proxy", "--rate", "5mbit"];
    let at = ["--external", "127.0.0.1:40999", "--suri", seller];
    agent(url, &[&["market", "offer"], &terms[..], &at[..]].concat())?;
    let search = ["--region", "CH", "--max-price", "0.5", "--least", "5mbit", "--serves", "proxy"];
    let listed = agent(url, &[&["market", "list", "--json"], &search[..]].concat())?;
    let listed: serde_json::Value = serde_json::from_str(&listed)?;
    let is_listed = listed.as_array().is_some_and(|all| all.iter().any(|it| it["provider"] == provider.as_str()));
    ensure(is_listed, &format!("{provider} is not among the offers: {listed}"))?;

    // The machine that consumes has this key alone; the wallet opens the channel with what it printed.
    let printed = agent(url, &["channel", "key", "--session-key", &session_key, "--consumer", &consumer])?;
    let proven: Vec<&str> = printed.split_whitespace().collect();
    let deposit = DEPOSIT.to_string();
    let opening = ["channel", "open", "--provider", &provider, "--deposit", &deposit, "--max-price", "0.5"];
    let opened = agent(url, &[&opening[..], &proven[..], &["--suri", buyer]].concat())?;
    let channel = opened.strip_prefix("opened channel ").and_then(|rest| rest.split_whitespace().next());
    let channel = channel.ok_or_else(|| format!("no channel was opened: {opened}"))?;

    let has_consumer = balance(node, account(buyer)?).await?;
    let has_treasury = balance(node, treasury.clone()).await?;
    for gib in [GIB / 2, GIB] {
        let (bytes, amount) = ((gib << 30).to_string(), (gib / 2).to_string());
        let receipt = ["--bytes", bytes.as_str(), "--amount", amount.as_str()];
        let signed = agent(url, &[&["channel", "sign", "--session-key", &session_key], &receipt[..]].concat())?;
        let signature = signed.split_whitespace().last().ok_or("nothing was signed")?;
        let settling = [&["channel", "settle", channel, "--signature", signature, "--suri", other], &receipt[..]];
        let settled = agent(url, &settling.concat())?;
        ensure(settled.contains("paid 5 WEIR for 10737418240 bytes"), &settled)?;
        // The same receipt again.
        ensure(agent(url, &settling.concat()).is_err(), "a receipt was paid twice")?;
    }
    let spent = has_consumer - balance(node, account(buyer)?).await?;
    ensure(spent == PAID, &format!("the consumer has {spent} planck less, and not {PAID}"))?;
    // Of fees of the transactions above it has got something too.
    let fee = balance(node, treasury).await? - has_treasury;
    ensure(fee >= PAID / 100, &format!("the treasury got {fee} planck"))?;
    agent(url, &["channel", "close", channel, "--suri", seller])?;
    ensure(agent(url, &["channel", "show", channel]).is_err(), "the channel is there still")?;
    let spent = has_consumer - balance(node, account(buyer)?).await?;
    ensure(spent == PAID, &format!("the consumer has {spent} planck less after the end, and not {PAID}"))?;
    Ok(format!("channel {channel}, {GIB} GiB: {PAID} planck left the consumer, whose key was never where it consumed"))
}
