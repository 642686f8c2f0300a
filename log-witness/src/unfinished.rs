//! Unfinished: how many bodies each peer is still sending, so that one address cannot hold all the
//! places that there are for requests.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bodies that are being read, by the address that they come from.
#[derive(Debug)]
pub struct Unfinished {
    peer_max: usize,
    peers: Mutex<HashMap<IpAddr, usize>>,
}

/// One body that is being read, until it is dropped.
pub struct Reading<'a> {
    of: &'a Unfinished,
    peer: IpAddr,
}

impl Unfinished {
    /// At most `peer_max` at once from one address.
    pub fn new(peer_max: usize) -> Self {
        Self { peer_max, peers: Mutex::new(HashMap::new()) }
    }

    /// Begins to read a body; `None` if too many of this peer are being read.
    pub fn begin(&self, peer: IpAddr) -> Option<Reading<'_>> {
        let peer = network(peer);
        let mut peers = self.lock();
        let open = peers.entry(peer).or_default();
        if *open == self.peer_max {
            return None;
        }
        *open += 1;
        Some(Reading { of: self, peer })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut peers = self.of.lock();
        let open = peers.get_mut(&self.peer).expect("invariant: a body that is read is counted");
        *open -= 1;
        // Only peers that are sending something are remembered.
        if *open == 0 {
            peers.remove(&self.peer);
        }
    }
}

/// Who has one address of IPv6 has the 2^64 of its network.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_has_its_own_share_and_gets_it_back() {
        let unfinished = Unfinished::new(2);
        let begin = |peer: &str| unfinished.begin(peer.parse().unwrap());
        let (one, two) = (begin("10.0.0.1"), begin("::ffff:10.0.0.1"));
        assert!(one.is_some() && two.is_some() && begin("10.0.0.1").is_none());
        assert!(begin("10.0.0.2").is_some());
        drop(one);
        assert!(begin("10.0.0.1").is_some());
        let six = [begin("2001:db8::1"), begin("2001:db8::2")];
        assert!(six.iter().all(Option::is_some) && begin("2001:db8::3").is_none());
        assert!(begin("2001:db8:0:1::1").is_some());
        drop((two, six));
        assert!(unfinished.lock().is_empty());
    }
}
