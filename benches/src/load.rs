//! Load: sends the entries of a corpus over many connections and measures the answers.
//!
//! Closed loop: each connection sends its next entry once it has its answer. Open loop: entries
//! have times at which they must be sent, whatever the server does, and a latency counts from that
//! time, so that a server that stalls cannot hide it by slowing the client down.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::check::Checker;
use crate::connection::Connection;
use crate::corpus::{Corpus, Protocol};
use crate::latency::Latencies;

/// How entries follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As fast as the answers come.
    Closed,
    /// So many a second, evenly.
    Open(f64),
}

/// When a run ends: whatever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Until {
    /// So many entries were sent.
    pub entries: usize,
    /// So much time has passed.
    pub time: Duration,
}

/// Connections to a server and the entries that are left to send.
pub struct Load {
    corpus: Arc<Corpus>,
    connections: Vec<Connection>,
    next: usize,
    /// One answer in so many is kept to be checked; 0 for none.
    sample_one_in: usize,
}

/// What happened in a run.
#[derive(Default)]
pub struct Outcome {
    /// Entries that the log took, by its answer.
    pub accepted: u64,
    /// Other answers, by status.
    pub refused: BTreeMap<u16, u64>,
    /// Connections that broke, with the reason of the first.
    pub broken: u64,
    /// What was wrong first, for the report.
    pub first_fault: Option<String>,
    /// From the request, or from its intended time, to the answer.
    pub latencies: Latencies,
    /// How long it took.
    pub elapsed: Duration,
    samples: Vec<Sample>,
}

/// An answer that is to be checked, to the entry `at`.
struct Sample {
    at: usize,
    answer: Vec<u8>,
}

impl Load {
    /// Entries of a corpus, to be sent in their order; nothing is connected yet.
    pub fn new(corpus: Arc<Corpus>, sample_one_in: usize) -> Self {
        Self { corpus, connections: Vec::new(), next: 0, sample_one_in }
    }

    /// Replaces all connections: by the first ones, by more or fewer, or after the server was
    /// started again.
    ///
    /// # Errors
    /// A connection is refused.
    pub async fn reconnect(&mut self, address: SocketAddr, connections: usize) -> io::Result<()> {
        self.connections.clear();
        for _ in 0..connections {
            self.connections.push(Connection::open(address).await?);
        }
        Ok(())
    }

    /// Entries that were not sent yet.
    pub fn left(&self) -> usize {
        self.corpus.len() - self.next
    }

    /// Sends entries, and leaves the connections open for the next run, except those that broke.
    ///
    /// # Errors
    /// A connection's task was lost.
    pub async fn run(&mut self, pace: Pace, until: Until) -> io::Result<Outcome> {
        let began = Instant::now();
        let end = self.next + until.entries.min(self.left());
        let shared = Arc::new(Shared {
            corpus: Arc::clone(&self.corpus),
            next: AtomicUsize::new(self.next),
            end,
            deadline: began + until.time,
            sample_one_in: self.sample_one_in,
            timetable: match pace {
                Pace::Closed => None,
                Pace::Open(per_second) => Some(Mutex::new(timetable(began, per_second))),
            },
        });
        let mut workers = JoinSet::new();
        for connection in self.connections.drain(..) {
            workers.spawn(work(connection, Arc::clone(&shared)));
        }
        let mut outcome = Outcome::default();
        while let Some(worker) = workers.join_next().await {
            let (connection, part) = worker.map_err(io::Error::other)?;
            self.connections.extend(connection);
            outcome.merge(part);
        }
        outcome.elapsed = began.elapsed();
        self.next = shared.next.load(Ordering::Relaxed).min(end);
        Ok(outcome)
    }

    /// Checks the answers that a run kept, and tells how many.
    ///
    /// # Errors
    /// What is wrong with the first bad one.
    pub fn check(&self, checker: &Checker, outcome: &Outcome) -> anyhow::Result<usize> {
        for Sample { at, answer } in &outcome.samples {
            let leaf = self.corpus.leaf(*at);
            let checked = match self.corpus.protocol() {
                Protocol::RekorV1 => checker.log_entry(&leaf, answer),
                Protocol::RekorV2 => checker.transparency_log_entry(&leaf, answer),
                Protocol::Raw => checker.tlog_proof(&leaf, answer),
            };
            checked.with_context(|| format!("the answer to entry {at}"))?;
        }
        Ok(outcome.samples.len())
    }
}

impl Outcome {
    /// Accepted entries a second.
    pub fn per_second(&self) -> f64 {
        self.accepted as f64 / self.elapsed.as_secs_f64()
    }

    /// Whether every entry that was sent was accepted.
    pub fn is_clean(&self) -> bool {
        self.broken == 0 && self.refused.is_empty()
    }

    fn merge(&mut self, other: Self) {
        self.accepted += other.accepted;
        for (status, count) in other.refused {
            *self.refused.entry(status).or_default() += count;
        }
        self.broken += other.broken;
        self.first_fault = self.first_fault.take().or(other.first_fault);
        self.latencies.merge(other.latencies);
        self.samples.extend(other.samples);
    }
}

/// What the connections of a run share.
struct Shared {
    corpus: Arc<Corpus>,
    next: AtomicUsize,
    end: usize,
    deadline: Instant,
    sample_one_in: usize,
    /// The intended times of an open loop. Connections that are free wait in line for the next.
    timetable: Option<Mutex<mpsc::UnboundedReceiver<Instant>>>,
}

impl Shared {
    /// The next entry, and when it was to be sent.
    async fn take(&self) -> Option<(usize, Instant)> {
        let intended = match &self.timetable {
            None => Instant::now(),
            Some(timetable) => timetable.lock().await.recv().await?,
        };
        if intended >= self.deadline {
            return None;
        }
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        (at < self.end).then_some((at, intended))
    }
}

