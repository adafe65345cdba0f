//! The key hierarchy: root providers, epoch keys by purpose, one wrapped key per subject.
