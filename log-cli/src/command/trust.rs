//! `cairn trust export`: the files that clients need to use a server's logs.
//!
//! What the server says is taken on trust, once: whoever runs this checks the printed keys against
//! what the operator publishes. Checked is that everything fits together, and that each log signs
//! with the key it names.

use std::fs;
use std::path::{Path, PathBuf};
use std::slice;

use jiff::Timestamp;
use log_core::{Hash, KeyAlgorithm, Origin, SignedCheckpoint, SignedNote, TreeId, VerifierKey};
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use super::checkpoint::LogTrust;
use crate::bundle::{CertificateChain, RawBytes};
use crate::chain;
use crate::client::LogClient;
use crate::failure::Failure;
use crate::files;
use crate::log_entry::LogId;
use crate::output::{Answer, Printable};
use crate::pem::{pem_blocks, to_pem};
use crate::protojson::Bytes;
use crate::public_key::{KeyKind, PublicKey};
use crate::trusted_root::{
    Authority, KeyInstance, LogInstance, MEDIA_TYPE, TimeRange, TrustedRoot,
};

mod policy;

/// The media type of signing configurations.
const SIGNING_CONFIG_MEDIA_TYPE: &str = "application/vnd.dev.sigstore.signingconfig.v0.2+json";

/// The media type of both documents in one.
const TRUST_CONFIG_MEDIA_TYPE: &str = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json";

/// The personalities whose logs stand in trusted roots.
const REKOR_V1: &str = "rekor-v1";
const REKOR_V2: &str = "rekor-v2";

/// `cairn trust`.
#[derive(Debug, clap::Subcommand)]
pub enum TrustCommand {
    /// Writes trusted_root.json, signing_config.json, trust_config.json, policy.txt, a NAME.vkey
    /// for each log and a NAME.pub (PEM) for each Rekor v1 log, and a NAME.policy.txt for each log
    /// whose witnesses are others than those of the first Rekor v2 log.
    Export(ExportArgs),
}

/// Arguments of `cairn trust export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// The URL of the server.
    #[arg(long)]
    pub url: String,
    /// The directory that the files go to; it is made if need be.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// A certificate authority for signers: PEM certificates, root last.
    #[arg(long, value_name = "CHAIN", requires = "certificate_authority_url")]
    pub certificate_authority: Option<PathBuf>,
    /// Where that authority is (Fulcio's URL).
    #[arg(long, value_name = "URL", requires = "certificate_authority")]
    pub certificate_authority_url: Option<String>,
    /// The public key (PEM) of the CT log whose timestamps are in certificates.
    #[arg(long, value_name = "KEY")]
    pub ct_log: Option<PathBuf>,
    /// Where that log is.
    #[arg(long, value_name = "URL", requires = "ct_log")]
    pub ct_log_url: Option<String>,
    /// A timestamp authority: PEM certificates, signer first, root last.
    #[arg(long, value_name = "CHAIN", requires = "timestamp_url")]
    pub timestamp_authority: Option<PathBuf>,
    /// The full URL of that authority.
    #[arg(long, value_name = "URL", requires = "timestamp_authority")]
    pub timestamp_url: Option<String>,
    /// The identity provider.
    #[arg(long, value_name = "URL")]
    pub oidc_url: Option<String>,
    /// Who runs the services; by default the host name of the URL.
    #[arg(long, value_name = "NAME")]
    pub operator: Option<String>,
}

