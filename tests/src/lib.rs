//! The harness of the tests that cross crates: the real server as a child process, distinct and
//! really signed submissions, an HTTP client that may also misbehave, and a check of a whole log
//! from its public bytes.
//!
//! | module | |
//! |---|---|
//! | [`data_dir`] | a data directory: made, changed, served |
//! | [`process`] | a running `cairn-server`: addresses, signals, what it said |
//! | [`http`] | HTTP/1.1 over a plain socket, byte by byte if need be |
//! | [`submission`] | requests with real signatures, as JSON and as protobuf |
//! | [`answer`] | what a submitter got back, verified offline |
//! | [`check`] | recompute a log from checkpoint, tiles and bundles |
//! | [`raw`] | a client of raw logs |
//! | [`record`] | what a log said, held against what it says later |
//!
//! Everything here panics when something is not as it should be: in a test that is the report.

pub mod answer;
pub mod check;
pub mod data_dir;
pub mod http;
pub mod process;
pub mod raw;
pub mod record;
pub mod submission;

pub use answer::Acknowledged;
pub use check::{CheckedLog, check_log};
pub use data_dir::DataDir;
pub use http::{Connection, Request, Response};
pub use process::{Ended, ServerProcess, binary};
pub use submission::{Submission, SubmissionMaker};
