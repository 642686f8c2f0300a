//! What a search asks for, and whether an entry shows by itself that it fits.
//!
//! A log may answer with any entry. Digests, names and keys that stand in a body can be compared;
//! the files that an attestation is about do not stand there, and are the log's word.

use log_core::entry::Verifier;
use serde_json::{Value, json};

use super::{body, shown};
use crate::pem::pem_blocks;
use crate::protojson::Bytes;

/// A search.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Hex digits of a digest, perhaps after its algorithm and a colon.
    pub hash: Option<String>,
    /// A mail address.
    pub email: Option<String>,
    /// Any other name.
    pub subject: Option<String>,
    /// The format of a public key, and its file.
    pub public_key: Option<(String, Vec<u8>)>,
    /// Whether an entry must have all of these, and not just one.
    pub all: bool,
}

impl Question {
    /// As a log takes it, without a page.
    pub fn to_json(&self) -> Value {
        let mut question = json!({ "operator": if self.all { "and" } else { "or" } });
        let texts = [("hash", &self.hash), ("email", &self.email), ("subject", &self.subject)];
        for (name, text) in texts {
            if let Some(text) = text {
                question[name] = json!(text);
            }
        }
        if let Some((format, file)) = &self.public_key {
            let content = Bytes::from(file.as_slice()).to_base64();
            question["publicKey"] = json!({ "format": format, "content": content });
        }
        question
    }

    /// Whether the body shows by itself that it is what was asked for.
    pub fn is_shown_by(&self, body: &[u8]) -> bool {
        let names = shown::identities(body);
        let has_name = |name: &String| names.iter().any(|one| one.eq_ignore_ascii_case(name));
        let has_hash = |hash: &String| {
            let digits = hash.rsplit(':').next().unwrap_or_default();
            body::digests(body).iter().any(|digest| digest.eq_ignore_ascii_case(digits))
        };
        let answers = [
            self.hash.as_ref().map(has_hash),
            self.email.as_ref().map(has_name),
            self.subject.as_ref().map(has_name),
            self.public_key.as_ref().map(|(_, file)| is_signed_by(body, file)),
        ];
        let mut answers = answers.into_iter().flatten();
        if self.all { answers.all(|shown| shown) } else { answers.any(|shown| shown) }
    }
}

/// Whether the key or certificate of this file is one that the body names, byte for byte.
fn is_signed_by(body: &[u8], file: &[u8]) -> bool {
    let pem = std::str::from_utf8(file).unwrap_or_default();
    let first = |label| pem_blocks(pem, label).ok()?.into_iter().next();
    let given = first("CERTIFICATE").map(Verifier::Certificate);
    let given = given.or_else(|| first("PUBLIC KEY").map(Verifier::PublicKey));
    given.is_some_and(|given| body::signers(body).contains(&Ok(given)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(hash: &str) -> Vec<u8> {
        let key = Bytes::from(PEM.as_bytes()).to_base64();
        json!({ "apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": { "hash": { "algorithm": "sha256", "value": hash } },
            "signature": { "content": "AA==", "publicKey": { "content": key } },
        }})
        .to_string()
        .into_bytes()
    }

    const PEM: &str = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";

    #[test]
    fn an_entry_shows_its_digest_and_its_key() {
        let question = |hash: &str, key: &[u8], all| Question {
            hash: Some(hash.to_owned()),
            public_key: Some(("x509".to_owned(), key.to_vec())),
            all,
            ..Question::default()
        };
        let other = b"-----BEGIN PUBLIC KEY-----\nAAAB\n-----END PUBLIC KEY-----\n";
        let body = body("ab");
        for (hash, key, any, all) in [
            ("sha256:AB", PEM.as_bytes(), true, true),
            ("ab", other, true, false),
            ("cd", PEM.as_bytes(), true, false),
            ("cd", other, false, false),
            ("", b"", false, false),
        ] {
            assert_eq!(question(hash, key, false).is_shown_by(&body), any, "{hash}");
            assert_eq!(question(hash, key, true).is_shown_by(&body), all, "{hash}");
        }
        assert!(!Question::default().is_shown_by(&body));
        assert!(!question("ab", PEM.as_bytes(), false).is_shown_by(b"no JSON"));
    }
}
