//! Engine: the logs of this process, open or shut, and the faces under which clients reach them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, Duplicates, LogConfig};
use crate::log::directory::LogDirectory;
use crate::log::recover::Shut;
use crate::log::{Log, LogSettings, Personality, Surroundings};
use crate::metrics::Metrics;
use crate::store::rocks::RocksShared;

/// Every log of the configuration.
pub struct Engine {
    logs: Vec<Arc<Hosted>>,
    /// Host name to the position of the Rekor v2 log behind it.
    faces: HashMap<String, usize>,
    /// The Rekor v2 log that unclaimed hosts reach: the only one, if there is only one.
    only_face: Option<usize>,
}

/// One log of the configuration.
pub struct Hosted {
    /// Its settings.
    pub config: LogConfig,
    /// Its personality.
    pub personality: Personality,
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

/// What a host name leads to.
pub enum Face<'a> {
    /// A Rekor v2 log.
    Log(&'a Arc<Hosted>),
    /// Several logs are here, and none of them has this name.
    Misdirected,
    /// There is no Rekor v2 log at all.
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
        if !logs.iter().any(|log| log.opened.is_ok()) {
            let reasons = logs.iter().filter_map(|log| log.log().err().map(|why| (log, why)));
            let reasons = reasons.map(|(log, why)| format!("{}: {why}", log.config.name));
            return Err(EngineError::NothingOpen(match reasons.collect::<Vec<_>>().join("; ") {
                none if none.is_empty() => "cairn.toml names no log".into(),
                some => some,
            }));
        }
        Ok(Self::of(logs))
    }

    fn of(logs: Vec<Arc<Hosted>>) -> Self {
        let mut faces = HashMap::new();
        let mut v2 = Vec::new();
        for (at, log) in logs.iter().enumerate() {
            for host in log.config.faces() {
                faces.insert(host.to_ascii_lowercase(), at);
            }
            if log.personality == Personality::RekorV2 {
                v2.push(at);
            }
        }
        let only_face = match v2.as_slice() {
            [one] => Some(*one),
            _ => None,
        };
        Self { logs, faces, only_face }
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
        let claimed = self.faces.get(host).or_else(|| {
            // Only a host with capital letters pays for a second look.
            self.faces.get(&host.to_ascii_lowercase())
        });
        match claimed.or(self.only_face.as_ref()).and_then(|at| self.logs.get(*at)) {
            Some(log) => Face::Log(log),
            None if self.faces.is_empty() => Face::None,
            None => Face::Misdirected,
        }
    }

    /// Stops every log: what waits is answered, and everything is on the disk. Blocks.
    pub fn stop(&self) {
        for log in self.logs.iter().filter_map(|log| log.opened.as_ref().ok()) {
            log.stop();
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
        Ok(Self { config: config.clone(), personality, opened: opened.map_err(Arc::new) })
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
