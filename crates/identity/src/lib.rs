//! Accounts, passwords, sessions, tokens, mail.
