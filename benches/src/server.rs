//! The server under measurement: a child process on a fresh directory.

use std::fs::{self, File, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use log_core::TreeHead;
use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Runtime;

use crate::check::Checker;
use crate::connection::get;

/// Host name of the logs.
const HOST: &str = "bench.example";
/// Name of the raw log.
pub const RAW_LOG: &str = "raw";
/// A start that takes longer has failed.
const START_TIME_MAX: Duration = Duration::from_secs(60);
/// The pause between two looks at a server that starts.
const START_PAUSE: Duration = Duration::from_millis(1);

/// A data directory, and the server on it while it runs.
pub struct Server {
    program: PathBuf,
    data_dir: PathBuf,
    address: SocketAddr,
    admin: SocketAddr,
    checker: Checker,
    raw_checker: Option<Checker>,
    child: Option<Child>,
}

impl Server {
    /// Makes the data directory with a Rekor v2 log; the server is not started. Returns the log's
    /// verifier key as well.
    ///
    /// # Errors
    /// The directory is in use, or the program cannot be run.
    pub fn init(program: &Path, data_dir: &Path) -> anyhow::Result<(Self, String)> {
        let vkey = make(program, data_dir, &["init", "--hostname", HOST])?;
        let server = Self {
            program: program.into(),
            data_dir: data_dir.into(),
            address: free_address()?,
            admin: free_address()?,
            checker: Checker::new(&vkey)?,
            raw_checker: None,
            child: None,
        };
        Ok((server, vkey))
    }

    /// Adds a raw log.
    ///
    /// # Errors
    /// There is one already.
    pub fn add_raw(&mut self) -> anyhow::Result<()> {
        let args = ["add-log", "--name", RAW_LOG, "--personality", "raw"];
        let vkey = make(&self.program, &self.data_dir, &args)?;
        self.raw_checker = Some(Checker::new(&vkey)?);
        Ok(())
    }

    /// Puts the newest log under a witness policy.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn set_policy(&self, policy: &str) -> anyhow::Result<()> {
        fs::write(self.data_dir.join("policy.txt"), policy)?;
        let config = self.data_dir.join("cairn.toml");
        let text = fs::read_to_string(&config)?;
        Ok(fs::write(config, format!("{text}witness_policy = \"policy.txt\"\n"))?)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Checks what the Rekor v2 log says.
    pub fn checker(&self) -> &Checker {
        &self.checker
    }

    /// Checks what the Rekor v1 log says, by the key that it shows.
    ///
    /// # Errors
    /// It shows none.
    pub fn checker_v1(&self, runtime: &Runtime) -> anyhow::Result<Checker> {
        let (status, pem) = runtime.block_on(get(self.address, "/api/v1/log/publicKey"))?;
        let pem = String::from_utf8(pem)?;
        ensure!(status == 200, "status {status}: {pem}");
        let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        Checker::rekor_v1(HOST, &STANDARD.decode(base64)?)
    }

    /// Checks what the raw log says.
    ///
    /// # Errors
    /// There is none.
    pub fn raw_checker(&self) -> anyhow::Result<&Checker> {
        self.raw_checker.as_ref().context("no raw log was added")
    }

    /// Its process.
    ///
    /// # Errors
    /// It does not run.
    pub fn pid(&self) -> anyhow::Result<u32> {
        Ok(self.child.as_ref().context("the server does not run")?.id())
    }

    /// Starts it; returns the time until it served a checkpoint, and the head in that.
    ///
    /// # Errors
    /// It ends, or serves no checkpoint within a minute.
    pub fn start(&mut self, runtime: &Runtime) -> anyhow::Result<(Duration, TreeHead)> {
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
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("the server does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits.
    ///
    /// # Errors
    /// It does not run, or ended with a failure.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("the server does not run")?;
        let pid = Pid::from_raw(i32::try_from(child.id())?).context("pid")?;
        kill_process(pid, Signal::TERM)?;
        let status = child.wait()?;
        ensure!(status.success(), "the server ended badly: {status}");
        Ok(())
    }

    /// Recomputes the whole tree from the stored leaves; returns the time it took.
    ///
    /// # Errors
    /// The tree is not sound.
    pub fn fsck(&self) -> anyhow::Result<Duration> {
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

/// Runs a command that creates a log and prints its key.
fn make(program: &Path, data_dir: &Path, args: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new(program);
    command.args(args).arg("--data-dir").arg(data_dir).stderr(Stdio::inherit());
    let made = command.output();
    let made = made.with_context(|| format!("{} (see make build)", program.display()))?;
    ensure!(made.status.success(), "{} {args:?}: {}", program.display(), made.status);
    Ok(String::from_utf8(made.stdout)?)
}

/// An address of this host that nobody listens on at the moment.
///
/// # Errors
/// The loopback interface is down.
pub fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// A directory that is on a disk: in memory a sync costs nothing, and every ratio would be wrong.
///
/// # Errors
/// It is in memory, or cannot be made.
pub fn check_disk(directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory)?;
    let kind = rustix::fs::fstatfs(File::open(directory)?)?.f_type;
    let in_memory = [0x0102_1994, 0x8584_58f6].contains(&u64::try_from(kind)?);
    ensure!(!in_memory, "{} is in memory: --dir chooses another", directory.display());
    Ok(())
}
