//! The server under measurement: a child process on a fresh directory.

use std::fs::{self, File, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use log_benches::check::Checker;
use log_benches::connection::get;
use log_core::TreeHead;
use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Runtime;

/// Name of the raw log.
pub(crate) const RAW_LOG: &str = "raw";
/// A start that takes longer has failed.
const START_TIME_MAX: Duration = Duration::from_secs(60);
/// The pause between two looks at a server that starts.
const START_PAUSE: Duration = Duration::from_millis(1);

/// A data directory, and the server on it while it runs.
pub(crate) struct Server {
    program: PathBuf,
    data_dir: PathBuf,
    address: SocketAddr,
    admin: SocketAddr,
    checker: Checker,
    raw_checker: Checker,
    child: Option<Child>,
}

impl Server {
    /// Makes the data directory with a Rekor v2 log and a raw one; the server is not started.
    pub(crate) fn init(program: &Path, data_dir: &Path) -> anyhow::Result<Self> {
        let make = |args: &[&str]| {
            let mut command = Command::new(program);
            command.args(args).arg("--data-dir").arg(data_dir).stderr(Stdio::inherit());
            let made = command.output();
            let made = made.with_context(|| format!("{} (see make build)", program.display()))?;
            ensure!(made.status.success(), "cairn-server {args:?}: {}", made.status);
            Checker::new(&String::from_utf8(made.stdout)?)
        };
        Ok(Self {
            program: program.into(),
            data_dir: data_dir.into(),
            address: free_address()?,
            admin: free_address()?,
            checker: make(&["init", "--hostname", "bench.example"])?,
            raw_checker: make(&["add-log", "--name", RAW_LOG, "--personality", "raw"])?,
            child: None,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Checks what the Rekor v2 log says.
    pub(crate) fn checker(&self) -> &Checker {
        &self.checker
    }

    /// Checks what the raw log says.
    pub(crate) fn raw_checker(&self) -> &Checker {
        &self.raw_checker
    }

    /// Its process.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        Ok(self.child.as_ref().context("the server does not run")?.id())
    }

    /// Starts it; returns the time until it served a checkpoint, and the head in that.
    pub(crate) fn start(&mut self, runtime: &Runtime) -> anyhow::Result<(Duration, TreeHead)> {
        let log = self.data_dir.with_extension("log");
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new(&self.program);
        command.args(["serve", "--listen", &self.address.to_string()]);
        command.args(["--admin", &self.admin.to_string(), "--data-dir"]).arg(&self.data_dir);
        let began = Instant::now();
        let child = self.child.insert(command.stdin(Stdio::null()).stderr(log).spawn()?);
        loop {
            if let Ok((200, note)) = runtime.block_on(get(self.address, "/checkpoint")) {
                let took = began.elapsed();
                return Ok((took, self.checker.checkpoint(&note)?));
            }
            if let Some(status) = child.try_wait()? {
                bail!("the server ended at its start: {status}");
            }
            ensure!(began.elapsed() < START_TIME_MAX, "the server does not start");
            std::thread::sleep(START_PAUSE);
        }
    }

    /// Kills it as a crash would, without a chance to write anything.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("the server does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("the server does not run")?;
        let pid = Pid::from_raw(i32::try_from(child.id())?).context("pid")?;
        kill_process(pid, Signal::TERM)?;
        let status = child.wait()?;
        ensure!(status.success(), "the server ended badly: {status}");
        Ok(())
    }

    /// Recomputes the whole tree from the stored leaves; returns the time it took.
    pub(crate) fn fsck(&self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let sound = Command::new(&self.program)
            .args(["fsck", "--data-dir"])
            .arg(&self.data_dir)
            .stdout(Stdio::null())
            .status()?;
        ensure!(sound.success(), "cairn-server fsck: {sound}");
        Ok(began.elapsed())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Nothing depends on its end: the directory is thrown away.
            let _ = child.kill().and_then(|()| child.wait());
        }
    }
}

/// An address of this host that nobody listens on at the moment.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// A directory that is on a disk: in memory a sync costs nothing, and every ratio would be wrong.
pub(crate) fn check_disk(directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory)?;
    let kind = rustix::fs::fstatfs(File::open(directory)?)?.f_type;
    let in_memory = [0x0102_1994, 0x8584_58f6].contains(&u64::try_from(kind)?);
    ensure!(!in_memory, "{} is in memory: --dir chooses another", directory.display());
    Ok(())
}
