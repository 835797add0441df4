//! The engine against the real runtime, in one process: every rule of the three stages, fork choice, and finality.

mod chain;
mod finality;
mod forks;
mod headers;
