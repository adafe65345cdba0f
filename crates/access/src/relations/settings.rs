//! The numbers.

/// What an operator may set about relations.
#[derive(Debug, Clone)]
pub struct RelationSettings {
    /// Facts about objects and people that are remembered at most.
    pub remembered: usize,
    /// For how long they are believed, in milliseconds, even if nobody says that they changed.
    pub remember_ms: i64,
    /// Whether people register objects of their own; otherwise their services do ([`Relations::vouch`](crate::Relations::vouch)),
    /// and administrators.
    pub self_registration: bool,
    /// How long break-glass lasts at most, in milliseconds.
    pub break_glass_max_ms: i64,
    /// How long a collaboration token is valid at most, in milliseconds.
    pub invitation_max_ms: i64,
    /// How long an offer waits for an answer, in milliseconds.
    pub offer_ttl_ms: i64,
    /// `iss` of signed collaboration tokens.
    pub issuer: String,
}

impl Default for RelationSettings {
    /// 65,536 facts for a second; nobody registers objects of their own; break-glass for at most four hours; collaboration
    /// tokens for 24 hours; offers for 30 days.
    fn default() -> Self {
        Self {
            remembered: 65_536,
            remember_ms: 1_000,
            self_registration: false,
            break_glass_max_ms: 4 * 3_600_000,
            invitation_max_ms: 24 * 3_600_000,
            offer_ttl_ms: 30 * 24 * 3_600_000,
            issuer: "http://localhost".into(),
        }
    }
}
