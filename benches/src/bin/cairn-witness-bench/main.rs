//! `cairn-witness-bench`: what witnesses bear, side by side, and what a quorum costs a log.
//!
//! `logs` prints the logs whose checkpoints are sent, for those who set the witnesses up. `adds`
//! drives witnesses that run already, in turns. `quorum` starts two logs, one of them under three
//! witnesses, and measures both in turns. README.md has the tables; witness.sh plays everything.

mod adds;
mod quorum;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use log_benches::checkpoints::BenchLog;

/// Measures witnesses, and logs under witnesses.
#[derive(Parser)]
#[command(name = "cairn-witness-bench", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the logs, in the logs/v0 format
    Logs {
        /// How many
        #[arg(long, default_value_t = 100)]
        count: usize,
    },
    /// Send checkpoints of many logs to running witnesses, in turns
    Adds {
        /// NAME=ADDRESS of a witness that knows the logs and has cosigned nothing; the first one
        /// is what the others are compared with
        #[arg(long = "target", required = true, value_parser = parse_target)]
        targets: Vec<(String, SocketAddr)>,
        /// Logs, each with one request under way
        #[arg(long, default_value_t = 100)]
        logs: usize,
        /// Checkpoints prepared for each log
        #[arg(long, default_value_t = 2_000)]
        steps: usize,
        /// Rounds
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Seconds of each measurement
        #[arg(long, default_value_t = 4.0)]
        seconds: f64,
    },
    /// Measure a log without witnesses and one with a quorum of 2 of 3, in turns
    Quorum {
        /// Directory on the disk that is measured
        #[arg(long, default_value = "out/bench")]
        dir: PathBuf,
        /// Rounds
        #[arg(long, default_value_t = 7)]
        rounds: usize,
        /// Seconds of load in a round
        #[arg(long, default_value_t = 4.0)]
        seconds: f64,
        /// Connections under load
        #[arg(long, default_value_t = 256)]
        connections: usize,
    },
}

fn parse_target(text: &str) -> anyhow::Result<(String, SocketAddr)> {
    let (name, address) = text.split_once('=').context("NAME=ADDRESS")?;
    Ok((name.into(), address.parse()?))
}

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cairn-witness-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every gate holds.
fn run(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Logs { count } => {
            println!("logs/v0");
            for number in 0..count {
                println!("vkey {}", BenchLog::new(number).vkey());
                println!("qpd 86400\ncontact bench.example");
            }
            Ok(true)
        }
        Command::Adds { targets, logs, steps, rounds, seconds } => {
            let time = Duration::try_from_secs_f64(seconds)?;
            adds::run(&targets, &adds::Plan { logs, steps, rounds, time })
        }
        Command::Quorum { dir, rounds, seconds, connections } => {
            let time = Duration::try_from_secs_f64(seconds)?;
            quorum::run(&dir, &quorum::Plan { rounds, time, connections })
        }
    }
}
