//! What a request contains, in canonical form. Pure.
