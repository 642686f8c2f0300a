//! The witness: cosigns what is consistent with everything it cosigned before, and nothing else.
