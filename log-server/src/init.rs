//! Init: the two acts that create something, `init` and `add-log`, and the text of `cairn.toml`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use log_core::checkpoint::Origin;
use log_core::entry_id::TreeId;

use crate::config::{CONFIG_FILE, Config, ConfigError, LogConfig, check_log_name};
use crate::log::Personality;
use crate::log::directory::{Birth, CreateError, LogDirectory, PublicKeys};
use crate::log::signer::KeyError;
use crate::server;
use crate::store::rocks::RocksShared;

/// Name of the Rekor v2 log that `init` makes.
pub const REKOR_V2_LOG: &str = "rekor-v2";
/// Name of the Rekor v1 log that `init` makes.
pub const REKOR_V1_LOG: &str = "rekor-v1";

/// Why nothing, or not everything, was created.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Something is in the directory already.
    #[error("{0} is in use: init makes new directories only, and overwrites nothing")]
    InUse(PathBuf),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The host name cannot be a log's origin.
    #[error("{0:?} cannot be a host name: clients compare it with the host of the log's URL")]
    HostName(String),
    /// The configuration is wrong, or would be with the new log in it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log cannot be created.
    #[error(transparent)]
    Log(#[from] CreateError),
}

/// A log to create.
pub struct NewLog<'a> {
    /// Its name in paths.
    pub name: &'a str,
    /// What it speaks.
    pub personality: Personality,
    /// Its origin; `None` makes one from the host name and the name.
    pub origin: Option<&'a str>,
    /// Its key and state id.
    pub birth: Birth,
    /// When it is created.
    pub created: jiff::Timestamp,
}

/// What the two logs of a new directory are made with.
pub struct DefaultLogs {
    /// Keys and state id of the Rekor v1 log.
    pub rekor_v1: Birth,
    /// Its tree id.
    pub tree_id: TreeId,
    /// Key and state id of the Rekor v2 log.
    pub rekor_v2: Birth,
}

/// What `init` made.
pub struct Made {
    /// The keys of the Rekor v1 log.
    pub rekor_v1: PublicKeys,
    /// Its origin.
    pub rekor_v1_origin: String,
    /// The key of the Rekor v2 log.
    pub rekor_v2: PublicKeys,
}

impl DefaultLogs {
    /// Keys and numbers that nobody can guess.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn random() -> Result<Self, KeyError> {
        Ok(Self {
            rekor_v1: Birth::random(Personality::RekorV1)?,
            tree_id: random_tree_id(),
            rekor_v2: Birth::random(Personality::RekorV2)?,
        })
    }
}

/// Two trees of one host never meet by chance among 2^63 numbers.
fn random_tree_id() -> TreeId {
    let number = rand::random::<u64>() >> 1;
    TreeId::new(number.max(1)).expect("invariant: 1 to 2^63 - 1")
}

/// Makes a data directory with a configuration and the two default logs.
///
/// # Errors
/// [`InitError`]; a directory with anything in it is refused and left as it is.
pub fn init(
    data_dir: &Path,
    host: &str,
    logs: DefaultLogs,
    created: jiff::Timestamp,
) -> Result<Made, InitError> {
    check_host(host)?;
    let empty = match fs::read_dir(data_dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(source) => return Err(file(data_dir, source)),
    };
    if !empty {
        return Err(InitError::InUse(data_dir.into()));
    }
    fs::create_dir_all(data_dir).map_err(|source| file(data_dir, source))?;
    write_new(&data_dir.join(CONFIG_FILE), SERVER_SECTION)?;
    let origin = logs.tree_id.origin_text(host);
    let rekor_v1 = NewLog {
        name: REKOR_V1_LOG,
        personality: Personality::RekorV1,
        origin: Some(&origin),
        birth: logs.rekor_v1,
        created,
    };
    let rekor_v2 = NewLog {
        name: REKOR_V2_LOG,
        personality: Personality::RekorV2,
        origin: Some(host),
        birth: logs.rekor_v2,
        created,
    };
    let _lock = server::lock(data_dir).map_err(|source| file(data_dir, source))?;
    let (rekor_v1, rekor_v2) = (append_log(data_dir, &rekor_v1)?, append_log(data_dir, &rekor_v2)?);
    Ok(Made { rekor_v1, rekor_v1_origin: origin, rekor_v2 })
}

/// Creates a log and adds its section to the configuration.
///
/// # Errors
/// [`InitError`]: a server is running here, the name or the origin is taken, a write failed.
pub fn add_log(data_dir: &Path, log: &NewLog<'_>) -> Result<PublicKeys, InitError> {
    check_log_name(log.name)?;
    let _lock = server::lock(data_dir).map_err(|source| file(data_dir, source))?;
    append_log(data_dir, log)
}

