//! The requests and answers that were recorded from the reference server of this protocol.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use log_server::admit::v1::Kind;

use super::*;

/// `tests/vectors/rekor-v1.json`.
pub(super) struct Recorded(Value);

impl Recorded {
    pub(super) fn load() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/rekor-v1.json");
        let text = fs::read(&path).expect("the vectors are in the repository");
        Self(serde_json::from_slice(&text).expect("JSON"))
    }

    /// A directory with the log of the recording: same key, same tree, size 0, and every kind.
    pub(super) fn log(&self) -> DataDir {
        let pem = self.text("log_private_key_pkcs8_pem");
        let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let key = STANDARD.decode(base64).expect("base64");
        let tree = self.text("treeID").parse().expect("a tree id");
        let dir = DataDir::born_v1(self.text("hostname"), tree, key);
        take_every_kind(&dir);
        dir
    }

    pub(super) fn list(&self, member: &str) -> &[Value] {
        list(&self.0[member])
    }

    pub(super) fn text(&self, member: &str) -> &str {
        self.0[member].as_str().expect("text")
    }

    pub(super) fn value(&self, member: &str) -> &Value {
        &self.0[member]
    }

    /// The id of the entry of a case.
    pub(super) fn id_of(&self, name: &str) -> &str {
        let case = self.list("cases").iter().find(|case| case["name"] == name);
        case.expect("a case of this name")["entryID"].as_str().expect("an id")
    }
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

/// Lets the log take every kind that there is.
pub(super) fn take_every_kind(dir: &DataDir) {
    let kinds: Vec<String> = Kind::ALL.iter().map(|kind| format!("{:?}", kind.name())).collect();
    dir.set_log(NAME, "kinds", format!("[{}]", kinds.join(", ")));
}

/// The request of a vector, as it was sent: text where the text matters, and with the headers that
/// it was sent with.
pub(super) fn request(vector: &Value) -> Request {
    let body = match vector["requestText"].as_str() {
        Some(text) => text.to_owned(),
        None => vector["request"].to_string(),
    };
    match vector["requestHeaders"].as_object() {
        Some(headers) => headers.iter().fold(Request::post(ENTRIES, body), |request, header| {
            request.header(header.0, header.1.as_str().expect("text"))
        }),
        None => post(ENTRIES, &body),
    }
}
