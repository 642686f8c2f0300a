//! The promises that cross crates, against the real server process.

mod algorithms;
mod bodies;
mod crash;
mod damage;
mod duplicates;
mod grpc;
mod harness;
mod overload;
mod paths;
mod raw;
mod reads;
mod recorded;
mod replay;
mod replay_grpc;
mod space;
mod stop;
mod upstream;
