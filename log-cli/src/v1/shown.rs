//! Entries of Rekor v1 as people and programs see them.

use std::fmt::Write as _;

use log_core::EntryId;
use log_core::entry::Verifier;
use log_core::hash::sha256;
use serde_json::{Value, json};

use super::attested::Attested;
use super::body;
use crate::certificate::SigningCertificate;
use crate::log_entry::{Included, LogEntry};
use crate::output::Printable;
use crate::protojson::Bytes;

/// Who signed, for people: the names in the certificates, or the fingerprints of the keys.
pub fn identities(body: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for signer in body::signers(body) {
        match signer {
            Ok(Verifier::Certificate(der)) => match SigningCertificate::from_der(&der) {
                Ok(certificate) if !certificate.names().is_empty() => {
                    names.extend(certificate.names());
                }
                _ => names.push(format!("certificate SHA-256 {}", sha256(&der))),
            },
            Ok(Verifier::PublicKey(der)) => names.push(format!("key SHA-256 {}", sha256(&der))),
            Err(bytes) => names.push(format!("key SHA-256 {}", sha256(&bytes))),
        }
    }
    names
}

/// Kind, digest and signers of a body, a line each, every line after a newline.
pub fn describe_body(body: &[u8]) -> String {
    let mut text = String::new();
    if let Ok(heading) = body::Heading::parse(body) {
        let kind = heading.kind_version();
        let name = format!("{} {}", kind.kind, kind.version);
        let _ = write!(text, "\nkind       {}", Printable(&name));
    }
    if let Some(digest) = body::digest(body) {
        let _ = write!(text, "\ndigest     {}", Printable(&digest));
    }
    for name in identities(body) {
        let _ = write!(text, "\nidentity   {}", Printable(&name));
    }
    text
}

/// An entry in lines.
pub fn describe(id: &EntryId, entry: &LogEntry, attested: &Attested) -> String {
    let mut text = format!("entry      {}", attested.index);
    if let Some(Included { index, checkpoint, .. }) = &attested.included {
        let (size, root) = (checkpoint.head.size, checkpoint.head.root_hash.to_base64());
        let _ = write!(text, " of {}", Printable(checkpoint.origin.as_str()));
        let _ = write!(text, "\nproved     leaf {index} in the tree of size {size}, root {root}");
    }
    if let Some(time) = attested.time {
        let _ = write!(text, "\nlogged     {time}, says the log");
    }
    text.push_str(&describe_body(&entry.canonicalized_body.0));
    let _ = write!(text, "\nentry id   {id}");
    text
}

/// An entry for programs.
pub fn to_json(id: &EntryId, entry: &LogEntry, attested: &Attested) -> Value {
    let body = &entry.canonicalized_body.0;
    let mut json = json!({
        "entryId": id.to_string(),
        "leafHash": id.leaf_hash.to_string(),
        "index": attested.index.get(),
        "time": attested.time.map(|time| time.to_string()),
        "kind": entry.kind_version.kind,
        "version": entry.kind_version.version,
        "digest": body::digest(body),
        "identities": identities(body),
        "logId": attested.key.full_id_hash().to_string(),
        "body": Bytes::from(body.as_slice()).to_base64(),
        "entry": serde_json::from_slice::<Value>(body).ok(),
    });
    if let Some(Included { index, checkpoint, .. }) = &attested.included {
        json["log"] = json!(checkpoint.origin.as_str());
        json["treeIndex"] = json!(index.get());
        json["treeSize"] = json!(checkpoint.head.size.get());
        json["rootHash"] = json!(checkpoint.head.root_hash.to_base64());
    }
    json
}
