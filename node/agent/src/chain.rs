//! Measurements as the chain draws them: the nodes that know it ([`client`]), its best blocks ([`follower`]), what is handed in ([`submission`]), who
//! takes part ([`registration`]), and the two roles ([`provider`] and [`challenger`]).

pub mod challenger;
pub mod client;
pub mod follower;
pub mod provider;
pub mod registration;
pub mod submission;

pub use client::{Error, Node};
