//! What an agent tells Prometheus.

use crate::{session::clock::Watch, Fatal};
use std::net::SocketAddr;
use substrate_prometheus_endpoint::{
    prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts},
    register, PrometheusError, Registry,
};
use weir_probe::{message::Refusal, port::Port, time::is_clock_kept};

/// The metrics of both roles.
#[derive(Clone)]
pub struct Metrics {
    /// Challenges that this provider took part in, by outcome.
    pub challenges: IntCounterVec,
    /// Reports of challenges that this provider went through, by what became of them.
    pub reports: IntCounterVec,
    /// Bytes that the last challenge counted.
    pub counted_bytes: IntGaugeVec,
    /// Measurements of this challenger that ended with a report.
    pub measurements: IntCounter,
    /// Refusals of this challenger, by reason.
    pub refusals: IntCounterVec,
    /// Reports of this challenger, by whether they were on chain at their deadline.
    pub own_reports: IntCounterVec,
    /// Streams of provers that are open.
    pub sessions: IntGauge,
    /// Blocks that were followed.
    pub heads: IntCounter,
    /// By how much the agent's clock is ahead.
    pub clock_ahead_us: IntGauge,
    /// Whether the kernel says that something keeps the clock right.
    pub clock_kept: IntGauge,
    /// Packets of the measurement port, by what became of them.
    pub packets: IntGaugeVec,
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Errors
    ///
    /// When one is registered already.
    pub fn register(registry: &Registry) -> Result<Self, PrometheusError> {
        let counters = |name: &str, help: &str, label: &str| {
            IntCounterVec::new(Opts::new(name, help), &[label]).and_then(|metric| register(metric, registry))
        };
        let gauges = |name: &str, help: &str, label: &str| {
            IntGaugeVec::new(Opts::new(name, help), &[label]).and_then(|metric| register(metric, registry))
        };
        let counter = |name: &str, help: &str| register(IntCounter::new(name, help)?, registry);
        let gauge = |name: &str, help: &str| register(IntGauge::new(name, help)?, registry);
        Ok(Self {
            challenges: counters(
                "weir_agent_challenges_total",
                "Challenges of this provider, by whether what was reported got on chain",
                "outcome",
            )?,
            reports: counters(
                "weir_agent_reports_total",
                "Members of this provider's committees, by whether they reported",
                "outcome",
            )?,
            counted_bytes: gauges(
                "weir_agent_counted_bytes",
                "Bytes that all members counted in the last challenge of this provider",
                "direction",
            )?,
            measurements: counter(
                "weir_agent_measurements_total",
                "Measurements of this challenger that ended with a report",
            )?,
            refusals: counters(
                "weir_agent_refusals_total",
                "Times that this challenger refused a prover, by reason",
                "reason",
            )?,
            own_reports: counters(
                "weir_agent_own_reports_total",
                "Reports of this challenger, by whether they were on chain at their deadline",
                "outcome",
            )?,
            sessions: gauge("weir_agent_sessions", "Control streams that provers have open with this challenger")?,
            heads: counter("weir_agent_heads_total", "Best blocks that this agent followed")?,
            clock_ahead_us: gauge(
                "weir_agent_clock_ahead_microseconds",
                "By how much this agent's clock is ahead of those that it compares with",
            )?,
            clock_kept: gauge(
                "weir_agent_clock_kept",
                "Whether something keeps this machine's clock right, as its kernel says: 1 if so",
            )?,
            packets: gauges(
                "weir_agent_packets",
                "Packets at the measurement port since the start, by what became of them",
                "fate",
            )?,
        })
    }

    /// Counts a refusal, under its name in words with underscores.
    pub fn note_refusal(&self, refusal: Refusal) {
        let mut reason = String::new();
        for letter in format!("{refusal:?}").chars() {
            if letter.is_ascii_uppercase() && !reason.is_empty() {
                reason.push('_');
            }
            reason.push(letter.to_ascii_lowercase());
        }
        self.refusals.with_label_values(&[&reason]).inc();
    }

    /// Notes what is known of the agent's clock, if enough is.
    pub fn note_clock(&self, clocks: &Watch) {
        if let Some(ahead_us) = clocks.ahead_of_peers_us() {
            self.clock_ahead_us.set(ahead_us);
        }
        self.clock_kept.set(is_clock_kept().unwrap_or(false).into());
    }

    /// Notes what the port counted so far.
    pub fn note_packets(&self, port: &Port) {
        let counts = port.counts();
        for (fate, count) in [("taken", counts.taken), ("limited", counts.limited), ("unasked", counts.unasked)] {
            self.set_packets(fate, count);
        }
        if let Some(lost) = port.lost_in_buffer() {
            self.set_packets("lost_in_buffer", lost);
        }
    }

    fn set_packets(&self, fate: &str, count: u64) {
        self.packets.with_label_values(&[fate]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

/// The metrics, and a server for them if an address is given. Must be called within a runtime, whose end ends it.
///
/// # Errors
///
/// When the address cannot be listened on.
pub fn serve(address: Option<SocketAddr>) -> Result<Metrics, Fatal> {
    let registry = Registry::new();
    let metrics =
        Metrics::register(&registry).map_err(|error| Fatal(format!("metrics cannot be registered: {error}")))?;
    if let Some(address) = address {
        // The library binds later; this says at once, and clearly, that it cannot.
        std::net::TcpListener::bind(address).map_err(|error| {
            Fatal(format!("cannot serve metrics on {address} ({error}); choose another --prometheus"))
        })?;
        tokio::spawn(async move {
            if let Err(error) = substrate_prometheus_endpoint::init_prometheus(address, registry).await {
                log::error!("metrics are not served: {error}");
            }
        });
    }
    Ok(metrics)
}
