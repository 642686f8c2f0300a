//! Series: one figure, measured once a round.

/// The values of one figure, in the order of the rounds.
#[derive(Debug, Clone, Default)]
pub struct Series(Vec<f64>);

impl Series {
    /// Adds the value of a round.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The values, round by round.
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// The smallest value; not a number if there is none.
    pub fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::min)
    }

    /// The largest value; not a number if there is none.
    pub fn most(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }

    /// The middle value, or the mean of the two in the middle; not a number if there is none.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match (sorted.get(middle), sorted.len() % 2) {
            (None, _) => f64::NAN,
            (Some(upper), 0) => f64::midpoint(sorted[middle - 1], *upper),
            (Some(value), _) => *value,
        }
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let median = |values: &[f64]| values.iter().copied().collect::<Series>().median();
        assert!(median(&[]).is_nan());
        assert_eq!(median(&[3.0]).to_bits(), 3.0_f64.to_bits());
        assert_eq!(median(&[9.0, 1.0, 2.0]).to_bits(), 2.0_f64.to_bits());
        assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]).to_bits(), 3.0_f64.to_bits());
    }

    #[test]
    fn extremes_of_nothing_are_not_numbers() {
        let series: Series = [2.0, 1.0, 3.0].into_iter().collect();
        assert_eq!(series.least().to_bits(), 1.0_f64.to_bits());
        assert_eq!(series.most().to_bits(), 3.0_f64.to_bits());
        assert!(Series::default().least().is_nan() && Series::default().most().is_nan());
    }
}
