//! The Weir chain node.

#![allow(clippy::result_large_err, reason = "the errors are those of sc-cli and sc-service")]

mod chain_spec;
mod cli;
mod command;
mod confidence;
mod keys;
mod preflight;
mod proofs;
mod resubmit;
mod rewind;
mod rpc;
mod service;

fn main() {
    if let Err(error) = command::run() {
        eprintln!("Error: {error}");
        std::process::exit(1);
    }
}
