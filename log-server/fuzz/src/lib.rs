//! What the targets share: an input becomes a request for admission, and whatever comes of it is
//! checked.
//!
//! The first byte of an input says how the rest is read: `0` as the text of a request, `1` and
//! above as the parts of a well-formed one, in the shapes that the target knows. So the parsers
//! behind base64 see bytes that a fuzzer changed, and not only their encoding.

mod archive;
mod signer;

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use log_core::{LEAF_BYTES_MAX, Leaf};
use log_server::admit::v1::json::Json;
use log_server::admit::v1::{Admitted, Kind, Refusal, Rules, create_entry, look_up};
use serde_json::{Value, json};

pub use archive::{gzip, tar, zip};
pub use signer::{public_key, public_key_hex, sign_envelope, sign_hex};

/// When the requests come in: 2026-11-22T15:00:00Z, when the seeds were recorded.
const NOW: Timestamp = Timestamp::constant(1_795_359_600, 0);

/// Between two parts of an input.
const CUT: &[u8] = b"\0CUT\0";

/// What admission promises of search keys: how many, and how many characters of each.
const KEYS_MAX: usize = 10_000;
const KEY_CHARS_MAX: usize = 512;

/// Makes a request from the parts of an input.
pub type Shape = fn(&mut Parts<'_>) -> Value;

/// The parts of an input; those that are missing are empty.
pub struct Parts<'a>(Option<&'a [u8]>);

impl<'a> Parts<'a> {
    /// The next part.
    pub fn bytes(&mut self) -> &'a [u8] {
        self.next().unwrap_or_default()
    }

    /// The next part in base64.
    pub fn base64(&mut self) -> String {
        base64(self.bytes())
    }

    /// The next part as a text.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let all = self.0.take()?;
        let Some(at) = all.windows(CUT.len()).position(|window| window == CUT) else {
            return Some(all);
        };
        self.0 = Some(&all[at + CUT.len()..]);
        Some(&all[..at])
    }
}

/// Submits what the input says, and looks for it.
pub fn submit(input: &[u8], shapes: &[Shape]) {
    let Some((form, rest)) = input.split_first() else { return };
    match usize::from(form.wrapping_sub(b'0')) % (shapes.len() + 1) {
        0 => check(rest),
        form => check(shapes[form - 1](&mut Parts(Some(rest))).to_string().as_bytes()),
    }
}

/// A proposed entry.
pub fn request(kind: Kind, version: &str, spec: Value) -> Value {
    json!({ "apiVersion": version, "kind": kind.name(), "spec": spec })
}

/// Base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn check(body: &[u8]) {
    let admit = || create_entry(body, &Rules { kinds: Kind::ALL.to_vec() }, NOW);
    let admitted = admit();
    match &admitted {
        Ok(entry) => {
            check_admitted(entry);
            assert_eq!(admit().as_ref(), Ok(entry), "the same request is the same entry");
        }
        Err(refusal) => check_refusal(refusal),
    }
    let Ok(Some(entry)) = Json::first(body) else {
        assert!(admitted.is_err());
        return;
    };
    match (&admitted, look_up(entry, NOW)) {
        (Ok(admitted), found) => assert_eq!(found.as_ref(), Ok(&admitted.leaf)),
        (Err(_), Ok(leaf)) => _ = check_leaf(&leaf),
        (Err(_), Err(refusal)) => check_refusal(&refusal),
    }
}

fn check_admitted(admitted: &Admitted) {
    let leaf = check_leaf(&admitted.leaf);
    assert_eq!(leaf["kind"], admitted.kind.name());
    assert_eq!(leaf["apiVersion"], admitted.version);
    let keys = &admitted.index_keys;
    assert!((1..=KEYS_MAX).contains(&keys.len()), "{} search keys", keys.len());
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len(), "a key stands there twice");
    for key in keys {
        assert!((1..=KEY_CHARS_MAX).contains(&key.chars().count()), "{key:?}");
        assert!(key.chars().flat_map(char::to_lowercase).eq(key.chars()), "{key:?}");
    }
}

/// A leaf is canonical, and is found again as it is stored where nothing of it was left out.
fn check_leaf(leaf: &Leaf) -> Value {
    let bytes = leaf.as_bytes();
    assert!(bytes.len() <= LEAF_BYTES_MAX);
    let value: Value = serde_json::from_slice(bytes).expect("a leaf is JSON");
    assert_eq!(canonical(&value).as_bytes(), bytes, "{}", String::from_utf8_lossy(bytes));
    let kind = value["kind"].as_str().and_then(Kind::from_name).expect("a leaf has a kind");
    let whole =
        matches!(kind, Kind::Dsse | Kind::HashedRekord | Kind::Intoto | Kind::Rfc3161 | Kind::Tuf);
    match look_up(Json::only(bytes).expect("a leaf is JSON here too"), NOW) {
        Ok(found) => assert_eq!(&found, leaf),
        Err(refusal) => assert!(!whole, "{refusal}: {}", String::from_utf8_lossy(bytes)),
    }
    value
}

fn check_refusal(refusal: &Refusal) {
    assert!(matches!(refusal.code(), 400 | 422 | 602 | 605), "{}", refusal.code());
    assert!(!refusal.to_string().is_empty());
    let _ = (refusal.in_lookup(), refusal.is_unreadable());
}

/// RFC 8785 for what leaves are made of.
fn canonical(value: &Value) -> String {
    let text = |text: &str| Value::from(text).to_string();
    match value {
        Value::String(word) => text(word),
        Value::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(canonical).collect();
            format!("[{}]", elements.join(","))
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| name.encode_utf16().collect::<Vec<_>>());
            let member =
                |(name, value): (&String, &Value)| format!("{}:{}", text(name), canonical(value));
            let members: Vec<_> = members.into_iter().map(member).collect();
            format!("{{{}}}", members.join(","))
        }
        other => panic!("a leaf has no {other}"),
    }
}