/// Reads the server's list of logs and writes the files.
pub fn run(command: &TrustCommand) -> Result<Answer, Failure> {
    let TrustCommand::Export(args) = command;
    let client = LogClient::new(&args.url).map_err(|error| Failure::Usage(error.to_string()))?;
    let url = Url::parse(&args.url).map_err(|error| Failure::Usage(error.to_string()))?;
    let list = client.logs().map_err(Failure::undecided)?;
    let list: LogList = serde_json::from_slice(&list)
        .map_err(|error| Failure::no(format!("the server's list of logs is malformed: {error}")))?;
    // A log that is shut shows neither key nor checkpoint, and the others are none the worse.
    let (shut, rest): (Vec<_>, Vec<_>) = list.logs.iter().partition(|log| log.state == "shut");
    for log in shut {
        eprintln!("cairn: the log {} is shut and left out", Printable(&log.name));
    }
    let logs = rest.into_iter().map(|log| ListedLog::check(log, &client, &url));
    let logs = logs.collect::<Result<Vec<_>, _>>()?;
    if logs.iter().all(|log| log.api().is_none()) {
        return Err(Failure::no("the server has no rekor-v2 or rekor-v1 log"));
    }
    let policies = policy::policy_files(&logs)?;
    let root = trusted_root(args, &logs)?;
    let config = signing_config(args, &logs, &root, &url)?;
    let root = serde_json::to_value(&root).map_err(Failure::undecided)?;
    let both = json!({
        "mediaType": TRUST_CONFIG_MEDIA_TYPE,
        "trustedRoot": root,
        "signingConfig": config,
    });
    fs::create_dir_all(&args.out)
        .map_err(|error| Failure::undecided(format!("{}: {error}", args.out.display())))?;
    write_json(&args.out.join("trusted_root.json"), &root)?;
    write_json(&args.out.join("signing_config.json"), &config)?;
    write_json(&args.out.join("trust_config.json"), &both)?;
    let mut text = format!("wrote {}", args.out.display());
    for ListedLog { listed, trust, .. } in &logs {
        let vkey = format!("{}\n", trust.key);
        files::write(&args.out.join(format!("{}.vkey", listed.name)), vkey.as_bytes())?;
        if listed.personality == REKOR_V1 {
            let pem = to_pem("PUBLIC KEY", &listed.public_key.0);
            files::write(&args.out.join(format!("{}.pub", listed.name)), pem.as_bytes())?;
        }
        text.push_str(&format!("\n{}  {}", listed.name, Printable(&trust.key.to_string())));
    }
    for (name, policy) in &policies {
        files::write(&args.out.join(name), policy.as_bytes())?;
    }
    let vkeys = logs.iter().map(|log| (log.listed.name.clone(), json!(log.trust.key.to_string())));
    let vkeys: serde_json::Map<_, _> = vkeys.collect();
    let names: Vec<&str> = policies.iter().map(|(name, _)| name.as_str()).collect();
    let out = args.out.display().to_string();
    Ok(Answer::new(text, json!({ "out": out, "vkeys": vkeys, "policies": names })))
}

/// What a server answers at `/logs`.
#[derive(Debug, Deserialize)]
struct LogList {
    logs: Vec<Listed>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: String,
    personality: String,
    origin: String,
    vkeys: Vec<String>,
    /// Absent if the log is shut.
    #[serde(default)]
    public_key: Bytes,
    state: String,
    start_time: String,
    /// The tlog-policy under which the log publishes; absent if it asks no witnesses.
    #[serde(default)]
    witness_policy: Option<String>,
}

/// A log of the list whose key was seen to sign its checkpoint.
struct ListedLog {
    listed: Listed,
    /// What its tiles and their checkpoint are verified with.
    trust: LogTrust,
    /// The hash of the key that its answers are signed with.
    log_id: Hash,
    /// The checkpoint that it showed.
    note: SignedNote,
    start: Timestamp,
    /// The prefix of its tiles.
    url: String,
    /// The URL that clients submit to: that of the server, with the origin as host.
    face: Url,
}