/// The caller holds the lock of the directory.
fn append_log(data_dir: &Path, log: &NewLog<'_>) -> Result<PublicKeys, InitError> {
    let config_path = data_dir.join(CONFIG_FILE);
    let config = Config::load(data_dir)?;
    let origin = match log.origin {
        Some(origin) => origin.to_owned(),
        None => default_origin(&config, log),
    };
    let text = fs::read_to_string(&config_path).map_err(|source| file(&config_path, source))?;
    let section = log_section(log, &origin);
    // Read the result before anything is made: a name or origin that is taken changes nothing.
    Config::parse(&format!("{text}{section}"))?;
    let rocks = RocksShared::new(config.server.memory_bytes).map_err(CreateError::from)?;
    let directory = LogDirectory::new(data_dir, log.name);
    let origin = Origin::parse(&origin).expect("invariant: the configuration with it was read");
    let key = directory.create(log.personality, &origin, &log.birth, &rocks)?;
    // A crash before this line leaves a log that no configuration names; nothing was signed by it.
    let mut config = OpenOptions::new()
        .append(true)
        .open(&config_path)
        .map_err(|source| file(&config_path, source))?;
    config
        .write_all(section.as_bytes())
        .and_then(|()| config.sync_all())
        .map_err(|source| file(&config_path, source))?;
    Ok(key)
}

/// Under the host of the first log: origins look like URLs without a scheme, those of Rekor v1
/// like a host with the number of a tree.
fn default_origin(config: &Config, log: &NewLog<'_>) -> String {
    let host = config.logs.first().map(LogConfig::host);
    match (log.personality, host) {
        (Personality::RekorV1, host) => random_tree_id().origin_text(host.unwrap_or(log.name)),
        (_, Some(host)) => format!("{host}/logs/{}", log.name),
        (_, None) => log.name.to_owned(),
    }
}

fn check_host(host: &str) -> Result<(), InitError> {
    let fits = !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    if fits { Ok(()) } else { Err(InitError::HostName(host.into())) }
}

fn write_new(path: &Path, text: &str) -> Result<(), InitError> {
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|source| file(path, source))?;
    out.write_all(text.as_bytes())
        .and_then(|()| out.sync_all())
        .map_err(|source| file(path, source))
}

fn file(path: &Path, source: std::io::Error) -> InitError {
    InitError::File { path: path.into(), source }
}

/// Every setting of the process with its default.
const SERVER_SECTION: &str = "\
# Settings of cairn-server. A key that is not known here is an error at the start.
# What is commented out shows the default.

[server]
# REST and gRPC together.
# listen = \"127.0.0.1:3000\"
# Metrics (/metrics) and readiness (/readyz); keep it away from the public.
# admin = \"127.0.0.1:9464\"
# Longest request body, in bytes; a longer one is answered 413.
# body_bytes_max = 4194304
# Time for the head of a request, and for the pause between two requests.
# header_ms_max = 20000
# Time for the body of a request; a slower one is answered 408.
# body_ms_max = 20000
# Requests under way at once; one more is answered 429.
# requests_max = 4096
# Open connections; more wait until one closes.
# connections_max = 8192
# Memory for cached blocks and write buffers of all logs together.
# memory_bytes = 268435456
# Time for the requests under way after SIGTERM.
# drain_ms_max = 10000
";

/// The section of one log, with every setting that fits its personality.
fn log_section(log: &NewLog<'_>, origin: &str) -> String {
    let NewLog { name, personality, created, .. } = log;
    let own = match personality {
        Personality::RekorV1 => REKOR_V1_SETTINGS,
        Personality::RekorV2 => REKOR_V2_SETTINGS,
        Personality::Raw => RAW_SETTINGS,
    };
    let quoted = toml::Value::String(origin.into());
    format!(
        "\n[[log]]\n\
         # These four are fixed for ever: they belong to the log's key and its tree.\n\
         name = \"{name}\"\npersonality = \"{personality}\"\norigin = {quoted}\n\
         created = \"{created}\"\n{own}{EVERY_LOG_SETTINGS}"
    )
}

const REKOR_V1_SETTINGS: &str = "\
# Host names under which clients reach this log; empty means the one in its origin. While there is
# only one Rekor v1 log here, every other host name reaches it too.
# hosts = []
# The kinds of entries that may be submitted; cose, tuf, alpine, helm, jar and rpm exist as well.
# kinds = [\"dsse\", \"hashedrekord\", \"intoto\", \"rekord\", \"rfc3161\"]
# Longest request body of this protocol, in bytes; a longer one is answered 413.
# body_bytes_max = 33554432
";

