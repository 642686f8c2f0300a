//! Bare: what a search is compared with, one RocksDB get behind the same HTTP.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::ensure;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use log_core::{Hash, sha256};
use rocksdb::{BlockBasedOptions, Cache, DB, Options, WriteBatch, WriteOptions};
use tokio::net::TcpListener;

use crate::fill::Filling;

/// Length of a key: as much of a digest as the log keeps of a search key.
const KEY_BYTES: usize = 16;
/// The server's default.
const CACHE_BYTES: usize = 256 << 20;
/// Rows of one write.
const BATCH_ROWS: usize = 10_000;

/// Writes a database with as many keys as the log has, each with an answer of the same length.
pub(crate) fn fill(db: &Path, filling: &Filling) -> anyhow::Result<()> {
    let db = open(db)?;
    let key_of = |number| *sha256(&u64::to_be_bytes(number)).as_bytes();
    let mut keys: Vec<[u8; Hash::LEN]> = (0..filling.distinct()).map(key_of).collect();
    keys.sort_unstable();
    // It is only read once it is complete, and thrown away with its directory.
    let mut unlogged = WriteOptions::default();
    unlogged.disable_wal(true);
    for rows in keys.chunks(BATCH_ROWS) {
        let mut batch = WriteBatch::default();
        for digest in rows {
            batch.put(&digest[..KEY_BYTES], answer(digest));
        }
        db.write_opt(batch, &unlogged)?;
    }
    db.flush()?;
    db.compact_range(None::<&[u8]>, None::<&[u8]>);
    Ok(())
}

/// The answer of a search that finds one entry.
fn answer(digest: &[u8; Hash::LEN]) -> String {
    format!("[\"0000000000000001{}\"]\n", Hash::from_bytes(*digest))
}

/// Serves it until it is killed.
pub(crate) fn serve(db: &Path, listen: SocketAddr) -> anyhow::Result<bool> {
    ensure!(db.exists(), "{} is not there", db.display());
    let db = Arc::new(open(db)?);
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let db = Arc::clone(&db);
            let service = service_fn(move |request: Request<Incoming>| {
                let answered = get(&db, request.uri().path());
                async move { Ok::<_, Infallible>(answered) }
            });
            tokio::spawn(async move {
                let connect = auto::Builder::new(TokioExecutor::new());
                // A connection that breaks is the client's to report.
                let _ = connect.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

/// `/DIGEST`, in hexadecimal digits.
fn get(db: &DB, path: &str) -> Response<Full<Bytes>> {
    let digest = path.strip_prefix('/').and_then(Hash::from_hex);
    let found = digest.map(|digest| db.get_pinned(&digest.as_bytes()[..KEY_BYTES]));
    let (status, body) = match found {
        Some(Ok(Some(value))) => (StatusCode::OK, Bytes::copy_from_slice(&value)),
        Some(Ok(None)) => (StatusCode::NOT_FOUND, Bytes::new()),
        Some(Err(_)) => (StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()),
        None => (StatusCode::BAD_REQUEST, Bytes::new()),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn open(db: &Path) -> anyhow::Result<DB> {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(CACHE_BYTES));
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&table);
    Ok(DB::open(&options, db)?)
}
