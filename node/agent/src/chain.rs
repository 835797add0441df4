//! Measurements as the chain draws them: the nodes that know it ([`client`]), who acts for an account ([`actor`]), best blocks ([`follower`]), what is handed in ([`submission`]), who
//! takes part ([`registration`]), in whose turn a node is asked (`turns`), and the two roles ([`provider`] and [`challenger`]).

pub mod actor;
pub mod challenger;
pub mod client;
pub mod follower;
mod order;
pub mod provider;
pub mod registration;
pub mod submission;
mod turns;

pub use client::{Error, Node};
