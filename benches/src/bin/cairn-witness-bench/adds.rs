//! Adds: checkpoints of many logs, one request of each log under way at a time.
//!
//! Closed loop first, as fast as the answers come; then an open loop at half that rate, whose
//! latencies count from the time at which a request was due.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use log_benches::checkpoints::{Lane, lanes};
use log_benches::connection::Connection;
use log_benches::latency::Latencies;
use log_benches::series::Series;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// What is sent.
pub(crate) struct Plan {
    pub(crate) logs: usize,
    pub(crate) steps: usize,
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
}

/// One witness, and what was found.
struct Target {
    name: String,
    address: SocketAddr,
    /// The next step of each log.
    next: Vec<usize>,
    per_second: Series,
    p50_ms: Series,
    p99_ms: Series,
    half_p99_ms: Series,
}

/// Plays all rounds and prints the table; whether the gates hold.
pub(crate) fn run(targets: &[(String, SocketAddr)], plan: &Plan) -> anyhow::Result<bool> {
    eprintln!("signing {} checkpoints for each of {} logs", plan.steps, plan.logs);
    let lanes = Arc::new(lanes(plan.logs, plan.steps)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut targets: Vec<Target> =
        targets.iter().map(|(name, address)| Target::new(name, *address, plan.logs)).collect();
    for round in 1..=plan.rounds {
        for target in &mut targets {
            eprintln!("round {round} of {}: {}", plan.rounds, target.name);
            target.play(&lanes, plan.time, &runtime)?;
        }
    }
    Ok(report(&targets))
}

impl Target {
    fn new(name: &str, address: SocketAddr, logs: usize) -> Self {
        let (per_second, p50_ms) = (Series::default(), Series::default());
        let (p99_ms, half_p99_ms) = (Series::default(), Series::default());
        let next = vec![0; logs];
        Self { name: name.into(), address, next, per_second, p50_ms, p99_ms, half_p99_ms }
    }

    fn play(
        &mut self,
        lanes: &Arc<Vec<Lane>>,
        time: Duration,
        runtime: &Runtime,
    ) -> anyhow::Result<()> {
        let (mut latencies, elapsed) = runtime.block_on(self.send(lanes, time, None))?;
        let per_second = latencies.count() as f64 / elapsed.as_secs_f64();
        self.per_second.push(per_second);
        self.p50_ms.push(latencies.percentile(50.0).as_secs_f64() * 1e3);
        self.p99_ms.push(latencies.percentile(99.0).as_secs_f64() * 1e3);
        let half = Some(per_second / 2.0);
        let (mut latencies, _) = runtime.block_on(self.send(lanes, time, half))?;
        self.half_p99_ms.push(latencies.percentile(99.0).as_secs_f64() * 1e3);
        Ok(())
    }

    /// Sends on all lanes for some time, at `per_second` in all or as fast as the answers come.
    async fn send(
        &mut self,
        lanes: &Arc<Vec<Lane>>,
        time: Duration,
        per_second: Option<f64>,
    ) -> anyhow::Result<(Latencies, Duration)> {
        let began = Instant::now();
        let interval =
            per_second.map(|rate| Duration::from_secs_f64(self.next.len() as f64 / rate));
        let mut workers = JoinSet::new();
        for (lane, next) in self.next.iter().enumerate() {
            // Lanes are due one after the other, not all at once.
            let offset = interval.map_or(Duration::ZERO, |every| {
                every.mul_f64(lane as f64 / self.next.len() as f64)
            });
            let work = Work {
                lanes: Arc::clone(lanes),
                lane,
                next: *next,
                address: self.address,
                due: began + offset,
                interval,
                end: began + time,
            };
            workers.spawn(work.run());
        }
        let mut all = Latencies::default();
        while let Some(worker) = workers.join_next().await {
            let (lane, next, latencies) = worker?.with_context(|| self.name.clone())?;
            self.next[lane] = next;
            all.merge(latencies);
        }
        Ok((all, began.elapsed()))
    }
}

/// What one lane does in one measurement.
struct Work {
    lanes: Arc<Vec<Lane>>,
    lane: usize,
    next: usize,
    address: SocketAddr,
    due: Instant,
    interval: Option<Duration>,
    end: Instant,
}

impl Work {
    async fn run(mut self) -> anyhow::Result<(usize, usize, Latencies)> {
        let mut connection = Connection::open(self.address).await?;
        let mut latencies = Latencies::default();
        let mut request = Vec::with_capacity(4096);
        loop {
            let intended = match self.interval {
                None => Instant::now(),
                Some(every) => {
                    let due = self.due;
                    self.due += every;
                    due
                }
            };
            if intended >= self.end {
                return Ok((self.lane, self.next, latencies));
            }
            if self.interval.is_some() {
                tokio::time::sleep_until(intended.into()).await;
            }
            let lane = &self.lanes[self.lane];
            ensure!(self.next < lane.len(), "no checkpoints left: --steps");
            lane.write_request(self.next, self.address, &mut request);
            let answer = connection.exchange(&request).await?;
            if answer.status != 200 {
                let said = String::from_utf8_lossy(answer.body).into_owned();
                bail!("log {}, size {}: {} {said}", self.lane, self.next + 1, answer.status);
            }
            self.next += 1;
            latencies.record(intended.elapsed());
        }
    }
}

/// Prints the table; whether the gates of the rows that have some hold.
fn report(targets: &[Target]) -> bool {
    let Some(base) = targets.first() else { return true };
    println!(
        "| witness | adds a second | range | x {} | p50 | p99 | p99 at half rate |",
        base.name
    );
    println!("|---|---|---|---|---|---|---|");
    for target in targets {
        println!(
            "| {} | {:.0} | {:.0} to {:.0} | {:.2} | {:.1} ms | {:.1} ms | {:.1} ms |",
            target.name,
            target.per_second.median(),
            target.per_second.least(),
            target.per_second.most(),
            target.per_second.median() / base.per_second.median(),
            target.p50_ms.median(),
            target.p99_ms.median(),
            target.half_p99_ms.median(),
        );
    }
    let mut holds = true;
    for target in targets {
        let ratio = target.per_second.median() / base.per_second.median();
        let gates = match target.name.as_str() {
            "cairn-ed25519" => vec![
                (ratio >= 5.0, "at least 5 times the first witness"),
                (target.half_p99_ms.median() < 20.0, "p99 at half rate below 20 ms"),
            ],
            "cairn-both" => {
                vec![(target.per_second.median() >= 1000.0, "at least 1,000 adds a second")]
            }
            _ => Vec::new(),
        };
        for (kept, gate) in gates {
            println!("{}: {}: {gate}", if kept { "holds" } else { "MISSED" }, target.name);
            holds &= kept;
        }
    }
    holds
}
