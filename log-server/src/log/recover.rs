//! Recover: what a log must prove to itself before it signs anything again.
//!
//! The committed head is rebuilt from the leaves and tiles beneath it, compared with the key and
//! the state id that lie beside the store, and with the anchor outside it. Publication then goes
//! through the same code as always: a recovered log differs from a running one in nothing.

use std::path::PathBuf;

use log_core::integrate::{EdgeError, RightEdge};
use log_core::tile::{TILE_WIDTH, TileNodes};
use log_core::{Hash, LeafIndex, NodeId, TreeHead, TreeSize};

use super::commit::Committed;
use super::panel::PanelError;
use super::read::{ReadError, head_of, place, stored_tile};
use super::witnessed::WitnessedError;
use crate::store::{Head, OpenError, Store, StoreError};

/// Why a log stays shut. Nothing was signed, and nothing on the disk was changed.
#[derive(Debug, thiserror::Error)]
pub enum Shut {
    /// The store cannot be opened or read.
    #[error("the store cannot be read: {0}")]
    Store(#[from] StoreError),
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The end of the write-ahead log is damaged, and the anchor has seen a newer head.
    #[error(
        "the store's tail is torn ({reason}); its last good head is {}:{}, but size {} was \
         committed; if what came after is to be given up, run `cairn-server accept-tail` with \
         that head", good.size, good.root_hash, anchor.size
    )]
    TornTail {
        /// What the store says about its tail.
        reason: String,
        /// The newest head before the damage.
        good: TreeHead,
        /// The head that the anchor has seen committed.
        anchor: TreeHead,
    },
    /// The operator named another head than the store's last good one.
    #[error("the last good head is {}:{}, not the one that was named", good.size, good.root_hash)]
    NotThatHead {
        /// The newest head before the damage.
        good: TreeHead,
    },
    /// The store has no head: it was never created, or lost everything.
    #[error("the store holds no head; only `init` and `add-log` create logs")]
    Empty,
    /// The store belongs to another log than the key beside it.
    #[error("the store belongs to another log: its log id is {0}, the key's is {1}")]
    ForeignKey(Hash, Hash),
    /// The store is not the one that was created with this log.
    #[error("the store's state id is not the one in `state-id`: this is another log's store")]
    ForeignState,
    /// What the store holds does not hash to its head.
    #[error("the store does not hold the tree that its head names: {0}")]
    Broken(String),
    /// The anchor belongs to another log, or to an earlier life of this one.
    #[error("the anchor is that of another log")]
    ForeignAnchor,
    /// The anchor knows a newer head than the store.
    #[error(
        "the store is behind its anchor: the anchor has size {anchor}, the store {store}; \
         entries were lost, or this is an old copy"
    )]
    BehindAnchor {
        /// The size that the anchor has seen committed.
        anchor: TreeSize,
        /// The size that the store has.
        store: TreeSize,
    },
    /// The anchor, or the published note, names a head that is not in the history of this store.
    #[error(
        "the store has another history than its anchor or its published note: the roots at size \
         {0} differ"
    )]
    OtherHistory(TreeSize),
    /// Neither slot of the anchor can be read.
    #[error("the anchor cannot be read: {0}")]
    Anchor(String),
    /// A file of the log is missing or unreadable.
    #[error("{0}")]
    File(String),
    /// What the log knows of its witnesses cannot be used.
    #[error("the record of the witnesses: {0}")]
    Witnessed(#[from] WitnessedError),
    /// The record of the witnesses is not of this tree.
    #[error("the record of the witnesses does not fit the store: {0}")]
    ForeignRecord(String),
    /// The witnesses cannot be asked.
    #[error("the witness policy: {0}")]
    Panel(#[from] PanelError),
    /// The key of this log was convicted.
    #[error(
        "its key signed two histories: {} proves it to anybody; this log must not go on, create a \
         new one", .0.display()
    )]
    Convicted(PathBuf),
    /// A witness cosigned more of this log than there is.
    #[error(
        "witness {witness} names size {theirs}, this store has {ours}: it is an old or a second \
         copy. Start the newest copy instead; if the witness is wrong, start with \
         `--exclude-witness LOG/NAME` (if the policy has it no more, put its `witness` line back \
         first, outside the quorum)"
    )]
    WitnessAhead {
        /// Who says so.
        witness: String,
        /// The size that it names.
        theirs: TreeSize,
        /// The size that is committed here.
        ours: TreeSize,
    },
    /// A witness refuses the note that was published last.
    #[error(
        "witness {witness} answers {status} to the last published note, size {size}: it knows \
         another history of this log. This is an old or a second copy; if the witness is wrong, \
         start with `--exclude-witness LOG/NAME` (if the policy has it no more, put its `witness` \
         line back first, outside the quorum)"
    )]
    WitnessDisagrees {
        /// Who says so.
        witness: String,
        /// Its answer.
        status: u16,
        /// The size that it was asked about.
        size: TreeSize,
    },
    /// A witness shows a note of this log's own key that is not in its history.
    #[error(
        "witness {witness} shows a note that this log's key signed over {}:{}, which is not in \
         this store of size {ours}: it is an old or a second copy. Start the newest copy instead. \
         Both notes are in {}", head.size, head.root_hash, kept.display()
    )]
    Contradicted {
        /// Who shows it.
        witness: String,
        /// The head that was signed.
        head: TreeHead,
        /// The size that is committed here.
        ours: TreeSize,
        /// Where the notes are kept.
        kept: PathBuf,
    },
}

impl From<ReadError> for Shut {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => Self::Store(error),
            ReadError::Broken(reason) => Self::Broken(reason),
        }
    }
}

