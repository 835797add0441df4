//! What the chain knows about providers and challengers, for people and as JSON.

use crate::{
    chain::{Error, Node},
    now_ms, rate,
    runtime::{self, runtime_types::pallet_bandwidth::types::Plan},
};
use serde::Serialize;
use std::time::Duration;
use weir_primitives::{
    interfaces::Everybody,
    measurement::{
        challenge::{Challenge, Outcome},
        estimator::guaranteed_bits_per_second,
    },
    parameters::{Measurement, Parameters},
    registry::Standing,
    runtime_api::{ChallengerStatus, OpenChallenge, ProviderStatus},
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
    /// What is due next, what the last challenge gave, and why what is guaranteed is what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<AccountId>,
}

/// What the chain measures at present.
struct Measuring {
    measurement: Measurement,
    block_time_ms: u64,
    plan: Option<Plan>,
}

impl Measuring {
    /// How often a provider is measured on average.
    fn interval(&self) -> Option<Duration> {
        let plan = self.plan.as_ref()?;
        let epoch_ms = u64::from(plan.epoch.blocks).saturating_mul(self.block_time_ms);
        let between_ms = epoch_ms.checked_div(plan.instants.into())?;
        Some(Duration::from_millis(between_ms.saturating_mul(plan.one_in.into())))
    }
}

fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

/// What is due next of a provider: a challenge that it was drawn for, or when one is to be expected.
fn next(open: &[OpenChallenge], measuring: &Measuring, now_ms: u64) -> Option<String> {
    if let Some(due) = open.iter().filter(|it| it.start > now_ms).min_by_key(|it| it.start) {
        let ahead = duration(Duration::from_millis(due.start.saturating_sub(now_ms)));
        return Some(format!("measured in {ahead} by {} challengers", due.committee.len()));
    }
    let interval = measuring.interval()?;
    Some(match measuring.plan.as_ref().map(|plan| plan.one_in) {
        Some(1) => format!("measured every {}", duration(interval)),
        _ => format!("drawn by lot, every {} on average", duration(interval)),
    })
}

/// The last challenge of a provider that has begun, if its reports still come in, and which members are missing.
fn under_way(open: &[OpenChallenge], now_ms: u64) -> Option<(String, Vec<AccountId>)> {
    let begun = open.iter().filter(|it| it.start <= now_ms).max_by_key(|it| it.start)?;
    let missing = (0u8..).zip(&begun.committee).filter(|(place, _)| !begun.taken.contains(place));
    let missing: Vec<_> = missing.map(|(_, (account, ..))| account.clone()).collect();
    let members = begun.committee.len();
    let text = match missing.len() {
        0 => format!("began; all {members} members have reported"),
        waited_for => format!(
            "began; {} of {members} members have reported, and {} are left for the others",
            members.saturating_sub(waited_for),
            duration(Duration::from_millis(begun.deadline.saturating_sub(now_ms)))
        ),
    };
    Some((text, missing))
}

fn last(challenge: &Challenge, outcome: &Outcome) -> String {
    let Outcome { down, up, reports, met } = outcome;
    let met = met.map_or("void, so that it counts for no member".into(), |met| format!("{met} met their duty"));
    format!(
        "epoch {}, instant {}: {} down and {} up proven by {reports} reports; {met}",
        challenge.epoch,
        challenge.instant,
        rate::show(down.proven),
        rate::show(up.proven)
    )
}

