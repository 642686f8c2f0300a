//! Search: one hit among millions of keys beside a bare get, and the first page of a million hits.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use log_benches::connection::{Connection, get};
use log_benches::latency::Latencies;
use log_benches::series::Series;
use log_benches::server::{Server, check_disk, free_address};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::task::{JoinSet, LocalSet};

use crate::fill::{COMMON, Filling};
use crate::{bare, fill, say};

/// A search that finds one entry by a bare get: latency of one connection, and the time that the
/// cores need for a request when there are many.
const SEARCH_RATIO_MOST: f64 = 3.0;
/// The first page of a search with a million hits, in milliseconds.
const PAGE_MS_MOST: f64 = 10.0;
/// Hits in such a page.
const PAGES: [usize; 2] = [100, 1000];
/// Requests of a block; blocks of both servers follow each other.
const BLOCK: usize = 500;
/// Blocks of each server in a round.
const BLOCKS: usize = 4;
/// Pages of each size.
const PAGES_READ: usize = 300;
/// Connections of the part that asks for as much as it can get.
const CONNECTIONS: usize = 64;
/// How long that takes.
const BUSY_TIME: Duration = Duration::from_secs(3);
/// A start that takes longer has failed.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// What is filled and asked.
pub(crate) struct Plan {
    pub(crate) filling: Filling,
    pub(crate) rounds: usize,
}

/// One of the two servers, and what was found.
struct Subject {
    name: &'static str,
    address: SocketAddr,
    request: fn(SocketAddr, u64) -> String,
    p50_us: Series,
    per_second: Series,
}

/// Fills, asks, prints the table; whether the gates hold.
pub(crate) fn run(dir: &Path, plan: &Plan) -> anyhow::Result<bool> {
    check_disk(dir)?;
    let dir = tempfile::tempdir_in(dir)?;
    let (data_dir, db) = (dir.path().join("data"), dir.path().join("bare"));
    let program = std::env::current_exe()?.with_file_name("cairn-server");
    let (mut server, _) = Server::init(&program, &data_dir)?;
    let filling = plan.filling;
    say(&format!("{} entries with {} search keys", filling.entries, filling.distinct()));
    fill::fill(&data_dir, &filling)?;
    say("filling the bare store");
    bare::fill(&db, &filling)?;

    // One thread: on the cores that it shares with the servers the client has to be cheap.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    server.start(&runtime)?;
    let bare = Bare::start(&db, &runtime)?;
    let cold = runtime.block_on(page(server.address(), PAGES[0], 1))?.percentile(100.0);
    let mut subjects = [
        Subject::new("index/retrieve", server.address(), search),
        Subject::new("bare get", bare.address, bare_get),
    ];
    runtime.block_on(check(&subjects[0], &filling))?;
    for round in 0..plan.rounds {
        say(&format!("round {} of {}", round + 1, plan.rounds));
        runtime.block_on(LocalSet::new().run_until(play(&mut subjects, &filling, round)))?;
    }
    let mut pages = Vec::new();
    for limit in PAGES {
        pages.push((limit, runtime.block_on(page(server.address(), limit, PAGES_READ))?));
    }
    Ok(report(&subjects, &mut pages, cold))
}

/// Both servers in turns: first one request at a time, then as many as they answer.
async fn play(subjects: &mut [Subject; 2], filling: &Filling, round: usize) -> anyhow::Result<()> {
    let mut latencies = [Latencies::default(), Latencies::default()];
    for block in 0..BLOCKS {
        for (subject, latencies) in subjects.iter().zip(&mut latencies) {
            let mut connection = Connection::open(subject.address).await?;
            for at in 0..BLOCK {
                let number = scattered((round * BLOCKS + block) * BLOCK + at, filling);
                let request = (subject.request)(subject.address, number);
                let began = Instant::now();
                let answer = connection.exchange(request.as_bytes()).await?;
                latencies.record(began.elapsed());
                ensure!(answer.status == 200, "{}: {}", subject.name, answer.status);
            }
        }
    }
    for (subject, latencies) in subjects.iter_mut().zip(&mut latencies) {
        subject.p50_us.push(latencies.percentile(50.0).as_secs_f64() * 1e6);
        let answered = busy(subject, filling).await?;
        subject.per_second.push(answered as f64 / BUSY_TIME.as_secs_f64());
    }
    Ok(())
}

/// Requests that were answered over many connections.
async fn busy(subject: &Subject, filling: &Filling) -> anyhow::Result<u64> {
    let end = Instant::now() + BUSY_TIME;
    let mut workers = JoinSet::new();
    for worker in 0..CONNECTIONS {
        let (address, request, filling) = (subject.address, subject.request, *filling);
        workers.spawn_local(async move {
            let mut connection = Connection::open(address).await?;
            let mut answered = 0;
            while Instant::now() < end {
                let number = scattered(worker + CONNECTIONS * answered, &filling);
                let answer = connection.exchange(request(address, number).as_bytes()).await?;
                ensure!(answer.status == 200, "status {}", answer.status);
                answered += 1;
            }
            anyhow::Ok(answered as u64)
        });
    }
    let mut answered = 0;
    while let Some(worker) = workers.join_next().await {
        answered += worker??;
    }
    Ok(answered)
}

