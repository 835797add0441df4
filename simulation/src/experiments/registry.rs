//! What the registry of providers and challengers admits, and what it costs those who are in it. One experiment a file.

mod traffic;
mod young_chain;

use super::Experiment;

/// All experiments on the registry.
pub const REGISTRY: [Experiment; 2] =
    [Experiment { name: "young-chain", run: young_chain::run }, Experiment { name: "traffic", run: traffic::run }];
