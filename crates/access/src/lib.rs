//! Who may do what: Cedar policies, decisions with reasons, permits.