impl From<EdgeError> for Shut {
    fn from(error: EdgeError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Who the log is, from the files beside its store.
pub(super) struct Identity {
    pub(super) log_id: Hash,
    pub(super) state_id: [u8; 16],
}

impl Identity {
    /// Whether a head belongs to this log, and to the store that was made with it.
    pub(super) fn check(&self, head: &Head) -> Result<(), Shut> {
        if head.log_id != self.log_id {
            return Err(Shut::ForeignKey(head.log_id, self.log_id));
        }
        if head.state_id != self.state_id {
            return Err(Shut::ForeignState);
        }
        Ok(())
    }
}

/// Checks a store against its log, its own contents and its anchor.
pub(super) fn recover(
    store: &dyn Store,
    identity: &Identity,
    anchor: &Head,
) -> Result<Committed, Shut> {
    let head = store.head()?.ok_or(Shut::Empty)?;
    identity.check(&head)?;
    // Any history extends the empty tree of another log's first anchor.
    if (anchor.log_id, anchor.state_id) != (head.log_id, head.state_id) {
        return Err(Shut::ForeignAnchor);
    }
    let edge = rebuild_edge(store, head.tree.size)?;
    if edge.head() != head.tree {
        return Err(Shut::Broken(format!(
            "the rebuilt root {} is not the head's {}",
            edge.head().root_hash,
            head.tree.root_hash
        )));
    }
    check_newest_tiles(store, &edge)?;
    check_anchor(store, &head, &edge, anchor)?;
    Ok(Committed { head, edge })
}

/// The right edge of this tree when it had the size of a head that was published then: rebuilt,
/// and checked to be in the history of the recovered head.
pub(super) fn edge_at(
    store: &dyn Store,
    recovered: &Committed,
    published: TreeHead,
) -> Result<RightEdge, Shut> {
    let (size, committed) = (published.size, recovered.head.tree.size);
    if size > committed {
        let lost = format!("its note has size {size}, the store {committed}");
        return Err(Shut::ForeignRecord(lost));
    }
    let edge = rebuild_edge(store, size)?;
    if edge.head() != published || root_at(store, &recovered.edge, size)? != published {
        return Err(Shut::OtherHistory(size));
    }
    Ok(edge)
}

/// Reads the parts of the right edge and hashes them again, leaves first.
fn rebuild_edge(store: &dyn Store, size: TreeSize) -> Result<RightEdge, Shut> {
    if size.get() == 0 {
        return Ok(RightEdge::empty());
    }
    let parts = RightEdge::parts(size);
    let mut levels = Vec::with_capacity(parts.tiles.len() + 1);
    levels.push(leaf_hashes(store, parts.leaves.start, parts.leaves.end)?);
    for below in &parts.tiles {
        let roots = below
            .indices
            .clone()
            .map(|index| root_of(&stored_tile(store, below.level, index)?))
            .collect::<Result<Vec<Hash>, Shut>>()?;
        levels.push(roots);
    }
    Ok(RightEdge::rebuild(size, levels)?)
}

/// The edge reaches a full tile only through its root. So the newest full tile of each level is
/// hashed too and compared with what stands above it, and the newest leaves with their tile.
fn check_newest_tiles(store: &dyn Store, edge: &RightEdge) -> Result<(), Shut> {
    let mut tiles = edge.size().get() / TILE_WIDTH;
    let mut level = 0;
    while tiles > 0 {
        let nodes = stored_tile(store, level, tiles - 1)?;
        if level == 0 {
            let first = (tiles - 1) * TILE_WIDTH;
            if leaf_hashes(store, first, first + TILE_WIDTH)? != nodes.hashes() {
                return Err(Shut::Broken("the newest leaves are not those of their tile".into()));
            }
        }
        let above = NodeId { level: (level + 1) * 8, index: tiles - 1 };
        if root_of(&nodes)? != node(store, edge, above)? {
            return Err(Shut::Broken(format!("tile {level}/{} is not in the tree", tiles - 1)));
        }
        tiles /= TILE_WIDTH;
        level += 1;
    }
    Ok(())
}

/// The anchor may be older than the store, never newer, and its head must be in our history.
fn check_anchor(
    store: &dyn Store,
    head: &Head,
    edge: &RightEdge,
    anchor: &Head,
) -> Result<(), Shut> {
    let (anchor, size) = (anchor.tree, head.tree.size);
    if anchor.size > size {
        return Err(Shut::BehindAnchor { anchor: anchor.size, store: size });
    }
    if root_at(store, edge, anchor.size)? != anchor {
        return Err(Shut::OtherHistory(anchor.size));
    }
    Ok(())
}

/// The head of the same tree when it had `size` leaves.
fn root_at(store: &dyn Store, edge: &RightEdge, size: TreeSize) -> Result<TreeHead, Shut> {
    head_of(size, |id| node(store, edge, id))
}

fn node(store: &dyn Store, edge: &RightEdge, id: NodeId) -> Result<Hash, Shut> {
    if let Some(hash) = edge.node(id) {
        return Ok(hash);
    }
    let (level, index, height, position) = place(id);
    stored_tile(store, level, index)?
        .node(height, position)
        .ok_or_else(|| Shut::Broken(format!("no node {id:?} in its tile")))
}

fn root_of(tile: &TileNodes) -> Result<Hash, Shut> {
    tile.root().ok_or_else(|| Shut::Broken("a stored tile is not full".into()))
}

fn leaf_hashes(store: &dyn Store, first: u64, end: u64) -> Result<Vec<Hash>, Shut> {
    /// At most one tile's worth is ever read here.
    const COUNT_INVARIANT: &str = "invariant: at most 256 leaves";
    let count = usize::try_from(end - first).expect(COUNT_INVARIANT);
    Ok(store.leaves(LeafIndex::new(first), count)?.iter().map(log_core::Leaf::hash).collect())
}
