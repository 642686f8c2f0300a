//! Latencies: every one is kept, so that percentiles are exact.

use std::fmt;
use std::time::Duration;

/// The latencies of one run.
#[derive(Default)]
pub struct Latencies {
    micros: Vec<u32>,
    sorted: bool,
}

impl Latencies {
    /// Adds one, rounded down to a microsecond; above 71 minutes all are the same.
    pub fn record(&mut self, latency: Duration) {
        self.micros.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
        self.sorted = false;
    }

    /// Adds all of another run.
    pub fn merge(&mut self, other: Self) {
        self.micros.extend(other.micros);
        self.sorted = false;
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.micros.len()
    }

    /// The latency that `per_cent` of all do not exceed (nearest rank); zero if there is none.
    pub fn percentile(&mut self, per_cent: f64) -> Duration {
        if !self.sorted {
            self.micros.sort_unstable();
            self.sorted = true;
        }
        let Some(last) = self.micros.len().checked_sub(1) else { return Duration::ZERO };
        let rank = (per_cent / 100.0 * self.micros.len() as f64).ceil();
        // The cast saturates; a rank is a small positive number.
        #[allow(clippy::cast_possible_truncation)]
        let at = (rank as usize).saturating_sub(1).min(last);
        Duration::from_micros(u64::from(self.micros[at]))
    }

    /// The percentiles that every report shows.
    pub fn summary(&mut self) -> Summary {
        Summary([50.0, 99.0, 99.9, 100.0].map(|per_cent| self.percentile(per_cent)))
    }
}

/// 50th, 99th and 99.9th percentile, and the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary(pub [Duration; 4]);

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, p999, max] = self.0.map(|latency| latency.as_secs_f64() * 1e3);
        write!(f, "p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, max {max:.2} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::default();
        micros.into_iter().for_each(|one| latencies.record(Duration::from_micros(one)));
        latencies
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut hundred = of((1..=100).rev());
        assert_eq!(hundred.percentile(50.0), Duration::from_micros(50));
        assert_eq!(hundred.percentile(99.0), Duration::from_micros(99));
        assert_eq!(hundred.percentile(99.9), Duration::from_micros(100));
        assert_eq!(hundred.percentile(100.0), Duration::from_micros(100));
        assert_eq!(of([7]).percentile(0.0), Duration::from_micros(7));
        assert_eq!(of([]).percentile(50.0), Duration::ZERO);
    }

    #[test]
    fn a_merged_run_counts_like_one() {
        let mut all = of([1, 3]);
        assert_eq!(all.percentile(100.0), Duration::from_micros(3));
        all.merge(of([2, 9]));
        assert_eq!(all.count(), 4);
        assert_eq!(all.percentile(100.0), Duration::from_micros(9));
        assert_eq!(all.percentile(50.0), Duration::from_micros(2));
    }
}