impl ListedLog {
    fn check(listed: &Listed, server: &LogClient, url: &Url) -> Result<Self, Failure> {
        let name = Printable(&listed.name).to_string();
        let wrong = |what: &str| Failure::no(format!("the server's log {name}: {what}"));
        let client = server.log(&listed.name).map_err(Failure::no)?;
        let origin = Origin::parse(&listed.origin).map_err(|_| wrong("bad origin"))?;
        let keys = listed.vkeys.iter().map(|vkey| VerifierKey::parse(vkey));
        let keys = keys.collect::<Result<Vec<_>, _>>().map_err(|_| wrong("bad verifier key"))?;
        if !keys.iter().all(VerifierKey::is_log_key) {
            return Err(wrong("a verifier key that is not a log's"));
        }
        let of = |algorithm| keys.iter().find(move |key| key.algorithm() == algorithm);
        let key = of(KeyAlgorithm::Ed25519).ok_or_else(|| wrong("no Ed25519 key"))?.clone();
        let start = listed.start_time.parse().map_err(|_| wrong("bad start time"))?;
        let note = client.checkpoint().map_err(Failure::undecided)?;
        let signed = SignedCheckpoint::open(&note, &origin, &key).map_err(Failure::no)?;
        // The key of the answers: that of the tiles, but for v1, whose clients want ECDSA.
        let (host, answers) = match listed.personality.as_str() {
            REKOR_V1 => {
                let host = TreeId::host_and_tree(&origin).map(|(host, _)| host);
                let ecdsa = of(KeyAlgorithm::EcdsaP256).ok_or_else(|| wrong("no ECDSA key"))?;
                signed.note().verify(slice::from_ref(ecdsa)).map_err(Failure::no)?;
                (Some(host.ok_or_else(|| wrong("the origin is not HOST - TREEID"))?), ecdsa)
            }
            REKOR_V2 => (Some(origin.as_str()), &key),
            _ => (None, &key),
        };
        let mut face = url.clone();
        if let Some(host) = host {
            if answers.spki_der().as_deref() != Some(listed.public_key.0.as_slice()) {
                return Err(wrong("the public key is not that of the verifier key"));
            }
            let is_named = [answers, &key].iter().all(|key| key.name().as_str() == host);
            if !is_named || face.set_host(Some(host)).is_err() {
                return Err(wrong("the origin is not of a host name, or not of the key's name"));
            }
        }
        Ok(Self {
            log_id: answers.full_id_hash(),
            note: signed.note().clone(),
            url: client.base_url().to_owned(),
            listed: listed.clone(),
            trust: LogTrust { origin, key },
            start,
            face,
        })
    }

    /// The version of the API that its clients speak; none for logs that trusted roots do not name.
    fn api(&self) -> Option<u32> {
        match self.listed.personality.as_str() {
            REKOR_V1 => Some(1),
            REKOR_V2 => Some(2),
            _ => None,
        }
    }

    fn instance(&self) -> LogInstance {
        let key_details = match self.api() {
            Some(1) => "PKIX_ECDSA_P256_SHA_256",
            _ => "PKIX_ED25519",
        };
        LogInstance {
            base_url: self.face.as_str().trim_end_matches('/').to_owned(),
            hash_algorithm: "SHA2_256".to_owned(),
            public_key: KeyInstance {
                raw_bytes: self.listed.public_key.clone(),
                key_details: key_details.to_owned(),
                valid_for: TimeRange::since(self.start),
            },
            log_id: Some(LogId { key_id: Bytes(self.log_id.as_bytes().to_vec()) }),
            checkpoint_key_id: None,
            operator: String::new(),
        }
    }
}

fn trusted_root(args: &ExportArgs, logs: &[ListedLog]) -> Result<TrustedRoot, Failure> {
    let mut rekor: Vec<_> = logs.iter().filter(|log| log.api().is_some()).collect();
    rekor.sort_by_key(|log| std::cmp::Reverse(log.api()));
    let authority = |chain: &Option<PathBuf>, url: &Option<String>| match chain {
        None => Ok(Vec::new()),
        Some(path) => Ok(vec![read_authority(path, url.as_deref().unwrap_or_default())?]),
    };
    let certificate_authorities =
        authority(&args.certificate_authority, &args.certificate_authority_url)?;
    // A CT key has no date of its own; its timestamps are as old as the authority, or the log.
    let started = certificate_authorities.first().map(|authority| authority.valid_for.clone());
    let started = started.or_else(|| logs.first().map(|log| TimeRange::since(log.start)));
    let ctlogs = match &args.ct_log {
        None => Vec::new(),
        Some(path) => {
            let url = args.ct_log_url.as_deref().unwrap_or_default();
            vec![read_ct_log(path, url, started.unwrap_or_default())?]
        }
    };
    Ok(TrustedRoot {
        media_type: MEDIA_TYPE.to_owned(),
        tlogs: rekor.into_iter().map(ListedLog::instance).collect(),
        certificate_authorities,
        ctlogs,
        timestamp_authorities: authority(&args.timestamp_authority, &args.timestamp_url)?,
    })
}

