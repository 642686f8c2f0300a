//! The search keys of an entry: under which words it is found later.
//!
//! First come those of the reference server, in its order and its forms; then what it forgets: a
//! public key is found by its digest with and without the name of the hash function. All are in
//! lower case, as queries are too.

use std::collections::HashSet;

use log_core::hash::sha256;

use super::json::{Json, JsonType};
use super::pgp::PublicKeys;
use super::refusal::Reason;
use super::x509::KeyObject;

/// Most search keys of one entry. Payloads are not logged, so without a bound one request could
/// write millions of them; statements with thousands of subjects exist.
pub(super) const KEYS_MAX: usize = 10_000;

/// Longest search key, in characters. A query is no longer, so what is longer is never found.
const KEY_CHARS_MAX: usize = 512;

/// The payload type of in-toto statements.
pub(super) const IN_TOTO: &str = "application/vnd.in-toto+json";

/// In which form the reference server stores the digest of a key; it depends on the kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Hex alone.
    Bare,
    /// With `sha256:` in front.
    Prefixed,
}

/// Collects search keys.
#[derive(Default)]
pub(super) struct Keys {
    keys: Vec<String>,
    more: Vec<String>,
}

impl Keys {
    /// A public key with the subjects of its certificate.
    pub(super) fn push_key(&mut self, object: &KeyObject, form: Form) {
        self.push_fingerprint(&object.fingerprint(), form);
        self.keys.extend(object.subjects.iter().map(|subject| fold(subject)));
    }

    /// An OpenPGP key with the addresses in its names.
    pub(super) fn push_pgp(&mut self, keys: &PublicKeys<'_>, form: Form) {
        self.push_fingerprint(&sha256(&keys.canonical()).to_string(), form);
        self.keys.extend(keys.emails().map(fold));
    }

    /// The digest of a public key.
    pub(super) fn push_fingerprint(&mut self, bare: &str, form: Form) {
        let prefixed = format!("sha256:{bare}");
        let (wanted, other) = match form {
            Form::Bare => (bare.to_owned(), prefixed),
            Form::Prefixed => (prefixed, bare.to_owned()),
        };
        self.keys.push(wanted);
        self.more.push(other);
    }

    /// A digest with the name of its hash function.
    pub(super) fn push_hash(&mut self, algorithm: &str, value: &str) {
        self.push(&format!("{algorithm}:{value}"));
    }

    /// Any word.
    pub(super) fn push(&mut self, word: &str) {
        self.keys.push(fold(word));
    }

    /// The digests of an in-toto statement's subjects. What is no statement has none.
    pub(super) fn push_subjects(&mut self, payload: &[u8]) {
        if let Ok(statement) = Json::only(payload) {
            self.push_digests(last_of(statement, "subject"));
        }
    }

    /// The digests of a statement's SLSA materials.
    pub(super) fn push_materials(&mut self, payload: &[u8]) {
        if let Ok(statement) = Json::only(payload) {
            let predicate = last_of(statement, "predicate");
            self.push_digests(predicate.and_then(|predicate| last_of(predicate, "materials")));
        }
    }

    /// All search keys, each once.
    pub(super) fn finish(self) -> Result<Vec<String>, Reason> {
        let mut keys = self.keys;
        keys.extend(self.more);
        let mut seen = HashSet::with_capacity(keys.len());
        keys.retain(|key| {
            let is_short = key.len() <= KEY_CHARS_MAX || key.chars().count() <= KEY_CHARS_MAX;
            !key.is_empty() && is_short && seen.insert(key.clone())
        });
        if keys.len() > KEYS_MAX { Err(Reason::TooManyKeys) } else { Ok(keys) }
    }

    /// Takes one key too many at most: then the entry is refused anyway.
    fn push_digests(&mut self, list: Option<Json<'_>>) {
        let elements = list.into_iter().flat_map(Json::elements);
        let digests = elements.filter_map(|element| last_of(element, "digest"));
        let pairs = digests.flat_map(Json::members).filter_map(|(algorithm, value)| {
            let value = value.as_str()?;
            let is_short = algorithm.len() + value.len() <= 4 * KEY_CHARS_MAX;
            is_short.then(|| fold(&format!("{algorithm}:{value}")))
        });
        self.keys.extend(pairs.take((KEYS_MAX + 1).saturating_sub(self.keys.len())));
    }
}

/// The form in which words are stored and looked up. Each character by itself, so that the case of
/// one does not depend on its neighbours.
pub(super) fn fold(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    word.chars().flat_map(char::to_lowercase).collect()
}

fn last_of<'a>(object: Json<'a>, name: &str) -> Option<Json<'a>> {
    object.in_any_case(name).filter(|value| value.json_type() != JsonType::Null).last()
}
