//! Engine: the logs of this process, open or shut, and the faces under which clients reach them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::admit::v1::Rules;
use crate::config::{Config, Duplicates, LogConfig};
use crate::log::directory::LogDirectory;
use crate::log::recover::Shut;
use crate::log::{Log, LogSettings, Personality, Surroundings};
use crate::metrics::Metrics;
use crate::store::rocks::RocksShared;

/// Every log of the configuration.
pub struct Engine {
    logs: Vec<Arc<Hosted>>,
    v2: Faces,
    v1: Faces,
    /// Told whenever a log is left shut by its witnesses.
    shut: Arc<Notify>,
}

/// The host names of one protocol.
#[derive(Default)]
struct Faces {
    /// Host name to the position of the log behind it.
    hosts: HashMap<String, usize>,
    /// The log that unclaimed hosts reach: the only one, if there is only one.
    only: Option<usize>,
}

/// One log of the configuration.
pub struct Hosted {
    /// Its settings.
    pub config: LogConfig,
    /// Its personality.
    pub personality: Personality,
    /// What it takes, if it is a Rekor v1 log.
    pub rules_v1: Rules,
    opened: Result<Log, Arc<Shut>>,
}

/// Why the engine has nothing to serve.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// Every log stayed shut.
    #[error("no log could be opened: {0}")]
    NothingOpen(String),
}

impl EngineError {
    fn nothing_open(logs: &[Arc<Hosted>]) -> Self {
        let reasons = logs.iter().filter_map(|log| log.log().err().map(|why| (log, why)));
        let reasons = reasons.map(|(log, why)| format!("{}: {why}", log.config.name));
        Self::NothingOpen(match reasons.collect::<Vec<_>>().join("; ") {
            none if none.is_empty() => "cairn.toml names no log".into(),
            some => some,
        })
    }
}

/// What a host name leads to.
pub enum Face<'a> {
    /// A log of the protocol.
    Log(&'a Arc<Hosted>),
    /// Several logs are here, and none of them has this name.
    Misdirected,
    /// There is no log of the protocol at all.
    None,
}

impl Engine {
    /// Opens every log. One that fails its checks stays shut with its reason, while the others
    /// serve.
    ///
    /// # Errors
    /// [`EngineError`] if no log at all could be opened.
    pub fn open(
        data_dir: &Path,
        config: &Config,
        rocks: &RocksShared,
        metrics: &Metrics,
        surroundings: &Surroundings,
    ) -> Result<Self, EngineError> {
        let mut logs = Vec::with_capacity(config.logs.len());
        for one in &config.logs {
            logs.push(Arc::new(Hosted::open(data_dir, one, rocks, metrics, surroundings)?));
        }
        let is_open = |log: &Arc<Hosted>| log.opened.is_ok();
        if !logs.iter().any(is_open) {
            return Err(EngineError::nothing_open(&logs));
        }
        Ok(Self::of(logs, Arc::clone(&surroundings.shut)))
    }

    fn of(logs: Vec<Arc<Hosted>>, shut: Arc<Notify>) -> Self {
        let v2 = Faces::of(&logs, Personality::RekorV2);
        let v1 = Faces::of(&logs, Personality::RekorV1);
        Self { logs, v2, v1, shut }
    }

    /// Resolves when no log is open any more, because its witnesses left the last one shut. One
    /// task may wait for it.
    pub async fn nothing_open(&self) -> EngineError {
        while self.logs.iter().any(|log| log.log().is_ok()) {
            self.shut.notified().await;
        }
        EngineError::nothing_open(&self.logs)
    }

    /// All logs, in the order of the configuration.
    pub fn logs(&self) -> &[Arc<Hosted>] {
        &self.logs
    }

    /// The log of this name.
    pub fn log(&self, name: &str) -> Option<&Arc<Hosted>> {
        self.logs.iter().find(|log| log.config.name == name)
    }

    /// The Rekor v2 log behind a host, given without its port.
    pub fn face(&self, host: &str) -> Face<'_> {
        self.v2.lead(&self.logs, host)
    }

    /// The Rekor v1 log behind a host, given without its port.
    pub fn v1_face(&self, host: &str) -> Face<'_> {
        self.v1.lead(&self.logs, host)
    }

    /// Stops every log: what waits is answered, and everything is on the disk. Blocks.
    pub fn stop(&self) {
        for log in self.logs.iter().filter_map(|log| log.opened.as_ref().ok()) {
            log.stop();
        }
    }
}

impl Faces {
    fn of(logs: &[Arc<Hosted>], personality: Personality) -> Self {
        let mut faces = Self::default();
        let mut count = 0;
        for (at, log) in logs.iter().enumerate().filter(|(_, log)| log.personality == personality) {
            let hosts = log.config.faces();
            faces.hosts.extend(hosts.iter().map(|host| (host.to_ascii_lowercase(), at)));
            count += 1;
            faces.only = (count == 1).then_some(at);
        }
        faces
    }