/// Sends entries on one connection until there are no more, and gives it back if it still works.
async fn work(mut connection: Connection, shared: Arc<Shared>) -> (Option<Connection>, Outcome) {
    let mut outcome = Outcome::default();
    let mut request = Vec::with_capacity(1024);
    while let Some((at, intended)) = shared.take().await {
        let sampled = shared.sample_one_in > 0 && at % shared.sample_one_in == 0;
        shared.corpus.write_request(at, sampled, &mut request);
        let answer = match connection.exchange(&request).await {
            Ok(answer) => answer,
            Err(error) => {
                outcome.broken += 1;
                outcome.first_fault = Some(error.to_string());
                return (None, outcome);
            }
        };
        outcome.latencies.record(intended.elapsed());
        if matches!(answer.status, 200 | 201) {
            outcome.accepted += 1;
            if sampled {
                outcome.samples.push(Sample { at, answer: answer.body.to_vec() });
            }
        } else {
            *outcome.refused.entry(answer.status).or_default() += 1;
            let text = || String::from_utf8_lossy(answer.body).into_owned();
            outcome.first_fault.get_or_insert_with(text);
        }
    }
    (Some(connection), outcome)
}

/// A thread that tells when each entry is to be sent. The timers of the runtime tick once a
/// millisecond, which would be seen in the latencies of a fast server; the thread sleeps exactly.
fn timetable(began: Instant, per_second: f64) -> mpsc::UnboundedReceiver<Instant> {
    let (tell, told) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for number in 0_u64.. {
            let intended = began + Duration::from_secs_f64(number as f64 / per_second);
            std::thread::sleep(intended.saturating_duration_since(Instant::now()));
            // The run drops its end when it is over.
            if tell.send(intended).is_err() {
                return;
            }
        }
    });
    told
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that takes raw entries of 32 bytes; it is silent for `pause` before answer `at`.
    async fn server(status: &'static str, at: usize, pause: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answered = Arc::new(AtomicUsize::new(0));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answered = Arc::clone(&answered);
                tokio::spawn(async move {
                    let mut inbox = [0; 4096];
                    while matches!(stream.read(&mut inbox).await, Ok(1..)) {
                        if answered.fetch_add(1, Ordering::SeqCst) == at {
                            tokio::time::sleep(pause).await;
                        }
                        let text = format!("HTTP/1.1 {status}\r\ncontent-length: 1\r\n\r\n0");
                        stream.write_all(text.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        address
    }

    async fn load(address: SocketAddr, connections: usize) -> Load {
        let corpus = Corpus::raw("localhost", "one", 32, 400).unwrap();
        let mut load = Load::new(Arc::new(corpus), 0);
        load.reconnect(address, connections).await.unwrap();
        load
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_closed_loop_sends_each_entry_once() {
        let address = server("200 OK", usize::MAX, Duration::ZERO).await;
        let mut load = load(address, 4).await;
        let first = load.run(Pace::Closed, Until { entries: 150, time: LONG }).await.unwrap();
        assert!(first.is_clean());
        assert_eq!((first.accepted, load.left()), (150, 250));
        let second = load.run(Pace::Closed, Until { entries: 1000, time: LONG }).await.unwrap();
        assert_eq!((second.accepted, load.left()), (250, 0));
        assert_eq!(second.latencies.count(), 250);
    }

    #[tokio::test]
    async fn a_stall_shows_in_the_latencies_of_everything_that_was_to_be_sent_meanwhile() {
        let pause = Duration::from_millis(200);
        let address = server("200 OK", 10, pause).await;
        let mut load = load(address, 1).await;
        let until = Until { entries: 200, time: LONG };
        let mut outcome = load.run(Pace::Open(500.0), until).await.unwrap();
        assert_eq!(outcome.accepted, 200);
        // 200 ms are 100 of 200 entries; measured from the request it would be one.
        let half = outcome.latencies.percentile(75.0);
        assert!(half > pause / 4, "{half:?}");
        assert!(outcome.elapsed >= Duration::from_millis(390), "{:?}", outcome.elapsed);
    }

    #[tokio::test]
    async fn refusals_and_broken_connections_are_counted() {
        let address = server("503 Busy", usize::MAX, Duration::ZERO).await;
        let mut busy = load(address, 2).await;
        let outcome = busy.run(Pace::Closed, Until { entries: 10, time: LONG }).await.unwrap();
        assert_eq!((outcome.accepted, outcome.refused.get(&503)), (0, Some(&10)));
        assert_eq!(outcome.first_fault.as_deref(), Some("0"));

        let address = server("nonsense", usize::MAX, Duration::ZERO).await;
        let mut broken = load(address, 2).await;
        let outcome = broken.run(Pace::Closed, Until { entries: 10, time: LONG }).await.unwrap();
        assert_eq!((outcome.broken, outcome.is_clean()), (2, false));
    }

    #[tokio::test]
    async fn a_run_ends_when_its_time_is_over() {
        let address = server("200 OK", usize::MAX, Duration::ZERO).await;
        let mut load = load(address, 2).await;
        let time = Duration::from_millis(50);
        for pace in [Pace::Closed, Pace::Open(100.0)] {
            let outcome = load.run(pace, Until { entries: 0, time: LONG }).await.unwrap();
            assert_eq!(outcome.accepted, 0);
            let outcome = load.run(pace, Until { entries: 150, time }).await.unwrap();
            assert!(outcome.accepted > 0 && outcome.elapsed < LONG);
        }
    }
}
