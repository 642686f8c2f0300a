//! What machines are told of logs whose witnesses are not there.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use futures_util::FutureExt;
use http_body_util::BodyExt;
use log_core::cosignature::CosignerKey;
use log_core::key::KeyName;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::clock::Clock;
use crate::config::Config;
use crate::init::{DefaultLogs, REKOR_V2_LOG, init};
use crate::log::Surroundings;
use crate::metrics::Metrics;
use crate::store::rocks::RocksShared;

/// Enough for the stores of a test.
const MEMORY_BYTES: usize = 16 * 1024 * 1024;

/// A data directory with one log.
struct Made(TempDir);

impl Made {
    /// A log with three witnesses that nobody runs, two needed, and these further settings.
    fn with_witnesses(settings: &str) -> Self {
        let made = Self::without_witnesses();
        let witness = |name: &str, seed| {
            let key = CosignerKey::ed25519(KeyName::parse(name).expect("a name"), [seed; 32]);
            format!("witness {name} {} http://127.0.0.1:1/{name}\n", key.verifier_key())
        };
        let (w1, w2, w3) = (witness("w1", 1), witness("w2", 2), witness("w3", 3));
        let policy = format!("{w1}{w2}{w3}group q 2 w1 w2 w3\nquorum q\n");
        std::fs::write(made.path().join("policy.txt"), policy).expect("a file");
        let path = made.path().join("cairn.toml");
        let config = std::fs::read_to_string(&path).expect("init made it");
        let config = format!("{config}witness_policy = \"policy.txt\"\n{settings}");
        std::fs::write(path, config).expect("a file");
        made
    }

    fn without_witnesses() -> Self {
        let made = Self(tempfile::tempdir().expect("a directory"));
        let logs = DefaultLogs::random().expect("randomness");
        init(&made.path(), "log.example", logs, jiff::Timestamp::now()).expect("logs");
        made
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn open(&self, unchecked: &[String], excluded: &[String]) -> Engine {
        self.open_with(Clock::system(), unchecked, excluded)
    }

    fn open_with(&self, clock: Clock, unchecked: &[String], excluded: &[String]) -> Engine {
        let mut config = Config::load(&self.path()).expect("a configuration");
        config.set_start_flags(unchecked, excluded).expect("flags");
        let on_fatal = Arc::new(|log: &str, fatal: &crate::log::Fatal| panic!("{log}: {fatal}"));
        let surroundings = Surroundings { clock, on_fatal, shut: Arc::default() };
        let rocks = RocksShared::new(MEMORY_BYTES).expect("caches");
        Engine::open(&self.path(), &config, &rocks, &Metrics::new(), &surroundings).expect("a log")
    }
}

fn body(response: Response<Full<Bytes>>) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().now_or_never().expect("it is there");
    let body = body.expect("no error").to_bytes();
    (status, serde_json::from_slice(&body).expect("JSON"))
}

/// The log in `/readyz`, once it is in this state and every witness has had its say.
fn ready_row(engine: &Engine, state: &str) -> (u16, Value) {
    let heard = |row: &Value| {
        let rows = row["witnessing"]["witnesses"].as_array().expect("witnesses");
        rows.iter().all(|row| row["state"] != "unasked")
    };
    ready_row_when(engine, |row| row["state"] == state && heard(row))
}

fn ready_row_when(engine: &Engine, is_so: impl Fn(&Value) -> bool) -> (u16, Value) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (status, mut all) = body(ready(engine));
        let row = all["logs"][1].take();
        if is_so(&row) {
            return (status, row);
        }
        assert!(Instant::now() < deadline, "still {row:#}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_log_without_witnesses_says_nothing_of_them() {
    let engine = Made::without_witnesses().open(&[], &[]);
    for (status, all) in [body(ready(&engine)), body(logs(&engine))] {
        let row = &all["logs"][1];
        assert_eq!((status, row["state"].as_str()), (200, Some("open")), "{row:#}");
        assert_eq!(row["size"], 0);
        assert!(row.get("witnessing").is_none() && row.get("reason").is_none(), "{row:#}");
    }
    engine.stop();
}

