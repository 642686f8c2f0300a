//! Admin: what operators ask of a witness. While `serve` runs it holds the database, so the
//! commands talk to it over `DIR/admin.sock` (0600): one line of JSON there, one line back, and the
//! connection ends. Without a running witness the same orders are carried out on the open files.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use log_core::Hash;
use log_core::checkpoint::Origin;
use log_core::evidence::EVIDENCE_KEYS_MAX;
use log_core::key::VerifierKey;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::log_list::LOG_LIST_BYTES_MAX;
use crate::logs::Log;
use crate::lost_state::restart;
use crate::row::Row;
use crate::witness::Witness;

/// Name of the socket in a data directory.
pub const SOCKET_FILE: &str = "admin.sock";
/// Longest origin in bytes: the message of an ML-DSA-44 cosignature counts it in one byte.
pub const ORIGIN_BYTES_MAX: usize = 255;
/// Longest order: a log list in JSON.
const ORDER_BYTES_MAX: u64 = 2 * LOG_LIST_BYTES_MAX as u64;
/// An operator's program that says nothing for so long is gone.
const ORDER_TIME_MAX: Duration = Duration::from_secs(30);
/// After a failed accept the next try waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What an operator wants.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Order {
    /// Cosign further logs.
    AddLogs {
        /// The logs; one origin may have several keys.
        logs: Vec<NewLog>,
        /// Whether known origins may get further keys.
        add_key: bool,
        /// After a loss of the database: these keys have never signed for the new origins.
        never_cosigned: bool,
    },
    /// Say what is known of every log.
    List,
    /// Say what evidence is kept: about one log or about all.
    Evidence {
        /// One log only.
        origin: Option<String>,
    },
    /// Go on although there is this evidence.
    AcceptEvidence {
        /// Id of the evidence, in hexadecimal.
        id: String,
    },
    /// Restart a log whose state was lost or rolled back.
    AcceptLostState {
        /// The log.
        origin: String,
        /// The signed note of the head to restart from.
        note: String,
        /// The witness whose cosignature is relied on if there is no own one.
        peer_vkey: Option<String>,
    },
}

/// A log to be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewLog {
    /// First line of its checkpoints.
    pub origin: String,
    /// Its keys.
    pub vkeys: Vec<String>,
}

/// What came of an order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "kebab-case")]
pub enum Report {
    /// Logs were added.
    Added {
        /// Origins that are new, or have new keys.
        added: usize,
        /// Origins that were known with these keys.
        known: usize,
        /// Origins for which another key was named, or too many; nothing was changed about them.
        alarms: Vec<String>,
    },
    /// Every log.
    Listed {
        /// In the order of their origins.
        logs: Vec<LogReport>,
    },
    /// The evidence.
    Evidence {
        /// Oldest first for each origin.
        files: Vec<EvidenceReport>,
    },
    /// It is done.
    Done {
        /// What is true now.
        what: String,
    },
    /// Nothing was changed.
    Failed {
        /// Why.
        why: String,
    },
}

/// One log in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReport {
    /// First line of its checkpoints.
    pub origin: String,
    /// SHA-256 of the origin: its name in paths.
    pub origin_hash: String,
    /// `never-cosigned`, `cosigned`, `frozen`, `rolled-back` or `lost`.
    pub state: String,
    /// The size that was cosigned last; 0 for none.
    pub size: u64,
    /// The root of that size, in hexadecimal; absent if nothing was cosigned.
    pub root: Option<String>,
    /// Seconds since the last cosignature.
    pub age_s: Option<u64>,
    /// Its keys.
    pub vkeys: Vec<String>,
    /// Evidence files that are kept about it.
    pub evidence: usize,
}

/// One file of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceReport {
    /// The log that it convicts.
    pub origin: String,
    /// Its id.
    pub id: String,
    /// Whether the operator has accepted it.
    pub accepted: bool,
    /// The file.
    pub file: String,
}

/// Where the socket of a data directory is.
pub fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET_FILE)
}

