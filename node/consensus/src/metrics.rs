use substrate_prometheus_endpoint::{
    register, Counter, CounterVec, Gauge, Histogram, HistogramOpts, Opts, PrometheusError, Registry, F64, U64,
};

/// What the engine tells Prometheus.
#[derive(Clone)]
pub struct Metrics {
    /// Rejected blocks and headers, by reason and stage.
    pub rejected: CounterVec<U64>,
    /// Peers that were banned, by what for.
    pub banned: CounterVec<U64>,
    /// How many headers were checked at once.
    pub batch_blocks: Histogram,
    /// How long that took, for each header.
    pub verification_seconds: Histogram,
    /// Whether a header had been checked ahead when the verifier asked.
    pub verified_headers: CounterVec<U64>,
    /// Blocks that wait until they are due.
    pub waiting_blocks: Gauge<U64>,
    /// Bad blocks on which the network builds all the same.
    pub disputes: Gauge<U64>,
    /// Executions that failed for a reason of this machine's.
    pub local_failures: Counter<U64>,
    /// By how many seconds this node's clock is ahead of its peers'.
    pub clock_offset: Gauge<F64>,
    /// How many blocks each reorganisation took back.
    pub reorganisations: Histogram,
    /// How long it took to execute a block.
    pub execution_seconds: Histogram,
    /// How long it took to import a block, execution and all.
    pub import_seconds: Histogram,
    /// The base difficulty of the best block.
    pub base_difficulty: Gauge<F64>,
    /// What the best block had to reach.
    pub required_difficulty: Gauge<F64>,
    /// Weight of the last blocks of the best chain for each hash that they needed.
    pub weight_per_hash: Gauge<F64>,
    /// The credit that the best block spent, from 0 to 1.
    pub credit: Gauge<F64>,
    /// The total weight of the best chain.
    pub weight: Gauge<F64>,
    /// How many blocks the best one is ahead of the finalized one.
    pub finality_lag: Gauge<U64>,
    /// How many blocks the last reorganisation took back.
    pub reorganisation_depth: Gauge<U64>,
    /// Hashes per second of this node's miner.
    pub hash_rate: Gauge<F64>,
    /// Blocks that this node made.
    pub authored: Gauge<U64>,
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Errors
    ///
    /// When one is registered already.
    pub fn register(registry: &Registry) -> Result<Self, PrometheusError> {
        Ok(Self {
            rejected: register(
                CounterVec::new(
                    Opts::new("weir_rejected_blocks_total", "Rejected blocks and headers, by reason and stage"),
                    &["stage", "reason"],
                )?,
                registry,
            )?,
            banned: register(
                CounterVec::new(
                    Opts::new("weir_banned_peers_total", "Peers that were banned, by reason"),
                    &["reason"],
                )?,
                registry,
            )?,
            batch_blocks: histogram(
                registry,
                "weir_verification_batch_blocks",
                "Headers that were checked at once",
                &[1.0, 4.0, 16.0, 64.0, 256.0, 1024.0],
            )?,
            verification_seconds: histogram(
                registry,
                "weir_verification_seconds",
                "Time to check a header without context",
                &[1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3],
            )?,
            verified_headers: register(
                CounterVec::new(
                    Opts::new("weir_verified_headers_total", "Whether headers had been checked ahead of import"),
                    &["outcome"],
                )?,
                registry,
            )?,
            waiting_blocks: register(
                Gauge::new("weir_waiting_blocks", "Blocks dated too far ahead, which wait until they are due")?,
                registry,
            )?,
            disputes: register(
                Gauge::new("weir_disputed_blocks", "Blocks that this node refuses and the network builds on")?,
                registry,
            )?,
            local_failures: register(
                Counter::new("weir_local_failures_total", "Executions that failed, and not for the block's fault")?,
                registry,
            )?,
            clock_offset: register(
                Gauge::new("weir_clock_offset_seconds", "By how much this node's clock is ahead of its peers'")?,
                registry,
            )?,
            reorganisations: histogram(
                registry,
                "weir_reorganisation_blocks",
                "Blocks that each reorganisation took back",
                &[1.0, 2.0, 3.0, 6.0, 12.0, 32.0, 64.0],
            )?,
            execution_seconds: histogram(
                registry,
                "weir_execution_seconds",
                "Time to execute a block",
                &[5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0],
            )?,
            import_seconds: histogram(
                registry,
                "weir_import_seconds",
                "Time to import a block, execution included",
                &[5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0],
            )?,
            required_difficulty: register(
                Gauge::new("weir_required_difficulty", "What the best block had to reach, in hashes")?,
                registry,
            )?,
            weight_per_hash: register(
                Gauge::new(
                    "weir_weight_per_hash",
                    "Weight of the best chain for each hash that it needed, averaged over about 64 blocks",
                )?,
                registry,
            )?,
            credit: register(
                Gauge::new("weir_credit_spent", "Credit that the best block spent, from 0 to 1")?,
                registry,
            )?,
            base_difficulty: register(
                Gauge::new("weir_base_difficulty", "Base difficulty of the best block, in hashes")?,
                registry,
            )?,
            weight: register(Gauge::new("weir_chain_weight", "Total weight of the best chain, in hashes")?, registry)?,
            finality_lag: register(
                Gauge::new("weir_finality_lag_blocks", "Blocks between the best and the finalized one")?,
                registry,
            )?,
            reorganisation_depth: register(
                Gauge::new("weir_reorganisation_depth_blocks", "Blocks that the last reorganisation took back")?,
                registry,
            )?,
            hash_rate: register(Gauge::new("weir_hash_rate", "Hashes per second of this node's miner")?, registry)?,
            authored: register(
                Gauge::new("weir_authored_blocks", "Blocks that this node made since its start")?,
                registry,
            )?,
        })
    }
}

fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, PrometheusError> {
    register(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?, registry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_registered_once() {
        let registry = Registry::new();
        assert!(Metrics::register(&registry).is_ok());
        assert!(Metrics::register(&registry).is_err());
    }
}