const REKOR_V2_SETTINGS: &str = "\
# Host names under which clients reach this log; empty means its origin. While there is only one
# Rekor v2 log here, every other host name reaches it too.
# hosts = []
# What a submission gets that is in the log already: \"answer\" (201, the entry as it is, a fresh
# proof) or \"conflict\" (409 and X-Log-Index).
# duplicates = \"answer\"
# Whether the older dsse entries are accepted beside hashedrekord.
# dsse = true
";

const RAW_SETTINGS: &str = "\
# Whether entries are taken from other hosts than this one.
# open = false
";

const EVERY_LOG_SETTINGS: &str = "\
# The file that remembers the newest head outside the store; move it to another disk with the server
# stopped, and say here where it is.
# anchor = \"/another/disk/anchor\"
# Entries that may wait for a batch; one more is answered 503.
# pool_leaves_max = 4096
# Free space on the disk below which no entry is taken, in bytes.
# headroom_bytes = 536870912
# Who must cosign before a checkpoint is published: a file in the tlog-policy format, beside this
# one unless the path is absolute. Without it nobody must. docs/witnesses.md says how to choose.
# witness_policy = \"policy.txt\"
# Witnesses, by their names in the policy, that are asked within their budgets and never waited for.
# also_ask = []
# Requests that a witness takes in 24 hours, by its name: { \"example-witness\" = 8640 }. A witness
# that is not named here is asked whenever there is something to cosign.
# witness_per_day = {}
# Whether these budgets may let the quorum meet less often than once a second; submitters wait.
# allow_slow_quorum = false
# What happens to a new checkpoint that the quorum does not cosign in time: \"refuse\" (nothing is
# published, submitters get 503 and may retry) or \"publish\" (it goes out with fewer cosignatures).
# on_missing_quorum = \"refuse\"
";

#[cfg(test)]
mod tests {
    use super::*;

    fn new_log(personality: Personality) -> NewLog<'static> {
        let created = "2026-01-01T00:00:00Z".parse().expect("a time");
        let birth = Birth::random(personality).expect("randomness");
        NewLog { name: "one", personality, origin: None, birth, created }
    }

    /// The template with every commented setting in force.
    fn uncommented(text: &str) -> String {
        let is_setting = |line: &str| {
            line.split_once(" = ").is_some_and(|(key, _)| {
                key.starts_with("# ") && !key[2..].contains(|c: char| c != '_' && !c.is_lowercase())
            })
        };
        let lines = text.lines().map(|line| if is_setting(line) { &line[2..] } else { line });
        lines.map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn the_template_explains_every_setting_with_its_real_default() {
        for personality in [Personality::RekorV1, Personality::RekorV2, Personality::Raw] {
            let log = log_section(&new_log(personality), "one.example - 7");
            let bare = Config::parse(&format!("{SERVER_SECTION}{log}")).expect("the template");
            let full = uncommented(&format!("{SERVER_SECTION}{log}"));
            let mut full = Config::parse(&full).expect("the template, uncommented");
            // The only examples that are not the defaults.
            assert!(full.logs[0].anchor.take().is_some());
            assert!(full.logs[0].witness_policy.take().is_some());
            assert_eq!(format!("{bare:?}"), format!("{full:?}"));
        }
        let shown = |text: &str, key: &str| text.contains(&format!("# {key} = "));
        let keys = |debug: String| {
            let words = debug.split([' ', '{', '}']).filter_map(|word| word.strip_suffix(':'));
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        for key in keys(format!("{:?}", crate::config::ServerConfig::default())) {
            assert!(shown(SERVER_SECTION, &key), "{key} is not in the template");
        }
        let log = log_section(&new_log(Personality::Raw), "one.example") + REKOR_V2_SETTINGS;
        let v1_only = REKOR_V1_SETTINGS.lines().filter(|line| !REKOR_V2_SETTINGS.contains(line));
        let log = v1_only.fold(log, |log, line| log + line + "\n");
        let config = Config::parse(&log).expect("the template of a log");
        let flags = ["unchecked_start", "excluded_witnesses"];
        let keys = keys(format!("{:?}", config.logs[0]));
        assert!(keys.len() > 10, "{keys:?}");
        for key in keys.iter().filter(|key| !flags.contains(&key.as_str())) {
            let fixed = log.contains(&format!("\n{key} = "));
            assert!(fixed || shown(&log, key), "{key} is not in the template");
        }
    }

    #[test]
    fn a_host_name_is_nothing_else() {
        for bad in ["", "a:3000", "https://a", "a/b", "a b", "a+b", "\u{e9}"] {
            assert!(check_host(bad).is_err(), "{bad:?}");
        }
        for good in ["localhost", "log2025-1.rekor.example.org"] {
            assert!(check_host(good).is_ok(), "{good:?}");
        }
    }
}
