//! Histories in one byte. Every entry is a 0 or a 1, so that two processes can commit different
//! ones; a head is the entries since the start, with a 1 before them.

use std::fmt;

/// The head of a history: what it begins with is the head of a shorter one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Head(u8);

impl Head {
    /// What everybody has seen before the first step.
    pub(super) const START: Self = Self(1);

    /// Number of entries since the start.
    pub(super) const fn size(self) -> u32 {
        self.0.ilog2()
    }

    /// With one entry more.
    pub(super) const fn with(self, entry: u8) -> Self {
        Self(self.0 << 1 | entry)
    }

    /// Whether the other history begins with this one: a consistency proof exists.
    pub(super) const fn begins(self, other: Self) -> bool {
        self.size() <= other.size() && other.0 >> (other.size() - self.size()) == self.0
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:b}", self.0);
        write!(f, "<{}>", &digits[1..])
    }
}

/// A set of heads with up to three entries.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Heads(u16);

impl Heads {
    /// The set of these heads.
    pub(super) fn of(heads: impl IntoIterator<Item = Head>) -> Self {
        let mut set = Self::default();
        heads.into_iter().for_each(|head| set.insert(head));
        set
    }

    pub(super) const fn insert(&mut self, head: Head) {
        self.0 |= 1 << head.0;
    }

    pub(super) const fn contains(self, head: Head) -> bool {
        self.0 >> head.0 & 1 == 1
    }

    /// From the smallest to the largest.
    pub(super) fn iter(self) -> impl Iterator<Item = Head> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let lowest = u8::try_from(left.trailing_zeros()).ok().filter(|_| left != 0)?;
            left &= left - 1;
            Some(Head(lowest))
        })
    }

    /// The heads that are in at least so many of these sets.
    pub(super) fn in_at_least(count: usize, sets: impl IntoIterator<Item = Self>) -> Self {
        let mut at_least = [0; 4];
        at_least[0] = u16::MAX;
        for set in sets {
            for fewer in (0..3).rev() {
                at_least[fewer + 1] |= at_least[fewer] & set.0;
            }
        }
        Self(at_least[count])
    }

    /// Whether any two of them are consistent with each other: each begins the next larger one.
    pub(super) fn are_one_history(self) -> bool {
        self.iter().zip(self.iter().skip(1)).all(|(a, b)| a.begins(b))
    }
}

impl fmt::Debug for Heads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[test]
fn a_head_begins_what_goes_on_from_it() {
    let (a, b) = (Head::START.with(0), Head::START.with(1));
    assert!(Head::START.begins(a) && a.begins(a) && a.begins(a.with(1)) && a.with(1).size() == 2);
    assert!(!a.begins(b) && !a.begins(b.with(0)) && !a.with(1).begins(a));
    assert!(Heads::of([Head::START, b, b.with(0)]).are_one_history());
    assert!(!Heads::of([a, b.with(0)]).are_one_history());
}

#[test]
fn sets_of_heads_are_sets() {
    let (a, b) = (Head::START.with(0), Head::START.with(1));
    let sets = [Heads::of([a, b]), Heads::of([b, Head::START]), Heads::of([b])];
    assert_eq!(sets[0].iter().collect::<Vec<_>>(), [a, b]);
    for (count, heads) in [(1, vec![Head::START, a, b]), (2, vec![b]), (3, vec![b])] {
        assert_eq!(Heads::in_at_least(count, sets), Heads::of(heads), "{count}");
    }
}
