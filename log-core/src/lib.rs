//! What everybody who verifies a transparency log must agree on, byte for byte.
//!
//! In scope: the Merkle tree of RFC 6962 and its proofs, tiles, signed notes, checkpoints and the
//! canonical leaves of the entry kinds. Out of scope: IO, clocks, randomness, protobuf, async.
//! What must be fetched is named and handed in: a proof is planned, its nodes are fetched by the
//! caller, and then it is built.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | entry | what was submitted, typed |
//! | leaf | its canonical bytes, which are hashed; counted from 0 by [`LeafIndex`] |
//! | tree head | number of leaves ([`TreeSize`]) and the root hash over them |
//! | node | the hash over `2^level` neighbouring leaves; complete once all of them are there |
//! | compact range | the fewest complete nodes that cover a tree |
//! | tile | 256 neighbouring hashes of every eighth level; partial while it is not full |
//! | bundle | the leaves under one tile of level 0, as they are sent |
//! | right edge | the partial tiles at the right end of a tree, one a level |
//! | note | text with signature lines under it |
//! | checkpoint | a tree head as the text of a note, under the name of its log (the origin) |
//! | cosignature | a witness's line under a checkpoint: with its log it saw nothing inconsistent |
//! | policy | which witnesses there are, and which sets of them are enough: the quorum |
//! | evidence | a file that convicts a key of having signed what no honest holder signs |
//!
//! # Map
//!
//! | module | what it decides | specification |
//! |---|---|---|
//! | [`hash`] | hashes of leaves and nodes | RFC 6962, 2.1 |
//! | [`tree`] | sizes, indices, coordinates | |
//! | [`range`](mod@range) | the root of a stream of leaves | RFC 6962, 2.1 |
//! | [`proof`] | inclusion and consistency | RFC 9162, 2.1.3-4 |
//! | [`subtree`] | ranges of leaves that are part of a tree | draft-ietf-plants-merkle-tree-certs |
//! | [`tile`], [`bundle`] | what readers fetch, and its paths | C2SP tlog-tiles |
//! | [`integrate`](mod@integrate) | right edge + leaves -> head, full tiles, right edge | |
//! | [`leaf`], [`entry`] | the bytes that are logged | Rekor v2 |
//! | [`key`], [`note`] | keys, signature lines | C2SP signed-note |
//! | [`checkpoint`] | tree heads as signed text | C2SP tlog-checkpoint |
//! | [`cosignature`] | what a witness says about a checkpoint, and when | C2SP tlog-cosignature |
//! | [`witness`] | how it is asked for that | C2SP tlog-witness |
//! | [`policy`] | which cosignatures are enough | C2SP tlog-policy |
//! | [`evidence`] | what convicts a log or a witness | `cairn/tlog-evidence@v1` |
//! | [`tlog_proof`] | everything that proves one entry offline | C2SP tlog-proof |
//!
//! # Append, prove, verify
//!
//! ```
//! use log_core::hash::hash_leaf;
//! use log_core::{InclusionProof, LeafIndex, RightEdge, integrate};
//!
//! // Append five leaves to an empty log.
//! let leaves: Vec<_> = ["a", "b", "c", "d", "e"].map(|leaf| hash_leaf(leaf.as_bytes())).into();
//! let integrated = integrate(&RightEdge::empty(), &leaves);
//!
//! // Prove the third one. In so small a tree every node is still on the right edge.
//! let (index, head) = (LeafIndex::new(2), integrated.head);
//! let plan = InclusionProof::plan(index, head.size)?;
//! let node = |id| integrated.edge.node(id).expect("on the right edge");
//! let nodes: Vec<_> = plan.nodes().iter().map(|id| node(*id)).collect();
//! let proof = InclusionProof::build(&plan, &nodes)?;
//!
//! // Verify it with nothing but the leaf, the proof and the tree head.
//! proof.verify(&hash_leaf(b"c"), index, &head)?;
//! assert!(proof.verify(&hash_leaf(b"x"), index, &head).is_err());
//! # Ok::<(), log_core::ProofError>(())
//! ```

pub mod bundle;
pub mod checkpoint;
pub mod cosignature;
pub mod entry;
pub mod entry_id;
pub mod entry_timestamp;
pub mod evidence;
pub mod hash;
pub mod integrate;
pub mod key;
pub mod leaf;
pub mod note;
pub mod policy;
pub mod proof;
pub mod range;
pub mod subtree;
pub mod tile;
pub mod tlog_proof;
pub mod tree;
pub mod witness;

pub use bundle::EntryBundle;
pub use checkpoint::{Checkpoint, Origin, SignedCheckpoint};
pub use cosignature::{Cosignature, CosignerKey};
pub use entry::Entry;
pub use entry_id::{EntryId, TreeId};
pub use entry_timestamp::EntryTimestamp;
pub use evidence::{Evidence, EvidenceKind, EvidenceRole, NotProven, Proven};
pub use hash::{Hash, hash_children, hash_leaf, sha256};
pub use integrate::{FullTile, Integrated, RightEdge, integrate};
pub use key::{KeyAlgorithm, KeyId, KeyName, NoteSigner, VerifierKey};
pub use leaf::{LEAF_BYTES_MAX, Leaf, LeafTooLong};
pub use note::{NoteSignature, SignedNote};
pub use policy::{PolicyLog, PolicyWitness, QuorumArithmetic, WitnessPolicy};
pub use proof::{ConsistencyProof, InclusionProof, ProofError, ProofPlan};
pub use range::CompactRange;
pub use subtree::{Subtree, SubtreeProof};
pub use tile::{BundleId, TILE_WIDTH, TileId, TileNodes};
pub use tlog_proof::TlogProof;
pub use tree::{LeafIndex, NodeId, TreeHead, TreeSize};
pub use witness::{AddCheckpointRequest, SignSubtreeRequest, origin_hash};