fn signing_config(
    args: &ExportArgs,
    logs: &[ListedLog],
    root: &TrustedRoot,
    url: &Url,
) -> Result<Value, Failure> {
    let operator = args.operator.as_deref().or(url.host_str()).unwrap_or_default();
    let service = |url: &str, version: u32, valid_for: &TimeRange| {
        json!({
            "url": url,
            "majorApiVersion": version,
            "validFor": valid_for,
            "operator": operator,
        })
    };
    let rekor = rekor_services(logs);
    let rekor = rekor.iter().map(|(url, api, start)| service(url, *api, &TimeRange::since(*start)));
    let mut config = json!({
        "mediaType": SIGNING_CONFIG_MEDIA_TYPE,
        "rekorTlogUrls": rekor.collect::<Vec<_>>(),
        "rekorTlogConfig": { "selector": "ANY" },
    });
    let authorities = [
        ("caUrls", root.certificate_authorities.first()),
        ("tsaUrls", root.timestamp_authorities.first()),
    ];
    for (field, authority) in authorities {
        if let Some(authority) = authority {
            config[field] = json!([service(&authority.uri, 1, &authority.valid_for)]);
        }
    }
    if !root.timestamp_authorities.is_empty() {
        config["tsaConfig"] = json!({ "selector": "ANY" });
    }
    if let Some(url) = &args.oidc_url {
        let first = logs.first().map(|log| TimeRange::since(log.start)).unwrap_or_default();
        config["oidcUrls"] = json!([service(url, 1, &first)]);
    }
    Ok(config)
}

/// Where entries may be sent, the newest API first. Most clients take the newest API that they
/// know, some the service that is valid since the latest time: so none of v1 begins after the
/// first of v2.
fn rekor_services(logs: &[ListedLog]) -> Vec<(String, u32, Timestamp)> {
    let open = logs.iter().filter(|log| log.listed.state == "open");
    let service = |log: &ListedLog| Some((log.instance().base_url, log.api()?, log.start));
    let mut services: Vec<_> = open.filter_map(service).collect();
    services.sort_by_key(|(_, api, _)| std::cmp::Reverse(*api));
    let of_v2 = services.iter().filter(|(_, api, _)| *api == 2).map(|(_, _, start)| *start);
    if let Some(first) = of_v2.min() {
        for (_, _, start) in services.iter_mut().filter(|(_, api, _)| *api == 1) {
            *start = first.min(*start);
        }
    }
    services
}

fn read_authority(path: &Path, url: &str) -> Result<Authority, Failure> {
    let broken =
        |error: &dyn std::fmt::Display| Failure::undecided(format!("{}: {error}", path.display()));
    let chain = pem_blocks(&files::read_text(path)?, "CERTIFICATE").map_err(|e| broken(&e))?;
    let last = chain.last().ok_or_else(|| broken(&"holds no certificate"))?;
    let subject = chain::subject(last).map_err(|error| broken(&error))?;
    let mut start = Timestamp::MIN;
    for certificate in &chain {
        start = start.max(chain::not_before(certificate).map_err(|error| broken(&error))?);
    }
    let certificates = chain.into_iter().map(|der| RawBytes { raw_bytes: Bytes(der) }).collect();
    Ok(Authority {
        subject,
        uri: url.to_owned(),
        cert_chain: CertificateChain { certificates },
        valid_for: TimeRange::since(start),
        operator: String::new(),
    })
}

fn read_ct_log(path: &Path, url: &str, valid_for: TimeRange) -> Result<LogInstance, Failure> {
    let broken =
        |error: &dyn std::fmt::Display| Failure::undecided(format!("{}: {error}", path.display()));
    let key = PublicKey::from_pem(&files::read_text(path)?).map_err(|error| broken(&error))?;
    let details = match key.kind() {
        // CT logs sign without prehash.
        KeyKind::Ed25519 => Some("PKIX_ED25519"),
        _ => key.key_details().map(|details| details.name()),
    };
    let details = details.ok_or_else(|| broken(&"no CT log has such a key"))?;
    let id = log_core::hash::sha256(key.spki_der());
    Ok(LogInstance {
        base_url: url.to_owned(),
        hash_algorithm: "SHA2_256".to_owned(),
        public_key: KeyInstance {
            raw_bytes: Bytes::from(key.spki_der()),
            key_details: details.to_owned(),
            valid_for,
        },
        log_id: Some(LogId { key_id: Bytes(id.as_bytes().to_vec()) }),
        checkpoint_key_id: None,
        operator: String::new(),
    })
}

fn write_json(path: &Path, value: &Value) -> Result<(), Failure> {
    files::write(path, format!("{value:#}\n").as_bytes())
}
