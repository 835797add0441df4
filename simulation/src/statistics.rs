//! Means with their standard errors.

/// The mean of a sample, and how far off it may be.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    pub mean: f64,
    pub standard_error: f64,
}

impl Estimate {
    /// From the means of batches that are long enough to be nearly independent of each other.
    ///
    /// The blocks of one author come in runs where somebody withholds or saves, so that the error of their share is not that
    /// of independent draws.
    pub fn from_batches(batches: &[f64]) -> Self {
        let count = batches.len() as f64;
        let mean = batches.iter().sum::<f64>() / count;
        let variance = batches.iter().map(|batch| (batch - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Self { mean, standard_error: (variance / count).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_batches_have_half_the_error_of_one() {
        let estimate = Estimate::from_batches(&[1.0, 3.0, 1.0, 3.0]);
        assert_eq!(estimate.mean, 2.0);
        assert!((estimate.standard_error - (4.0f64 / 3.0).sqrt() / 2.0).abs() < 1e-12);
    }
}