/// Listens for orders until it is dropped. Whoever calls this holds the data directory.
///
/// # Errors
/// The socket cannot be made.
pub fn listen(data_dir: &Path) -> std::io::Result<UnixListener> {
    let path = socket(data_dir);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        // What an earlier run left behind.
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Carries out orders as they come.
pub async fn serve(listener: UnixListener, witness: Arc<Witness>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let witness = Arc::clone(&witness);
        tokio::spawn(async move {
            if let Err(error) = converse(stream, &witness).await {
                tracing::warn!(%error, "an order broke off");
            }
        });
    }
}

async fn converse(mut stream: UnixStream, witness: &Witness) -> std::io::Result<()> {
    let (reading, mut writing) = stream.split();
    let mut line = Vec::new();
    let mut reading = BufReader::new(reading.take(ORDER_BYTES_MAX));
    tokio::time::timeout(ORDER_TIME_MAX, reading.read_until(b'\n', &mut line)).await??;
    let report = match serde_json::from_slice(&line) {
        Ok(order) => execute(witness, order).await,
        Err(error) => Report::Failed { why: format!("not an order: {error}") },
    };
    let mut answer = serde_json::to_vec(&report).map_err(std::io::Error::other)?;
    answer.push(b'\n');
    writing.write_all(&answer).await
}

/// Carries out an order.
pub async fn execute(witness: &Witness, order: Order) -> Report {
    let _acting = witness.operator.lock().await;
    let report = match order {
        Order::AddLogs { logs, add_key, never_cosigned } => {
            add_logs(witness, logs, add_key, never_cosigned).await
        }
        Order::List => Ok(list(witness).await),
        Order::Evidence { origin } => evidence(witness, origin.as_deref()).await,
        Order::AcceptEvidence { id } => accept_evidence(witness, &id).await,
        Order::AcceptLostState { origin, note, peer_vkey } => {
            accept_lost_state(witness, &origin, &note, peer_vkey.as_deref()).await
        }
    };
    report.unwrap_or_else(|why| Report::Failed { why })
}

/// Adds logs, all in one transaction. A key that is new for a known origin is an alarm and no
/// update, unless it was asked for: a list is not the configuration.
async fn add_logs(
    witness: &Witness,
    new: Vec<NewLog>,
    add_key: bool,
    never_cosigned: bool,
) -> Result<Report, String> {
    let (mut known, mut alarms) = (0, Vec::new());
    let alone = new.len() == 1;
    let mut put: BTreeMap<Origin, Vec<VerifierKey>> = BTreeMap::new();
    for log in new {
        let (origin, keys) = parse_log(&log)?;
        let stored = witness.logs.by_origin(origin.as_str());
        let have = put.get(&origin).cloned().or(stored.map(|log| log.current().keys.to_vec()));
        let more = keys.into_iter().filter(|key| !have.iter().flatten().any(|had| had == key));
        let more: Vec<_> = more.collect();
        let all = [have.clone().unwrap_or_default(), more.clone()].concat();
        if more.is_empty() {
            known += 1;
        } else if have.is_some() && !add_key {
            tracing::error!(%origin, "ALARM: another key was named for a known log");
            alarms.push(format!("{origin}: known with another key; nothing was changed"));
        } else if all.len() > EVIDENCE_KEYS_MAX {
            let why = format!("{origin}: more than {EVIDENCE_KEYS_MAX} keys");
            if alone {
                return Err(why);
            }
            // One entry of a list must not keep the others out.
            alarms.push(format!("{why}; nothing was changed"));
        } else {
            put.insert(origin, all);
        }
    }
    let added = put.len();
    let lost = witness.store.recreated() && !never_cosigned;
    let put: Vec<_> = put.into_iter().collect();
    let rows = put.clone();
    let written = witness.writer.order(move |store| store.put_logs(&rows, lost)).await;
    written.map_err(|stopped| stopped.to_string())?;
    for (origin, keys) in put {
        witness.logs.put(origin, keys, Row::new(lost));
    }
    Ok(Report::Added { added, known, alarms })
}

