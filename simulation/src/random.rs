//! Draws from the distributions that the experiments need.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A waiting time with a mean of 1 ÷ rate.
pub fn exponential(rng: &mut ChaCha8Rng, rate: f64) -> f64 {
    -(1.0 - rng.gen::<f64>()).ln() / rate
}

/// A value whose logarithm is normal with mean 0 and standard deviation `sigma`.
pub fn lognormal(rng: &mut ChaCha8Rng, sigma: f64) -> f64 {
    // Box and Muller.
    let (u, v) = (1.0 - rng.gen::<f64>(), rng.gen::<f64>());
    (sigma * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()).exp()
}
