//! Measurements as the chain draws them: the nodes that know it ([`client`]), what it asks of an account ([`follower`]), who
//! takes part ([`registration`]), and the two roles ([`provider`] and [`challenger`]).

pub mod challenger;
pub mod client;
pub mod follower;
pub mod provider;
pub mod registration;

pub use client::{Error, Node};
