//! The metrics of nodes and agents, as they register them.

use super::{table, Page};
use crate::Result;
use std::collections::{BTreeMap, BTreeSet};
use substrate_prometheus_endpoint::{
    prometheus::{core::Collector, proto::MetricFamily},
    Registry,
};
use weir_consensus::Metrics;

const SOURCE: &str = include_str!("../../../node/consensus/src/metrics.rs");
const OF_AGENTS: &str = include_str!("../../../node/agent/src/metrics.rs");

const INTRODUCTION: &str = "\
What a node tells Prometheus, at `http://127.0.0.1:9615/metrics`, beside the `substrate_*` of the SDK. The metrics are registered in
`node/consensus/src/metrics.rs`. One with labels is absent until there is something to count.
[operating.md](../operating.md#metrics) says what to watch, and [grafana.json](../grafana.json) is a dashboard.";

const AGENTS: &str = "\
What an agent tells with `--prometheus`. The metrics are registered in `node/agent/src/metrics.rs`, and [grafana-agents.json](../grafana-agents.json) is\n\
a dashboard.";

/// A metric.
struct Described {
    kind: String,
    labels: Vec<String>,
    help: String,
}

/// The page of metrics.
pub fn page() -> Result<Page> {
    let of_nodes = listed(of_nodes()?, SOURCE)?;
    let of_agents = listed(of_agents()?, OF_AGENTS)?;
    let body = format!("{of_nodes}\n## Agents\n\n{AGENTS}\n\n{of_agents}");
    Ok(Page::new("metrics.md", "Metrics", INTRODUCTION, &body))
}

/// A table of metrics, which must be all that a source has.
fn listed(metrics: BTreeMap<String, Described>, source: &str) -> Result<String> {
    let missing: Vec<String> = in_source(source).into_iter().filter(|name| !metrics.contains_key(name)).collect();
    if !missing.is_empty() {
        return Err(format!(
            "{} would be missing in the reference of metrics; has tests/src/reference/metrics.rs all that have labels?",
            missing.join(", ")
        )
        .into());
    }
    let rows = metrics.into_iter().map(|(name, metric)| {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        vec![format!("`{name}`"), metric.kind, labels.join(", "), metric.help]
    });
    Ok(table(&["metric", "kind", "labels", "what it is"], rows))
}

fn of_nodes() -> Result<BTreeMap<String, Described>> {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry)?;
    Ok(described(&registry, &[&metrics.rejected, &metrics.banned, &metrics.verified_headers]))
}

fn of_agents() -> Result<BTreeMap<String, Described>> {
    let registry = Registry::new();
    let metrics = weir_agent::metrics::Metrics::register(&registry)?;
    let labelled: [&dyn Collector; 6] = [
        &metrics.challenges,
        &metrics.reports,
        &metrics.counted_bytes,
        &metrics.refusals,
        &metrics.own_reports,
        &metrics.packets,
    ];
    Ok(described(&registry, &labelled))
}

/// What metrics say of themselves: those of a registry, and those with labels, which are not gathered before there is something to count.
fn described(registry: &Registry, labelled: &[&dyn Collector]) -> BTreeMap<String, Described> {
    let describe = |family: &MetricFamily, labels: Vec<String>| {
        let kind = format!("{:?}", family.get_field_type()).to_lowercase();
        (family.get_name().to_string(), Described { kind, labels, help: family.get_help().to_string() })
    };
    let plain = registry.gather().into_iter().map(|family| describe(&family, Vec::new())).collect::<Vec<_>>();
    let labelled = labelled.iter().flat_map(|metric| {
        let families = metric.collect();
        let labels = metric.desc().into_iter().map(|desc| desc.variable_labels.clone()).collect::<Vec<_>>();
        families.iter().zip(labels).map(|(family, labels)| describe(family, labels)).collect::<Vec<_>>()
    });
    plain.into_iter().chain(labelled).collect()
}

/// The names of metrics in a source.
fn in_source(source: &str) -> BTreeSet<String> {
    let source = source.split_once("#[cfg(test)]").map_or(source, |(source, _)| source);
    let name = |(at, _): (usize, &str)| source.get(at + 1..)?.split('"').next().map(ToString::to_string);
    source.match_indices("\"weir_").filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(dashboard: &str) -> BTreeSet<String> {
        dashboard
            .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .filter(|word| word.starts_with("weir_"))
            .map(|word| word.trim_end_matches("_bucket").to_string())
            .collect()
    }

    #[test]
    fn each_dashboard_shows_every_metric_of_its_own_and_no_other() {
        let of_nodes = include_str!("../../../docs/grafana.json");
        let of_agents = include_str!("../../../docs/grafana-agents.json");
        assert_eq!(shown(of_nodes), in_source(SOURCE));
        assert_eq!(shown(of_agents), in_source(OF_AGENTS));
    }
}
