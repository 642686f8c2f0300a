//! Configuration: `DIR/cairn.toml`, one typed tree. Every setting has one home, and an unknown key
//! is an error. `init` writes the file with every setting explained; the flags of `serve` win over
//! the two addresses in it.

mod witnesses;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use log_core::checkpoint::Origin;
use log_core::entry_id::TreeId;
use serde::Deserialize;

use crate::admit::v1::{Kind, Rules};
use crate::log::Personality;

pub use witnesses::{WITNESSES_MAX, WitnessSettings};

/// Name of the configuration file in a data directory.
pub const CONFIG_FILE: &str = "cairn.toml";

/// Everything that an operator can set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The process and its listeners.
    #[serde(default)]
    pub server: ServerConfig,
    /// The logs, in the order in which they were created.
    #[serde(default, rename = "log")]
    pub logs: Vec<LogConfig>,
}

/// Settings of the process.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// REST and gRPC together.
    pub listen: SocketAddr,
    /// Metrics and readiness; not for the public.
    pub admin: SocketAddr,
    /// Longest request body, in bytes. Larger ones get 413.
    pub body_bytes_max: usize,
    /// Time for the head of a request, and for the pause between two, in milliseconds.
    pub header_ms_max: u64,
    /// Time for the body of a request, in milliseconds. Slower ones get 408.
    pub body_ms_max: u64,
    /// Requests under way at once. More get 429.
    pub requests_max: usize,
    /// Open connections. More wait in the kernel's queue.
    pub connections_max: usize,
    /// Memory for cached blocks and write buffers of all logs together, in bytes.
    pub memory_bytes: usize,
    /// Time for the requests under way after SIGTERM, in milliseconds.
    pub drain_ms_max: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
            admin: SocketAddr::from(([127, 0, 0, 1], 9464)),
            // What the reference server accepts; a larger canonical entry could not be stored.
            body_bytes_max: 4 * 1024 * 1024,
            header_ms_max: 20_000,
            body_ms_max: 20_000,
            requests_max: 4096,
            connections_max: 8192,
            memory_bytes: 256 * 1024 * 1024,
            drain_ms_max: 10_000,
        }
    }
}

/// What a submission that is in the log already is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duplicates {
    /// 201 with the existing entry and a fresh proof.
    #[default]
    Answer,
    /// 409 with the index in `X-Log-Index`, as the reference server does.
    Conflict,
}

/// What happens to a committed head that the quorum does not cosign in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMissingQuorum {
    /// It is not published, and nothing is acknowledged.
    #[default]
    Refuse,
    /// It is published with the cosignatures that there are, or none. Applies to the running log
    /// only: the question at the start must be answered all the same.
    Publish,
}

/// Settings of one log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Name in paths: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// `rekor-v1`, `rekor-v2` or `raw`; fixed at creation.
    pub personality: String,
    /// First line of its checkpoints; fixed at creation. `HOST - TREEID` for `rekor-v1`.
    pub origin: String,
    /// When it was created, RFC 3339; shown in `GET /logs` and in trust files.
    pub created: jiff::Timestamp,
    /// Host names under which clients reach a Rekor log; the host in its origin if empty.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// What a duplicate is answered.
    #[serde(default)]
    pub duplicates: Duplicates,
    /// Whether the older `dsse` entries of Rekor v2 are accepted.
    #[serde(default = "yes")]
    pub dsse: bool,
    /// The kinds of entries that a Rekor v1 log takes.
    #[serde(default = "kinds")]
    pub kinds: Vec<String>,
    /// Longest request body of a Rekor v1 log, in bytes. Larger ones get 413.
    #[serde(default = "body_bytes_max")]
    pub body_bytes_max: usize,
    /// Whether a raw log takes entries from other hosts than this one.
    #[serde(default)]
    pub open: bool,
    /// Where the log's anchor is, if not beside its key: another disk remembers more than this one.
    #[serde(default)]
    pub anchor: Option<PathBuf>,
    /// Leaves that may wait for a batch. More get 503.
    #[serde(default = "pool_leaves_max")]
    pub pool_leaves_max: usize,
    /// Free space below which no entry is taken, in bytes. Less gets 503.
    #[serde(default = "headroom_bytes")]
    pub headroom_bytes: u64,
    /// The file that says who must cosign; beside `cairn.toml` unless the path is absolute. Without
    /// it nobody must.
    #[serde(default)]
    pub witness_policy: Option<PathBuf>,
    /// Names of witnesses that are asked but never waited for.
    #[serde(default)]
    pub also_ask: Vec<String>,
    /// Whether the budgets may make the quorum slower than one round a second.
    #[serde(default)]
    pub allow_slow_quorum: bool,
    /// What happens to a head that the quorum does not cosign in time.
    #[serde(default)]
    pub on_missing_quorum: OnMissingQuorum,
    /// Requests that a witness takes in 24 hours, by its name. No entry: no limit.
    #[serde(default)]
    pub witness_per_day: BTreeMap<String, u32>,
    /// Whether this start skips the question to the witnesses. Only a flag of `serve` says so: an
    /// exception that stands in a file is forgotten there.
    #[serde(skip)]
    pub unchecked_start: bool,
    /// Names of witnesses whose word does not count at this start; by a flag of `serve` as well.
    #[serde(skip)]
    pub excluded_witnesses: Vec<String>,
}

