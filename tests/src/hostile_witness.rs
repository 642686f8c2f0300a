//! A witness inside the test, over real HTTP, that plays what a script says: anything from honesty
//! with a real key to bytes that are no HTTP at all.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log_core::witness::{AddCheckpointRequest, SIZE_CONTENT_TYPE, origin_hash};
use log_core::{
    Checkpoint, CosignerKey, KeyName, NoteSignature, Origin, SignedNote, TreeHead, VerifierKey,
    sha256,
};

/// Between two bytes of [`Reply::Drip`].
const DRIP: Duration = Duration::from_secs(1);
/// How often a connection that says nothing looks whether its witness is gone.
const POLL: Duration = Duration::from_millis(20);

/// What a witness says to a request.
pub enum Reply {
    /// An HTTP answer.
    Answer {
        /// The status code.
        status: u16,
        /// Further header fields.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// These bytes, whatever they are, and then the end of the connection.
    Raw(Vec<u8>),
    /// These bytes, one a second.
    Drip(Vec<u8>),
    /// Nothing; the connection stays open.
    Hang,
}

/// What a witness says to each request for a cosignature.
pub type Script = dyn Fn(&Asked<'_>) -> Reply + Send + Sync;

/// A witness that serves until it is dropped.
pub struct HostileWitness {
    address: SocketAddr,
    stage: Arc<Stage>,
}

/// A request for a cosignature.
pub struct Asked<'s> {
    /// The request.
    pub request: AddCheckpointRequest,
    /// What its note says. The log's signature on it was not looked at.
    pub checkpoint: Checkpoint,
    /// How many requests came before this one.
    pub before: u64,
    stage: &'s Stage,
}

/// What all connections share.
struct Stage {
    cosigner: CosignerKey,
    script: Mutex<Arc<Script>>,
    /// What it shows instead of its newest note.
    shown: Mutex<Option<Vec<u8>>>,
    /// The newest head of each origin that was cosigned honestly, with its note.
    newest: Mutex<BTreeMap<Origin, (TreeHead, String)>>,
    asked: AtomicU64,
    over: AtomicBool,
}

impl HostileWitness {
    /// An honest witness, for now; its Ed25519 key follows from its name.
    ///
    /// # Panics
    /// When the name is none for a key.
    pub fn start(name: &str) -> Self {
        let key_name = KeyName::parse(name).expect("a key name");
        let stage = Arc::new(Stage {
            cosigner: CosignerKey::ed25519(key_name, *sha256(name.as_bytes()).as_bytes()),
            script: Mutex::new(Arc::new(|asked: &Asked<'_>| asked.honestly())),
            shown: Mutex::default(),
            newest: Mutex::default(),
            asked: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("bound");
        std::thread::spawn({
            let stage = Arc::clone(&stage);
            move || accept(&listener, &stage)
        });
        Self { address, stage }
    }

    /// Plays this from the next request on.
    pub fn plays(&self, script: impl Fn(&Asked<'_>) -> Reply + Send + Sync + 'static) {
        *lock(&self.stage.script) = Arc::new(script);
    }

    /// Is honest from the next request on.
    pub fn is_honest(&self) {
        self.plays(|asked| asked.honestly());
        *lock(&self.stage.shown) = None;
    }

    /// Shows these bytes as its newest checkpoint of whatever log.
    pub fn shows(&self, note: impl Into<Vec<u8>>) {
        *lock(&self.stage.shown) = Some(note.into());
    }

    /// The key of its honest cosignatures.
    pub fn key(&self) -> &VerifierKey {
        self.stage.cosigner.verifier_key()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL that a policy names.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests for a cosignature so far.
    pub fn asked(&self) -> u64 {
        self.stage.asked.load(Ordering::SeqCst)
    }

    /// The newest head of an origin that it cosigned honestly.
    pub fn newest(&self, origin: &Origin) -> Option<TreeHead> {
        lock(&self.stage.newest).get(origin).map(|(head, _)| *head)
    }
}

impl Drop for HostileWitness {
    fn drop(&mut self) {
        self.stage.over.store(true, Ordering::SeqCst);
        // The accepting thread looks once somebody connects.
        let _ = TcpStream::connect(self.address);
    }
}

impl Asked<'_> {
    /// What an honest witness says: 409 with the size that it knows, 422 where the proof does not
    /// hold, else a cosignature of now.
    pub fn honestly(&self) -> Reply {
        let head = self.checkpoint.head;
        let mut newest = lock(&self.stage.newest);
        let known = newest.get(&self.checkpoint.origin).map(|(head, _)| *head);
        let known = known.unwrap_or(TreeHead::EMPTY);
        if known.size != self.request.old {
            return Reply::size(known.size);
        }
        if known.size.get() > 0 && self.request.proof.verify(&known, &head).is_err() {
            return Reply::status(if known.size == head.size { 409 } else { 422 });
        }
        let line = self.line(&self.checkpoint, now_s());
        let note = format!("{}{line}\n", self.request.checkpoint);
        newest.insert(self.checkpoint.origin.clone(), (head, note));
        Reply::lines(&[line])
    }

    /// A cosignature under its own key of any checkpoint, made at any time.
    ///
    /// # Panics
    /// When the time is 0 or too large for a cosignature.
    pub fn line(&self, checkpoint: &Checkpoint, time_s: u64) -> NoteSignature {
        self.stage.cosigner.cosign(checkpoint, time_s).expect("a time")
    }
}

impl Reply {
    /// A status with a word about it.
    pub fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: b"as the script says\n".into() }
    }

    /// 409 with a size, or what stands in its place.
    pub fn size(size: impl ToString) -> Self {
        let headers = vec![("content-type", SIZE_CONTENT_TYPE.to_owned())];
        Self::Answer { status: 409, headers, body: format!("{}\n", size.to_string()).into() }
    }

    /// 200 with these lines.
    pub fn lines(lines: &[NoteSignature]) -> Self {
        let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
        Self::Answer { status: 200, headers: Vec::new(), body: body.into() }
    }

    /// Plays it; says whether another request may follow on the connection.
    fn play(self, stream: &mut TcpStream, stage: &Stage) -> bool {
        match self {
            Self::Answer { status, headers, body } => {
                let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                head.push_str("\r\n");
                let bytes = [head.as_bytes(), &body].concat();
                stream.write_all(&bytes).is_ok()
            }
            Self::Raw(bytes) => {
                // The other side may have gone away.
                let _ = stream.write_all(&bytes);
                false
            }
            Self::Drip(bytes) => {
                let drop_by_drop = |byte: &u8| {
                    std::thread::sleep(DRIP);
                    !stage.is_over() && stream.write_all(&[*byte]).is_ok()
                };
                bytes.iter().all(drop_by_drop)
            }
            Self::Hang => {
                wait_for_the_end(stream, stage);
                false
            }
        }
    }
}

impl Stage {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn answer(&self, path: &str, body: &[u8]) -> Reply {
        if path == crate::witness_process::ADD_CHECKPOINT {
            let before = self.asked.fetch_add(1, Ordering::SeqCst);
            return match read_request(body) {
                Some((request, checkpoint)) => {
                    let script = Arc::clone(&lock(&self.script));
                    script(&Asked { request, checkpoint, before, stage: self })
                }
                None => Reply::status(400),
            };
        }
        if let Some(note) = &*lock(&self.shown) {
            return Reply::Answer { status: 200, headers: Vec::new(), body: note.clone() };
        }
        let newest = lock(&self.newest);
        let is_it = |origin: &&Origin| path == format!("/{}/checkpoint", origin_hash(origin));
        match newest.keys().find(is_it).map(|origin| &newest[origin].1) {
            Some(note) => {
                Reply::Answer { status: 200, headers: Vec::new(), body: note.clone().into_bytes() }
            }
            None => Reply::status(404),
        }
    }
}

fn read_request(body: &[u8]) -> Option<(AddCheckpointRequest, Checkpoint)> {
    let request = AddCheckpointRequest::parse(body).ok()?;
    let note = SignedNote::parse(request.checkpoint.as_bytes()).ok()?;
    let checkpoint = Checkpoint::parse(note.text()).ok()?;
    Some((request, checkpoint))
}

fn accept(listener: &TcpListener, stage: &Arc<Stage>) {
    for stream in listener.incoming() {
        if stage.is_over() {
            return;
        }
        let (Ok(stream), stage) = (stream, Arc::clone(stage)) else { continue };
        std::thread::spawn(move || {
            // A client that goes away ends its connection and nothing else.
            let _ = serve(stream, &stage);
        });
    }
}

/// Answers one request after the other.
fn serve(mut stream: TcpStream, stage: &Stage) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        if stage.is_over() {
            return Ok(());
        }
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut body = vec![0; content_length(&head)];
        reader.read_exact(&mut body)?;
        if !stage.answer(&path, &body).play(&mut stream, stage) {
            return Ok(());
        }
    }
}

fn content_length(head: &str) -> usize {
    let lower = head.to_ascii_lowercase();
    let field = lower.lines().find_map(|line| line.strip_prefix("content-length:"));
    field.map_or(0, |length| length.trim().parse().expect("a length"))
}

/// Waits until the other side closes the connection, or the witness is dropped.
fn wait_for_the_end(stream: &mut TcpStream, stage: &Stage) {
    let _ = stream.set_read_timeout(Some(POLL));
    let mut byte = [0];
    loop {
        match stream.read(&mut byte) {
            Ok(0) => return,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return,
            _ if stage.is_over() => return,
            _ => {}
        }
    }
}

/// Seconds since 1970.
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Connection, Request, Response};
    use crate::signed_log::{History, SignedLog};
    use log_core::Cosignature;
    use log_core::note::parse_signature_lines;

