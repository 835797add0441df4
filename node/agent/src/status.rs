//! What the chain knows about providers and challengers, for people and as JSON.

use crate::{
    chain::{Error, Node},
    rate,
};
use serde::Serialize;
use weir_primitives::{
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
    last_raw_bits_per_second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_results_bits_per_second: Option<Vec<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mining_author: Option<AccountId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reports: Option<u64>,
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
            last_raw_bits_per_second: status.last.map(|last| last.raw_bits_per_second),
            last_results_bits_per_second: Some(status.results),
            mining_author: status.mining_author,
            reports: None,
        }
    }

    fn challenger(account: AccountId, status: ChallengerStatus) -> Self {
        Self {
            account,
            role: "challenger",
            bond_weir: weir(status.bond),
            leaving_at_block: status.leaving,
            declared_bits_per_second: None,
            guaranteed_bits_per_second: None,
            last_raw_bits_per_second: None,
            last_results_bits_per_second: None,
            mining_author: None,
            reports: Some(status.reports),
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
        rate_line("last raw", self.last_raw_bits_per_second);
        if let Some(results) = &self.last_results_bits_per_second {
            let shown: Vec<_> = results.iter().map(|result| rate::show(*result)).collect();
            lines.push(format!(
                "  results      {}",
                if shown.is_empty() { "none yet".into() } else { shown.join(", ") }
            ));
        }
        if let Some(author) = &self.mining_author {
            lines.push(format!("  boosts       {author}"));
        }
        if let Some(reports) = self.reports {
            lines.push(format!("  reports      {reports}"));
        }
        if let Some(block) = self.leaving_at_block {
            lines.push(format!("  leaving      bond free from block {block}"));
        }
        lines.join("\n")
    }
}

/// What is known of an account, or of all providers.
///
/// # Errors
///
/// As [`Node::ask`].
pub async fn ask(node: &Node, account: Option<AccountId>) -> Result<Vec<Shown>, Error> {
    let accounts = match &account {
        Some(account) => vec![account.clone()],
        None => node.ask("MeasurementApi_providers", (), None).await?,
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
