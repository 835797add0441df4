//! The Weir chain node.

mod chain_spec;
mod cli;
mod command;
mod preflight;
mod rpc;
mod service;

fn main() {
    if let Err(error) = command::run() {
        eprintln!("Error: {error}");
        std::process::exit(1);
    }
}
