//! `cairn-v1-bench`: what the older protocol costs beside the newer one, and what its search costs
//! beside a bare read of the same store.
//!
//! `create` submits to the Rekor v1 and the Rekor v2 log of one server, in turns. `search` fills a
//! v1 log with millions of search keys and asks for them, in turns with `bare`: a server that
//! answers each request with one RocksDB get. README.md has the tables.

mod bare;
mod create;
mod fill;
mod search;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// As in the server that the bare one is compared with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Rekor v1 of a release build of cairn-server.
#[derive(Parser)]
#[command(name = "cairn-v1-bench", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Submit hashedrekord entries to the v1 and the v2 log of a server, in turns
    Create {
        /// Directory on the disk that is measured; what is made in it is removed at the end
        #[arg(long, default_value = "out/bench")]
        dir: PathBuf,
        /// Rounds
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Seconds of each load
        #[arg(long, default_value_t = 8.0)]
        seconds: f64,
        /// Connections
        #[arg(long, default_value_t = 256)]
        connections: usize,
    },
    /// Search a v1 log that has many entries
    Search {
        /// Directory on the disk that is measured; what is made in it is removed at the end
        #[arg(long, default_value = "out/bench")]
        dir: PathBuf,
        /// Entries in the log
        #[arg(long, default_value_t = 1_250_000)]
        entries: u64,
        /// Search keys that each entry has for itself
        #[arg(long, default_value_t = 8)]
        keys: u64,
        /// Entries that one more search key has in common
        #[arg(long, default_value_t = 1_000_000)]
        hits: u64,
        /// Rounds
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// Answer every request with one get from a RocksDB (`search` starts this by itself)
    Bare {
        /// The database
        #[arg(long)]
        db: PathBuf,
        /// Where to listen
        #[arg(long)]
        listen: SocketAddr,
    },
}

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cairn-v1-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every gate holds.
fn run(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Create { dir, rounds, seconds, connections } => {
            let time = Duration::try_from_secs_f64(seconds)?;
            create::run(&dir, &create::Plan { rounds, time, connections })
        }
        Command::Search { dir, entries, keys, hits, rounds } => {
            let filling = fill::Filling { entries, keys, hits };
            search::run(&dir, &search::Plan { filling, rounds })
        }
        Command::Bare { db, listen } => bare::serve(&db, listen),
    }
}

/// What is under way.
fn say(what: &str) {
    eprintln!("cairn-v1-bench: {what}");
}
