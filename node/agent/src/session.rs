//! The control protocol: how agents reach each other ([`control`]), speak ([`channel`]) and compare clocks ([`clock`]), and
//! the two sides of a measurement ([`prover`] and [`challenger`]).

pub mod challenger;
pub mod channel;
pub mod clock;
pub mod control;
pub mod prover;
