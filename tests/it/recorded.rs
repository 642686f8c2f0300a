//! The requests and answers that were recorded from the reference server.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use log_tests::DataDir;
use serde_json::Value;

/// `tests/vectors/rekor-v2.json`.
pub(crate) struct Recorded(Value);

/// How the log under test is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// As `init` writes it.
    Default,
    /// `duplicates = "conflict"` and `dsse = false`: the reference server as it is today.
    AsUpstream,
}

/// What a case must be answered.
#[derive(Debug)]
pub(crate) enum Expected {
    /// This entry.
    Entry(Value),
    /// The index where the entry is already.
    Conflict(Value),
    /// This code, and a message that starts so, if it can be compared.
    Refused(i64, Option<String>),
}

impl Recorded {
    pub(crate) fn load() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/rekor-v2.json");
        let text = fs::read(&path).expect("the vectors are in the repository");
        Self(serde_json::from_slice(&text).expect("JSON"))
    }

    /// A directory with the log of the recording: same key, same origin, size 0.
    pub(crate) fn log(&self, setting: Setting) -> DataDir {
        let dir = DataDir::born(self.text("origin"), self.seed());
        if setting == Setting::AsUpstream {
            dir.set_log("rekor-v2", "duplicates", "\"conflict\"");
            dir.set_log("rekor-v2", "dsse", false);
        }
        dir
    }

    /// The cases of today's reference server, in the order in which they were sent.
    pub(crate) fn cases(&self) -> impl Iterator<Item = &Value> {
        self.all().filter(|case| is(case, "rekor-tiles@74e3eb0"))
    }

    /// The case that an older reference server answered, on a log of its own.
    pub(crate) fn legacy(&self) -> &Value {
        self.all().find(|case| is(case, "rekor-tiles v2.2.1")).expect("case 24")
    }

    pub(crate) fn expected(&self, case: &Value, setting: Setting) -> Expected {
        let recorded = &case["response"];
        match case["status"].as_u64() {
            Some(201) => Expected::Entry(recorded.clone()),
            Some(409) if setting == Setting::AsUpstream => Expected::Conflict(recorded.clone()),
            // Both were sent while the first entry was the only one, so its proof is still fresh.
            Some(409) => Expected::Entry(self.0["cases"][0]["response"].clone()),
            Some(400) => {
                let ours = &case["cairn"]["default"];
                let (code, message) = match ours["code"].as_i64() {
                    Some(code) if setting == Setting::Default => (code, &ours["message"]),
                    _ => (recorded["code"].as_i64().expect("a code"), &recorded["message"]),
                };
                // The reference server randomises the white space of its parser's messages.
                let comparable = ours["note"].as_str().is_none_or(|note| !note.contains("compare"));
                let message = message.as_str().filter(|_| comparable).map(str::to_owned);
                Expected::Refused(code, message)
            }
            other => panic!("status {other:?} in {}", case["name"]),
        }
    }

    pub(crate) fn text(&self, member: &str) -> &str {
        self.0[member].as_str().expect("text")
    }

    /// The last 32 bytes of an Ed25519 key in PKCS#8 are its seed (RFC 8410, 7).
    fn seed(&self) -> [u8; 32] {
        let pem = self.text("log_private_key_pkcs8_pem");
        let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(base64).expect("base64");
        *der.last_chunk().expect("a seed")
    }

    fn all(&self) -> impl Iterator<Item = &Value> {
        self.0["cases"].as_array().expect("cases").iter()
    }
}

fn is(case: &Value, server: &str) -> bool {
    case["server"].as_str().expect("a server").starts_with(server)
}

/// Compares an error's text: the reference server's first, then the reason, if we give one.
#[track_caller]
pub(crate) fn assert_message(actual: &str, expected: &str) {
    let rest = actual.strip_prefix(expected).unwrap_or_else(|| panic!("{actual:?}, {expected:?}"));
    assert!(rest.is_empty() || rest.starts_with(": "), "{actual:?} does not start as {expected:?}");
}