fn yes() -> bool {
    true
}

/// Those that clients of today send.
fn kinds() -> Vec<String> {
    Kind::DEFAULT.iter().map(|kind| kind.name().to_owned()).collect()
}

/// Packages and their signatures come in the requests of some kinds.
fn body_bytes_max() -> usize {
    32 * 1024 * 1024
}

/// What the reference server holds outstanding at most.
fn pool_leaves_max() -> usize {
    4096
}

/// Several write-ahead logs and a compaction fit in it.
fn headroom_bytes() -> u64 {
    512 * 1024 * 1024
}

/// Why a configuration is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no TOML, or a key is unknown or has a wrong type.
    #[error("{path}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and what.
        message: String,
    },
    /// A value makes no sense.
    #[error("{0}")]
    Value(String),
    /// A flag of the command line names something that there is not.
    #[error("{0}")]
    Flag(String),
}

impl Config {
    /// Reads `DIR/cairn.toml`.
    ///
    /// # Errors
    /// [`ConfigError`] names the file and the key.
    pub fn load(data_dir: &Path) -> Result<Self, ConfigError> {
        let path = data_dir.join(CONFIG_FILE);
        let text = fs::read_to_string(&path)
            .map_err(|source| ConfigError::File { path: path.clone(), source })?;
        Self::parse(&text).map_err(|error| match error {
            ConfigError::Value(message) => ConfigError::Syntax { path, message },
            other => other,
        })
    }

    /// Reads and checks the text of a configuration.
    ///
    /// # Errors
    /// [`ConfigError::Value`] with the key.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self =
            toml::from_str(text).map_err(|error| ConfigError::Value(error.to_string()))?;
        config.server.check()?;
        for (at, log) in config.logs.iter().enumerate() {
            log.check()?;
            for earlier in config.logs.iter().take(at) {
                log.check_beside(earlier)?;
            }
        }
        Ok(config)
    }

    /// Takes over `--unchecked-start LOG` and `--exclude-witness LOG/NAME`, for this start only.
    ///
    /// # Errors
    /// [`ConfigError::Flag`] if there is no such log.
    pub fn set_start_flags(
        &mut self,
        unchecked: &[String],
        excluded: &[String],
    ) -> Result<(), ConfigError> {
        for log in unchecked {
            self.flagged("--unchecked-start", log)?.unchecked_start = true;
        }
        for flag in excluded {
            // A log's name has no slash, so the first one separates.
            let (log, witness) = flag.split_once('/').unwrap_or((flag, ""));
            if witness.is_empty() {
                return Err(ConfigError::Flag(format!("--exclude-witness {flag}: not LOG/NAME")));
            }
            self.flagged("--exclude-witness", log)?.excluded_witnesses.push(witness.into());
        }
        Ok(())
    }

    fn flagged(&mut self, flag: &str, name: &str) -> Result<&mut LogConfig, ConfigError> {
        let log = self.logs.iter_mut().find(|log| log.name == name);
        log.ok_or_else(|| ConfigError::Flag(format!("{flag}: there is no log {name:?}")))
    }
}