/// Why what is guaranteed of a provider is what it is.
fn why(status: &ProviderStatus, measurement: &Measurement) -> Option<String> {
    let (down, up) = status.directions_bits_per_second;
    let lower = if down < up { "down" } else { "up" };
    let results = if down < up { &status.results.0 } else { &status.results.1 };
    let last = *results.last()?;
    let window = measurement.window;
    let there = u32::try_from(results.len()).unwrap_or(u32::MAX).min(window);
    let mut reasons = vec![format!("{lower} is what counts, as the lower direction")];
    if there < window {
        reasons.push(format!("{there} of {window} results are there, and each that is missing counts as zero"));
    } else {
        reasons.push(format!(
            "it is the mean of {window} results, none above the {} largest of them",
            ordinal(measurement.rank)
        ));
    }
    let before = guaranteed_bits_per_second(&results[..results.len() - 1], measurement.rank, window);
    let now = down.min(up);
    reasons.push(match last {
        0 => "the last challenge proved nothing".into(),
        _ if last < now && now < before => format!("it fell, since the last result was {}", rate::show(last)),
        _ if last > now => format!("it rises while results are like the last one, {}", rate::show(last)),
        _ => format!("the last result was {}", rate::show(last)),
    });
    Some(reasons.join("; "))
}

fn ordinal(number: u32) -> String {
    match (number % 10, number % 100) {
        (1, tens) if tens != 11 => format!("{number}st"),
        (2, tens) if tens != 12 => format!("{number}nd"),
        (3, tens) if tens != 13 => format!("{number}rd"),
        _ => format!("{number}th"),
    }
}

pub(crate) fn weir(planck: u128) -> f64 {
    planck as f64 / PLANCK_PER_WEIR as f64
}

impl Shown {
    fn provider(
        account: AccountId,
        status: ProviderStatus,
        open: &[OpenChallenge],
        measuring: &Measuring,
        now_ms: u64,
    ) -> Self {
        let why = why(&status, &measuring.measurement);
        let evaluated = status.last.as_ref().map(|(challenge, outcome)| last(challenge, outcome));
        let (last, missing) = match under_way(open, now_ms) {
            Some((under_way, missing)) => (Some(under_way), missing),
            None => (evaluated, Vec::new()),
        };
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
            next: next(open, measuring, now_ms),
            why,
            last,
            missing,
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
            next: None,
            last: None,
            why: excess(status.excess.map(|it| it.deconstruct())),
            missing: Vec::new(),
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
        for (name, text) in [("next", &self.next), ("last", &self.last), ("why", &self.why)] {
            if let Some(text) = text {
                lines.push(format!("  {name:<12} {text}"));
            }
        }
        for account in &self.missing {
            lines.push(format!("  missing      {account}"));
        }
        if let Some(block) = self.leaving_at_block {
            lines.push(format!("  leaving      bond free from block {block}"));
        }
        lines.join("\n")
    }
}

/// What a challenger missed, if that can be judged.
fn excess(billionths: Option<u32>) -> Option<String> {
    let percent = f64::from(billionths?) / 1e7;
    Some(format!("missed {percent:.1} % more of its duties than its colleagues did"))
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

async fn measuring(node: &Node) -> Result<Measuring, Error> {
    let parameters: Option<Parameters> = node.ask("ConsensusApi_parameters", (), None).await?;
    let parameters = parameters.ok_or_else(|| Error::Refused("the chain has no parameters in its genesis".into()))?;
    let at = node.at(node.best().await?).await?;
    let plan = at.storage().try_fetch(runtime::storage().bandwidth().plans(), ()).await;
    let unread = |error: &dyn std::fmt::Display| Error::Connection(format!("what is measured cannot be read: {error}"));
    let plan =
        plan.map_err(|error| unread(&error))?.map(|plan| plan.decode()).transpose().map_err(|error| unread(&error))?;
    Ok(Measuring { block_time_ms: parameters.consensus.block_time, measurement: parameters.measurement, plan })
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
    let measuring = measuring(node).await?;
    let mut shown = Vec::new();
    for account in accounts {
        let provider: Option<ProviderStatus> = node.ask("MeasurementApi_provider", &account, None).await?;
        let challenger: Option<ChallengerStatus> = node.ask("MeasurementApi_challenger", &account, None).await?;
        if let Some(status) = provider {
            let open: Vec<OpenChallenge> = node.ask("MeasurementApi_challenges", &account, None).await?;
            shown.push(Shown::provider(account.clone(), status, &open, &measuring, now_ms()));
        }
        shown.extend(challenger.map(|status| Shown::challenger(account, status)));
    }
    Ok(shown)
}