fn parse_log(log: &NewLog) -> Result<(Origin, Vec<VerifierKey>), String> {
    let origin = Origin::parse(&log.origin).map_err(|error| error.to_string())?;
    if log.origin.len() > ORIGIN_BYTES_MAX {
        return Err(format!("{origin}: longer than {ORIGIN_BYTES_MAX} bytes"));
    }
    let mut keys: Vec<VerifierKey> = Vec::new();
    for vkey in &log.vkeys {
        let key = VerifierKey::parse(vkey).map_err(|error| format!("{vkey}: {error}"))?;
        if !key.is_log_key() {
            return Err(format!("{vkey}: the key of a cosigner does not speak for a log"));
        }
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    if keys.is_empty() {
        return Err(format!("{origin}: no key"));
    }
    Ok((origin, keys))
}

async fn list(witness: &Witness) -> Report {
    let (now_s, evidence) = (witness.clock.now().wall_s, witness.evidence_counts().await);
    let report = |log: Arc<Log>| {
        let current = log.current();
        let header = &current.row.header;
        let head = header.head();
        LogReport {
            origin: log.origin.to_string(),
            origin_hash: log.hash.to_string(),
            state: log.state().to_owned(),
            size: header.latest_size().get(),
            root: head.map(|head| head.root_hash.to_string()),
            age_s: head.map(|_| now_s.saturating_sub(header.time_s)),
            vkeys: current.keys.iter().map(ToString::to_string).collect(),
            evidence: evidence.get(&log.hash).copied().unwrap_or(0),
        }
    };
    Report::Listed { logs: witness.logs.all().into_iter().map(report).collect() }
}

async fn evidence(witness: &Witness, origin: Option<&str>) -> Result<Report, String> {
    let logs = match origin {
        None => witness.logs.all(),
        Some(origin) => {
            vec![witness.logs.by_origin(origin).ok_or("there is no such log")?]
        }
    };
    let kept = witness.evidence_counts().await;
    let mut files = Vec::new();
    for log in logs.iter().filter(|log| kept.contains_key(&log.hash)) {
        let ids = witness.evidence_ids(&log.hash).await.map_err(|error| error.to_string())?;
        for id in ids {
            let file = witness.evidence_file(&log.hash, &id).await;
            let accepted = witness.store.is_accepted(&log.hash, &id);
            files.push(EvidenceReport {
                origin: log.origin.to_string(),
                id: id.to_string(),
                accepted: accepted.map_err(|error| error.to_string())?,
                file: file.map_err(|error| error.to_string())?.unwrap_or_default(),
            });
        }
    }
    Ok(Report::Evidence { files })
}

async fn accept_evidence(witness: &Witness, id: &str) -> Result<Report, String> {
    let id = Hash::from_hex(id).ok_or("an evidence id is 64 hexadecimal digits")?;
    for (hash, _) in witness.evidence_counts().await {
        let ids = witness.evidence_ids(&hash).await.map_err(|error| error.to_string())?;
        let Some(log) = witness.logs.by_hash(&hash).filter(|_| ids.contains(&id)) else { continue };
        let accepted = witness.writer.order(move |store| store.accept_evidence(&hash, &id)).await;
        accepted.map_err(|stopped| stopped.to_string())?;
        witness.freeze_if_accused(&log).map_err(|error| error.to_string())?;
        let what = match log.frozen() {
            Some(other) => format!("accepted; {} is still frozen on {other}", log.origin),
            None => format!("accepted; {} is not frozen", log.origin),
        };
        return Ok(Report::Done { what });
    }
    Err("there is no such evidence".into())
}

async fn accept_lost_state(
    witness: &Witness,
    origin: &str,
    note: &str,
    peer_vkey: Option<&str>,
) -> Result<Report, String> {
    let peer = peer_vkey.map(VerifierKey::parse).transpose();
    let peer = peer.map_err(|error| format!("the peer's vkey: {error}"))?;
    let size = restart(witness, origin, note, peer.as_ref()).await;
    let size = size.map_err(|error| error.to_string())?;
    tracing::warn!(origin, %size, "restarted by the operator");
    Ok(Report::Done { what: format!("{origin} goes on from size {size}") })
}
