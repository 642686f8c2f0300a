//! cairn-server: hosts transparency logs.
//!
//! One entry's way from the socket to the disk and back, as a list of files to read in order:
//!
//! | N | file | what happens there |
//! |---|---|---|
//! | 1 | `log-server/src/api/mod.rs` | a request comes in, within its limits |
//! | 2 | `log-server/src/api/rekor_v2.rs` | JSON or gRPC goes to admission; later the answer |
//! | 3 | `log-server/src/admit/hashedrekord.rs` | key, algorithm and signature are checked |
//! | 4 | `log-core/src/entry/hashedrekord.rs` | the entry becomes its canonical leaf |
//! | 5 | `log-server/src/log/mod.rs` | `submit` pools the leaf, waits, proves the answer |
//! | 6 | `log-server/src/log/pool.rs` | the leaf waits behind a ticket |
//! | 7 | `log-server/src/log/sequencer.rs` | the one writer takes everything that waits |
//! | 8 | `log-server/src/log/dedup.rs` | a known leaf gets the index that it has |
//! | 9 | `log-core/src/integrate.rs` | right edge + leaves -> head, full tiles, right edge |
//! | 10 | `log-server/src/log/commit.rs` | the point of no return |
//! | 11 | `log-server/src/store/mod.rs` | what atomic, conditional and durable mean |
//! | 12 | `log-server/src/log/cosign.rs` | the log signs; witnesses' lines are verified |
//! | 13 | `log-server/src/log/publish.rs` | checkpoint and right edge become visible together |
//! | 14 | `log-server/src/api/tiles.rs` | a reader gets immutable bytes |

pub mod admit;
pub mod api;
pub mod clock;
pub mod config;
pub mod engine;
pub mod fsck;
pub mod init;
pub mod log;
pub mod metrics;
pub mod rebuild;
pub mod server;
pub mod store;
pub mod witness;
