use substrate_prometheus_endpoint::{register, CounterVec, Gauge, Opts, PrometheusError, Registry, F64, U64};

/// What the engine tells Prometheus.
#[derive(Clone)]
pub struct Metrics {
    /// Rejected blocks and headers, by reason and stage.
    pub rejected: CounterVec<U64>,
    /// The base difficulty of the best block.
    pub base_difficulty: Gauge<F64>,
    /// The total weight of the best chain.
    pub weight: Gauge<F64>,
    /// How many blocks the best one is ahead of the depth-finalized one.
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
            base_difficulty: register(
                Gauge::new("weir_base_difficulty", "Base difficulty of the best block, in hashes")?,
                registry,
            )?,
            weight: register(Gauge::new("weir_chain_weight", "Total weight of the best chain, in hashes")?, registry)?,
            finality_lag: register(
                Gauge::new("weir_finality_lag_blocks", "Blocks between the best and the depth-finalized one")?,
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
