//! A witness in the test's own process: honest by default, and anything else when told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize};

use log_core::checkpoint::Checkpoint;
use log_core::cosignature::CosignerKey;
use log_core::key::KeyName;
use log_core::note::SignedNote;
use log_core::witness::AddCheckpointRequest;

use super::*;

/// How a witness answers.
#[derive(Clone)]
pub(super) enum Mood {
    /// As the specification wants it.
    Honest,
    /// This status, these headers, this body, whatever was asked.
    Says(u16, &'static str, String),
    /// Takes a request and says nothing for so long, then answers honestly.
    Hangs(Duration),
    /// 200 with what an honest witness would say about another head.
    CosignsAnother,
    /// 200 with a line that was made so many seconds before (or, if negative, after) its time.
    CosignsAt(i64),
    /// 200 with an honest line under another witness's key.
    CosignsAs(u8),
}

/// What a witness remembers.
#[derive(Clone, Default)]
pub(super) struct Memory {
    pub(super) head: Option<TreeHead>,
    pub(super) note: Option<String>,
}

struct Inner {
    key: CosignerKey,
    clock_ms: Arc<AtomicU64>,
    memory: Mutex<Memory>,
    mood: Mutex<Mood>,
    requests: AtomicUsize,
    ended: AtomicBool,
}

/// One witness on a port of its own. Stops listening when dropped.
pub(super) struct Stub {
    pub(super) name: String,
    address: SocketAddr,
    inner: Arc<Inner>,
}

impl Stub {
    pub(super) fn new(number: u8, disk: &Disk) -> Self {
        Self::listening(number, disk, "127.0.0.1:0")
    }

    pub(super) fn listening(number: u8, disk: &Disk, address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            key: key(number),
            clock_ms: Arc::clone(&disk.clock_ms),
            memory: Mutex::default(),
            mood: Mutex::new(Mood::Honest),
            requests: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let served = Arc::clone(&inner);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if served.ended.load(Ordering::SeqCst) {
                    return;
                }
                let served = Arc::clone(&served);
                std::thread::spawn(move || served.answer(stream));
            }
        });
        Self { name: format!("w{number}"), address, inner }
    }

    pub(super) fn policy_line(&self) -> String {
        format!("witness {} {} http://{}\n", self.name, self.verifier_key(), self.address)
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn verifier_key(&self) -> VerifierKey {
        self.inner.key.verifier_key().clone()
    }

    pub(super) fn is(&self, mood: Mood) {
        *self.inner.mood.lock().unwrap() = mood;
    }

    pub(super) fn is_down(&self) {
        self.is(Mood::Says(503, "", String::new()));
    }

    pub(super) fn memory(&self) -> Memory {
        self.inner.memory.lock().unwrap().clone()
    }

    pub(super) fn remember(&self, memory: Memory) {
        *self.inner.memory.lock().unwrap() = memory;
    }

    pub(super) fn requests(&self) -> usize {
        self.inner.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.inner.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn key(number: u8) -> CosignerKey {
    let name = KeyName::parse(&format!("witness.example/{number}")).unwrap();
    CosignerKey::ed25519(name, [number; 32])
}

impl Inner {
    /// One request a connection.
    fn answer(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let (status, header, body) = if first.starts_with("GET ") {
            match self.memory.lock().unwrap().note.clone() {
                Some(note) => (200, String::new(), note),
                None => (404, String::new(), String::new()),
            }
        } else {
            self.requests.fetch_add(1, Ordering::SeqCst);
            let mood = self.mood.lock().unwrap().clone();
            self.add_checkpoint(&mood, &body)
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\n{header}Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        // A log that has lost its patience is no fault of the witness.
        let _ = reader.get_mut().write_all((head + &body).as_bytes());
    }

    fn add_checkpoint(&self, mood: &Mood, body: &[u8]) -> (u16, String, String) {
        let now_s = self.clock_ms.load(Ordering::SeqCst) / 1000;
        match mood {
            Mood::Honest => self.decide(body, &self.key, now_s, |head| head),
            Mood::Says(status, header, body) => (*status, (*header).into(), body.clone()),
            Mood::Hangs(time) => {
                std::thread::sleep(*time);
                self.decide(body, &self.key, now_s, |head| head)
            }
            Mood::CosignsAnother => self.decide(body, &self.key, now_s, |head| TreeHead {
                size: TreeSize::new(head.size.get() + 1),
                ..head
            }),
            Mood::CosignsAt(before) => {
                self.decide(body, &self.key, now_s.checked_add_signed(-before).unwrap(), |h| h)
            }
            Mood::CosignsAs(other) => self.decide(body, &key(*other), now_s, |head| head),
        }
    }

    /// The decision of tlog-witness, as far as an honest log can tell.
    fn decide(
        &self,
        body: &[u8],
        key: &CosignerKey,
        time_s: u64,
        cosigned: impl FnOnce(TreeHead) -> TreeHead,
    ) -> (u16, String, String) {
        let request = AddCheckpointRequest::parse(body).unwrap();
        let note = SignedNote::parse(request.checkpoint.as_bytes()).unwrap();
        let own = note.signatures().iter().all(|line| line.name.as_str() == ORIGIN);
        assert!(own, "only the log's own lines go out");
        let mut checkpoint = Checkpoint::parse(note.text()).unwrap();
        let mut memory = self.memory.lock().unwrap();
        let latest = memory.head.unwrap_or(TreeHead::EMPTY);
        if request.old != latest.size {
            let size = format!("{}\n", latest.size);
            return (409, "Content-Type: text/x.tlog.size\r\n".into(), size);
        }
        let consistent = match request.old.get() {
            0 => request.proof.hashes().is_empty(),
            _ => request.proof.verify(&latest, &checkpoint.head).is_ok(),
        };
        if !consistent {
            return (422, String::new(), String::new());
        }
        memory.head = Some(checkpoint.head);
        memory.note = Some(request.checkpoint.clone());
        drop(memory);
        checkpoint.head = cosigned(checkpoint.head);
        let line = key.cosign(&checkpoint, time_s).unwrap();
        (200, String::new(), format!("{line}\n"))
    }
}
