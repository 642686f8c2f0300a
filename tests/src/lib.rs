//! The harness of the tests that cross crates: the real programs as child processes, distinct and
//! really signed submissions, an HTTP client that may also misbehave, and a check of a whole log
//! from its public bytes.
//!
//! | module | |
//! |---|---|
//! | [`data_dir`] | a data directory: made, changed, served |
//! | [`process`] | a running `cairn-server`: addresses, signals, what it said |
//! | [`http`] | HTTP/1.1 over a plain socket, byte by byte if need be |
//! | [`submission`] | requests with real signatures, as JSON and as protobuf |
//! | [`submission_v1`] | the same for Rekor v1, and by what each entry must be found |
//! | [`answer`] | what a submitter got back, verified offline |
//! | [`answer_v1`] | the same for Rekor v1 |
//! | [`check`] | recompute a log from checkpoint, tiles and bundles |
//! | [`raw`] | a client of raw logs |
//! | [`record`] | what a log said, held against what it says later |
//! | [`record_v1`] | the same for Rekor v1: times, ids and searches too |
//! | [`witness_process`] | a running `cairn-witness` and its data directory |
//! | [`hostile_witness`] | a witness inside the test that plays what a script says |
//! | [`signed_log`] | a log without a server, honest or not, for witnesses to judge |
//! | [`disk`] | a disk that is small, or whose power is cut |
//! | [`fake_clock`] | a wrong time of day for one process |
//! | [`choices`] | the random choices of a run, repeatable by their seed |
//! | [`cosigned`] | what a witness cosigned, held against whatever it cosigns later |
//!
//! Everything here panics when something is not as it should be: in a test that is the report.

pub mod answer;
pub mod answer_v1;
pub mod check;
pub mod choices;
pub mod cosigned;
pub mod data_dir;
pub mod disk;
pub mod fake_clock;
pub mod hostile_witness;
pub mod http;
pub mod process;
pub mod raw;
pub mod record;
pub mod record_v1;
pub mod signed_log;
pub mod submission;
pub mod submission_v1;
pub mod witness_process;

pub use answer::Acknowledged;
pub use answer_v1::{EntryV1, LogV1};
pub use check::{CheckedLog, check_log, check_log_of};
pub use cosigned::Cosigned;
pub use data_dir::DataDir;
pub use fake_clock::FakeClock;
pub use hostile_witness::HostileWitness;
pub use http::{Connection, Request, Response};
pub use process::{Ended, ServerProcess, binary};
pub use record_v1::RecordV1;
pub use signed_log::{History, SignedLog};
pub use submission::{Submission, SubmissionMaker};
pub use submission_v1::{SubmissionMakerV1, SubmissionV1};
pub use witness_process::{WitnessDir, WitnessProcess};
