//! `cairn-witness`: the command line of the witness.

fn main() {}
