//! The engine against the real runtime, in one process: every rule of the three stages, fork choice, and finality.

mod batches;
mod execution;
mod finality;
mod forks;
mod headers;
mod peer_policy;
mod queue;
mod signatures;
mod upgrade;
mod warp;
