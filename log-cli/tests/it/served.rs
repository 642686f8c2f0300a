//! Reading a log over HTTP: from an honest server, and from ones that lie.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use log_cli::client::{ClientError, LogClient};
use log_cli::tiles::TileReader;
use log_core::bundle::append_entry;
use log_core::hash::Hash;
use log_core::integrate::{RightEdge, integrate};
use log_core::tile::{BundleId, TileId};
use log_core::tree::{LeafIndex, TreeSize};

use crate::fixture::TestLog;

/// What a server answers at each path; 404 elsewhere. POST answers `post`.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) files: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    pub(crate) post: Arc<Mutex<(u16, Vec<u8>)>>,
}

impl Server {
    /// A server on a free port that lives as long as the test process.
    pub(crate) fn start(files: HashMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let files = Arc::new(Mutex::new(files));
        let post = Arc::new(Mutex::new((201, Vec::new())));
        let (served, posted) = (Arc::clone(&files), Arc::clone(&post));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (served, posted) = (Arc::clone(&served), Arc::clone(&posted));
                thread::spawn(move || answer(stream.unwrap(), &served, &posted));
            }
        });
        Self { url, files, post }
    }

    pub(crate) fn client(&self) -> LogClient {
        LogClient::new(&self.url).unwrap()
    }

    pub(crate) fn put(&self, path: &str, bytes: Vec<u8>) {
        self.files.lock().unwrap().insert(path.to_owned(), bytes);
    }

    pub(crate) fn flip(&self, path: &str) {
        let mut files = self.files.lock().unwrap();
        let file = files.get_mut(path).unwrap_or_else(|| panic!("no {path}"));
        let middle = file.len() / 2;
        file[middle] ^= 1;
    }
}

