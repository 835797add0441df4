//! Measurements by hand, without a chain: [`measure`] starts one, [`answer`] serves it.

pub mod answer;
pub mod measure;
