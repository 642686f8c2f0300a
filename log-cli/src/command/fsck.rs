//! `cairn fsck`: recomputes a whole log from its entries and compares every tile.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use log_core::bundle::EntryBundle;
use log_core::hash::hash_leaf;
use log_core::integrate::{RightEdge, integrate};
use log_core::tile::{BundleId, TILE_WIDTH, TileId};
use log_core::tree::TreeHead;
use serde_json::json;

use super::checkpoint::{LogArgs, open};
use super::consistency::unreadable;
use crate::client::LogClient;
use crate::failure::Failure;
use crate::output::Answer;
use crate::tiles::TilesError;

/// Pause between two updates of the progress line.
const PROGRESS_PAUSE: Duration = Duration::from_millis(200);

/// Arguments of `cairn fsck`.
#[derive(Debug, clap::Args)]
pub struct FsckArgs {
    /// Which log; `--log-vkey` is needed.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Reads every entry and every tile under the newest checkpoint. The first difference ends it.
pub fn run(args: &FsckArgs) -> Result<Answer, Failure> {
    let trust = args.log.trust()?;
    let trust = trust.ok_or_else(|| Failure::Usage("fsck needs --log-vkey".to_owned()))?;
    let client = args.log.client()?;
    let note = client.checkpoint().map_err(Failure::undecided)?;
    let checkpoint = open(&note, Some(&trust))?;
    let tiles = recompute(&client, checkpoint.head)?;
    let (size, root) = (checkpoint.head.size, checkpoint.head.root_hash.to_base64());
    Ok(Answer::new(
        format!("{}: {size} entries and {tiles} tiles make the root {root}", checkpoint.origin),
        json!({
            "consistent": true,
            "log": checkpoint.origin.as_str(),
            "treeSize": size.get(),
            "rootHash": root,
            "tiles": tiles,
        }),
    ))
}

/// Recomputes the tree from its bundles and compares. Gives the number of tiles compared.
fn recompute(client: &LogClient, head: TreeHead) -> Result<u64, Failure> {
    let size = head.size.get();
    let mut progress = Progress::new(size);
    let mut edge = RightEdge::empty();
    let mut tiles = 0;
    while edge.size() < head.size {
        let first = edge.size().get();
        let width = (size - first).min(TILE_WIDTH);
        let width = u16::try_from(width).expect("invariant: at most 256");
        let id = BundleId::new(first / TILE_WIDTH, width);
        let id = id.expect("invariant: the width is 1 to 256");
        let (bytes, got_width) = client.bundle(&id).map_err(|e| unreadable(e.into()))?;
        let bundle = EntryBundle::parse(&bytes, got_width).map_err(|e| unreadable(e.into()))?;
        let leaves = bundle.entries().take(usize::from(width));
        let hashes: Vec<_> = leaves.map(hash_leaf).collect();
        let integrated = integrate(&edge, &hashes);
        for full in &integrated.full_tiles {
            compare(client, &full.id, &full.nodes.to_bytes(full.id.width()))?;
            tiles += 1;
        }
        edge = integrated.edge;
        progress.show(edge.size().get());
    }
    if edge.head() != head {
        let computed = edge.head().root_hash.to_base64();
        let reason = format!("the entries make the root {computed}, not the signed one");
        return Err(Failure::no(reason));
    }
    let mut above = size;
    for level in 0.. {
        if above == 0 {
            break;
        }
        let width = u16::try_from(above % TILE_WIDTH).expect("invariant: less than 256");
        if let Some(id) = TileId::new(level, above / TILE_WIDTH, width) {
            let computed = edge.tile_bytes(&id).expect("invariant: the edge holds its tiles");
            compare(client, &id, &computed)?;
            tiles += 1;
        }
        above /= TILE_WIDTH;
    }
    Ok(tiles)
}

fn compare(client: &LogClient, id: &TileId, computed: &[u8]) -> Result<(), Failure> {
    let served = client.tile(id).map_err(|error| unreadable(TilesError::Client(error)))?;
    if served == computed { Ok(()) } else { Err(unreadable(TilesError::Tile(*id))) }
}

/// A line on stderr that counts, if stderr is a terminal.
struct Progress {
    total: u64,
    shown: Option<Instant>,
}

impl Progress {
    fn new(total: u64) -> Self {
        let shown = std::io::stderr().is_terminal().then(Instant::now);
        Self { total, shown }
    }

    fn show(&mut self, done: u64) {
        let due = self.shown.is_some_and(|shown| shown.elapsed() >= PROGRESS_PAUSE);
        if due {
            let percent = done.saturating_mul(100) / self.total.max(1);
            eprint!("\r{done} of {} entries ({percent} %)", self.total);
            let _ = std::io::stderr().flush();
            self.shown = Some(Instant::now());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            // Blanks over the line, so that what follows stands alone.
            eprint!("\r{:60}\r", "");
        }
    }
}