fn answer(
    mut stream: TcpStream,
    files: &Mutex<HashMap<String, Vec<u8>>>,
    post: &Mutex<(u16, Vec<u8>)>,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let path = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let (status, body) = if first.starts_with("POST") {
        post.lock().unwrap().clone()
    } else {
        match files.lock().unwrap().get(&path) {
            Some(bytes) => (200, bytes.clone()),
            None => (404, b"no".to_vec()),
        }
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

/// The static files of a log: its checkpoint, tiles and bundles, as the specification lays them.
pub(crate) fn files_of(log: &TestLog) -> HashMap<String, Vec<u8>> {
    let size = log.leaves.len();
    let hashes: Vec<Hash> = log.leaves.iter().map(|leaf| leaf.hash()).collect();
    let tree = integrate(&RightEdge::empty(), &hashes);
    let mut files = HashMap::new();
    files.insert("checkpoint".to_owned(), log.sign(tree.head).into_bytes());
    for full in &tree.full_tiles {
        files.insert(full.id.to_string(), full.nodes.to_bytes(256));
    }
    let mut above = size as u64;
    for level in 0..8 {
        if let Some(id) = TileId::new(level, above / 256, (above % 256) as u16) {
            files.insert(id.to_string(), tree.edge.tile_bytes(&id).unwrap());
        }
        above /= 256;
    }
    for (index, leaves) in log.leaves.chunks(256).enumerate() {
        let mut bundle = Vec::new();
        for leaf in leaves {
            append_entry(&mut bundle, leaf.as_bytes()).unwrap();
        }
        let id = BundleId::new(index as u64, leaves.len() as u16).unwrap();
        files.insert(id.to_string(), bundle);
    }
    files
}

#[test]
fn entries_and_proofs_of_logs_of_all_shapes_are_read() {
    for size in [1, 2, 255, 256, 257, 600, 65_535, 65_536, 65_537, 70_000] {
        let log = TestLog::with_leaves("log.example", size);
        let server = Server::start(files_of(&log));
        let client = server.client();
        let head = log.head(size);
        let mut reader = TileReader::open(&client, head).unwrap();
        for index in [0, 1, size / 2, size.saturating_sub(257), size - 1] {
            if index < size {
                let (entry, _) = reader.entry(LeafIndex::new(index as u64)).unwrap();
                assert_eq!(entry, log.leaves[index].as_bytes(), "{index} of {size}");
            }
        }
        assert!(reader.entry(LeafIndex::new(size as u64)).is_err());
        assert!(reader.entry(LeafIndex::new(u64::MAX)).is_err());
        for old in [1, size / 3 + 1, size - 1, size] {
            if old > 0 {
                let proof = reader.consistency(TreeSize::new(old as u64)).unwrap();
                proof.verify(&log.head(old), &head).unwrap();
                let prefix = reader.prefix(TreeSize::new(old as u64)).unwrap();
                assert_eq!(prefix, (log.head(old).root_hash, proof), "{old} of {size}");
            }
        }
    }
}

#[test]
fn a_partial_tile_that_is_gone_is_cut_from_the_full_one() {
    let log = TestLog::with_leaves("log.example", 300);
    let mut files = files_of(&log);
    files.retain(|path, _| !path.contains(".p/") || path.starts_with("tile/1"));
    let grown = TestLog::with_leaves("log.example", 512);
    for (path, bytes) in files_of(&grown) {
        if path != "checkpoint" {
            files.entry(path).or_insert(bytes);
        }
    }
    let server = Server::start(files);
    let client = server.client();
    let mut reader = TileReader::open(&client, log.head(300)).unwrap();
    let (entry, _) = reader.entry(LeafIndex::new(299)).unwrap();
    assert_eq!(entry, log.leaves[299].as_bytes());
}

#[test]
fn tiles_and_bundles_that_lie_are_found_out() {
    let size = 66_000;
    let log = TestLog::with_leaves("log.example", size);
    let server = Server::start(files_of(&log));
    let client = server.client();
    let read = |index: u64| {
        let mut reader = TileReader::open(&client, log.head(size))?;
        reader.entry(LeafIndex::new(index)).map(drop)
    };
    read(5).unwrap();
    let other = files_of(&TestLog::with_leaves("log.example", 300));
    let mut entries = server.files.lock().unwrap()["tile/entries/000"].clone();
    let good = entries.clone();
    let at = entries.windows(6).position(|window| window == b"leaf 5").unwrap();
    entries[at] ^= 1;
    for lie in [entries, other["tile/entries/001.p/44"].clone(), good[1..].to_vec(), vec![]] {
        server.put("tile/entries/000", lie);
        assert!(read(5).unwrap_err().is_refutation());
    }
    server.put("tile/entries/000", good);
    // Each tile on the path of entry 5, and the edge.
    let paths =
        ["tile/0/000", "tile/1/000", "tile/0/257.p/208", "tile/1/001.p/1", "tile/2/000.p/1"];
    for path in paths {
        server.flip(path);
        let error = read(5).unwrap_err();
        assert!(error.is_refutation(), "{path}: {error}");
        server.flip(path);
        let removed = server.files.lock().unwrap().remove(path).unwrap();
        let error = read(5).unwrap_err();
        assert!(error.is_refutation(), "{path}: {error}");
        server.put(path, removed[..removed.len() - 1].to_vec());
        assert!(read(5).unwrap_err().is_refutation(), "{path}");
        server.put(path, removed);
    }
    read(5).unwrap();
    assert!(TileReader::open(&client, log.head(size - 1)).is_err());
}

#[test]
fn answers_without_end_and_closed_ports_are_errors() {
    let server = Server::start(HashMap::new());
    server.put("checkpoint", vec![b'x'; 2_000_000]);
    assert!(matches!(server.client().checkpoint(), Err(ClientError::TooLong { .. })));
    server.put("logs", vec![b'x'; 5_000_000]);
    assert!(matches!(server.client().logs(), Err(ClientError::TooLong { .. })));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let closed = LogClient::new(&format!("http://127.0.0.1:{port}")).unwrap();
    assert!(matches!(closed.checkpoint(), Err(ClientError::Network { .. })));
    for url in [
        "",
        "localhost",
        "ftp://x",
        "http://",
        "http://x/?a=b",
        "http://x/#a",
        "file:///etc/passwd",
    ] {
        assert!(matches!(LogClient::new(url), Err(ClientError::Url(_))), "{url}");
    }
    for name in ["", "..", "a/b", "a b", "%2e"] {
        assert!(matches!(server.client().log(name), Err(ClientError::LogName(_))), "{name}");
    }
}
