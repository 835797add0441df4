//! The control protocol: how agents reach each other ([`control`]), who is let in (`doors`), how they speak ([`channel`]) and
//! compare clocks ([`clock`]), and the two sides of a measurement ([`prover`] and [`challenger`]).

pub mod challenger;
pub mod channel;
pub mod clock;
pub mod control;
mod doors;
pub mod prover;