    fn lead<'a>(&self, logs: &'a [Arc<Hosted>], host: &str) -> Face<'a> {
        let claimed = self.hosts.get(host).or_else(|| {
            // Only a host with capital letters pays for a second look.
            self.hosts.get(&host.to_ascii_lowercase())
        });
        match claimed.or(self.only.as_ref()).and_then(|at| logs.get(*at)) {
            Some(log) => Face::Log(log),
            None if self.hosts.is_empty() => Face::None,
            None => Face::Misdirected,
        }
    }
}

impl Hosted {
    fn open(
        data_dir: &Path,
        config: &LogConfig,
        rocks: &RocksShared,
        metrics: &Metrics,
        surroundings: &Surroundings,
    ) -> Result<Self, EngineError> {
        let personality = config.personality()?;
        let settings = LogSettings {
            name: config.name.clone(),
            origin: config.origin()?,
            personality,
            pool_leaves_max: config.pool_leaves_max,
            witnesses: config.witnesses(data_dir)?,
        };
        let opened = LogDirectory::of(data_dir, config).open(
            settings,
            config.headroom_bytes,
            rocks,
            metrics.of_log(&config.name),
            surroundings.clone(),
        );
        match &opened {
            Ok(log) => tracing::info!(
                log = config.name,
                origin = config.origin,
                state = log.state().name(),
                size = log.published().map(|published| published.head().size.get()),
                "log started"
            ),
            Err(why) => tracing::error!(log = config.name, %why, "log stays shut"),
        }
        let rules_v1 = config.rules_v1()?;
        let opened = opened.map_err(Arc::new);
        Ok(Self { config: config.clone(), personality, rules_v1, opened })
    }

    /// The log, unless it is shut: since its start, or because its witnesses know more of it.
    ///
    /// # Errors
    /// Why it is shut.
    pub fn log(&self) -> Result<&Log, Arc<Shut>> {
        let log = self.opened.as_ref().map_err(Arc::clone)?;
        match log.shut() {
            Some(why) => Err(why),
            None => Ok(log),
        }
    }

    /// Whether a duplicate is a conflict.
    pub fn duplicates_conflict(&self) -> bool {
        self.config.duplicates == Duplicates::Conflict
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use futures_util::FutureExt;
    use log_core::cosignature::CosignerKey;
    use log_core::key::KeyName;

    use super::*;
    use crate::clock::Clock;
    use crate::init::{DefaultLogs, init};

    /// A witness that knows a larger tree than any. Gives its URL; it serves until the test ends.
    fn ahead() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let head = "HTTP/1.1 409 X\r\nContent-Type: text/x.tlog.size\r\n";
                let _ = write!(stream, "{head}Content-Length: 2\r\nConnection: close\r\n\r\n7\n");
            }
        });
        url
    }

    /// A log whose witness is ahead, and another one that asks nobody.
    async fn engine(other: bool) -> (tempfile::TempDir, Engine) {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        let logs = DefaultLogs::random().expect("randomness");
        init(&data, "log.example", logs, jiff::Timestamp::now()).expect("logs");
        let key = CosignerKey::ed25519(KeyName::parse("w.example").expect("a name"), [1; 32]);
        let policy = format!("witness w {} {}\nquorum w\n", key.verifier_key(), ahead());
        std::fs::write(data.join("policy.txt"), policy).expect("a file");
        let path = data.join("cairn.toml");
        let config = std::fs::read_to_string(&path).expect("init made it");
        let sections: Vec<_> = config.split_inclusive("\n[[log]]\n").collect();
        let [server, _, rekor_v2] = sections.as_slice() else { panic!("two logs: {config}") };
        let config = if other { config.clone() } else { format!("{server}{rekor_v2}") };
        std::fs::write(path, format!("{config}witness_policy = \"policy.txt\"\n")).expect("a file");
        let config = Config::load(&data).expect("a configuration");
        let on_fatal = Arc::new(|log: &str, fatal: &crate::log::Fatal| panic!("{log}: {fatal}"));
        let surroundings = Surroundings { clock: Clock::system(), on_fatal, shut: Arc::default() };
        let rocks = RocksShared::new(16 * 1024 * 1024).expect("caches");
        let engine = Engine::open(&data, &config, &rocks, &Metrics::new(), &surroundings);
        (dir, engine.expect("it asks"))
    }

    #[tokio::test]
    async fn a_process_knows_when_its_witnesses_left_no_log_open() {
        let (_dir, engine) = engine(false).await;
        let why = engine.nothing_open().await.to_string();
        assert!(
            why.starts_with("no log could be opened: rekor-v2: witness w names size 7"),
            "{why}"
        );
        engine.stop();
    }

    #[tokio::test]
    async fn one_open_log_is_enough_to_go_on() {
        let (_dir, engine) = engine(true).await;
        engine.shut.notified().await;
        assert!(engine.logs().iter().any(|log| log.log().is_err()), "one is shut");
        engine.shut.notify_one();
        assert!(engine.nothing_open().now_or_never().is_none());
        engine.stop();
    }
}
