//! Test support: real servers, clients, controlled clock, mail catcher.