impl ServerConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let counts = [
            ("body_bytes_max", self.body_bytes_max),
            ("requests_max", self.requests_max),
            ("connections_max", self.connections_max),
        ];
        let times = [("header_ms_max", self.header_ms_max), ("body_ms_max", self.body_ms_max)];
        let zero_count = counts.iter().find(|(_, value)| *value == 0).map(|(name, _)| *name);
        let zero_time = times.iter().find(|(_, value)| *value == 0).map(|(name, _)| *name);
        match zero_count.or(zero_time) {
            Some(name) => Err(ConfigError::Value(format!("server.{name} must not be 0"))),
            None => Ok(()),
        }
    }
}

impl LogConfig {
    fn check(&self) -> Result<(), ConfigError> {
        check_log_name(&self.name)?;
        self.personality()?;
        self.origin()?;
        self.rules_v1()?;
        let counts =
            [("pool_leaves_max", self.pool_leaves_max), ("body_bytes_max", self.body_bytes_max)];
        if let Some((key, _)) = counts.iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::Value(format!("log {}: {key} is 0", self.name)));
        }
        Ok(())
    }

    fn check_beside(&self, earlier: &Self) -> Result<(), ConfigError> {
        let twice = |what: &str, value: &str| {
            Err(ConfigError::Value(format!("two logs have the {what} {value:?}")))
        };
        if self.name == earlier.name {
            return twice("name", &self.name);
        }
        // Witnesses and clients know a log by its origin: two trees under one would be a fork.
        if self.origin == earlier.origin {
            return twice("origin", &self.origin);
        }
        // A host may lead to a log of each protocol, since their paths differ.
        let same = self.personality()? == earlier.personality()?;
        match self.faces().iter().find(|host| same && earlier.faces().contains(host)) {
            Some(host) => twice("host", host),
            None => Ok(()),
        }
    }

    /// The host name in the origin.
    pub fn host(&self) -> &str {
        let host = self.origin.split_once(" - ").map_or(self.origin.as_str(), |(host, _)| host);
        host.split_once('/').map_or(host, |(host, _)| host)
    }

    /// The host names of this log's face; none for a log that has no face.
    pub fn faces(&self) -> Vec<String> {
        match self.personality() {
            Ok(Personality::RekorV1) if self.hosts.is_empty() => vec![self.host().to_owned()],
            Ok(Personality::RekorV2) if self.hosts.is_empty() => vec![self.origin.clone()],
            Ok(Personality::RekorV1 | Personality::RekorV2) => self.hosts.clone(),
            _ => Vec::new(),
        }
    }

    /// The parsed personality.
    ///
    /// # Errors
    /// It is unknown.
    pub fn personality(&self) -> Result<Personality, ConfigError> {
        self.personality
            .parse()
            .map_err(|error| ConfigError::Value(format!("log {}: {error}", self.name)))
    }

    /// The parsed origin.
    ///
    /// # Errors
    /// It cannot be the first line of a checkpoint, or names no tree where it has to.
    pub fn origin(&self) -> Result<Origin, ConfigError> {
        let wrong = |why: String| ConfigError::Value(format!("log {}: {why}", self.name));
        let origin = Origin::parse(&self.origin).map_err(|error| wrong(error.to_string()))?;
        if self.personality()? == Personality::RekorV1 && TreeId::of_origin(&origin).is_none() {
            return Err(wrong("the origin of a rekor-v1 log is `HOST - TREEID`".into()));
        }
        Ok(origin)
    }

    /// What a Rekor v1 log takes.
    ///
    /// # Errors
    /// `kinds` names something that is no kind.
    pub fn rules_v1(&self) -> Result<Rules, ConfigError> {
        let kind = |name: &String| {
            let unknown = || format!("log {}: there is no kind {name:?}", self.name);
            Kind::from_name(name).ok_or_else(|| ConfigError::Value(unknown()))
        };
        Ok(Rules { kinds: self.kinds.iter().map(kind).collect::<Result<_, _>>()? })
    }
}

/// A log's name is a directory and a path segment.
///
/// # Errors
/// [`ConfigError::Value`] says what a name may be.
pub fn check_log_name(name: &str) -> Result<(), ConfigError> {
    /// Leaves room for suffixes within the 255 bytes of a file name.
    const NAME_BYTES_MAX: usize = 64;
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if fits {
        return Ok(());
    }
    Err(ConfigError::Value(format!(
        "a log's name has 1 to {NAME_BYTES_MAX} letters, digits, '-', '_' or '.', and no leading \
         '.': {name:?}"
    )))
}

#[cfg(test)]
mod tests;
