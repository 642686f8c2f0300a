//! Configuration: `DIR/witness.toml`. Every setting has one home, an unknown key is an error, and
//! `init` writes the file with every setting explained. Which logs are cosigned is no setting: it
//! is state, changed by `add-log` alone.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Name of the configuration file in a data directory.
pub const CONFIG_FILE: &str = "witness.toml";

/// What `init` writes. All settings are comments, so that a later default is not held back.
pub const CONFIG_TEMPLATE: &str = include_str!("witness.toml");

/// Longest time that can be set: a day. Whoever wants more has taken the unit for another one.
const TIME_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// Everything that an operator can set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where logs and readers come.
    pub listen: SocketAddr,
    /// Metrics and readiness; not for the public.
    pub admin: SocketAddr,
    /// The key file; relative paths are relative to the data directory.
    pub keys: PathBuf,
    /// Whether proven evidence against a log stops its cosignatures until it is accepted.
    pub freeze_on_evidence: bool,
    /// Longest request body, in bytes. Larger ones get 413.
    pub body_bytes_max: usize,
    /// Time for the head of a request, for the pause between two, and for taking an answer, in
    /// milliseconds. Connections that take longer are ended.
    pub header_ms_max: u64,
    /// Time for the body of a request, in milliseconds. Slower ones get 408.
    pub body_ms_max: u64,
    /// Requests with a body under way at once. More get 429; one address may be sending a quarter
    /// of them. Reads are not counted.
    pub requests_max: usize,
    /// Open connections. More wait in the kernel's queue.
    pub connections_max: usize,
    /// Time for the requests under way after SIGTERM, in milliseconds.
    pub drain_ms_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8100)),
            admin: SocketAddr::from(([127, 0, 0, 1], 9465)),
            keys: PathBuf::from("keys"),
            freeze_on_evidence: false,
            // 16 ML-DSA-44 lines are 53 KB; the rest is room.
            body_bytes_max: 128 * 1024,
            header_ms_max: 20_000,
            // A request of a log is a packet or two. Time for two losses in a row (one second, then
            // two), and nobody holds a place for longer.
            body_ms_max: 4_000,
            requests_max: 2048,
            connections_max: 4096,
            drain_ms_max: 10_000,
        }
    }
}

/// Why a configuration is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no TOML, a key is unknown, or a value makes no sense.
    #[error("{0}")]
    Value(String),
}

impl Config {
    /// Reads `DIR/witness.toml`.
    ///
    /// # Errors
    /// [`ConfigError`] names the file or the key.
    pub fn load(data_dir: &Path) -> Result<Self, ConfigError> {
        let path = data_dir.join(CONFIG_FILE);
        let text = fs::read_to_string(&path)
            .map_err(|source| ConfigError::File { path: path.clone(), source })?;
        let mut config = Self::parse(&text)
            .map_err(|error| ConfigError::Value(format!("{}: {error}", path.display())))?;
        config.keys = data_dir.join(config.keys);
        Ok(config)
    }

    /// Reads and checks the text of a configuration.
    ///
    /// # Errors
    /// [`ConfigError::Value`] with the key.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self =
            toml::from_str(text).map_err(|error| ConfigError::Value(error.to_string()))?;
        let zero = [
            ("body_bytes_max", config.body_bytes_max == 0),
            ("header_ms_max", config.header_ms_max == 0),
            ("body_ms_max", config.body_ms_max == 0),
            ("requests_max", config.requests_max == 0),
            ("connections_max", config.connections_max == 0),
        ];
        if let Some((key, _)) = zero.iter().find(|(_, zero)| *zero) {
            return Err(ConfigError::Value(format!("{key} must not be 0")));
        }
        let times = [
            ("header_ms_max", config.header_ms_max),
            ("body_ms_max", config.body_ms_max),
            ("drain_ms_max", config.drain_ms_max),
        ];
        match times.iter().find(|(_, time_ms)| *time_ms > TIME_MS_MAX) {
            Some((key, _)) => {
                Err(ConfigError::Value(format!("{key} must not be more than {TIME_MS_MAX}")))
            }
            None => Ok(config),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_says_what_the_defaults_are() {
        let commented: String = CONFIG_TEMPLATE
            .lines()
            .filter_map(|line| line.strip_prefix("# ").filter(|line| line.contains(" = ")))
            .fold(String::new(), |text, line| text + line + "\n");
        let said = Config::parse(&commented).unwrap();
        assert_eq!(format!("{said:?}"), format!("{:?}", Config::default()));
        let silent = Config::parse(CONFIG_TEMPLATE).unwrap();
        assert_eq!(format!("{silent:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn an_unknown_key_is_an_error_and_so_is_a_limit_that_makes_no_sense() {
        let bad = [
            "freeze = true",
            "listen = 8100",
            "requests_max = 0",
            "body_ms_max = 0",
            "body_ms_max = 9223372036854775807",
            "header_ms_max = 86400001",
            "drain_ms_max = 86400001",
        ];
        for bad in bad {
            let error = Config::parse(bad).unwrap_err().to_string();
            let key = bad.split(' ').next().unwrap();
            assert!(error.contains(key), "{error}");
        }
    }
}
