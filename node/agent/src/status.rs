//! What the chain knows about providers and challengers, for people and as JSON.

use crate::{
    chain::{Error, Node},
    rate,
};
use serde::Serialize;
use weir_primitives::{
    interfaces::Everybody,
    registry::Standing,
    runtime_api::{ChallengerStatus, ProviderStatus},
    AccountId, PLANCK_PER_WEIR,
};

/// What is shown of an account.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    account: AccountId,
    role: &'static str,
    bond_weir: f64,
    leaving_at_block: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    declared_bits_per_second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guaranteed_bits_per_second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guaranteed_down_bits_per_second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guaranteed_up_bits_per_second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_raw_bits_per_second: Option<(u64, u64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_results_bits_per_second: Option<(Vec<u64>, Vec<u64>)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mining_author: Option<AccountId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    standing: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duties: Option<u32>,
}

fn weir(planck: u128) -> f64 {
    planck as f64 / PLANCK_PER_WEIR as f64
}

impl Shown {
    fn provider(account: AccountId, status: ProviderStatus) -> Self {
        Self {
            account,
            role: "provider",
            bond_weir: weir(status.bond),
            leaving_at_block: status.leaving,
            declared_bits_per_second: Some(status.declared_bits_per_second),
            guaranteed_bits_per_second: Some(status.guaranteed_bits_per_second),
            guaranteed_down_bits_per_second: Some(status.directions_bits_per_second.0),
            guaranteed_up_bits_per_second: Some(status.directions_bits_per_second.1),
            last_raw_bits_per_second: status.last.map(|(_, last)| (last.down.raw, last.up.raw)),
            last_results_bits_per_second: Some(status.results),
            mining_author: status.mining_author,
            standing: None,
            duties: None,
        }
    }

    fn challenger(account: AccountId, status: ChallengerStatus) -> Self {
        Self {
            account,
            role: "challenger",
            bond_weir: weir(status.bond),
            leaving_at_block: match status.standing {
                Standing::Leaving { until } => Some(until),
                _ => None,
            },
            declared_bits_per_second: None,
            guaranteed_bits_per_second: None,
            guaranteed_down_bits_per_second: None,
            guaranteed_up_bits_per_second: None,
            last_raw_bits_per_second: None,
            last_results_bits_per_second: None,
            mining_author: None,
            standing: Some(standing(status.standing)),
            duties: Some(status.duties),
        }
    }

    /// Some lines for people.
    pub fn lines(&self) -> String {
        let mut lines =
            vec![format!("{} {}", self.role, self.account), format!("  bond         {} WEIR", self.bond_weir)];
        let mut rate_line = |name: &str, value: Option<u64>| {
            if let Some(value) = value {
                lines.push(format!("  {name:<12} {}", rate::show(value)));
            }
        };
        rate_line("declared", self.declared_bits_per_second);
        rate_line("guaranteed", self.guaranteed_bits_per_second);
        rate_line("  down", self.guaranteed_down_bits_per_second);
        rate_line("  up", self.guaranteed_up_bits_per_second);
        rate_line("raw down", self.last_raw_bits_per_second.map(|(down, _)| down));
        rate_line("raw up", self.last_raw_bits_per_second.map(|(_, up)| up));
        if let Some((down, up)) = &self.last_results_bits_per_second {
            for (name, results) in [("results down", down), ("results up", up)] {
                let shown: Vec<_> = results.iter().map(|result| rate::show(*result)).collect();
                let shown = if shown.is_empty() { "none yet".into() } else { shown.join(", ") };
                lines.push(format!("  {name:<12} {shown}"));
            }
        }
        if let Some(author) = &self.mining_author {
            lines.push(format!("  boosts       {author}"));
        }
        if let Some(standing) = &self.standing {
            lines.push(format!("  standing     {standing}"));
        }
        if let Some(duties) = self.duties {
            lines.push(format!("  last duties  {duties}"));
        }
        if let Some(block) = self.leaving_at_block {
            lines.push(format!("  leaving      bond free from block {block}"));
        }
        lines.join("\n")
    }
}

fn standing(standing: Standing) -> String {
    match standing {
        Standing::Waiting { place } => format!("waits to be admitted, at place {place}"),
        Standing::Active { slot } => format!("measures, in slot {slot}"),
        Standing::Paused { from } => format!("pauses from epoch {from} on"),
        Standing::Jailed { until } => format!("in jail until epoch {until}"),
        Standing::Leaving { until } => format!("leaves; bond free from block {until}"),
    }
}

/// How many slots are asked for at a time.
const PAGE: u32 = 500;

async fn all_providers(node: &Node) -> Result<Vec<AccountId>, Error> {
    let everybody: Everybody = node.ask("MeasurementApi_everybody", (), None).await?;
    let mut all = Vec::new();
    // Those that join in the next epoch have slots behind those that there are.
    for from in (0..=everybody.provider_slots.saturating_add(PAGE)).step_by(PAGE as usize) {
        let page: Vec<AccountId> = node.ask("MeasurementApi_providers", (from, PAGE), None).await?;
        all.extend(page);
    }
    Ok(all)
}

/// What is known of an account, or of all providers.
///
/// # Errors
///
/// As [`Node::ask`].
pub async fn ask(node: &Node, account: Option<AccountId>) -> Result<Vec<Shown>, Error> {
    let accounts = match &account {
        Some(account) => vec![account.clone()],
        None => all_providers(node).await?,
    };
    let mut shown = Vec::new();
    for account in accounts {
        let provider: Option<ProviderStatus> = node.ask("MeasurementApi_provider", &account, None).await?;
        let challenger: Option<ChallengerStatus> = node.ask("MeasurementApi_challenger", &account, None).await?;
        shown.extend(provider.map(|status| Shown::provider(account.clone(), status)));
        shown.extend(challenger.map(|status| Shown::challenger(account, status)));
    }
    Ok(shown)
}