/// First pages of the search that has the most hits.
async fn page(address: SocketAddr, limit: usize, count: usize) -> anyhow::Result<Latencies> {
    let mut connection = Connection::open(address).await?;
    let request = post(address, &format!(r#"{{"email":"{COMMON}","limit":{limit}}}"#));
    let mut latencies = Latencies::default();
    for _ in 0..count {
        let began = Instant::now();
        let answer = connection.exchange(request.as_bytes()).await?;
        latencies.record(began.elapsed());
        ensure!(answer.status == 200, "status {}", answer.status);
        let ids: Vec<String> = serde_json::from_slice(answer.body)?;
        ensure!(ids.len() == limit, "{} of {limit} hits", ids.len());
    }
    Ok(latencies)
}

/// A sample of the searches finds the one entry that it must find.
async fn check(subject: &Subject, filling: &Filling) -> anyhow::Result<()> {
    let mut connection = Connection::open(subject.address).await?;
    for at in 0..BLOCK {
        let number = scattered(at, filling);
        let request = (subject.request)(subject.address, number);
        let answer = connection.exchange(request.as_bytes()).await?;
        let found: Value = serde_json::from_slice(answer.body)?;
        let hash = Filling::leaf(number / filling.keys).hash().to_string();
        let is_hit = |id: &Value| id.as_str().is_some_and(|id| id.ends_with(&hash));
        let found = found.as_array().context("an array")?;
        ensure!(found.len() == 1 && is_hit(&found[0]), "key {number} finds {found:?}");
    }
    Ok(())
}

/// The numbers of distinct keys in an order that has nothing to do with that of the entries.
fn scattered(at: usize, filling: &Filling) -> u64 {
    (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % filling.distinct()
}

fn search(address: SocketAddr, number: u64) -> String {
    post(address, &format!(r#"{{"hash":"sha256:{}"}}"#, Filling::digest(number)))
}

fn bare_get(address: SocketAddr, number: u64) -> String {
    format!("GET /{} HTTP/1.1\r\nhost: {address}\r\n\r\n", Filling::digest(number))
}

fn post(address: SocketAddr, body: &str) -> String {
    format!(
        "POST /api/v1/index/retrieve HTTP/1.1\r\nhost: {address}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

impl Subject {
    fn new(
        name: &'static str,
        address: SocketAddr,
        request: fn(SocketAddr, u64) -> String,
    ) -> Self {
        let (p50_us, per_second) = (Series::default(), Series::default());
        Self { name, address, request, p50_us, per_second }
    }
}

/// The bare server, a process of its own as the other one is.
struct Bare {
    address: SocketAddr,
    child: Child,
}

impl Bare {
    fn start(db: &Path, runtime: &Runtime) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bare", "--listen", &address.to_string(), "--db"]).arg(db);
        let this = Self { address, child: command.stdin(Stdio::null()).spawn()? };
        let path = format!("/{}", Filling::digest(0));
        let began = Instant::now();
        while !matches!(runtime.block_on(get(address, &path)), Ok((200, _))) {
            ensure!(began.elapsed() < START_TIME_MAX, "the bare server does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(this)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // Nothing depends on its end: the directory is thrown away.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Prints the tables; whether the gates hold.
fn report(subjects: &[Subject; 2], pages: &mut [(usize, Latencies)], cold: Duration) -> bool {
    println!(
        "| one hit | p50, 1 connection | range | a second, {CONNECTIONS} connections | range |"
    );
    println!("|---|---|---|---|---|");
    for one in subjects {
        let (p50, rate) = (&one.p50_us, &one.per_second);
        println!(
            "| {} | {:.0} us | {:.0} to {:.0} us | {:.0} | {:.0} to {:.0} |",
            one.name,
            p50.median(),
            p50.least(),
            p50.most(),
            rate.median(),
            rate.least(),
            rate.most(),
        );
    }
    let [search, bare] = subjects;
    let latency = search.p50_us.median() / bare.p50_us.median();
    let time = bare.per_second.median() / search.per_second.median();
    println!(
        "latency {latency:.2} x, time of a request under load {time:.2} x; each at most \
         {SEARCH_RATIO_MOST} x"
    );
    let mut holds = latency <= SEARCH_RATIO_MOST && time <= SEARCH_RATIO_MOST;
    for (limit, latencies) in pages {
        holds &= latencies.percentile(99.0).as_secs_f64() * 1e3 < PAGE_MS_MOST;
        println!("first page of {limit}: {}", latencies.summary());
    }
    let cold_ms = cold.as_secs_f64() * 1e3;
    println!("p99 below {PAGE_MS_MOST} ms; the first of all after the start took {cold_ms:.2} ms");
    holds
}
