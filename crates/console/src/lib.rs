//! HTML pages for operator and artist. Thin: proof in, capability call, page out.
