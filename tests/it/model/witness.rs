//! The steps of a witness. `None`: not possible now.

use super::{Head, Heads, Mistake, Request, State, World};

impl World {
    /// A request with a head that the log signed, and with its honest proof: it is held against
    /// the state of this moment.
    pub(super) fn judge(&self, state: &mut State, witness: usize, head: Head) -> Option<()> {
        let at_work = state.witnesses.iter().flat_map(|other| other.requests).flatten().count();
        let witness = &mut state.witnesses[witness];
        let seen = witness.latest;
        let nothing_new = head == seen && witness.released.contains(head);
        if !seen.begins(head) || nothing_new || at_work == self.requests {
            return None;
        }
        if self.mistake == Some(Mistake::CosignsBeforeAdvance) {
            witness.released.insert(head);
        }
        witness.put(Request::Judged { head, seen });
        Some(())
    }

    /// Compare and swap in one durable transaction. Another request may have been faster: then
    /// this one is answered with a conflict.
    pub(super) fn advance(&self, state: &mut State, witness: usize, request: usize) -> Option<()> {
        let witness = &mut state.witnesses[witness];
        let Request::Judged { head, seen } = witness.requests[request]? else { return None };
        witness.requests[request] = None;
        witness.requests.sort_unstable();
        if witness.latest == seen || self.mistake == Some(Mistake::AdvancesWithoutComparing) {
            witness.latest = head;
            witness.put(Request::Durable { head });
        }
        Some(())
    }

    /// The database of one witness is gone; the arithmetic of the quorum says what that costs.
    pub(super) fn lose_state(&self, state: &mut State, witness: usize) -> Option<()> {
        let another = state.witnesses.iter().any(|other| other.faulty);
        let witness = &mut state.witnesses[witness];
        if self.mistake != Some(Mistake::BeginsAgain) || (another && !witness.faulty) {
            return None;
        }
        witness.faulty = true;
        witness.latest = Head::START;
        witness.requests = Default::default();
        Some(())
    }
}

impl State {
    /// The cosignature leaves.
    pub(super) fn cosign(&mut self, witness: usize, request: usize) -> Option<()> {
        let witness = &mut self.witnesses[witness];
        let Request::Durable { head } = witness.requests[request]? else { return None };
        witness.requests[request] = None;
        witness.requests.sort_unstable();
        witness.released.insert(head);
        Some(())
    }

    pub(super) fn crash_witness(&mut self, witness: usize) -> Option<()> {
        self.witnesses[witness].requests = Default::default();
        Some(())
    }

    /// The heads that so many witnesses have cosigned.
    pub(super) fn cosigned(&self, quorum: usize) -> Heads {
        Heads::in_at_least(quorum, self.witnesses.map(|witness| witness.released))
    }
}

impl super::Witness {
    fn put(&mut self, request: Request) {
        let free = self.requests.iter_mut().find(|place| place.is_none());
        *free.expect("a world asks for no more than there is room") = Some(request);
        self.requests.sort_unstable();
    }
}
