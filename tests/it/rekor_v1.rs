//! Rekor v1 as its clients see it: every route and every error, the recorded answers of the
//! reference server byte for byte, races, bad input, restarts.

mod bodies;
mod errors;
mod faces;
mod hostile;
mod paging;
mod races;
mod recorded;
mod replay;
mod restart;
mod routes;
mod upstream;

use log_tests::record_v1::{ENTRIES, post};
use log_tests::{
    Connection, DataDir, EntryV1, LogV1, Request, Response, ServerProcess, SubmissionMakerV1,
    SubmissionV1,
};
use serde_json::{Value, json};

const LOG: &str = "/api/v1/log";
const PUBLIC_KEY: &str = "/api/v1/log/publicKey";
const PROOF: &str = "/api/v1/log/proof";
const RETRIEVE: &str = "/api/v1/log/entries/retrieve";
const SEARCH: &str = "/api/v1/index/retrieve";

/// The name that `init` gives the log of this protocol.
const NAME: &str = "rekor-v1";

/// The pattern of the ids of entries, as refusals quote it.
const ID_PATTERN: &str = "^([0-9a-fA-F]{64}|[0-9a-fA-F]{80})$";

/// A served log of this protocol, beside the one that `init` makes too.
struct Scene {
    dir: DataDir,
    server: ServerProcess,
    log: LogV1,
    /// What is in the log, in its order.
    entries: Vec<EntryV1>,
    submissions: Vec<SubmissionV1>,
}

/// The address in the certificate of every third entry of a scene.
const EMAIL: &str = "Some.One@example.org";

impl Scene {
    /// A log with this many entries: `hashedrekord`, `dsse`, and one with a certificate, in turns.
    fn of(entries: usize) -> Self {
        Self::set(entries, |_| {})
    }

    /// The same with other settings.
    fn set(entries: usize, change: impl FnOnce(&DataDir)) -> Self {
        let dir = DataDir::init("localhost");
        change(&dir);
        let server = dir.start();
        let log = LogV1::of(&server);
        let mut scene = Self { dir, server, log, entries: Vec::new(), submissions: Vec::new() };
        let mut bare = SubmissionMakerV1::new();
        let mut certified = SubmissionMakerV1::certified(&[EMAIL]);
        let mut connection = scene.server.connect();
        for at in 0..entries {
            let submission = match at % 3 {
                0 => bare.hashedrekord(),
                1 => bare.dsse(),
                _ => certified.hashedrekord(),
            };
            let answer = connection.send(&post(ENTRIES, &submission.request)).expect(201);
            scene.entries.push(scene.log.verify(&answer.json()));
            scene.submissions.push(submission);
        }
        scene
    }

    fn connect(&self) -> Connection {
        self.server.connect()
    }

    /// The leaf hash of an entry, in hex.
    fn leaf_hash(&self, at: usize) -> &str {
        &self.entries[at].id[16..]
    }

    /// The log goes on as if nothing had been: it takes an entry, and nothing in it has panicked.
    #[track_caller]
    fn assert_goes_on(&self) {
        let submission = SubmissionMakerV1::new().hashedrekord();
        let answer = self.server.send(&post(ENTRIES, &submission.request)).expect(201);
        self.log.verify(&answer.json());
        let said = self.server.stderr();
        assert!(!said.contains("panicked"), "{said}");
    }
}

/// A path below another.
fn below(path: &str, rest: &str) -> String {
    format!("{path}/{rest}")
}

/// The body of an error.
fn error(code: u16, message: &str) -> Value {
    json!({ "code": code, "message": message })
}

/// Checks that an answer is this JSON, as the reference server would have written it: members in
/// the order of their names, no white space, a line end.
#[track_caller]
fn assert_json(response: &Response, expected: &Value) {
    assert_eq!(response.json(), *expected);
    assert_canonical(response);
}

/// Checks the form of an answer in JSON, whatever it says.
#[track_caller]
fn assert_canonical(response: &Response) {
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("content-encoding"), None);
    assert_eq!(response.text(), format!("{}\n", sorted(&response.json())));
}

/// JSON with the members of each object in the order of their names.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let members: Vec<String> = members
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), sorted(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(sorted).collect();
            format!("[{}]", elements.join(","))
        }
        other => other.to_string(),
    }
}

/// One row of a table of answers.
struct Row {
    what: &'static str,
    request: Request,
    status: u16,
    answer: Answer,
}

/// What an answer must be.
enum Answer {
    /// This JSON.
    Json(Value),
    /// Any JSON that this approves of.
    Like(Box<dyn Fn(&Value)>),
    /// A message that starts so, under this code.
    Starts(u16, &'static str),
    /// Nothing, and so no type.
    Nothing,
    /// This text of this type.
    Text(&'static str, String),
}

fn row(what: &'static str, request: Request, status: u16, answer: Answer) -> Row {
    Row { what, request, status, answer }
}

/// A row whose answer is an error with its status as code.
fn refusal(what: &'static str, request: Request, status: u16, message: &str) -> Row {
    row(what, request, status, Answer::Json(error(status, message)))
}

/// A row whose answer names a rule: 422 with another code.
fn invalid(what: &'static str, request: Request, code: u16, message: &str) -> Row {
    row(what, request, 422, Answer::Json(error(code, message)))
}

impl Row {
    #[track_caller]
    fn check(&self, connection: &mut Connection) -> Response {
        let response = connection.send(&self.request);
        let text = String::from_utf8_lossy(&response.body);
        assert_eq!(response.status, self.status, "{}: {text}", self.what);
        assert_eq!(
            response.header("access-control-allow-origin"),
            Some("*"),
            "{}: any page may read it",
            self.what
        );
        eprintln!("{}: {}", self.what, response.status);
        match &self.answer {
            Answer::Json(expected) => assert_json(&response, expected),
            Answer::Like(check) => {
                assert_canonical(&response);
                check(&response.json());
            }
            Answer::Starts(code, prefix) => {
                assert_canonical(&response);
                let body = response.json();
                assert_eq!(body["code"], *code, "{}", self.what);
                let message = body["message"].as_str().expect("a message");
                assert!(message.starts_with(prefix), "{}: {message}", self.what);
            }
            Answer::Nothing => {
                assert_eq!(response.body, b"", "{}", self.what);
                assert_eq!(response.header("content-type"), None, "{}", self.what);
            }
            Answer::Text(media, expected) => {
                assert_eq!(response.header("content-type"), Some(*media), "{}", self.what);
                assert_eq!(response.text(), expected, "{}", self.what);
            }
        }
        response
    }
}
