//! A witness in a directory of its own, served on a free port.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use log_witness::admin::{Order, Report, execute};
use log_witness::api::Api;
use log_witness::clock::{Clock, Reading};
use log_witness::config::Config;
use log_witness::init::init;
use log_witness::server;
use log_witness::witness::{OpenError, Witness};

use crate::client::{Answer, get, post};
use crate::test_log::TestLog;

/// Where every test begins, in seconds since 1970.
pub(crate) const START_S: u64 = 1_800_000_000;

/// A clock that is moved by hand.
#[derive(Clone)]
pub(crate) struct Hands {
    pub(crate) wall_s: Arc<AtomicU64>,
    pub(crate) running_s: Arc<AtomicU64>,
}

impl Hands {
    pub(crate) fn new() -> Self {
        let (wall_s, running_s) = (AtomicU64::new(START_S), AtomicU64::new(1000));
        Self { wall_s: Arc::new(wall_s), running_s: Arc::new(running_s) }
    }

    /// Time passes as it should.
    pub(crate) fn pass(&self, seconds: u64) {
        self.wall_s.fetch_add(seconds, Ordering::SeqCst);
        self.running_s.fetch_add(seconds, Ordering::SeqCst);
    }

    fn clock(&self) -> Clock {
        let hands = self.clone();
        Clock::new(move || Reading {
            wall_s: hands.wall_s.load(Ordering::SeqCst),
            running_s: hands.running_s.load(Ordering::SeqCst),
        })
    }
}

/// A directory with a witness in it; it may be served many times.
pub(crate) struct Rig {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) hands: Hands,
    pub(crate) config: Config,
}

impl Rig {
    /// A new witness with an Ed25519 key.
    pub(crate) fn new() -> Self {
        Self::of_keys(false)
    }

    pub(crate) fn of_keys(both: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("w");
        init(&data_dir, "w.example/a", both, START_S).unwrap();
        let config = Config::load(&data_dir).unwrap();
        Self { dir, hands: Hands::new(), config }
    }

    pub(crate) fn data_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("w")
    }

    pub(crate) fn open(&self) -> Result<Witness, OpenError> {
        let fatal = Arc::new(|error: &_| panic!("fatal: {error}"));
        Witness::open(&self.data_dir(), &self.config, self.hands.clock(), fatal)
    }

    pub(crate) fn serve(&self) -> Served {
        let witness = self.open().map(Arc::new);
        Served::start(witness.map_err(|error| error.to_string()), self.config.clone())
    }

    /// Serves, and knows these logs.
    pub(crate) fn serve_logs(&self, logs: &[&TestLog]) -> Served {
        let served = self.serve();
        for log in logs {
            served.add_log(log);
        }
        served
    }
}

/// A running server. It stops when it is dropped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) witness: Option<Arc<Witness>>,
    runtime: tokio::runtime::Runtime,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    running: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Served {
    fn start(witness: Result<Arc<Witness>, String>, config: Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = runtime.block_on(server::bind(any)).unwrap();
        let admin = runtime.block_on(server::bind(any)).unwrap();
        let (address, admin_address) =
            (listener.local_addr().unwrap(), admin.local_addr().unwrap());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let open = witness.as_ref().ok().map(Arc::clone);
        let api = Api::new(witness, config.clone());
        let running = runtime.spawn(server::run(listener, admin, api, config, async {
            let _ = stopped.await;
        }));
        let running = Mutex::new(Some(running));
        Self { address, admin: admin_address, witness: open, runtime, stop: Some(stop), running }
    }

    /// Whatever is spawned while this is held runs beside the server.
    pub(crate) fn enter(&self) -> tokio::runtime::EnterGuard<'_> {
        self.runtime.enter()
    }

    pub(crate) fn order(&self, order: Order) -> Report {
        self.runtime.block_on(execute(self.witness.as_ref().unwrap(), order))
    }

    pub(crate) fn add_log(&self, log: &TestLog) {
        let new =
            log_witness::admin::NewLog { origin: log.origin.clone(), vkeys: vec![log.vkey()] };
        let order = Order::AddLogs { logs: vec![new], add_key: false, never_cosigned: false };
        assert!(matches!(self.order(order), Report::Added { added: 1, .. }));
    }

    pub(crate) fn add_checkpoint(&self, body: impl AsRef<[u8]>) -> Answer {
        post(self.address, "/add-checkpoint", body)
    }

    /// The newest cosigned note of a log; `None` for 404.
    pub(crate) fn checkpoint(&self, log: &TestLog) -> Option<String> {
        let answer = get(self.address, &format!("/{}/checkpoint", log.hash()));
        match answer.status {
            200 => Some(answer.body),
            404 => None,
            status => panic!("{status}"),
        }
    }

    /// Size of the newest cosigned checkpoint; 0 if there is none.
    pub(crate) fn size(&self, log: &TestLog) -> u64 {
        let note = self.checkpoint(log);
        note.map_or(0, |note| note.lines().nth(1).unwrap().parse().unwrap())
    }

    pub(crate) fn evidence_ids(&self, log: &TestLog) -> Vec<String> {
        let answer = get(self.address, &format!("/{}/evidence", log.hash()));
        match answer.status {
            200 => answer.body.lines().map(str::to_owned).collect(),
            404 => Vec::new(),
            status => panic!("{status}"),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        let running = self.running.lock().unwrap().take().unwrap();
        let _ = self.runtime.block_on(running);
        // The last one who holds it gives the database free.
        self.witness = None;
    }
}

pub(crate) fn copy_file(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
}
