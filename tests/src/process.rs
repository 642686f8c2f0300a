//! A running `cairn-server`: the binary that operators run, as a child of the test.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::http::{Connection, Request, Response};

/// A start, and a graceful stop, take far less; only a server that hangs meets this.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a child is asked whether it has ended.
const POLL: Duration = Duration::from_millis(5);

/// The server's binary.
///
/// # Panics
/// When it was not built.
pub fn binary() -> PathBuf {
    program("cairn-server")
}

/// One of Cairn's binaries, beside the test's own.
///
/// # Panics
/// When it was not built.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let built = test.parent().and_then(Path::parent).expect("target/PROFILE/deps");
    let binary = built.join(name);
    assert!(
        binary.exists(),
        "{} is missing: run `cargo build --workspace` (`cargo test --workspace` does it too)",
        binary.display()
    );
    binary
}

/// A child that came to its end.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Everything it wrote to standard error.
    pub stderr: String,
}

/// A server that was started and, when this is dropped, killed.
pub struct ServerProcess {
    child: Child,
    listen: SocketAddr,
    admin: SocketAddr,
    stderr: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl ServerProcess {
    /// Serves a directory on free ports and waits until it does.
    ///
    /// # Errors
    /// What the server said, if it ended instead of serving.
    pub fn start(data_dir: &Path, extra: &[&str]) -> Result<Self, Ended> {
        Self::spawn(Command::new(binary()).arg("serve").arg("--data-dir").arg(data_dir).args(extra))
    }

    /// The same for a command line that was prepared elsewhere (a wrapper, another environment):
    /// it must end as `serve --data-dir DIR ...`.
    ///
    /// # Errors
    /// What the child said, if it ended instead of serving.
    pub fn spawn(command: &mut Command) -> Result<Self, Ended> {
        Self::spawn_on(([127, 0, 0, 1], 0).into(), command)
    }

    /// The same on a given address, so that whoever knew it finds the next process there too.
    ///
    /// # Errors
    /// What the child said, if it ended instead of serving.
    pub fn spawn_on(listen: SocketAddr, command: &mut Command) -> Result<Self, Ended> {
        let mut child = command
            .args(["--listen", &listen.to_string(), "--admin", "127.0.0.1:0"])
            .env("CAIRN_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = Arc::new(Mutex::new(String::new()));
        let (found, serving) = channel();
        let lines = child.stderr.take().expect("stderr is a pipe");
        let reader = std::thread::spawn({
            let stderr = Arc::clone(&stderr);
            move || read_lines(lines, &stderr, &found)
        });
        let addresses = wait_until_serving(&serving, &stderr);
        let (listen, admin) = addresses.unwrap_or((([0; 4], 0).into(), ([0; 4], 0).into()));
        let server = Self { child, listen, admin, stderr, reader: Some(reader) };
        match addresses {
            Some(_) => Ok(server),
            None => Err(server.wait()),
        }
    }

    /// Where REST and gRPC are.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Where metrics and readiness are.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The root URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A new connection.
    pub fn connect(&self) -> Connection {
        Connection::open(self.listen).expect("the server accepts")
    }

    /// One request on a connection of its own.
    pub fn send(&self, request: &Request) -> Response {
        self.connect().send(request)
    }

    /// Reads a path.
    pub fn get(&self, path: &str) -> Response {
        self.send(&Request::get(path))
    }

    /// Submits the JSON of an entry to the Rekor v2 log.
    pub fn submit(&self, json: &str) -> Response {
        self.send(&Request::post("/api/v2/log/entries", json))
    }

    /// What the server wrote to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("no reader panics").clone()
    }

    /// Kills it as a power cut would, as far as a process can see, and waits for its end.
    pub fn kill_9(mut self) -> Ended {
        self.child.kill().expect("the child is there");
        self.wait()
    }

    /// Asks it to stop (SIGTERM) and goes on at once.
    pub fn ask_to_stop(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, Signal::TERM).expect("the child takes signals");
    }

    /// Asks it to stop and waits for its end.
    pub fn terminate(self) -> Ended {
        self.ask_to_stop();
        self.wait()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in a minute.
    pub fn wait(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().expect("the child is ours") {
                Some(status) => break status,
                None if Instant::now() > deadline => panic!("the server does not end"),
                None => std::thread::sleep(POLL),
            }
        };
        if let Some(reader) = self.reader.take() {
            reader.join().expect("no reader panics");
        }
        Ended { status, stderr: self.stderr() }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- what the server said ---\n{}---", self.stderr());
        }
    }
}

/// Keeps every line, and reports the addresses as soon as the server names them.
fn read_lines(lines: ChildStderr, kept: &Mutex<String>, found: &Sender<(SocketAddr, SocketAddr)>) {
    for line in BufReader::new(lines).lines() {
        let Ok(line) = line else { return };
        if let (true, Some(listen), Some(admin)) =
            (line.contains("serving"), address(&line, "listen="), address(&line, "admin="))
        {
            // Nobody listens any more once the server serves.
            let _ = found.send((listen, admin));
        }
        let mut kept = kept.lock().expect("no reader panics");
        kept.push_str(&line);
        kept.push('\n');
    }
}

fn address(line: &str, key: &str) -> Option<SocketAddr> {
    line.split_ascii_whitespace().find_map(|word| word.strip_prefix(key))?.parse().ok()
}

/// `None` when the child closed its standard error before it served.
fn wait_until_serving(
    serving: &Receiver<(SocketAddr, SocketAddr)>,
    stderr: &Mutex<String>,
) -> Option<(SocketAddr, SocketAddr)> {
    match serving.recv_timeout(PATIENCE) {
        Ok(addresses) => Some(addresses),
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => None,
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
            panic!("the server does not serve:\n{}", stderr.lock().expect("no reader panics"))
        }
    }
}