    fn ask(witness: &HostileWitness, request: &AddCheckpointRequest) -> Response {
        let mut connection = Connection::open(witness.address()).unwrap();
        let path = crate::witness_process::ADD_CHECKPOINT;
        connection.send(&Request::post(path, request.to_string()))
    }

    #[test]
    fn honesty_is_honest() {
        let witness = HostileWitness::start("w.example");
        let (log, history) = (SignedLog::new("log.example"), History::new("a", 9));
        let request = log.request(&history, 0, 5);
        let answer = ask(&witness, &request).expect(200);
        let lines = parse_signature_lines(&answer.body).unwrap();
        let text = log.sign(history.head_at(5)).text().to_owned();
        let time_s = Cosignature::verify(witness.key(), &text, &lines[0].signature);
        assert!(time_s.unwrap().time_s().abs_diff(now_s()) < 100);
        assert_eq!(ask(&witness, &request).expect(409).text(), "5\n");
        let fork = history.fork(3, "b", 9);
        ask(&witness, &log.request(&fork, 5, 9)).expect(422);
        ask(&witness, &log.request(&fork, 5, 5)).expect(409);
        ask(&witness, &log.request(&history, 5, 9)).expect(200);
        assert_eq!(witness.newest(log.origin()), Some(history.head()));
        assert_eq!(witness.asked(), 5);
        let path = format!("/{}/checkpoint", origin_hash(log.origin()));
        let mut connection = Connection::open(witness.address()).unwrap();
        let shown = connection.send(&Request::get(&path)).expect(200);
        let note = SignedNote::parse(&shown.body).unwrap();
        assert!(Cosignature::find(&note, witness.key()).is_some());
        witness.shows("anything");
        assert_eq!(connection.send(&Request::get(&path)).text(), "anything");
    }

    #[test]
    fn a_script_says_what_it_wants() {
        let witness = HostileWitness::start("w.example");
        let (log, history) = (SignedLog::new("log.example"), History::new("a", 9));
        let request = log.request(&history, 0, 5);
        witness.plays(|asked| Reply::size(asked.before));
        assert_eq!(ask(&witness, &request).expect(409).text(), "0\n");
        assert_eq!(ask(&witness, &request).expect(409).text(), "1\n");
        witness.plays(|_| Reply::Raw(b"\x16\x03\x01".into()));
        let mut connection = Connection::open(witness.address()).unwrap();
        let path = crate::witness_process::ADD_CHECKPOINT;
        let request = Request::post(path, request.to_string());
        assert!(connection.try_send(&request).is_err());
        witness.plays(|_| Reply::Hang);
        let mut connection = Connection::open(witness.address()).unwrap();
        connection.set_patience(Duration::from_millis(50));
        assert!(connection.try_send(&request).is_err());
    }
}