#[test]
fn a_log_that_promises_times_is_not_ready_while_its_clock_is_wrong() {
    let now_ms = Clock::system().now_ms();
    let wall_ms = Arc::new(AtomicU64::new(now_ms));
    let wall = Arc::clone(&wall_ms);
    let clock = Clock::new(move || UNIX_EPOCH + Duration::from_millis(wall.load(Ordering::SeqCst)));
    let engine = Made::without_witnesses().open_with(clock, &[], &[]);
    for (ms, code, state) in
        [(now_ms, 200, "open"), (now_ms + 600_000, 503, "clock"), (now_ms, 200, "open")]
    {
        wall_ms.store(ms, Ordering::SeqCst);
        let (status, all) = body(ready(&engine));
        let [v1, v2] = [&all["logs"][0], &all["logs"][1]];
        assert_eq!((status, &v1["state"], &v2["state"]), (code, &state.into(), &"open".into()));
        let reason = v1["reason"].as_str();
        assert_eq!(reason.is_some_and(|why| why.contains("the time of day")), state == "clock");
    }
    engine.stop();
}

#[test]
fn a_log_that_asks_is_not_ready_and_names_who_is_missing() {
    let made = Made::with_witnesses(
        "also_ask = []\nwitness_per_day = { w1 = 864000, w2 = 864000, w3 = 864000 }\n",
    );
    let engine = made.open(&[], &[]);
    let (status, row) = ready_row(&engine, "asking");
    assert_eq!(status, 503);
    assert!(row.get("size").is_none(), "nothing was published: {row:#}");
    let reason = row["reason"].as_str().expect("a reason");
    assert!(reason.contains("w1 down") && reason.contains("w2 down"), "{reason}");
    let witnessing = &row["witnessing"];
    assert_eq!(witnessing["uncheckedStart"], false);
    assert_eq!(witnessing["publishWithoutQuorum"], false);
    assert_eq!(witnessing["roundIntervalMs"], 100);
    let first = &witnessing["witnesses"][0];
    assert_eq!(first["name"], "w1");
    assert_eq!(first["url"], "http://127.0.0.1:1/w1");
    assert_eq!(first["perDay"], 864_000);
    assert_eq!(first["alsoAsk"], false);
    assert!(first["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{first:#}");
    assert!(first.get("cosignedAgeS").is_none(), "{first:#}");

    // Nobody looks at what an entry says before it could get in.
    let hosted = engine.log(REKOR_V2_LOG).expect("a log");
    let refused = crate::api::rekor_v2::post(hosted, Bytes::from_static(b"no JSON"));
    let Some(Err(refused)) = refused.now_or_never() else { panic!("refused, without a wait") };
    assert_eq!(refused.into_response().status(), 503);

    // The public list says that the log does not serve, and no more of its witnesses.
    let (status, all) = body(logs(&engine));
    assert_eq!((status, all["logs"][1]["state"].as_str()), (200, Some("asking")));
    assert!(all["logs"][1].get("witnessing").is_none());
    engine.stop();
}

#[test]
fn exceptions_of_one_start_are_shown() {
    let made = Made::with_witnesses("");
    let (unchecked, excluded) = ([REKOR_V2_LOG.to_owned()], [format!("{REKOR_V2_LOG}/w3")]);
    let engine = made.open(&unchecked, &excluded);
    let says = |row: &Value, at: usize, state| row["witnessing"]["witnesses"][at]["state"] == state;
    let (status, row) = ready_row_when(&engine, |row| {
        row["state"] == "no-quorum" && says(row, 0, "down") && says(row, 1, "down")
    });
    assert_eq!(status, 503);
    assert_eq!(row["witnessing"]["uncheckedStart"], true);
    assert!(says(&row, 2, "excluded"), "{row:#}");
    engine.stop();
}

#[test]
fn a_log_that_publishes_without_its_quorum_is_degraded() {
    let made = Made::with_witnesses("on_missing_quorum = \"publish\"\n");
    let unchecked = [REKOR_V2_LOG.to_owned()];
    let engine = made.open(&unchecked, &[]);
    let (status, row) =
        ready_row_when(&engine, |row| row["state"] == "degraded" && row["size"] == 0);
    assert_eq!(status, 503);
    assert_eq!(row["witnessing"]["publishWithoutQuorum"], true);
    assert!(row["reason"].as_str().is_some_and(|why| why.contains("on_missing_quorum")));
    engine.stop();
}
