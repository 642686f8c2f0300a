//! A log with three witnesses inside the test, which do whatever the test tells them: it needs two
//! of `a`, `b` and `c`.

use std::fs;

use log_core::WitnessPolicy;
use log_tests::hostile_witness::Reply;
use log_tests::record::Record;
use log_tests::{
    Acknowledged, CheckedLog, DataDir, Ended, HostileWitness, ServerProcess, SubmissionMaker,
    check_log,
};

use crate::cosign_scene::{
    LOG, quorum_of, submit_until_taken, wait_for, wait_until_published, witness_row,
};

/// The names of the witnesses in the policy.
pub(crate) const NAMES: [&str; 3] = ["a", "b", "c"];

/// A log and its witnesses.
pub(crate) struct Trio {
    pub(crate) dir: DataDir,
    pub(crate) witnesses: [HostileWitness; 3],
    pub(crate) maker: SubmissionMaker,
    pub(crate) record: Record,
}

impl Trio {
    /// A new log that was never served, and honest witnesses.
    pub(crate) fn new() -> Self {
        let mut dir = DataDir::init("log.example");
        // A process ends once all its logs are shut: this one goes on.
        dir.add_log("other", "raw", None);
        let trio = Self {
            dir,
            witnesses: ["a.example", "b.example", "c.example"].map(HostileWitness::start),
            maker: SubmissionMaker::new(),
            record: Record::new(),
        };
        trio.set_policy(2, NAMES, &trio.witnesses);
        trio
    }

    /// A log that has published so many entries, and is stopped. All witnesses have cosigned them.
    pub(crate) fn grown(entries: u64) -> Self {
        let mut trio = Self::new();
        let server = trio.start();
        (0..entries).for_each(|_| _ = trio.submit(&server));
        wait_for(&server, LOG, "known to all", |row| {
            NAMES.iter().all(|name| witness_row(row, name)["knownSize"] == entries)
        });
        assert!(server.terminate().status.success());
        trio
    }

    pub(crate) fn set_policy(
        &self,
        threshold: usize,
        names: [&str; 3],
        witnesses: &[HostileWitness; 3],
    ) {
        let rows = names.into_iter().zip(witnesses);
        let rows: Vec<_> = rows.map(|(name, one)| (name, one.key(), one.url())).collect();
        self.dir.set_policy(LOG, &quorum_of(threshold, &rows));
    }

    /// The policy as it stands in its file.
    pub(crate) fn policy(&self) -> WitnessPolicy {
        let file = fs::read(self.dir.path().join(format!("{LOG}.policy"))).expect("the policy");
        WitnessPolicy::parse(&file).expect("a policy")
    }

    /// The witness is not there for a while.
    pub(crate) fn close(&self, witness: usize) {
        self.witnesses[witness].plays(|_| Reply::Raw(Vec::new()));
    }

    pub(crate) fn close_all(&self) {
        (0..3).for_each(|witness| self.close(witness));
    }

    /// Serves with these flags; the log may be in any state.
    #[track_caller]
    pub(crate) fn start_with(&self, flags: &[&str]) -> ServerProcess {
        ServerProcess::start(&self.dir.path(), flags).unwrap_or_else(|ended| panic!("{ended:?}"))
    }

    /// Serves; the log is open and has published.
    #[track_caller]
    pub(crate) fn start(&self) -> ServerProcess {
        let server = self.dir.start();
        wait_until_published(&server, LOG);
        server
    }

    /// A start that must be refused.
    #[track_caller]
    pub(crate) fn refused(&self, flags: &[&str]) -> Ended {
        match ServerProcess::start(&self.dir.path(), flags) {
            Ok(server) => panic!("it serves: {}", server.stderr()),
            Err(ended) => ended,
        }
    }

    /// Submits an entry until it is acknowledged.
    #[track_caller]
    pub(crate) fn submit(&mut self, server: &ServerProcess) -> Acknowledged {
        let said = submit_until_taken(server, &self.maker.make(), self.dir.default_key());
        self.record.acknowledge(&said);
        said
    }

    /// The log has all that it ever said.
    #[track_caller]
    pub(crate) fn assert_kept(&self, server: &ServerProcess) -> CheckedLog {
        let log = check_log(&server.url(), self.dir.default_key());
        self.record.assert_kept_by(&log);
        log
    }
}
